/**
 * What one configuration of the processor knows of the cluster, shared by the pipelines that use it. It asks for no more
 * kinds of objects than its rules need.
 */
import type { Clock } from '../../../core/clock.ts';
import { type Environment, environment } from '../../../core/environment.ts';
import { ConfigError } from '../../../core/errors.ts';
import type { Logger } from '../../../core/log.ts';
import type { Telemetry } from '../../../core/telemetry.ts';
import type { ApiServer } from '../../../kubernetes/api-server.ts';
import type { Kind, ObjectCache, Subscription } from '../../../kubernetes/cache.ts';
import type { KubernetesClient } from '../../../kubernetes/client.ts';
import { type ResourceType, resourceName, type Selection } from '../../../kubernetes/object.ts';
import { type K8sAttributesConfig, OWNER_KINDS, type OwnerKind } from './config.ts';
import { NO_SURROUNDINGS, podAttributes, type Surroundings } from './enrich.ts';
import { type ObjectFacts, objectKind, type PodFacts, podKind } from './facts.ts';
import { keysOf } from './identify.ts';
import { kubeletPods } from './kubelet-pods.ts';
import { PodIndex } from './pod-index.ts';
import type { Rules } from './rules.ts';
import { cacheSize, counted } from './watcher.ts';

const SWEEP_MS = 30_000;

/** The selectors of the API server that the filters mean. */
export function podSelection(filter: K8sAttributesConfig['filter'], env: Environment): Selection {
  const labels = filter.labels.map(({ key, op, value }) =>
    op === 'exists' ? key : op === 'does-not-exist' ? `!${key}` : `${key}${op === 'equals' ? '=' : '!='}${value}`,
  );
  const escaped = (text: string): string => text.replace(/[\\,=]/g, (c) => `\\${c}`);
  const fields = filter.fields.map(
    ({ key, op, value }) => `${escaped(key)}${op === 'equals' ? '=' : '!='}${escaped(value)}`,
  );
  const node = nodeOf(filter, env);
  if (node !== '') fields.push(`spec.nodeName=${escaped(node)}`);
  return { namespace: filter.namespace, labelSelector: labels.join(','), fieldSelector: fields.join(',') };
}

function nodeOf(filter: K8sAttributesConfig['filter'], env: Environment): string {
  if (filter.node_from_env_var === '') return filter.node;
  const node = env[filter.node_from_env_var];
  if (!node)
    throw new ConfigError([
      {
        path: ['filter', 'node_from_env_var'],
        message: `environment variable ${filter.node_from_env_var} is not set; in a pod it comes from fieldRef spec.nodeName`,
      },
    ]);
  return node;
}

/** Kinds of owners whose objects the rules need. */
export function watchedOwners(rules: Rules): readonly OwnerKind[] {
  const needed: Record<OwnerKind, boolean> = {
    deployment: rules.hasOrigin('deployment'),
    replicaset: rules.has('k8s.deployment.uid') || rules.hasOrigin('deployment') || rules.hasOrigin('replicaset'),
    statefulset: rules.hasOrigin('statefulset'),
    daemonset: rules.hasOrigin('daemonset'),
    job: rules.has('k8s.cronjob.uid') || rules.hasOrigin('job') || rules.hasOrigin('cronjob'),
    cronjob: rules.hasOrigin('cronjob'),
  };
  return OWNER_KINDS.filter((kind) => needed[kind]);
}

export interface ClusterOptions {
  /** Tells its kinds apart from those of other configurations. */
  readonly id: string;
  readonly config: K8sAttributesConfig;
  readonly rules: Rules;
  /** Called when something is asked of it. */
  readonly api: () => ApiServer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  /** For tests: the kubelet. */
  readonly kubelet?: Pick<KubernetesClient, 'get' | 'parse'> | undefined;
  readonly env?: Environment;
}

interface Source {
  readonly kind: ResourceType;
  readonly synced: Promise<void>;
  readonly isSynced: boolean;
  readonly failure: string | undefined;
}

interface Watched {
  readonly cache: Source;
  readonly subscribe: () => Subscription;
}

/** Who uses what is known. */
export interface ClusterListener {
  /** Records wait until more is known. */
  readonly isAwaiting: () => boolean;
  /** Something became known of this pod; undefined: of what is around pods. */
  readonly changed: (pod: PodFacts | undefined) => void;
}

/** An object that was deleted. Records may still come of pods that it owned, or that were in it or on it. */
interface Gone {
  /** How pods name it. */
  readonly name: string;
  readonly sinceMs: number;
  readonly forget: () => void;
}

