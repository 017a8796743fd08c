/**
 * The batching itself. Accepting is quick; sending happens on one task per batcher, in order. What is held is bounded:
 * beyond that, callers wait, which is how a slow destination reaches the sources.
 */
import { type Batch, filtered, type Group, lost, makeBatch, type Signal, settleBatch } from '../../../core/batch.ts';
import { type Processor, type ProcessorContext, STOPPING } from '../../../core/component.ts';
import { DeliveryError, isPermanent, permanent, retryable } from '../../../core/errors.ts';
import { splitGroups } from '../../../core/split.ts';
import type { Counter, Histogram } from '../../../core/telemetry.ts';
import { wait } from '../../../core/wait.ts';
import type { BatchConfig } from './index.ts';
import { INSTRUMENTS } from './instruments.ts';

/** Also a reason to send: larger batches make requests that destinations refuse. */
const SEND_BYTES = 4 * 1024 * 1024;
/** Most bytes that are collected or on their way before callers wait. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;
/** How long stopping waits for data that its source can read again: a destination that is down must not take it all. */
const PATIENT_FLUSH_MS = 5000;
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;

interface Counters {
  readonly sendSize: Histogram;
  readonly sendSizeBytes: Histogram;
  readonly sizeTrigger: Counter;
  readonly timeoutTrigger: Counter;
  readonly dropped: Counter;
}

export class BatchProcessor implements Processor {
  readonly #config: BatchConfig;
  readonly #ctx: ProcessorContext;
  readonly #keys: readonly string[];
  readonly #counters: Counters;
  readonly #batchers = new Map<string, Batcher>();
  /** Aborted when the whole service begins to stop, so that waiting callers can come down. */
  readonly #stopping: AbortSignal;
  readonly #waiting: (() => void)[] = [];
  readonly #unobserve: () => void;
  readonly #createdMs: number;
  #heldBytes = 0;
  #isStopped = false;

