/** Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers, Jobs, CronJobs and autoscalers. */
import type { KubernetesObject } from '../../../kubernetes/object.ts';
import { count, list, number, part, text, texts } from './fields.ts';
import { APPS, BATCH, CORE, flat, type ObjectKind, type Owner } from './object-kind.ts';
import type { ObjectRecorder, ResourceValues } from './recorder.ts';

interface Workload {
  readonly kind: string;
  readonly type: ObjectKind['type'];
  /** Of its metrics. */
  readonly prefix: string;
  readonly measure: (object: KubernetesObject, r: ObjectRecorder) => void;
  readonly resource?: (object: KubernetesObject) => ResourceValues;
  /** Attributes of its entity that only this kind has. */
  readonly attributes?: (object: KubernetesObject) => readonly (readonly [string, string])[];
  /** Kind of owner that its pods count as theirs. */
  readonly ownerKind?: string;
}

export const ownersOf = (object: KubernetesObject): readonly Owner[] =>
  list(part(object.metadata), 'ownerReferences').map((o) => ({
    kind: text(o, 'kind'),
    name: text(o, 'name'),
    uid: text(o, 'uid'),
  }));

export const ownerAttributes = (owners: readonly Owner[]): [string, string][] =>
  owners.flatMap(({ kind, name, uid }): [string, string][] => {
    const prefix = `k8s.${kind.toLowerCase()}`;
    return [
      [`${prefix}.name`, name],
      [`${prefix}.uid`, uid],
    ];
  });

/** Pods that are wanted and that are there; both are left out without a wanted number. */
const replicas =
  (prefix: string) =>
  (o: KubernetesObject, r: ObjectRecorder): void => {
    const desired = number(part(o.spec), 'replicas');
    if (desired === undefined) return;
    r.point(`${prefix}desired`, desired);
    r.point(`${prefix}available`, count(part(o.status), 'availableReplicas'));
  };

const WORKLOADS: readonly Workload[] = [
  {
    kind: 'Deployment',
    type: APPS('deployments'),
    prefix: 'k8s.deployment.',
    measure: replicas('k8s.deployment.'),
    attributes: (o) => [['k8s.deployment.name', o.metadata.name]],
  },
  {
    kind: 'ReplicaSet',
    type: APPS('replicasets'),
    prefix: 'k8s.replicaset.',
    measure: replicas('k8s.replicaset.'),
    ownerKind: 'Deployment',
  },
  {
    kind: 'ReplicationController',
    type: CORE('replicationcontrollers'),
    prefix: 'k8s.replication_controller.',
    measure: replicas('k8s.replication_controller.'),
  },
  {
    kind: 'StatefulSet',
    type: APPS('statefulsets'),
    prefix: 'k8s.statefulset.',
    measure(o, r) {
      const desired = number(part(o.spec), 'replicas');
      if (desired === undefined) return;
      const status = part(o.status);
      r.point('k8s.statefulset.desired_pods', desired);
      r.point('k8s.statefulset.ready_pods', count(status, 'readyReplicas'));
      r.point('k8s.statefulset.current_pods', count(status, 'currentReplicas'));
      r.point('k8s.statefulset.updated_pods', count(status, 'updatedReplicas'));
    },
    // Upstream drops the revisions before it looks at them; the attributes are there, and empty.
    attributes: () => [
      ['current_revision', ''],
      ['update_revision', ''],
    ],
  },
  {
    kind: 'DaemonSet',
    type: APPS('daemonsets'),
    prefix: 'k8s.daemonset.',
    measure(o, r) {
      const status = part(o.status);
      r.point('k8s.daemonset.current_scheduled_nodes', count(status, 'currentNumberScheduled'));
      r.point('k8s.daemonset.desired_scheduled_nodes', count(status, 'desiredNumberScheduled'));
      r.point('k8s.daemonset.misscheduled_nodes', count(status, 'numberMisscheduled'));
      r.point('k8s.daemonset.ready_nodes', count(status, 'numberReady'));
    },
  },
  {
    kind: 'Job',
    type: BATCH('jobs'),
    prefix: 'k8s.job.',
    measure(o, r) {
      const spec = part(o.spec);
      const status = part(o.status);
      r.point('k8s.job.active_pods', count(status, 'active'));
      r.point('k8s.job.failed_pods', count(status, 'failed'));
      r.point('k8s.job.successful_pods', count(status, 'succeeded'));
      r.point('k8s.job.desired_successful_pods', number(spec, 'completions'));
      r.point('k8s.job.max_parallel_pods', number(spec, 'parallelism'));
    },
    ownerKind: 'CronJob',
  },
  {
    kind: 'CronJob',
    type: BATCH('cronjobs'),
    prefix: 'k8s.cronjob.',
    measure: (o, r) => r.point('k8s.cronjob.active_jobs', list(part(o.status), 'active').length),
    attributes: (o) => [
      ['schedule', text(part(o.spec), 'schedule')],
      ['concurrency_policy', text(part(o.spec), 'concurrencyPolicy')],
    ],
  },
  {
    kind: 'HPA',
    type: { group: 'autoscaling', version: 'v2', resource: 'horizontalpodautoscalers' },
    prefix: 'k8s.hpa.',
    measure(o, r) {
      const spec = part(o.spec);
      const status = part(o.status);
      r.point('k8s.hpa.max_replicas', count(spec, 'maxReplicas'));
      r.point('k8s.hpa.min_replicas', number(spec, 'minReplicas'));
      r.point('k8s.hpa.current_replicas', count(status, 'currentReplicas'));
      r.point('k8s.hpa.desired_replicas', count(status, 'desiredReplicas'));
    },
    resource: (o) => {
      const target = part(o.spec, 'scaleTargetRef');
      return [
        ['k8s.hpa.scaletargetref.apiversion', text(target, 'apiVersion')],
        ['k8s.hpa.scaletargetref.kind', text(target, 'kind')],
        ['k8s.hpa.scaletargetref.name', text(target, 'name')],
      ];
    },
  },
];

export const WORKLOAD_KINDS: readonly ObjectKind[] = WORKLOADS.map((w): ObjectKind => {
  const lower = w.kind.toLowerCase();
  const name = `k8s.${lower}`;
  return {
    type: w.type,
    metrics: [w.prefix],
    hasEntity: true,
    measure(o, r) {
      w.measure(o, r);
      r.emit([
        ['k8s.namespace.name', o.metadata.namespace ?? ''],
        [`${name}.uid`, o.metadata.uid],
        [`${name}.name`, o.metadata.name],
        ...(w.resource?.(o) ?? []),
      ]);
    },
    facts(o, pools, wants) {
      if (!wants.entities) return undefined;
      const { metadata: m } = o;
      const owners = ownersOf(o);
      const own = flat(texts(m.labels), ownerAttributes(owners), [
        ['k8s.workload.kind', w.kind],
        ['k8s.workload.name', m.name],
        ['k8s.namespace.name', m.namespace ?? ''],
        [`${lower}.creation_timestamp`, m.creationTimestamp ?? ''],
        ...(w.attributes?.(o) ?? []),
      ]).map((text) => pools.texts.share(text));
      const owner = owners.find(({ kind }) => kind === w.ownerKind);
      return {
        entities: [{ type: name, idKey: `${name}.uid`, id: m.uid, shared: [], own }],
        owner: owner && pools.owner(owner),
      };
    },
  };
});
