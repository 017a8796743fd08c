/**
 * Points → samples of series: what is common to all points, and those that are spread over several series. Holds the
 * state of the point that is being read, so that nothing is made for it.
 */

import type { Scope } from '../../../core/resource.ts';
import { readKeyValue, type ValueMap } from '../../../wire/otlp.ts';
import { type HistogramDataPoint, readSummaryPoint } from '../../../wire/otlp-metrics.ts';
import { BYTES, ProtoReader } from '../../../wire/proto.ts';
import {
  encodeHistogram,
  encodeLabels,
  type Label,
  type NativeHistogram,
  type Protocol,
  STALE_HIGH,
  STALE_LOW,
  type WireExemplar,
} from '../../../wire/remote-write.ts';
import { viewOf } from './byte-table.ts';
import { CollisionWatch } from './collisions.ts';
import type { DeltaTotals, Total } from './delta.ts';
import { exemplarsOf } from './exemplars.ts';
import {
  contextLabels,
  type LabelRules,
  NO_LABELS,
  type PointLabels,
  plainDecimal,
  pointLabels,
  seriesLabels,
  targetInfoLabels,
} from './labels.ts';
import type { DropReason, MetricInfo } from './metric-info.ts';
import type { MetricNaming } from './naming.ts';
import { fromExplicit } from './native-histogram.ts';
import { NO_POINT, Samples } from './samples.ts';
import { BAD, type Context, type ResourceInfo, SeriesCache, type Spread } from './series-cache.ts';
import { Symbols } from './symbols.ts';

export interface TranslatorOptions {
  readonly protocol: Protocol;
  readonly naming: MetricNaming;
  readonly labels: LabelRules;
  readonly targetInfo: boolean;
  /** Descriptions and units are sent, so that metrics which differ in them are told apart. */
  readonly metadata: boolean;
  /** Explicit histograms: as native ones, as classic series, or as both. */
  readonly nativeExplicit: boolean;
  readonly classicExplicit: boolean;
  /** Undefined: delta points are dropped. */
  readonly delta: DeltaTotals | undefined;
  readonly cacheBytes: number;
  readonly onCollision: (series: Label[], streams: readonly [string, string]) => void;
}

export const STALE_FLAG = 1;

// The halves of a double.
export const doubles = new Float64Array(1);
export const words = new Int32Array(doubles.buffer);

/** Milliseconds of nanoseconds in two unsigned words; exact, which the sum of both as one double would not be. */
const millis = (high: number, low: number): number => high * 4294 + Math.floor((high * 967_296 + low) / 1_000_000);

export class PointWriter {
  readonly #o: TranslatorOptions;
  readonly samples = new Samples();
  readonly symbols = new Symbols();
  readonly cache: SeriesCache;
  readonly collisions: CollisionWatch;
  /** Of the point that is being read, counted through the batch. */
  point = 0;
  /** What running totals are called, by series. */
  readonly #totals = new Map<number, string>();
  /** Of labels that series share, by all of them. */
  readonly #names = new Map<string, ReadonlySet<string>>();
  readonly wantsStart: boolean;
  // Its time as words and as index of the samples' times.
  #timeHigh = 0;
  #timeLow = 0;
  #timeIndex = 0;
  #timePush = -1;
  /** The resource that has been told of this time. */
  #timeInfo: ResourceInfo | undefined;
  startIndex = 0;
  #attributesFrom = 0;
  #attributesTo = 0;
  #attributes: Uint8Array;
  #attributesView: DataView;

