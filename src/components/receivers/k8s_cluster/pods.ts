/** Pods and their containers. Init and ephemeral containers are not reported, as upstream. */

import { parseMilliQuantity, parseWholeQuantity } from '../../../core/quantity.ts';
import type { KubernetesObject } from '../../../kubernetes/object.ts';
import { containerId, count, imageOf, list, part, text, texts } from './fields.ts';
import { CORE, type Entity, type ObjectKind, type Pools } from './object-kind.ts';
import type { ObjectRecorder } from './recorder.ts';
import { ownerAttributes, ownersOf } from './workloads.ts';

const PHASES = ['Pending', 'Running', 'Succeeded', 'Failed'];
const REASONS = ['Evicted', 'NodeAffinity', 'NodeLost', 'Shutdown', 'UnexpectedAdmissionError'];
const CONTAINER_STATES = ['terminated', 'running', 'waiting'] as const;
const CONTAINER_REASONS = [
  'ContainerCreating',
  'CrashLoopBackOff',
  'CreateContainerConfigError',
  'ErrImagePull',
  'ImagePullBackOff',
  'OOMKilled',
  'Completed',
  'Error',
  'ContainerCannotRun',
];
/** By the name in a container's requests and limits. */
const RESOURCES: readonly (readonly [resource: string, metric: string])[] = [
  ['memory', 'k8s.container.memory'],
  ['storage', 'k8s.container.storage'],
  ['ephemeral-storage', 'k8s.container.ephemeralstorage'],
];

/** Counted from 1; what is not in the list comes after its end. */
const rank = (values: readonly string[], value: string): number =>
  values.includes(value) ? values.indexOf(value) + 1 : values.length + 1;

type Status = ReturnType<typeof part>;

const stateOf = (status: Status): (typeof CONTAINER_STATES)[number] | undefined =>
  CONTAINER_STATES.find((s) => typeof part(status.state)[s] === 'object');

const reasonOf = (status: Status): string => {
  const state = part(status.state);
  return text(part(state.terminated), 'reason') || text(part(state.waiting), 'reason');
};

function measureContainer(pod: KubernetesObject, spec: Status, status: Status | undefined, r: ObjectRecorder): void {
  for (const [of, suffix] of [
    ['requests', 'request'],
    ['limits', 'limit'],
  ] as const) {
    const amounts = part(spec.resources, of);
    const milli = parseMilliQuantity(amounts.cpu);
    r.point(`k8s.container.cpu_${suffix}`, milli === undefined ? undefined : milli / 1000);
    for (const [resource, metric] of RESOURCES) r.point(`${metric}_${suffix}`, parseWholeQuantity(amounts[resource]));
  }
  if (status) {
    r.point('k8s.container.restarts', count(status, 'restartCount'));
    r.point('k8s.container.ready', status.ready === true ? 1 : 0);
    if (r.isEnabled('k8s.container.status.state')) {
      const state = stateOf(status);
      for (const s of CONTAINER_STATES)
        r.point('k8s.container.status.state', s === state ? 1 : 0, { 'k8s.container.status.state': s });
    }
    if (r.isEnabled('k8s.container.status.reason')) {
      const reason = reasonOf(status);
      for (const s of CONTAINER_REASONS)
        r.point('k8s.container.status.reason', s === reason ? 1 : 0, { 'k8s.container.status.reason': s });
    }
  }
  const image = imageOf(status ? text(status, 'image') : '');
  r.emit([
    ['k8s.container.status.last_terminated_reason', lastReason(status)],
    ['k8s.pod.uid', pod.metadata.uid],
    ['k8s.pod.name', pod.metadata.name],
    ['k8s.node.name', text(part(pod.spec), 'nodeName')],
    ['k8s.namespace.name', pod.metadata.namespace ?? ''],
    ['container.id', containerId(status ? text(status, 'containerID') : '')],
    ['k8s.container.name', text(spec, 'name')],
    ['container.image.name', image?.name],
    ['container.image.tag', image?.tag],
  ]);
}

