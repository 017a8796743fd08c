/**
 * The cache of label sets. A *stream* is what a source sends: resource and scope, metric, and the bytes of the point's
 * attributes. A *series* is what goes out: labels, of which most are shared, those of the resource with its other
 * series and those of the point with the same point of other resources. Both are numbers, and all about them is in
 * typed arrays. Two streams can lead to one series, which is how collisions are seen. When the cache is full it is
 * emptied: what is in use comes back with the next points.
 */
import type { Resource, Scope } from '../../../core/resource.ts';
import type { Label } from '../../../wire/remote-write.ts';
import { Arena, ByteTable, grown, Slots, viewOf } from './byte-table.ts';
import { type Base, copyShort, hashOf, MAX_BASE, planOf, runOf } from './label-plan.ts';
import { type BaseLabels, type ContextLabels, compareNames, type EncodeLabel, NO_LABELS } from './labels.ts';
import type { MetricInfo } from './metric-info.ts';

/** What a stream with its series weighs in arrays and tables. */
const ENTRY_BYTES = 120;
/** Objects: what a resource in a scope weighs. */
const CONTEXT_BYTES = 2000;
const FIRST = 256;

/** A resource, in all its scopes. */
export interface ResourceInfo {
  readonly resource: Resource;
  readonly contexts: Map<Scope, Context>;
  /** -1: it has none. */
  targetInfo: number | undefined;
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
  /** Number of labels.base. */
  readonly base: number;
}

/** Series of one point: _sum and _count, and one per bucket or quantile. */
export interface Spread {
  readonly sum: number;
  readonly count: number;
  /** Bounds or quantiles, as the bytes that came; the series below belong to them. */
  readonly bounds: Uint8Array;
  readonly each: readonly number[];
  readonly infinity: number;
}

const NONE = -1;
export const BAD = -2;
export class SeriesCache {
  readonly #maxBytes: number;
  readonly #encode: EncodeLabel;
  #resources = new Map<Resource, ResourceInfo>();
  #contexts: Context[] = [];
  #bases: Base[] = [];
  #baseIds = new Map<BaseLabels, number>();
  #shapes = new Map<string, { readonly id: number; readonly names: readonly string[] }>();
  #arena = new Arena();
  /** Attributes of points, tagged with their metric. */
  #attributes = new ByteTable(this.#arena);
  /** Labels of points, encoded. */
  #owns = new ByteTable(this.#arena);
  #lastInfo: ResourceInfo | undefined;

  #nextAttributes = new Int32Array(FIRST);
  /** Own labels of a point with these attributes and its metric's name, where they have nothing to do with the resource's. */
  #attributesOwn = new Int32Array(FIRST);
  /** By own labels: their hashes, and their plan for the shape that they were last seen with. */
  #ownHash = new Int32Array(FIRST);
  #ownHash2 = new Int32Array(FIRST);
  #ownShape = new Int32Array(FIRST);
  #ownPlan = new Int32Array(FIRST);
  #lastAttributes = NONE;

  #streamSlots = new Slots();
  #streamContext = new Int32Array(FIRST);
  #streamAttributes = new Int32Array(FIRST);
  #streamNext = new Int32Array(FIRST);
  #streams = 0;
  #lastStream = NONE;
  /** NONE: not known yet. BAD: its labels cannot be told. */
  streamSeries = new Int32Array(FIRST);
  /** Another stream with the same content stands for it. */
  streamIdentity = new Int32Array(FIRST);
  /** Another stream has taken over its series before. */
  readonly displaced = new Set<number>();
  readonly spreads = new Map<number, Spread>();

  #seriesSlots = new Slots();
  #seriesBase = new Int32Array(FIRST);
  #seriesOwn = new Int32Array(FIRST);
  #seriesPlan = new Int32Array(FIRST);
  #seriesHash = new Int32Array(FIRST);
  #seriesHash2 = new Int32Array(FIRST);
  /** Bytes of the encoded labels. */
  seriesLength = new Int32Array(FIRST);
  seriesOwner = new Int32Array(FIRST);
  /** NONE for target_info. */
  seriesMetric = new Int32Array(FIRST);
  #series = 0;

