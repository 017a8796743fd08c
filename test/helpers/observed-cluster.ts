/**
 * A small cluster with one of everything, good and bad, that an agent and a gateway observe: a simulated API server and a
 * fake kubelet. `goWrong` makes what alerts are for happen.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { SimulatedApiServer } from '../../src/kubernetes/simulated/api-server.ts';
import { CLUSTER_RESOURCES, Population } from '../../src/kubernetes/simulated/population.ts';
import { defer } from './agent.ts';
import { podName, podUid, startFakeServer, summaryOf } from './kubelet.ts';

export interface ObservedCluster {
  /** Path of a kubeconfig for the API server. */
  readonly kubeconfig: string;
  readonly kubeletUrl: string;
  readonly population: Population;
  /** Somebody watches events: those from now on are told. */
  readonly isWatchedForEvents: boolean;
  /** Containers restart over and over, volumes fill up, a node is gone, a job fails. */
  goWrong(): void;
}

const NODE = 'node-1';
/** Pods of the kubelet's answer: deployments, then one of a StatefulSet and one of a DaemonSet. */
const PODS = 4;
const GIB = 1024 ** 3;
/** Of the disk of the node, which the fake kubelet's own volumes are on. */
const DISK_BYTES = 270_553_174_016;

/** The nth pod of the fake kubelet lives in this namespace. */
const namespaceOf = (i: number): string => `ns-${i % 7}`;

const condition = (type: string, status: string) => ({ type, status, lastTransitionTime: '2026-11-22T12:00:00Z' });

const nodeStatus = (ready: boolean, memoryPressure = false) => ({
  capacity: { cpu: '4', memory: '16Gi', pods: '110', 'ephemeral-storage': '250Gi' },
  allocatable: { cpu: '4', memory: '15Gi', pods: '110', 'ephemeral-storage': '200Gi' },
  conditions: [
    condition('Ready', ready ? 'True' : 'Unknown'),
    condition('MemoryPressure', memoryPressure ? 'True' : 'False'),
    condition('DiskPressure', 'False'),
    condition('PIDPressure', 'False'),
    condition('NetworkUnavailable', 'False'),
  ],
});

interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

const owner = (apiVersion: string, kind: string, name: string): Owner => ({
  apiVersion,
  kind,
  name,
  uid: `${kind.toLowerCase()}-${name}-uid`,
});

function podDraft(i: number, by: Owner, restarts = 0) {
  const namespace = namespaceOf(i);
  return {
    metadata: {
      name: podName(i),
      namespace,
      uid: podUid(i),
      creationTimestamp: '2026-11-22T12:00:00Z',
      labels: { app: 'web', 'pod-template-hash': '0000000000' },
      ownerReferences: [{ ...by, controller: true }],
    },
    spec: {
      nodeName: NODE,
      containers: [
        {
          name: 'app',
          image: 'registry.example/web:1.2.3',
          resources: { requests: { cpu: '20m', memory: '16Mi' }, limits: { cpu: '200m', memory: '128Mi' } },
        },
      ],
    },
    status: {
      phase: 'Running',
      qosClass: 'Burstable',
      podIP: `10.1.0.${i + 1}`,
      containerStatuses: [
        {
          name: 'app',
          image: 'registry.example/web:1.2.3',
          containerID: `containerd://${String(i).padStart(64, '0')}`,
          ready: restarts === 0,
          restartCount: restarts,
          state: restarts === 0 ? { running: {} } : { waiting: { reason: 'CrashLoopBackOff' } },
        },
      ],
    },
  };
}

const meta = (name: string, namespace = namespaceOf(0), more: object = {}) => ({
  name,
  namespace,
  uid: `${name}-uid`,
  creationTimestamp: '2026-11-22T12:00:00Z',
  ...more,
});

