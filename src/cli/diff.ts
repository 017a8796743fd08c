/** `sluice diff`: what a spec would change, against a former render or the cluster; what concerns security comes first. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, messageOf } from '../core/errors.ts';
import { describeDiff, diffObjects, type KubernetesObject, parseObjects } from '../deploy/index.ts';
import { describeError } from '../service/config/diagnostics.ts';
import type { Arguments } from './arguments.ts';
import { objectsIn } from './spec-file.ts';

/** As `kubectl diff`: 0 nothing changes, 1 something does, 2 it cannot be told. */
export async function run(args: Arguments): Promise<number> {
  try {
    const [spec, former] = args.operands;
    if (spec === undefined || args.operands.length > 2)
      throw new ConfigError([
        {
          path: [],
          message: 'diff needs a spec',
          hint: 'sluice diff collection.yaml [FORMER RENDER]; without it, the cluster',
        },
      ]);
    const after = await objectsIn(spec);
    const isLive = former === undefined;
    const before = isLive
      ? await (await import('./live-objects.ts')).liveObjects(after, args.texts['context']!)
      : rendered(former);
    const diffs = diffObjects(before, after, { isLive });
    process.stdout.write(args.bools['json'] ? `${JSON.stringify(diffs, null, 2)}\n` : describeDiff(diffs));
    if (isLive && diffs.some((d) => d.is === 'gone'))
      process.stderr.write(
        'What is gone from the spec stays in the cluster until it is deleted with kubectl delete.\n',
      );
    return diffs.length > 0 ? 1 : 0;
  } catch (error) {
    process.stderr.write(`Error: ${describeError(error)}\n`);
    return 2;
  }
}

function rendered(path: string): KubernetesObject[] {
  try {
    const files = statSync(path).isDirectory()
      ? readdirSync(path)
          .filter((f) => /\.(ya?ml|json)$/.test(f))
          .sort()
          .map((f) => join(path, f))
      : [path];
    return files.flatMap((file) => parseObjects(readFileSync(file, 'utf8'), file));
  } catch (e) {
    throw e instanceof ConfigError
      ? e
      : new ConfigError(`cannot read the former render: ${messageOf(e)}`, { cause: e });
  }
}
