import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { componentContext, until } from '../../../../test/helpers/component.ts';
import { type Batch, DELIVERED, settleBatch } from '../../../core/batch.ts';
import { Handover } from '../../../kubernetes/handover.ts';
import type { LeaderListener } from '../../../kubernetes/leader.ts';
import type { Draft } from '../../../kubernetes/simulated/population.ts';
import { MemoryStorage, type RunningApiServer, startApiServer, testApi } from '../../../kubernetes/testing.ts';
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import { type LogRecord, logRecords } from '../../../wire/otlp-logs.ts';
import definition, { type K8sEventsConfig } from './index.ts';
import { k8sEventsReceiver } from './receiver.ts';

const INPUT = join(import.meta.dirname, '../../../../test/conformance/cases/k8s-objects-core-events-watch/input');

interface Made {
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** Of the test before a restart. */
  readonly running?: RunningApiServer;
  readonly settles?: boolean;
}

async function rig(t: TestContext, config: object = {}, made: Made = {}) {
  const running = made.running ?? (await startApiServer());
  const { api } = testApi(running.url);
  const base = componentContext('k8s_events', 'receiver');
  const got: { record: LogRecord; resource: ReadonlyValueMap; scope: string }[] = [];
  const next = {
    async consume(batch: Batch) {
      for (const g of batch.groups)
        for (const record of logRecords(g.items))
          got.push({ record, resource: g.resource.attributes, scope: g.scope.fields.name });
      if (made.settles !== false) settleBatch(batch, DELIVERED);
    },
  };
  const clock = { ...base.context.clock, nowUnixNano: () => 7n, monotonicMs: () => performance.now() };
  const parsed = definition.schema.parse(config) as K8sEventsConfig;
  const host = { ...base.host, extension: (id: string) => made.extensions?.[id] };
  const receiver = k8sEventsReceiver(parsed, { ...base.context, clock, host, outputs: { logs: next } }, api, {
    initialMs: 5,
  });
  t.after(async () => {
    await receiver.stop?.(AbortSignal.timeout(5000));
    api.client.close();
    if (!made.running) await running.stop();
  });
  const names = () => got.map((g) => g.record.attributes.get('k8s.event.name'));
  return { ...running, ...base, running, receiver, got, names };
}

const event = (name: string, count: number, namespace = 'shop'): Draft => ({
  metadata: { name, namespace },
  involvedObject: { kind: 'Pod', namespace, name: 'web-1', uid: 'pod-uid', apiVersion: 'v1', resourceVersion: '12' },
  reason: 'BackOff',
  message: 'Back-off restarting failed container',
  source: { component: 'kubelet', host: 'node1' },
  firstTimestamp: '2026-11-22T20:15:08Z',
  lastTimestamp: '2026-11-22T20:15:24Z',
  eventTime: null,
  count,
  type: 'Warning',
});

it('an event becomes a record with its message, severity, time and object', async (t) => {
  const r = await rig(t);
  await r.receiver.start?.();
  await until(() => r.server.openWatches === 1);
  const { metadata } = r.population.put('events', event('web-1.18ea', 3));
  await until(() => r.got.length === 1);
  const { record, resource, scope } = r.got[0]!;
  assert.equal(scope, 'github.com/open-telemetry/opentelemetry-collector-contrib/receiver/k8seventsreceiver');
  assert.equal(record.body, 'Back-off restarting failed container');
  assert.deepEqual([record.severityNumber, record.severityText], [13, 'Warning']);
  assert.equal(record.time, BigInt(Date.UTC(2026, 10, 22, 20, 15, 24)) * 1_000_000n);
  assert.equal(record.observedTime, 7n);
  assert.deepEqual(Object.fromEntries(resource), {
    'k8s.node.name': 'node1',
    'k8s.object.kind': 'Pod',
    'k8s.object.name': 'web-1',
    'k8s.object.uid': 'pod-uid',
    'k8s.object.fieldpath': '',
    'k8s.object.api_version': 'v1',
    'k8s.object.resource_version': '12',
  });
  assert.deepEqual(Object.fromEntries(record.attributes), {
    'k8s.event.reason': 'BackOff',
    'k8s.event.action': '',
    'k8s.event.start_time': '2026-11-22T20:15:08Z',
    'k8s.event.name': 'web-1.18ea',
    'k8s.event.uid': metadata.uid,
    'k8s.namespace.name': 'shop',
    'k8s.event.count': 3n,
  });
});