  constructor(config: BatchConfig, ctx: ProcessorContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#createdMs = ctx.clock.monotonicMs();
    this.#keys = config.metadata_keys.map((k) => k.toLowerCase());
    this.#stopping = ctx.host.shared(STOPPING, () => new AbortController()).signal;
    const labels = { processor: ctx.id };
    this.#counters = {
      sendSize: ctx.telemetry.histogram(INSTRUMENTS.sendSize, labels),
      sendSizeBytes: ctx.telemetry.histogram(INSTRUMENTS.sendSizeBytes, labels),
      sizeTrigger: ctx.telemetry.counter(INSTRUMENTS.sizeTrigger, labels),
      timeoutTrigger: ctx.telemetry.counter(INSTRUMENTS.timeoutTrigger, labels),
      dropped: ctx.telemetry.counter(INSTRUMENTS.dropped, labels),
    };
    // Pipelines that use the same id share the metric.
    const all = ctx.host.shared(`batch/${ctx.id}`, () => new Set<BatchProcessor>()).add(this);
    this.#unobserve = ctx.telemetry.observe(INSTRUMENTS.cardinality, labels, () => {
      let n = 0;
      for (const p of all) n += p.#keys.length === 0 ? 1 : p.#batchers.size;
      return n;
    });
    this.#stopping.addEventListener('abort', () => this.#wake(), { once: true });
  }

  async consume(batch: Batch): Promise<void> {
    if (batch.count === 0) {
      settleBatch(batch, filtered('empty'));
      return;
    }
    const batcher = this.#batcherOf(batch);
    while (this.#heldBytes > 0 && this.#heldBytes + batch.sizeBytes > MAX_HELD_BYTES) {
      if (this.#stopping.aborted || this.#isStopped) throw retryable('batch processor is full and shutting down');
      // Many combinations of metadata can fill it without any of them being due.
      for (const b of this.#batchers.values()) b.sendNow();
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#isStopped) throw retryable('batch processor is shut down');
    this.#heldBytes += batch.sizeBytes;
    batcher.add(batch.groups, batch.count, batch.sizeBytes);
  }

  async stop(deadline: AbortSignal): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#wake();
    await Promise.all([...this.#batchers.values()].map((b) => b.flush(deadline)));
    this.#unobserve();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #batcherOf(batch: Batch): Batcher {
    const values = this.#keys.map((k) => batch.metadata?.get(k) ?? []);
    const key = this.#keys.length ? JSON.stringify(values) : '';
    const known = this.#batchers.get(key);
    if (known) return known;
    const limit = this.#config.metadata_cardinality_limit;
    if (this.#keys.length > 0 && limit > 0 && this.#batchers.size >= limit)
      throw permanent('too many batcher metadata-value combinations');
    const present = this.#keys.map((k, i) => [k, values[i]!] as const).filter(([, v]) => v.length > 0);
    const metadata = present.length ? new Map(present) : undefined;
    const ticksFromMs = this.#keys.length ? this.#ctx.clock.monotonicMs() : this.#createdMs;
    const batcher = new Batcher(this.#config, this.#ctx, this.#counters, metadata, ticksFromMs, (sizeBytes) => {
      this.#heldBytes -= sizeBytes;
      this.#wake();
    });
    this.#batchers.set(key, batcher);
    return batcher;
  }
}

/** Batches of one combination of client metadata. */
class Batcher {
  readonly #signal: Signal;
  readonly #config: BatchConfig;
  readonly #ctx: ProcessorContext;
  readonly #counters: Counters;
  readonly #metadata: Batch['metadata'];
  readonly #release: (sizeBytes: number) => void;
  readonly #hasTimer: boolean;
  #groups: Group[] = [];
  #count = 0;
  #sizeBytes = 0;
  readonly #outbox: Batch[] = [];
  #sending: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The timer ticks from here on in steps of the timeout, whether or not there is data. */
  #ticksFromMs: number;
  /** A tick came while a batch was being sent: what has been collected goes next. */
  #isDue = false;
  /** Being sent now. */
  #current: Batch | undefined;
  /** The time for the last flush is over: what is left stays unsettled. */
  #isAbandoned = false;
  readonly #isStopping = new AbortController();

  constructor(
    config: BatchConfig,
    ctx: ProcessorContext,
    counters: Counters,
    metadata: Batch['metadata'],
    ticksFromMs: number,
    release: (sizeBytes: number) => void,
  ) {
    this.#signal = ctx.signal;
    this.#config = config;
    this.#ctx = ctx;
    this.#counters = counters;
    this.#metadata = metadata;
    this.#release = release;
    this.#hasTimer = config.timeout > 0 && config.send_batch_size > 0;
    this.#ticksFromMs = ticksFromMs;
  }

  add(groups: readonly Group[], count: number, sizeBytes: number): void {
    for (const g of groups) this.#groups.push(g);
    this.#count += count;
    this.#sizeBytes += sizeBytes;
    let isSent = false;
    while (
      this.#count > 0 &&
      (!this.#hasTimer || this.#count >= this.#config.send_batch_size || this.#sizeBytes >= SEND_BYTES)
    ) {
      this.#counters.sizeTrigger.add(1);
      this.#cut();
      isSent = true;
    }
    if (isSent) {
      this.#clearTimer();
      this.#ticksFromMs = this.#ctx.clock.monotonicMs();
    }
    if (this.#count > 0) this.#setTimer();
  }

  /** Makes room. */
  sendNow(): void {
    while (this.#count > 0) {
      this.#counters.sizeTrigger.add(1);
      this.#cut();
    }
    this.#clearTimer();
  }

  /** Sends what is left; gives up waiting when `deadline` aborts. */
  async flush(deadline: AbortSignal): Promise<void> {
    this.#isStopping.abort();
    this.#clearTimer();
    while (this.#count > 0) {
      this.#counters.timeoutTrigger.add(1);
      this.#cut();
    }
    if (!this.#sending || deadline.aborted) return;
    const isPatient = [this.#current, ...this.#outbox].every((b) => b === undefined || b.patient);
    const until = isPatient ? AbortSignal.any([deadline, AbortSignal.timeout(PATIENT_FLUSH_MS)]) : deadline;
    let onAbort = (): void => {};
    const aborted = new Promise<void>((resolve) => {
      onAbort = resolve;
    });
    until.addEventListener('abort', onAbort, { once: true });
    await Promise.race([this.#sending, aborted]);
    until.removeEventListener('abort', onAbort);
    this.#isAbandoned = until.aborted;
  }

  #setTimer(): void {
    if (this.#timer || !this.#hasTimer) return;
    const timeoutMs = this.#config.timeout;
    const sinceMs = (this.#ctx.clock.monotonicMs() - this.#ticksFromMs) % timeoutMs;
    this.#timer = setTimeout(() => this.#tick(), timeoutMs - sinceMs);
  }

  #clearTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    this.#timer = undefined;
    this.#ticksFromMs = this.#ctx.clock.monotonicMs();
    if (this.#sending) this.#isDue = true;
    else if (this.#count > 0) {
      this.#counters.timeoutTrigger.add(1);
      this.#cut();
    }
    if (this.#count > 0) this.#setTimer();
  }

  /** Moves one batch from what is collected to what is sent. */
  #cut(): void {
    const max = this.#config.send_batch_max_size;
    let groups: readonly Group[] = this.#groups;
    if (max > 0 && this.#count > max) [groups, this.#groups] = splitGroups(this.#signal, this.#groups, max);
    else this.#groups = [];
    const batch = makeBatch(this.#signal, groups, this.#metadata);
    this.#count -= batch.count;
    // Splitting a metric repeats its name, so the rest is measured rather than subtracted.
    const restBytes = this.#groups.reduce((n, g) => n + g.items.length, 0);
    this.#release(this.#sizeBytes - batch.sizeBytes - restBytes);
    this.#sizeBytes = restBytes;
    this.#isDue = false;
    this.#outbox.push(batch);
    this.#sending ??= this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    for (;;) {
      const batch = this.#outbox.shift();
      if (!batch) {
        if (!this.#isDue || this.#count === 0) break;
        this.#counters.timeoutTrigger.add(1);
        this.#cut();
        continue;
      }
      this.#current = batch;
      await this.#send(batch);
      this.#current = undefined;
      this.#release(batch.sizeBytes);
    }
    this.#sending = undefined;
  }

  async #send(batch: Batch): Promise<void> {
    this.#counters.sendSize.record(batch.count);
    this.#counters.sendSizeBytes.record(batch.sizeBytes);
    for (let backoffMs = MIN_BACKOFF_MS; ; backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)) {
      if (this.#isAbandoned) return;
      try {
        return await this.#ctx.next.consume(batch);
      } catch (error) {
        if (isPermanent(error) || !batch.patient) {
          this.#ctx.log.error('Sender failed', { error, dropped_items: batch.count });
          this.#counters.dropped.add(batch.count);
          settleBatch(batch, lost(isPermanent(error) ? 'rejected' : 'refused'));
          return;
        }
        // Unsettled, so its source reads it again after the next start.
        if (this.#isStopping.signal.aborted) return;
        if (backoffMs === MIN_BACKOFF_MS) this.#ctx.log.info('Sender failed; will try again', { error });
        const askedMs = error instanceof DeliveryError ? (error.retryAfterMs ?? 0) : 0;
        await wait(Math.max(backoffMs, askedMs), this.#isStopping.signal);
      }
    }
  }
}
