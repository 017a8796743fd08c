/** Puts the receiver together: finds the resources, opens the store, and runs a stream per object and namespace. */
import type { Consumer, Receiver, ReceiverContext } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import { Ledger } from '../../../core/ledger.ts';
import { type ReceiverCounters, receiverCounters } from '../../../core/receiver-telemetry.ts';
import { type Scope, scopeOf } from '../../../core/resource.ts';
import { wait } from '../../../core/wait.ts';
import { type ApiServer, openApiServer } from '../../../kubernetes/api-server.ts';
import { Backoff, type BackoffOptions } from '../../../kubernetes/backoff.ts';
import { discover } from '../../../kubernetes/discovery.ts';
import { whileLeading } from '../../../kubernetes/leader.ts';
import { list } from '../../../kubernetes/list.ts';
import type { KubernetesObject } from '../../../kubernetes/object.ts';
import type { Position } from '../../../kubernetes/position.ts';
import { openPositionStore, type PositionStore } from '../../../kubernetes/position-store.ts';
import { RecordDelivery } from '../../../kubernetes/record-delivery.ts';
import { Trouble } from '../../../kubernetes/trouble.ts';
import { intervalOf, type K8sObjectsConfig } from './index.ts';
import { type PlannedStream, planStreams, type ResolvedObject, resolveObjects } from './plan.ts';
import { runPull } from './pull-stream.ts';
import { runWatch } from './watch-stream.ts';

const SCOPE = 'github.com/open-telemetry/opentelemetry-collector-contrib/receiver/k8sobjectsreceiver';
const NAMESPACES = { group: '', version: 'v1', resource: 'namespaces' };

export const createK8sObjects = (config: K8sObjectsConfig, ctx: ReceiverContext): Receiver =>
  new K8sObjectsReceiver(config, ctx, openApiServer(config, ctx));

export class K8sObjectsReceiver implements Receiver {
  readonly #config: K8sObjectsConfig;
  readonly #ctx: ReceiverContext;
  readonly #api: ApiServer;
  readonly #backoff: BackoffOptions | undefined;
  readonly #next: Consumer;
  readonly #scope: Scope;
  readonly #ledger = new Ledger();
  readonly #counters: ReceiverCounters;
  readonly #stopping = new AbortController();
  readonly #ended = new Map<string, Position>();
  #store: PositionStore | undefined;
  #end: (() => Promise<void>) | undefined;

  constructor(config: K8sObjectsConfig, ctx: ReceiverContext, api: ApiServer, backoff?: BackoffOptions) {
    const next = ctx.outputs.logs;
    if (!next) throw new Error('k8s_objects: no pipeline of logs');
    this.#config = config;
    this.#ctx = ctx;
    this.#api = api;
    this.#backoff = backoff;
    this.#next = next;
    this.#scope = scopeOf(SCOPE, ctx.build.version);
    this.#counters = receiverCounters(ctx.telemetry, ctx.id, '', 'logs');
    ctx.host.addLedger(ctx.id, this.#ledger);
  }

  async start(): Promise<void> {
    const { storage, k8s_leader_elector: elector } = this.#config;
    const owner = this.#ctx.id.replace(/^k8s_objects(?=\/|$)/, 'k8sobjects');
    this.#store = await openPositionStore({ storage, elector }, owner, this.#ctx);
    const resolved = await this.#resolve();
    this.#end = whileLeading(this.#ctx.host, elector, async (signal) => {
      const found = resolved ?? (await this.#resolveLater(signal));
      if (found) await this.#run(found, AbortSignal.any([signal, this.#stopping.signal]));
    });
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    const late = new Promise<void>((resolve) => {
      if (deadline.aborted) resolve();
      else deadline.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([this.#end?.(), late]);
    // What is settled behind us while the pipeline stops is stored too.
    this.#store?.finish();
    this.#api.closeIdle();
  }

  /** undefined when the API server cannot be asked now; that is no reason not to collect files meanwhile. */
  async #resolve(
    signal: AbortSignal = this.#stopping.signal,
    trouble?: Trouble,
  ): Promise<ResolvedObject[] | undefined> {
    const { log } = this.#ctx;
    let resources: Awaited<ReturnType<typeof discover>>;
    try {
      resources = await discover(this.#api.client, signal);
    } catch (e) {
      (trouble ?? new Trouble(log, 'the resources of the cluster cannot be read, trying on')).tell(e);
      return undefined;
    }
    if (resources.failed.length > 0) log.warn('API groups do not answer', { groups: resources.failed.join(', ') });
    return resolveObjects(this.#config, resources.resources, log);
  }

  async #resolveLater(signal: AbortSignal): Promise<ResolvedObject[] | undefined> {
    const backoff = new Backoff(this.#backoff);
    const trouble = new Trouble(this.#ctx.log, 'the resources of the cluster cannot be read, trying on');
    while (!signal.aborted) {
      try {
        const resolved = await this.#resolve(signal, trouble);
        if (resolved) return resolved;
      } catch (e) {
        this.#ctx.host.fatal(this.#ctx.id, e as Error);
        return undefined;
      }
      await wait(backoff.next(), signal);
    }
    return undefined;
  }

  async #run(resolved: readonly ResolvedObject[], signal: AbortSignal): Promise<void> {
    const needsNamespaces = resolved.some((r) => r.object.exclude_namespaces.length > 0);
    const namespaces = needsNamespaces ? await this.#namespaces(signal) : [];
    const streams = planStreams(resolved, namespaces);
    await Promise.all(
      streams.map((plan) =>
        this.#stream(plan, signal).catch((e: unknown) =>
          this.#ctx.log.error('a stream of objects ended', { object: plan.object.name, error: messageOf(e) }),
        ),
      ),
    );
  }

  async #namespaces(signal: AbortSignal): Promise<string[]> {
    const backoff = new Backoff(this.#backoff);
    const trouble = new Trouble(this.#ctx.log, 'namespaces cannot be listed, trying on');
    while (!signal.aborted) {
      const names: string[] = [];
      try {
        await list(this.#api.client, NAMESPACES, {}, { signal }, (item) =>
          names.push((JSON.parse(item.toString()) as KubernetesObject).metadata.name),
        );
        return names;
      } catch (e) {
        if (!signal.aborted) trouble.tell(e);
      }
      await wait(backoff.next(), signal);
    }
    return [];
  }

  #stream(plan: PlannedStream, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ctx;
    const { namespace } = plan.selection;
    const log = this.#ctx.log.with({ resource: plan.object.name, ...(namespace ? { namespace } : {}) });
    const delivery = new RecordDelivery({
      next: this.#next,
      scope: this.#scope,
      log,
      counters: this.#counters,
      stopping: signal,
      monotonicMs: () => clock.monotonicMs(),
      ...(this.#backoff ? { backoff: this.#backoff } : {}),
    });
    const common = { plan, client: this.#api.client, clock, log, ledger: this.#ledger, delivery };
    if (plan.object.mode === 'pull')
      return runPull({ ...common, intervalMs: intervalOf(this.#config, plan.object) }, signal);
    const withInitialState = this.#config.include_initial_state;
    return runWatch(
      { ...common, store: this.#store, ended: this.#ended, withInitialState, backoff: this.#backoff },
      signal,
    );
  }
}