  hits = 0;
  misses = 0;
  /** How often it was emptied. */
  resets = -1;

  constructor(maxBytes: number, encode: EncodeLabel) {
    this.#maxBytes = maxBytes;
    this.#encode = encode;
    this.reset();
  }

  get sizeBytes(): number {
    return this.#arena.sizeBytes + (this.#streams + this.#series) * ENTRY_BYTES + this.#contexts.length * CONTEXT_BYTES;
  }

  get seriesCount(): number {
    return this.#series;
  }

  get isFull(): boolean {
    return this.sizeBytes > this.#maxBytes;
  }

  /** Not while a push is being made: its samples hang on series. */
  reset(): void {
    this.#resources = new Map();
    this.#contexts = [];
    this.#bases = [];
    this.#baseIds = new Map();
    this.#shapes = new Map();
    this.#arena = new Arena();
    this.#attributes = new ByteTable(this.#arena);
    this.#owns = new ByteTable(this.#arena);
    this.#lastInfo = undefined;
    this.#lastAttributes = NONE;
    this.#streamSlots = new Slots();
    this.#streams = 0;
    this.#lastStream = NONE;
    this.displaced.clear();
    this.spreads.clear();
    this.#seriesSlots = new Slots();
    this.#series = 0;
    this.#baseId(NO_LABELS);
    this.resets++;
  }

