/**
 * A change of the spec rolls the pods: while the old ones end and the new ones begin, nothing is lost and nothing comes
 * twice. Nor is anything lost by a gateway that is killed.
 */
import assert from 'node:assert/strict';
import { chownSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import type { Spec } from '../../src/deploy/index.ts';
import { defer, tempDir, until } from '../helpers/agent.ts';
import { type Any, LIMIT_MS, openCluster } from './cluster.ts';
import { type Deployment, deploy, found, loadSluice } from './deployment.ts';
import { makeEvents } from './make-events.ts';
import { type SinkRecord, startOtlpSink } from './otlp-sink.ts';
import { deployment, ticker } from './workloads.ts';

const cluster = openCluster();
before(() => loadSluice(cluster));

const UPDATES = ['1500ms', '2s'];
const USER = 10_001;

const destinations = (url: string): Spec['destinations'] => ({ logs: { url: `${url}/insert/opentelemetry` } });

/** Template of the pods that run now. */
async function checksum({ kubectl, podOf }: Deployment, tier: 'agent' | 'gateway'): Promise<string> {
  const pod = JSON.parse(await kubectl('get', 'pod', await podOf(tier), '-o', 'json'));
  assert.equal(pod.status.containerStatuses[0].restartCount, 0);
  return pod.metadata.annotations['checksum/config'];
}

test('every line of a pod arrives once over updates of the agent', async (t) => {
  const namespace = await cluster.namespace(t, 'update');
  const sink = await startOtlpSink(t, cluster.nodeIp);
  const specWith = (timeout: string): Spec => ({
    namespace: `${namespace}-otel`,
    destinations: destinations(sink.url),
    agent: { batch: { timeout }, presets: { kubeletMetrics: false, hostMetrics: false } },
    gateway: false,
  });
  const deployed = await deploy(t, cluster, specWith('1s'));
  await cluster.apply(deployment(namespace, 'web', 1, ticker({ everyMs: 10 })));
  const lines = () => sink.records.filter((r) => r.resource['k8s.namespace.name'] === namespace);
  const checksums = [await checksum(deployed, 'agent')];
  for (const timeout of UPDATES) {
    const count = lines().length;
    await until(() => lines().length > count + 200, 'lines', LIMIT_MS);
    await deployed.update(specWith(timeout));
    checksums.push(await checksum(deployed, 'agent'));
  }
  assert.equal(new Set(checksums).size, UPDATES.length + 1);
  const count = lines().length;
  await until(() => lines().length > count + 200, 'lines of the last agent', LIMIT_MS);
  await cluster.kubectl(['-n', namespace, 'delete', 'deployment', 'web', '--wait']);

  const numbers = lines().map((r) => JSON.parse(r.body).n as number);
  const missing = numbers.toSorted((a, b) => a - b).filter((n, i) => n !== i + 1);
  assert.deepEqual(missing.slice(0, 10), [], `of ${numbers.length}`);
  for (const r of lines()) assert.equal(r.resource['k8s.deployment.name'], 'web');
});

const nameOf = (r: SinkRecord): string => (r.body as Any).object.metadata.name;

interface Events {
  readonly deployed: Deployment;
  readonly specWith: (timeout: string) => Spec;
  readonly load: ReturnType<typeof makeEvents>;
  /** Names in the order of their arrival, without those of Kubernetes itself. */
  arrived(): string[];
  /** Ends the load, and waits until all of it is there. */
  complete(): Promise<void>;
}

/** A gateway that has begun to send the events that are made all the time. */
async function collecting(t: TestContext, gateway: Exclude<Spec['gateway'], false>, own: string): Promise<Events> {
  const namespace = await cluster.namespace(t, 'events');
  const sink = await startOtlpSink(t, cluster.nodeIp);
  const specWith = (timeout: string): Spec => ({
    namespace: own,
    destinations: destinations(sink.url),
    agent: false,
    gateway: { ...gateway, batch: { timeout } },
  });
  const deployed = await deploy(t, cluster, specWith('1s'));
  const load = makeEvents(t, cluster, namespace, 'load');
  const arrived = () => sink.records.filter((r) => r.resource['k8s.namespace.name'] === namespace).map(nameOf);
  const first = await found(() => arrived()[0], 'an event');
  return {
    deployed,
    specWith,
    load,
    arrived,
    async complete() {
      await load.stop();
      const wanted = load.made.slice(load.made.indexOf(first));
      const missing = (): string[] => {
        const got = new Set(arrived());
        return wanted.filter((name) => !got.has(name));
      };
      await until(() => missing().length === 0, 'all events', LIMIT_MS).catch(() => assert.deepEqual(missing(), []));
    },
  };
}

/** More events are made. */
async function goOn({ load }: Events): Promise<void> {
  const count = load.made.length;
  await until(() => load.made.length >= count + 20, 'events', LIMIT_MS);
}

const repeatedOf = (names: readonly string[]): string[] => names.filter((name, i) => names.indexOf(name) !== i);

test('every event arrives once over updates of the gateway as it is without a word', async (t) => {
  const own = `${await cluster.namespace(t, 'update')}-otel`;
  const events = await collecting(t, { presets: { clusterMetrics: false } }, own);
  const { deployed, specWith } = events;
  const checksums = [await checksum(deployed, 'gateway')];
  for (const timeout of UPDATES) {
    await deployed.update(specWith(timeout));
    checksums.push(await checksum(deployed, 'gateway'));
    await goOn(events);
  }
  assert.equal(new Set(checksums).size, UPDATES.length + 1);
  await events.complete();
  assert.deepEqual(repeatedOf(events.arrived()), []);
});

test('every event arrives once over an update of the gateway, which keeps on a volume how far it was', async (t) => {
  const own = `${await cluster.namespace(t, 'update')}-otel`;
  const dir = tempDir(t);
  chownSync(dir, USER, USER);
  defer(t, () => cluster.kubectl(['delete', 'persistentvolume', own, '--ignore-not-found']));
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: own },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      claimRef: { namespace: own, name: 'otel-gateway' },
      hostPath: { path: dir },
    },
  });
  const presets = { clusterMetrics: false, kubernetesEvents: { storage: true } } as const;
  const events = await collecting(t, { presets }, own);
  await events.deployed.update(events.specWith('2s'));
  await goOn(events);
  await events.complete();
  assert.deepEqual(repeatedOf(events.arrived()), []);
  assert.deepEqual(await cluster.list('-n', own, 'leases'), []);
});

