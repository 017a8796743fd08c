import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { SimulatedApiServer } from './api-server.ts';
import { SimulatedCluster } from './cluster.ts';
import { SimulatedKubelet } from './kubelet.ts';

const app = (name: string, replicas: number, kind: 'Deployment' | 'DaemonSet' = 'Deployment') => ({
  namespace: 'shop',
  name,
  kind,
  replicas,
  containers: [{ name: 'app', image: 'registry.example/shop/web:1.2.3' }],
});

function cluster(hasEvents = false) {
  let n = 1;
  let ms = Date.UTC(2026, 10, 22, 12);
  const made = new SimulatedCluster({
    nowMs: () => ms,
    // The same each time.
    random: () => (n = (n * 48_271) % 2_147_483_647) / 2_147_483_647,
    nodes: ['node-1', 'node-2'],
    hasEvents,
  });
  return { made, pass: (by: number) => (ms += by) };
}

test('workloads have what owns them, and pods on every node', () => {
  const { made } = cluster();
  made.deploy(app('web', 4));
  made.deploy(app('log', 0, 'DaemonSet'));
  made.deploy(app('given', 1), [{ name: 'given-abcde12345-x7k2p', uid: 'uid-1', node: 'node-2' }]);
  const { population } = made;
  const pods = population.list('pods');
  assert.equal(pods.length, 7);
  assert.deepEqual([made.podsOf('node-1').length, made.podsOf('node-2').length], [3, 4]);
  const sets = new Map(population.list('replicasets.apps').map((s) => [s.metadata.uid, s]));
  for (const pod of pods.filter((p) => !p.metadata.name.startsWith('log-'))) {
    const set = sets.get(pod.metadata.ownerReferences![0]!.uid);
    assert.ok(pod.metadata.name.startsWith(`${set?.metadata.name}-`), pod.metadata.name);
    assert.equal(pod.metadata.labels?.['pod-template-hash'], set?.metadata.labels?.['pod-template-hash']);
    const deployment = population.get('deployments.apps', 'shop', set!.metadata.ownerReferences![0]!.name);
    assert.equal(deployment?.metadata.uid, set!.metadata.ownerReferences![0]!.uid);
  }
  assert.equal(population.get('pods', 'shop', 'given-abcde12345-x7k2p')?.metadata.uid, 'uid-1');
  assert.equal(new Set(pods.map((p) => p.metadata.uid)).size, pods.length);
});

test('a pod that is replaced goes and comes step by step, with events', () => {
  const { made } = cluster(true);
  made.deploy(app('web', 2));
  const before = made.events;
  const told: string[] = [];
  made.population.onChange(({ type, resource, object }) => {
    const { nodeName } = (object['spec'] ?? {}) as { nodeName?: string };
    const { phase } = (object['status'] ?? {}) as { phase?: string };
    told.push(resource === 'pods' ? `${type} ${phase} ${nodeName ? 'placed' : 'nowhere'}` : String(object['reason']));
  });
  made.replacePod();
  assert.deepEqual(
    told.filter((t) => t !== 'Unhealthy'),
    [
      'MODIFIED Running placed',
      'Killing',
      'DELETED Running placed',
      'ADDED Pending nowhere',
      'MODIFIED Pending placed',
      'Scheduled',
      'Pulled',
      'Started',
      'MODIFIED Running placed',
    ],
  );
  assert.equal(made.population.list('events').length, made.events);
  assert.ok(made.events > before);
  assert.equal(made.population.list('pods').length, 2);
});

test('the kubelet of a node measures the pods that the API server has there, with counters that grow', () => {
  const { made, pass } = cluster();
  made.deploy(app('web', 4));
  const kubelet = new SimulatedKubelet({ node: 'node-1', pods: () => made.podsOf('node-1'), nowMs: () => pass(0) });
  const first = kubelet.summary();
  pass(10_000);
  const second = kubelet.summary();
  assert.deepEqual(
    second.pods.map((p) => p.podRef),
    made.podsOf('node-1').map(({ metadata: { name, namespace, uid } }) => ({ name, namespace, uid })),
  );
  for (const [i, pod] of second.pods.entries()) {
    assert.deepEqual(
      pod.containers.map((c) => c.name),
      ['app'],
    );
    const used = pod.cpu.usageCoreNanoSeconds - first.pods[i]!.cpu.usageCoreNanoSeconds;
    assert.equal(used, pod.cpu.usageNanoCores * 10);
  }
  assert.deepEqual(
    kubelet.pods().items.map((p) => p.metadata.uid),
    second.pods.map((p) => p.podRef.uid),
  );
});

test('a watch begins with more objects than a connection takes at once, and nothing that happens meanwhile is missed', async (t) => {
  const { made } = cluster();
  made.deploy(app('web', 2000));
  const api = new SimulatedApiServer(made.population);
  const server = createServer(api.handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    api.close();
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answer = await fetch(`${url}/api/v1/pods?watch=1&sendInitialEvents=true&timeoutSeconds=60`);
  // The server waits for us: what it has sent so far is less than all.
  const fresh = made.population.put('pods', { metadata: { name: 'late', namespace: 'shop' } });
  const uids = new Set<string>();
  let text = '';
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split('\n');
    text = lines.pop()!;
    const events = lines.map((l) => JSON.parse(l) as { type: string; object: { metadata: { uid: string } } });
    for (const e of events.filter((x) => x.type === 'ADDED')) uids.add(e.object.metadata.uid);
    if (events.some((e) => e.type === 'BOOKMARK')) break;
  }
  assert.equal(uids.size, 2001);
  assert.ok(uids.has(fresh.metadata.uid));
});

test('pages of a list are of one moment, whatever happens between them', async (t) => {
  const { made } = cluster();
  made.deploy(app('web', 25));
  const api = new SimulatedApiServer(made.population);
  const server = createServer(api.handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/pods?limit=10`;
  const expected = made.population.list('pods').map((p) => p.metadata.uid);
  const found: string[] = [];
  for (let next = ''; ; ) {
    const page = (await (await fetch(`${url}&continue=${encodeURIComponent(next)}`)).json()) as {
      metadata: { continue?: string };
      items: { metadata: { uid: string } }[];
    };
    found.push(...page.items.map((i) => i.metadata.uid));
    made.replacePod();
    next = page.metadata.continue ?? '';
    if (next === '') break;
  }
  assert.deepEqual(found, expected);
});
