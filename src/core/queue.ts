/**
 * What stands between a pipeline and an exporter's requests: queue (in memory, or in a storage extension), batching,
 * parallel senders, retries, and an orderly stop. An exporter gives it one function that makes requests.
 */
import type { Batch } from './batch.ts';
import type { Exporter, ExporterContext } from './component.ts';
import { Ends } from './ends.ts';
import { ConfigError, isPermanent, retryable } from './errors.ts';
import { Batcher, type Piece } from './queue-batch.ts';
import { type Element, endPiece, type QueueStore } from './queue-element.ts';
import { MemoryQueue } from './queue-memory.ts';
import { PersistentQueue } from './queue-persistent.ts';
import { createSender, type Prepare, type Sender } from './queue-sender.ts';
import { type ExporterCounters, exporterCounters } from './queue-telemetry.ts';
import { createRetry, InterruptedError } from './retry.ts';
import type { QueueConfig, RetryConfig } from './schema.ts';
import { isStorageExtension, type StorageClient } from './storage.ts';
import type { Labels } from './telemetry.ts';

export { EXPORTER_INSTRUMENTS } from './queue-telemetry.ts';

export interface DeliveryOptions {
  readonly ctx: ExporterContext;
  /** Without it, or not enabled: the caller waits for the delivery and gets its errors. */
  readonly queue?: QueueConfig;
  readonly retry: RetryConfig;
  readonly prepare: Prepare;
  /** Besides the exporter's id, on the counters of sent and failed items. */
  readonly labels?: Labels;
  readonly onStart?: () => void | Promise<void>;
  readonly onStop?: () => void | Promise<void>;
}

/** An exporter made of a function that makes requests. */
export function createDelivery(options: DeliveryOptions): Exporter {
  return new Delivery(options);
}

/** A destination that answers nothing for so long does not keep up. */
const SLOW_MS = 1000;

