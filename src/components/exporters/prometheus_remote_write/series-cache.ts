/**
 * The cache of encoded label sets. A *stream* is what a source sends: resource, scope, metric and the bytes of the
 * point's attributes. A *series* is what goes out: an encoded label set. Streams lead to series without decoding; two
 * streams can lead to one series, which is how collisions are seen. When the cache is full it is emptied: what is in
 * use comes back with the next points.
 */
import type { Resource, Scope } from '../../../core/resource.ts';
import type { WireExemplar } from '../../../wire/remote-write.ts';
import type { ContextLabels } from './labels.ts';
import type { MetricInfo } from './metric-info.ts';

const SLAB_BYTES = 256 * 1024;
/** What an entry weighs besides its bytes: two objects and their places in two tables. */
const ENTRY_BYTES = 320;

/** Bytes that entries point into. */
export interface Slab {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** Bytes of an entry: a key or a label set. */
interface Entry {
  readonly hash: number;
  readonly slab: Slab;
  readonly at: number;
  readonly length: number;
}

/** A resource, in all its scopes. */
export interface ResourceInfo {
  readonly resource: Resource;
  readonly contexts: Map<Scope, Context>;
  /** null: it has none. */
  targetInfo: Series | null | undefined;
  /** The push in which it was met last, the newest time of its points there, and where its last group stood. */
  push: number;
  newestMs: number;
  items: Uint8Array | undefined;
}

/** A resource and a scope. */
export interface Context {
  readonly id: number;
  readonly info: ResourceInfo;
  readonly scope: Scope;
  readonly labels: ContextLabels;
}

export class Stream implements Entry {
  readonly hash: number;
  readonly slab: Slab;
  readonly at: number;
  readonly length: number;
  readonly context: Context;
  readonly metric: MetricInfo;
  /** The series of its name, for points that have one; undefined when there is none or it cannot be told. */
  series: Series | undefined = undefined;
  /** The series that a histogram or summary is spread over. */
  spread: Spread | undefined = undefined;
  /** Its labels cannot be told. */
  isBad = false;
  /** Another stream with the same content in other bytes stands for this one. */
  identity: Stream = this;
  /** Another stream has taken over its series before. */
  displaced = false;
  /** The stream that came after it the last time: sources send in the same order again and again. */
  next: Stream | undefined = undefined;

  constructor(hash: number, slab: Slab, at: number, length: number, context: Context, metric: MetricInfo) {
    this.hash = hash;
    this.slab = slab;
    this.at = at;
    this.length = length;
    this.context = context;
    this.metric = metric;
  }
}

/** Series of one point: _sum and _count, and one per bucket or quantile. */
export interface Spread {
  readonly sum: Series;
  readonly count: Series;
  /** Bounds or quantiles, as the bytes that came; the labels below belong to them. */
  bounds: Uint8Array;
  each: readonly Series[];
  infinity: Series | undefined;
}

export class Series implements Entry {
  readonly hash: number;
  readonly slab: Slab;
  readonly at: number;
  readonly length: number;
  /** Undefined for target_info. */
  readonly metric: MetricInfo | undefined;
  /** The last push it has samples in, with the first and the last of them. */
  push = -1;
  head = -1;
  tail = -1;
  owner: Stream | undefined = undefined;
  /** Of the push that goes on. */
  exemplars: WireExemplar[] | undefined = undefined;
  histograms: { readonly timeMs: number; readonly bytes: Uint8Array; readonly point: number }[] | undefined = undefined;

