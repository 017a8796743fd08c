/** The receiver: waits for leadership and for the caches, then collects at intervals. */
import { type Consumer, type Group, makeBatch } from '../../../core/batch.ts';
import type { Receiver, ReceiverContext } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import { RateLimit } from '../../../core/log.ts';
import { type ReceiverCounters, receiverCounters } from '../../../core/receiver-telemetry.ts';
import { type Scope, scopeOf } from '../../../core/resource.ts';
import { wait } from '../../../core/wait.ts';
import { type ApiServer, openApiServer } from '../../../kubernetes/api-server.ts';
import { whileLeading } from '../../../kubernetes/leader.ts';
import { resourceName } from '../../../kubernetes/object.ts';
import { Cluster, servedResources } from './cluster.ts';
import { EntityEvents } from './entity-events.ts';
import type { K8sClusterConfig } from './index.ts';
import { groupOf } from './items.ts';
import type { ObjectKind } from './object-kind.ts';

const SCOPE_NAME = 'github.com/open-telemetry/opentelemetry-collector-contrib/receiver/k8sclusterreceiver';
/** As upstream: without the objects by then the process stops. */
const SYNC_MS = 10 * 60_000;
/** Points of one batch; a large cluster is sent in several. */
const BATCH_POINTS = 10_000;
const REPEAT_MS = 60_000;

export function createK8sCluster(config: K8sClusterConfig, ctx: ReceiverContext): Receiver {
  if (config.namespace !== '') ctx.log.warn('namespace is deprecated, use namespaces', { namespace: config.namespace });
  return new K8sCluster(config, ctx, openApiServer(config, ctx));
}

export class K8sCluster implements Receiver {
  readonly #config: K8sClusterConfig;
  readonly #ctx: ReceiverContext;
  readonly #api: ApiServer;
  readonly #scope: Scope;
  readonly #cluster: Cluster;
  readonly #told: RateLimit;
  readonly #counters: ReceiverCounters;
  readonly #entityCounters: ReceiverCounters;
  #round = 0;
  #end: (() => Promise<void>) | undefined;

  constructor(config: K8sClusterConfig, ctx: ReceiverContext, api: ApiServer) {
    this.#config = config;
    this.#ctx = ctx;
    this.#api = api;
    this.#scope = scopeOf(SCOPE_NAME, ctx.build.version);
    const wants = { metrics: ctx.outputs.metrics !== undefined, entities: ctx.outputs.logs !== undefined };
    this.#cluster = new Cluster(ctx, config, wants, api, this.#scope);
    this.#told = new RateLimit(REPEAT_MS, () => ctx.clock.nowMs());
    this.#counters = receiverCounters(ctx.telemetry, ctx.id, 'http', 'metrics');
    this.#entityCounters = receiverCounters(ctx.telemetry, ctx.id, 'http', 'logs');
  }

  async start(): Promise<void> {
    const elector = this.#config.k8s_leader_elector;
    this.#end = whileLeading(this.#ctx.host, elector === '' ? undefined : elector, (signal) => this.#run(signal));
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const end = this.#end?.();
    if (!end) return;
    await Promise.race([end, aborted(deadline)]);
    this.#api.closeIdle();
  }

