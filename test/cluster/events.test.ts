/** Events of a real cluster arrive once, also when the gateway or the API server is killed in the middle of them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { CollectorConfig } from '../../src/deploy/config.ts';
import { rbacOf } from '../../src/deploy/rbac.ts';
import { type Agent, tempDir, until } from '../helpers/agent.ts';
import { type Any, LIMIT_MS, openCluster } from './cluster.ts';
import { killCollector, makeAccount, runCollector } from './collector.ts';
import { makeEvents } from './make-events.ts';
import { type OtlpSink, type SinkRecord, startOtlpSink } from './otlp-sink.ts';
import { pod, ticker } from './workloads.ts';

const cluster = openCluster();

const gatewayConfig = (dir: string, namespace: string, endpoint: string): CollectorConfig => ({
  receivers: {
    k8sobjects: {
      storage: 'file_storage',
      objects: [
        {
          name: 'events',
          group: 'events.k8s.io',
          mode: 'watch',
          namespaces: [namespace],
          exclude_watch_type: ['DELETED'],
        },
      ],
    },
  },
  processors: { batch: { timeout: '100ms' } },
  exporters: { otlphttp: { endpoint, retry_on_failure: { initial_interval: '100ms', max_interval: '500ms' } } },
  extensions: { file_storage: { directory: dir } },
  service: {
    telemetry: { metrics: { level: 'none' } },
    extensions: ['file_storage'],
    pipelines: { logs: { receivers: ['k8sobjects'], processors: ['batch'], exporters: ['otlphttp'] } },
  },
});

interface Rig {
  readonly namespace: string;
  readonly sink: OtlpSink;
  /** Where gateways store how far they are. */
  readonly dir: string;
  /** On what the one before has stored. */
  startGateway(): Promise<Agent>;
}

async function rig(t: TestContext): Promise<Rig> {
  const namespace = await cluster.namespace(t, 'events');
  const sink = await startOtlpSink(t);
  const dir = tempDir(t);
  const config = gatewayConfig(dir, namespace, sink.url);
  const account = await makeAccount(t, cluster, namespace, 'gateway', rbacOf(config));
  return { namespace, sink, dir, startGateway: () => runCollector(t, cluster, account, config) };
}

/** The first gateway, which begins with what happens when it has asked for the present version: from then on. */
async function begin(t: TestContext, { namespace, sink, startGateway }: Rig): Promise<Agent> {
  const gateway = await startGateway();
  const probe = makeEvents(t, cluster, namespace, 'begin');
  await until(() => sink.records.length > 0, 'the first event', LIMIT_MS);
  await probe.stop();
  return gateway;
}

/** The newest version that is in its files, whatever else they hold. */
function storedVersion({ namespace, dir }: Rig): number {
  const key = new RegExp(`latestResourceVersion/events\\.${namespace}(\\d+)`, 'g');
  const texts = readdirSync(dir).map((file) => readFileSync(join(dir, file), 'latin1'));
  return Math.max(0, ...texts.flatMap((text) => [...text.matchAll(key)].map(([, version]) => Number(version))));
}

const nameOf = (r: SinkRecord): string => r.attributes['event.name'] as string;
const versionOf = (r: SinkRecord): string => `${nameOf(r)} ${r.body.object.metadata.resourceVersion}`;

const arrived = (sink: OtlpSink, names: readonly string[]): Promise<void> =>
  until(
    () => {
      const got = new Set(sink.records.map(nameOf));
      return names.every((n) => got.has(n));
    },
    'all events to arrive',
    LIMIT_MS,
  ).catch((e) => {
    const got = new Set(sink.records.map(nameOf));
    assert.fail(`${e.message}; missing: ${names.filter((n) => !got.has(n)).join(', ')}`);
  });

/** Versions of events that came more than once, with how often. */
function repeated(sink: OtlpSink): string[] {
  const counts = Map.groupBy(sink.records, versionOf);
  return [...counts].filter(([, of]) => of.length > 1).map(([version]) => version);
}

