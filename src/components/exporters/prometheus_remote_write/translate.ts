/**
 * Metric messages → samples of series. Messages are walked as bytes: a point of a known stream costs a hash, a
 * comparison and a few stores. Names and labels are made once per stream, histograms keep the series of their buckets.
 */
import type { Batch, Group } from '../../../core/batch.ts';
import { readKeyValue, type ValueMap } from '../../../wire/otlp.ts';
import {
  type HistogramDataPoint,
  readExponentialPoint,
  readHistogramPoint,
  readSummaryPoint,
} from '../../../wire/otlp-metrics.ts';
import { BYTES, FIXED32, FIXED64, ProtoError, ProtoReader, VARINT } from '../../../wire/proto.ts';
import {
  encodeHistogram,
  encodeLabels,
  type Label,
  type MetricMetadata,
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
import { Losses } from './losses.ts';
import {
  type DropReason,
  EXPONENTIAL,
  GAUGE,
  HISTOGRAM,
  type MetricInfo,
  metricInfo,
  SUM,
  SUMMARY,
} from './metric-info.ts';
import { MetricTable } from './metric-table.ts';
import type { MetricNaming } from './naming.ts';
import { fromExplicit, fromExponential } from './native-histogram.ts';
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

const STALE_FLAG = 1;

// The halves of a double.
const doubles = new Float64Array(1);
const words = new Int32Array(doubles.buffer);

/** Where the walk stands: plain variables are what the compiler handles best. */
let at = 0;

function varint(b: Uint8Array, end: number): number {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < 10; i++) {
    if (at >= end) throw new ProtoError('truncated varint');
    const x = b[at++]!;
    value += (x & 127) * scale;
    if (x < 128) return value;
    scale *= 128;
  }
  throw new ProtoError('varint too long');
}

/** The end of the length-delimited content at `at`, which moves to its beginning. */
function contentEnd(b: Uint8Array, end: number): number {
  let size = b[at]!;
  if (size < 128) at++;
  else size = varint(b, end);
  if (size > end - at) throw new ProtoError('truncated field');
  return at + size;
}

function skip(b: Uint8Array, end: number, tag: number): void {
  const wire = tag & 7;
  if (wire === VARINT) varint(b, end);
  else if (wire === FIXED64) at += 8;
  else if (wire === BYTES) at = contentEnd(b, end);
  else if (wire === FIXED32) at += 4;
  else throw new ProtoError(`wire type ${wire}`);
  if (at > end) throw new ProtoError('truncated field');
}

/** Milliseconds of nanoseconds in two unsigned words; exact, which the sum of both as one double would not be. */
const millis = (high: number, low: number): number => high * 4294 + Math.floor((high * 967_296 + low) / 1_000_000);

export class Translator {
  readonly #o: TranslatorOptions;
  readonly samples = new Samples();
  readonly symbols = new Symbols();
  readonly cache: SeriesCache;
  readonly #metrics: MetricTable;
  readonly #collisions: CollisionWatch;
  #losses = new Losses();
  #point = 0;
  #resources: ResourceInfo[] = [];
  #described: MetricMetadata[] = [];
  #families = new Set<string>();
  /** Running totals by series. */
  readonly #totals = new Map<number, string>();
  readonly #wantsStart: boolean;
  // The point that is being read: its time as words and as index of the samples' times.
  #timeHigh = 0;
  #timeLow = 0;
  #timeIndex = 0;
  #timePush = -1;
  /** The resource that has been told of this time. */
  #timeInfo: ResourceInfo | undefined;
  #startIndex = 0;
  #attributesFrom = 0;
  #attributesTo = 0;
  #attributes: Uint8Array;
  #attributesView: DataView;

  constructor(options: TranslatorOptions) {
    this.#o = options;
    this.cache = new SeriesCache(options.cacheBytes, this.#encodeLabel);
    this.#metrics = new MetricTable(options.metadata, (h) =>
      metricInfo(h, options.naming, options.delta !== undefined),
    );
    const { protocol, onCollision } = options;
    const { cache, symbols, metric } = this;
    this.#collisions = new CollisionWatch({ protocol, cache, symbols, metric, onCollision });
    this.#wantsStart = options.protocol === 2 || options.delta !== undefined;
    this.#attributes = new Uint8Array(0);
    this.#attributesView = viewOf(this.#attributes);
  }

