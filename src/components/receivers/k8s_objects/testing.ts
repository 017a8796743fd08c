/** For tests of the receiver: it runs against a simulated API server, and what it sends can be looked at and settled. */
import type { TestContext } from 'node:test';
import { componentContext } from '../../../../test/helpers/component.ts';
import { type Batch, DELIVERED, type Outcome, settleBatch } from '../../../core/batch.ts';
import type { ReceiverContext } from '../../../core/component.ts';
import type { SimulatedApiServerOptions } from '../../../kubernetes/simulated/api-server.ts';
import { type RunningApiServer, startApiServer, testApi } from '../../../kubernetes/testing.ts';
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import { type LogRecord, logRecords } from '../../../wire/otlp-logs.ts';
import definition, { type K8sObjectsConfig } from './index.ts';
import { K8sObjectsReceiver } from './receiver.ts';

export const parse = (config: object): K8sObjectsConfig => definition.schema.parse(config) as K8sObjectsConfig;

/** A value of OTLP as plain JSON; integers as numbers. */
export function plain(v: Value): unknown {
  if (typeof v === 'bigint') return Number(v);
  if (Array.isArray(v)) return v.map(plain);
  if (v instanceof Map) return Object.fromEntries([...v].map(([k, x]) => [k, plain(x)]));
  return v;
}

export interface Got {
  readonly record: LogRecord;
  readonly resource: ValueMap;
  readonly scope: string;
  /** `ADDED web-1`, `web-1` of pull. */
  readonly text: string;
}

interface Made {
  readonly server?: SimulatedApiServerOptions;
  readonly running?: RunningApiServer;
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** False: batches wait for `settleAll`. */
  readonly settles?: boolean;
  readonly consume?: (batch: Batch) => void | Promise<void>;
}

export async function rig(t: TestContext, config: object, made: Made = {}) {
  const running = made.running ?? (await startApiServer(made.server));
  const { api, lines: apiLines } = testApi(running.url);
  const base = componentContext('k8s_objects', 'receiver');
  const got: Got[] = [];
  const unsettled: Batch[] = [];
  const keep = (batch: Batch) => {
    for (const g of batch.groups)
      for (const record of logRecords(g.items)) {
        const body = plain(record.body) as {
          type?: string;
          object?: { metadata: { name: string } };
          metadata?: { name: string };
        };
        const name = (body.object ?? body).metadata!.name;
        const text = body.type ? `${body.type} ${name}` : name;
        got.push({ record, resource: g.resource.attributes as ValueMap, scope: g.scope.fields.name, text });
      }
  };
  const next = {
    async consume(batch: Batch) {
      await made.consume?.(batch);
      keep(batch);
      if (made.settles === false) unsettled.push(batch);
      else settleBatch(batch, DELIVERED);
    },
  };
  const context: ReceiverContext = {
    ...base.context,
    clock: {
      nowMs: () => Date.now(),
      nowUnixNano: () => BigInt(Date.now()) * 1_000_000n,
      monotonicMs: () => performance.now(),
    },
    host: { ...base.host, extension: (id) => made.extensions?.[id] },
    outputs: { logs: next },
  };
  const receiver = new K8sObjectsReceiver(parse(config), context, api, { initialMs: 5, maxMs: 20 });
  const stop = () => receiver.stop(AbortSignal.timeout(5000));
  t.after(async () => {
    running.server.options = {};
    await stop();
    api.client.close();
    if (!made.running) await running.stop();
  });
  return {
    ...running,
    ...base,
    receiver,
    got,
    apiLines,
    running,
    stop,
    texts: () => got.map((g) => g.text),
    settleAll(outcome: Outcome = DELIVERED) {
      for (const b of unsettled.splice(0)) settleBatch(b, outcome);
    },
    get unsettled() {
      return unsettled.length;
    },
  };
}
