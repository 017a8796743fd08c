import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { collector, componentContext, until } from '../../test/helpers/component.ts';
import { podsOf, startFakeServer, summaryOf } from '../../test/helpers/kubelet.ts';
import { LeaderElectorExtension } from '../components/extensions/k8s_leader_elector/extension.ts';
import leaderElector from '../components/extensions/k8s_leader_elector/index.ts';
import { schema as attributesSchema } from '../components/processors/k8s_attributes/config.ts';
import { makeK8sAttributes } from '../components/processors/k8s_attributes/processor.ts';
import { Detection } from '../components/processors/resource_detection/detection.ts';
import resourceDetection from '../components/processors/resource_detection/index.ts';
import { METRICS } from '../components/receivers/k8s_cluster/catalogue.ts';
import { neededKinds } from '../components/receivers/k8s_cluster/cluster.ts';
import k8sCluster from '../components/receivers/k8s_cluster/index.ts';
import { K8sCluster } from '../components/receivers/k8s_cluster/receiver.ts';
import k8sEvents from '../components/receivers/k8s_events/index.ts';
import { k8sEventsReceiver } from '../components/receivers/k8s_events/receiver.ts';
import k8sObjects from '../components/receivers/k8s_objects/index.ts';
import { K8sObjectsReceiver } from '../components/receivers/k8s_objects/receiver.ts';
import kubeletStats from '../components/receivers/kubelet_stats/index.ts';
import { KubeletScraper } from '../components/receivers/kubelet_stats/scraper.ts';
import type { ConfigError } from '../core/errors.ts';
import { makeAccess } from '../kubernetes/access.ts';
import { type ApiServer, ruleFor } from '../kubernetes/api-server.ts';
import { KubernetesClient } from '../kubernetes/client.ts';
import type { SeenRequest } from '../kubernetes/simulated/api-server.ts';
import { COMMON_RESOURCES, type SimulatedResource } from '../kubernetes/simulated/population.ts';
import { type RunningApiServer, startApiServer, testApi } from '../kubernetes/testing.ts';
import type { CollectorConfig, Json } from './config.ts';
import { CLUSTER_KINDS, OPENSHIFT_QUOTAS } from './known-resources.ts';
import { type RbacOptions, type Right, rbacOf, rightsOf } from './rbac.ts';

