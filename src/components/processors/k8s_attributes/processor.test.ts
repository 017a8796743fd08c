/** The processor: that remembering changes nothing, waiting for pods, late records, and an API server that refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from '../../../../test/helpers/property.ts';
import { makeBatch } from '../../../core/batch.ts';
import { STOPPING } from '../../../core/component.ts';
import { retryable } from '../../../core/errors.ts';
import { HeldResource } from '../../../core/resource.ts';
import { startApiServer, testApi } from '../../../kubernetes/testing.ts';
import { encodeResource, type Value } from '../../../wire/otlp.ts';
import { FakeApi, object, pod, running, uidOf } from './testing.ts';

const BY_UID = [{ sources: [{ from: 'resource_attribute', name: 'k8s.pod.uid' }] }];
const CONFIG = { extract: { metadata: ['k8s.pod.name'] }, pod_association: BY_UID };

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !condition(); await sleep(5))
    if (Date.now() > end) assert.fail(`never: ${what}`);
}

test('through all changes of the cluster, what is remembered equals what is made anew', async () => {
  const config = {
    extract: {
      metadata: [
        'k8s.pod.name',
        'k8s.deployment.name',
        'k8s.deployment.uid',
        'k8s.cluster.uid',
        'k8s.node.uid',
        'container.id',
      ],
      labels: [{ key: 'l' }, { key: 'l', from: 'namespace' }, { key: 'l', from: 'deployment' }],
    },
    pod_association: [...BY_UID, { sources: [{ from: 'resource_attribute', name: 'k8s.pod.ip' }] }],
    wait_for_pod: { timeout: 0 },
    pod_delete_grace_period: 0,
  };
  const n = fc.integer({ min: 1, max: 4 });
  const label = fc.constantFrom('x', 'y');
  const change = fc.oneof(
    fc.record({ op: fc.constant('pod' as const), n, ip: n, label }),
    fc.record({ op: fc.constant('no pod' as const), n }),
    fc.record({ op: fc.constant('namespace' as const), label }),
    fc.record({ op: fc.constant('no namespace' as const) }),
    fc.record({ op: fc.constant('deployment' as const), label }),
    fc.record({ op: fc.constant('replicaset' as const), has: fc.boolean() }),
    fc.record({ op: fc.constant('node' as const), has: fc.boolean() }),
  );
  const apply = (api: FakeApi, c: typeof change extends fc.Arbitrary<infer T> ? T : never) => {
    switch (c.op) {
      case 'pod':
        return api.put(
          'pods',
          pod(c.n, {
            metadata: {
              labels: { l: c.label },
              ownerReferences: [{ kind: 'ReplicaSet', name: 'web-h', uid: 'rs', apiVersion: 'apps/v1' }],
            },
            status: { podIP: `10.0.0.${c.ip}` },
          }),
        );
      case 'no pod':
        return api.remove('pods', uidOf(c.n));
      case 'namespace':
        return api.put('namespaces', object({ name: 'shop', uid: 'ns', labels: { l: c.label } }));
      case 'no namespace':
        return api.remove('namespaces', 'ns');
      case 'deployment':
        return api.put('deployments', object({ name: 'web', namespace: 'shop', uid: 'd', labels: { l: c.label } }));
      case 'replicaset':
        if (!c.has) return api.remove('replicasets', 'rs');
        return api.put(
          'replicasets',
          object({
            name: 'web-h',
            namespace: 'shop',
            uid: 'rs',
            ownerReferences: [{ kind: 'Deployment', name: 'web', uid: 'd', apiVersion: 'apps/v1' }],
          }),
        );
      case 'node':
        return c.has ? api.put('nodes', object({ name: 'node-1', uid: 'n' })) : api.remove('nodes', 'n');
    }
  };
  const asked: Record<string, Value>[] = [
    ...[1, 2, 3, 4].map((i) => ({ 'k8s.pod.uid': uidOf(i) })),
    ...[1, 2, 3, 4].map((i) => ({ 'k8s.pod.ip': `10.0.0.${i}` })),
    { 'k8s.namespace.name': 'shop', 'k8s.node.name': 'node-1' },
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 15 }), async (changes) => {
      const api = new FakeApi();
      const r = await running(config, api.api);
      for (const c of changes) {
        apply(api, c);
        r.cluster.pods.sweep();
        const fresh = await running(config, api.copy().api);
        for (const given of asked) assert.deepEqual(await r.enriched(given), await fresh.enriched(given));
        await fresh.stop();
      }
      await r.stop();
    }),
    { numRuns: 60 },
  );
});

test('a resource is enriched once for every change, and its records are handed on untouched', async () => {
  const api = new FakeApi();
  api.put('pods', pod(1));
  const r = await running(CONFIG, api.api);
  const group = r.group({ 'k8s.pod.uid': uidOf(1) });
  const batch = makeBatch('logs', [group, group]);
  await r.processor.consume(batch);
  api.put('pods', pod(1, { status: { conditions: ['something else'] } }));
  await r.processor.consume(batch);
  const groups = r.next.batches.flatMap((b) => b.groups);
  assert.equal(new Set(groups.map((g) => g.resource)).size, 1);
  for (const g of groups) assert.deepEqual([g.items, g.parts], [group.items, group.parts]);
  assert.equal(
    r.value('otelcol_k8s_pod_association', 'status=success', 'pod_identifier=resource_attribute/k8s.pod.uid'),
    4,
  );
  await r.stop();
});

test('records of a pod that is not known yet wait for it in their order, and others pass', async () => {
  const api = new FakeApi();
  api.put('pods', pod(1));
  const r = await running({ ...CONFIG, wait_for_pod: { timeout: '1h' } }, api.api);
  const late = { 'k8s.pod.uid': uidOf(2) };
  await r.consume(late, { 'k8s.pod.uid': uidOf(1) });
  await r.consume(late);
  assert.deepEqual(
    r.next.batches.map((b) => b.count),
    [1],
  );
  assert.ok(r.value('sluice_processor_k8s_attributes_waiting_bytes')! > 0);
  api.put('pods', pod(2));
  await until('the late ones', () => r.next.batches.length === 2);
  const [, out] = r.next.batches;
  assert.equal(out!.count, 2);
  for (const g of out!.groups) assert.equal(g.resource.attributes.get('k8s.pod.name'), 'web-6c85f59dbf-2');
  await until('all is released', () => r.value('sluice_processor_k8s_attributes_waiting_bytes') === 0);
  assert.equal(r.value('sluice_processor_k8s_attributes_waited_records', 'result=found'), 2);
  await r.consume(late);
  assert.equal(r.next.batches.length, 3);
  await r.stop();
});

test('a pod that does not come is waited for once', async () => {
  const r = await running({ ...CONFIG, wait_for_pod: { timeout: '10ms' } }, new FakeApi().api);
  await r.consume({ 'k8s.pod.uid': uidOf(7) });
  await until('the time is over', () => r.next.batches.length === 1);
  await until('all is released', () => r.value('sluice_processor_k8s_attributes_waiting_bytes') === 0);
  await r.consume({ 'k8s.pod.uid': uidOf(7) });
  assert.equal(r.next.batches.length, 2);
  assert.equal(r.value('sluice_processor_k8s_attributes_unmatched_records', 'reason=unknown pod'), 2);
  await r.stop();
});

test('records of a container wait until the kubelet has reported its run and the address of its pod', async () => {
  const api = new FakeApi();
  const config = { ...CONFIG, extract: { metadata: ['container.id', 'k8s.pod.ip'] }, wait_for_pod: { timeout: '1h' } };
  const statuses = (id: string, restartCount: number) => [
    { name: 'app', containerID: `containerd://${id}`, restartCount, imageID: '' },
  ];
  const put = (podIP: string, containerStatuses: object[]) =>
    api.put('pods', pod(1, { status: { podIP, containerStatuses } }));
  const line = (restarts: number) => ({
    'k8s.pod.uid': uidOf(1),
    'k8s.container.name': 'app',
    'k8s.container.restart_count': String(restarts),
  });
  put('', []);
  const r = await running(config, api.api);
  await r.consume(line(0));
  put('', statuses('first', 0));
  put('10.0.0.1', []);
  assert.equal(r.next.batches.length, 0);
  put('10.0.0.1', statuses('first', 0));
  await until('the first run', () => r.next.batches.length === 1);
  await until('all is released', () => r.value('sluice_processor_k8s_attributes_waiting_bytes') === 0);
  await r.consume(line(1));
  assert.equal(r.next.batches.length, 1);
  put('10.0.0.1', statuses('second', 1));
  await until('the second run', () => r.next.batches.length === 2);
  await until('all is released', () => r.value('sluice_processor_k8s_attributes_waiting_bytes') === 0);
  const resources = r.next.batches.flatMap((b) => b.groups.map((g) => Object.fromEntries(g.resource.attributes)));
  assert.deepEqual(resources, [
    { ...line(0), 'container.id': 'first', 'k8s.pod.ip': '10.0.0.1' },
    { ...line(1), 'container.id': 'second', 'k8s.pod.ip': '10.0.0.1' },
  ]);
  await r.stop();
});

test('a run that is never reported is waited for once, and others of the pod are waited for still', async () => {
  const api = new FakeApi();
  api.put('pods', pod(1));
  const r = await running(
    { ...CONFIG, extract: { metadata: ['container.id'] }, wait_for_pod: { timeout: '10ms' } },
    api.api,
  );
  const line = (restarts: number) => ({
    'k8s.pod.uid': uidOf(1),
    'k8s.container.name': 'app',
    'k8s.container.restart_count': String(restarts),
  });
  const timedOut = () => r.value('sluice_processor_k8s_attributes_waited_records', 'result=timed out');
  for (const [restarts, count] of [
    [1, 1],
    [1, 1],
    [2, 2],
  ] as const) {
    await r.consume(line(restarts));
    await until('it went on', () => r.value('sluice_processor_k8s_attributes_waiting_bytes') === 0);
    assert.equal(timedOut(), count);
  }
  await r.stop();
});

test('records wait for the owner of their pod, which comes by another watch', async () => {
  const api = new FakeApi();
  const rs = { kind: 'ReplicaSet', name: 'web-h', uid: 'rs', apiVersion: 'apps/v1' };
  api.put('pods', pod(1, { metadata: { ownerReferences: [rs] } }));
  const metadata = ['k8s.deployment.name', 'k8s.deployment.uid'];
  const r = await running({ ...CONFIG, extract: { metadata }, wait_for_pod: { timeout: '1h' } }, api.api);
  await r.consume({ 'k8s.pod.uid': uidOf(1) });
  assert.equal(r.next.batches.length, 0);
  const ownerReferences = [{ kind: 'Deployment', name: 'web', uid: 'd', apiVersion: 'apps/v1' }];
  api.put('replicasets', object({ name: 'web-h', namespace: 'shop', uid: 'rs', ownerReferences }));
  await until('the owner', () => r.next.batches.length === 1);
  const known = { 'k8s.pod.uid': uidOf(1), 'k8s.deployment.name': 'web', 'k8s.deployment.uid': 'd' };
  assert.deepEqual(Object.fromEntries(r.next.batches[0]!.groups[0]!.resource.attributes), known);

  // Garbage collection takes the owners before their pods.
  api.remove('replicasets', 'rs');
  api.remove('pods', uidOf(1));
  assert.deepEqual(await r.enriched({ 'k8s.pod.uid': uidOf(1) }), known);
  r.clock.ms += 119_000;
  assert.deepEqual(await r.enriched({ 'k8s.pod.uid': uidOf(1) }), known);
  r.clock.ms += 119_000;
  r.cluster.sweep();
  assert.deepEqual(await r.enriched({ 'k8s.pod.uid': uidOf(1) }), known, 'as long as the pod');
  r.clock.ms += 121_000;
  r.cluster.sweep();
  assert.equal(r.cluster.owner('replicaset', 'rs'), undefined);
  await r.stop();
});

test('a namespace that came with its pods is waited for where something of it is extracted', async () => {
  const api = new FakeApi();
  api.put('pods', pod(1));
  const annotations = [{ tag_name: 'collect', key: 'collect', from: 'namespace' }];
  const r = await running(
    { ...CONFIG, extract: { metadata: [], annotations }, wait_for_pod: { timeout: '1h' } },
    api.api,
  );
  await r.consume({ 'k8s.pod.uid': uidOf(1) });
  assert.equal(r.next.batches.length, 0);
  const shop = (collect: string) => object({ name: 'shop', uid: 'shop', annotations: { collect } });
  api.put('namespaces', shop('no'));
  await until('the namespace', () => r.next.batches.length === 1);
  assert.equal(r.next.batches[0]!.groups[0]!.resource.attributes.get('collect'), 'no');
  api.put('namespaces', shop('yes'));
  assert.deepEqual(await r.enriched({ 'k8s.pod.uid': uidOf(1) }), { 'k8s.pod.uid': uidOf(1), collect: 'yes' });
  await r.stop();
});

test('resources that name no pod, an excluded one or one of another namespace do not wait', async () => {
  const api = new FakeApi();
  api.put('pods', pod(1));
  const r = await running(
    { ...CONFIG, wait_for_pod: { timeout: '1h' }, exclude: { pods: [{ name: '-1$' }] }, filter: { namespace: 'shop' } },
    api.api,
  );
  await r.consume({ 'service.name': 'a' }, { 'k8s.pod.uid': uidOf(1) }, { 'k8s.pod.uid': 'no uid' });
  await r.consume({ 'k8s.pod.uid': uidOf(2), 'k8s.namespace.name': 'other' });
  assert.deepEqual(
    r.next.batches.map((b) => b.count),
    [3, 1],
  );
  assert.equal(r.value('sluice_processor_k8s_attributes_unmatched_records', 'reason=no association'), 1);
  assert.equal(r.value('sluice_processor_k8s_attributes_unmatched_records', 'reason=excluded pod'), 1);
  await r.stop();
});

test('what waits is bounded: the next sender waits until there is room', async () => {
  const api = new FakeApi();
  const r = await running({ ...CONFIG, wait_for_pod: { timeout: '1h', max_bytes: 1 } }, api.api);
  await r.consume({ 'k8s.pod.uid': uidOf(1) });
  let isTaken = false;
  const second = r.consume({ 'k8s.pod.uid': uidOf(2) }).then(() => (isTaken = true));
  await sleep(20);
  assert.equal(isTaken, false);
  api.put('pods', pod(1));
  await second;
  await r.stop();
  assert.equal(r.next.batches.length, 2, 'stopping sends what waits');
});

test('who waits for room is told when the service stops, and owns its batch', async () => {
  const r = await running({ ...CONFIG, wait_for_pod: { timeout: '1h', max_bytes: 1 } }, new FakeApi().api);
  await r.consume({ 'k8s.pod.uid': uidOf(1) });
  const second = r.consume({ 'k8s.pod.uid': uidOf(2) });
  r.host.shared(STOPPING, () => new AbortController()).abort();
  await assert.rejects(second, /stopping while records wait/);
  await r.stop();
  assert.equal(r.next.batches.length, 1);
});

test('what waited and is refused is tried again while its source can wait, and nothing is told twice', async () => {
  const api = new FakeApi();
  let refusals = 2;
  const r = await running(CONFIG, api.api, {
    answer: () => {
      if (refusals-- > 0) throw retryable('full');
    },
  });
  await r.consume({ 'k8s.pod.uid': uidOf(1) });
  api.put('pods', pod(1));
  await until('it is taken', () => r.next.batches.length === 1);
  assert.equal(r.value('sluice_processor_k8s_attributes_dropped_records'), 0);
  await r.stop();
});

test('a batch whose other records are refused is not held in part', async () => {
  const api = new FakeApi();
  api.put('pods', pod(1));
  const r = await running({ ...CONFIG, wait_for_pod: { timeout: '1h' } }, api.api, {
    answer: (call) => {
      if (call === 0) throw retryable('full');
    },
  });
  await assert.rejects(r.consume({ 'k8s.pod.uid': uidOf(1) }, { 'k8s.pod.uid': uidOf(2) }), /full/);
  await r.stop();
  assert.equal(r.next.batches.length, 0);
});

test('a deleted pod is known to its late records', async () => {
  const api = new FakeApi();
  api.put('pods', pod(1));
  const r = await running(CONFIG, api.api);
  api.remove('pods', uidOf(1));
  r.clock.ms += 119_000;
  r.cluster.pods.sweep();
  assert.equal((await r.enriched({ 'k8s.pod.uid': uidOf(1) }))['k8s.pod.name'], 'web-6c85f59dbf-1');
  await r.stop();
});

test('passthrough only notes the address of the sender', async () => {
  const api = new FakeApi();
  const r = await running({ passthrough: true }, api.api);
  assert.deepEqual(await r.enriched({ a: 'b' }, '10.0.0.1'), { a: 'b', 'k8s.pod.ip': '10.0.0.1' });
  assert.deepEqual(await r.enriched({ 'k8s.pod.ip': '10.0.0.9' }, '10.0.0.1'), { 'k8s.pod.ip': '10.0.0.9' });
  assert.equal(api.caches.length, 0);
});

test('with an API server: pods that come, change and go, and a node filter', async () => {
  const server = await startApiServer();
  const draft = (name: string, stage: string, node = 'node-1') => ({
    metadata: { name, namespace: 'shop', labels: { stage } },
    spec: { nodeName: node, containers: [{ name: 'app', image: 'web:1' }] },
    status: { podIP: '10.0.0.1' },
  });
  const put = (name: string, stage: string, node?: string): string =>
    server.population.put('pods', draft(name, stage, node)).metadata.uid;
  const a = put('a', 'one');
  const elsewhere = put('elsewhere', 'one', 'node-2');
  const { api } = testApi(server.url);
  const r = await running(
    {
      ...CONFIG,
      extract: { metadata: ['k8s.pod.name'], labels: [{ key: 'stage', tag_name: 'stage' }] },
      filter: { node: 'node-1' },
      wait_for_metadata: true,
      wait_for_pod: { timeout: '20s' },
    },
    api,
  );
  assert.deepEqual(await r.enriched({ 'k8s.pod.uid': a }), { 'k8s.pod.uid': a, 'k8s.pod.name': 'a', stage: 'one' });
  put('a', 'two');
  await r.consume({ 'k8s.pod.uid': '00000000-0000-4000-8000-000000000003' });
  assert.equal(put('b', 'new'), '00000000-0000-4000-8000-000000000003');
  await until('the new pod', () =>
    r.next.batches.some((x) => x.groups[0]!.resource.attributes.get('k8s.pod.name') === 'b'),
  );
  assert.equal((await r.enriched({ 'k8s.pod.uid': a }))['stage'], 'two');
  assert.deepEqual(server.server.requests.map((q) => [q.path, q.query['fieldSelector']])[0], [
    '/api/v1/pods',
    'spec.nodeName=node-1',
  ]);
  assert.equal(r.cluster.pods.get(`0 ${elsewhere}`), undefined);
  await r.stop();
  await server.stop();
});

test('a right that is missing fails the start, which waits for metadata, with the rule that is needed', async () => {
  const body = 'pods is forbidden: User "system:serviceaccount:obs:agent" cannot list resource "pods"';
  const server = await startApiServer({ fault: () => ({ status: 403, message: body }) });
  const { api } = testApi(server.url);
  await assert.rejects(
    running({ ...CONFIG, wait_for_metadata: true, wait_for_metadata_timeout: '300ms' }, api),
    /failed to wait for caches to sync: pods: [\s\S]*Service account obs\/agent needs this rule in a ClusterRole: .*resources: \[pods\]/,
  );
  await server.stop();
});

test('pods come from the kubelet when it is the source, at once when records wait', async () => {
  const pods = new Map([[1, pod(1)]]);
  const seen: string[] = [];
  const kubelet = {
    get: async (path: string) => {
      seen.push(path);
      return Buffer.from(
        JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: [...pods.values()] }),
      );
    },
    parse: <T>(_path: string, body: Buffer, parse: (body: Buffer) => T): T => parse(body),
  };
  const api = new FakeApi();
  const r = await running(
    {
      ...CONFIG,
      kubelet: { enabled: true, endpoint: '127.0.0.1:10250', poll_interval: '1h' },
      filter: { labels: [{ key: 'no', op: 'does-not-exist' }] },
      wait_for_metadata: true,
      wait_for_pod: { timeout: '20s' },
    },
    api.api,
    { kubelet },
  );
  assert.equal((await r.enriched({ 'k8s.pod.uid': uidOf(1) }))['k8s.pod.name'], 'web-6c85f59dbf-1');
  pods.set(2, pod(2)).set(3, pod(3, { metadata: { labels: { no: '' } } }));
  await r.consume({ 'k8s.pod.uid': uidOf(2) });
  await until('the new pod', () => r.next.batches.length === 2);
  assert.equal(r.next.batches[1]!.groups[0]!.resource.attributes.get('k8s.pod.name'), 'web-6c85f59dbf-2');
  assert.equal(r.cluster.pods.get(`0 ${uidOf(3)}`), undefined);
  assert.deepEqual([...new Set(seen)], ['/pods']);
  assert.equal(api.caches.length, 0);
  await r.stop();
});

test('the certificate of the kubelet is checked by the CA that is named', async () => {
  await assert.rejects(
    running(
      { ...CONFIG, kubelet: { enabled: true, endpoint: '127.0.0.1:10250', ca_file: '/nowhere/ca.crt' } },
      new FakeApi().api,
    ),
    /CA.*\/nowhere\/ca\.crt/,
  );
});

test('what is watched is counted as otelcol counts it', async (t) => {
  const api = new FakeApi();
  const config = { extract: { metadata: ['k8s.pod.name', 'k8s.node.uid'] }, pod_association: BY_UID };
  const r = await running(config, api.api);
  t.after(() => r.stop());
  api.put('nodes', object({ name: 'node-1', uid: 'u-node' }));
  api.put('pods', pod(1));
  api.put('pods', pod(2));
  api.put('pods', pod(2, { status: { podIP: '10.9.9.9' } }));
  api.remove('pods', uidOf(1));
  const counts = (kind: string) =>
    ['added', 'updated', 'deleted'].map((change) => r.value(`otelcol_k8s_watcher_${kind}_${change}`));
  assert.deepEqual(counts('pod'), [2, 1, 1]);
  assert.deepEqual(counts('node'), [1, 0, 0]);
  assert.ok(r.value('otelcol_k8s_watcher_pod_cache_size')! >= 2);
  await r.stop();
  assert.equal(r.value('otelcol_k8s_watcher_pod_cache_size'), 0);
});

test('a resource that its source holds is enriched to one object that stays as long as its content does', async () => {
  const api = new FakeApi();
  api.put('pods', pod(1));
  api.put('namespaces', object({ name: 'shop', uid: 'ns-1' }));
  const labels = [
    { key: 'l', from: 'pod' },
    { key: 'l', from: 'namespace' },
  ];
  const p = await running({ ...CONFIG, extract: { metadata: ['k8s.pod.name'], labels } }, api.api);
  const attributes = new Map<string, Value>([['k8s.pod.uid', uidOf(1)]]);
  const resource = new HeldResource(encodeResource(attributes), 'https://example.com/schema');
  const enriched = async () => {
    const { next, processor, source } = p;
    const at = next.batches.length;
    await processor.consume(makeBatch('logs', [source.group(['x'], resource)]));
    return next.batches[at]!.groups[0]!.resource;
  };
  const first = await enriched();
  assert.equal(first.attributes.get('k8s.pod.name'), 'web-6c85f59dbf-1');
  assert.equal(first.schemaUrl, 'https://example.com/schema');
  assert.equal(await enriched(), first);
  // Something changes that is nothing to this pod.
  api.put('namespaces', object({ name: 'elsewhere', uid: 'ns-2', labels: { l: 'x' } }));
  assert.equal(await enriched(), first);
  // Its bytes are moved by who holds it.
  resource.move(encodeResource(attributes));
  assert.equal(await enriched(), first);
  api.put('pods', pod(1, { metadata: { labels: { l: 'new' } } }));
  const second = await enriched();
  assert.notEqual(second, first);
  assert.equal(second.attributes.get('k8s.pod.labels.l'), 'new');
  assert.deepEqual([...resource.attributes.keys()], ['k8s.pod.uid']);
  await p.stop();
});
