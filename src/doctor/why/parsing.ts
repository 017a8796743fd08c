/** What a receiver makes of the last lines of a file: by its own reader and operators, run dry, bounded, no offset touched. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { fileAttributes } from '../../components/receivers/file_log/attributes.ts';
import type { FileLogConfig } from '../../components/receivers/file_log/config.ts';
import { makeReader, splitterOf } from '../../components/receivers/file_log/create.ts';
import { LogFile } from '../../components/receivers/file_log/file.ts';
import { makeHeader } from '../../components/receivers/file_log/header.ts';
import type { FileReader } from '../../components/receivers/file_log/reader.ts';
import { windowChanged } from '../../components/receivers/file_log/splitter.ts';
import type { Batch } from '../../core/batch.ts';
import type { Clock } from '../../core/clock.ts';
import { Ledger } from '../../core/ledger.ts';
import { type Logger, SILENT } from '../../core/log.ts';
import { TelemetryRegistry } from '../../core/telemetry.ts';
import { compileProgram } from '../../stanza/compile.ts';
import { LOG_INTERVAL_MS } from '../../stanza/emitter.ts';
import { LogsSink } from '../../stanza/sink.ts';
import type { Value } from '../../wire/otlp.ts';

const MAX_BYTES = 256 * 1024;
const MAX_LINES = 50;
const NL = 10;

export interface DryRun {
  /** That were looked at, blank ones not counted. */
  readonly lines: number;
  /** That came out of the operators. */
  readonly records: number;
  readonly batches: readonly Batch[];
  /** Records that operators dropped, by reason. */
  readonly dropped: ReadonlyMap<string, number>;
  /** What operators complained about, with counts. */
  readonly complaints: ReadonlyMap<string, number>;
  /** The first line, as it stands in the file. */
  readonly firstLine: string;
}

/** The end of a file, and where it begins there. */
function endOf(path: string): { readonly bytes: Buffer; readonly from: number } {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    // Whole units of two bytes, for UTF-16.
    const from = Math.max(0, size - MAX_BYTES) & ~1;
    const bytes = Buffer.alloc(size - from);
    return { bytes: bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, from)), from };
  } finally {
    closeSync(fd);
  }
}

interface Cut {
  /** Where the first whole record begins. */
  readonly begin: number;
  /** Where the records begin that are looked at; those before only show operators what goes on here. */
  readonly shown: number;
}

function cutOf(config: FileLogConfig, id: string, bytes: Buffer, isWhole: boolean): Cut {
  const splitter = splitterOf(config, ['receivers', id]);
  windowChanged(splitter);
  const starts: number[] = [];
  let end = 0;
  while (splitter.next(bytes, end, bytes.length, false)) {
    starts.push(end);
    end = splitter.after;
  }
  if (end < bytes.length) starts.push(end);
  // The first may have begun before.
  if (!isWhole) starts.shift();
  // None ends here: a pattern that fits nothing, say. What is then one record begins with a line.
  if (starts.length === 0 && bytes.includes(NL)) starts.push(bytes.indexOf(NL) + 1);
  const begin = starts[0] ?? bytes.length;
  let shown = bytes.length;
  for (let lines = 0; starts.length > 0 && lines < MAX_LINES; ) {
    const start = starts.pop()!;
    lines += linesIn(bytes, start, shown);
    shown = start;
  }
  // Where a record ends is known by the next one, so the reader does not stop before `shown` by itself.
  return { begin: config.multiline.line_start_pattern === '' ? begin : shown, shown };
}

/** Without blank ones, and without one that is not finished. */
function linesIn(bytes: Buffer, start: number, end: number): number {
  let n = 0;
  for (let p = start; p < end; ) {
    const nl = bytes.indexOf(NL, p);
    if (nl < 0 || nl >= end) break;
    for (let i = p; i < nl; i++)
      if (bytes[i]! > 32) {
        n++;
        break;
      }
    p = nl + 1;
  }
  return n;
}

const isLineEnd = (bytes: Buffer): boolean =>
  bytes.at(-1) === NL || (bytes.at(-1) === 0 && bytes.at(-2) === NL && bytes.length % 2 === 0);

export async function dryRun(config: FileLogConfig, id: string, path: string, clock: Clock): Promise<DryRun> {
  const { bytes, from } = endOf(path);
  const { begin, shown } = cutOf(config, id, bytes, from === 0);
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
  let laterMs = 0;
  const common = {
    log: bound({}),
    clock: {
      nowMs: () => clock.nowMs(),
      nowUnixNano: () => clock.nowUnixNano(),
      monotonicMs: () => clock.monotonicMs() + laterMs,
    },
    telemetry: new TelemetryRegistry(),
  };
  const at = ['receivers', id];
  const program = await compileProgram(config, { ...common, sink, path: at });
  const header = config.header && (await makeHeader(config, { ...common, path: [...at, 'header'] }));
  const reader = makeReader(config, { program, sink, header, clock: common.clock, path: at });
  const base = new Map<string, Value>(program.baseAttributes);
  let attributes: ReadonlyMap<string, Value> = base;
  try {
    attributes = fileAttributes(config, path, base);
  } catch (e) {
    complain((e as Error).message);
  }
  const ledger = new Ledger();
  const file = new LogFile({
    id: 0,
    path,
    attributes,
    resource: program.baseResource,
    identity: { device: 0, inode: 0, bornMs: 0 },
    // Complete, so that nobody looks for the rest of it.
    fingerprint: Buffer.alloc(config.fingerprint_size),
    tail: Buffer.alloc(0),
    offset: from + begin,
    recordNumber: 0,
    headerDone: from > 0 || header === undefined,
    parent: ledger,
    events: { settled() {}, touched() {} },
  });
  feed(reader, sink, file, bytes, begin, shown);
  sink.seal();
  sink.takeReady();
  complaints.clear();
  // What was complained about already is told again.
  laterMs = LOG_INTERVAL_MS;
  const before = ledger.snapshot();
  const { batches, end } = feed(reader, sink, file, bytes, shown, bytes.length);
  // A record whose end only the next one would show is given out after a while.
  const rest = bytes.subarray(end);
  if (config.force_flush_period > 0 && rest.length > 0 && isLineEnd(rest)) reader.flush(file, bytes, end, bytes.length);
  program.flush();
  sink.seal();
  batches.push(...sink.takeReady());
  const dropped = new Map<string, number>();
  for (const [reason, { records }] of ledger.snapshot().filteredBy) {
    const n = records - (before.filteredBy.get(reason)?.records ?? 0);
    if (n > 0) dropped.set(reason, n);
  }
  return {
    lines: linesIn(bytes, shown, bytes.length),
    records: batches.reduce((n, b) => n + b.count, 0),
    batches,
    dropped,
    complaints,
    firstLine: bytes
      .subarray(shown, shown + 200)
      .toString('utf8')
      .split('\n')[0]!,
  };
}

/** As the receiver does, piece by piece. `end`: of the last record that is finished. */
function feed(reader: FileReader, sink: LogsSink, file: LogFile, bytes: Buffer, start: number, end: number) {
  const batches: Batch[] = [];
  let p = start;
  while (p < end) {
    const taken = reader.feed(file, bytes, p, end, false);
    if (taken === 0) break;
    p += taken;
    reader.advance(file, bytes, p, taken);
    if (sink.hasReady) batches.push(...sink.takeReady());
  }
  return { batches, end: p };
}
