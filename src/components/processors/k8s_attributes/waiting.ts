/**
 * Records whose pod or container is not known yet: they wait for it, for a bounded time and with bounded memory, once
 * for every pod and run of a container, and go on in their order. They are accepted and not settled: what a file's records become is known only later, so a
 * crash costs nothing.
 */
import { type Batch, lost, makeBatch, settleBatch } from '../../../core/batch.ts';
import type { ProcessorContext } from '../../../core/component.ts';
import { DeliveryError, isPermanent, retryable } from '../../../core/errors.ts';
import { wait } from '../../../core/wait.ts';
import { INSTRUMENTS } from './instruments.ts';

const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;
/** What did not come; the oldest may be waited for once more. */
const MAX_GIVEN_UP = 10_000;

interface Held {
  batches: Batch[];
  /** What it waits for. */
  readonly reasons: Set<string>;
  sizeBytes: number;
  isReleased: boolean;
  timer: NodeJS.Timeout | undefined;
}

export interface WaitingOptions {
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** The service begins to stop: nobody waits for room any more. */
  readonly stopping: AbortSignal;
  readonly ctx: Pick<ProcessorContext, 'telemetry' | 'log' | 'next' | 'signal'>;
  /** Something is still not known. */
  readonly isLacking: (batch: Batch) => boolean;
  /** Gives the resources of a batch what is known of them now. */
  readonly enrich: (batch: Batch) => Batch;
}

export class Waiting {
  readonly #options: WaitingOptions;
  readonly #held = new Map<string, Held>();
  readonly #givenUp = new Set<string>();
  readonly #stopping = new AbortController();
  readonly #sending = new Set<Promise<void>>();
  #sizeBytes = 0;
  #room = Promise.withResolvers<void>();
  readonly #instruments;

  constructor(options: WaitingOptions) {
    this.#options = options;
    const { telemetry, signal } = options.ctx;
    const labels = { otelcol_signal: signal };
    this.#instruments = {
      bytes: telemetry.gauge(INSTRUMENTS.waiting, labels),
      found: telemetry.counter(INSTRUMENTS.waited, { ...labels, result: 'found' }),
      timedOut: telemetry.counter(INSTRUMENTS.waited, { ...labels, result: 'timed out' }),
      dropped: telemetry.counter(INSTRUMENTS.dropped, labels),
    };
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Whether records are to wait for this. */
  wants(reason: string): boolean {
    return this.#options.timeoutMs > 0 && !this.#stopping.signal.aborted && !this.#givenUp.has(reason);
  }

  get isAwaiting(): boolean {
    return this.#held.size > 0;
  }

  /** Records of this pod wait: later ones must not overtake them. */
  holds(uid: string): boolean {
    return this.#held.has(uid);
  }

  /** Resolves when there is room; one batch fits always. Throws when the service stops. */
  async room(sizeBytes: number): Promise<void> {
    const { maxBytes, stopping } = this.#options;
    const isFull = (): boolean => this.#sizeBytes > 0 && this.#sizeBytes + sizeBytes > maxBytes;
    if (!isFull()) return;
    const aborted = Promise.withResolvers<void>();
    const onAbort = (): void => aborted.resolve();
    stopping.addEventListener('abort', onAbort, { once: true });
    try {
      while (isFull()) {
        if (stopping.aborted) throw retryable('stopping while records wait for their pods');
        await Promise.race([this.#room.promise, aborted.promise]);
      }
    } finally {
      stopping.removeEventListener('abort', onAbort);
    }
  }

  /** @param reason what it waits for; '' when only others of the pod before it do. */
  hold(uid: string, reason: string, batch: Batch): void {
    let held = this.#held.get(uid);
    if (!held) {
      held = { batches: [], reasons: new Set(), sizeBytes: 0, isReleased: false, timer: undefined };
      held.timer = setTimeout(() => this.#giveUp(uid), this.#options.timeoutMs);
      this.#held.set(uid, held);
    }
    held.batches.push(batch);
    if (reason !== '') held.reasons.add(reason);
    held.sizeBytes += batch.sizeBytes;
    this.#sizeBytes += batch.sizeBytes;
    this.#instruments.bytes.set(this.#sizeBytes);
    if (this.#stopping.signal.aborted) this.#release(uid, false);
  }

  /** Something became known of this pod, or of all. */
  found(uid?: string): void {
    for (const one of uid === undefined ? [...this.#held.keys()] : [uid]) {
      const held = this.#held.get(one);
      if (held && !held.isReleased && !held.batches.some(this.#options.isLacking)) this.#release(one, true);
    }
  }

  /** Sends what is there, and waits for it until `deadline`. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    for (const uid of this.#held.keys()) this.#release(uid, false);
    if (this.#sending.size === 0 || deadline.aborted) return;
    const aborted = new Promise<void>((resolve) => deadline.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([Promise.all(this.#sending), aborted]);
  }

  #giveUp(uid: string): void {
    for (const reason of this.#held.get(uid)?.reasons ?? []) this.#givenUp.add(reason);
    for (const oldest of this.#givenUp) {
      if (this.#givenUp.size <= MAX_GIVEN_UP) break;
      this.#givenUp.delete(oldest);
    }
    this.#release(uid, false);
  }

  #release(uid: string, isFound: boolean): void {
    const held = this.#held.get(uid);
    if (!held || held.isReleased) return;
    held.isReleased = true;
    clearTimeout(held.timer);
    const sending = this.#send(uid, held, isFound).finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  /** Until nothing is left: what arrives meanwhile comes behind. */
  async #send(uid: string, held: Held, isFound: boolean): Promise<void> {
    for (let batch = held.batches.shift(); batch; batch = held.batches.shift()) {
      let run = batch;
      const groups = [...batch.groups];
      while (held.batches[0] && held.batches[0].metadata === batch.metadata && held.batches[0].peer === batch.peer)
        groups.push(...held.batches.shift()!.groups);
      if (groups.length > batch.groups.length) run = makeBatch(batch.signal, groups, batch.metadata, batch.peer);
      this.#instruments[isFound ? 'found' : 'timedOut'].add(run.count);
      await this.#deliver(this.#options.enrich(run));
      this.#sizeBytes -= run.sizeBytes;
      this.#instruments.bytes.set(this.#sizeBytes);
      const room = this.#room;
      this.#room = Promise.withResolvers();
      room.resolve();
    }
    this.#held.delete(uid);
  }

  async #deliver(batch: Batch): Promise<void> {
    const { next, log } = this.#options.ctx;
    for (let backoffMs = MIN_BACKOFF_MS; ; backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)) {
      try {
        return await next.consume(batch);
      } catch (error) {
        if (isPermanent(error) || !batch.patient) {
          log.error('records that had waited for their pod were refused', { error, dropped_items: batch.count });
          this.#instruments.dropped.add(batch.count);
          settleBatch(batch, lost(isPermanent(error) ? 'rejected' : 'refused'));
          return;
        }
        // Unsettled, so its source reads it again after the next start.
        if (this.#stopping.signal.aborted) return;
        const askedMs = error instanceof DeliveryError ? (error.retryAfterMs ?? 0) : 0;
        await wait(Math.max(backoffMs, askedMs), this.#stopping.signal);
      }
    }
  }
}
