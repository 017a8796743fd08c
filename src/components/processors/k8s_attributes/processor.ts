/** The k8s_attributes processor: a remembered map from resource to resource, so it costs per change and not per record. */
import { Arena } from '../../../core/arena.ts';
import { type Batch, type Group, makeBatch } from '../../../core/batch.ts';
import { type Processor, type ProcessorContext, STOPPING } from '../../../core/component.ts';
import { ConfigError } from '../../../core/errors.ts';
import { HeldResource, type Resource, resourceOf } from '../../../core/resource.ts';
import type { Counter } from '../../../core/telemetry.ts';
import { type ApiServer, openApiServer } from '../../../kubernetes/api-server.ts';
import { type ReadonlyValueMap, writeAttributes } from '../../../wire/otlp.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import type { K8sAttributesConfig } from './config.ts';
import { enrichedAttributes } from './enrich.ts';
import type { PodFacts } from './facts.ts';
import { fullName, type Identity, identify } from './identify.ts';
import { INSTRUMENTS } from './instruments.ts';
import { lacking } from './lacking.ts';
import { type Conventions, compileRules } from './rules.ts';
import { Waiting } from './waiting.ts';

const V1_GATE = 'processor.k8sattributes.EmitV1K8sConventions';
const NO_V0_GATE = 'processor.k8sattributes.DontEmitV0K8sConventions';
/** Senders per resource that are remembered, where the address of the sender counts. */
const MAX_PEERS = 1000;
/** Some ten resources: pods come and go, and what is left of a chunk holds the whole. */
const ARENA_CHUNK_BYTES = 4096;

/** How a resource was enriched, and with what. */
interface Entry {
  readonly identity: Identity | undefined;
  readonly pod: PodFacts | undefined;
  readonly revision: number;
  readonly to: Resource;
  /** What its records are to wait for; ''. */
  readonly lacking: string;
  /** Of records without a pod; undefined with one. */
  readonly unmatched: Counter | undefined;
  readonly association: Counter | undefined;
}

export function conventionsOf(gates: ReadonlyMap<string, boolean> | undefined): Conventions {
  const v1 = gates?.get(V1_GATE) ?? false;
  const v0 = !(gates?.get(NO_V0_GATE) ?? false);
  if (!v0 && !v1) throw new ConfigError(`feature gate ${NO_V0_GATE} requires ${V1_GATE} to be enabled`);
  return { v0, v1 };
}

/** For tests. */
export interface Servers {
  readonly api?: ApiServer;
  readonly kubelet?: ClusterOptions['kubelet'];
}

/** Equal configurations, under whatever names, know the cluster once. */
export const clusterKey = (config: K8sAttributesConfig): string => `k8s_attributes/${JSON.stringify(config)}`;

export function makeK8sAttributes(
  config: K8sAttributesConfig,
  ctx: ProcessorContext,
  { api, kubelet }: Servers = {},
): Processor {
  if (config.passthrough) return makePassthrough(config, ctx);
  const rules = compileRules(config.extract, conventionsOf(ctx.gates));
  const cluster = ctx.host.shared(
    clusterKey(config),
    () =>
      new Cluster({
        id: clusterKey(config),
        config,
        rules,
        api: () => api ?? openApiServer(config, ctx),
        clock: ctx.clock,
        log: ctx.log,
        telemetry: ctx.telemetry,
        kubelet,
      }),
  );
  return new K8sAttributes(config, ctx, rules, cluster);
}

/** Only the address of the sender, for a gateway that looks the pods up. */
function makePassthrough({ pod_association }: K8sAttributesConfig, { next }: ProcessorContext): Processor {
  return {
    async consume(batch) {
      const groups = batch.groups.map((g) => {
        const ip = identify(pod_association, g.resource.attributes, batch.peer ?? '')?.connectionIp ?? '';
        if (ip === '' || g.resource.attributes.get('k8s.pod.ip')) return g;
        return {
          ...g,
          resource: resourceOf(new Map(g.resource.attributes).set('k8s.pod.ip', ip), g.resource.schemaUrl),
        };
      });
      await next.consume(makeBatch(batch.signal, groups, batch.metadata, batch.peer));
    },
  };
}

