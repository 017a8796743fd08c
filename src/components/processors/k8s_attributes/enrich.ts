/** The attributes of one resource: what is known about its pod, container, namespace, node and owners. */
import type { ReadonlyValueMap, Value, ValueMap } from '../../../wire/otlp.ts';
import { OWNER_KINDS, type OwnerKind } from './config.ts';
import type { ContainerFacts, ObjectFacts, PodFacts } from './facts.ts';
import { type Identity, textOf } from './identify.ts';
import { canonicalImage, parseImage, versionOfImage } from './image.ts';
import type { Rules, Tags } from './rules.ts';

/** Objects around pods; undefined when the object, or the whole kind, is not known. */
export interface Surroundings {
  namespace(name: string): ObjectFacts | undefined;
  node(name: string): ObjectFacts | undefined;
  owner(kind: OwnerKind, uid: string): ObjectFacts | undefined;
  /** The cache of this kind runs, whether or not it knows an object. */
  watches(kind: OwnerKind): boolean;
  readonly clusterUid: string;
  /** All namespaces are known but those that came just now. */
  readonly knowsNamespaces: boolean;
  /** Everything that was there at the start is known, but for what cannot be read. */
  readonly isComplete: boolean;
}

/** Nothing but the pod itself. */
export const NO_SURROUNDINGS: Surroundings = {
  namespace: () => undefined,
  node: () => undefined,
  owner: () => undefined,
  watches: () => false,
  clusterUid: '',
  knowsNamespaces: false,
  isComplete: true,
};

export const OWNER_NAMES: Readonly<Record<string, 'replicaset' | 'statefulset' | 'daemonset' | 'job'>> = {
  ReplicaSet: 'replicaset',
  StatefulSet: 'statefulset',
  DaemonSet: 'daemonset',
  Job: 'job',
};
const DAY_MS = 86_400_000;

/** Text of an attribute is empty: then it counts as absent, as upstream has it. */
const isBlank = (v: Value | undefined): boolean =>
  v === undefined || v === null || v === '' || (v instanceof Uint8Array && v.length === 0);

export function enrichedAttributes(
  before: ReadonlyValueMap,
  identity: Identity | undefined,
  pod: PodFacts | undefined,
  rules: Rules,
  around: Surroundings,
): ValueMap {
  const attributes: ValueMap = new Map(before);
  const put = (name: string, value: Value): void => {
    if (isBlank(attributes.get(name))) attributes.set(name, value);
  };
  const putTags = (tags: Tags): void => {
    for (let i = 0; i < tags.length; i += 2) put(tags[i]!, tags[i + 1]!);
  };
  if (identity && identity.connectionIp !== '' && rules.has('k8s.pod.ip')) put('k8s.pod.ip', identity.connectionIp);
  if (pod) {
    for (const [name, value] of podAttributes(pod, rules, around)) put(name, value);
    putContainer(attributes, pod, rules, put);
  }
  const namespace = pod?.namespace || textOf(attributes, 'k8s.namespace.name');
  if (namespace !== '') {
    const found = around.namespace(namespace);
    if (found) putTags(found.tags);
    if (rules.has('service.namespace')) put('service.namespace', namespace);
  }
  const node = pod?.node || textOf(attributes, 'k8s.node.name');
  const nodeFound = node === '' ? undefined : around.node(node);
  if (nodeFound) {
    putTags(nodeFound.tags);
    put('k8s.node.uid', nodeFound.uid);
  }
  for (const kind of OWNER_KINDS) {
    const found = around.owner(kind, (pod && ownerUid(pod, kind, around)) || textOf(attributes, `k8s.${kind}.uid`));
    if (found) putTags(found.tags);
  }
  return attributes;
}

