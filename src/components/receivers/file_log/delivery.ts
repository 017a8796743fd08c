/** Hands batches to the pipeline, again and again until they are taken: the data stays in the files meanwhile. */
import { type Batch, type Consumer, lost, settleBatch } from '../../../core/batch.ts';
import { DeliveryError, isPermanent, messageOf } from '../../../core/errors.ts';
import { type Logger, RateLimit } from '../../../core/log.ts';
import type { Counter } from '../../../core/telemetry.ts';

export interface DeliveryOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly multiplier: number;
  readonly jitter: number;
}

export class Delivery {
  readonly #next: Consumer;
  readonly #o: DeliveryOptions;
  readonly #log: Logger;
  readonly #accepted: Counter;
  readonly #refused: Counter;
  readonly #stop: AbortSignal;
  readonly #limit: RateLimit;

  constructor(
    next: Consumer,
    options: DeliveryOptions,
    log: Logger,
    counters: { accepted: Counter; refused: Counter },
    stop: AbortSignal,
    nowMs: () => number,
  ) {
    this.#next = next;
    this.#o = options;
    this.#log = log;
    this.#accepted = counters.accepted;
    this.#refused = counters.refused;
    this.#stop = stop;
    this.#limit = new RateLimit(10_000, nowMs);
  }

  /** False when the receiver had to stop before the batch was taken: nothing is settled, it will be read again. */
  async deliver(batch: Batch): Promise<boolean> {
    let wait = this.#o.initialMs;
    for (;;) {
      // At a stop everything gets one more chance.
      const stopping = this.#stop.aborted;
      try {
        await this.#next.consume(batch);
        this.#accepted.add(batch.count);
        return true;
      } catch (error) {
        this.#refused.add(batch.count);
        if (isPermanent(error)) {
          this.#log.error('Batch was rejected and is lost', { error: messageOf(error), log_records: batch.count });
          settleBatch(batch, lost(`rejected: ${messageOf(error)}`));
          return true;
        }
        const held = this.#limit.pass('retry');
        if (held !== undefined)
          this.#log.warn('Batch was refused; trying again', {
            error: messageOf(error),
            log_records: batch.count,
            suppressed: held,
          });
        if (stopping) return false;
        const asked = error instanceof DeliveryError ? (error.retryAfterMs ?? 0) : 0;
        const spread = wait * this.#o.jitter * (2 * Math.random() - 1);
        await pause(Math.max(asked, wait + spread), this.#stop);
        wait = Math.min(this.#o.maxMs, wait * this.#o.multiplier);
      }
    }
  }
}

/** Resolves after `ms`, or at once when the signal is given. */
export function pause(ms: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener('abort', done, { once: true });
  });
}