test('what Kubernetes itself reports of a pod arrives, once', async (t) => {
  const own = await rig(t);
  const { namespace, sink } = own;
  const gateway = await begin(t, own);
  await cluster.apply(pod(namespace, 'web', ticker()));
  const reasons = () => new Set(sink.records.map((r) => r.body.object.reason));
  await until(() => ['Scheduled', 'Pulled', 'Created', 'Started'].every((r) => reasons().has(r)), 'events', LIMIT_MS);
  const events = await cluster.list('events.events.k8s.io', '-n', namespace, '--show-managed-fields');
  const { uid } = (await cluster.get('pod', 'web', '-n', namespace)).metadata;
  for (const event of events.filter((e: Any) => e.regarding.name === 'web')) {
    const { name, resourceVersion } = event.metadata;
    const [record, ...others] = sink.records.filter((r) => versionOf(r) === `${name} ${resourceVersion}`);
    assert.equal(others.length, 0);
    assert.match(record?.body.type, /^(ADDED|MODIFIED)$/);
    assert.deepEqual(record?.body.object, event);
    assert.equal(event.regarding.uid, uid);
    assert.deepEqual(record?.resource, { 'k8s.namespace.name': namespace });
    assert.deepEqual(record?.attributes, {
      'k8s.resource.name': 'events',
      'event.domain': 'k8s',
      'event.name': event.metadata.name,
    });
  }
  assert.doesNotMatch(gateway.output, /forbidden|\terror\t/);
});

test('a gateway that is killed in a quiet moment, and one that is told to end under load, repeat and lose nothing', async (t) => {
  const own = await rig(t);
  const { namespace, sink, startGateway } = own;
  let gateway = await begin(t, own);
  const first = makeEvents(t, cluster, namespace, 'first');
  await until(() => first.made.length >= 20, 'events');
  // In the middle of them.
  assert.equal((await gateway.stop()).code, 0);
  const countAtStop = first.made.length;
  await until(() => first.made.length >= countAtStop + 20, 'events while it is away');
  gateway = await startGateway();
  await until(() => first.made.length >= countAtStop + 40, 'events');
  await first.stop();
  await arrived(sink, first.made);
  // Then nothing is left that a kill could undo.
  const newest = Math.max(...sink.records.map((r) => Number(r.body.object.metadata.resourceVersion)));
  await until(() => storedVersion(own) >= newest, 'how far it is to be stored', LIMIT_MS);
  await killCollector(gateway);
  const away = makeEvents(t, cluster, namespace, 'away');
  await until(() => away.made.length >= 20, 'events while it is away');
  await away.stop();
  await startGateway();
  await arrived(sink, away.made);
  const last = makeEvents(t, cluster, namespace, 'last');
  await until(() => last.made.length >= 20, 'events');
  await last.stop();
  await arrived(sink, last.made);
  assert.deepEqual(repeated(sink), []);
});

test('a gateway that is killed under load loses nothing, and repeats no more than the last that it sent', async (t) => {
  const { namespace, sink, startGateway } = await rig(t);
  const load = makeEvents(t, cluster, namespace, 'load');
  for (let kills = 0; kills < 4; kills++) {
    const gateway = await startGateway();
    const before = sink.records.map(versionOf);
    await until(() => sink.records.length >= before.length + 15, 'events');
    await killCollector(gateway);
    const after = sink.records.slice(before.length).map(versionOf);
    const again = new Set(after.filter((version) => before.includes(version)));
    assert.deepEqual([...again], [...new Set(before)].slice(new Set(before).size - again.size));
  }
  await load.stop();
  await startGateway();
  // Nothing was stored when the first one began: it has begun with what happened then.
  const begin = load.made.indexOf(nameOf(sink.records[0]!));
  assert.ok(begin >= 0);
  await arrived(sink, load.made.slice(begin));
});

test('the API server is killed and started anew: no event is lost and none comes twice', async (t) => {
  const own = await rig(t);
  const { namespace, sink } = own;
  const gateway = await begin(t, own);
  const load = makeEvents(t, cluster, namespace, 'load');
  await until(() => sink.records.length >= 20, 'events');
  for (let kills = 0; kills < 2; kills++) {
    await cluster.kill('kube-apiserver');
    await cluster.start();
    const count = load.made.length;
    await until(() => load.made.length >= count + 20, 'events of the new server', LIMIT_MS);
  }
  await load.stop();
  await arrived(sink, load.made);
  assert.deepEqual(repeated(sink), []);
  assert.ok(gateway.running);
});