function lastReason(status: Status | undefined): string | undefined {
  const last = part(status, 'lastState').terminated;
  return last === undefined || last === null ? undefined : text(part(last), 'reason');
}

function containerEntity(pod: KubernetesObject, status: Status, pools: Pools): Entity {
  const state = stateOf(status);
  const image = imageOf(text(status, 'image'));
  const reason = state === undefined ? '' : text(part(status.state, state), 'reason');
  const startedAt = state === undefined ? '' : text(part(status.state, state), 'startedAt');
  const shared: [string, string][] = [
    ['k8s.namespace.name', pod.metadata.namespace ?? ''],
    ['k8s.container.name', text(status, 'name')],
  ];
  if (image) shared.push(['container.image.name', image.name], ['container.image.tag', image.tag]);
  if (state !== undefined) shared.push(['container.status', state]);
  if (reason !== '') shared.push(['container.status.reason', reason]);
  const own = ['k8s.pod.uid', pod.metadata.uid, 'k8s.pod.name', pod.metadata.name, ...nodeName(pod, pools)];
  if (startedAt !== '') own.push('container.creation_timestamp', startedAt);
  const id = containerId(text(status, 'containerID'));
  return { type: 'container', idKey: 'container.id', id, shared: pools.list(shared), own: own.slice() };
}

const nodeName = (pod: KubernetesObject, pools: Pools): [string, string] => [
  'k8s.node.name',
  pools.texts.share(text(part(pod.spec), 'nodeName')),
];

export const PODS: ObjectKind = {
  type: CORE('pods'),
  metrics: ['k8s.pod.', 'k8s.container.'],
  hasEntity: true,
  measure(o, r) {
    const status = part(o.status);
    r.point('k8s.pod.phase', rank(PHASES, text(status, 'phase')));
    r.point('k8s.pod.status_reason', rank(REASONS, text(status, 'reason')));
    r.emit([
      ['k8s.namespace.name', o.metadata.namespace ?? ''],
      ['k8s.node.name', text(part(o.spec), 'nodeName')],
      ['k8s.pod.name', o.metadata.name],
      ['k8s.pod.uid', o.metadata.uid],
      ['k8s.pod.qos_class', text(status, 'qosClass')],
    ]);
    const statuses = list(status, 'containerStatuses');
    for (const spec of list(part(o.spec), 'containers'))
      measureContainer(
        o,
        spec,
        statuses.find((s) => s.name === spec.name),
        r,
      );
  },
  facts(o, pools, wants) {
    if (!wants.entities) return undefined;
    const { metadata: m } = o;
    const status = part(o.status);
    const owners = ownersOf(o);
    const labels = texts(m.labels);
    const shared: [string, string][] = [
      ['k8s.namespace.name', m.namespace ?? ''],
      ['k8s.pod.phase', text(status, 'phase')],
    ];
    if (text(status, 'reason') !== '') shared.push(['k8s.pod.status_reason', text(status, 'reason')]);
    for (const owner of owners)
      if (owner.kind !== 'ReplicaSet' && owner.kind !== 'Job')
        shared.push(['k8s.workload.kind', owner.kind], ['k8s.workload.name', owner.name]);
    const own = ['k8s.pod.name', m.name, ...nodeName(o, pools), 'pod.creation_timestamp', m.creationTimestamp ?? ''];
    const owner = owners.find(({ kind }) => kind === 'ReplicaSet' || kind === 'Job');
    const entity: Entity = {
      type: 'k8s.pod',
      idKey: 'k8s.pod.uid',
      id: m.uid,
      shared: pools.list(labels, ownerAttributes(owners), shared),
      own: own.slice(),
    };
    return {
      // Copies have no room to grow, which is more than what is in them.
      entities: [entity, ...list(status, 'containerStatuses').map((s) => containerEntity(o, s, pools))].slice(),
      pod: {
        namespace: pools.texts.share(m.namespace ?? ''),
        labels: pools.list(labels),
        owner: owner && pools.owner(owner),
      },
    };
  },
};
