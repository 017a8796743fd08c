/** The objects of the cluster: which kinds are looked at, their caches, and what one kind knows about another. */
import type { ReceiverContext } from '../../../core/component.ts';
import type { Scope } from '../../../core/resource.ts';
import type { ApiServer } from '../../../kubernetes/api-server.ts';
import type { Kind, ObjectCache, Subscription } from '../../../kubernetes/cache.ts';
import { type KubernetesClient, StatusError } from '../../../kubernetes/client.ts';
import { compactVersion, type ResourceType } from '../../../kubernetes/object.ts';
import { METRICS } from './catalogue.ts';
import { CLUSTER_QUOTAS, NAMESPACES, nodes, RESOURCE_QUOTAS } from './cluster-kinds.ts';
import { list, part } from './fields.ts';
import type { K8sClusterConfig } from './index.ts';
import type { Measured } from './items.ts';
import { type ClusterObject, type ObjectKind, type PodLinks, Pools, type ServiceFacts } from './object-kind.ts';
import { PODS } from './pods.ts';
import { ObjectRecorder } from './recorder.ts';
import { ENDPOINT_SLICES, SERVICES, ServiceMetrics } from './services.ts';
import { WORKLOAD_KINDS } from './workloads.ts';

export interface Wants {
  readonly metrics: boolean;
  readonly entities: boolean;
}

/** The kinds that the enabled metrics and the entity events need; no right is asked for beyond them. */
export function neededKinds(config: K8sClusterConfig, wants: Wants): readonly ObjectKind[] {
  const all = [
    PODS,
    nodes(config),
    NAMESPACES,
    RESOURCE_QUOTAS,
    SERVICES,
    ENDPOINT_SLICES,
    ...WORKLOAD_KINDS,
    ...(config.distribution === 'openshift' ? [CLUSTER_QUOTAS] : []),
  ];
  const reports = config.node_conditions_to_report.length + config.allocatable_types_to_report.length;
  const isOn = (kind: ObjectKind): boolean =>
    METRICS.some(
      (m) => (config.metrics[m.name]?.enabled ?? m.enabled) && kind.metrics.some((prefix) => m.name.startsWith(prefix)),
    ) ||
    (kind.type.resource === 'nodes' && reports > 0);
  return all.filter(
    (kind) =>
      !(kind.isClusterWide && namespacesOf(config)[0] !== '') &&
      ((wants.metrics && isOn(kind)) || (wants.entities && kind.hasEntity === true)),
  );
}

/** `['']`: all. */
export const namespacesOf = (config: Pick<K8sClusterConfig, 'namespace' | 'namespaces'>): readonly string[] =>
  config.namespaces.length > 0 ? [...new Set(config.namespaces)] : [config.namespace];

export interface ClusterListener {
  put(object: ClusterObject, before?: ClusterObject): void;
  remove(object: ClusterObject): void;
}

/** Tells which resources the server has, with one request for each group. When it does not say, it has them. */
export function servedResources(client: KubernetesClient, signal: AbortSignal) {
  const asked = new Map<string, Promise<(resource: string) => boolean>>();
  const ask = async (path: string): Promise<(resource: string) => boolean> => {
    try {
      const resources = list(part(await client.getJson(path, { signal })), 'resources');
      return (resource) => resources.length === 0 || resources.some((r) => r.name === resource);
    } catch (e) {
      const isMissing = e instanceof StatusError && e.status === 404;
      return () => !isMissing;
    }
  };
  return async ({ group, version, resource }: ResourceType): Promise<boolean> => {
    const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    const known = asked.get(path) ?? ask(path);
    asked.set(path, known);
    return (await known)(resource);
  };
}

interface Watched {
  readonly kind: ObjectKind;
  readonly caches: readonly ObjectCache<ClusterObject>[];
}

export class Cluster {
  readonly recorder: ObjectRecorder;
  readonly #services: ServiceMetrics;
  readonly #watched: readonly Watched[];
  readonly #wants: Wants;
  readonly #selecting = new Map<string, Set<ServiceFacts>>();
  #subscriptions: Subscription[] = [];
  #open: readonly Watched[] = [];