it('recorded events all arrive, with their own times to the microsecond; deletions do not', async (t) => {
  const r = await rig(t);
  await r.receiver.start?.();
  await until(() => r.server.openWatches === 1);
  const text = readFileSync(join(INPUT, 'events.watch.jsonl'), 'utf8');
  r.server.writeToWatches(text);
  const lines = text
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l) as { type: string; object: { message: string } });
  const kept = lines.filter((l) => l.type !== 'DELETED');
  await until(() => r.got.length === kept.length);
  assert.deepEqual(
    r.got.map((g) => g.record.body),
    kept.map((l) => l.object.message),
  );
  assert.equal(r.got[0]!.record.time, BigInt(Date.UTC(2026, 10, 22, 20, 32, 18)) * 1_000_000n + 310_066_000n);
  r.population.put('events', event('a', 1));
  r.population.remove('events', 'shop', 'a');
  r.population.put('events', event('b', 1));
  await until(() => r.got.some((g) => g.record.attributes.get('k8s.event.name') === 'b'));
  assert.equal(r.got.length, kept.length + 2);
});

it('what was there before the start is not sent, whatever the clocks say', async (t) => {
  const r = await rig(t);
  r.population.put('events', event('old', 1));
  r.clock.ms = Date.UTC(2099, 0, 1);
  await r.receiver.start?.();
  await until(() => r.server.openWatches === 1);
  r.population.put('events', event('new', 1));
  await until(() => r.got.length === 1);
  assert.equal(r.got[0]!.record.attributes.get('k8s.event.name'), 'new');
});

it('repeats are thinned out as dedup_interval says', async (t) => {
  const rows: readonly [string, bigint[]][] = [
    ['0s', [1n, 2n, 3n, 4n]],
    ['100ms', [1n, 4n]],
    ['-1s', [1n]],
  ];
  for (const [dedup_interval, counts] of rows) {
    const r = await rig(t, { dedup_interval });
    await r.receiver.start?.();
    await until(() => r.server.openWatches === 1);
    for (let count = 1; count <= 4; count++) r.population.put('events', event('a', count));
    r.population.put('events', event('last', 9));
    await until(() => r.got.length === counts.length + 1);
    const of = (name: string) => r.got.filter((g) => g.record.attributes.get('k8s.event.name') === name);
    assert.deepEqual(
      of('a').map((g) => g.record.attributes.get('k8s.event.count')),
      counts,
      dedup_interval,
    );
    assert.equal(of('last').length, 1);
    assert.equal(r.ledgers.get('k8s_events')!.snapshot().inFlight.records, 0);
  }
});

it('only the namespaces that are wanted are watched', async (t) => {
  const r = await rig(t, { namespaces: ['shop', 'data', 'shop'] });
  await r.receiver.start?.();
  await until(() => r.server.openWatches === 2);
  for (const ns of ['other', 'data', 'shop']) r.population.put('events', event(`in-${ns}`, 1, ns));
  await until(() => r.got.length === 2);
  assert.deepEqual(r.got.map((g) => g.record.attributes.get('k8s.event.name')).sort(), ['in-data', 'in-shop']);
});

