/** `sluice dashboards`: Grafana dashboards and alert rules as files. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../core/errors.ts';
import { dashboardFiles } from '../deploy/dashboards/index.ts';
import type { Arguments } from './arguments.ts';

export async function run(args: Arguments): Promise<number> {
  const out = args.texts['out']!;
  if (out === '')
    throw new ConfigError([
      { path: [], message: 'dashboards needs a directory', hint: 'sluice dashboards --out dashboards' },
    ]);
  const files = dashboardFiles(args.texts['namespace']!);
  for (const [path, text] of files) {
    const file = join(out, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  process.stderr.write(`${out}: ${[...files.keys()].join(', ')}\n`);
  return 0;
}
