/** sending_queue.batch: merges the elements of a queue, per partition, into pieces of at least min_size and at most max_size. */
import { BYTES, ProtoReader } from '../wire/proto.ts';
import { type Batch, type Group, makeBatch, type Signal } from './batch.ts';
import { type Element, sizeOf } from './queue-element.ts';
import type { QueueConfig } from './schema.ts';
import { splitBatch } from './split.ts';

/** One request to send, and the elements that have data in it. */
export interface Piece {
  readonly batch: Batch;
  readonly patient: boolean;
  readonly elements: readonly Element[];
}

/** An element whose last `count` items are still in the partition. */
interface Share {
  readonly element: Element;
  count: number;
}

interface Partition {
  readonly key: string;
  readonly metadata: Batch['metadata'];
  groups: Group[];
  shares: Share[];
  size: number;
  timer: NodeJS.Timeout | undefined;
}

export type BatchConfig = NonNullable<QueueConfig['batch']>;

export class Batcher {
  readonly #config: BatchConfig;
  readonly #signal: Signal;
  readonly #emit: (piece: Piece) => void;
  readonly #partitions = new Map<string, Partition>();

  constructor(config: BatchConfig, signal: Signal, emit: (piece: Piece) => void) {
    this.#config = config;
    this.#signal = signal;
    this.#emit = emit;
  }

  add(element: Element): void {
    const { batch } = element;
    const p = this.#partition(batch);
    // One more than its pieces, so that the element cannot end while some of it waits here.
    element.pending++;
    p.groups.push(...batch.groups);
    p.shares.push({ element, count: batch.count });
    p.size += sizeOf(batch, this.#config.sizer);
    const { max_size, min_size } = this.#config;
    while (max_size > 0 && p.size > max_size && this.#count(p) > 1) this.#cut(p);
    if (p.size >= min_size) this.#flush(p);
    else if (p.groups.length > 0) p.timer ??= setTimeout(() => this.#flush(p), this.#config.flush_timeout);
    else this.#flush(p);
  }

  /** Sends all that waits; false when nothing did. */
  flush(): boolean {
    const some = this.#partitions.size > 0;
    for (const p of [...this.#partitions.values()]) this.#flush(p);
    return some;
  }

  #partition(batch: Batch): Partition {
    const { metadata_keys } = this.#config.partition;
    const values = metadata_keys.map((k) => [k, batch.metadata?.get(k.toLowerCase()) ?? []] as const);
    const key = values.length === 0 ? '' : JSON.stringify(values);
    let p = this.#partitions.get(key);
    if (!p) {
      const metadata = values.length === 0 ? undefined : new Map(values.map(([k, v]) => [k.toLowerCase(), v]));
      p = { key, metadata, groups: [], shares: [], size: 0, timer: undefined };
      this.#partitions.set(key, p);
    }
    return p;
  }

  #count(p: Partition): number {
    return p.shares.reduce((n, s) => n + s.count, 0);
  }

  /** Sends one piece of max_size and keeps the rest. */
  #cut(p: Partition): void {
    const { sizer, max_size } = this.#config;
    const n = sizer === 'items' ? max_size : countWithin(p.groups, max_size);
    const [head, tail] = splitBatch(makeBatch(this.#signal, p.groups, p.metadata), n);
    this.#emitPiece(head, take(p.shares, head.count));
    p.groups = tail ? [...tail.groups] : [];
    p.size = tail ? sizeOf(tail, sizer) : 0;
    clearTimeout(p.timer);
    p.timer = undefined;
  }

  #flush(p: Partition): void {
    clearTimeout(p.timer);
    p.timer = undefined;
    const batch = makeBatch(this.#signal, p.groups, p.metadata);
    const elements = take(p.shares, Number.POSITIVE_INFINITY);
    // An idle partition is nothing worth keeping.
    this.#partitions.delete(p.key);
    this.#emitPiece(batch, elements);
  }

  #emitPiece(batch: Batch, elements: Element[]): void {
    if (elements.length > 0) this.#emit({ batch, patient: elements.some((e) => e.patient), elements });
  }
}

/** The elements that the first `n` items belong to; each counts the piece, and stops being held when it is used up. */
function take(shares: Share[], n: number): Element[] {
  const elements: Element[] = [];
  let left = n;
  while (shares.length > 0 && left > 0) {
    const s = shares[0]!;
    elements.push(s.element);
    if (s.count <= left) {
      left -= s.count;
      shares.shift();
    } else {
      s.count -= left;
      left = 0;
      s.element.pending++;
    }
  }
  return elements;
}

/** How many items, at least one, fit into a request of `maxBytes`. A Metric message counts as a whole. */
function countWithin(groups: readonly Group[], maxBytes: number): number {
  let count = 0;
  let bytes = 0;
  for (const g of groups) {
    // Envelope of the group: lengths of at most five bytes around what it carries.
    const envelope =
      g.resource.encoded.length + g.resource.schemaUrl.length + g.scope.encoded.length + g.scope.schemaUrl.length + 36;
    bytes += envelope;
    const perMessage = g.messages > 0 ? g.count / g.messages : 1;
    const r = new ProtoReader(g.items);
    let messages = 0;
    for (let at = 0; r.next(); at = r.pos) {
      if (r.wire === BYTES) r.skip();
      bytes += r.pos - at;
      if (bytes > maxBytes) return Math.max(1, Math.floor(count + messages * perMessage));
      messages++;
    }
    count += g.count;
  }
  return Math.max(1, count);
}
