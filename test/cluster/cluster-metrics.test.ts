/** Metrics of the objects of a cluster agree with what kubectl says of them, and follow when they change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectorConfig } from '../../src/deploy/config.ts';
import { rbacOf } from '../../src/deploy/rbac.ts';
import { until } from '../helpers/agent.ts';
import { startVictoriaMetrics, victoriaMetricsProgram } from '../helpers/victoria-metrics.ts';
import { type Any, LIMIT_MS, openCluster } from './cluster.ts';
import { makeAccount, runCollector } from './collector.ts';
import { type OtlpSink, startOtlpSink } from './otlp-sink.ts';
import { deployment, pod, ticker } from './workloads.ts';

const cluster = openCluster();

const gatewayConfig = (endpoint: string, remoteWrite: string | undefined): CollectorConfig => ({
  receivers: {
    k8s_cluster: {
      collection_interval: '1s',
      node_conditions_to_report: ['Ready', 'MemoryPressure'],
      allocatable_types_to_report: ['cpu', 'memory', 'pods'],
    },
  },
  exporters: {
    otlphttp: { endpoint },
    ...(remoteWrite
      ? {
          prometheusremotewrite: { endpoint: remoteWrite, resource_to_telemetry_conversion: { enabled: true } },
        }
      : {}),
  },
  service: {
    telemetry: { metrics: { level: 'none' } },
    pipelines: {
      metrics: {
        receivers: ['k8s_cluster'],
        exporters: ['otlphttp', ...(remoteWrite ? ['prometheusremotewrite'] : [])],
      },
    },
  },
});

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};
function amount(quantity: string): number {
  const [, number = '', unit = ''] = /^([\d.]+)(\w*)$/.exec(quantity) ?? [];
  return Number(number) * UNITS[unit]!;
}

const PHASES = ['Pending', 'Running', 'Succeeded', 'Failed'];
const KINDS = [
  'deployments',
  'replicasets',
  'replicationcontrollers',
  'statefulsets',
  'daemonsets',
  'jobs',
  'cronjobs',
  'horizontalpodautoscalers',
  'resourcequotas',
  'pods',
];

/** `metric uid attributes` → value, as the objects have it. */
function expectedOf(objects: readonly Any[]): Map<string, number> {
  const expected = new Map<string, number>();
  const put = (metric: string, of: Any, value: number | undefined, more = ''): void => {
    if (value !== undefined) expected.set(`${metric} ${of.metadata.uid}${more}`, value);
  };
  for (const o of objects) {
    const { spec, status = {} } = o;
    const replicas = (prefix: string) => {
      put(`${prefix}.desired`, o, spec.replicas);
      put(`${prefix}.available`, o, status.availableReplicas ?? 0);
    };
    switch (o.kind) {
      case 'Deployment':
        replicas('k8s.deployment');
        break;
      case 'ReplicaSet':
        replicas('k8s.replicaset');
        break;
      case 'ReplicationController':
        replicas('k8s.replication_controller');
        break;
      case 'StatefulSet':
        put('k8s.statefulset.desired_pods', o, spec.replicas);
        put('k8s.statefulset.ready_pods', o, status.readyReplicas ?? 0);
        put('k8s.statefulset.current_pods', o, status.currentReplicas ?? 0);
        put('k8s.statefulset.updated_pods', o, status.updatedReplicas ?? 0);
        break;
      case 'DaemonSet':
        put('k8s.daemonset.current_scheduled_nodes', o, status.currentNumberScheduled);
        put('k8s.daemonset.desired_scheduled_nodes', o, status.desiredNumberScheduled);
        put('k8s.daemonset.misscheduled_nodes', o, status.numberMisscheduled);
        put('k8s.daemonset.ready_nodes', o, status.numberReady);
        break;
      case 'Job':
        put('k8s.job.active_pods', o, status.active ?? 0);
        put('k8s.job.failed_pods', o, status.failed ?? 0);
        put('k8s.job.successful_pods', o, status.succeeded ?? 0);
        put('k8s.job.desired_successful_pods', o, spec.completions);
        put('k8s.job.max_parallel_pods', o, spec.parallelism);
        break;
      case 'CronJob':
        put('k8s.cronjob.active_jobs', o, status.active?.length ?? 0);
        break;
      case 'HorizontalPodAutoscaler':
        put('k8s.hpa.max_replicas', o, spec.maxReplicas);
        put('k8s.hpa.min_replicas', o, spec.minReplicas);
        put('k8s.hpa.current_replicas', o, status.currentReplicas ?? 0);
        put('k8s.hpa.desired_replicas', o, status.desiredReplicas ?? 0);
        break;
      case 'ResourceQuota':
        // Upstream counts CPU in thousandths here.
        for (const [suffix, amounts] of [
          ['hard_limit', status.hard],
          ['used', status.used],
        ] as const)
          for (const [resource, quantity] of Object.entries(amounts ?? {}))
            put(
              `k8s.resource_quota.${suffix}`,
              o,
              amount(quantity as string) * (/\.cpu$/.test(resource) ? 1000 : 1),
              ` ${resource}`,
            );
        break;
      case 'Namespace':
        put('k8s.namespace.phase', o, status.phase === 'Active' ? 1 : 0);
        break;
      case 'Node':
        for (const type of ['Ready', 'MemoryPressure']) {
          const { status: is } = status.conditions.find((c: Any) => c.type === type);
          put(`k8s.node.condition_${type === 'Ready' ? 'ready' : 'memory_pressure'}`, o, is === 'True' ? 1 : 0);
        }
        for (const type of ['cpu', 'memory', 'pods'])
          put(`k8s.node.allocatable_${type}`, o, amount(status.allocatable[type]));
        break;
      case 'Pod':
        put('k8s.pod.phase', o, PHASES.indexOf(status.phase) + 1);
        for (const c of spec.containers) {
          for (const [suffix, amounts] of [
            ['limit', c.resources.limits],
            ['request', c.resources.requests],
          ] as const) {
            if (amounts?.cpu) put(`k8s.container.cpu_${suffix}`, o, amount(amounts.cpu), ` ${c.name}`);
            if (amounts?.memory) put(`k8s.container.memory_${suffix}`, o, amount(amounts.memory), ` ${c.name}`);
          }
          const own = status.containerStatuses?.find((s: Any) => s.name === c.name);
          put('k8s.container.ready', o, own && (own.ready ? 1 : 0), ` ${c.name}`);
          put('k8s.container.restarts', o, own?.restartCount, ` ${c.name}`);
        }
    }
  }
  return expected;
}

