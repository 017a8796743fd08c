/** A change of the spec rolls the pods: while the old ones end and the new ones begin, nothing is lost and nothing comes twice. */
import assert from 'node:assert/strict';
import { chownSync } from 'node:fs';
import { before, test } from 'node:test';
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

test('every event arrives once over updates of the gateway, which keeps on a volume how far it was', async (t) => {
  const namespace = await cluster.namespace(t, 'update');
  const own = `${namespace}-otel`;
  const sink = await startOtlpSink(t, cluster.nodeIp);
  const specWith = (timeout: string): Spec => ({
    namespace: own,
    destinations: destinations(sink.url),
    agent: false,
    gateway: { batch: { timeout }, presets: { clusterMetrics: false, kubernetesEvents: { storage: true } } },
  });
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
  const deployed = await deploy(t, cluster, specWith('1s'));
  const nameOf = (r: SinkRecord): string => (r.body as Any).object.metadata.name;
  const events = () => sink.records.filter((r) => r.resource['k8s.namespace.name'] === namespace);
  const load = makeEvents(t, cluster, namespace, 'load');
  const first = await found(() => events()[0], 'an event');
  const checksums = [await checksum(deployed, 'gateway')];
  for (const timeout of UPDATES) {
    await deployed.update(specWith(timeout));
    checksums.push(await checksum(deployed, 'gateway'));
    const count = load.made.length;
    await until(() => load.made.length >= count + 20, 'events', LIMIT_MS);
  }
  assert.equal(new Set(checksums).size, UPDATES.length + 1);
  await load.stop();
  const wanted = load.made.slice(load.made.indexOf(nameOf(first)));
  const missing = (): string[] => {
    const got = new Set(events().map(nameOf));
    return wanted.filter((name) => !got.has(name));
  };
  await until(() => missing().length === 0, 'all events', LIMIT_MS).catch(() => assert.deepEqual(missing(), []));
  const names = events().map(nameOf);
  assert.deepEqual(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  );
});