  /** Fills `samples` from a batch; says which points did not come through. What it made before is gone. */
  translate(batch: Batch): Losses {
    if (this.cache.isFull || this.#metrics.isFull) this.#forget();
    this.#o.delta?.sweep();
    this.samples.begin();
    this.#losses = new Losses();
    this.#point = 0;
    this.#resources = [];
    this.#described = [];
    this.#families = new Set();
    for (const g of batch.groups) this.#group(g);
    for (const info of this.#resources) this.#targetInfo(info);
    return this.#losses;
  }

  readonly metric = (id: number): MetricInfo | undefined => this.#metrics.info(id);

  /** Metadata of the metrics that were met in the last batch. */
  get described(): readonly MetricMetadata[] {
    return this.#described;
  }

  get collisions(): number {
    return this.#collisions.count;
  }

  #forget(): void {
    this.cache.reset();
    this.#metrics.reset();
    this.symbols.reset();
    this.#collisions.reset();
    this.#totals.clear();
  }

  #group(g: Group): void {
    const info = this.cache.resource(g.resource);
    if (info.push !== this.samples.push) {
      info.push = this.samples.push;
      info.newestMs = 0;
      this.#resources.push(info);
    } else if (isRepeated(info, g)) {
      this.#targetInfo(info);
      info.newestMs = 0;
    }
    info.items = g.items;
    this.#timeInfo = undefined;
    const context = this.cache.context(info, g.scope, this.#contextLabels);
    const bytes = g.items;
    const view = viewOf(bytes);
    const end = bytes.length;
    const first = this.#point;
    for (let pos = 0; pos < end; ) {
      at = pos + 1;
      const stop = contentEnd(bytes, end);
      this.#metric(context, bytes, view, at, stop);
      pos = stop;
    }
    // The batch's own count is what its parts go by.
    if (this.#point !== first + g.count) {
      if (this.#point < first + g.count) this.#drop('metric without data', first + g.count - this.#point);
      this.#point = first + g.count;
    }
  }

  readonly #contextLabels = (info: ResourceInfo, scope: Group['scope']) =>
    contextLabels(info.resource, scope, this.#o.labels, this.#encodeLabel);

  /** Version 2 keeps the numbers of symbols, four bytes each. */
  readonly #encodeLabel = (label: Label): Uint8Array => {
    if (this.#o.protocol === 1) return encodeLabels([label]);
    const out = Buffer.allocUnsafe(8);
    out.writeInt32LE(this.symbols.id(label[0]));
    out.writeInt32LE(this.symbols.id(label[1]), 4);
    return out;
  };

  #drop(reason: DropReason, points: number): void {
    this.#losses.add(this.#point, points, reason);
    this.#point += points;
  }

  #metric(context: Context, b: Uint8Array, view: DataView, from: number, end: number): void {
    let nameFrom = 0;
    let nameTo = 0;
    let helpFrom = 0;
    let helpTo = 0;
    let unitFrom = 0;
    let unitTo = 0;
    let kind = 0;
    let dataFrom = 0;
    let dataTo = 0;
    at = from;
    while (at < end) {
      const tag = varint(b, end);
      if ((tag & 7) !== BYTES) {
        skip(b, end, tag);
        continue;
      }
      const stop = contentEnd(b, end);
      switch (tag >> 3) {
        case 1:
          nameFrom = at;
          nameTo = stop;
          break;
        case 2:
          helpFrom = at;
          helpTo = stop;
          break;
        case 3:
          unitFrom = at;
          unitTo = stop;
          break;
        case GAUGE:
        case SUM:
        case HISTOGRAM:
        case EXPONENTIAL:
        case SUMMARY:
          kind = tag >> 3;
          dataFrom = at;
          dataTo = stop;
          break;
      }
      at = stop;
    }
    if (kind === 0) return;
    let points = 0;
    let temporality = 0;
    let monotonic = false;
    at = dataFrom;
    while (at < dataTo) {
      const tag = varint(b, dataTo);
      if (tag === 0x0a) {
        points++;
        at = contentEnd(b, dataTo);
      } else if (tag === 0x10) temporality = varint(b, dataTo);
      else if (tag === 0x18) monotonic = varint(b, dataTo) !== 0;
      else skip(b, dataTo, tag);
    }
    if (points === 0) return;
    const flags = kind | (Math.min(temporality, 7) << 4) | (monotonic ? 128 : 0);
    const metric = this.#metrics.find(b, view, flags, nameFrom, nameTo, unitFrom, unitTo, helpFrom, helpTo);
    this.#points(context, metric, b, view, dataFrom, dataTo);
  }

  #points(context: Context, metric: MetricInfo, b: Uint8Array, view: DataView, from: number, end: number): void {
    if (this.#o.metadata && !metric.dropped && metric.push !== this.samples.push) this.#describe(metric);
    const attributeTag = metric.kind === HISTOGRAM ? 0x4a : metric.kind === EXPONENTIAL ? 0x0a : 0x3a;
    let pos = from;
    while (pos < end) {
      at = pos;
      const tag = varint(b, end);
      if (tag !== 0x0a) {
        skip(b, end, tag);
        pos = at;
        continue;
      }
      const stop = contentEnd(b, end);
      const reason =
        metric.kind === GAUGE || metric.kind === SUM
          ? this.#number(context, metric, b, view, at, stop)
          : this.#other(context, metric, b, view, at, stop, attributeTag);
      if (reason === undefined) this.#point++;
      else this.#drop(reason, 1);
      pos = stop;
    }
  }

  #describe(m: MetricInfo): void {
    m.push = this.samples.push;
    if (this.#families.has(m.name)) return;
    this.#families.add(m.name);
    this.#described.push({ type: m.type, family: m.name, help: m.help, unit: m.unitWord });
  }

  /** Notes the time of the point that is being read, in two words; all in small integers, which cost nothing. */
  #setTime(context: Context, high: number, low: number): void {
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
  #setStart(high: number, low: number): void {
    this.#startIndex = 0;
    if (!this.#wantsStart || (high === 0 && low === 0)) return;
    this.#startIndex = this.samples.times.push(millis(high >>> 0, low >>> 0)) - 1;
  }

  #number(
    context: Context,
    metric: MetricInfo,
    b: Uint8Array,
    view: DataView,
    from: number,
    end: number,
  ): DropReason | undefined {
    let timeHigh = 0;
    let timeLow = 0;
    let startAt = -1;
    let low = 0;
    let high = 0;
    let isInteger = false;
    let attributesFrom = end;
    let attributesTo = end;
    let scattered = false;
    let hasExemplars = false;
    let flags = 0;
    at = from;
    while (at < end) {
      const tagAt = at;
      const tag = varint(b, end);
      switch (tag) {
        case 0x11:
          startAt = at;
          at += 8;
          break;
        case 0x19:
          timeLow = view.getInt32(at, true);
          timeHigh = view.getInt32(at + 4, true);
          at += 8;
          break;
        case 0x21:
        case 0x31:
          low = view.getInt32(at, true);
          high = view.getInt32(at + 4, true);
          isInteger = tag === 0x31;
          at += 8;
          break;
        case 0x3a:
          if (attributesFrom === end) attributesFrom = tagAt;
          else if (attributesTo !== tagAt) scattered = true;
          at = contentEnd(b, end);
          attributesTo = at;
          break;
        case 0x40:
          flags = varint(b, end);
          break;
        default:
          if (tag === 0x2a) hasExemplars = true;
          skip(b, end, tag);
      }
    }
    this.#setTime(context, timeHigh, timeLow);
    if (metric.dropped) return metric.dropped;
    if (scattered) this.#gather(b, from, end, 0x3a);
    else this.#setAttributes(b, view, attributesFrom, attributesTo);
    const stream = this.#stream(context, metric);
    let series = this.cache.streamSeries[stream]!;
    if (series < 0) {
      series = this.#seriesOf(stream, context, metric);
      if (series < 0) return 'invalid label name';
    }
    if (isInteger) {
      doubles[0] = high * 0x1_0000_0000 + (low >>> 0);
      low = words[0]!;
      high = words[1]!;
    }
    if (startAt < 0 || !this.#wantsStart) this.#startIndex = 0;
    else this.#setStart(view.getInt32(startAt + 4, true), view.getInt32(startAt, true));
    if ((flags & STALE_FLAG) !== 0) {
      low = STALE_LOW;
      high = STALE_HIGH;
    } else if (metric.isDelta) {
      const total = this.#total(series);
      if (typeof total === 'string') return total;
      words[0] = low;
      words[1] = high;
      total.value += doubles[0]!;
      this.#startIndex = this.samples.times.push(total.startMs) - 1;
      doubles[0] = total.value;
      low = words[0]!;
      high = words[1]!;
    }
    this.#append(stream, series, low, high);
    if (hasExemplars && metric.kind === SUM && metric.isMonotonic)
      this.samples.addExemplars(series, exemplarsOf(b, from, end, 5));
    return undefined;
  }

  #append(stream: number, series: number, low: number, high: number): void {
    const { cache, samples } = this;
    if (cache.seriesOwner[series] !== cache.streamIdentity[stream])
      this.#collisions.look(series, stream, samples.isTouched(series));
    samples.append(series, low, high, this.#timeIndex, this.#startIndex, this.#point);
  }

  #appendNumber(stream: number, series: number, value: number, stale: boolean): void {
    if (stale) {
      this.#append(stream, series, STALE_LOW, STALE_HIGH);
      return;
    }
    doubles[0] = value;
    this.#append(stream, series, words[0]!, words[1]!);
  }

