import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLUSTER_QUOTAS, NAMESPACES, nodes, RESOURCE_QUOTAS } from './cluster-kinds.ts';
import type { ObjectKind } from './object-kind.ts';
import { PODS } from './pods.ts';
import { configOf, measure, object } from './testing.ts';
import { WORKLOAD_KINDS } from './workloads.ts';

const workload = (resource: string): ObjectKind => WORKLOAD_KINDS.find((k) => k.type.resource === resource)!;
const on = (...names: string[]) => ({ metrics: Object.fromEntries(names.map((n) => [n, { enabled: true }])) });

describe('metrics of workloads', () => {
  const cases: [resource: string, fields: object, values: Record<string, number>][] = [
    ['deployments', { spec: { replicas: 3 }, status: { availableReplicas: 2 } }, { desired: 3, available: 2 }],
    ['deployments', { spec: { replicas: 0 } }, { desired: 0, available: 0 }],
    ['replicasets', { spec: { replicas: 1 }, status: {} }, { desired: 1, available: 0 }],
    ['replicasets', { spec: {}, status: { availableReplicas: 1 } }, {}],
    [
      'replicationcontrollers',
      { spec: { replicas: 2 }, status: { availableReplicas: 2 } },
      { desired: 2, available: 2 },
    ],
    ['replicationcontrollers', {}, {}],
    [
      'statefulsets',
      { spec: { replicas: 4 }, status: { readyReplicas: 3, currentReplicas: 2, updatedReplicas: 1 } },
      { desired_pods: 4, ready_pods: 3, current_pods: 2, updated_pods: 1 },
    ],
    ['statefulsets', { status: { readyReplicas: 3 } }, {}],
    [
      'daemonsets',
      {
        status: { currentNumberScheduled: 4, desiredNumberScheduled: 5, numberMisscheduled: 1, numberReady: 3 },
      },
      { current_scheduled_nodes: 4, desired_scheduled_nodes: 5, misscheduled_nodes: 1, ready_nodes: 3 },
    ],
    [
      'jobs',
      { spec: { completions: 5, parallelism: 2 }, status: { active: 1, failed: 2, succeeded: 3 } },
      { active_pods: 1, failed_pods: 2, successful_pods: 3, desired_successful_pods: 5, max_parallel_pods: 2 },
    ],
    ['jobs', { spec: {}, status: {} }, { active_pods: 0, failed_pods: 0, successful_pods: 0 }],
    ['cronjobs', { status: { active: [{ name: 'a' }, { name: 'b' }] } }, { active_jobs: 2 }],
    ['cronjobs', {}, { active_jobs: 0 }],
    [
      'horizontalpodautoscalers',
      { spec: { minReplicas: 1, maxReplicas: 9 }, status: { currentReplicas: 4, desiredReplicas: 5 } },
      { max_replicas: 9, min_replicas: 1, current_replicas: 4, desired_replicas: 5 },
    ],
    [
      'horizontalpodautoscalers',
      { spec: { maxReplicas: 9 } },
      { max_replicas: 9, current_replicas: 0, desired_replicas: 0 },
    ],
  ];
  for (const [resource, fields, values] of cases)
    it(`${resource}: ${JSON.stringify(fields)}`, () => {
      const kind = workload(resource);
      const { values: found } = measure(kind, object('x', fields));
      const named = Object.fromEntries(Object.entries(values).map(([n, v]) => [kind.metrics[0] + n, v]));
      assert.deepEqual(found, named);
    });

  it('a workload is known by uid, name and namespace', () => {
    const { resources } = measure(workload('daemonsets'), object('agent'));
    assert.deepEqual(resources, [
      { 'k8s.namespace.name': 'shop', 'k8s.daemonset.uid': 'uid-of-agent', 'k8s.daemonset.name': 'agent' },
    ]);
  });

  it('what an autoscaler scales is there when it is asked for', () => {
    const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
    const o = object('web', { spec: { maxReplicas: 2, scaleTargetRef } });
    const resource_attributes = { 'k8s.hpa.scaletargetref.kind': { enabled: true } };
    const { resources } = measure(workload('horizontalpodautoscalers'), o, { resource_attributes });
    assert.equal(resources[0]!['k8s.hpa.scaletargetref.kind'], 'Deployment');
    assert.equal('k8s.hpa.scaletargetref.name' in resources[0]!, false);
  });
});

