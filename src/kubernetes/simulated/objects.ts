/**
 * Objects of a simulated cluster as controllers, the scheduler and kubelets write them, with the parts that only take
 * room (managedFields, tolerations, probes). What many objects have in common is the same value in memory.
 */
import type { KubernetesObject, OwnerReference } from '../object.ts';
import type { Draft } from './population.ts';

export interface SimulatedContainer {
  readonly name: string;
  readonly image: string;
}

/** A workload and its pods. */
export interface SimulatedApp {
  readonly namespace: string;
  readonly name: string;
  readonly kind: 'Deployment' | 'DaemonSet';
  /** Of a Deployment. */
  readonly replicas: number;
  readonly containers: readonly SimulatedContainer[];
  /** Where its pods run; everywhere when it is missing. */
  readonly nodes?: readonly string[];
  readonly version?: string;
}

export const hex = (n: number, length: number): string => n.toString(16).padStart(length, '0');

const labelsOf = (app: SimulatedApp): Record<string, string> => ({
  app: app.name,
  'app.kubernetes.io/name': app.name,
  'app.kubernetes.io/part-of': app.namespace,
  ...(app.version === undefined ? {} : { 'app.kubernetes.io/version': app.version }),
});

const managedBy = (manager: string, at: string, fields: readonly string[]) => ({
  manager,
  operation: 'Update',
  apiVersion: 'v1',
  time: at,
  fieldsType: 'FieldsV1',
  fieldsV1: Object.fromEntries(fields.map((f) => [`f:${f}`, {}])),
});

const condition = (type: string, at: string, status = 'True') => ({
  type,
  status,
  lastProbeTime: null,
  lastTransitionTime: at,
});

export const namespaceDraft = (name: string): Draft => ({
  metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
  spec: { finalizers: ['kubernetes'] },
  status: { phase: 'Active' },
});

export function nodeDraft(name: string, index: number, heartbeatAt: string): Draft {
  const amounts = { cpu: '8', memory: '32761756Ki', pods: '110', 'ephemeral-storage': '264212084Ki' };
  return {
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        'topology.kubernetes.io/zone': `zone-${index % 3}`,
      },
      annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
    },
    spec: { podCIDR: `10.${64 + (index >> 8)}.${index & 255}.0/24` },
    status: {
      capacity: amounts,
      allocatable: amounts,
      addresses: [
        { type: 'InternalIP', address: `10.0.${index >> 8}.${index & 255}` },
        { type: 'Hostname', address: name },
      ],
      conditions: ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'].map((type) => ({
        ...condition(type, heartbeatAt, type === 'Ready' ? 'True' : 'False'),
        lastHeartbeatTime: heartbeatAt,
        reason: `Kubelet${type}`,
        message: `kubelet has told about ${type}`,
      })),
      nodeInfo: {
        kubeletVersion: 'v1.34.0',
        containerRuntimeVersion: 'containerd://2.1.4',
        osImage: 'Talos (v1.11.0)',
        kernelVersion: '6.12.40-talos',
        operatingSystem: 'linux',
        architecture: 'amd64',
      },
      images: Array.from({ length: 20 }, (_, i) => ({
        names: [`registry.example/image-${i}@sha256:${hex(i + 1, 64)}`, `registry.example/image-${i}:1.${i}.0`],
        sizeBytes: 20_000_000 + i,
      })),
    },
  };
}

const conditionsOfDeployment = (at: string) => [
  { ...condition('Available', at), reason: 'MinimumReplicasAvailable' },
  { ...condition('Progressing', at), reason: 'NewReplicaSetAvailable' },
];

function podTemplate(app: SimulatedApp, labels: Readonly<Record<string, string>>) {
  return {
    metadata: { labels },
    spec: {
      containers: containersOf(app, 'kube-api-access'),
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
    },
  };
}

export function deploymentDraft(app: SimulatedApp, replicas: number, at: string): Draft {
  const labels = labelsOf(app);
  return {
    metadata: {
      name: app.name,
      namespace: app.namespace,
      labels,
      annotations: { 'deployment.kubernetes.io/revision': '2' },
      managedFields: [managedBy('kubectl', at, ['spec', 'metadata', 'replicas', 'selector', 'template'])],
    },
    spec: { replicas, selector: { matchLabels: { app: app.name } }, template: podTemplate(app, labels) },
    status: {
      replicas,
      updatedReplicas: replicas,
      readyReplicas: replicas,
      availableReplicas: replicas,
      conditions: conditionsOfDeployment(at),
    },
  };
}

export function replicaSetDraft(
  app: SimulatedApp,
  hash: string,
  replicas: number,
  deployment: OwnerReference,
  at: string,
): Draft {
  const labels = { ...labelsOf(app), 'pod-template-hash': hash };
  return {
    metadata: {
      name: `${app.name}-${hash}`,
      namespace: app.namespace,
      labels,
      ownerReferences: [deployment],
      managedFields: [managedBy('kube-controller-manager', at, ['spec', 'metadata', 'replicas', 'status'])],
    },
    spec: {
      replicas,
      selector: { matchLabels: { app: app.name, 'pod-template-hash': hash } },
      template: podTemplate(app, labels),
    },
    status: { replicas, fullyLabeledReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas },
  };
}

export function daemonSetDraft(app: SimulatedApp, nodes: number): Draft {
  const labels = labelsOf(app);
  return {
    metadata: { name: app.name, namespace: app.namespace, labels },
    spec: { selector: { matchLabels: { app: app.name } }, template: podTemplate(app, labels) },
    status: {
      currentNumberScheduled: nodes,
      desiredNumberScheduled: nodes,
      numberAvailable: nodes,
      numberReady: nodes,
      numberMisscheduled: 0,
      updatedNumberScheduled: nodes,
    },
  };
}