  resource(resource: Resource): ResourceInfo {
    if (this.#lastInfo?.resource === resource) return this.#lastInfo;
    let info = this.#resources.get(resource);
    if (!info) {
      info = { resource, contexts: new Map(), targetInfo: undefined, push: -1, newestMs: 0, items: undefined };
      this.#resources.set(resource, info);
    }
    this.#lastInfo = info;
    return info;
  }

  context(info: ResourceInfo, scope: Scope, labels: (info: ResourceInfo, scope: Scope) => ContextLabels): Context {
    let context = info.contexts.get(scope);
    if (!context) {
      const made = labels(info, scope);
      context = { id: this.#contexts.length, info, scope, labels: made, base: this.#baseId(made.base) };
      this.#contexts.push(context);
      info.contexts.set(scope, context);
    }
    return context;
  }

  #baseId(base: BaseLabels): number {
    let id = this.#baseIds.get(base);
    if (id !== undefined) return id;
    id = this.#bases.length;
    this.#baseIds.set(base, id);
    const { labels } = base;
    const encoded = labels.map(this.#encode);
    const starts = new Int32Array(encoded.length + 1);
    for (const [i, e] of encoded.entries()) starts[i + 1] = starts[i]! + e.length;
    const key = JSON.stringify(labels.map(([name]) => name));
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      shape = { id: this.#shapes.size, names: labels.map(([name]) => name) };
      this.#shapes.set(key, shape);
    }
    const { names } = shape;
    const bytes = Buffer.concat(encoded);
    this.#bases.push({ names, bytes, starts, hash: hashOf(encoded), shape: shape.id, runs: [] });
    return id;
  }

  /** The stream with the attributes that stand in `bytes` from `from` to `to`, made when it is new. */
  stream(context: Context, metric: MetricInfo, bytes: Uint8Array, view: DataView, from: number, to: number): number {
    // perf: sources send in the same order again and again. Guesses save hashes and misses of the processor's cache
    // (bench `remote-write`).
    const before = this.#lastAttributes;
    let attributes = before < 0 ? 0 : this.#nextAttributes[before]!;
    if (before < 0 || !this.#attributes.matches(attributes, metric.id, view, from, to - from)) {
      const known = this.#attributes.count;
      attributes = this.#attributes.id(metric.id, bytes, view, from, to);
      if (attributes >= this.#nextAttributes.length) {
        this.#nextAttributes = grown(this.#nextAttributes);
        this.#attributesOwn = grown(this.#attributesOwn);
      }
      if (attributes === known) {
        this.#nextAttributes[attributes] = attributes;
        this.#attributesOwn[attributes] = NONE;
      }
      if (before >= 0) this.#nextAttributes[before] = attributes;
    }
    this.#lastAttributes = attributes;
    const last = this.#lastStream;
    if (last >= 0) {
      const guess = this.#streamNext[last]!;
      if (this.#streamAttributes[guess] === attributes && this.#streamContext[guess] === context.id) {
        this.hits++;
        this.#lastStream = guess;
        return guess;
      }
    }
    const stream = this.#findStream(context.id, attributes);
    if (last >= 0) this.#streamNext[last] = stream;
    this.#lastStream = stream;
    return stream;
  }

  #streamHash(context: number, attributes: number): number {
    const h = Math.imul(context, 0x9e3779b1) ^ Math.imul(attributes, 0x85ebca6b);
    return h ^ (h >>> 15);
  }

  #findStream(context: number, attributes: number): number {
    const hash = this.#streamHash(context, attributes);
    const { mask } = this.#streamSlots;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const s = this.#streamSlots.at(i);
      if (s < 0) break;
      if (this.#streamAttributes[s] === attributes && this.#streamContext[s] === context) {
        this.hits++;
        return s;
      }
    }
    this.misses++;
    const s = this.#streams++;
    if (s === this.#streamContext.length) {
      this.#streamContext = grown(this.#streamContext);
      this.#streamAttributes = grown(this.#streamAttributes);
      this.#streamNext = grown(this.#streamNext);
      this.streamSeries = grown(this.streamSeries);
      this.streamIdentity = grown(this.streamIdentity);
    }
    this.#streamContext[s] = context;
    this.#streamAttributes[s] = attributes;
    this.#streamNext[s] = s;
    this.streamSeries[s] = NONE;
    this.streamIdentity[s] = s;
    this.#streamSlots.add(s, hash, (n) => this.#streamHash(this.#streamContext[n]!, this.#streamAttributes[n]!));
    return s;
  }

  contextOf(stream: number): Context {
    return this.#contexts[this.#streamContext[stream]!]!;
  }

  /** Number of the stream's metric. */
  metricOf(stream: number): number {
    return this.#attributes.tag(this.#streamAttributes[stream]!);
  }

  /** The encoded attributes of the stream. */
  attributesOf(stream: number): Uint8Array {
    const id = this.#streamAttributes[stream]!;
    const at = this.#attributes.offset(id);
    return this.#attributes.slab(id).bytes.subarray(at, at + this.#attributes.length(id));
  }

  /**
   * The series of the metric's own name, when the labels of a point with the same attributes in another resource do
   * for it; NONE when they must be made. Half of the points of a new pod look like those of the others.
   */
  likeOthers(stream: number, base: number, metric: number): number {
    const own = this.#attributesOwn[this.#streamAttributes[stream]!]!;
    if (own < 0) return NONE;
    const { shape, hash } = this.#bases[base]!;
    if (this.#ownShape[own] !== shape) return NONE;
    const s = this.#findSeries((this.#ownHash[own]! + hash[0]) | 0, (this.#ownHash2[own]! + hash[1]) | 0);
    const series = s >= 0 ? s : this.#addSeries(own, base, this.#ownPlan[own]!, metric);
    this.streamSeries[stream] = series;
    return series;
  }

  /** The labels of the stream's series do for others with its attributes, unless the names of resources interfere. */
  doesForOthers(stream: number, series: number, base: number): void {
    if (this.#seriesBase[series] === base)
      this.#attributesOwn[this.#streamAttributes[stream]!] = this.#seriesOwn[series]!;
  }

  /** The series with these labels: `own` in order, none of them in `base`. `metric` counts when it is new. */
  seriesOf(own: readonly Label[], base: BaseLabels, metric: number): number {
    if (base.names.size > MAX_BASE) {
      own = [...own, ...base.labels].sort((x, y) => compareNames(x[0], y[0]));
      base = NO_LABELS;
    }
    const encoded = own.map(this.#encode);
    const baseId = this.#baseId(base);
    const { hash: shared, names, shape } = this.#bases[baseId]!;
    const [hash, hash2] = hashOf(encoded);
    const known = this.#findSeries((hash + shared[0]) | 0, (hash2 + shared[1]) | 0);
    if (known >= 0) return known;
    const all = Buffer.concat(encoded);
    const ownId = this.#owns.id(own.length, all, viewOf(all), 0, all.length);
    if (ownId >= this.#ownHash.length) {
      this.#ownHash = grown(this.#ownHash);
      this.#ownHash2 = grown(this.#ownHash2);
      this.#ownShape = grown(this.#ownShape);
      this.#ownPlan = grown(this.#ownPlan);
    }
    const plan = planOf(own, encoded, names);
    this.#ownHash[ownId] = hash;
    this.#ownHash2[ownId] = hash2;
    this.#ownShape[ownId] = shape;
    this.#ownPlan[ownId] = this.#arena.add(plan, 0, plan.length);
    return this.#addSeries(ownId, baseId, this.#ownPlan[ownId]!, metric);
  }

  #findSeries(hash: number, hash2: number): number {
    const { mask } = this.#seriesSlots;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const s = this.#seriesSlots.at(i);
      if (s < 0) return NONE;
      if (this.#seriesHash[s] === hash && this.#seriesHash2[s] === hash2) return s;
    }
  }

  #addSeries(own: number, base: number, plan: number, metric: number): number {
    const { hash, bytes } = this.#bases[base]!;
    const s = this.#series++;
    if (s === this.#seriesBase.length) this.#growSeries();
    this.#seriesBase[s] = base;
    this.#seriesOwn[s] = own;
    this.#seriesPlan[s] = plan;
    this.#seriesHash[s] = this.#ownHash[own]! + hash[0];
    this.#seriesHash2[s] = this.#ownHash2[own]! + hash[1];
    this.seriesLength[s] = this.#owns.length(own) + bytes.length;
    this.seriesOwner[s] = NONE;
    this.seriesMetric[s] = metric;
    this.#seriesSlots.add(s, this.#seriesHash[s]!, (n) => this.#seriesHash[n]!);
    return s;
  }

  #growSeries(): void {
    this.#seriesBase = grown(this.#seriesBase);
    this.#seriesOwn = grown(this.#seriesOwn);
    this.#seriesPlan = grown(this.#seriesPlan);
    this.#seriesHash = grown(this.#seriesHash);
    this.#seriesHash2 = grown(this.#seriesHash2);
    this.seriesLength = grown(this.seriesLength);
    this.seriesOwner = grown(this.seriesOwner);
    this.seriesMetric = grown(this.seriesMetric);
  }

  /** For dividing series: the same for the same labels, always. */
  seriesHash(series: number): number {
    return this.#seriesHash[series]!;
  }

  /**
   * Writes the encoded labels of a series, in order; there must be room for seriesLength of them. `view` is of `out`.
   * perf: Buffer.copy makes an object for every piece, which is 500 bytes of garbage per series (bench `remote-write`).
   */
  copyLabels(series: number, out: Uint8Array, view: DataView, at: number): void {
    const own = this.#seriesOwn[series]!;
    const ownView = this.#owns.slab(own).view;
    let ownAt = this.#owns.offset(own);
    const base = this.#bases[this.#seriesBase[series]!]!;
    const place = this.#seriesPlan[series]!;
    const plan = this.#arena.slab(place).bytes;
    let p = this.#arena.offset(place);
    let first = 0;
    let steps = plan[p]! | (plan[p + 1]! << 8);
    p += 2;
    for (; steps > 0; steps--) {
      const before = plan[p]!;
      const size = plan[p + 1]! | (plan[p + 2]! << 8) | (plan[p + 3]! << 16);
      p += 4;
      if (before > first) {
        const bytes = runOf(base, first, before);
        out.set(bytes, at);
        at += bytes.length;
        first = before;
      }
      copyShort(ownView, ownAt, view, at, size);
      ownAt += size;
      at += size;
    }
    if (first < base.names.length) out.set(runOf(base, first, base.names.length), at);
  }

  /** The encoded labels of a series as a copy. */
  labelsOf(series: number): Buffer {
    const out = Buffer.allocUnsafe(this.seriesLength[series]!);
    this.copyLabels(series, out, viewOf(out), 0);
    return out;
  }
}
