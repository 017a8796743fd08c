/** A simulated cluster as a whole: nodes, workloads and their pods, and what happens to them over time. */
import type { KubernetesObject } from '../object.ts';
import {
  daemonSetDraft,
  deploymentDraft,
  eventDraft,
  hex,
  namespaceDraft,
  nodeDraft,
  ownerOf,
  type PodShape,
  podDraft,
  podShape,
  replicaSetDraft,
  type SimulatedApp,
} from './objects.ts';
import { CLUSTER_RESOURCES, Population } from './population.ts';

const NAME_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

export interface SimulatedClusterOptions {
  readonly nowMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly nodes: readonly string[];
  /** Pods that come and go leave events behind, as in a real cluster. */
  readonly hasEvents?: boolean;
}

/** A pod whose name and uid somebody else has chosen. */
export interface GivenPod {
  readonly name: string;
  readonly uid: string;
  readonly node: string;
}

/** The last part of a pod's name that says which replica set it is of. */
export const hashOfPod = (name: string): string | undefined => /-([0-9a-z]+)-[0-9a-z]{5}$/.exec(name)?.[1];

export class SimulatedCluster {
  readonly population: Population;
  /** Events that were written. */
  events = 0;
  readonly nodes: readonly string[];
  readonly #options: SimulatedClusterOptions;
  readonly #createdAt: string;
  /** Of deployments, whose pods may be replaced; by uid. */
  readonly #replaceable: { readonly shape: PodShape; name: string }[] = [];
  #numbers = 0;