export const ownerOf = (o: KubernetesObject): OwnerReference => ({
  apiVersion: String(o.apiVersion),
  kind: String(o.kind),
  name: o.metadata.name,
  uid: o.metadata.uid,
  controller: true,
});

function containersOf(app: SimulatedApp, tokenVolume: string) {
  return app.containers.map(({ name, image }) => ({
    name,
    image,
    ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    env: [
      { name: 'NODE_IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.hostIP' } } },
      { name: 'LOG_LEVEL', value: 'info' },
    ],
    resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
    volumeMounts: [
      { name: 'scratch', mountPath: '/scratch' },
      { name: tokenVolume, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
    ],
    readinessProbe: {
      httpGet: { path: '/ready', port: 8080, scheme: 'HTTP' },
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
    },
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: 'IfNotPresent',
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  }));
}

/** What all pods of an app have in common. */
export function podShape(app: SimulatedApp, owner: OwnerReference, hash: string, at: string) {
  const tokenVolume = `kube-api-access-${hash.slice(0, 5)}`;
  return {
    app,
    labels: {
      ...labelsOf(app),
      ...(app.kind === 'Deployment' ? { 'pod-template-hash': hash } : { 'controller-revision-hash': hash }),
    },
    annotations: { 'example.com/config-checksum': hex(hash.length * 7919, 32) },
    owners: [owner],
    managedFields: [
      managedBy('kube-controller-manager', at, ['metadata', 'spec', 'containers', 'dnsPolicy', 'enableServiceLinks']),
      managedBy('kubelet', at, ['status', 'conditions', 'containerStatuses', 'hostIP', 'phase', 'podIP', 'startTime']),
    ],
    containers: containersOf(app, tokenVolume),
    volumes: [
      { name: 'scratch', emptyDir: {} },
      {
        name: tokenVolume,
        projected: {
          defaultMode: 420,
          sources: [
            { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
            { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
            {
              downwardAPI: {
                items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
              },
            },
          ],
        },
      },
    ],
    tolerations: ['not-ready', 'unreachable'].map((what) => ({
      key: `node.kubernetes.io/${what}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 300,
    })),
  };
}
export type PodShape = ReturnType<typeof podShape>;

export interface PodIdentity {
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  /** Makes its address and the ids of its containers. */
  readonly number: number;
}

/** A pod that nobody has placed yet (without a node), one that is placed, or one that runs (with a time). */
export function podDraft(shape: PodShape, pod: PodIdentity, createdAt: string, startedAt: string | undefined): Draft {
  const { app } = shape;
  const conditions = pod.node === '' ? [] : ['PodScheduled', 'Initialized'];
  if (startedAt !== undefined) conditions.push('ContainersReady', 'Ready');
  return {
    metadata: {
      name: pod.name,
      generateName: pod.name.slice(0, -5),
      namespace: app.namespace,
      uid: pod.uid,
      creationTimestamp: createdAt,
      labels: shape.labels,
      annotations: shape.annotations,
      ownerReferences: shape.owners,
      managedFields: shape.managedFields,
    },
    spec: {
      ...(pod.node === '' ? {} : { nodeName: pod.node }),
      containers: shape.containers,
      volumes: shape.volumes,
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      serviceAccount: 'default',
      securityContext: {},
      schedulerName: 'default-scheduler',
      tolerations: shape.tolerations,
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
    },
    status: {
      phase: startedAt === undefined ? 'Pending' : 'Running',
      qosClass: 'Burstable',
      conditions: conditions.map((type) => condition(type, startedAt ?? createdAt)),
      ...(startedAt === undefined
        ? {}
        : {
            hostIP: '10.0.0.5',
            podIP: `10.${64 + ((pod.number >> 16) & 63)}.${(pod.number >> 8) & 255}.${pod.number & 255}`,
            startTime: createdAt,
            containerStatuses: app.containers.map(({ name, image }, c) => ({
              name,
              ready: true,
              started: true,
              restartCount: 0,
              image,
              imageID: `${image.replace(/:[^:/]*$/, '')}@sha256:${hex(image.length * 104_729, 64)}`,
              containerID: `containerd://${hex(pod.number * 8 + c, 64)}`,
              lastState: {},
              state: { running: { startedAt } },
            })),
          }),
    },
  };
}

/** An event as the recorders of Kubernetes components write it. */
export function eventDraft(
  about: KubernetesObject,
  event: {
    readonly name: string;
    readonly at: string;
    readonly type?: 'Normal' | 'Warning';
    readonly reason: string;
    readonly message: string;
    readonly component: string;
    readonly host?: string;
  },
): Draft {
  return {
    metadata: { name: event.name, namespace: about.metadata.namespace ?? 'default' },
    involvedObject: {
      kind: about.kind,
      apiVersion: about.apiVersion,
      name: about.metadata.name,
      ...(about.metadata.namespace === undefined ? {} : { namespace: about.metadata.namespace }),
      uid: about.metadata.uid,
      resourceVersion: about.metadata.resourceVersion,
    },
    reason: event.reason,
    message: event.message,
    source: { component: event.component, ...(event.host === undefined ? {} : { host: event.host }) },
    firstTimestamp: event.at,
    lastTimestamp: event.at,
    count: 1,
    type: event.type ?? 'Normal',
    eventTime: null,
    reportingComponent: event.component,
    reportingInstance: event.host ?? '',
  };
}