const more = (
  group: string,
  version: string,
  resource: string,
  kind: string,
  isNamespaced = true,
): SimulatedResource => ({
  group,
  version,
  resource,
  kind,
  isNamespaced,
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
  more('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler'),
  more('quota.openshift.io', 'v1', 'clusterresourcequotas', 'ClusterResourceQuota', false),
  more('rbac.authorization.k8s.io', 'v1', 'clusterroles', 'ClusterRole', false),
  more('shop.test', 'v1', 'widgets', 'Widget'),
];
const DEADLINE = new AbortController().signal;

type Settings = { [key: string]: Json };

/** A configuration with one component in it. */
function configWith(id: string, settings: Settings, signals = ['logs']): CollectorConfig {
  const isExtension = id.startsWith('k8s_leader_elector');
  const isProcessor = /^(k8s_?attributes|resource_?detection)/.test(id);
  const pipeline = {
    receivers: [isProcessor || isExtension ? 'otlp' : id],
    ...(isProcessor ? { processors: [id] } : {}),
    exporters: ['debug'],
  };
  return {
    [isExtension ? 'extensions' : isProcessor ? 'processors' : 'receivers']: { [id]: settings },
    service: {
      ...(isExtension ? { extensions: [id] } : {}),
      pipelines: Object.fromEntries(signals.map((s) => [s, pipeline])),
    },
  };
}

/** `list pods`, `get namespaces [kube-system]`, `watch events in shop` */
const textOf = ({ verb, group, resource, name, namespace }: Omit<Right, 'why'>): string => {
  const [plain, sub] = resource.split('/');
  const what = `${plain}${group === '' ? '' : `.${group}`}${sub === undefined ? '' : `/${sub}`}`;
  return `${verb} ${what}${name === '' ? '' : ` [${name}]`}${namespace === '' ? '' : ` in ${namespace}`}`;
};
const computed = (config: CollectorConfig, options?: RbacOptions): string[] =>
  rightsOf(config, options).map(textOf).sort();

/** What a request needs; discovery is everybody's. */
function needed({ path, method, query }: SeenRequest): string[] {
  if (/^\/(api(\/v1)?|apis(\/[^/]+\/[^/]+)?)$/.test(path)) return [];
  const rule = ruleFor(`${path}?${new URLSearchParams(query)}`, method);
  assert.ok(rule, path);
  const name = /^metadata\.name=([^,]+)$/.exec(query['fieldSelector'] ?? '')?.[1] ?? '';
  const own = /\/([^/]+)$/.exec(path)![1]!;
  const named = rule.verb === 'get' || rule.verb === 'update' ? own : name;
  // Which objects these are only shows when the collector runs: no rule can name them, or their namespaces.
  const isAny = ['nodes', 'persistentvolumes', 'persistentvolumeclaims', 'widgets'].includes(rule.resource);
  return [textOf({ ...rule, ...(isAny ? { name: '', namespace: '' } : { name: named }) })];
}

interface Rig extends RunningApiServer {
  readonly api: ApiServer;
}
/** Runs `play` against a server that knows initial events, and against one that does not; gives all that was asked for. */
async function asked(
  t: TestContext,
  play: (rig: Rig) => Promise<void>,
  expected: readonly string[],
): Promise<string[]> {
  const all = new Set<string>();
  for (const initialEvents of ['yes', 'refused'] as const) {
    const running = await startApiServer({ initialEvents }, RESOURCES);
    const { api } = testApi(running.url);
    t.after(async () => {
      api.client.close();
      await running.stop();
    });
    running.population.put('namespaces', { metadata: { name: 'kube-system' } });
    running.population.put('nodes', {
      metadata: { name: 'node-1' },
      status: { capacity: { cpu: '4', memory: '8Gi' } },
    });
    await play({ ...running, api });
    await until(() => running.server.requests.length > 0, 'a request');
    const seen = () => running.server.requests.flatMap(needed);
    const isThere = () => expected.every((e) => all.has(e) || seen().includes(e));
    if (initialEvents === 'refused')
      await until(isThere, `${expected.filter((e) => !all.has(e) && !seen().includes(e))}`);
    else await until(() => seen().length > 0, 'a request');
    await new Promise((resolve) => setTimeout(resolve, 30));
    for (const s of seen()) all.add(s);
  }
  // What is asked for in all namespaces as well is no right of its own.
  return [...all].filter((a) => !all.has(a.replace(/ in .*$/, '')) || !a.includes(' in ')).sort();
}

/** How each component is run in a test, as it is run in a collector. */
const PLAYERS: Record<
  string,
  (t: TestContext, settings: Settings, signals: readonly string[]) => (rig: Rig) => Promise<void>
> = {
  k8s_attributes:
    (t, settings) =>
    async ({ api }) => {
      const { context } = componentContext('k8s_attributes', 'processor');
      const processor = makeK8sAttributes(
        attributesSchema.parse(settings),
        { ...context, signal: 'logs', pipelineId: 'logs', next: collector().consumer },
        { api },
      );
      await processor.start?.();
      t.after(() => processor.stop?.(DEADLINE));
    },
  k8s_cluster:
    (t, settings, signals) =>
    async ({ api }) => {
      const { context } = componentContext('k8s_cluster', 'receiver');
      const outputs = Object.fromEntries(signals.map((s) => [s, collector().consumer]));
      const receiver = new K8sCluster(k8sCluster.schema.parse(settings) as never, { ...context, outputs }, api);
      await receiver.start();
      t.after(() => receiver.stop(DEADLINE));
    },
  k8s_objects:
    (t, settings) =>
    async ({ api }) => {
      const { context } = componentContext('k8s_objects', 'receiver');
      const outputs = { logs: collector().consumer };
      const receiver = new K8sObjectsReceiver(k8sObjects.schema.parse(settings) as never, { ...context, outputs }, api);
      await receiver.start();
      t.after(() => receiver.stop(DEADLINE));
    },
  k8s_events:
    (t, settings) =>
    async ({ api }) => {
      const { context } = componentContext('k8s_events', 'receiver');
      const outputs = { logs: collector().consumer };
      const receiver = k8sEventsReceiver(k8sEvents.schema.parse(settings) as never, { ...context, outputs }, api);
      await receiver.start!();
      t.after(() => receiver.stop!(DEADLINE));
    },
  k8s_leader_elector:
    (_t, settings) =>
    async ({ api, server, population }) => {
      const { context } = componentContext('k8s_leader_elector', 'extension');
      const clock = { nowMs: () => Date.now(), nowUnixNano: () => 0n, monotonicMs: () => performance.now() };
      const config = leaderElector.schema.parse({
        ...settings,
        lease_duration: '900ms',
        renew_deadline: '600ms',
        retry_period: '20ms',
      });
      const extension = new LeaderElectorExtension(config as never, { ...context, clock }, api);
      await extension.start();
      await until(() => server.requests.some((r) => r.method === 'PUT'), 'a renewal');
      await extension.stop(DEADLINE);
      assert.equal(population.list('leases.coordination.k8s.io').length, 1);
    },
  resource_detection:
    (_t, settings) =>
    async ({ api }) => {
      const { context } = componentContext('resource_detection', 'processor');
      const detection = new Detection({
        config: resourceDetection.schema.parse(settings) as never,
        env: { K8S_NODE_NAME: 'node-1' },
        clock: context.clock,
        log: context.log,
        apiGet: (path, signal) => api.client.getJson(path, { signal }),
      });
      await detection.start();
      await detection.stop();
    },
};

type Case = readonly [name: string, id: string, settings: Settings, signals?: readonly string[]];
const CASES: readonly Case[] = [
  ['k8s_attributes by default', 'k8s_attributes', {}],
  ['k8s_attributes under its former name', 'k8sattributes/mine', {}],
  ['k8s_attributes of one namespace', 'k8s_attributes', { filter: { namespace: 'shop' } }],
  [
    'k8s_attributes with what only pods and their owners tell',
    'k8s_attributes',
    { extract: { metadata: ['k8s.deployment.name', 'k8s.cronjob.name', 'service.name', 'container.id'] } },
  ],
  [
    'k8s_attributes with uids of cluster and node',
    'k8s_attributes',
    { extract: { metadata: ['k8s.cluster.uid', 'k8s.node.uid'] } },
  ],
  [
    'k8s_attributes with uids behind owners',
    'k8s_attributes',
    { extract: { metadata: ['k8s.deployment.uid', 'k8s.cronjob.uid'] } },
  ],
  [
    'k8s_attributes with a label of the namespace and the uid of the cluster',
    'k8s_attributes',
    { extract: { metadata: ['k8s.cluster.uid'], labels: [{ key: 'team', from: 'namespace' }] } },
  ],
  ...['node', 'deployment', 'replicaset', 'statefulset', 'daemonset', 'job', 'cronjob'].map(
    (from): Case => [
      `k8s_attributes with a label of the ${from}`,
      'k8s_attributes',
      { extract: { metadata: [], labels: [{ key: 'team', from }] } },
    ],
  ),
  [
    'k8s_attributes with owners in one namespace',
    'k8s_attributes',
    { extract: { annotations: [{ key: 'a', from: 'deployment' }] }, filter: { namespace: 'shop' } },
  ],
  ['k8s_cluster by default', 'k8s_cluster', {}, ['metrics']],
  ['k8s_cluster of logs: entities', 'k8s_cluster', {}, ['logs']],
  ['k8s_cluster of both', 'k8s_cluster', {}, ['logs', 'metrics']],
  ['k8s_cluster in namespaces', 'k8s_cluster', { namespaces: ['shop', 'bank'] }, ['metrics']],
  ['k8s_cluster in the deprecated namespace', 'k8s_cluster', { namespace: 'shop' }, ['metrics']],
  [
    'k8s_cluster with optional metrics',
    'k8s_cluster',
    { metrics: { 'k8s.service.endpoint.count': { enabled: true } } },
    ['metrics'],
  ],
  [
    'k8s_cluster with metrics off',
    'k8s_cluster',
    {
      node_conditions_to_report: [],
      metrics: Object.fromEntries(
        METRICS.filter((m) => !/^k8s\.(pod|deployment)\./.test(m.name)).map((m) => [m.name, { enabled: false }]),
      ),
    },
    ['metrics'],
  ],
  [
    'k8s_cluster with allocatable only',
    'k8s_cluster',
    { node_conditions_to_report: [], allocatable_types_to_report: ['cpu'] },
    ['metrics'],
  ],
  ['k8s_cluster on OpenShift', 'k8s_cluster', { distribution: 'openshift' }, ['metrics']],
  [
    'k8s_objects: events of another group, watched',
    'k8sobjects',
    { objects: [{ name: 'events', group: 'events.k8s.io', mode: 'watch' }] },
  ],
  [
    'k8s_objects: pulled',
    'k8s_objects',
    { objects: [{ name: 'pods' }, { name: 'deployments', group: 'apps' }, { name: 'nodes' }] },
  ],
  [
    'k8s_objects: in namespaces',
    'k8s_objects',
    {
      objects: [
        { name: 'pods', mode: 'watch', namespaces: ['shop', 'bank'] },
        { name: 'clusterroles', namespaces: ['shop'] },
      ],
    },
  ],
  [
    'k8s_objects: not in namespaces',
    'k8s_objects',
    { objects: [{ name: 'widgets', group: 'shop.test', exclude_namespaces: [{ strict: 'shop' }] }] },
  ],
  [
    'k8s_objects: the same pulled and watched',
    'k8s_objects',
    { objects: [{ name: 'pods' }, { name: 'pods', mode: 'watch' }, { name: 'pods', namespaces: ['shop'] }] },
  ],
  ['k8s_events', 'k8s_events', {}],
  ['k8s_events in namespaces', 'k8s_events', { namespaces: ['shop'] }],
  ['k8s_leader_elector', 'k8s_leader_elector/gateway', { lease_name: 'gateway', lease_namespace: 'opentelemetry' }],
  ['resource_detection', 'resourcedetection', { detectors: ['env', 'k8s_api'] }],
  [
    'resource_detection with the name alone',
    'resource_detection',
    { detectors: ['env', 'k8s_api'], k8s_api: { resource_attributes: { 'k8s.cluster.uid': { enabled: false } } } },
  ],
];

describe('rights are those that the components make use of, and no others', () => {
  for (const [name, id, settings, signals = ['logs']] of CASES)
    it(name, async (t) => {
      const type = id
        .split('/')[0]!
        .replace(/^k8s(?=attributes|objects)/, 'k8s_')
        .replace('resourced', 'resource_d');
      const expected = computed(configWith(id, settings, [...signals]));
      assert.notEqual(expected.length, 0);
      assert.deepEqual(await asked(t, PLAYERS[type]!(t, settings, signals), expected), expected);
    });

  const on = (...names: string[]): Json => Object.fromEntries(names.map((n) => [n, { enabled: true }]));
  const api = { k8s_api_config: { auth_type: 'serviceAccount' } };
  const KUBELETS: readonly (readonly [string, Settings])[] = [
    ['by default', {}],
    ['with volumes', { metric_groups: ['node', 'pod', 'container', 'volume'] }],
    ['with ids of containers', { extra_metadata_labels: ['container.id'] }],
    ['with ids of containers, without containers', { extra_metadata_labels: ['container.id'], metric_groups: ['pod'] }],
    ['with types of volumes', { extra_metadata_labels: ['k8s.volume.type'], metric_groups: ['volume'] }],
    [
      'with types of volumes behind claims',
      { ...api, extra_metadata_labels: ['k8s.volume.type'], metric_groups: ['volume'] },
    ],
    ['with shares of limits', { metrics: on('k8s.container.cpu_limit_utilization') }],
    [
      'with shares of limits of pods, without pods',
      { metrics: on('k8s.pod.memory_request_utilization'), metric_groups: ['container'] },
    ],
    ['with shares of the node', { ...api, node: 'node-1', metrics: on('k8s.pod.cpu.node.utilization') }],
    ['with an API that nothing asks', { ...api }],
  ];
  for (const [name, settings] of KUBELETS)
    it(`kubelet_stats ${name}`, async (t) => {
      const running = await startApiServer({}, [
        ...RESOURCES,
        more('', 'v1', 'persistentvolumeclaims', 'PersistentVolumeClaim'),
        more('', 'v1', 'persistentvolumes', 'PersistentVolume', false),
      ]);
      running.population.put('nodes', {
        metadata: { name: 'node-1' },
        status: { capacity: { cpu: '4', memory: '8Gi' } },
      });
      running.population.put('persistentvolumeclaims', {
        metadata: { name: 'data', namespace: 'ns-0' },
        spec: { volumeName: 'disk' },
      });
      running.population.put('persistentvolumes', { metadata: { name: 'disk' }, spec: { local: {} } });
      const pods = podsOf({ pods: 1 }) as { items: { spec: { volumes: object[] } }[] };
      pods.items[0]!.spec.volumes.push({ name: 'd', persistentVolumeClaim: { claimName: 'data' } });
      const answers: Record<string, unknown> = { '/stats/summary': summaryOf({ pods: 1 }), '/pods': pods };
      const kubelet = await startFakeServer((path) => ({ json: answers[path] }));
      const { context, clock } = componentContext('kubelet_stats', 'receiver');
      const client = (url: string) => new KubernetesClient(makeAccess({ url }, context), { name: 'server' });
      const config = kubeletStats.schema.parse({
        auth_type: 'serviceAccount',
        endpoint: 'x:1',
        ...settings,
      }) as never as { k8s_api_config?: object };
      const scraper = new KubeletScraper({
        config: config as never,
        kubelet: client(kubelet.url),
        api: config.k8s_api_config ? client(running.url) : undefined,
        isUsageComputed: false,
        clock,
        log: context.log,
        build: context.build,
      });
      t.after(async () => {
        await scraper.stop();
        await kubelet.close();
        await running.stop();
      });
      await scraper.scrape(DEADLINE);
      const seen = new Set([
        ...kubelet.requests.map((r) => (r.path === '/pods' ? 'get nodes/pods' : 'get nodes/stats')),
        ...running.server.requests.flatMap(needed),
      ]);
      assert.deepEqual(
        [...seen].sort(),
        computed(configWith('kubeletstats', { auth_type: 'serviceAccount', ...settings }, ['metrics'])),
      );
    });

  it('the kinds of k8s_cluster and their metrics are those of the receiver', () => {
    const config = k8sCluster.schema.parse({ distribution: 'openshift', metrics: on(...METRICS.map((m) => m.name)) });
    const kinds = neededKinds(config as never, { metrics: true, entities: false });
    const own = [...CLUSTER_KINDS, OPENSHIFT_QUOTAS];
    const row = (resource: string, isClusterWide = false, hasEntity = false, prefixes: readonly string[] = []) => ({
      resource,
      isClusterWide,
      hasEntity,
      prefixes,
    });
    const byName = (a: { resource: string }, b: { resource: string }) => (a.resource < b.resource ? -1 : 1);
    assert.deepEqual(
      own.map((k) => row(k.resource, k.isClusterWide, k.hasEntity, k.prefixes)).sort(byName),
      kinds.map((k) => row(k.type.resource, k.isClusterWide, k.hasEntity, k.metrics)).sort(byName),
    );
    assert.deepEqual(
      own.flatMap((k) => k.on).sort(),
      METRICS.filter((m) => m.enabled)
        .map((m) => m.name)
        .sort(),
    );
  });
});

describe('rights', () => {
  const rights = (id: string, settings: Settings, options?: RbacOptions) => computed(configWith(id, settings), options);

  it('what reads pods from the kubelet needs nodes/pods, and nodes/proxy where the kubelet is older', () => {
    const settings = { kubelet: { enabled: true } };
    assert.deepEqual(rights('k8s_attributes', settings), ['get nodes/pods']);
    assert.deepEqual(rights('k8s_attributes', settings, { kubernetesVersion: 'v1.32.7+k3s1' }), ['get nodes/proxy']);
    assert.deepEqual(rights('k8s_attributes', settings, { kubernetesVersion: '1.33' }), ['get nodes/pods']);
  });

  it('nothing is needed by what is not used, has other credentials, or asks nobody', () => {
    const unused = configWith('k8s_events', {});
    assert.deepEqual(computed({ ...unused, receivers: { ...unused.receivers, k8s_cluster: {} } }), [
      'list events',
      'watch events',
    ]);
    assert.deepEqual(rights('k8s_cluster', { auth_type: 'kubeConfig' }), []);
    assert.deepEqual(rights('k8s_attributes', { passthrough: true }), []);
    assert.deepEqual(rights('kubeletstats', {}), [], 'by default with a certificate');
    assert.deepEqual(rights('resource_detection', { detectors: ['env', 'system'] }), []);
  });

  it('otelcol looks at more', () => {
    const engine = 'otelcol-contrib';
    assert.deepEqual(rights('k8s_attributes', { extract: { metadata: ['k8s.deployment.name'] } }, { engine }), [
      'list pods',
      'list replicasets.apps',
      'watch pods',
      'watch replicasets.apps',
    ]);
    assert.deepEqual(rights('k8s_attributes', { extract: { deployment_name_from_replicaset: true } }, { engine }), [
      'list pods',
      'watch pods',
    ]);
  });

  it('what discovers targets may see them', () => {
    const sd = (discovery: Json): Settings => ({
      config: { scrape_configs: [{ job_name: 'a', kubernetes_sd_configs: [discovery] }] },
    });
    assert.deepEqual(rights('prometheus', sd({ role: 'pod', attach_metadata: { node: true } })), [
      'list nodes',
      'list pods',
      'watch nodes',
      'watch pods',
    ]);
    assert.deepEqual(rights('prometheus', sd({ role: 'service', namespaces: { names: ['shop'] } })), [
      'list services in shop',
      'watch services in shop',
    ]);
    assert.deepEqual(rights('prometheus', sd({ role: 'pod', api_server: 'https://elsewhere' })), []);
    const of = (parts: Partial<CollectorConfig>, exporter: string): string[] =>
      computed({
        ...parts,
        service: {
          extensions: Object.keys(parts.extensions ?? {}),
          pipelines: { logs: { receivers: ['otlp'], exporters: [exporter] } },
        },
      });
    assert.deepEqual(of({ extensions: { k8s_observer: { observe_nodes: true } } }, 'debug'), [
      'list nodes',
      'list pods',
      'watch nodes',
      'watch pods',
    ]);
    const loadbalancing = { resolver: { k8s: { service: 'gateway.monitoring' } } };
    assert.deepEqual(of({ exporters: { loadbalancing } }, 'loadbalancing'), [
      'list endpointslices.discovery.k8s.io in monitoring',
      'watch endpointslices.discovery.k8s.io in monitoring',
    ]);
  });

  it('namespaces from the environment are those that the pod will have', () => {
    const lease = { lease_name: 'x', lease_namespace: '${env:OTEL_K8S_NAMESPACE}' };
    const env = { OTEL_K8S_NAMESPACE: 'monitoring' };
    assert.equal(rbacOf(configWith('k8s_leader_elector', lease), { env }).namespaced[0]?.namespace, 'monitoring');
    assert.throws(
      () => rbacOf(configWith('k8s_leader_elector', lease)),
      ({ diagnostics: [d] }: ConfigError) =>
        d?.path.join('.') === 'extensions.k8s_leader_elector.lease_namespace' &&
        /only the running collector/.test(d.message),
    );
  });

  it('a resource whose group nobody knows is a mistake with its place', () => {
    const objects: Json[] = [{ name: 'widgets', group: 'shop.test' }, { name: 'gadgets' }];
    assert.throws(
      () => rbacOf(configWith('k8s_objects', { objects })),
      ({ diagnostics }: ConfigError) =>
        diagnostics.length === 1 && diagnostics[0]!.path.join('.') === 'receivers.k8s_objects.objects.1.name',
    );
    assert.deepEqual(rights('k8s_objects', { objects: objects.slice(0, 1) }), ['list widgets.shop.test']);
  });

  it('rules are few, in a fixed order, and say what they are for', () => {
    const { cluster, namespaced } = rbacOf(
      configWith('k8s_objects', {
        objects: [
          { name: 'pods' },
          { name: 'services', mode: 'watch' },
          { name: 'pods', mode: 'watch' },
          { name: 'jobs', mode: 'watch', namespaces: ['shop'] },
          { name: 'pods', mode: 'watch', namespaces: ['shop'] },
        ],
      }),
    );
    assert.deepEqual(cluster, [
      {
        apiGroups: [''],
        resources: ['pods', 'services'],
        verbs: ['list', 'watch'],
        why: [
          'receivers.k8s_objects: objects pods, pull',
          'receivers.k8s_objects: objects pods, watch',
          'receivers.k8s_objects: objects services, watch',
        ],
      },
    ]);
    assert.deepEqual(namespaced, [
      {
        namespace: 'shop',
        rules: [
          {
            apiGroups: ['batch'],
            resources: ['jobs'],
            verbs: ['list', 'watch'],
            why: ['receivers.k8s_objects: objects jobs, watch'],
          },
        ],
      },
    ]);
  });
});