class Delivery implements Exporter {
  readonly #o: DeliveryOptions;
  readonly #queue: QueueConfig | undefined;
  readonly #counters: ExporterCounters;
  readonly #sender: Sender;
  readonly #stopping = new AbortController();
  readonly #deadline = new AbortController();
  readonly #ready: Piece[] = [];
  readonly #batcher: Batcher | undefined;
  #store: QueueStore | undefined;
  #client: StorageClient | undefined;
  #forget: (() => void) | undefined;
  #inFlight = 0;
  /** Of sends. */
  readonly #ends = new Ends();
  #pumping = false;
  #drained: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: DeliveryOptions) {
    this.#o = options;
    const { ctx, retry } = options;
    this.#queue = options.queue?.enabled ? options.queue : undefined;
    this.#counters = exporterCounters(ctx, options.labels);
    const signals = { stopping: this.#stopping.signal, deadline: this.#deadline.signal };
    this.#sender = createSender({
      prepare: options.prepare,
      retry: createRetry(retry, { clock: ctx.clock, log: ctx.log, ...signals }),
      counters: this.#counters,
      clock: ctx.clock,
      log: ctx.log,
      hint:
        retry.enabled || this.#queue
          ? ''
          : ' Try enabling retry_on_failure config option to retry on retryable errors.',
    });
    if (this.#queue?.batch) this.#batcher = new Batcher(this.#queue.batch, ctx.signal, (piece) => this.#emit(piece));
    // Consumers before start: the memory queue can take, the persistent one needs its storage.
    if (this.#queue && !this.#queue.storage) this.#store = this.#memoryQueue(this.#queue);
  }

  #memoryQueue(config: QueueConfig): QueueStore {
    return new MemoryQueue({ config, onOffer: () => this.#pump(), onFull: (batch, e) => this.#refused(batch, e) });
  }

  #refused(batch: Batch, error: Error): void {
    this.#counters.enqueueFailed(batch.count);
    this.#sender.reject(batch, error);
  }

  async start(): Promise<void> {
    const { ctx } = this.#o;
    await this.#o.onStart?.();
    const config = this.#queue;
    if (!config) return;
    if (config.storage) {
      const extension = ctx.host.extension(config.storage);
      if (extension === undefined)
        throw new ConfigError(
          `no storage extension found: ${JSON.stringify(config.storage)} is not in service.extensions`,
        );
      if (!isStorageExtension(extension))
        throw new ConfigError(`requested extension is not a storage extension: ${JSON.stringify(config.storage)}`);
      this.#client = await extension.client('exporter', ctx.id, ctx.signal);
      this.#store = new PersistentQueue({
        config,
        signal: ctx.signal,
        client: this.#client,
        log: ctx.log,
        clock: ctx.clock,
        stopping: this.#stopping.signal,
        onOffer: () => this.#pump(),
        onFull: (batch, e) => this.#refused(batch, e),
      });
    }
    const store = this.#store!;
    this.#forget = this.#counters.observeQueue(() => store.size(), config.queue_size);
    this.#pump();
  }

  async consume(batch: Batch): Promise<void> {
    if (this.#stopping.signal.aborted) throw retryable('exporter is stopped');
    if (batch.groups.length === 0) return;
    if (this.#queue) {
      const store = this.#store;
      if (!store) throw retryable('exporter is not started');
      if (batch.patient && store.durable && !this.#batcher && (await this.#isFree(store, this.#queue.num_consumers)))
        void this.#sendAtOnce(batch, store);
      else await store.offer(batch);
      return;
    }
    this.#inFlight++;
    try {
      await this.#sender.send(batch, batch.patient);
    } catch (e) {
      // A source that can wait can do nothing about a refusal for good, so it is told here and goes on.
      if (batch.patient && isPermanent(e)) {
        this.#sender.drop(batch, true, e);
        return;
      }
      this.#sender.reject(batch, e);
      throw e;
    } finally {
      this.#ended();
    }
  }

  /** Nothing waits on disk, and a sender is there or will be soon, since the destination takes what it is sent. */
  async #isFree(store: QueueStore, senders: number): Promise<boolean> {
    while (store.size() === 0 && !this.#stopping.signal.aborted) {
      if (this.#inFlight < senders) return true;
      if (!(await this.#ends.next(SLOW_MS))) return false;
    }
    return false;
  }

  /**
   * Data whose source can read it again needs no disk as long as the destination takes it. When it does not, the queue
   * takes it, so that the source may go away; what cannot be stored any more, at the stop, is read again.
   */
  async #sendAtOnce(batch: Batch, store: QueueStore): Promise<void> {
    this.#inFlight++;
    let isSent = true;
    try {
      isSent = await this.#sender.sendOnce(batch, this.#deadline.signal);
    } catch (e) {
      this.#sender.drop(batch, true, e);
    }
    // Before the storing, which may wait for a sender that makes room.
    this.#ended();
    if (!isSent) await store.offer(batch).catch(() => {});
  }

  #emit(piece: Piece): void {
    this.#ready.push(piece);
    this.#pump();
  }

  /** Starts sends while there are senders and data. Emptying the queue into a waiting batch needs no sender. */
  #pump(): void {
    const store = this.#store;
    const config = this.#queue;
    if (!store || !config) return;
    if (this.#pumping) return;
    this.#pumping = true;
    const stopping = this.#stopping.signal;
    while (this.#inFlight < config.num_consumers) {
      if (this.#deadline.signal.aborted || (store.durable && stopping.aborted)) break;
      const piece = this.#ready.shift();
      if (piece) {
        void this.#send(piece);
        continue;
      }
      const element = store.take();
      if (!element) {
        if (stopping.aborted && this.#batcher?.flush()) continue;
        break;
      }
      if (this.#batcher) this.#batcher.add(element);
      else {
        element.pending = 1;
        void this.#send({ batch: element.batch, patient: element.patient, elements: [element] });
      }
    }
    this.#pumping = false;
    if (stopping.aborted) this.#checkDrained();
  }

  async #send(piece: Piece): Promise<void> {
    this.#inFlight++;
    try {
      await this.#sender.send(piece.batch, piece.patient);
    } catch (e) {
      this.#failed(piece, e);
    } finally {
      endPiece(piece.elements);
      this.#ended();
    }
  }

  #failed(piece: Piece, error: unknown): void {
    const kept = error instanceof InterruptedError && this.#store!.durable;
    for (const e of piece.elements) {
      e.failure ??= error;
      if (kept) e.interrupted = true;
    }
    if (!kept) this.#sender.drop(piece.batch, piece.patient, error);
  }

  #ended(): void {
    this.#inFlight--;
    this.#ends.tell();
    this.#pump();
    if (this.#stopping.signal.aborted) this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#inFlight === 0 && (this.#ready.length === 0 || this.#deadline.signal.aborted)) this.#drained?.();
  }

  stop(deadline?: AbortSignal): Promise<void> {
    return (this.#stopped ??= this.#stop(deadline));
  }

  async #stop(deadline: AbortSignal | undefined): Promise<void> {
    const drained = new Promise<void>((resolve) => (this.#drained = resolve));
    this.#stopping.abort();
    this.#store?.close();
    const cut = () => {
      this.#deadline.abort();
      this.#giveUp();
      this.#checkDrained();
    };
    if (deadline?.aborted) cut();
    else deadline?.addEventListener('abort', cut, { once: true });
    if (this.#store?.durable) this.#keepWaiting();
    this.#pump();
    this.#checkDrained();
    await drained;
    this.#forget?.();
    this.#client?.close();
    await this.#o.onStop?.();
  }

  /** A durable queue does not send what still waits for its batch: it is on disk. */
  #keepWaiting(): void {
    this.#batcher?.flush();
    this.#interrupt(this.#ready.splice(0));
  }

  #interrupt(pieces: readonly Piece[]): void {
    const error = new InterruptedError('interrupted due to shutdown', false);
    for (const piece of pieces) {
      this.#failed(piece, error);
      endPiece(piece.elements);
    }
  }

  /** The time is over: what was never tried is told (or left unsettled, when its source will read it again). */
  #giveUp(): void {
    this.#batcher?.flush();
    const rest: Piece[] = this.#ready.splice(0);
    if (this.#store && !this.#store.durable)
      for (let e: Element | undefined = this.#store.take(); e; e = this.#store.take()) {
        e.pending = 1;
        rest.push({ batch: e.batch, patient: e.patient, elements: [e] });
      }
    this.#interrupt(rest);
  }
}
