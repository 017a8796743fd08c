/** Holds the election and tells the components that asked whether this replica leads. */
import { randomUUID } from 'node:crypto';
import type { ComponentContext, Extension } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import { type ApiServer, openApiServer } from '../../../kubernetes/api-server.ts';
import { Handover } from '../../../kubernetes/handover.ts';
import type { LeaderElector, LeaderListener } from '../../../kubernetes/leader.ts';
import { LeaseElection } from '../../../kubernetes/lease.ts';
import type { LeaderElectorConfig } from './index.ts';

export class LeaderElectorExtension implements Extension, LeaderElector {
  readonly #config: LeaderElectorConfig;
  readonly #ctx: ComponentContext;
  readonly #api: ApiServer;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<LeaderListener>();
  readonly handover = new Handover();
  #isLeader = false;
  #running: Promise<void> = Promise.resolve();

  /** @param api for tests */
  constructor(config: LeaderElectorConfig, ctx: ComponentContext, api: ApiServer = openApiServer(config, ctx)) {
    this.#config = config;
    this.#ctx = ctx;
    this.#api = api;
  }

  async start(): Promise<void> {
    const c = this.#config;
    const { clock, log } = this.#ctx;
    const election = new LeaseElection({
      client: this.#api.client,
      namespace: c.lease_namespace,
      name: c.lease_name,
      identity: randomUUID(),
      leaseDurationMs: c.lease_duration,
      renewDeadlineMs: c.renew_deadline,
      retryPeriodMs: c.retry_period,
      handover: this.handover,
      log,
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
    });
    this.#running = election.run(
      { started: () => this.#tell(true), stopped: () => this.#tell(false) },
      this.#stopping.signal,
    );
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    const late = new Promise<void>((resolve) => {
      if (deadline.aborted) resolve();
      else deadline.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([this.#running, late]);
    this.#api.closeIdle();
  }

  onLeadership(listener: LeaderListener): () => void {
    this.#listeners.add(listener);
    if (this.#isLeader) listener.started();
    return () => void this.#listeners.delete(listener);
  }

  #tell(isLeader: boolean): void {
    this.#isLeader = isLeader;
    for (const l of this.#listeners)
      try {
        if (isLeader) l.started();
        else l.stopped();
      } catch (e) {
        this.#ctx.log.error('a component failed to follow a change of leadership', { error: messageOf(e) });
      }
  }
}