function fill(p: Population): void {
  p.put('nodes', { metadata: meta(NODE, ''), spec: {}, status: nodeStatus(true) });
  for (const name of [...Array.from({ length: PODS }, (_, i) => namespaceOf(i)), 'kube-system'])
    p.put('namespaces', {
      metadata: { ...meta(name, ''), namespace: undefined as never },
      status: { phase: 'Active' },
    });
  const deployment = owner('apps/v1', 'Deployment', 'web');
  p.put('deployments.apps', {
    metadata: meta('web', namespaceOf(0), { uid: deployment.uid }),
    spec: { replicas: 2 },
    status: { availableReplicas: 2 },
  });
  const replicas = owner('apps/v1', 'ReplicaSet', 'web-0000000000');
  for (const i of [0, 1])
    p.put('replicasets.apps', {
      metadata: meta(replicas.name, namespaceOf(i), {
        uid: replicas.uid,
        ownerReferences: [{ ...deployment, controller: true }],
      }),
      spec: { replicas: 2 },
      status: { availableReplicas: 2 },
    });
  p.put('statefulsets.apps', {
    metadata: meta('store', namespaceOf(2)),
    spec: { replicas: 1 },
    status: { readyReplicas: 1, currentReplicas: 1, updatedReplicas: 1 },
  });
  p.put('daemonsets.apps', {
    metadata: meta('logs', namespaceOf(3)),
    spec: {},
    status: { desiredNumberScheduled: 2, currentNumberScheduled: 2, numberReady: 2, numberMisscheduled: 0 },
  });
  p.put('jobs.batch', { metadata: meta('report'), spec: { completions: 1, parallelism: 1 }, status: { active: 1 } });
  p.put('cronjobs.batch', {
    metadata: meta('nightly'),
    spec: { schedule: '0 3 * * *', concurrencyPolicy: 'Allow' },
    status: { active: [] },
  });
  p.put('horizontalpodautoscalers.autoscaling', {
    metadata: meta('web'),
    spec: {
      minReplicas: 1,
      maxReplicas: 4,
      scaleTargetRef: { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' },
    },
    status: { currentReplicas: 2, desiredReplicas: 2 },
  });
  p.put('resourcequotas', {
    metadata: meta('quota'),
    status: { hard: { 'requests.cpu': '4', pods: '10' }, used: { 'requests.cpu': '1', pods: '2' } },
  });
  p.put('persistentvolumeclaims', { metadata: meta('data-store-0', namespaceOf(2)), spec: { volumeName: 'pv-1' } });
  p.put('persistentvolumes', {
    metadata: { ...meta('pv-1', ''), namespace: undefined as never },
    spec: { local: { path: '/disk' }, capacity: { storage: '10Gi' } },
  });
  for (let i = 0; i < PODS; i++) p.put('pods', podDraft(i, ownerOf(i, replicas)));
}

const ownerOf = (i: number, replicas: Owner): Owner =>
  i === 2 ? owner('apps/v1', 'StatefulSet', 'store') : i === 3 ? owner('apps/v1', 'DaemonSet', 'logs') : replicas;

function breakThings(p: Population, restarts: number): void {
  const replicas = owner('apps/v1', 'ReplicaSet', 'web-0000000000');
  p.put('nodes', { metadata: meta('node-2', ''), spec: {}, status: nodeStatus(false, true) });
  p.put('pods', podDraft(0, replicas, restarts));
  const { nodeName: _, ...spec } = podDraft(1, replicas).spec;
  p.put('pods', { metadata: meta('web-pending'), spec, status: { phase: 'Pending', qosClass: 'Burstable' } });
  p.put('jobs.batch', { metadata: meta('report'), spec: { completions: 1, parallelism: 1 }, status: { failed: 3 } });
  p.put('deployments.apps', {
    metadata: meta('web', namespaceOf(0), { uid: 'deployment-web-uid' }),
    spec: { replicas: 2 },
    status: { availableReplicas: 1 },
  });
  p.put('statefulsets.apps', {
    metadata: meta('store', namespaceOf(2)),
    spec: { replicas: 1 },
    status: { readyReplicas: 0, currentReplicas: 1, updatedReplicas: 1 },
  });
  p.put('daemonsets.apps', {
    metadata: meta('logs', namespaceOf(3)),
    spec: {},
    status: { desiredNumberScheduled: 2, currentNumberScheduled: 2, numberReady: 1, numberMisscheduled: 0 },
  });
  p.put('resourcequotas', {
    metadata: meta('quota'),
    status: { hard: { 'requests.cpu': '4', pods: '10' }, used: { 'requests.cpu': '1', pods: '10' } },
  });
}

/** With a claim and its volume in the pod of the StatefulSet, and a node whose disk can be full. */
function summary(seconds: number, isBad: boolean) {
  const s = summaryOf({ pods: PODS, seconds });
  const free = isBad ? 0.02 : 0.6;
  const fs = (capacityBytes: number) => ({
    time: s.node.startTime,
    capacityBytes,
    availableBytes: capacityBytes * free,
    usedBytes: capacityBytes * (1 - free),
    inodes: 1_000_000,
    inodesFree: 1_000_000 * free,
    inodesUsed: 1_000_000 * (1 - free),
  });
  const claim = { ...fs(10 * GIB), name: 'data', pvcRef: { name: 'data-store-0', namespace: namespaceOf(2) } };
  return {
    ...s,
    node: { ...s.node, fs: fs(DISK_BYTES) },
    pods: s.pods.map((p, i) => (i === 2 ? { ...p, volume: [...p.volume, claim] } : p)),
  };
}

/** What kubelets say in /pods, with the claim behind the volume. */
function pods(p: Population) {
  const items = p
    .list('pods')
    .filter((pod) => (pod['spec'] as { nodeName?: string }).nodeName === NODE)
    .map((pod) => {
      if (pod.metadata.name !== podName(2)) return pod;
      const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: 'data-store-0' } }];
      return { ...pod, spec: { ...(pod['spec'] as object), volumes } };
    });
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
}

export async function startObservedCluster(t: TestContext, dir: string): Promise<ObservedCluster> {
  const population = new Population({ nowMs: () => Date.now(), resources: CLUSTER_RESOURCES });
  fill(population);
  const server = new SimulatedApiServer(population);
  const listener = createServer(server.handle);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  defer(t, async () => {
    server.close();
    listener.closeAllConnections();
    await new Promise((resolve) => listener.close(resolve));
  });
  let isBad = false;
  let scrapes = 0;
  let restarts = 0;
  const kubelet = await startFakeServer((path) => {
    if (path.startsWith('/stats/summary')) {
      if (isBad) breakThings(population, ++restarts);
      return { json: summary(600 + ++scrapes, isBad) };
    }
    return path.startsWith('/pods') ? { json: pods(population) } : { status: 404, text: 'no such page' };
  });
  defer(t, () => kubelet.close());
  const kubeconfig = join(dir, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${(listener.address() as AddressInfo).port}` } }],
      users: [{ name: 'u', user: { token: 'test' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  return {
    kubeconfig,
    kubeletUrl: kubelet.url,
    population,
    get isWatchedForEvents() {
      return server.requests.some(({ path, query }) => path.endsWith('/events') && query['watch'] !== undefined);
    },
    goWrong: () => void (isBad = true),
  };
}
