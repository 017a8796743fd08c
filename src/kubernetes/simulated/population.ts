/** The objects of a simulated cluster and their history, as etcd keeps them: one revision counter, one log of changes. */
import { type KubernetesObject, type ResourceType, resourceName } from '../object.ts';

export interface SimulatedResource extends ResourceType {
  /** `Pod` */
  readonly kind: string;
  readonly isNamespaced: boolean;
}

export interface Change {
  readonly revision: number;
  readonly resource: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubernetesObject;
  /** As it was before. */
  readonly before: KubernetesObject | undefined;
}

/** What an object has to have; the rest is given to it. */
export interface Draft {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

export class ConflictError extends Error {}

const core = (resource: string, kind: string, isNamespaced = true): SimulatedResource => ({
  group: '',
  version: 'v1',
  resource,
  kind,
  isNamespaced,
});
const named = (group: string, resource: string, kind: string, version = 'v1'): SimulatedResource => ({
  group,
  version,
  resource,
  kind,
  isNamespaced: true,
});

export const COMMON_RESOURCES: readonly SimulatedResource[] = [
  core('pods', 'Pod'),
  core('nodes', 'Node', false),
  core('namespaces', 'Namespace', false),
  core('events', 'Event'),
  core('services', 'Service'),
  core('configmaps', 'ConfigMap'),
  named('apps', 'deployments', 'Deployment'),
  named('apps', 'replicasets', 'ReplicaSet'),
  named('events.k8s.io', 'events', 'Event'),
  named('coordination.k8s.io', 'leases', 'Lease'),
];

/** With all that a collector of cluster metrics looks at. */
export const CLUSTER_RESOURCES: readonly SimulatedResource[] = [
  ...COMMON_RESOURCES,
  core('replicationcontrollers', 'ReplicationController'),
  core('resourcequotas', 'ResourceQuota'),
  core('endpoints', 'Endpoints'),
  core('persistentvolumes', 'PersistentVolume', false),
  core('persistentvolumeclaims', 'PersistentVolumeClaim'),
  named('apps', 'daemonsets', 'DaemonSet'),
  named('apps', 'statefulsets', 'StatefulSet'),
  named('batch', 'jobs', 'Job'),
  named('batch', 'cronjobs', 'CronJob'),
  named('autoscaling', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler', 'v2'),
  named('discovery.k8s.io', 'endpointslices', 'EndpointSlice'),
];

export class Population {
  revision: number;
  /** Changes with lower revisions are forgotten. */
  #compacted = 0;
  readonly resources: readonly SimulatedResource[];
  readonly #objects = new Map<string, Map<string, KubernetesObject>>();
  /** Keys in order, while none came or went. */
  readonly #order = new Map<string, readonly string[]>();
  #log: Change[] = [];
  readonly #listeners = new Set<(change: Change) => void>();
  readonly #nowMs: () => number;
  readonly #maxLog: number;
  #uids = 0;

  constructor(options: {
    readonly nowMs: () => number;
    readonly resources?: readonly SimulatedResource[];
    readonly revision?: number;
    /** Changes that are remembered for watches that come back. */
    readonly maxLog?: number;
  }) {
    this.#nowMs = options.nowMs;
    this.resources = options.resources ?? COMMON_RESOURCES;
    this.revision = options.revision ?? 1000;
    this.#maxLog = options.maxLog ?? 100_000;
    for (const r of this.resources) this.#objects.set(resourceName(r), new Map());
  }

  /** In the order of their keys, as etcd lists them. */
  list(resource: string): KubernetesObject[] {
    const objects = this.#of(resource);
    const order = this.#order.get(resource) ?? [...objects.keys()].sort();
    this.#order.set(resource, order);
    return order.map((k) => objects.get(k)!);
  }

  get(resource: string, namespace: string, name: string): KubernetesObject | undefined {
    return this.#of(resource).get(keyOf(namespace, name));
  }

  /** Creates or replaces. With a resourceVersion in the draft it must be the present one. */
  put(resource: string, draft: Draft): KubernetesObject {
    const { name, namespace = '' } = draft.metadata;
    const objects = this.#of(resource);
    const before = objects.get(keyOf(namespace, name));
    const asked = draft.metadata['resourceVersion'];
    if (asked !== undefined && asked !== '' && asked !== before?.metadata.resourceVersion)
      throw new ConflictError(
        `the object has been modified; please apply your changes to the latest version and try again`,
      );
    this.revision++;
    const type = this.#type(resource);
    const object = {
      ...draft,
      apiVersion: type.group === '' ? type.version : `${type.group}/${type.version}`,
      kind: type.kind,
      metadata: {
        uid: before?.metadata.uid ?? this.#uid(),
        creationTimestamp:
          before?.metadata.creationTimestamp ?? `${new Date(this.#nowMs()).toISOString().slice(0, 19)}Z`,
        ...draft.metadata,
        resourceVersion: String(this.revision),
      },
    } as KubernetesObject;
    objects.set(keyOf(namespace, name), object);
    if (!before) this.#order.delete(resource);
    this.#note({ revision: this.revision, resource, type: before ? 'MODIFIED' : 'ADDED', object, before });
    return object;
  }

  remove(resource: string, namespace: string, name: string): KubernetesObject | undefined {
    const objects = this.#of(resource);
    const before = objects.get(keyOf(namespace, name));
    if (!before) return undefined;
    objects.delete(keyOf(namespace, name));
    this.#order.delete(resource);
    this.revision++;
    const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(this.revision) } };
    this.#note({ revision: this.revision, resource, type: 'DELETED', object, before });
    return object;
  }

  /** What happened after `revision`; undefined when that is forgotten. */
  since(resource: string, revision: number): Change[] | undefined {
    if (revision < this.#compacted) return undefined;
    return this.#log.filter((c) => c.revision > revision && c.resource === resource);
  }

  /** Forgets the history, as etcd does every five minutes. */
  compact(): void {
    this.#log = [];
    this.#compacted = this.revision;
  }

  get compactedRevision(): number {
    return this.#compacted;
  }

  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #note(change: Change): void {
    this.#log.push(change);
    if (this.#log.length > this.#maxLog) {
      const dropped = this.#log.splice(0, this.#log.length >> 1);
      this.#compacted = dropped.at(-1)!.revision;
    }
    for (const listener of this.#listeners) listener(change);
  }

  #of(resource: string): Map<string, KubernetesObject> {
    const objects = this.#objects.get(resource);
    if (!objects) throw new Error(`no resource ${resource}`);
    return objects;
  }

  #type(resource: string): SimulatedResource {
    return this.resources.find((r) => resourceName(r) === resource)!;
  }

  #uid(): string {
    return `00000000-0000-4000-8000-${(++this.#uids).toString(16).padStart(12, '0')}`;
  }
}

const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;