describe('metrics of pods', () => {
  const running = { name: 'app', image: 'r.example:5000/team/app:2', containerID: 'containerd://ab12', ready: true };
  const pod = (status: object, containers: object[] = []) =>
    object('p', { spec: { nodeName: 'n1', containers }, status });

  for (const [phase, value] of [
    ['Pending', 1],
    ['Running', 2],
    ['Succeeded', 3],
    ['Failed', 4],
    ['Unknown', 5],
    ['', 5],
  ] as const)
    it(`phase ${phase || 'missing'} is ${value}`, () =>
      assert.deepEqual(measure(PODS, pod({ phase })).values, { 'k8s.pod.phase': value }));

  for (const [reason, value] of [
    ['Evicted', 1],
    ['NodeAffinity', 2],
    ['NodeLost', 3],
    ['Shutdown', 4],
    ['UnexpectedAdmissionError', 5],
    ['', 6],
    ['Other', 6],
  ] as const)
    it(`status reason ${reason || 'missing'} is ${value}`, () => {
      const { values } = measure(PODS, pod({ reason }), on('k8s.pod.status_reason'));
      assert.equal(values['k8s.pod.status_reason'], value);
    });

  it('a container has what it declares, and what its status says', () => {
    const resources = {
      requests: { cpu: '250m', memory: '1Gi', 'ephemeral-storage': '1k' },
      limits: { cpu: '1.5', memory: '2500m', storage: '1' },
    };
    const o = pod({ containerStatuses: [{ ...running, restartCount: 3 }] }, [{ name: 'app', resources }]);
    const { values, resources: found } = measure(PODS, o);
    assert.deepEqual(values, {
      'k8s.pod.phase': 5,
      'k8s.container.cpu_request': 0.25,
      'k8s.container.memory_request': 2 ** 30,
      'k8s.container.ephemeralstorage_request': 1000,
      'k8s.container.cpu_limit': 1.5,
      'k8s.container.memory_limit': 3,
      'k8s.container.storage_limit': 1,
      'k8s.container.restarts': 3,
      'k8s.container.ready': 1,
    });
    assert.deepEqual(found[1], {
      'k8s.pod.uid': 'uid-of-p',
      'k8s.pod.name': 'p',
      'k8s.node.name': 'n1',
      'k8s.namespace.name': 'shop',
      'container.id': 'ab12',
      'k8s.container.name': 'app',
      'container.image.name': 'r.example:5000/team/app',
      'container.image.tag': '2',
    });
  });

  it('a container without status and resources is no resource, and init containers are not looked at', () => {
    const o = object('p', { spec: { containers: [{ name: 'app' }], initContainers: [{ name: 'init' }] } });
    assert.equal(measure(PODS, o).resources.length, 1);
  });

  it('every state is there, and the one it is in is 1', () => {
    const status = { ...running, state: { waiting: { reason: 'CrashLoopBackOff' } } };
    const config = on('k8s.container.status.state', 'k8s.container.status.reason');
    const { points } = measure(PODS, pod({ containerStatuses: [status] }, [{ name: 'app' }]), config);
    const of = (metric: string) => points.filter((p) => p.metric.startsWith(`${metric}{`));
    assert.deepEqual(
      of('k8s.container.status.state').map((p) => [p.metric.slice(26), p.value]),
      [
        ['{terminated}', 0],
        ['{running}', 0],
        ['{waiting}', 1],
      ],
    );
    const reasons = of('k8s.container.status.reason');
    assert.equal(reasons.length, 9);
    assert.deepEqual(
      reasons.filter((p) => p.value === 1).map((p) => p.metric),
      ['k8s.container.status.reason{CrashLoopBackOff}'],
    );
  });

  it('why a container ended before is there when it is asked for', () => {
    const status = { ...running, lastState: { terminated: { reason: 'OOMKilled' } } };
    const resource_attributes = { 'k8s.container.status.last_terminated_reason': { enabled: true } };
    const o = pod({ containerStatuses: [status] }, [{ name: 'app' }]);
    const { resources } = measure(PODS, o, { resource_attributes });
    assert.equal(resources[1]!['k8s.container.status.last_terminated_reason'], 'OOMKilled');
  });
});

