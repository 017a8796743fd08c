/** `sluice doctor`: what is wrong with a deployment, how it is known, and the one-line fix. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { ConfigError } from '../core/errors.ts';
import { findingsOf, LogReading } from '../doctor/logs/read-log.ts';
import { hasFailure, jsonReport, textReport } from '../doctor/report.ts';
import { runChecks } from '../doctor/run.ts';
import type { Arguments } from './arguments.ts';
import { doctorContext } from './doctor-context.ts';

export async function run(args: Arguments): Promise<number> {
  const format = args.texts['format']!;
  if (format !== 'text' && format !== 'json')
    throw new ConfigError(`invalid argument ${JSON.stringify(format)} for "--format" flag: use one of text, json`);
  const report = format === 'json' ? jsonReport : textReport;
  const file = args.texts['from-logs']!;
  if (file !== '') {
    const findings = findingsOf(await readLog(file), file === '-' ? 'standard input' : file);
    const results = [{ id: 'from-logs', title: 'Log', findings }];
    process.stdout.write(report(`sluice doctor: ${file === '-' ? 'standard input' : file}`, results));
    return hasFailure(results) ? 1 : 0;
  }
  const ctx = await doctorContext(args);
  try {
    const results = await runChecks(ctx);
    const where = ctx.isInside
      ? 'inside the cluster'
      : ctx.access
        ? `outside of the cluster ${ctx.access.url}`
        : 'without a cluster';
    process.stdout.write(
      report(
        `sluice doctor: ${where}${ctx.version ? `, Kubernetes ${ctx.version}` : ''}, namespace ${ctx.namespace}`,
        results,
      ),
    );
    return hasFailure(results) ? 1 : 0;
  } finally {
    ctx.close();
  }
}

async function readLog(file: string) {
  const reading = new LogReading(SYSTEM_CLOCK.nowMs());
  const input = file === '-' ? process.stdin : createReadStream(file);
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) reading.line(line);
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new ConfigError(`open ${file}: no such file or directory`);
    if (code === 'EISDIR') throw new ConfigError(`read ${file}: is a directory`);
    throw e;
  }
  return reading.summary;
}
