import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { type LogLine, recordingLog, TestSource } from '../../test/helpers/component.ts';
import { type Consumer, DELIVERED, type Signal, settleBatch } from '../core/batch.ts';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import {
  type AnyDefinition,
  type Component,
  type ComponentKind,
  defineConnector,
  defineExporter,
  defineExtension,
  defineProcessor,
  defineReceiver,
} from '../core/component.ts';
import { ConfigError } from '../core/errors.ts';
import { TelemetryRegistry } from '../core/telemetry.ts';
import type { ComponentConfig, LoadedConfig } from './config/config.ts';
import { telemetrySchema } from './config/telemetry.ts';
import { buildGraph, type GraphOptions } from './graph.ts';
import type { ServiceLogger } from './log.ts';

/** Components that note what happens to them. */
function fakes() {
  const events: string[] = [];
  const outputs = new Map<string, Partial<Record<Signal, Consumer>>>();
  const consumed: string[] = [];
  const failing = new Set<string>();
  const schema = z.unknown();
  const component = (kind: ComponentKind, id: string, extra = ''): Component => {
    events.push(`create ${kind} ${id}${extra}`);
    return {
      async start() {
        events.push(`start ${id}${extra}`);
        if (failing.has(id)) throw new Error(`${id} is broken`);
      },
      async stop() {
        events.push(`stop ${id}${extra}`);
        if (failing.has(`stop ${id}`)) throw new Error('cannot let go');
      },
    };
  };
  const common = { summary: 'Fake.', stability: 'stable', schema } as const;
  const definitions: Record<string, AnyDefinition> = {
    receiver: defineReceiver({
      ...common,
      id: 'source',
      signals: ['logs', 'metrics'],
      async create(_config, ctx) {
        outputs.set(ctx.id, ctx.outputs);
        return component('receiver', ctx.id);
      },
    }),
    processor: defineProcessor({
      ...common,
      id: 'step',
      signals: ['logs', 'metrics', 'traces'],
      create: async (_config, ctx) => ({
        ...component('processor', ctx.id, ` in ${ctx.pipelineId}`),
        consume: (batch) => {
          consumed.push(`${ctx.id} in ${ctx.pipelineId}`);
          return ctx.next.consume(batch);
        },
      }),
    }),
    exporter: defineExporter({
      ...common,
      id: 'sink',
      signals: ['logs', 'metrics'],
      create: async (_config, ctx) => ({
        ...component('exporter', ctx.id, ` ${ctx.signal}`),
        consume: async (batch) => {
          consumed.push(`${ctx.id} ${ctx.signal}`);
          settleBatch(batch, DELIVERED);
        },
      }),
    }),
    connector: defineConnector({
      ...common,
      id: 'bridge',
      signals: [{ from: 'logs', to: 'logs' }],
      create: async (_config, ctx) => ({
        ...component('connector', ctx.id, ` ${ctx.signal}`),
        consume: (batch) => ctx.outputs.logs!.consume(batch),
      }),
    }),
    extension: defineExtension({
      ...common,
      id: 'side',
      create: async (_config, ctx) => ({
        ...component('extension', ctx.id),
        ready: (is) => void events.push(`ready ${is}`),
      }),
    }),
  };
  const map = (kind: ComponentKind, ids: readonly string[]): Map<string, ComponentConfig> =>
    new Map(
      ids.map((id) => {
        const definition = definitions[kind]!;
        const entry = { kind, id: definition.id, aliases: [], load: async () => ({ default: definition }) };
        return [id, { kind, id, type: definition.id, name: '', entry, definition, raw: {}, value: {} }];
      }),
    );
  /** `logs/a: r1 r2 > p1 > e1 e2` */
  const config = (
    pipelines: readonly string[],
    connectors: readonly string[] = [],
    extensions: readonly string[] = [],
  ) => {
    const parsed = pipelines.map((line) => {
      const [id, rest] = line.split(': ') as [string, string];
      const [receivers, processors, exporters] = rest.split('>').map((x) => x.trim().split(' ').filter(Boolean)) as [
        string[],
        string[],
        string[],
      ];
      const [signal, name = ''] = id.split('/') as [Signal, string?];
      return { id, signal, name, receivers, processors, exporters };
    });
    const ids = (k: 'receivers' | 'processors' | 'exporters') => [...new Set(parsed.flatMap((p) => p[k]))];
    const own = (list: readonly string[]) => list.filter((id) => !connectors.includes(id));
    const loaded: LoadedConfig = {
      receivers: map('receiver', own(ids('receivers'))),
      processors: map('processor', ids('processors')),
      exporters: map('exporter', own(ids('exporters'))),
      connectors: map('connector', connectors),
      extensions: map('extension', extensions),
      service: { extensions, pipelines: parsed, telemetry: telemetrySchema.parse({}) },
      warnings: [],
      gates: new Map(),
      locate: () => undefined,
    };
    return loaded;
  };
  const lines: LogLine[] = [];
  const log = (): ServiceLogger => ({ ...recordingLog(lines), from: log, with: log });
  const telemetry = new TelemetryRegistry();
  const options = (c: LoadedConfig): GraphOptions => ({
    config: c,
    build: { command: 'sluice', description: '', version: '0' },
    log: log(),
    telemetry,
    clock: SYSTEM_CLOCK,
    onFatal() {},
    withExtensions: true,
  });
  return { events, outputs, consumed, failing, config, options, telemetry, lines };
}