  /** Totals outlive the cache, so they go by what the series is called. */
  #total(series: number): Total | DropReason {
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
    const start = this.samples.times[this.#startIndex]!;
    return this.#o.delta!.at(key, this.#timeHigh >>> 0, this.#timeLow >>> 0, start);
  }

  #setAttributes(b: Uint8Array, view: DataView, from: number, to: number): void {
    this.#attributes = b;
    this.#attributesView = view;
    this.#attributesFrom = from;
    this.#attributesTo = to;
  }

  /** Attributes that do not stand together are put together. */
  #gather(b: Uint8Array, from: number, end: number, wanted: number): void {
    const pieces: Uint8Array[] = [];
    at = from;
    while (at < end) {
      const tagAt = at;
      const tag = varint(b, end);
      skip(b, end, tag);
      if (tag === wanted) pieces.push(b.subarray(tagAt, at));
    }
    const all = Buffer.concat(pieces);
    this.#setAttributes(all, viewOf(all), 0, all.length);
  }

  #stream(context: Context, metric: MetricInfo): number {
    return this.cache.stream(
      context,
      metric,
      this.#attributes,
      this.#attributesView,
      this.#attributesFrom,
      this.#attributesTo,
    );
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
  #seriesOf(stream: number, context: Context, metric: MetricInfo): number {
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

  #other(
    context: Context,
    metric: MetricInfo,
    b: Uint8Array,
    view: DataView,
    from: number,
    end: number,
    attributeTag: number,
  ): DropReason | undefined {
    let timeHigh = 0;
    let timeLow = 0;
    let attributesFrom = end;
    let attributesTo = end;
    let scattered = false;
    this.#startIndex = 0;
    at = from;
    while (at < end) {
      const tagAt = at;
      const tag = varint(b, end);
      if (tag === 0x19) {
        timeLow = view.getInt32(at, true);
        timeHigh = view.getInt32(at + 4, true);
        at += 8;
      } else if (tag === 0x11) {
        this.#setStart(view.getInt32(at + 4, true), view.getInt32(at, true));
        at += 8;
      } else if (tag === attributeTag) {
        if (attributesFrom === end) attributesFrom = tagAt;
        else if (attributesTo !== tagAt) scattered = true;
        at = contentEnd(b, end);
        attributesTo = at;
      } else skip(b, end, tag);
    }
    this.#setTime(context, timeHigh, timeLow);
    if (metric.dropped) return metric.dropped;
    if (scattered) this.#gather(b, from, end, attributeTag);
    else this.#setAttributes(b, view, attributesFrom, attributesTo);
    const stream = this.#stream(context, metric);
    const spread = this.cache.spreads.get(stream);
    const known = this.cache.streamSeries[stream]!;
    if (known === BAD || (!spread && known < 0 && !this.#labels(stream, context))) return 'invalid label name';
    const point = new ProtoReader(b, from, end);
    if (metric.kind === SUMMARY) return this.#summary(stream, context, metric, point);
    if (metric.kind === EXPONENTIAL) {
      const native = fromExponential(readExponentialPoint(point), this.#o.protocol);
      if (typeof native === 'string') return native;
      this.#native(stream, context, metric, native, exemplarsOf(b, from, end, 11));
      return undefined;
    }
    return this.#histogram(stream, context, metric, readHistogramPoint(point), b, from, end);
  }

  #native(
    stream: number,
    context: Context,
    metric: MetricInfo,
    h: NativeHistogram,
    exemplars: readonly WireExemplar[],
  ): void {
    const { cache, samples } = this;
    const known = cache.streamSeries[stream]!;
    const series = known >= 0 ? known : this.#seriesOf(stream, context, metric);
    if (series < 0) return;
    if (cache.seriesOwner[series] !== cache.streamIdentity[stream])
      this.#collisions.look(series, stream, samples.isTouched(series));
    const bytes = encodeHistogram(h, this.#o.protocol);
    samples.addHistogram(series, { timeMs: h.timeMs, bytes, point: this.#point });
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

  #summary(stream: number, context: Context, metric: MetricInfo, r: ProtoReader): undefined {
    const p = readSummaryPoint(r);
    const stale = (p.flags & STALE_FLAG) !== 0;
    const spread = this.#spread(
      stream,
      context,
      metric,
      'quantile',
      p.quantiles.map((q) => q.quantile),
    );
    this.#appendNumber(stream, spread.sum, p.sum, stale);
    this.#appendNumber(stream, spread.count, Number(p.count), stale);
    for (const [i, q] of p.quantiles.entries()) this.#appendNumber(stream, spread.each[i]!, q.value, stale);
  }

  #histogram(
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
    if (this.#o.nativeExplicit && !isDelta) this.#native(stream, context, metric, fromExplicit(p), exemplars);
    if (!this.#o.classicExplicit && !isDelta) return undefined;
    const spread = this.#spread(stream, context, metric, 'le', bounds);
    if (isDelta) {
      const total = this.#total(spread.count);
      if (typeof total === 'string') return total;
      const key = bounds.join();
      if (total.bounds !== key || total.counts.length !== counts.length)
        Object.assign(total, {
          bounds: key,
          counts: counts.map(() => 0),
          value: 0,
          count: 0,
          startMs: this.samples.times[this.#startIndex]!,
        });
      for (const [i, n] of counts.entries()) counts[i] = total.counts[i]! += n;
      total.value += sum ?? 0;
      count = total.count += count;
      if (sum !== undefined) sum = total.value;
      this.#startIndex = this.samples.times.push(total.startMs) - 1;
    }
    if (sum !== undefined) this.#appendNumber(stream, spread.sum, sum, stale);
    this.#appendNumber(stream, spread.count, count, stale);
    let below = 0;
    for (const [i, s] of spread.each.entries()) {
      below += counts[i]!;
      this.#appendNumber(stream, s, below, stale);
    }
    this.#appendNumber(stream, spread.infinity, count, stale);
    for (const e of exemplars) {
      const i = bounds.findIndex((v) => e.value <= v);
      this.samples.addExemplars(i < 0 ? spread.infinity : spread.each[i]!, [e]);
    }
    return undefined;
  }

  #targetInfo(info: ResourceInfo): void {
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

/**
 * A sender may give one resource twice in a request; upstream tells of it as often. Groups of one resource stand close
 * together in the request that they are views of; between repeated ones stands the resource itself.
 */
function isRepeated(info: ResourceInfo, g: Group): boolean {
  const before = info.items!;
  if (before.buffer !== g.items.buffer) return false;
  const gap = g.items.byteOffset - (before.byteOffset + before.length);
  return gap >= info.resource.encoded.length + g.scope.encoded.length && gap > 0;
}