/** What was collected last but one, of these objects: that collection is complete. */
function collected(sink: OtlpSink, uids: ReadonlySet<string>): Map<string, number> {
  const times = [...new Set(sink.points.map((p) => p.timeMs))].sort((a, b) => a - b);
  const got = new Map<string, number>();
  for (const p of sink.points.filter((x) => x.timeMs === times.at(-2))) {
    const uid = Object.entries(p.resource).find(([name, value]) => name.endsWith('.uid') && uids.has(value as string));
    if (!uid) continue;
    const more = p.resource['k8s.container.name'] ?? p.attributes['resource'];
    got.set(`${p.name} ${uid[1]}${more === undefined ? '' : ` ${more}`}`, p.value);
  }
  return got;
}

async function objectsOf(namespace: string): Promise<Any[]> {
  const [inside, around] = await Promise.all([
    cluster.list(KINDS.join(), '-n', namespace),
    cluster.list(`namespace/${namespace}`, `node/${cluster.nodeName}`),
  ]);
  return [...inside, ...around];
}

const sorted = (map: ReadonlyMap<string, number>): Record<string, number> => Object.fromEntries([...map].sort());

/** Waits until kubectl says the same before and after a collection; then that has to say it too. */
async function agrees(sink: OtlpSink, namespace: string, isReached: (objects: Any[]) => boolean): Promise<Any[]> {
  let objects: Any[] = [];
  let expected: Record<string, number> = {};
  let got: Record<string, number> = {};
  await until(
    async () => {
      objects = await objectsOf(namespace);
      if (!isReached(objects)) return false;
      expected = sorted(expectedOf(objects));
      const last = sink.points.at(-1)?.timeMs ?? 0;
      const collections = () => new Set(sink.points.map((p) => p.timeMs).filter((ms) => ms > last)).size;
      // The first of them may have begun before.
      await until(() => collections() >= 4, 'collections', LIMIT_MS);
      got = sorted(collected(sink, new Set(objects.map((o) => o.metadata.uid))));
      const after = sorted(expectedOf(await objectsOf(namespace)));
      sink.clearPoints();
      return JSON.stringify(after) === JSON.stringify(expected);
    },
    'the cluster to stay as it is over a collection',
    LIMIT_MS,
  );
  assert.deepEqual(got, expected);
  return objects;
}