export class Cluster implements Surroundings {
  readonly pods: PodIndex;
  /** Moves whenever something besides pods changes that attributes are made of. */
  revision = 0;
  clusterUid = '';
  /** Somebody waits for a pod. */
  readonly hurry: () => void;
  readonly #watched: Watched[] = [];
  readonly #listeners = new Set<ClusterListener>();
  readonly #gone = new Map<string, Gone>();
  #telling: NodeJS.Immediate | undefined;
  readonly #graceMs: number;
  readonly #nowMs: () => number;
  readonly #log: Logger;
  readonly #telemetry: Telemetry;
  readonly #sizeChanged: (size: number) => void;
  readonly #namespaces = new Map<string, ObjectFacts>();
  readonly #nodes = new Map<string, ObjectFacts>();
  /** Undefined when not all of them are asked for. */
  readonly #allNamespaces: Source | undefined;
  readonly #owners = new Map<OwnerKind, Map<string, ObjectFacts>>();
  #subscriptions: Subscription[] = [];
  #users = 0;
  #sweeping: NodeJS.Timeout | undefined;

  constructor(options: ClusterOptions) {
    const { id, config, rules, api, clock, telemetry, env = environment() } = options;
    this.#telemetry = telemetry;
    this.#sizeChanged = cacheSize(telemetry);
    this.#graceMs = config.pod_delete_grace_period;
    this.#nowMs = () => clock.monotonicMs();
    this.#log = options.log;
    const associations = config.pod_association;
    const attribute = (pod: PodFacts, name: string): string =>
      podAttributes(pod, rules, NO_SURROUNDINGS).get(name) ?? '';
    this.pods = new PodIndex({
      keysOf: (pod) => keysOf(associations, pod, attribute),
      graceMs: config.pod_delete_grace_period,
      nowMs: () => clock.monotonicMs(),
    });
    const selection = podSelection(config.filter, env);
    const node = nodeOf(config.filter, env);
    const { namespace } = config.filter;
    const needsContainerIds = associations.some((a) => a.sources.some((s) => s.name === 'container.id'));
    // Before the pods, so that those find their surroundings.
    const byName = (
      objects: Map<string, ObjectFacts>,
      kind: Kind<ObjectFacts>,
      of: Selection,
      change = () => {},
    ): Source =>
      this.#watch(api, kind, of, {
        set: (o) => void objects.set(o.name, o),
        remove: (o) => void (objects.get(o.name)?.uid === o.uid && objects.delete(o.name)),
        change,
      });
    const clusterUid = (): void => {
      if (rules.has('k8s.cluster.uid')) this.clusterUid = this.#namespaces.get('kube-system')?.uid ?? '';
    };
    if (rules.hasOrigin('namespace'))
      this.#allNamespaces = byName(
        this.#namespaces,
        objectKind(`${id}/namespaces`, 'namespace', rules),
        {},
        clusterUid,
      );
    else if (rules.has('k8s.cluster.uid'))
      byName(
        this.#namespaces,
        objectKind(`${id}/namespaces`, 'namespace', rules),
        { fieldSelector: 'metadata.name=kube-system' },
        clusterUid,
      );
    if (rules.hasOrigin('node') || rules.has('k8s.node.uid'))
      byName(this.#nodes, objectKind(`${id}/nodes`, 'node', rules), {
        fieldSelector: node === '' ? '' : `metadata.name=${node}`,
      });
    for (const kind of watchedOwners(rules)) {
      const objects = new Map<string, ObjectFacts>();
      this.#owners.set(kind, objects);
      this.#watch(
        api,
        objectKind(`${id}/${kind}`, kind, rules),
        { namespace },
        {
          set: (o) => void objects.set(o.uid, o),
          remove: (o) => void objects.delete(o.uid),
          change: () => {},
        },
      );
    }
    const kind = podKind({
      id: `${id}/pods`,
      rules,
      excluded: config.exclude.pods.map((p) => p.name),
      needsContainerIds,
    });
    const isAwaited = (): boolean => [...this.#listeners].some((l) => l.isAwaiting());
    const kubelet = config.kubelet.enabled ? kubeletPods(kind, node, env, options, isAwaited) : undefined;
    this.hurry = () => kubelet?.hurry();
    const pods: Pick<ObjectCache<PodFacts>, 'subscribe'> & Source = kubelet ?? api().cache(kind, selection, this.#log);
    this.#watched.push({
      cache: pods,
      subscribe: () =>
        pods.subscribe(
          counted<PodFacts>(this.#telemetry, kind, {
            added: (pod) => {
              this.pods.add(pod);
              this.#tell(pod);
            },
            updated: (pod, before) => {
              this.pods.update(pod, before);
              this.#tell(pod);
            },
            deleted: (pod) => {
              this.pods.delete(pod);
              this.#sizeChanged(this.pods.size);
            },
          }),
        ),
    });
  }

  #watch(
    api: () => ApiServer,
    kind: Kind<ObjectFacts>,
    selection: Selection,
    { set, remove, change }: { set: (o: ObjectFacts) => void; remove: (o: ObjectFacts) => void; change: () => void },
  ): Source {
    const cache = api().cache(kind, selection, this.#log);
    const changed = (): void => {
      this.revision++;
      change();
      this.#tellSoon();
    };
    const put = (o: ObjectFacts): void => {
      this.#gone.delete(o.uid);
      set(o);
      changed();
    };
    const nameOf = (o: ObjectFacts): string =>
      cache.kind.resource === 'namespaces' || cache.kind.resource === 'nodes' ? o.name : o.uid;
    this.#watched.push({
      cache,
      subscribe: () => {
        void cache.synced.then(changed);
        const listener = {
          added: put,
          updated: put,
          deleted: (o: ObjectFacts): void => {
            const forget = (): void => {
              remove(o);
              changed();
            };
            if (this.#graceMs > 0) this.#gone.set(o.uid, { name: nameOf(o), sinceMs: this.#nowMs(), forget });
            else forget();
          },
        };
        return cache.subscribe(counted(this.#telemetry, kind, listener));
      },
    });
    return cache;
  }

  #tell(pod: PodFacts): void {
    this.#sizeChanged(this.pods.size);
    for (const listener of this.#listeners) listener.changed(pod);
  }

  /** Once for all objects that arrive together. */
  #tellSoon(): void {
    this.#telling ??= setImmediate(() => {
      this.#telling = undefined;
      for (const listener of this.#listeners) listener.changed(undefined);
    });
  }

  /** Forgets deleted pods of which nothing came for the time of grace, then what was around them. */
  sweep(): void {
    this.pods.sweep();
    this.#sizeChanged(this.pods.size);
    const until = this.#nowMs() - this.#graceMs;
    const old = [...this.#gone].filter(([, { sinceMs }]) => sinceMs <= until);
    if (old.length === 0) return;
    const used = new Set<string>();
    for (const { owners, namespace, node } of this.pods.all()) {
      used.add(namespace).add(node);
      for (const { uid } of owners) {
        used.add(uid);
        const above = this.owner('replicaset', uid)?.owner ?? this.owner('job', uid)?.owner;
        if (above) used.add(above.uid);
      }
    }
    for (const [uid, { name, forget }] of old)
      if (!used.has(name)) {
        this.#gone.delete(uid);
        forget();
      }
  }

  onChange(listener: ClusterListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get knowsNamespaces(): boolean {
    return this.#allNamespaces?.isSynced ?? false;
  }

  /** Everything around pods that was there at the start is known, but for what cannot be read. */
  get isComplete(): boolean {
    return this.#watched.slice(0, -1).every(({ cache }) => cache.isSynced || cache.failure !== undefined);
  }

  start(): void {
    if (this.#users++ > 0) return;
    this.#subscriptions = this.#watched.map((w) => w.subscribe());
    this.#sweeping = setInterval(() => this.sweep(), SWEEP_MS);
    this.#sweeping.unref();
  }

  stop(): void {
    if (this.#users === 0 || --this.#users > 0) return;
    clearInterval(this.#sweeping);
    for (const s of this.#subscriptions) s.stop();
    this.#subscriptions = [];
    this.pods.clear();
    this.#sizeChanged(0);
    this.#gone.clear();
    this.#namespaces.clear();
    this.#nodes.clear();
    for (const objects of this.#owners.values()) objects.clear();
  }

  /** Resolves when every first list is there; throws after `timeoutMs`, with what is in the way. */
  async synced(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), timeoutMs);
    });
    const all = Promise.all(this.#watched.map((w) => w.cache.synced));
    const first = await Promise.race([all, late]);
    clearTimeout(timer);
    if (first !== 'late') return;
    const missing = this.#watched
      .filter((w) => !w.cache.isSynced)
      .map((w) => `${resourceName(w.cache.kind)}${w.cache.failure === undefined ? '' : `: ${w.cache.failure}`}`);
    throw new Error(`failed to wait for caches to sync: ${missing.join('; ')}`);
  }

  namespace(name: string): ObjectFacts | undefined {
    return this.#namespaces.get(name);
  }

  node(name: string): ObjectFacts | undefined {
    return this.#nodes.get(name);
  }

  owner(kind: OwnerKind, uid: string): ObjectFacts | undefined {
    return uid === '' ? undefined : this.#owners.get(kind)?.get(uid);
  }

  watches(kind: OwnerKind): boolean {
    return this.#owners.has(kind);
  }
}
