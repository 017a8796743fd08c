/** What the operators of a receiver make of the last lines of a file: run dry, bounded, no offset touched. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { fileAttributes } from '../../components/receivers/file_log/attributes.ts';
import type { FileLogConfig } from '../../components/receivers/file_log/config.ts';
import type { Batch } from '../../core/batch.ts';
import type { Clock } from '../../core/clock.ts';
import { Ledger } from '../../core/ledger.ts';
import { type Logger, SILENT } from '../../core/log.ts';
import { TelemetryRegistry } from '../../core/telemetry.ts';
import { compileProgram } from '../../stanza/compile.ts';
import { LogsSink } from '../../stanza/sink.ts';
import { Holds, Range, type Source } from '../../stanza/source.ts';
import type { Value } from '../../wire/otlp.ts';

const MAX_BYTES = 256 * 1024;
const MAX_LINES = 50;

export interface DryRun {
  readonly lines: number;
  readonly batches: readonly Batch[];
  readonly ledger: Ledger;
  /** What operators complained about, with counts. */
  readonly complaints: ReadonlyMap<string, number>;
}

/** The last whole lines of a file. */
export function lastLines(path: string, maxLines = MAX_LINES): string[] {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const from = Math.max(0, size - MAX_BYTES);
    const buffer = Buffer.alloc(size - from);
    const n = readSync(fd, buffer, 0, buffer.length, from);
    const lines = buffer.subarray(0, n).toString('utf8').split('\n');
    // The first may have begun before, the last one may not be finished.
    if (from > 0) lines.shift();
    lines.pop();
    return lines.filter((l) => l.trim() !== '').slice(-maxLines);
  } finally {
    closeSync(fd);
  }
}

export async function dryRun(
  config: FileLogConfig,
  id: string,
  path: string,
  lines: readonly string[],
  clock: Clock,
): Promise<DryRun> {
  const sink = new LogsSink();
  const complaints = new Map<string, number>();
  const complain = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    const text = [fields?.['operator_id'], message, fields?.['error']].filter((t) => t !== undefined).join(': ');
    complaints.set(text, (complaints.get(text) ?? 0) + 1);
  };
  const bound = (fields: Readonly<Record<string, unknown>>): Logger => ({
    ...SILENT,
    error: (m, f) => complain(m, { ...fields, ...f }),
    warn: (m, f) => complain(m, { ...fields, ...f }),
    with: (more) => bound({ ...fields, ...more }),
  });
  const program = await compileProgram(config, {
    log: bound({}),
    clock,
    telemetry: new TelemetryRegistry(),
    sink,
    path: ['receivers', id],
  });
  const ledger = new Ledger();
  const base = new Map<string, Value>(program.baseAttributes);
  let attributes: Source['attributes'] = base;
  try {
    attributes = fileAttributes(config, path, base);
  } catch (e) {
    complain((e as Error).message);
  }
  const source: Source = {
    path,
    attributes,
    resource: program.baseResource,
    ledger,
    holds: new Holds(),
    range: new Range(0, ledger, () => {}),
    memo: undefined,
  };
  let offset = 0;
  for (const line of lines) {
    const buf = Buffer.from(line.trim());
    ledger.read(0, buf.length + 1);
    program.token(source, {
      buf,
      start: 0,
      end: buf.length,
      offset,
      bytes: buf.length + 1,
      raw: false,
      extra: undefined,
    });
    offset += buf.length + 1;
  }
  program.flush();
  sink.seal();
  return { lines: lines.length, batches: sink.takeReady(), ledger, complaints };
}
