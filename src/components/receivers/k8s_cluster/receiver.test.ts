import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { collector, componentContext, until } from '../../../../test/helpers/component.ts';
import type { Consumer } from '../../../core/batch.ts';
import type { LeaderListener } from '../../../kubernetes/leader.ts';
import type { SimulatedApiServerOptions } from '../../../kubernetes/simulated/api-server.ts';
import { COMMON_RESOURCES, type SimulatedResource } from '../../../kubernetes/simulated/population.ts';
import { startApiServer, testApi } from '../../../kubernetes/testing.ts';
import { K8sCluster } from './receiver.ts';
import { configOf, eventsOf, pointsOfBatches } from './testing.ts';

const more = (group: string, version: string, resource: string, kind: string): SimulatedResource => ({
  group,
  version,
  resource,
  kind,
  isNamespaced: true,
});
const RESOURCES = [
  ...COMMON_RESOURCES,
  more('', 'v1', 'replicationcontrollers', 'ReplicationController'),
  more('', 'v1', 'resourcequotas', 'ResourceQuota'),
  more('apps', 'v1', 'statefulsets', 'StatefulSet'),
  more('apps', 'v1', 'daemonsets', 'DaemonSet'),
  more('batch', 'v1', 'jobs', 'Job'),
  more('batch', 'v1', 'cronjobs', 'CronJob'),
  more('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice'),
];
const HPA = more('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler');
const DEADLINE = new AbortController().signal;

interface Setup {
  readonly config?: object;
  readonly server?: SimulatedApiServerOptions;
  readonly resources?: readonly SimulatedResource[];
  readonly outputs?: { readonly metrics?: Consumer; readonly logs?: Consumer };
  readonly extension?: (id: string) => unknown;
}

async function rig(t: TestContext, setup: Setup = {}) {
  const running = await startApiServer(setup.server ?? {}, setup.resources ?? [...RESOURCES, HPA]);
  const { api } = testApi(running.url);
  const { context, lines, clock, fatal, host } = componentContext('k8s_cluster', 'receiver');
  const sink = collector();
  const outputs = setup.outputs ?? { metrics: sink.consumer };
  const own = { ...host, extension: setup.extension ?? host.extension };
  // The next collection only comes when a test asks for it.
  const config = configOf({ collection_interval: '1h', metadata_collection_interval: 0, ...setup.config });
  const receiver = new K8sCluster(config, { ...context, host: own, outputs }, api);
  t.after(async () => {
    await receiver.stop(DEADLINE);
    api.client.close();
    await running.stop();
  });
  const synced = () => until(() => lines.some((l) => l.message.startsWith('Completed syncing')), 'the caches');
  /** Points of a collection of now. */
  const collect = async () => {
    clock.ms += 1000;
    const now = collector();
    await receiver.collect(now.consumer);
    return pointsOfBatches(now.batches);
  };
  const phases = async () =>
    (await collect())
      .filter((p) => p.metric === 'k8s.pod.phase')
      .map((p) => `${p.resource['k8s.pod.name']}=${p.value}`)
      .sort();
  const asked = () => [...new Set(running.server.requests.map((r) => r.path))];
  return { ...running, receiver, lines, clock, fatal, sink, synced, collect, phases, asked };
}

const pod = (name: string, phase = 'Running', metadata: object = {}) => ({
  metadata: { name, namespace: 'shop', ...metadata },
  spec: { nodeName: 'n1', containers: [{ name: 'app', resources: { requests: { cpu: '100m' } } }] },
  status: { phase, containerStatuses: [{ name: 'app', image: 'tick:1', containerID: `containerd://${name}` }] },
});