describe('metrics of nodes, namespaces and quotas', () => {
  const node = object('n1', {
    status: {
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'PIDPressure', status: 'False' },
        { type: 'DiskPressure', status: 'Unknown' },
      ],
      allocatable: { cpu: '1930m', memory: '7Gi', pods: '110', 'hugepages-2Mi': '0' },
      nodeInfo: { containerRuntimeVersion: 'containerd://2.1.3', osImage: 'Debian 12', operatingSystem: 'linux' },
    },
  });

  it('a node has the conditions and resources that are asked for; a missing resource is no point', () => {
    const config = {
      node_conditions_to_report: ['Ready', 'PIDPressure', 'DiskPressure', 'NetworkUnavailable'],
      allocatable_types_to_report: ['cpu', 'memory', 'pods', 'storage', 'hugepages-2Mi'],
    };
    const { values, points } = measure(nodes(configOf(config)), node, config);
    assert.deepEqual(values, {
      'k8s.node.condition_ready': 1,
      'k8s.node.condition_pid_pressure': 0,
      'k8s.node.condition_disk_pressure': -1,
      'k8s.node.condition_network_unavailable': -1,
      'k8s.node.allocatable_cpu': 1.93,
      'k8s.node.allocatable_memory': 7 * 2 ** 30,
      'k8s.node.allocatable_pods': 110,
      'k8s.node.allocatable_hugepages_2_mi': 0,
    });
    assert.deepEqual(new Set(points.map((p) => p.start)), new Set([0n]));
  });

  it('all conditions of a node as one metric are a resource of their own, with a start time', () => {
    const config = on('k8s.node.condition');
    const { points, resources } = measure(nodes(configOf(config)), node, config);
    assert.deepEqual(
      points.map((p) => [p.metric, p.value, p.start]),
      [
        ['k8s.node.condition{Ready}', 1, 5n],
        ['k8s.node.condition{PIDPressure}', 0, 5n],
        ['k8s.node.condition{DiskPressure}', -1, 5n],
        ['k8s.node.condition_ready', 1, 0n],
      ],
    );
    assert.equal(resources.length, 2);
  });

  it('the runtime of a node is split into name and version', () => {
    const enabled = { enabled: true };
    const resource_attributes = { 'container.runtime': enabled, 'container.runtime.version': enabled };
    const { resources } = measure(nodes(configOf()), node, { resource_attributes });
    assert.equal(resources[0]!['container.runtime'], 'containerd');
    assert.equal(resources[0]!['container.runtime.version'], '2.1.3');
  });

  for (const [phase, value] of [
    ['Active', 1],
    ['Terminating', 0],
    ['', -1],
  ] as const)
    it(`a namespace that is ${phase || 'without phase'} is ${value}`, () => {
      const { values } = measure(NAMESPACES, object('shop', { status: { phase } }));
      assert.deepEqual(values, { 'k8s.namespace.phase': value });
    });

  it('a quota counts CPUs of requests in thousandths, and the others in whole units', () => {
    const hard = { 'requests.cpu': '1', cpu: '1500m', 'requests.memory': '1Ki', pods: '3' };
    const used = { 'requests.cpu': '110m' };
    assert.deepEqual(measure(RESOURCE_QUOTAS, object('q', { status: { hard, used } })).values, {
      'k8s.resource_quota.hard_limit{requests.cpu}': 1000,
      'k8s.resource_quota.hard_limit{cpu}': 2,
      'k8s.resource_quota.hard_limit{requests.memory}': 1024,
      'k8s.resource_quota.hard_limit{pods}': 3,
      'k8s.resource_quota.used{requests.cpu}': 110,
    });
  });

  it('a quota of OpenShift counts in total and by namespace', () => {
    const status = {
      total: { hard: { pods: '9' }, used: { pods: '4' } },
      namespaces: [{ namespace: 'a', status: { hard: { pods: '9' }, used: { pods: '1' } } }],
    };
    assert.deepEqual(measure(CLUSTER_QUOTAS, object('q', { status })).values, {
      'openshift.clusterquota.limit{pods}': 9,
      'openshift.clusterquota.used{pods}': 4,
      'openshift.appliedclusterquota.limit{a,pods}': 9,
      'openshift.appliedclusterquota.used{a,pods}': 1,
    });
  });

  it('objects of any form are no error', () => {
    const all = [PODS, nodes(configOf()), NAMESPACES, RESOURCE_QUOTAS, CLUSTER_QUOTAS, ...WORKLOAD_KINDS];
    for (const fields of [{ spec: null, status: null }, { spec: [], status: 'x' }, { status: { conditions: [null] } }])
      for (const kind of all) assert.ok(measure(kind, object('x', fields)));
  });
});