  constructor(options: SimulatedClusterOptions) {
    this.#options = options;
    this.nodes = options.nodes;
    this.#createdAt = this.#time(-86_400_000);
    this.population = new Population({ nowMs: options.nowMs, resources: CLUSTER_RESOURCES });
    for (const [i, name] of options.nodes.entries())
      this.population.put('nodes', withTime(nodeDraft(name, i, this.#time()), this.#createdAt));
    for (const name of ['default', 'kube-system']) this.#namespace(name);
  }

  /** Makes the workload and its pods: those given, or as many as it wants on nodes one after the other. */
  deploy(app: SimulatedApp, given?: readonly GivenPod[]): void {
    const { population } = this;
    this.#namespace(app.namespace);
    const at = this.#createdAt;
    const nodes = app.nodes ?? this.nodes;
    const hash = (given?.[0] && hashOfPod(given[0].name)) ?? this.#letters(10);
    const wanted = app.kind === 'DaemonSet' ? nodes.length : app.replicas;
    let shape: PodShape;
    if (app.kind === 'Deployment') {
      const deployment = population.put('deployments.apps', withTime(deploymentDraft(app, wanted, at), at));
      const owner = ownerOf(deployment);
      const former = replicaSetDraft(app, this.#letters(10), 0, owner, at);
      const current = replicaSetDraft(app, hash, wanted, owner, at);
      population.put('replicasets.apps', withTime(former, at));
      shape = podShape(app, ownerOf(population.put('replicasets.apps', withTime(current, at))), hash, at);
    } else {
      const set = population.put('daemonsets.apps', withTime(daemonSetDraft(app, wanted), at));
      shape = podShape(app, ownerOf(set), hash, at);
    }
    const names = app.kind === 'Deployment' ? `${app.name}-${hash}` : app.name;
    for (let i = 0; i < (given?.length ?? wanted); i++) {
      const number = ++this.#numbers;
      const pod = given?.[i] ?? {
        name: `${names}-${this.#letters(5)}`,
        uid: this.#uid(number),
        node: nodes[(app.kind === 'DaemonSet' ? i : number) % nodes.length]!,
      };
      const made = population.put('pods', podDraft(shape, { ...pod, number }, at, at));
      if (this.#options.hasEvents)
        this.#event(made, 'Started', `Started container ${app.containers[0]?.name}`, 'kubelet');
      if (!given && app.kind === 'Deployment') this.#replaceable.push({ shape, name: pod.name });
    }
  }

  podsOf(node: string): KubernetesObject[] {
    return this.population
      .list('pods')
      .filter((p) => (p['spec'] as { nodeName?: string } | undefined)?.nodeName === node);
  }

  /** One pod of a deployment goes, and another one comes: as the API server tells it, step by step. */
  replacePod(): void {
    const { random, hasEvents } = this.#options;
    const slot = this.#replaceable[Math.floor(random() * this.#replaceable.length)];
    if (!slot) return;
    const { population } = this;
    const { shape } = slot;
    const { namespace } = shape.app;
    const now = this.#time();
    const old = population.get('pods', namespace, slot.name);
    if (old) {
      const { resourceVersion: _, ...metadata } = old.metadata;
      population.put('pods', { ...old, metadata: { ...metadata, deletionTimestamp: now } });
      if (hasEvents) this.#event(old, 'Killing', `Stopping container ${shape.app.containers[0]?.name}`, 'kubelet');
      population.remove('pods', namespace, slot.name);
    }
    const number = ++this.#numbers;
    const name = `${slot.name.slice(0, -5)}${this.#letters(5)}`;
    const nodes = shape.app.nodes ?? this.nodes;
    const node = nodes[Math.floor(random() * nodes.length)]!;
    const identity = { name, uid: this.#uid(number), number };
    slot.name = name;
    population.put('pods', podDraft(shape, { ...identity, node: '' }, now, undefined));
    const placed = population.put('pods', podDraft(shape, { ...identity, node }, now, undefined));
    if (hasEvents) {
      const image = shape.app.containers[0]?.image ?? '';
      const where = `${namespace}/${name} to ${node}`;
      this.#event(placed, 'Scheduled', `Successfully assigned ${where}`, 'default-scheduler');
      this.#event(placed, 'Pulled', `Container image ${JSON.stringify(image)} already present on machine`, 'kubelet');
      if (random() < 0.3)
        this.#event(placed, 'Unhealthy', 'Readiness probe failed: connection refused', 'kubelet', 'Warning');
      this.#event(placed, 'Started', `Started container ${shape.app.containers[0]?.name}`, 'kubelet');
    }
    population.put('pods', podDraft(shape, { ...identity, node }, now, now));
  }

  /** A node tells that it is there, as each does every five minutes. */
  heartbeat(index: number): void {
    const name = this.nodes[index % this.nodes.length]!;
    this.population.put('nodes', withTime(nodeDraft(name, index % this.nodes.length, this.#time()), this.#createdAt));
  }

  #event(
    about: KubernetesObject,
    reason: string,
    message: string,
    component: string,
    type: 'Normal' | 'Warning' = 'Normal',
  ): void {
    const node = (about['spec'] as { nodeName?: string } | undefined)?.nodeName;
    this.events++;
    this.population.put(
      'events',
      eventDraft(about, {
        name: `${about.metadata.name}.${hex(this.events, 16)}`,
        at: this.#time(),
        type,
        reason,
        message,
        component,
        ...(component === 'kubelet' && node !== undefined ? { host: node } : {}),
      }),
    );
  }

  #namespace(name: string): void {
    if (!this.population.get('namespaces', '', name))
      this.population.put('namespaces', withTime(namespaceDraft(name), this.#createdAt));
  }

  #time(offsetMs = 0): string {
    return `${new Date(this.#options.nowMs() + offsetMs).toISOString().slice(0, 19)}Z`;
  }

  #letters(length: number): string {
    let text = '';
    while (text.length < length) text += NAME_LETTERS[Math.floor(this.#options.random() * NAME_LETTERS.length)];
    return text;
  }

  #uid(number: number): string {
    return `${this.#hex(8)}-${this.#hex(4)}-4${this.#hex(3)}-8${this.#hex(3)}-${hex(number, 12)}`;
  }

  #hex(length: number): string {
    return hex(Math.floor(this.#options.random() * 16 ** length), length);
  }
}

const withTime = <T extends { readonly metadata: object }>(draft: T, creationTimestamp: string): T => ({
  ...draft,
  metadata: { creationTimestamp, ...draft.metadata },
});
