/** What a resource gets of its pod, container, owners, namespace and node. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Value } from '../../../wire/otlp.ts';
import { FakeApi, object, pod, running, uidOf } from './testing.ts';

const BY_UID = [{ sources: [{ from: 'resource_attribute', name: 'k8s.pod.uid' }] }];
const owner = (kind: string, name: string, uid = `${kind}-uid`) => ({
  ownerReferences: [{ kind, name, uid, apiVersion: 'v1', controller: true }],
});

async function attributesOf(
  metadata: string[],
  p: ReturnType<typeof pod>,
  {
    given = {},
    extract = {},
    fill,
  }: { given?: Record<string, Value>; extract?: object; fill?: (api: FakeApi) => void } = {},
): Promise<Record<string, Value>> {
  const api = new FakeApi();
  fill?.(api);
  api.put('pods', p);
  const wait_for_pod = { timeout: 0 };
  const r = await running({ extract: { metadata, ...extract }, pod_association: BY_UID, wait_for_pod }, api.api);
  const { 'k8s.pod.uid': _, ...rest } = await r.enriched({ 'k8s.pod.uid': p.metadata.uid, ...given });
  await r.stop();
  return rest;
}

test('names of owners, and of what owns them', async () => {
  const names = [
    'k8s.deployment.name',
    'k8s.replicaset.name',
    'k8s.job.name',
    'k8s.cronjob.name',
    'k8s.daemonset.name',
    'k8s.statefulset.uid',
  ];
  const hash = { labels: { 'pod-template-hash': '6c85f59dbf' } };
  const minute = Math.floor(Date.UTC(2026, 10, 22, 20, 26) / 60_000);
  const cases: [string, object, Record<string, string>][] = [
    ['nobody', {}, {}],
    [
      'a deployment',
      { ...owner('ReplicaSet', 'web-6c85f59dbf'), ...hash },
      { 'k8s.replicaset.name': 'web-6c85f59dbf', 'k8s.deployment.name': 'web' },
    ],
    ['a replica set of its own', owner('ReplicaSet', 'web-1'), { 'k8s.replicaset.name': 'web-1' }],
    ['another hash', { ...owner('ReplicaSet', 'web-1'), ...hash }, { 'k8s.replicaset.name': 'web-1' }],
    ['a job', owner('Job', 'once'), { 'k8s.job.name': 'once' }],
    ['a cron job', owner('Job', `tick-${minute}`), { 'k8s.job.name': `tick-${minute}`, 'k8s.cronjob.name': 'tick' }],
    ['a job that only looks like one', owner('Job', 'tick-20261122'), { 'k8s.job.name': 'tick-20261122' }],
    ['a daemon set', owner('DaemonSet', 'agent'), { 'k8s.daemonset.name': 'agent' }],
    ['a stateful set', owner('StatefulSet', 'db'), { 'k8s.statefulset.uid': 'StatefulSet-uid' }],
  ];
  for (const [what, metadata, expected] of cases)
    assert.deepEqual(await attributesOf(names, pod(1, { metadata: metadata as never })), expected, what);
});

test('objects of owners are asked for only by rules that need them, and know better than names', async () => {
  const p = pod(1, { metadata: owner('ReplicaSet', 'odd', 'rs-1') });
  const fill = (api: FakeApi): void => {
    api.put(
      'replicasets',
      object({ name: 'odd', namespace: 'shop', uid: 'rs-1', ...owner('Deployment', 'real', 'd-1') }),
    );
    api.put('deployments', object({ name: 'real', namespace: 'shop', uid: 'd-1', labels: { app: 'a' } }));
  };
  assert.deepEqual(await attributesOf(['k8s.deployment.name'], p, { fill }), {});
  assert.deepEqual(await attributesOf(['k8s.deployment.name', 'k8s.deployment.uid'], p, { fill }), {
    'k8s.deployment.name': 'real',
    'k8s.deployment.uid': 'd-1',
  });
  assert.deepEqual(
    await attributesOf(['k8s.deployment.name'], p, { fill, extract: { labels: [{ key: 'app', from: 'deployment' }] } }),
    { 'k8s.deployment.name': 'real', 'k8s.deployment.label.app': 'a' },
  );
  const watched = async (extract: object): Promise<string[]> => {
    const api = new FakeApi();
    await (await running({ extract }, api.api)).stop();
    return api.caches.map((c) => c.kind.resource);
  };
  assert.deepEqual(await watched({}), ['pods']);
  assert.deepEqual(await watched({ metadata: ['k8s.cluster.uid', 'k8s.node.uid'] }), ['namespaces', 'nodes', 'pods']);
  assert.deepEqual(await watched({ metadata: ['k8s.cronjob.uid'] }), ['jobs', 'pods']);
  assert.deepEqual(await watched({ labels: [{ key: 'a', from: 'cronjob' }] }), ['jobs', 'cronjobs', 'pods']);
});

test('service.name comes from the nearest that names it', async () => {
  const hash = { 'pod-template-hash': 'h' };
  const name = { 'app.kubernetes.io/name': 'by-name' };
  const instance = { 'app.kubernetes.io/instance': 'by-instance' };
  const annotation = { annotations: { 'resource.opentelemetry.io/service.name': 'by-annotation' } };
  const cases: [object, string][] = [
    [{ name: 'alone' }, 'alone'],
    [owner('ReplicaSet', 'web-h'), 'web-h'],
    [{ ...owner('ReplicaSet', 'web-h'), labels: hash }, 'web'],
    [{ ...owner('ReplicaSet', 'web-h'), labels: { ...hash, ...name } }, 'by-name'],
    [{ labels: { ...name, ...instance } }, 'by-instance'],
    [{ labels: { ...name, ...instance }, ...annotation }, 'by-annotation'],
  ];
  for (const [metadata, expected] of cases)
    assert.deepEqual(
      await attributesOf(['service.name'], pod(1, { metadata: metadata as never }), {
        extract: { otel_annotations: true },
      }),
      { 'service.name': expected },
    );
});

test('the container is the named one, that of the id, or the only one; its id is of the run that is known', async () => {
  const two = pod(1, {
    spec: {
      containers: [
        { name: 'a', image: 'a:1' },
        { name: 'b', image: 'b' },
      ],
    },
    status: {
      containerStatuses: [
        { name: 'a', containerID: 'containerd://ida', restartCount: 2, imageID: '' },
        { name: 'b', containerID: 'idb', restartCount: 0, imageID: '' },
      ],
    },
  });
  const one = pod(2);
  const A = { 'container.image.name': 'a', 'container.image.tag': '1', 'service.version': '1' };
  const cases: [ReturnType<typeof pod>, Record<string, Value>, Record<string, Value>][] = [
    [two, {}, {}],
    [two, { 'k8s.container.name': 'a' }, { ...A, 'k8s.container.name': 'a', 'container.id': 'ida' }],
    [two, { 'k8s.container.name': 'c' }, { 'k8s.container.name': 'c' }],
    [
      two,
      { 'container.id': 'idb' },
      { 'container.id': 'idb', 'container.image.name': 'b', 'container.image.tag': 'latest' },
    ],
    [
      two,
      { 'k8s.container.name': 'a', 'k8s.container.restart_count': '2' },
      { ...A, 'k8s.container.name': 'a', 'k8s.container.restart_count': '2', 'container.id': 'ida' },
    ],
    [
      two,
      { 'k8s.container.name': 'a', 'k8s.container.restart_count': 1n },
      { ...A, 'k8s.container.name': 'a', 'k8s.container.restart_count': 1n },
    ],
    [
      two,
      { 'k8s.container.name': 'a', 'k8s.container.restart_count': 'x' },
      { ...A, 'k8s.container.name': 'a', 'k8s.container.restart_count': 'x' },
    ],
    [
      one,
      {},
      {
        'container.image.name': 'registry.test:5000/web',
        'container.image.tag': '1.2',
        'container.id': 'c2',
        'service.version': '1.2',
      },
    ],
  ];
  for (const [p, given, expected] of cases)
    assert.deepEqual(
      await attributesOf(['container.id', 'container.image.name', 'container.image.tag', 'service.version'], p, {
        given,
      }),
      expected,
      JSON.stringify(Object.keys(given)),
    );
});

test('attributes that are there stay, unless their text is empty', async () => {
  const given = { 'k8s.pod.name': 'mine', 'k8s.node.name': '', 'k8s.namespace.name': 7n, 'container.id': '' };
  assert.deepEqual(
    await attributesOf(['k8s.pod.name', 'k8s.node.name', 'k8s.namespace.name', 'container.id'], pod(1), { given }),
    {
      ...given,
      'k8s.node.name': 'node-1',
    },
  );
});

test('namespaces and nodes are found without a pod too', async () => {
  const api = new FakeApi();
  api.put('namespaces', object({ name: 'shop', uid: 'ns-1', labels: { team: 'a' } }));
  api.put('nodes', object({ name: 'node-1', uid: 'node-uid', labels: { zone: 'z' } }));
  const r = await running(
    {
      extract: {
        metadata: ['service.namespace'],
        labels: [
          { key: 'team', from: 'namespace' },
          { key: 'zone', from: 'node' },
        ],
      },
      pod_association: BY_UID,
    },
    api.api,
  );
  assert.deepEqual(await r.enriched({ 'k8s.namespace.name': 'shop', 'k8s.node.name': 'node-1' }), {
    'k8s.namespace.name': 'shop',
    'k8s.node.name': 'node-1',
    'k8s.namespace.labels.team': 'a',
    'service.namespace': 'shop',
    'k8s.node.labels.zone': 'z',
    'k8s.node.uid': 'node-uid',
  });
  await r.stop();
});

test('the first association whose sources are all there decides', async () => {
  const api = new FakeApi();
  api.put('pods', pod(1));
  api.put('pods', pod(2, { spec: { hostNetwork: true }, status: { podIP: '10.0.0.200' } }));
  const source = (name: string) => ({ from: 'resource_attribute', name });
  const r = await running(
    {
      extract: { metadata: ['k8s.pod.name'] },
      wait_for_pod: { timeout: 0 },
      pod_association: [
        { sources: [source('k8s.pod.ip')] },
        { sources: [source('k8s.pod.name'), source('k8s.namespace.name')] },
        { sources: [source('container.id')] },
        { sources: [source('host.name')] },
        { sources: [{ from: 'connection' }] },
      ],
    },
    api.api,
  );
  const cases: [Record<string, Value>, string, string | undefined][] = [
    [{ 'k8s.pod.ip': '10.0.0.1' }, '', 'web-6c85f59dbf-1'],
    [{ 'k8s.pod.ip': '10.9.9.9', 'container.id': 'c1' }, '', undefined],
    [{ 'container.id': 'c1' }, '', 'web-6c85f59dbf-1'],
    [{ 'host.name': '10.0.0.1' }, '', 'web-6c85f59dbf-1'],
    [{ 'host.name': 'h' }, '10.0.0.1', 'web-6c85f59dbf-1'],
    [{ 'k8s.pod.uid': uidOf(1) }, '', undefined],
    [{ 'k8s.pod.ip': 7n }, '10.0.0.1', 'web-6c85f59dbf-1'],
    [{}, '10.0.0.200', undefined],
    [{}, '10.0.0.1', 'web-6c85f59dbf-1'],
    [{}, '10.0.0.77', undefined],
  ];
  for (const [given, peer, name] of cases)
    assert.equal((await r.enriched(given, peer))['k8s.pod.name'], name, JSON.stringify([Object.keys(given), peer]));
  assert.equal(
    (await r.enriched({ 'k8s.pod.name': 'web-6c85f59dbf-2', 'k8s.namespace.name': 'shop' }))['k8s.pod.name'],
    'web-6c85f59dbf-2',
  );
  await r.stop();
});

test('a static pod is found by the uid in the path of its logs', async () => {
  const hash = '0123456789abcdef0123456789abcdef';
  const api = new FakeApi();
  api.put('pods', pod(1, { metadata: { annotations: { 'kubernetes.io/config.hash': hash } } }));
  const r = await running({ extract: { metadata: ['k8s.pod.name', 'k8s.pod.uid'] }, pod_association: BY_UID }, api.api);
  const name = 'web-6c85f59dbf-1';
  for (const uid of [hash, uidOf(1)])
    assert.deepEqual(await r.enriched({ 'k8s.pod.uid': uid }), { 'k8s.pod.uid': uid, 'k8s.pod.name': name });
  api.remove('pods', uidOf(1));
  r.clock.ms += 1e6;
  r.cluster.pods.sweep();
  assert.deepEqual(await r.enriched({ 'k8s.pod.uid': hash }), { 'k8s.pod.uid': hash });
  await r.stop();
});
