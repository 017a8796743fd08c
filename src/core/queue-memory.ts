/** The queue in memory. Its elements count against the capacity until their sending is over. */
import type { Batch } from './batch.ts';
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

export class MemoryQueue implements QueueStore {
  readonly durable = false;
  readonly #options: MemoryQueueOptions;
  readonly #capacity: Capacity;
  #waiting: Element[] = [];
  #closed = false;
  #head = 0;

  constructor(options: MemoryQueueOptions) {
    this.#options = options;
    this.#capacity = new Capacity(options.config.queue_size);
  }

  async offer(batch: Batch): Promise<void> {
    const { config } = this.#options;
    const size = sizeOf(batch, config.sizer);
    if (batch.patient || config.block_on_overflow) await this.#roomFor(size);
    else if (!this.#capacity.take(size)) {
      const error = retryable('sending queue is full');
      this.#options.onFull(batch, error);
      throw error;
    }
    return new Promise((resolve, reject) => {
      const answered = batch.groups.some((g) => g.parts.some((p) => !p.ack.isMemory));
      this.#waiting.push({
        batch,
        patient: batch.patient,
        pending: 0,
        failure: undefined,
        interrupted: false,
        finish: (e) => {
          this.#capacity.release(size);
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
  }
}