  /** Until the signal. Never rejects. */
  async #run(signal: AbortSignal): Promise<void> {
    const events = this.#entityEvents();
    try {
      const served = await this.#servedKinds(signal);
      if (signal.aborted || !(await this.#sync(served, events, signal))) return;
      await Promise.all([this.#collectAtIntervals(signal), events && this.#tellAtIntervals(events, signal)]);
      // Without intervals the watches still tell of changes.
      await aborted(signal);
    } catch (e) {
      this.#ctx.log.error('the collection of Kubernetes objects stopped', { error: messageOf(e) });
      this.#ctx.host.fatal(this.#ctx.id, e instanceof Error ? e : new Error(messageOf(e)));
    } finally {
      events?.stop();
      this.#cluster.close();
    }
  }

  #entityEvents(): EntityEvents | undefined {
    const output = this.#ctx.outputs.logs;
    if (!output) return undefined;
    const { log, clock } = this.#ctx;
    return new EntityEvents({
      output,
      log,
      clock,
      counters: this.#entityCounters,
      intervalMs: Math.round(this.#config.metadata_collection_interval),
      podAttributes: this.#cluster.podAttributes,
    });
  }

  async #servedKinds(signal: AbortSignal): Promise<ReadonlySet<ObjectKind>> {
    const found = new Set<ObjectKind>();
    const isServed = servedResources(this.#api.client, signal);
    const ask = async (kind: ObjectKind): Promise<void> => {
      if (await isServed(kind.type)) found.add(kind);
      else
        this.#ctx.log.warn("Server doesn't support any of the group versions defined for the kind", {
          resource: resourceName(kind.type),
          version: kind.type.version,
        });
    };
    await Promise.all(this.#cluster.kinds.map(ask));
    return found;
  }

  async #sync(
    served: ReadonlySet<ObjectKind>,
    events: EntityEvents | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const done = new AbortController();
    // What exists is told when all of it is known: attributes of pods come from other objects.
    let isSynced = false;
    const listener = events && {
      put: (...[object, before]: Parameters<EntityEvents['put']>) => void (isSynced && events.put(object, before)),
      remove: (...[object]: Parameters<EntityEvents['remove']>) => void (isSynced && events.remove(object)),
    };
    const synced = this.#cluster.open((kind) => served.has(kind), listener).then(() => true);
    const late = wait(SYNC_MS, AbortSignal.any([signal, done.signal])).then(() => false);
    isSynced = await Promise.race([synced, late]);
    done.abort();
    if (signal.aborted) return false;
    if (!isSynced) {
      const error = this.#cluster.failures().join('; ');
      this.#ctx.log.error('Timed out waiting for initial cache sync.', { error });
      this.#ctx.host.fatal(this.#ctx.id, new Error(`failed to start collector: initial cache sync: ${error}`));
      return false;
    }
    this.#ctx.log.info('Completed syncing shared informer caches.');
    if (events) for (const object of this.#cluster.objects()) events.put(object);
    return true;
  }

  async #tellAtIntervals(events: EntityEvents, signal: AbortSignal): Promise<void> {
    const interval = this.#config.metadata_collection_interval;
    if (interval <= 0) return;
    for (;;) {
      await wait(interval, signal);
      if (signal.aborted) return;
      for (const object of this.#cluster.objects()) events.put(object);
      await events.settled();
    }
  }

  async #collectAtIntervals(signal: AbortSignal): Promise<void> {
    const output = this.#ctx.outputs.metrics;
    if (!output) return;
    const { clock } = this.#ctx;
    const interval = this.#config.collection_interval;
    let due = clock.monotonicMs();
    for (;;) {
      const missed = Math.floor(Math.max(0, clock.monotonicMs() - due) / interval);
      due += (missed + 1) * interval;
      await wait(Math.max(0, due - clock.monotonicMs()), signal);
      if (signal.aborted) return;
      await this.collect(output, signal);
    }
  }

  /** Hands all that is known on, with the time of now. */
  async collect(output: Consumer, signal?: AbortSignal): Promise<void> {
    const time = this.#ctx.clock.nowUnixNano();
    const round = ++this.#round;
    let groups: Group[] = [];
    let points = 0;
    let liveBytes = 0;
    for (const measured of this.#cluster.measured()) {
      groups.push(groupOf(measured, this.#scope, time, round));
      points += measured.items.count;
      liveBytes += measured.resource.encoded.length;
      if (points < BATCH_POINTS) continue;
      await this.#send(output, groups);
      if (signal?.aborted) return;
      groups = [];
      points = 0;
    }
    if (groups.length > 0) await this.#send(output, groups);
    this.#cluster.recorder.tidy(round, () => this.#cluster.measured(), liveBytes);
  }

  async #send(output: Consumer, groups: readonly Group[]): Promise<void> {
    const batch = makeBatch('metrics', groups);
    try {
      await output.consume(batch);
      this.#counters.accepted(batch.count);
    } catch (e) {
      this.#counters.refused(batch.count);
      const held = this.#told.pass(messageOf(e));
      if (held !== undefined)
        this.#ctx.log.error('Collected metrics were refused', { error: messageOf(e), repeated: held });
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
