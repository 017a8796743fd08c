/**
 * The queue on disk, in otelcol's layout: a decimal index per item, whose value is the OTLP request, and `qmv0` with
 * sizes, read and write index and the items that are being sent. An item is deleted when its end is known, so what a
 * crash interrupts is sent again.
 */
import { decodeRequest, encodeRequest } from '../wire/otlp-request.ts';
import { BYTES, FIXED64, ProtoReader, ProtoWriter, VARINT } from '../wire/proto.ts';
import { type Batch, makeBatch, QUEUED, type Signal, settleBatch } from './batch.ts';
import type { Clock } from './clock.ts';
import { messageOf, retryable } from './errors.ts';
import { type Logger, RateLimit } from './log.ts';
import { Capacity } from './queue-capacity.ts';
import { type Element, type QueueStore, sizeOf } from './queue-element.ts';
import { resourceFromBytes, scopeFromBytes } from './resource.ts';
import { LOG_INTERVAL_MS, sleep } from './retry.ts';
import type { QueueConfig } from './schema.ts';
import { type StorageClient, StorageFullError, type StorageOp } from './storage.ts';

const METADATA_KEY = 'qmv0';
/** How long a full store is left alone before the next try, when nothing left the queue meanwhile. */
const FULL_RETRY_MS = 1000;

/** A field that no OTLP request has, so every reader skips it: the item's source could wait, so it is never given up. */
const PATIENT_FIELD = 1000;

export interface Metadata {
  itemsSize: number;
  bytesSize: number;
  readIndex: number;
  writeIndex: number;
  dispatched: number[];
}

export function encodeMetadata(m: Metadata): Uint8Array {
  const w = new ProtoWriter(64);
  if (m.itemsSize) w.fixed64(1, BigInt(m.itemsSize));
  if (m.bytesSize) w.fixed64(2, BigInt(m.bytesSize));
  if (m.readIndex) w.fixed64(3, BigInt(m.readIndex));
  if (m.writeIndex) w.fixed64(4, BigInt(m.writeIndex));
  if (m.dispatched.length > 0) {
    const at = w.open(5);
    for (const i of m.dispatched) {
      w.reserve(8);
      w.pos = w.buf.writeBigUInt64LE(BigInt(i), w.pos);
    }
    w.close(at);
  }
  return w.finish();
}

export function decodeMetadata(data: Uint8Array): Metadata {
  const m: Metadata = { itemsSize: 0, bytesSize: 0, readIndex: 0, writeIndex: 0, dispatched: [] };
  const r = new ProtoReader(data);
  while (r.next()) {
    if (r.field === 5 && r.wire === BYTES)
      for (const p = r.message(); p.pos < p.end; ) m.dispatched.push(Number(p.fixed64()));
    else if (r.wire !== FIXED64) r.skip();
    else if (r.field === 1) m.itemsSize = Number(r.fixed64());
    else if (r.field === 2) m.bytesSize = Number(r.fixed64());
    else if (r.field === 3) m.readIndex = Number(r.fixed64());
    else if (r.field === 4) m.writeIndex = Number(r.fixed64());
    else if (r.field === 5) m.dispatched.push(Number(r.fixed64()));
    else r.skip();
  }
  return m;
}

/** The keys of older collectors: little-endian indexes, and a count before the dispatched ones. */
function legacyMetadata(client: StorageClient): Metadata | undefined {
  const u64 = (key: string): number | undefined => {
    const v = client.get(key);
    return v?.length === 8 ? Number(Buffer.from(v).readBigUInt64LE()) : undefined;
  };
  const readIndex = u64('ri');
  const writeIndex = u64('wi');
  if (readIndex === undefined || writeIndex === undefined) return undefined;
  const di = Buffer.from(client.get('di') ?? []);
  const dispatched: number[] = [];
  for (let at = 4; at + 8 <= di.length; at += 8) dispatched.push(Number(di.readBigUInt64LE(at)));
  return { itemsSize: 0, bytesSize: 0, readIndex, writeIndex, dispatched };
}

export interface PersistentQueueOptions {
  readonly config: QueueConfig;
  readonly signal: Signal;
  readonly client: StorageClient;
  readonly log: Logger;
  readonly clock: Clock;
  readonly stopping: AbortSignal;
  readonly onOffer: () => void;
  readonly onFull: (batch: Batch, error: Error) => void;
}

