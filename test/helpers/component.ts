/** Surroundings for a component in a test: a context whose log, telemetry and clock can be looked at and moved. */
import { type Ack, type Batch, type Consumer, type Group, makeBatch, type Signal } from '../../src/core/batch.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { ComponentContext, ComponentKind, Host } from '../../src/core/component.ts';
import { Ledger } from '../../src/core/ledger.ts';
import type { LogFields, Logger, LogLevel } from '../../src/core/log.ts';
import { EMPTY_SCOPE, type Resource, resourceOf } from '../../src/core/resource.ts';
import { TelemetryRegistry } from '../../src/core/telemetry.ts';
import { writeLogRecord } from '../../src/wire/otlp-logs.ts';
import { ProtoWriter } from '../../src/wire/proto.ts';

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export class ManualClock implements Clock {
  ms = Date.UTC(2026, 10, 22, 12);
  nowMs(): number {
    return this.ms;
  }
  nowUnixNano(): bigint {
    return BigInt(Math.round(this.ms)) * 1_000_000n;
  }
  monotonicMs(): number {
    return this.ms;
  }
}

export function recordingLog(lines: LogLine[], bound: LogFields = {}): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      void lines.push({ level, message, fields: { ...bound, ...fields } });
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    enabled: () => true,
    with: (fields) => recordingLog(lines, { ...bound, ...fields }),
  };
}

export function componentContext(id: string, kind: ComponentKind) {
  const lines: LogLine[] = [];
  const clock = new ManualClock();
  const telemetry = new TelemetryRegistry();
  const shared = new Map<string, unknown>();
  const ledgers = new Map<string, Ledger>();
  const fatal: Error[] = [];
  const host: Host = {
    extension: () => undefined,
    fatal: (_id, error) => void fatal.push(error),
    shared<T>(key: string, make: () => T): T {
      if (!shared.has(key)) shared.set(key, make());
      return shared.get(key) as T;
    },
    addLedger: (ledgerId, ledger) => void ledgers.set(ledgerId, ledger),
  };
  const build = { command: 'sluice', description: 'test', version: '0.0.0' };
  const context: ComponentContext = { id, kind, log: recordingLog(lines), telemetry, clock, host, build };
  /** Value of a counter or gauge; labels as `k=v`, in any order. */
  const value = (name: string, ...labels: string[]): number | undefined => {
    for (const s of telemetry.families.get(name)?.series.values() ?? []) {
      const own = Object.entries(s.labels).map(([k, v]) => `${k}=${v}`);
      if (labels.every((l) => own.includes(l))) return s.read ? s.read() : (s.histogram?.count ?? s.value);
    }
    return undefined;
  };
  return { context, lines, clock, telemetry, host, ledgers, fatal, value };
}

/** A source that keeps a ledger of what it handed out. */
export class TestSource {
  readonly ledger = new Ledger();
  readonly ack: Ack;
  constructor(patient: boolean) {
    this.ack = { patient, settle: (records, bytes, outcome) => this.ledger.settle(records, bytes, outcome) };
  }

  group(bodies: readonly string[], resource: Resource = resourceOf(new Map([['service.name', 'a']]))): Group {
    const w = new ProtoWriter();
    for (const body of bodies)
      writeLogRecord(w, {
        time: 1_767_323_045_000_000_000n,
        observedTime: 0n,
        severityNumber: 0,
        severityText: '',
        body,
        attributes: new Map(),
      });
    const bytes = bodies.reduce((n, b) => n + b.length, 0);
    this.ledger.read(bodies.length, bytes);
    const parts = bodies.length ? [{ ack: this.ack, records: bodies.length, bytes }] : [];
    return { resource, scope: EMPTY_SCOPE, items: w.finish(), messages: bodies.length, count: bodies.length, parts };
  }

  logs(bodies: readonly string[], metadata?: Batch['metadata']): Batch {
    return makeBatch('logs', [this.group(bodies)], metadata);
  }
}

/** Keeps what it gets; `answer` may throw or wait. */
export function collector(answer: (batch: Batch, call: number) => void | Promise<void> = () => {}) {
  const batches: Batch[] = [];
  let calls = 0;
  const consumer: Consumer = {
    async consume(batch) {
      await answer(batch, calls++);
      batches.push(batch);
    },
  };
  return {
    consumer,
    batches,
    get calls() {
      return calls;
    },
    counts: () => batches.map((b) => b.count),
  };
}

/** Waits until `done` holds; fails after ten seconds. */
export async function until(done: () => boolean, what = 'condition'): Promise<void> {
  const limit = performance.now() + 60_000;
  while (!done()) {
    if (performance.now() > limit) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Lets everything run that waits for nothing but microtasks and immediates. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

export const signals: readonly Signal[] = ['logs', 'metrics', 'traces'];