function ownerUid(pod: PodFacts, kind: OwnerKind, around: Surroundings): string {
  if (kind === 'deployment' || kind === 'cronjob') {
    const between = kind === 'deployment' ? 'replicaset' : 'job';
    for (const o of pod.owners)
      if (OWNER_NAMES[o.kind] === between) return around.owner(between, o.uid)?.owner?.uid ?? '';
    return '';
  }
  return pod.owners.find((o) => OWNER_NAMES[o.kind] === kind)?.uid ?? '';
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

export function podAttributes(pod: PodFacts, rules: Rules, around: Surroundings): Map<string, string> {
  const all = new Map<string, string>();
  const put = (name: Parameters<Rules['has']>[0], value: string): void => {
    if (rules.has(name)) all.set(name, value);
  };
  put('k8s.pod.name', pod.name);
  put('service.name', pod.name);
  put('k8s.pod.hostname', pod.hostname);
  put('k8s.pod.ip', pod.ip);
  put('k8s.namespace.name', pod.namespace);
  put('service.namespace', pod.namespace);
  if (pod.createdMs > 0) put('k8s.pod.start_time', timeText(pod.createdMs));
  put('k8s.pod.uid', pod.uid);
  for (const { kind, name, uid } of pod.owners) {
    const owner = OWNER_NAMES[kind];
    if (!owner) continue;
    put(`k8s.${owner}.name`, name);
    put(`k8s.${owner}.uid`, uid);
    put('service.name', name);
    if (owner !== 'replicaset' && owner !== 'job') continue;
    const above = owner === 'replicaset' ? 'deployment' : 'cronjob';
    const known = around.owner(owner, uid)?.owner;
    if (known) put(`k8s.${above}.uid`, known.uid);
    const aboveName =
      owner === 'replicaset' ? deploymentName(pod, name, known?.name, rules) : (known?.name ?? cronJobName(pod, name));
    if (aboveName === '' || (around.watches(owner) && !known && !rules.isDeploymentFromReplicaSet)) continue;
    put(`k8s.${above}.name`, aboveName);
    put('service.name', aboveName);
  }
  put('k8s.node.name', pod.node);
  if (around.clusterUid !== '') put('k8s.cluster.uid', around.clusterUid);
  if (pod.appName !== undefined) put('service.name', pod.appName);
  for (let i = 0; i < pod.tags.length; i += 2) all.set(pod.tags[i]!, pod.tags[i + 1]!);
  // Of the version the label wins over an annotation, as recorded.
  if (pod.appVersion !== undefined) put('service.version', pod.appVersion);
  return all;
}

/** Without a cache of replica sets: their names are the deployment's and the hash that their pods are labelled with. */
function deploymentName(pod: PodFacts, replicaSet: string, known: string | undefined, rules: Rules): string {
  if (rules.isDeploymentFromReplicaSet) return /^(.*)-[0-9a-zA-Z]+$/.exec(replicaSet)?.[1] ?? '';
  if (known !== undefined) return known;
  const suffix = `-${pod.templateHash}`;
  return pod.templateHash !== '' && replicaSet.endsWith(suffix) ? replicaSet.slice(0, -suffix.length) : '';
}

/** Jobs of a CronJob are named after the minute they were due, which is near the time their pods were made. */
function cronJobName(pod: PodFacts, job: string): string {
  const m = /^(.*)-(\d{8})$/.exec(job);
  return m && Math.abs(Number(m[2]) * 60_000 - pod.createdMs) <= DAY_MS ? m[1]! : '';
}

function putContainer(
  attributes: ValueMap,
  pod: PodFacts,
  rules: Rules,
  put: (name: string, value: Value) => void,
): void {
  const container = containerOf(attributes, pod);
  if (!container) return;
  const putAbsent = (name: string, value: Value): void => {
    if (!attributes.has(name)) attributes.set(name, value);
  };
  if (container.isMade) {
    if (rules.has('k8s.container.name')) put('k8s.container.name', container.name);
    if (rules.has('service.instance.id')) put('service.instance.id', `${pod.namespace}.${pod.name}.${container.name}`);
  }
  const image = container.image === '' ? undefined : parseImage(container.image);
  if (image) {
    const tag = image.tag || 'latest';
    if (rules.has('container.image.name')) put('container.image.name', image.name);
    if (rules.has('container.image.tag')) put('container.image.tag', tag);
    if (rules.has('container.image.tags')) putAbsent('container.image.tags', [tag]);
    const version = versionOfImage(image);
    if (rules.has('service.version') && version !== '') put('service.version', version);
  }
  if (!container.isMade || restartCountOf(attributes, container) !== container.restartCount) return;
  if (rules.has('container.id') && container.id !== '') putAbsent('container.id', container.id);
  if (rules.has('container.image.repo_digests')) {
    const digest = canonicalImage(container.imageId);
    if (digest !== undefined) putAbsent('container.image.repo_digests', [digest]);
  }
}

export function containerOf(attributes: ReadonlyValueMap, pod: PodFacts): ContainerFacts | undefined {
  const name = textOf(attributes, 'k8s.container.name');
  if (name !== '') return pod.containers.find((c) => c.name === name);
  const id = textOf(attributes, 'container.id');
  if (id !== '') return pod.containers.find((c) => c.id === id);
  return pod.containers.length === 1 ? pod.containers[0] : undefined;
}

/** Which run of the container the resource is of; only the present one is known. */
export function restartCountOf(attributes: ReadonlyValueMap, container: ContainerFacts): number {
  const value = attributes.get('k8s.container.restart_count');
  if (value === undefined) return container.restartCount;
  if (typeof value === 'bigint') return Number(value);
  return typeof value === 'string' && /^[+-]?\d+$/.test(value) ? Number(value) : -1;
}