describe('k8s_cluster', () => {
  it('objects are there with the time of the collection, changes show in the next one, and deleted ones are gone', async (t) => {
    const r = await rig(t);
    r.population.put('pods', pod('a', 'Pending'));
    r.population.put('pods', pod('b'));
    await r.receiver.start();
    await r.synced();
    const first = await r.collect();
    assert.deepEqual(await r.phases(), ['a=1', 'b=2']);
    assert.deepEqual(new Set(first.map((p) => p.time)), new Set([BigInt(r.clock.ms - 1000) * 1_000_000n]));
    r.population.put('pods', pod('a', 'Failed'));
    r.population.remove('pods', 'shop', 'b');
    r.population.put('pods', pod('c'));
    let seen: string[] = [];
    for (let i = 0; i < 1000 && seen.join() !== 'a=4,c=2'; i++) {
      seen = await r.phases();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    assert.deepEqual(seen, ['a=4', 'c=2']);
  });

  it('the bytes of a batch stay as they are while later collections go on', async (t) => {
    const r = await rig(t);
    r.population.put('pods', pod('a'));
    await r.receiver.start();
    await r.synced();
    const held = collector();
    await r.receiver.collect(held.consumer);
    const before = held.batches[0]!.groups.map((g) => Buffer.from(g.items).toString('hex'));
    await r.collect();
    await r.collect();
    assert.deepEqual(
      held.batches[0]!.groups.map((g) => Buffer.from(g.items).toString('hex')),
      before,
    );
  });

  it('an object that did not change keeps its resource, and objects with the same values share their bytes', async (t) => {
    const r = await rig(t);
    for (const name of ['a', 'b']) r.population.put('pods', pod(name));
    await r.receiver.start();
    await r.synced();
    const held = collector();
    await r.receiver.collect(held.consumer);
    await r.receiver.collect(held.consumer);
    const [first, second] = held.batches.map((b) => b.groups);
    assert.deepEqual(
      first!.map((g) => g.resource),
      second!.map((g) => g.resource),
    );
    for (const [i, g] of first!.entries()) assert.equal(g.resource, second![i]!.resource);
    assert.equal(first!.length, 4);
    assert.equal(new Set(first!.map((g) => g.items)).size, 2);
  });

  it('it collects at the interval, and a large cluster comes in several batches', async (t) => {
    const r = await rig(t, { config: { collection_interval: '10ms' } });
    for (let i = 0; i < 2600; i++) r.population.put('pods', pod(`p${i}`));
    await r.receiver.start();
    await r.synced();
    r.clock.ms += 10;
    await until(() => r.sink.batches.length >= 2, 'two batches');
    assert.ok(r.sink.batches[0]!.count >= 10_000);
    assert.ok(r.sink.batches[0]!.count < 10_010);
  });

  it('only the kinds that enabled metrics need are asked for', async (t) => {
    const off = (...names: string[]) => Object.fromEntries(names.map((n) => [n, { enabled: false }]));
    const quota = ['k8s.resource_quota.hard_limit', 'k8s.resource_quota.used'];
    const r = await rig(t, {
      config: { node_conditions_to_report: [], metrics: off(...quota, 'k8s.cronjob.active_jobs') },
    });
    await r.receiver.start();
    await r.synced();
    const asked = r.asked();
    for (const path of ['/api/v1/pods', '/apis/apps/v1/deployments', '/apis/batch/v1/jobs'])
      assert.ok(asked.includes(path), path);
    for (const path of asked) assert.doesNotMatch(path, /\/(nodes|resourcequotas|cronjobs|services|endpointslices)$/);
  });

  it('with namespaces only these are read, and neither nodes nor namespaces', async (t) => {
    const r = await rig(t, { config: { namespaces: ['shop', 'data'] } });
    r.population.put('pods', pod('a'));
    r.population.put('pods', pod('x', 'Running', { namespace: 'other' }));
    r.population.put('pods', pod('d', 'Running', { namespace: 'data' }));
    await r.receiver.start();
    await r.synced();
    assert.deepEqual(await r.phases(), ['a=2', 'd=2']);
    const lists = r.asked().filter((path) => path !== '/api/v1' && !/^\/apis\/[^/]+\/v\d$/.test(path));
    for (const path of lists) assert.match(path, /\/namespaces\/(shop|data)\/\w+$/);
  });

  it('a kind that the server does not have is told, and the others are collected', async (t) => {
    const r = await rig(t, { resources: RESOURCES });
    r.population.put('pods', pod('a'));
    await r.receiver.start();
    await r.synced();
    assert.deepEqual(await r.phases(), ['a=2']);
    const warning = r.lines.find((l) => l.level === 'warn');
    assert.match(warning!.message, /^Server doesn't support any of the group versions/);
    assert.equal(warning!.fields['resource'], 'horizontalpodautoscalers.autoscaling');
  });

  it('a right that is missing is named as a rule', async (t) => {
    const r = await rig(t, {
      server: {
        fault: ({ path }) => (path === '/apis/batch/v1/jobs' ? { status: 403, message: 'forbidden' } : undefined),
      },
    });
    await r.receiver.start();
    await until(() => r.lines.some((l) => l.level === 'error'), 'an error');
    const error = r.lines.find((l) => l.level === 'error')!;
    assert.match(String(error.fields['error']), /apiGroups: \["batch"\], resources: \[jobs\], verbs: \[(list|watch)/);
  });

  it('what cannot be read for ten minutes stops the process, and not a moment earlier', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const forbidden = { status: 403, message: 'forbidden' };
    const r = await rig(t, { server: { fault: ({ path }) => (path === '/api/v1/pods' ? forbidden : undefined) } });
    const turns = async (isEnough: () => boolean): Promise<void> => {
      const end = performance.now() + 20_000;
      while (!isEnough() && performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
      if (!isEnough()) t.mock.timers.reset();
      assert.ok(isEnough());
    };
    await r.receiver.start();
    await turns(() => r.lines.some((l) => l.level === 'error') && r.server.openWatches >= 8);
    const { length: before } = r.server.requests;
    t.mock.timers.tick(10 * 60_000 - 1);
    // It goes on asking.
    await turns(() => r.server.requests.length > before);
    assert.equal(r.fatal.length, 0);
    t.mock.timers.tick(1);
    await turns(() => r.fatal.length > 0);
    assert.match(r.fatal[0]!.message, /^failed to start collector: initial cache sync: pods: .*forbidden/);
    assert.equal(r.lines.findLast((l) => l.level === 'error')?.message, 'Timed out waiting for initial cache sync.');
    await turns(() => r.server.openWatches === 0);
    t.mock.timers.reset();
  });

  it('endpoints of a service are summed over its slices, and follow them', async (t) => {
    const r = await rig(t, { config: { metrics: { 'k8s.service.endpoint.count': { enabled: true } } } });
    const slice = (name: string, endpoints: object[]) =>
      r.population.put('endpointslices.discovery.k8s.io', {
        metadata: { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
        addressType: 'IPv4',
        endpoints,
      });
    r.population.put('services', { metadata: { name: 'web', namespace: 'shop' }, spec: { type: 'ClusterIP' } });
    r.population.put('services', { metadata: { name: 'lone', namespace: 'shop' }, spec: { type: 'ClusterIP' } });
    slice('web-1', [
      { zone: 'z1', conditions: {} },
      { zone: 'z1', conditions: { ready: false, terminating: true } },
    ]);
    slice('web-2', [{ zone: 'z1', conditions: { ready: false, serving: true } }, {}]);
    await r.receiver.start();
    await r.synced();
    const counts = async () =>
      Object.fromEntries(
        (await r.collect())
          .filter((p) => p.metric.startsWith('k8s.service.'))
          .map((p) => [p.metric.slice(26), p.value]),
      );
    assert.deepEqual(await counts(), {
      '{IPv4,ready,z1}': 1,
      '{IPv4,serving,z1}': 2,
      '{IPv4,terminating,z1}': 1,
      '{IPv4,ready,}': 1,
      '{IPv4,serving,}': 1,
      '{IPv4,terminating,}': 0,
    });
    r.population.remove('endpointslices.discovery.k8s.io', 'shop', 'web-2');
    let now = await counts();
    for (let i = 0; i < 1000 && '{IPv4,ready,}' in now; i++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      now = await counts();
    }
    assert.deepEqual(now, { '{IPv4,ready,z1}': 1, '{IPv4,serving,z1}': 1, '{IPv4,terminating,z1}': 1 });
  });

  it('entities are told once all is known, with owners of owners and services, and again when they change', async (t) => {
    const logs = collector();
    const r = await rig(t, { outputs: { logs: logs.consumer } });
    const { uid } = r.population.put('replicasets.apps', {
      metadata: {
        name: 'web-1',
        namespace: 'shop',
        ownerReferences: [{ kind: 'Deployment', name: 'web', uid: 'u-web' }],
      },
    }).metadata;
    const service = (name: string, selector: object, namespace = 'shop') =>
      r.population.put('services', { metadata: { name, namespace }, spec: { selector } });
    service('web', { app: 'web' });
    service('other', { app: 'web', tier: 'back' });
    service('elsewhere', { app: 'web' }, 'data');
    service('all', {});
    const ownerReferences = [{ kind: 'ReplicaSet', name: 'web-1', uid }];
    r.population.put('pods', pod('a', 'Running', { labels: { app: 'web' }, ownerReferences }));
    await r.receiver.start();
    await r.synced();
    const pods = () => eventsOf(logs.batches).filter((e) => e.type === 'k8s.pod');
    await until(() => pods().length > 0, 'an entity');
    assert.equal(pods().length, 1);
    const { attributes } = pods()[0]!;
    assert.equal(attributes['k8s.workload.kind'], 'Deployment');
    assert.equal(attributes['k8s.deployment.uid'], 'u-web');
    assert.equal(attributes['k8s.replicaset.uid'], uid);
    assert.deepEqual(
      Object.keys(attributes).filter((k) => k.startsWith('k8s.service.')),
      ['k8s.service.web'],
    );
    r.population.put('pods', pod('a', 'Succeeded', { labels: { app: 'web' }, ownerReferences }));
    await until(() => pods().length === 2, 'the change');
    assert.equal(pods()[1]!.attributes['k8s.pod.phase'], 'Succeeded');
    r.population.remove('pods', 'shop', 'a');
    await until(() => pods().length === 3, 'the end');
    assert.equal(pods()[2]!.event, 'entity_delete');
  });

  it('entities are told anew at intervals', async (t) => {
    const logs = collector();
    const r = await rig(t, { outputs: { logs: logs.consumer }, config: { metadata_collection_interval: '5ms' } });
    r.population.put('pods', pod('a'));
    await r.receiver.start();
    await until(() => eventsOf(logs.batches).filter((e) => e.type === 'k8s.pod').length >= 3, 'three tellings');
  });

  it('without leadership nothing is asked; after it ended there are no watches and no metrics', async (t) => {
    let listener: LeaderListener | undefined;
    const elector = {
      onLeadership: (l: LeaderListener) => {
        listener = l;
        return () => {};
      },
    };
    const r = await rig(t, {
      config: { k8s_leader_elector: 'k8s_leader_elector/a' },
      extension: (id) => (id === 'k8s_leader_elector/a' ? elector : undefined),
    });
    r.population.put('pods', pod('a'));
    await r.receiver.start();
    assert.deepEqual(r.asked(), []);
    listener!.started();
    await r.synced();
    assert.deepEqual(await r.phases(), ['a=2']);
    listener!.stopped();
    let left = await r.phases();
    for (let i = 0; i < 1000 && left.length > 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      left = await r.phases();
    }
    assert.deepEqual(left, []);
    r.population.put('pods', pod('b'));
    listener!.started();
    await until(() => r.lines.filter((l) => l.message.startsWith('Completed syncing')).length === 2, 'the caches');
    assert.deepEqual(await r.phases(), ['a=2', 'b=2']);
  });

  it('an elector that is not there is an error of the configuration', async (t) => {
    const r = await rig(t, { config: { k8s_leader_elector: 'nobody' } });
    await assert.rejects(r.receiver.start(), /unknown k8s leader elector "nobody"/);
  });
});

describe('configuration of k8s_cluster', () => {
  for (const [config, message] of [
    [{ distribution: 'eks' }, /eks.* is not a supported distribution. Must be one of: .*openshift/],
    [{ collection_interval: '0s' }, /requires positive value/],
    [{ auth_type: 'token' }, /invalid authType for kubernetes: token/],
    [{ metadata_exporters: ['signalfx'] }, /no exporter takes metadata/],
    [{ metrics: { 'k8s.pod.nothing': { enabled: true } } }, /k8s.pod.nothing/],
  ] as const)
    it(`refuses ${JSON.stringify(config)}`, () => assert.throws(() => configOf(config), message));
});
