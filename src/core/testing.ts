import { ProtoWriter } from '../wire/proto.ts';
import { type Ack, type Batch, makeBatch, type Outcome } from './batch.ts';
import { SYSTEM_CLOCK } from './clock.ts';
import type { ExporterContext } from './component.ts';
import type { Logger } from './log.ts';
import type { Prepare } from './queue-sender.ts';
import { EMPTY_RESOURCE, EMPTY_SCOPE } from './resource.ts';
import { retryOnFailure, sendingQueue } from './schema.ts';
import { type StorageClient, StorageFullError, type StorageOp } from './storage.ts';
import { TelemetryRegistry } from './telemetry.ts';

/** Keeps everything in a map; `maxBytes` makes it full. */
export class MemoryStorage implements StorageClient {
  readonly entries = new Map<string, Uint8Array>();
  maxBytes = Number.POSITIVE_INFINITY;
  get(key: string) {
    return this.entries.get(key);
  }
  set(key: string, value: Uint8Array) {
    this.batch([{ op: 'set', key, value }]);
  }
  delete(key: string) {
    this.entries.delete(key);
  }
  batch(ops: readonly StorageOp[]) {
    let size = 0;
    for (const v of this.entries.values()) size += v.length;
    for (const op of ops) if (op.op === 'set') size += op.value.length;
    if (size > this.maxBytes && ops.some((o) => o.op === 'set' && o.key !== 'qmv0'))
      throw new StorageFullError('database is full');
    for (const op of ops) op.op === 'set' ? this.entries.set(op.key, op.value.slice()) : this.entries.delete(op.key);
  }
  walk() {}
  close() {}
}

export interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function context(storage?: StorageClient, lines: Line[] = []) {
  const telemetry = new TelemetryRegistry();
  const at =
    (level: string) =>
    (message: string, fields = {}) =>
      void lines.push({ level, message, fields });
  const log: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    enabled: () => true,
    with: () => log,
  };
  const ctx: ExporterContext = {
    id: 'otlp_http/x',
    kind: 'exporter',
    signal: 'logs',
    log,
    telemetry,
    clock: SYSTEM_CLOCK,
    host: {
      extension: (id) =>
        id === 'file_storage' && storage ? { client: async () => storage } : id === 'other' ? {} : undefined,
      fatal() {},
      shared: (_k, make) => make(),
      addLedger() {},
    },
    build: { command: 'sluice', description: 'Sluice', version: '0' },
  };
  const value = (name: string) =>
    [...(telemetry.families.get(name)?.series.values() ?? [])].reduce((n, s) => n + (s.read?.() ?? s.value), 0);
  return { ctx, lines, value };
}

/** Counts what it is told, by kind and reason. */
export class TestAck implements Ack {
  readonly patient: boolean;
  readonly told = new Map<string, number>();
  records = 0;
  bytes = 0;
  constructor(patient: boolean) {
    this.patient = patient;
  }
  settle(records: number, bytes: number, outcome: Outcome) {
    this.records += records;
    this.bytes += bytes;
    const key = 'reason' in outcome ? `${outcome.kind}: ${outcome.reason}` : outcome.kind;
    this.told.set(key, (this.told.get(key) ?? 0) + records);
  }
}

/** Records whose bodies are the names, all of one acknowledgement. */
export function batchOf(names: readonly string[], ack?: Ack): Batch {
  const w = new ProtoWriter();
  for (const n of names) {
    const at = w.open(2);
    w.string(3, n);
    w.close(at);
  }
  const parts = ack ? [{ ack, records: names.length, bytes: names.length * 10 }] : [];
  return makeBatch('logs', [
    {
      resource: EMPTY_RESOURCE,
      scope: EMPTY_SCOPE,
      items: w.finish(),
      messages: names.length,
      count: names.length,
      parts,
    },
  ]);
}

export const namesOf = (batch: Batch): string[] =>
  batch.groups.flatMap((g) => {
    const names: string[] = [];
    for (let at = 0; at < g.items.length; at += 2 + g.items[at + 1]!)
      names.push(Buffer.from(g.items.subarray(at + 4, at + 2 + g.items[at + 1]!)).toString());
    return names;
  });

export const FAST = { initial_interval: '1ms', max_interval: '2ms' };
export const retry = (more: object = {}) => retryOnFailure().parse({ ...FAST, ...more });
export const queue = (more: object = {}) => sendingQueue().parse(more);

/** A deadline that never comes. */
export const GENEROUS = new AbortController().signal;

export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 20_000) throw new Error('waited in vain');
    await new Promise((r) => setTimeout(r, 2));
  }
}

/** A destination whose answers a test decides, one call at a time. */
export function scripted(answer: (names: string[], n: number) => unknown) {
  const calls: string[][] = [];
  const prepare: Prepare = (batch) => {
    const names = namesOf(batch);
    return async () => {
      calls.push(names);
      const r = await answer(names, calls.length);
      if (r instanceof Error) throw r;
      return { rejected: typeof r === 'number' ? r : 0 };
    };
  };
  return { calls, prepare };
}
