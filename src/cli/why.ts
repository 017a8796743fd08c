/** `sluice why POD`: what becomes of the lines of one pod, and which rule decides. */
import { ConfigError } from '../core/errors.ts';
import { hasFailure, jsonReport, textReport } from '../doctor/report.ts';
import { why } from '../doctor/why/why.ts';
import type { Arguments } from './arguments.ts';
import { doctorContext } from './doctor-context.ts';

export async function run(args: Arguments): Promise<number> {
  const [pod, ...more] = args.operands;
  if (pod === undefined || more.length > 0)
    throw new ConfigError('why takes the name of one pod: sluice why POD -n NAMESPACE, or sluice why NAMESPACE/POD');
  const format = args.texts['format']!;
  if (format !== 'text' && format !== 'json')
    throw new ConfigError(`invalid argument ${JSON.stringify(format)} for "--format" flag: use one of text, json`);
  const ctx = await doctorContext(args, args.texts['collectors']!);
  try {
    const { head, results } = await why(ctx, {
      pod,
      namespace: args.texts['namespace']!,
      container: args.texts['container']!,
    });
    process.stdout.write((format === 'json' ? jsonReport : textReport)(head, results));
    return hasFailure(results) ? 1 : 0;
  } finally {
    ctx.close();
  }
}