const forever = new AbortController().signal;

test('everything is created from the exporters up, started the same way and stopped the other way round', async () => {
  const f = fakes();
  const graph = await buildGraph(f.options(f.config(['logs: r > p1 p2 > e1 e2'], [], ['x', 'y'])));
  assert.deepEqual(f.events.splice(0), [
    'create extension x',
    'create extension y',
    'create exporter e1 logs',
    'create exporter e2 logs',
    'create processor p2 in logs',
    'create processor p1 in logs',
    'create receiver r',
  ]);
  await graph.start();
  assert.deepEqual(f.events.splice(0), [
    'start x',
    'start y',
    'start e1 logs',
    'start e2 logs',
    'start p2 in logs',
    'start p1 in logs',
    'start r',
    'ready true',
    'ready true',
  ]);
  assert.deepEqual(await graph.stop(forever, 1000), []);
  assert.deepEqual(f.events.splice(0), [
    'ready false',
    'ready false',
    'stop r',
    'stop p1 in logs',
    'stop p2 in logs',
    'stop e1 logs',
    'stop e2 logs',
    'stop y',
    'stop x',
  ]);
  await graph.stop(forever, 1000);
  assert.deepEqual(f.events, [], 'stopping twice does nothing');
});

test('one receiver per id, one exporter per id and signal, one processor per pipeline and id', async () => {
  const f = fakes();
  await buildGraph(f.options(f.config(['logs: r > p > e', 'logs/b: r > p > e', 'metrics: r > p > e'])));
  assert.deepEqual(f.events.toSorted(), [
    'create exporter e logs',
    'create exporter e metrics',
    'create processor p in logs',
    'create processor p in logs/b',
    'create processor p in metrics',
    'create receiver r',
  ]);
  assert.deepEqual(Object.keys(f.outputs.get('r')!), ['logs', 'metrics']);
});

test('a receiver feeds all its pipelines, a pipeline all its exporters, and the source hears once', async () => {
  const f = fakes();
  await buildGraph(f.options(f.config(['logs: r > p > e1 e2', 'logs/b: r > > e3'])));
  const source = new TestSource(true);
  await f.outputs.get('r')!.logs!.consume(source.logs(['one', 'two']));
  assert.deepEqual(f.consumed.toSorted(), ['e1 logs', 'e2 logs', 'e3 logs', 'p in logs']);
  assert.deepEqual(source.ledger.snapshot().delivered, { records: 2, bytes: 6 });
  const items = [...f.telemetry.families].map(([name, { series }]) => [
    name,
    ...[...series.values()].map((s) => s.value),
  ]);
  assert.deepEqual(items, [
    ['otelcol_processor_outgoing_items', 2],
    ['otelcol_processor_incoming_items', 2],
  ]);
});

