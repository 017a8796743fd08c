/** For tests: runs lines through operators and gives back the records that come out, decoded. */

import { DELIVERED } from '../core/batch.ts';
import type { Clock } from '../core/clock.ts';
import { Ledger } from '../core/ledger.ts';
import { type LogFields, type Logger, SILENT } from '../core/log.ts';
import { TelemetryRegistry } from '../core/telemetry.ts';
import type { ReadonlyValueMap, Value } from '../wire/otlp.ts';
import { logRecords } from '../wire/otlp-logs.ts';
import { compileProgram } from './compile.ts';
import type { Program } from './program.ts';
import { LogsSink } from './sink.ts';
import { Holds, Range, type Source } from './source.ts';

/** 2026-01-02T03:04:05Z */
export const TEST_NOW_MS = 1_767_323_045_000;

export class TestClock implements Clock {
  ms = TEST_NOW_MS;
  nowMs(): number {
    return this.ms;
  }
  nowUnixNano(): bigint {
    return BigInt(this.ms) * 1_000_000n;
  }
  monotonicMs(): number {
    return this.ms;
  }
}

export interface SeenRecord {
  body: unknown;
  attributes: Record<string, unknown>;
  resource?: Record<string, unknown>;
  scope?: string;
  time?: bigint;
  severity?: number;
  severityText?: string;
  traceId?: string;
  spanId?: string;
  flags?: number;
}

/** Maps as objects, so that records can be compared with literals. Doubles stay numbers, integers are bigint. */
export function plain(v: Value): unknown {
  if (v instanceof Map) return plainMap(v);
  if (Array.isArray(v)) return v.map(plain);
  if (v instanceof Uint8Array) return { bytes: Buffer.from(v).toString('latin1') };
  return v;
}
export const plainMap = (m: ReadonlyValueMap): Record<string, unknown> =>
  Object.fromEntries([...m].map(([k, v]) => [k, plain(v)]));

export interface TestRun {
  readonly program: Program;
  readonly clock: TestClock;
  readonly logged: { level: string; message: string; fields: LogFields | undefined }[];
  source(attributes?: Record<string, string>): Source;
  /** Sends one line (trimmed as the receiver does). */
  line(text: string | Buffer, source?: Source): void;
  /** What came out since the last call. */
  take(): SeenRecord[];
  readonly ledger: Ledger;
  /** Of the first series of a metric whose label has that value. */
  counter(name: string, label: string, value: string): number | undefined;
}

export interface TestOptions {
  readonly attributes?: Record<string, string>;
  readonly resource?: Record<string, string>;
}

export async function runOperators(operators: readonly unknown[], options: TestOptions = {}): Promise<TestRun> {
  const clock = new TestClock();
  const sink = new LogsSink();
  const logged: TestRun['logged'] = [];
  const logger: Logger = {
    ...SILENT,
    error: (message, fields) => logged.push({ level: 'error', message, fields }),
    warn: (message, fields) => logged.push({ level: 'warn', message, fields }),
    with: () => logger,
  };
  const telemetry = new TelemetryRegistry();
  const program = await compileProgram(
    { operators, attributes: options.attributes ?? {}, resource: options.resource ?? {} },
    { log: logger, clock, telemetry, sink, path: ['receivers', 'filelog'] },
  );
  const ledger = new Ledger();
  let offset = 0;
  const source = (attributes: Record<string, string> = {}): Source => ({
    path: attributes['log.file.path'] ?? '/a.log',
    attributes: new Map<string, Value>([...program.baseAttributes, ...Object.entries(attributes)]),
    resource: program.baseResource,
    ledger,
    holds: new Holds(),
    range: new Range(0, ledger, () => {}),
    memo: undefined,
  });
  const usual = source();
  return {
    program,
    clock,
    logged,
    ledger,
    source,
    counter: (name, label, value) =>
      [...(telemetry.families.get(name)?.series.values() ?? [])].find((s) => s.labels[label] === value)?.value,
    line(text, from = usual) {
      const buf = typeof text === 'string' ? Buffer.from(text) : text;
      const blank = (b: number | undefined) => b === 32 || b === 9 || b === 10 || b === 13;
      let start = 0;
      let end = buf.length;
      while (start < end && blank(buf[start])) start++;
      while (end > start && blank(buf[end - 1])) end--;
      ledger.read(0, buf.length + 1);
      program.token(from, {
        buf,
        start,
        end,
        offset,
        bytes: buf.length + 1,
        raw: false,
        extra: undefined,
      });
      offset += buf.length + 1;
    },
    take() {
      sink.seal();
      const out: SeenRecord[] = [];
      for (const batch of sink.takeReady())
        for (const group of batch.groups) {
          for (const r of logRecords(group.items)) {
            const seen: SeenRecord = { body: plain(r.body), attributes: plainMap(r.attributes) };
            if (group.resource.attributes.size > 0) seen.resource = plainMap(group.resource.attributes);
            if (group.scope.fields.name) seen.scope = group.scope.fields.name;
            if (r.time !== 0n) seen.time = r.time;
            if (r.severityNumber) seen.severity = r.severityNumber;
            if (r.severityText) seen.severityText = r.severityText;
            if (r.traceId.length) seen.traceId = Buffer.from(r.traceId).toString('hex');
            if (r.spanId.length) seen.spanId = Buffer.from(r.spanId).toString('hex');
            if (r.flags) seen.flags = r.flags;
            out.push(seen);
          }
          for (const p of group.parts) p.ack.settle(p.records, p.bytes, DELIVERED);
        }
      return out;
    },
  };
}