export class PersistentQueue implements QueueStore {
  readonly durable = true;
  readonly #o: PersistentQueueOptions;
  readonly #capacity: Capacity;
  readonly #meta: Metadata;
  readonly #dispatched = new Set<number>();
  readonly #limit: RateLimit;
  #offering = 0;

  constructor(options: PersistentQueueOptions) {
    this.#o = options;
    this.#capacity = new Capacity(options.config.queue_size);
    this.#limit = new RateLimit(LOG_INTERVAL_MS, () => options.clock.monotonicMs());
    const { client } = options;
    const stored = client.get(METADATA_KEY);
    const legacy = stored ? undefined : legacyMetadata(client);
    this.#meta = stored ? decodeMetadata(stored) : (legacy ?? decodeMetadata(new Uint8Array(0)));
    if (legacy) this.#measure();
    this.#sendAgain(legacy !== undefined);
    const { config } = options;
    const m = this.#meta;
    this.#capacity.used =
      config.sizer === 'requests' ? m.writeIndex - m.readIndex : config.sizer === 'items' ? m.itemsSize : m.bytesSize;
  }

  /** Older layouts did not keep sizes. */
  #measure(): void {
    const m = this.#meta;
    const indexes = [...m.dispatched];
    for (let i = m.readIndex; i < m.writeIndex; i++) indexes.push(i);
    for (const i of indexes) {
      const value = this.#o.client.get(String(i));
      const batch = value && this.#decode(i, value);
      if (!batch) continue;
      m.itemsSize += batch.count;
      m.bytesSize += value.length;
    }
  }

  /** What was being sent when the process ended goes to the end of the queue. */
  #sendAgain(legacy: boolean): void {
    const m = this.#meta;
    const ops: StorageOp[] = legacy ? ['ri', 'wi', 'di'].map((key) => ({ op: 'delete' as const, key })) : [];
    let moved = 0;
    for (const i of m.dispatched) {
      const value = this.#o.client.get(String(i));
      if (!value) continue;
      ops.push({ op: 'set', key: String(m.writeIndex++), value }, { op: 'delete', key: String(i) });
      moved++;
    }
    if (m.dispatched.length === 0 && !legacy) return;
    m.dispatched = [];
    if (moved > 0) this.#o.log.info('Fetching items left for dispatch by consumers', { numberOfItems: moved });
    ops.push(this.#metadataOp());
    this.#o.client.batch(ops);
  }

  #metadataOp(): StorageOp {
    return {
      op: 'set',
      key: METADATA_KEY,
      value: encodeMetadata({ ...this.#meta, dispatched: [...this.#dispatched] }),
    };
  }

  async offer(batch: Batch): Promise<void> {
    this.#offering++;
    try {
      await this.#offer(batch);
    } finally {
      this.#offering--;
    }
    settleBatch(batch, QUEUED);
    this.#o.onOffer();
  }

  async #offer(batch: Batch): Promise<void> {
    const { config } = this.#o;
    // Encoded before any wait: one copy of it stands for the batch from here on.
    const value = this.#encode(batch);
    const size = this.#sizeOf(batch, value);
    const mayWait = batch.patient || config.block_on_overflow;
    if (mayWait) await this.#capacity.wait(size);
    else if (!this.#capacity.take(size)) throw this.#refuse(batch, 'sending queue is full');
    for (;;) {
      try {
        this.#append(batch, value);
        return;
      } catch (e) {
        const full = e instanceof StorageFullError;
        const message = full
          ? `sending queue storage is full: ${messageOf(e)}`
          : `failed to write to the sending queue: ${messageOf(e)}`;
        if (!mayWait) {
          this.#capacity.release(size);
          throw this.#refuse(batch, message);
        }
        if (this.#limit.pass('full') !== undefined)
          this.#o.log.warn('Sending queue cannot store data. Waiting.', { error: message });
        if (await sleep(FULL_RETRY_MS, this.#o.stopping)) continue;
        this.#capacity.release(size);
        throw retryable('sending queue is stopped');
      }
    }
  }

  /** In bytes, what the store holds counts. */
  #sizeOf(batch: Batch, value: Uint8Array): number {
    const { sizer } = this.#o.config;
    return sizer === 'bytes' ? value.length : sizeOf(batch, sizer);
  }

  #refuse(batch: Batch, message: string): Error {
    const error = retryable(message);
    this.#o.onFull(batch, error);
    return error;
  }

  #append(batch: Batch, value: Uint8Array): void {
    const m = this.#meta;
    const before = { ...m };
    const key = String(m.writeIndex);
    m.writeIndex++;
    m.itemsSize += batch.count;
    m.bytesSize += value.length;
    try {
      this.#o.client.batch([{ op: 'set', key, value }, this.#metadataOp()]);
    } catch (e) {
      Object.assign(m, before);
      throw e;
    }
  }

  #encode(batch: Batch): Uint8Array {
    const request = encodeRequest(batch.groups);
    if (!batch.patient) return request;
    const w = new ProtoWriter(8);
    w.tag(PATIENT_FIELD, VARINT);
    w.varint(1);
    return Buffer.concat([request, w.finish()]);
  }

  #decode(index: number, value: Uint8Array): Batch | undefined {
    try {
      const groups = decodeRequest(this.#o.signal, value).map((g) => ({
        ...g,
        resource: resourceFromBytes(g.resource.encoded, g.resource.schemaUrl),
        scope: scopeFromBytes(g.scope.encoded, g.scope.schemaUrl),
        parts: [],
      }));
      let patient = false;
      const r = new ProtoReader(value);
      while (r.next()) {
        if (r.field === PATIENT_FIELD && r.wire === VARINT) patient = r.varint() === 1;
        else r.skip();
      }
      return { ...makeBatch(this.#o.signal, groups), patient };
    } catch (e) {
      this.#o.log.debug('Failed to unmarshal item', { key: String(index), error: messageOf(e) });
      return undefined;
    }
  }

  take(): Element | undefined {
    const m = this.#meta;
    while (m.readIndex < m.writeIndex) {
      const index = m.readIndex++;
      const value = this.#o.client.get(String(index));
      const batch = value && this.#decode(index, value);
      if (!batch) {
        this.#delete(index, 0, value?.length ?? 0);
        const { sizer } = this.#o.config;
        this.#capacity.release(sizer === 'requests' ? 1 : sizer === 'bytes' ? (value?.length ?? 0) : 0);
        this.#resetWhenEmpty();
        continue;
      }
      this.#dispatched.add(index);
      this.#store([this.#metadataOp()]);
      const size = this.#sizeOf(batch, value);
      return {
        batch,
        patient: batch.patient,
        pending: 0,
        failure: undefined,
        interrupted: false,
        finish: (e) => {
          // What shutdown interrupted stays, marked as dispatched, for the next start.
          if (e.interrupted) return;
          this.#dispatched.delete(index);
          this.#delete(index, batch.count, value.length);
          this.#capacity.release(size);
          this.#resetWhenEmpty();
        },
      };
    }
    return undefined;
  }

  /** Items that could not be read have no known size; their share is given back when nothing else is there. */
  #resetWhenEmpty(): void {
    const m = this.#meta;
    if (m.readIndex !== m.writeIndex || this.#dispatched.size > 0 || this.#offering > 0) return;
    m.itemsSize = 0;
    m.bytesSize = 0;
    this.#capacity.used = 0;
  }

  #delete(index: number, items: number, bytes: number): void {
    const m = this.#meta;
    m.itemsSize = Math.max(0, m.itemsSize - items);
    m.bytesSize = Math.max(0, m.bytesSize - bytes);
    this.#store([{ op: 'delete', key: String(index) }, this.#metadataOp()]);
  }

  /** A failure here means that an item is sent again after a restart; nothing is lost by it. */
  #store(ops: readonly StorageOp[]): void {
    try {
      this.#o.client.batch(ops);
    } catch (e) {
      if (this.#limit.pass('store') !== undefined)
        this.#o.log.error('Error updating the sending queue', { error: messageOf(e) });
    }
  }

  size(): number {
    return this.#capacity.used;
  }

  close(): void {
    this.#capacity.close();
  }
}