  constructor(hash: number, slab: Slab, at: number, length: number, metric: MetricInfo | undefined) {
    this.hash = hash;
    this.slab = slab;
    this.at = at;
    this.length = length;
    this.metric = metric;
  }
}

/** Not made to resist an adversary: who may send data may also send too much of it. */
export function hashBytes(view: DataView, from: number, to: number, seed: number): number {
  let h = seed | 0;
  let i = from;
  for (; i + 4 <= to; i += 4) {
    h = Math.imul(h ^ view.getInt32(i, true), 0x9e3779b1);
    h ^= h >>> 15;
  }
  for (; i < to; i++) h = Math.imul(h ^ view.getUint8(i), 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export function sameBytes(a: DataView, at: number, b: DataView, from: number, length: number): boolean {
  let i = 0;
  for (; i + 4 <= length; i += 4) if (a.getInt32(at + i, true) !== b.getInt32(from + i, true)) return false;
  for (; i < length; i++) if (a.getUint8(at + i) !== b.getUint8(from + i)) return false;
  return true;
}

/** Open addressing, at most half full. */
class Table<E extends Entry> {
  slots: (E | undefined)[] = new Array<E | undefined>(1024).fill(undefined);
  mask = 1023;
  count = 0;

  add(e: E): void {
    if (++this.count * 2 > this.slots.length) {
      const before = this.slots;
      this.slots = new Array<E | undefined>(before.length * 2).fill(undefined);
      this.mask = this.slots.length - 1;
      for (const old of before) if (old) this.#put(old);
    }
    this.#put(e);
  }

  #put(e: E): void {
    let i = e.hash & this.mask;
    while (this.slots[i] !== undefined) i = (i + 1) & this.mask;
    this.slots[i] = e;
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

export class SeriesCache {
  readonly #maxBytes: number;
  #resources = new Map<Resource, ResourceInfo>();
  #streams = new Table<Stream>();
  #series = new Table<Series>();
  #slab: Slab | undefined;
  #used = 0;
  #bytes = 0;
  #contexts = 0;
  #lastInfo: ResourceInfo | undefined;
  #lastStream: Stream | undefined;
  hits = 0;
  misses = 0;
  /** How often it was emptied. */
  resets = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get sizeBytes(): number {
    return this.#bytes;
  }

  get seriesCount(): number {
    return this.#series.count;
  }

  get isFull(): boolean {
    return this.#bytes > this.#maxBytes;
  }

  /** Not while a push is being made: its samples hang on series. */
  reset(): void {
    this.#resources = new Map();
    this.#streams = new Table();
    this.#series = new Table();
    this.#slab = undefined;
    this.#used = 0;
    this.#bytes = 0;
    this.#lastInfo = undefined;
    this.#lastStream = undefined;
    this.resets++;
  }

  resource(resource: Resource): ResourceInfo {
    if (this.#lastInfo?.resource === resource) return this.#lastInfo;
    let info = this.#resources.get(resource);
    if (!info) {
      info = {
        resource,
        contexts: new Map(),
        targetInfo: undefined,
        push: -1,
        newestMs: 0,
        items: undefined,
      };
      this.#resources.set(resource, info);
      this.#bytes += ENTRY_BYTES + resource.encoded.length * 3;
    }
    this.#lastInfo = info;
    return info;
  }

  context(info: ResourceInfo, scope: Scope, labels: (info: ResourceInfo, scope: Scope) => ContextLabels): Context {
    let context = info.contexts.get(scope);
    if (!context) {
      context = { id: ++this.#contexts, info, scope, labels: labels(info, scope) };
      info.contexts.set(scope, context);
      this.#bytes += ENTRY_BYTES + info.resource.encoded.length;
    }
    return context;
  }

  /** The stream with the attributes that stand in `bytes` from `from` to `to`, made when it is new. */
  stream(context: Context, metric: MetricInfo, bytes: Uint8Array, view: DataView, from: number, to: number): Stream {
    const before = this.#lastStream;
    const length = to - from;
    // perf: the guess saves the hash and the misses of the processor's cache that a table costs (bench `remote-write`).
    const guess = before?.next;
    if (
      guess !== undefined &&
      guess.context === context &&
      guess.metric === metric &&
      guess.length === length &&
      sameBytes(guess.slab.view, guess.at, view, from, length)
    ) {
      this.hits++;
      this.#lastStream = guess;
      return guess;
    }
    const hash = hashBytes(view, from, to, Math.imul(context.id, 0x9e3779b1) ^ (metric.id << 7));
    let s = this.#find(hash, context, metric, view, from, length);
    if (s) this.hits++;
    else {
      this.misses++;
      const at = this.#keep(bytes, from, to);
      s = new Stream(hash, this.#slab!, at, length, context, metric);
      this.#streams.add(s);
    }
    if (before) before.next = s;
    this.#lastStream = s;
    return s;
  }

  #find(
    hash: number,
    context: Context,
    metric: MetricInfo,
    view: DataView,
    from: number,
    length: number,
  ): Stream | undefined {
    const { slots, mask } = this.#streams;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const s = slots[i];
      if (s === undefined) return undefined;
      if (
        s.hash === hash &&
        s.context === context &&
        s.metric === metric &&
        s.length === length &&
        sameBytes(s.slab.view, s.at, view, from, length)
      )
        return s;
    }
  }

  /** The series with these encoded labels; `metric` counts when it is new. */
  seriesOf(labels: Uint8Array, metric: MetricInfo | undefined): Series {
    const view = viewOf(labels);
    const hash = hashBytes(view, 0, labels.length, 0);
    const { slots, mask } = this.#series;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const s = slots[i];
      if (s === undefined) break;
      if (s.hash === hash && s.length === labels.length && sameBytes(s.slab.view, s.at, view, 0, labels.length))
        return s;
    }
    const at = this.#keep(labels, 0, labels.length);
    const series = new Series(hash, this.#slab!, at, labels.length, metric);
    this.#series.add(series);
    return series;
  }

  /** Copies bytes to the slab and says where they are. */
  #keep(bytes: Uint8Array, from: number, to: number): number {
    const length = to - from;
    this.#bytes += length + ENTRY_BYTES / 2;
    if (!this.#slab || this.#used + length > this.#slab.bytes.length) {
      const slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, length));
      this.#slab = { bytes: slab, view: viewOf(slab) };
      this.#used = 0;
    }
    const at = this.#used;
    this.#slab.bytes.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), at);
    this.#used += length;
    return at;
  }
}