const KILLS: Readonly<Record<string, (deployed: Deployment) => Promise<void>>> = {
  'is deleted by force': async ({ kubectl, podOf }) =>
    void (await kubectl('delete', 'pod', await podOf('gateway'), '--force', '--grace-period=0')),
  'is killed and begins anew in its pod': async ({ kubectl, podOf }) => {
    const { status } = JSON.parse(await kubectl('get', 'pod', await podOf('gateway'), '-o', 'json'));
    await cluster.killContainer(status.containerStatuses[0].containerID.replace(/^\w+:\/\//, ''));
  },
};

for (const [how, kill] of Object.entries(KILLS))
  test(`a gateway that ${how} loses no event, and repeats only the last that it had sent`, async (t) => {
    const own = `${await cluster.namespace(t, 'kill')}-otel`;
    const events = await collecting(t, { presets: { clusterMetrics: false } }, own);
    const counts: number[] = [];
    const timer = setInterval(() => counts.push(events.arrived().length), 500);
    defer(t, () => clearInterval(timer));
    let last = 0;
    // Twice within a minute: a repeated event, of which there are some always, is held back all the time.
    for (let kills = 0; kills < 2; kills++) {
      const count = events.arrived().length;
      await until(() => events.arrived().length > count, 'events to arrive', LIMIT_MS);
      const first = counts.length;
      await until(() => counts.length > first + 16, 'some seconds', LIMIT_MS);
      await kill(events.deployed);
      // The Lease is renewed every two seconds.
      last += events.arrived().length - counts.at(-10)!;
    }
    await goOn(events);
    await events.complete();
    const names = events.arrived();
    const repeated = repeatedOf(names);
    t.diagnostic(`${repeated.length} of ${names.length} came twice; ${last} were sent just before`);
    assert.ok(repeated.length <= last, `${repeated.length} of ${names.length} came twice`);
  });

test('a gateway that resigns while the API server is away loses and repeats no event', async (t) => {
  const own = `${await cluster.namespace(t, 'away')}-otel`;
  const events = await collecting(t, { presets: { clusterMetrics: false } }, own);
  await goOn(events);
  const pod = await events.deployed.podOf('gateway');
  await cluster.kill('kube-apiserver');
  defer(t, () => cluster.start());
  // Nobody can be asked but the node.
  const [folder] = readdirSync(cluster.podLogsDir).filter((name) => name.startsWith(`${own}_${pod}_`));
  const log = join(cluster.podLogsDir, folder!, 'otel-gateway', '0.log');
  await until(() => readFileSync(log, 'utf8').includes('is not the leader any more'), 'the end of the lead', LIMIT_MS);
  await cluster.start();
  await goOn(events);
  await events.complete();
  assert.equal(await events.deployed.podOf('gateway'), pod);
  assert.deepEqual(repeatedOf(events.arrived()), []);
});
