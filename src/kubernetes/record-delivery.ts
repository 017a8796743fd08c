/**
 * Hands records made from objects to the pipeline, again and again until they are taken, and waits while too much of
 * what was handed on has no outcome. The API server, or what it keeps of the past, is the buffer.
 */
import {
  type Ack,
  type Batch,
  type Consumer,
  type Group,
  lost,
  makeBatch,
  type Part,
  settleBatch,
} from '../core/batch.ts';
import { DeliveryError, isPermanent, messageOf } from '../core/errors.ts';
import { type Logger, RateLimit } from '../core/log.ts';
import type { ReceiverCounters } from '../core/receiver-telemetry.ts';
import type { Resource, Scope } from '../core/resource.ts';
import { wait } from '../core/wait.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';

/** Source bytes without an outcome, per stream. */
const MAX_UNSETTLED_BYTES = 16 * 1024 * 1024;
/** Source bytes of one batch. */
const MAX_BATCH_BYTES = 1024 * 1024;

export interface RecordDeliveryOptions {
  readonly next: Consumer;
  readonly scope: Scope;
  readonly log: Logger;
  readonly counters: ReceiverCounters;
  readonly stopping: AbortSignal;
  readonly monotonicMs: () => number;
  readonly backoff?: BackoffOptions;
}

interface OpenGroup {
  readonly resource: Resource;
  readonly items: Uint8Array[];
  readonly parts: Part[];
}

export class RecordDelivery {
  readonly #options: RecordDeliveryOptions;
  readonly #refusals: RateLimit;
  #groups: OpenGroup[] = [];
  #bytes = 0;
  #unsettledBytes = 0;
  #waiting: (() => void) | undefined;
  #hasLeft = false;

  constructor(options: RecordDeliveryOptions) {
    this.#options = options;
    this.#refusals = new RateLimit(10_000, options.monotonicMs);
  }

  /** `item` is an encoded record with its tag and length; it belongs to the batch from now on. */
  add(resource: Resource, item: Uint8Array, ack: Ack, bytes: number): void {
    let group = this.#groups.at(-1);
    if (group?.resource !== resource) this.#groups.push((group = { resource, items: [], parts: [] }));
    group.items.push(item);
    this.#bytes += bytes;
    this.#unsettledBytes += bytes;
    group.parts.push({ ack: this.#counted(ack), records: 1, bytes });
  }

  /** Something was not taken until the end, and has to be read again. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  get isFull(): boolean {
    return this.#bytes >= MAX_BATCH_BYTES;
  }

  /** Resolves when everything is taken and there is room for more, or when the receiver stops. */
  async flush(): Promise<void> {
    if (this.#groups.length > 0) {
      const batch = makeBatch(
        'logs',
        this.#groups.map((g) => this.#close(g)),
      );
      this.#groups = [];
      this.#bytes = 0;
      await this.#deliver(batch);
    }
    while (this.#unsettledBytes > MAX_UNSETTLED_BYTES && !this.#options.stopping.aborted) await this.#room();
  }

  #close({ resource, items, parts }: OpenGroup): Group {
    const count = items.length;
    const bytes = items.length === 1 ? items[0]! : Buffer.concat(items);
    return { resource, scope: this.#options.scope, items: bytes, messages: count, count, parts };
  }

  #counted(ack: Ack): Ack {
    return {
      patient: true,
      settle: (records, bytes, outcome) => {
        this.#unsettledBytes -= bytes;
        ack.settle(records, bytes, outcome);
        this.#waiting?.();
      },
    };
  }

  #room(): Promise<void> {
    const { stopping } = this.#options;
    return new Promise((resolve) => {
      const done = (): void => {
        stopping.removeEventListener('abort', done);
        this.#waiting = undefined;
        resolve();
      };
      this.#waiting = done;
      stopping.addEventListener('abort', done, { once: true });
    });
  }

  async #deliver(batch: Batch): Promise<void> {
    const { next, counters, log, stopping } = this.#options;
    const backoff = new Backoff(this.#options.backoff);
    for (;;) {
      const isLast = stopping.aborted;
      try {
        await next.consume(batch);
        counters.accepted(batch.count);
        return;
      } catch (e) {
        counters.refused(batch.count);
        const error = messageOf(e);
        if (isPermanent(e)) {
          log.error('Batch was rejected and is lost', { error, log_records: batch.count });
          settleBatch(batch, lost(`rejected: ${error}`));
          return;
        }
        const suppressed = this.#refusals.pass('refused');
        if (suppressed !== undefined)
          log.warn('Batch was refused; trying again', { error, log_records: batch.count, suppressed });
        // What is not taken is not settled, so it is read again after the next start.
        if (isLast) {
          this.#hasLeft = true;
          return;
        }
        await wait(backoff.next(e instanceof DeliveryError ? e.retryAfterMs : 0), stopping);
      }
    }
  }
}
