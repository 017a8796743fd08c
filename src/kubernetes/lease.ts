/**
 * Leader election with a Lease, as client-go does it: who holds it renews it; who does not takes it when nobody has
 * renewed it for its duration, measured by the own clock alone, so that clocks need not agree.
 */
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { wait } from '../core/wait.ts';
import { type KubernetesClient, StatusError } from './client.ts';
import type { Handover } from './handover.ts';
import type { KubernetesObject } from './object.ts';
import { pathOf } from './object.ts';
import { Trouble } from './trouble.ts';

const LEASES = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' };
/** Waits are stretched by up to this part, so that replicas do not ask at the same moment. */
const JITTER = 1.2;
/** Of each request that gives the lease up. */
const RELEASE_MS = 2000;

export interface LeaseOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /** Travels with the lease. */
  readonly handover?: Handover;
  readonly log: Logger;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly random?: () => number;
}

interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number;
}
type Lease = KubernetesObject & { readonly spec?: LeaseSpec };

export class LeaseElection {
  readonly #o: LeaseOptions;
  readonly #trouble: Trouble;
  #lease: Lease | undefined;
  /** When the lease was last seen to change. */
  #changedAtMs = 0;

  constructor(options: LeaseOptions) {
    this.#o = options;
    this.#trouble = new Trouble(options.log, 'error retrieving or updating the lease, trying on');
  }

  /** Competes until the signal; then gives up the lease, if it holds it. */
  async run(listener: { started(): void; stopped(): void }, signal: AbortSignal): Promise<void> {
    const { retryPeriodMs, renewDeadlineMs, monotonicMs, random = Math.random, log } = this.#o;
    while (!signal.aborted) {
      while (!(await this.#attempt(signal))) {
        if (signal.aborted) return;
        await wait(retryPeriodMs * (1 + random() * JITTER), signal);
        if (signal.aborted) return;
      }
      if (signal.aborted) break;
      log.info('became the leader', { lease: this.#o.name });
      listener.started();
      let renewedAtMs = monotonicMs();
      while (!signal.aborted) {
        await wait(retryPeriodMs, signal);
        if (signal.aborted) break;
        const begunAtMs = monotonicMs();
        const left = renewDeadlineMs - (begunAtMs - renewedAtMs);
        if (left > 0 && (await this.#attempt(signal, left))) renewedAtMs = begunAtMs;
        else if (this.#isOthers() || monotonicMs() - renewedAtMs >= renewDeadlineMs) break;
      }
      listener.stopped();
      if (!signal.aborted) log.warn('is not the leader any more', { lease: this.#o.name });
    }
    await this.#release();
  }

  get #holder(): string {
    return this.#lease?.spec?.holderIdentity ?? '';
  }

  #isOthers(): boolean {
    return this.#holder !== '' && this.#holder !== this.#o.identity;
  }

  /** Takes or renews the lease; false when that is not possible now. */
  async #attempt(signal: AbortSignal, timeoutMs = this.#o.renewDeadlineMs): Promise<boolean> {
    try {
      const isHeld = await this.#takeOrRenew(AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(timeoutMs))]));
      this.#trouble.over();
      return isHeld;
    } catch (e) {
      if (signal.aborted) return false;
      // Another replica was faster.
      if (e instanceof StatusError && e.status === 409)
        this.#o.log.debug('the lease changed meanwhile', { error: messageOf(e) });
      else this.#trouble.tell(e);
      return false;
    }
  }

  async #takeOrRenew(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name, identity, leaseDurationMs, nowMs, monotonicMs, handover } = this.#o;
    const path = pathOf(LEASES, namespace, name);
    const found = await client.getJson(path, { signal }).catch((e: unknown) => {
      if (e instanceof StatusError && e.status === 404) return undefined;
      throw e;
    });
    const now = `${new Date(nowMs()).toISOString().slice(0, -1)}000Z`;
    const spec: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.round(leaseDurationMs / 1000)),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: 0,
    };
    if (found === undefined) {
      const metadata = { name, namespace, uid: '', resourceVersion: '' };
      const made: Lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
      const { uid: _, resourceVersion: __, ...own } = (handover?.into(made) ?? made).metadata;
      const body = { ...made, metadata: own };
      this.#see((await client.write(pathOf(LEASES, namespace), { method: 'POST', body, signal })) as Lease);
      return true;
    }
    this.#see(found as Lease);
    const old = this.#lease!.spec ?? {};
    const isOwn = old.holderIdentity === identity;
    const validMs = Math.max(leaseDurationMs, (old.leaseDurationSeconds ?? 0) * 1000);
    if (this.#isOthers() && monotonicMs() - this.#changedAtMs < validMs) return false;
    const transitions = (old.leaseTransitions ?? 0) + (isOwn ? 0 : 1);
    const taken = { ...spec, acquireTime: isOwn ? (old.acquireTime ?? now) : now, leaseTransitions: transitions };
    if (!isOwn) handover?.take(this.#lease!);
    const next = { ...this.#lease!, spec: { ...old, ...taken } };
    const body = handover?.into(next) ?? next;
    this.#see((await client.write(path, { method: 'PUT', body, signal })) as Lease);
    return true;
  }

  #see(lease: Lease): void {
    const isChanged = lease.metadata.resourceVersion !== this.#lease?.metadata.resourceVersion;
    this.#lease = lease;
    if (isChanged) this.#changedAtMs = this.#o.monotonicMs();
  }

  /** So that the next one need not wait until it expires. */
  async #release(): Promise<void> {
    if (!this.#lease || this.#holder !== this.#o.identity) return;
    const { client, namespace, name, identity, log, handover } = this.#o;
    const path = pathOf(LEASES, namespace, name);
    const options = { timeoutMs: RELEASE_MS };
    try {
      // A renewal that was cut short may have been written: the lease is as the server has it.
      const lease = (await client.getJson(path, options)) as Lease;
      if (lease.spec?.holderIdentity !== identity) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 };
      const left = { ...lease, spec };
      await client.write(path, { ...options, method: 'PUT', body: handover?.into(left) ?? left });
    } catch (e) {
      log.debug('the lease could not be given up', { error: messageOf(e) });
    } finally {
      this.#lease = undefined;
    }
  }
}
