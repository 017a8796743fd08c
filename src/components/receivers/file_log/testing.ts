/** For tests: a receiver on real files, with a pipeline whose answers the test decides. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Batch, DELIVERED, settleBatch } from '../../../core/batch.ts';
import { SYSTEM_CLOCK } from '../../../core/clock.ts';
import type { ReceiverContext } from '../../../core/component.ts';
import type { Ledger, LedgerSnapshot } from '../../../core/ledger.ts';
import { SILENT } from '../../../core/log.ts';
import type { StorageClient, StorageOp } from '../../../core/storage.ts';
import { TelemetryRegistry } from '../../../core/telemetry.ts';
import { type LogRecord, logRecords } from '../../../wire/otlp-logs.ts';
import type { FileLogConfig } from './config.ts';
import { createFileLog } from './create.ts';
import definition from './index.ts';
import type { FileLogReceiver } from './receiver.ts';

export class MemoryStore implements StorageClient {
  readonly data = new Map<string, Buffer>();
  /** Thrown by writes when set. */
  broken: Error | undefined;
  get(key: string): Uint8Array | undefined {
    return this.data.get(key);
  }
  set(key: string, value: Uint8Array): void {
    this.batch([{ op: 'set', key, value }]);
  }
  delete(key: string): void {
    this.batch([{ op: 'delete', key }]);
  }
  batch(ops: readonly StorageOp[]): void {
    if (this.broken) throw this.broken;
    for (const o of ops) {
      if (o.op === 'set') this.data.set(o.key, Buffer.from(o.value));
      else this.data.delete(o.key);
    }
  }
  walk(visit: (key: string, value: Uint8Array) => boolean | undefined): void {
    for (const key of [...this.data.keys()].sort()) if (visit(key, this.data.get(key)!) === false) return;
  }
  close(): void {}
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'file-log-'));

export interface Line {
  readonly body: string;
  readonly record: LogRecord;
}

export interface Rig {
  readonly receiver: FileLogReceiver;
  readonly lines: Line[];
  readonly bodies: () => string[];
  readonly ledger: () => LedgerSnapshot;
  readonly telemetry: TelemetryRegistry;
  readonly logged: { level: string; message: string; fields: unknown }[];
  /** Batches that were taken and not settled (when `settle` is false). */
  readonly unsettled: Batch[];
  /** How batches are answered: an error to throw, or nothing. */
  answer: (batch: Batch) => Error | undefined | Promise<Error | undefined>;
  settle: boolean;
  settleAll(): void;
  until(condition: () => boolean, what: string): Promise<void>;
  stop(): Promise<void>;
  /** Leaves it as a killed process would: nothing is stored or settled any more. */
  abandon(): void;
}

/** Starts a receiver with `config` as YAML would give it. */
export async function startRig(
  config: Record<string, unknown>,
  options: {
    store?: MemoryStore;
    start?: (rig: Rig) => void;
    clock?: ReceiverContext['clock'];
  } = {},
): Promise<Rig> {
  const parsed = definition.schema.parse({
    start_at: 'beginning',
    poll_interval: '20ms',
    ...(options.store ? { storage: 'store' } : {}),
    ...config,
  }) as FileLogConfig;
  const telemetry = new TelemetryRegistry();
  const ledgers: Ledger[] = [];
  const logged: Rig['logged'] = [];
  let dead = false;
  const say = (level: string) => (message: string, fields?: unknown) => {
    if (!dead) logged.push({ level, message, fields });
  };
  const log = {
    ...SILENT,
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    with: () => log,
  };
  const rig = { lines: [], unsettled: [], settle: true, answer: () => undefined, logged, telemetry } as unknown as Rig;
  const store =
    options.store &&
    new Proxy(options.store, {
      get(target, key) {
        const value = Reflect.get(target, key) as unknown;
        if (key === 'batch' && dead) return () => {};
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const ctx: ReceiverContext = {
    id: 'filelog',
    kind: 'receiver',
    log,
    telemetry,
    clock: options.clock ?? SYSTEM_CLOCK,
    build: { command: 'sluice', description: '', version: '0' },
    host: {
      extension: (id) => (id === 'store' && store ? { client: async () => store } : undefined),
      fatal: () => {},
      shared: (_key, make) => make(),
      addLedger: (_id, ledger) => ledgers.push(ledger),
    },
    outputs: {
      logs: {
        consume: async (batch) => {
          if (dead) return new Promise(() => {});
          const error = await rig.answer(batch);
          if (error) throw error;
          if (dead) return;
          for (const g of batch.groups)
            for (const record of logRecords(g.items)) {
              const body =
                record.body instanceof Uint8Array ? Buffer.from(record.body).toString('hex') : String(record.body);
              rig.lines.push({ body, record });
            }
          if (rig.settle) settleBatch(batch, DELIVERED);
          else rig.unsettled.push(batch);
        },
      },
    },
  };
  const receiver = await createFileLog(parsed, ctx);
  Object.assign(rig, {
    receiver,
    bodies: () => rig.lines.map((l) => l.body),
    ledger: () => ledgers[0]!.snapshot(),
    settleAll: () => {
      for (const b of rig.unsettled.splice(0)) settleBatch(b, DELIVERED);
    },
    until: async (condition: () => boolean, what: string) => {
      const end = Date.now() + 20_000;
      while (!condition()) {
        if (Date.now() > end)
          throw new Error(
            `waited too long for ${what}; got ${JSON.stringify(rig.bodies().slice(-50))}, log ${JSON.stringify(logged)}`,
          );
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    stop: () => receiver.stop(AbortSignal.timeout(10_000)),
    abandon: () => {
      dead = true;
      receiver.abandon();
    },
  });
  options.start?.(rig);
  await receiver.start();
  return rig;
}