test('connectors join pipelines, which stop from the sources to the destinations', async () => {
  const f = fakes();
  const graph = await buildGraph(f.options(f.config(['logs/back: c > p > e', 'logs/front: r > p > c'], ['c'])));
  const source = new TestSource(true);
  await f.outputs.get('r')!.logs!.consume(source.logs(['one']));
  assert.deepEqual(f.consumed, ['p in logs/front', 'p in logs/back', 'e logs']);
  await graph.start();
  f.events.splice(0);
  await graph.stop(forever, 1000);
  assert.deepEqual(f.events, ['stop r', 'stop p in logs/front', 'stop p in logs/back', 'stop c logs', 'stop e logs']);
});

test('pipelines that feed themselves through connectors are refused', async () => {
  const f = fakes();
  await assert.rejects(
    buildGraph(f.options(f.config(['logs/a: c1 > > c2', 'logs/b: c2 > > c1'], ['c1', 'c2']))),
    (e) => e instanceof ConfigError && /cycle detected/.test(e.message),
  );
});

const unsupported: [string, string][] = [
  ['traces: r > > e', 'failed to create "e" exporter for data type "traces": telemetry type is not supported'],
  ['metrics: r > > c', 'failed to create "c" connector for data type "metrics": telemetry type is not supported'],
];
for (const [pipeline, message] of unsupported)
  test(`a signal that a component does not do is an error: ${pipeline}`, async () => {
    const f = fakes();
    await assert.rejects(buildGraph(f.options(f.config([pipeline], ['c']))), { message });
  });

test('what was created before a component that cannot be is stopped again', async () => {
  const f = fakes();
  await assert.rejects(buildGraph(f.options(f.config(['logs: r > > e', 'traces: r > > e']))));
  assert.deepEqual(f.events, ['create exporter e logs', 'stop e logs']);
});

test('a component that does not start names itself', async () => {
  const f = fakes();
  f.failing.add('r');
  const graph = await buildGraph(f.options(f.config(['logs: r > > e'])));
  await assert.rejects(graph.start(), { message: 'cannot start pipelines: failed to start "r" receiver: r is broken' });
  await graph.stop(forever, 1000);
  assert.ok(f.events.includes('stop e logs'));
});

test('errors of stopping are collected and the others are stopped nevertheless', async () => {
  const f = fakes();
  f.failing.add('stop r');
  const graph = await buildGraph(f.options(f.config(['logs: r > > e'])));
  await graph.start();
  const errors = await graph.stop(forever, 1000);
  assert.deepEqual(
    errors.map((e) => e.message),
    ['failed to stop "r" receiver: cannot let go'],
  );
  assert.ok(f.events.includes('stop e logs'));
});

test('values read on demand reach the registry only when the graph starts, and leave it when it stops', async () => {
  const f = fakes();
  const c = f.config(['logs: r > > e']);
  const gauge = { name: 'g', kind: 'gauge', help: '' } as const;
  const withGauge = (value: number): LoadedConfig => {
    const old = c.exporters.get('e')!;
    const definition = defineExporter({
      id: 'sink',
      summary: 'Fake.',
      stability: 'stable',
      signals: ['logs'],
      schema: z.unknown(),
      create: async (_config, ctx) => {
        ctx.telemetry.observe(gauge, {}, () => value);
        return { consume: async () => {} };
      },
    });
    return { ...c, exporters: new Map([['e', { ...old, definition }]]) };
  };
  const shown = (): number | undefined => [...(f.telemetry.families.get('g')?.series.values() ?? [])][0]?.read?.();
  const first = await buildGraph(f.options(withGauge(1)));
  assert.equal(shown(), undefined);
  await first.start();
  const second = await buildGraph(f.options(withGauge(2)));
  assert.equal(shown(), 1);
  await first.stop(forever, 1000);
  assert.equal(shown(), undefined);
  await second.start();
  assert.equal(shown(), 2);
});
