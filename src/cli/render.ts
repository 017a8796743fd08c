/** `sluice render`: Kubernetes objects from a spec, to stdout, into a file, or as one file each into a directory. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../core/errors.ts';
import { toFiles, toJson, toYaml } from '../deploy/index.ts';
import { HEADER } from '../deploy/render.ts';
import type { Arguments } from './arguments.ts';
import { objectsIn } from './spec-file.ts';

export async function run(args: Arguments): Promise<number> {
  const [spec] = args.operands;
  if (spec === undefined || args.operands.length > 1)
    throw new ConfigError([{ path: [], message: 'render needs one spec', hint: 'sluice render collection.yaml' }]);
  const out = args.texts['out']!;
  const format = formatOf(args.texts['format']!, out);
  const objects = await objectsIn(spec);
  const text = (): string => (format === 'json' ? toJson(objects) : toYaml(objects));
  if (out === '-') process.stdout.write(text());
  else if (/\.(ya?ml|json)$/.test(out)) writeFileSync(out, text());
  else {
    const { written, removed } = writeDirectory(out, toFiles(objects, format));
    process.stderr.write(`${out}: ${written} objects${removed.length > 0 ? `; removed ${removed.join(', ')}` : ''}\n`);
  }
  return 0;
}

function formatOf(given: string, out: string): 'yaml' | 'json' {
  const format = given === '' ? (out.endsWith('.json') ? 'json' : 'yaml') : given.toLowerCase();
  if (format === 'yaml' || format === 'json') return format;
  throw new ConfigError(`invalid argument ${JSON.stringify(given)} for "--format" flag: use one of yaml, json`);
}

/** What a former render wrote and this one does not goes away, or it would be applied for ever; other files stay. */
function writeDirectory(dir: string, files: ReadonlyMap<string, string>) {
  if (existsSync(dir) && !statSync(dir).isDirectory())
    throw new ConfigError(`--out ${dir} is a file, and neither .yaml nor .json`);
  mkdirSync(dir, { recursive: true });
  const removed = readdirSync(dir)
    .filter((f) => /^\d\d-[a-z]+-.*\.(yaml|json)$/.test(f) && !files.has(f))
    .filter((f) => f.endsWith('.json') || readFileSync(join(dir, f), 'utf8').startsWith(HEADER));
  for (const file of removed) rmSync(join(dir, file));
  for (const [file, text] of files) writeFileSync(join(dir, file), text);
  return { written: files.size, removed };
}