it('with storage it goes on where what was settled ends, through a restart and a version that is gone', async (t) => {
  const storage = new MemoryStorage();
  const extensions = { file_storage: storage };
  const config = { storage: 'file_storage' };
  const first = await rig(t, config, { extensions });
  await first.receiver.start?.();
  await until(() => first.server.openWatches === 1);
  const { population, running } = first;
  population.put('events', event('a', 1));
  await until(() => first.got.length === 1);
  await first.receiver.stop?.(AbortSignal.timeout(5000));
  assert.deepEqual([...storage.content], [['latestResourceVersion/events', String(population.revision)]]);
  population.put('events', event('b', 1));
  population.put('events', event('c', 1));

  // What is not settled is not stored: it comes again.
  const second = await rig(t, config, { extensions, running, settles: false });
  await second.receiver.start?.();
  await until(() => second.got.length === 2);
  assert.deepEqual(second.names(), ['b', 'c']);
  await second.receiver.stop?.(AbortSignal.timeout(5000));

  population.put('events', event('d', 1));
  population.remove('events', 'shop', 'b');
  population.compact();
  const third = await rig(t, config, { extensions, running });
  await third.receiver.start?.();
  await until(() => third.got.length === 2);
  assert.deepEqual(third.names(), ['c', 'd']);
  population.put('events', event('e', 1));
  await until(() => third.got.length === 3);
  await third.receiver.stop?.(AbortSignal.timeout(5000));
  assert.equal(storage.content.get('latestResourceVersion/events'), String(population.revision));
});

it('each namespace has a stored version of its own', async (t) => {
  const storage = new MemoryStorage();
  const r = await rig(t, { storage: 's', namespaces: ['shop', 'data'] }, { extensions: { s: storage } });
  await r.receiver.start?.();
  await until(() => r.server.openWatches === 2);
  r.population.put('events', event('in-shop', 1, 'shop'));
  r.population.put('events', event('in-data', 1, 'data'));
  await until(() => r.got.length === 2);
  await r.receiver.stop?.(AbortSignal.timeout(5000));
  const versionOf = (namespace: string) =>
    r.population.get('events', namespace, `in-${namespace}`)!.metadata.resourceVersion;
  assert.deepEqual(
    [...storage.content].sort(),
    ['data', 'shop'].map((n) => [`latestResourceVersion/events.${n}`, versionOf(n)]),
  );
});

it('only the leader watches, and goes on where it stopped when it leads again', async (t) => {
  let listener: LeaderListener | undefined;
  const elector = {
    onLeadership(l: LeaderListener) {
      listener = l;
      return () => {};
    },
  };
  const extensions = { k8s_leader_elector: elector, s: new MemoryStorage() };
  const r = await rig(t, { k8s_leader_elector: 'k8s_leader_elector', storage: 's' }, { extensions });
  await r.receiver.start?.();
  assert.deepEqual([r.server.openWatches, r.server.requests.length], [0, 0]);
  listener!.started();
  await until(() => r.server.openWatches === 1);
  r.population.put('events', event('a', 1));
  await until(() => r.got.length === 1);
  listener!.stopped();
  await until(() => r.server.openWatches === 0);
  r.population.put('events', event('b', 1));
  listener!.started();
  await until(() => r.got.length === 2);
  assert.deepEqual(r.names(), ['a', 'b']);
});

it('without storage the next leader goes on where the one before stopped', async (t) => {
  const handover = new Handover();
  const elector = {
    handover,
    onLeadership(l: LeaderListener) {
      l.started();
      return () => {};
    },
  };
  const config = { k8s_leader_elector: 'elector' };
  const first = await rig(t, config, { extensions: { elector } });
  await first.receiver.start?.();
  await until(() => first.server.openWatches === 1);
  first.population.put('events', event('a', 1));
  await until(() => first.got.length === 1);
  await first.receiver.stop?.(AbortSignal.timeout(5000));
  assert.equal(handover.get('k8s_events/latestResourceVersion/events'), String(first.population.revision));
  first.population.put('events', event('b', 1));
  const second = await rig(t, config, { extensions: { elector }, running: first.running });
  await second.receiver.start?.();
  await until(() => second.got.length === 1);
  assert.deepEqual(second.names(), ['b']);
});

it('extensions that are missing or of another kind fail the start', async (t) => {
  const rows: readonly [object, RegExp][] = [
    [{ storage: 'x' }, /storage extension 'x' not found/],
    [{ storage: 'other' }, /non-storage extension 'other' found/],
    [{ k8s_leader_elector: 'x' }, /unknown k8s leader elector "x"/],
    [{ k8s_leader_elector: 'other' }, /"other" is not a k8s leader elector/],
  ];
  for (const [config, message] of rows) {
    const r = await rig(t, config, { extensions: { other: {} } });
    await assert.rejects(async () => r.receiver.start?.(), message);
  }
});