class K8sAttributes implements Processor {
  readonly #config: K8sAttributesConfig;
  readonly #ctx: ProcessorContext;
  readonly #rules: ReturnType<typeof compileRules>;
  readonly #cluster: Cluster;
  readonly #waiting: Waiting;
  readonly #known = new WeakMap<Resource, Entry>();
  /** By the address of the sender, where that counts and is known. */
  readonly #knownOfPeers = new WeakMap<Resource, Map<string, Entry>>();
  readonly #w = new ProtoWriter(1024);
  /** Of resources that are held. */
  readonly #arena = new Arena(ARENA_CHUNK_BYTES);
  readonly #usesPeer: boolean;
  #lastIdentity: Identity | undefined;
  #isRunning = false;
  #undo: (() => void)[] = [];

  constructor(
    config: K8sAttributesConfig,
    ctx: ProcessorContext,
    rules: ReturnType<typeof compileRules>,
    cluster: Cluster,
  ) {
    this.#config = config;
    this.#ctx = ctx;
    this.#rules = rules;
    this.#cluster = cluster;
    this.#usesPeer =
      config.pod_association.length === 0 ||
      config.pod_association.some((a) => a.sources.some((s) => s.from === 'connection'));
    this.#waiting = new Waiting({
      timeoutMs: config.wait_for_pod.timeout,
      maxBytes: config.wait_for_pod.max_bytes,
      stopping: ctx.host.shared(STOPPING, () => new AbortController()).signal,
      ctx,
      isLacking: ({ groups, peer = '' }) => groups.some((g) => this.#entry(g.resource, peer).lacking !== ''),
      enrich: (batch) => this.#enrich(batch),
    });
  }

  async start(): Promise<void> {
    this.#isRunning = true;
    const { telemetry, signal } = this.#ctx;
    // A pod may become known under this identity only when it changes, so updates count too.
    this.#undo.push(
      this.#cluster.onChange({
        isAwaiting: () => this.#waiting.isAwaiting,
        changed: (pod) => {
          this.#waiting.found(pod?.uid);
          if (!pod) return;
          if (pod.staticUid) this.#waiting.found(pod.staticUid);
          this.#waiting.found(fullName(pod.namespace, pod.name));
        },
      }),
    );
    this.#undo.push(
      telemetry.observe(INSTRUMENTS.pods, { otelcol_signal: signal }, () => this.#cluster.pods.deletedCount),
    );
    this.#cluster.start();
    if (!this.#config.wait_for_metadata) return;
    try {
      await this.#cluster.synced(this.#config.wait_for_metadata_timeout);
    } catch (e) {
      await this.stop(AbortSignal.abort());
      throw e;
    }
  }

  async stop(deadline: AbortSignal): Promise<void> {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    await this.#waiting.stop(deadline);
    for (const undo of this.#undo.splice(0)) undo();
    this.#cluster.stop();
  }

  async consume(batch: Batch): Promise<void> {
    const peer = batch.peer ?? '';
    const waits = (g: Group): string => this.#awaited(g.resource, peer);
    if (batch.groups.every((g) => waits(g) === '')) return this.#ctx.next.consume(this.#enrich(batch));
    // Nothing is held before the rest is accepted: a refused batch stays the caller's as a whole.
    await this.#waiting.room(batch.sizeBytes);
    const late: [string, Group][] = [];
    const rest: Group[] = [];
    for (const g of batch.groups) {
      const pod = waits(g);
      if (pod === '') rest.push(g);
      else late.push([pod, g]);
    }
    if (rest.length > 0)
      await this.#ctx.next.consume(this.#enrich(makeBatch(batch.signal, rest, batch.metadata, batch.peer)));
    for (const [pod, g] of late)
      this.#waiting.hold(
        pod,
        this.#entry(g.resource, peer).lacking,
        makeBatch(batch.signal, [g], batch.metadata, batch.peer),
      );
    if (late.length > 0) this.#cluster.hurry();
    // Some may have become known while the rest was handed on.
    for (const [pod] of late) this.#waiting.found(pod);
  }

  /** The pod that the resource has to wait for; ''. */
  #awaited(resource: Resource, peer: string): string {
    const { identity, lacking: what } = this.#entry(resource, peer);
    if (!identity || identity.awaited === '') return '';
    if (this.#waiting.holds(identity.awaited)) return identity.awaited;
    return what !== '' && this.#waiting.wants(what) ? identity.awaited : '';
  }

  /** Of another namespace than the one that is looked at: its pod will never be known. */
  #isOutside(resource: Resource): boolean {
    const { namespace } = this.#config.filter;
    const own = resource.attributes.get('k8s.namespace.name');
    return namespace !== '' && typeof own === 'string' && own !== namespace;
  }

  #lacking(resource: Resource, identity: Identity | undefined, pod: PodFacts | undefined): string {
    if (!identity || identity.awaited === '' || this.#isOutside(resource)) return '';
    return pod ? lacking(resource.attributes, pod, this.#rules, this.#cluster) : identity.awaited;
  }

  #enrich(batch: Batch): Batch {
    const groups = batch.groups.map((g) => {
      const { to, unmatched, association } = this.#entry(g.resource, batch.peer ?? '');
      unmatched?.add(g.count);
      association?.add(1);
      return to === g.resource ? g : { ...g, resource: to };
    });
    return makeBatch(batch.signal, groups, batch.metadata, batch.peer);
  }

  #entry(resource: Resource, peer: string): Entry {
    const from = this.#usesPeer ? peer : '';
    const entries = from === '' ? undefined : this.#entriesOfPeers(resource);
    const known = entries ? entries.get(from) : this.#known.get(resource);
    const cluster = this.#cluster;
    if (known) {
      const { identity } = known;
      const pod = identity && cluster.pods.get(identity.key);
      if (known.pod === pod && known.revision === cluster.revision) return known;
    }
    const { attributes } = resource;
    const identity = known ? known.identity : this.#identity(attributes, from);
    const entry = this.#make(resource, attributes, identity, known);
    if (!entries) this.#known.set(resource, entry);
    else {
      if (entries.size >= MAX_PEERS) entries.clear();
      entries.set(from, entry);
    }
    return entry;
  }

  /** A pod and its containers come one after the other: they share what they are known by. */
  #identity(attributes: ReadonlyValueMap, from: string): Identity | undefined {
    const found = identify(this.#config.pod_association, attributes, from);
    const last = this.#lastIdentity;
    if (found && last && found.key === last.key && found.connectionIp === last.connectionIp) return last;
    this.#lastIdentity = found;
    return found;
  }

  #entriesOfPeers(resource: Resource): Map<string, Entry> {
    let entries = this.#knownOfPeers.get(resource);
    if (!entries) this.#knownOfPeers.set(resource, (entries = new Map()));
    return entries;
  }

  #make(resource: Resource, before: ReadonlyValueMap, identity: Identity | undefined, known: Entry | undefined): Entry {
    const pod = identity && this.#cluster.pods.get(identity.key);
    const seen = pod?.isIgnored ? undefined : pod;
    const attributes = enrichedAttributes(before, identity, seen, this.#rules, this.#cluster);
    const { telemetry, signal } = this.#ctx;
    const reason = !identity ? 'no association' : pod?.isIgnored ? 'excluded pod' : pod ? undefined : 'unknown pod';
    return {
      identity,
      pod,
      revision: this.#cluster.revision,
      to:
        resource instanceof HeldResource
          ? this.#held(attributes, resource, known)
          : resourceOf(attributes, resource.schemaUrl),
      lacking: this.#lacking(resource, identity, pod),
      unmatched:
        reason === undefined ? undefined : telemetry.counter(INSTRUMENTS.unmatched, { otelcol_signal: signal, reason }),
      association:
        identity &&
        telemetry.counter(INSTRUMENTS.association, {
          otelcol_signal: signal,
          pod_identifier: identity.label,
          status: seen ? 'success' : 'error',
        }),
    };
  }

  /** What was made before stays the same object, so that others know it again. */
  #held(attributes: ReadonlyValueMap, from: Resource, known: Entry | undefined): Resource {
    this.#w.reset();
    writeAttributes(this.#w, 1, attributes);
    const encoded = this.#w.buf.subarray(0, this.#w.pos);
    if (known && encoded.equals(known.to.encoded)) return known.to;
    return new HeldResource(this.#arena.put(encoded), from.schemaUrl);
  }
}