  constructor(ctx: ReceiverContext, config: K8sClusterConfig, wants: Wants, api: ApiServer, scope: Scope) {
    this.recorder = new ObjectRecorder(config, scope, ctx.clock.nowUnixNano());
    this.#services = new ServiceMetrics(this.recorder);
    this.#wants = wants;
    this.#watched = neededKinds(config, wants).map((kind) => ({
      kind,
      caches: namespacesOf(config).map((namespace) => this.#cache(ctx, kind, namespace, api)),
    }));
  }

  #cache(
    { id, log }: ReceiverContext,
    kind: ObjectKind,
    namespace: string,
    api: ApiServer,
  ): ObjectCache<ClusterObject> {
    let pools: Pools | undefined;
    const declared: Kind<ClusterObject> = {
      ...kind.type,
      id: `${id}/${kind.type.resource}`,
      keep: (object, pool) => {
        const { uid, resourceVersion } = object.metadata;
        let measured: readonly Measured[] = [];
        if (this.#wants.metrics && kind.measure) {
          this.recorder.begin(cache.get(uid)?.measured);
          kind.measure(object, this.recorder);
          measured = this.recorder.end();
        }
        if (pools?.texts !== pool) pools = new Pools(pool);
        const facts = kind.facts?.(object, pools, this.#wants);
        return { uid, version: compactVersion(resourceVersion ?? ''), measured, facts };
      },
    };
    const cache = api.cache(declared, { namespace }, log);
    return cache;
  }

  get kinds(): readonly ObjectKind[] {
    return this.#watched.map((w) => w.kind);
  }

  /** Subscribes to the kinds that `isServed`; resolves when all that exists is known. */
  async open(isServed: (kind: ObjectKind) => boolean, listener?: ClusterListener): Promise<void> {
    this.#open = this.#watched.filter((w) => isServed(w.kind));
    for (const { kind, caches } of this.#open)
      for (const cache of caches) this.#subscriptions.push(this.#subscribe(kind, cache, listener));
    await Promise.all(this.#open.flatMap((w) => w.caches.map((c) => c.synced)));
  }

  #subscribe(kind: ObjectKind, cache: ObjectCache<ClusterObject>, listener?: ClusterListener): Subscription {
    const isService = kind === SERVICES || kind === ENDPOINT_SLICES;
    const put = (object: ClusterObject, before?: ClusterObject): void => {
      if (isService) this.#putService(object, before);
      listener?.put(object, before);
    };
    return cache.subscribe({
      added: put,
      updated: put,
      deleted: (object) => {
        if (isService) this.#removeService(object);
        listener?.remove(object);
      },
    });
  }

  #putService(object: ClusterObject, before?: ClusterObject): void {
    if (this.#wants.metrics) this.#services.put(object, before);
    if (before) this.#unselect(before);
    const service = object.facts?.service;
    if (!this.#wants.entities || !service || service.selector.length === 0) return;
    const known = this.#selecting.get(service.namespace);
    if (known) known.add(service);
    else this.#selecting.set(service.namespace, new Set([service]));
  }

  #removeService(object: ClusterObject): void {
    if (this.#wants.metrics) this.#services.remove(object);
    this.#unselect(object);
  }

  #unselect({ facts }: ClusterObject): void {
    const service = facts?.service;
    if (!service) return;
    const known = this.#selecting.get(service.namespace);
    if (known?.delete(service) && known.size === 0) this.#selecting.delete(service.namespace);
  }

  close(): void {
    for (const s of this.#subscriptions) s.stop();
    this.#subscriptions = [];
    this.#open = [];
    this.#services.clear();
    this.#selecting.clear();
  }

  /** What a server keeps from us, for a message. */
  failures(): string[] {
    return this.#open.flatMap(({ kind, caches }) =>
      caches.flatMap((c) => (c.isSynced ? [] : [`${kind.type.resource}: ${c.failure ?? 'not listed yet'}`])),
    );
  }

  *objects(): Generator<ClusterObject> {
    for (const { caches } of this.#open) for (const cache of caches) yield* cache.values();
  }

  *measured(): Generator<Measured> {
    for (const object of this.objects()) yield* object.measured;
    yield* this.#services.measured();
  }

  /** Of a pod: the services that select it, and the workload behind its ReplicaSet or Job. */
  readonly podAttributes = ({ namespace, labels, owner }: PodLinks): readonly string[] => {
    const found: string[] = [];
    for (const { name, selector } of this.#selecting.get(namespace) ?? [])
      if (selects(selector, labels)) found.push(`k8s.service.${name}`, '');
    const holder = owner && this.#find(owner.kind === 'Job' ? 'jobs' : 'replicasets', owner.uid);
    if (!holder) return found;
    const workload = holder.facts?.owner ?? owner;
    const prefix = `k8s.${workload.kind.toLowerCase()}`;
    found.push('k8s.workload.kind', workload.kind, 'k8s.workload.name', workload.name);
    found.push(`${prefix}.name`, workload.name, `${prefix}.uid`, workload.uid);
    return found;
  };

  #find(resource: string, uid: string): ClusterObject | undefined {
    for (const { kind, caches } of this.#open) {
      if (kind.type.resource !== resource) continue;
      for (const cache of caches) {
        const object = cache.get(uid);
        if (object) return object;
      }
    }
    return undefined;
  }
}

/** Whether labels have every pair of the selector; both are names and values in turn. */
function selects(selector: readonly string[], labels: readonly string[]): boolean {
  for (let i = 0; i < selector.length; i += 2) {
    let has = false;
    for (let j = 0; j < labels.length && !has; j += 2)
      has = labels[j] === selector[i] && labels[j + 1] === selector[i + 1];
    if (!has) return false;
  }
  return true;
}