test('metrics of the cluster agree with kubectl', async (t) => {
  const namespace = await cluster.namespace(t, 'metrics');
  const program = await victoriaMetricsProgram();
  const vm = program.missing === undefined ? await startVictoriaMetrics(t, program) : undefined;
  const sink = await startOtlpSink(t);
  const config = gatewayConfig(sink.url, vm?.writeUrl);
  const account = await makeAccount(t, cluster, namespace, 'gateway', rbacOf(config));
  const gateway = await runCollector(t, cluster, account, config);

  const labels = (app: string) => ({ metadata: { labels: { app } } });
  const own = (name: string) => ({ name, namespace });
  const template = (app: string, ...containers: object[]) => ({
    selector: { matchLabels: { app } },
    template: { ...labels(app), spec: { terminationGracePeriodSeconds: 1, containers } },
  });
  const job = (containers: object[]) => ({
    backoffLimit: 0,
    template: { spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 1, containers } },
  });
  const wrong = { ...ticker({ container: 'wrong' }), args: ['-nothing-like-this'] };
  const resources = { requests: { cpu: '10m', memory: '16Mi' }, limits: { cpu: '250m', memory: '32Mi' } };
  await cluster.apply(
    {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: own('quota'),
      spec: { hard: { 'limits.cpu': '100', pods: '30', 'requests.memory': '2Gi' } },
    },
    {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: own('range'),
      spec: { limits: [{ type: 'Container', default: resources.limits, defaultRequest: resources.requests }] },
    },
  );
  await cluster.apply(
    deployment(
      namespace,
      'web',
      2,
      ticker({ everyMs: 1000, resources }),
      ticker({ everyMs: 1000, container: 'sidecar' }),
    ),
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: own('db'),
      spec: { replicas: 1, serviceName: 'db', ...template('db', ticker({ everyMs: 1000 })) },
    },
    { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: own('ds'), spec: template('ds', ticker({ everyMs: 1000 })) },
    {
      apiVersion: 'v1',
      kind: 'ReplicationController',
      metadata: own('rc'),
      spec: { replicas: 1, selector: { app: 'rc' }, template: template('rc', ticker({ everyMs: 1000 })).template },
    },
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: own('long'),
      spec: { parallelism: 2, completions: 3, ...job([ticker({ everyMs: 1000 })]) },
    },
    { apiVersion: 'batch/v1', kind: 'Job', metadata: own('failing'), spec: job([wrong]) },
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: own('nightly'),
      spec: { schedule: '* * * * *', jobTemplate: { spec: job([ticker({ everyMs: 1000 })]) } },
    },
    {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: own('hpa'),
      spec: {
        minReplicas: 1,
        maxReplicas: 5,
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      },
    },
    pod(namespace, 'crashing', wrong),
    {
      ...pod(namespace, 'nowhere', ticker()),
      spec: { ...pod(namespace, 'nowhere', ticker()).spec, nodeSelector: { is: 'nowhere' } },
    },
  );
  const isReady = (name: string, count: number) => (objects: Any[]) =>
    objects.some((o) => o.kind === 'Deployment' && o.metadata.name === name && o.status.availableReplicas === count) &&
    objects.some((o) => o.metadata.name === 'failing' && o.status.failed === 1) &&
    objects.some((o) => o.metadata.name === 'crashing' && o.status.containerStatuses?.[0].restartCount > 1);
  await agrees(sink, namespace, isReady('web', 2));
  await cluster.kubectl(['-n', namespace, 'scale', 'deployment/web', '--replicas=3']);
  await cluster.kubectl(['-n', namespace, 'delete', 'statefulset/db', 'pod/nowhere']);
  const objects = await agrees(
    sink,
    namespace,
    (o) => isReady('web', 3)(o) && !o.some((x) => x.kind === 'StatefulSet' || x.metadata.labels?.app === 'db'),
  );
  assert.doesNotMatch(gateway.output, /forbidden|\terror\t/);

  // A database has it under the names that dashboards ask for.
  if (!vm) return t.diagnostic(`without VictoriaMetrics: ${program.missing}`);
  const crashing = objects.find((o) => o.metadata.name === 'crashing');
  const queries: [string, number][] = [
    [`k8s_deployment_desired{k8s_namespace_name="${namespace}",k8s_deployment_name="web"}`, 3],
    [`sum(k8s_deployment_available{k8s_namespace_name="${namespace}"})`, 3],
    [`k8s_job_failed_pods{k8s_namespace_name="${namespace}",k8s_job_name="failing"}`, 1],
    [`k8s_node_condition_ready{k8s_node_name="${cluster.nodeName}"}`, 1],
  ];
  for (const [query, value] of queries) {
    let got: number | undefined;
    await until(async () => (got = (await vm.query(query))[0]?.value) === value, query, LIMIT_MS).catch(() =>
      assert.equal(got, value, query),
    );
  }
  const restarts = `k8s_container_restarts{k8s_pod_uid="${crashing.metadata.uid}"} >= 2`;
  await until(async () => (await vm.query(restarts)).length === 1, restarts, LIMIT_MS);
});