  constructor(options: TranslatorOptions, metric: (id: number) => MetricInfo | undefined) {
    this.#o = options;
    const { protocol, onCollision } = options;
    this.cache = new SeriesCache(options.cacheBytes, this.#encodeLabel);
    const { cache, symbols } = this;
    this.collisions = new CollisionWatch({ protocol, cache, symbols, metric, onCollision });
    this.wantsStart = protocol === 2 || options.delta !== undefined;
    this.#attributes = new Uint8Array(0);
    this.#attributesView = viewOf(this.#attributes);
  }

  forget(): void {
    this.#names.clear();
    this.cache.reset();
    this.symbols.reset();
    this.collisions.reset();
    this.#totals.clear();
  }

  context(info: ResourceInfo, scope: Scope): Context {
    this.#timeInfo = undefined;
    return this.cache.context(info, scope, this.#contextLabels);
  }

  readonly #contextLabels = (info: ResourceInfo, scope: Scope) =>
    contextLabels(info.resource, scope, this.#o.labels, this.#shareNames);

  readonly #shareNames = (names: readonly string[]): ReadonlySet<string> => {
    const key = JSON.stringify(names);
    let shared = this.#names.get(key);
    if (!shared) this.#names.set(key, (shared = new Set(names)));
    return shared;
  };

  /** Version 2 keeps the numbers of symbols, four bytes each. */
  readonly #encodeLabel = (label: Label): Uint8Array => {
    if (this.#o.protocol === 1) return encodeLabels([label]);
    const out = Buffer.allocUnsafe(8);
    out.writeInt32LE(this.symbols.id(label[0]));
    out.writeInt32LE(this.symbols.id(label[1]), 4);
    return out;
  };

  /** Notes the time of the point that is being read, in two words; all in small integers, which cost nothing. */
  setTime(context: Context, high: number, low: number): void {
    const { samples } = this;
    if (high !== this.#timeHigh || low !== this.#timeLow || this.#timePush !== samples.push) {
      this.#timePush = samples.push;
      this.#timeHigh = high;
      this.#timeLow = low;
      this.#timeIndex = samples.times.push(millis(high >>> 0, low >>> 0)) - 1;
      this.#timeInfo = undefined;
    }
    const { info } = context;
    if (info === this.#timeInfo) return;
    this.#timeInfo = info;
    info.newestMs = Math.max(info.newestMs, samples.times[this.#timeIndex]!);
  }

  /** Only version 2 and running totals ask for it. */
  setStart(high: number, low: number): void {
    this.startIndex = 0;
    if (!this.wantsStart || (high === 0 && low === 0)) return;
    this.startIndex = this.samples.times.push(millis(high >>> 0, low >>> 0)) - 1;
  }

  append(stream: number, series: number, low: number, high: number): void {
    const { cache, samples } = this;
    if (cache.seriesOwner[series] !== cache.streamIdentity[stream])
      this.collisions.look(series, stream, samples.isTouched(series));
    samples.append(series, low, high, this.#timeIndex, this.startIndex, this.point);
  }

  appendNumber(stream: number, series: number, value: number, stale: boolean): void {
    if (stale) {
      this.append(stream, series, STALE_LOW, STALE_HIGH);
      return;
    }
    doubles[0] = value;
    this.append(stream, series, words[0]!, words[1]!);
  }

  /** Totals outlive the cache, so they go by what the series is called. */
  total(series: number): Total | DropReason {
    let key = this.#totals.get(series);
    if (key === undefined) {
      const labels = this.cache.labelsOf(series);
      key =
        this.#o.protocol === 1
          ? labels.toString('latin1')
          : Array.from({ length: labels.length / 4 }, (_, i) => this.symbols.text(labels.readInt32LE(i * 4))).join(
              '\0',
            );
      this.#totals.set(series, key);
    }
    const start = this.samples.times[this.startIndex]!;
    return this.#o.delta!.at(key, this.#timeHigh >>> 0, this.#timeLow >>> 0, start);
  }

  setAttributes(b: Uint8Array, view: DataView, from: number, to: number): void {
    this.#attributes = b;
    this.#attributesView = view;
    this.#attributesFrom = from;
    this.#attributesTo = to;
  }

  stream(context: Context, metric: MetricInfo): number {
    return this.cache.stream(
      context,
      metric,
      this.#attributes,
      this.#attributesView,
      this.#attributesFrom,
      this.#attributesTo,
    );
  }

  /** Whether the labels of the point that is being read can be told. */
  hasLabels(stream: number, context: Context): boolean {
    const series = this.cache.streamSeries[stream]!;
    if (series >= 0 || this.cache.spreads.has(stream)) return true;
    return series !== BAD && this.#labels(stream, context) !== undefined;
  }

  /** Labels of the point that is being read, without a name; undefined when they cannot be told. */
  #labels(stream: number, context: Context): PointLabels | undefined {
    if (this.cache.streamSeries[stream] === BAD) return undefined;
    const attributes: ValueMap = new Map();
    const r = new ProtoReader(this.#attributes, this.#attributesFrom, this.#attributesTo);
    while (r.next()) {
      if (r.wire === BYTES) readKeyValue(r.message(), attributes);
      else r.skip();
    }
    const labels = pointLabels(attributes, context.labels, this.#o.labels);
    if (!labels) this.cache.streamSeries[stream] = BAD;
    return labels;
  }

  #series(point: PointLabels, name: string, metric: number, extra?: Label): number {
    const { own, base } = seriesLabels(point, name, extra);
    return this.cache.seriesOf(own, base, metric);
  }

  /** The series of the metric's own name, negative when it cannot be told. */
  seriesOf(stream: number, context: Context, metric: MetricInfo): number {
    const { cache } = this;
    const same = cache.likeOthers(stream, context.base, metric.id);
    if (same >= 0) return same;
    const labels = this.#labels(stream, context);
    if (!labels) return BAD;
    const series = this.#series(labels, metric.name, metric.id);
    cache.streamSeries[stream] = series;
    cache.doesForOthers(stream, series, context.base);
    return series;
  }

  native(
    stream: number,
    context: Context,
    metric: MetricInfo,
    h: NativeHistogram,
    exemplars: readonly WireExemplar[],
  ): void {
    const { cache, samples } = this;
    const known = cache.streamSeries[stream]!;
    const series = known >= 0 ? known : this.seriesOf(stream, context, metric);
    if (series < 0) return;
    if (cache.seriesOwner[series] !== cache.streamIdentity[stream])
      this.collisions.look(series, stream, samples.isTouched(series));
    const bytes = encodeHistogram(h, this.#o.protocol);
    samples.addHistogram(series, { timeMs: h.timeMs, bytes, point: this.point });
    samples.addExemplars(series, exemplars);
  }

  /** The series of _sum, _count and of each bound or quantile. */
  #spread(
    stream: number,
    context: Context,
    metric: MetricInfo,
    label: 'le' | 'quantile',
    bounds: readonly number[],
  ): Spread {
    const known = this.cache.spreads.get(stream);
    const bytes = new Uint8Array(new Float64Array(bounds).buffer);
    if (known && Buffer.compare(known.bounds, bytes) === 0) return known;
    const labels = this.#labels(stream, context) ?? { own: [], base: NO_LABELS };
    const each = label === 'le' ? `${metric.name}_bucket` : metric.name;
    const one = (text: string) => this.#series(labels, each, metric.id, [label, text]);
    const spread = {
      sum: known?.sum ?? this.#series(labels, `${metric.name}_sum`, metric.id),
      count: known?.count ?? this.#series(labels, `${metric.name}_count`, metric.id),
      bounds: bytes,
      each: bounds.map((v) => one(plainDecimal(v))),
      infinity: label === 'le' ? (known?.infinity ?? one('+Inf')) : -1,
    };
    this.cache.spreads.set(stream, spread);
    return spread;
  }

  summary(stream: number, context: Context, metric: MetricInfo, r: ProtoReader): undefined {
    const p = readSummaryPoint(r);
    const stale = (p.flags & STALE_FLAG) !== 0;
    const spread = this.#spread(
      stream,
      context,
      metric,
      'quantile',
      p.quantiles.map((q) => q.quantile),
    );
    this.appendNumber(stream, spread.sum, p.sum, stale);
    this.appendNumber(stream, spread.count, Number(p.count), stale);
    for (const [i, q] of p.quantiles.entries()) this.appendNumber(stream, spread.each[i]!, q.value, stale);
  }

  histogram(
    stream: number,
    context: Context,
    metric: MetricInfo,
    p: HistogramDataPoint,
    b: Uint8Array,
    from: number,
    end: number,
  ): DropReason | undefined {
    const stale = (p.flags & STALE_FLAG) !== 0;
    const counts = p.bucketCounts.map(Number);
    let sum = p.sum;
    let count = Number(p.count);
    // A bound of +Inf would be the same series as the last bucket.
    const bounds = p.explicitBounds.slice(0, counts.length).filter((v) => v !== Number.POSITIVE_INFINITY);
    const exemplars = p.exemplars.length > 0 ? exemplarsOf(b, from, end, 8) : [];
    const isDelta = metric.isDelta && !stale;
    if (this.#o.nativeExplicit && !isDelta) this.native(stream, context, metric, fromExplicit(p), exemplars);
    if (!this.#o.classicExplicit && !isDelta) return undefined;
    const spread = this.#spread(stream, context, metric, 'le', bounds);
    if (isDelta) {
      const total = this.total(spread.count);
      if (typeof total === 'string') return total;
      const key = bounds.join();
      if (total.bounds !== key || total.counts.length !== counts.length)
        Object.assign(total, {
          bounds: key,
          counts: counts.map(() => 0),
          value: 0,
          count: 0,
          startMs: this.samples.times[this.startIndex]!,
        });
      for (const [i, n] of counts.entries()) counts[i] = total.counts[i]! += n;
      total.value += sum ?? 0;
      count = total.count += count;
      if (sum !== undefined) sum = total.value;
      this.startIndex = this.samples.times.push(total.startMs) - 1;
    }
    if (sum !== undefined) this.appendNumber(stream, spread.sum, sum, stale);
    this.appendNumber(stream, spread.count, count, stale);
    let below = 0;
    for (const [i, s] of spread.each.entries()) {
      below += counts[i]!;
      this.appendNumber(stream, s, below, stale);
    }
    this.appendNumber(stream, spread.infinity, count, stale);
    for (const e of exemplars) {
      const i = bounds.findIndex((v) => e.value <= v);
      this.samples.addExemplars(i < 0 ? spread.infinity : spread.each[i]!, [e]);
    }
    return undefined;
  }

  targetInfo(info: ResourceInfo): void {
    if (!this.#o.targetInfo || info.newestMs === 0) return;
    if (info.targetInfo === undefined) {
      const { namespace } = this.#o.naming;
      const name = namespace === '' ? 'target_info' : `${namespace}_target_info`;
      const [context] = info.contexts.values();
      const labels = targetInfoLabels(info.resource, context!.labels, this.#o.labels);
      info.targetInfo = labels ? this.#series(labels, name, -1) : -1;
    }
    if (info.targetInfo < 0) return;
    doubles[0] = 1;
    const time = this.samples.times.push(info.newestMs) - 1;
    this.samples.append(info.targetInfo, words[0]!, words[1]!, time, 0, NO_POINT);
  }
}
