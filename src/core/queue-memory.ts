/**
 * The queue in memory. Its elements count against the capacity until their sending is over. A capacity is in requests or
 * items, so it says little of memory: with more than `CALM_BYTES` waiting, those who push are slowed down to the pace of
 * the destination, as long as it has one. They are not refused before the capacity is used up.
 */
import type { Batch } from './batch.ts';
import { Ends } from './ends.ts';
import { retryable } from './errors.ts';
import { Capacity } from './queue-capacity.ts';
import { type Element, type QueueStore, sizeOf } from './queue-element.ts';
import type { QueueConfig } from './schema.ts';

export interface MemoryQueueOptions {
  readonly config: QueueConfig;
  /** Something can be taken. */
  readonly onOffer: () => void;
  /** A batch did not fit. */
  readonly onFull: (batch: Batch, error: Error) => void;
}

const CALM_BYTES = 32 * 1024 * 1024;
/** When no sending ends for so long, the destination is away, and the queue is there to be filled. */
const PAUSE_MS = 50;

export class MemoryQueue implements QueueStore {
  readonly durable = false;
  readonly #options: MemoryQueueOptions;
  readonly #capacity: Capacity;
  #waiting: Element[] = [];
  #closed = false;
  #head = 0;
  #heldBytes = 0;
  /** Of sendings, and of the queue itself. */
  readonly #ends = new Ends();

  constructor(options: MemoryQueueOptions) {
    this.#options = options;
    this.#capacity = new Capacity(options.config.queue_size);
  }

  async offer(batch: Batch): Promise<void> {
    const { config } = this.#options;
    const size = sizeOf(batch, config.sizer);
    if (batch.patient || config.block_on_overflow) await this.#roomFor(size);
    else {
      while (this.#heldBytes > CALM_BYTES && !this.#closed && (await this.#ends.next(PAUSE_MS)));
      if (this.#closed) throw retryable('sending queue is stopped');
      if (!this.#capacity.take(size)) {
        const error = retryable('sending queue is full');
        this.#options.onFull(batch, error);
        throw error;
      }
    }
    this.#heldBytes += batch.sizeBytes;
    return new Promise((resolve, reject) => {
      const answered = batch.groups.some((g) => g.parts.some((p) => !p.ack.isMemory));
      this.#waiting.push({
        batch,
        patient: batch.patient,
        pending: 0,
        failure: undefined,
        interrupted: false,
        finish: (e) => {
          this.#heldBytes -= batch.sizeBytes;
          this.#capacity.release(size);
          this.#ends.tell();
          // Parts were told already, so an error would count them twice; whoever has none learns it here.
          if (e.failure !== undefined && !answered) reject(e.failure as Error);
          else resolve();
        },
      });
      if (!config.wait_for_result) resolve();
      this.#options.onOffer();
    });
  }

  /** Room may come in the very step in which the queue is closed; what would go in then is never taken out. */
  async #roomFor(size: number): Promise<void> {
    await this.#capacity.wait(size);
    if (!this.#closed) return;
    this.#capacity.release(size);
    throw retryable('sending queue is stopped');
  }

  take(): Element | undefined {
    const e = this.#waiting[this.#head];
    if (!e) return undefined;
    this.#head++;
    if (this.#head > 1000 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    } else if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    }
    return e;
  }

  size(): number {
    return this.#capacity.used;
  }

  close(): void {
    this.#closed = true;
    this.#capacity.close();
    this.#ends.tell();
  }
}
