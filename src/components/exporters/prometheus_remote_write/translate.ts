/**
 * Metric messages → samples of series. Messages are walked as bytes: a point of a known stream costs a hash, a
 * comparison and a few stores. Names and labels are made once per stream, histograms keep the series of their buckets.
 */
import type { Batch, Group } from '../../../core/batch.ts';
import { readExponentialPoint, readHistogramPoint } from '../../../wire/otlp-metrics.ts';
import { BYTES, FIXED32, FIXED64, ProtoError, ProtoReader, VARINT } from '../../../wire/proto.ts';
import { type MetricMetadata, STALE_HIGH, STALE_LOW } from '../../../wire/remote-write.ts';
import { viewOf } from './byte-table.ts';
import { exemplarsOf } from './exemplars.ts';
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
import { fromExponential } from './native-histogram.ts';
import { doubles, PointWriter, STALE_FLAG, type TranslatorOptions, words } from './point-writer.ts';
import type { Samples } from './samples.ts';
import type { Context, ResourceInfo, SeriesCache } from './series-cache.ts';
import type { Symbols } from './symbols.ts';

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

export class Translator {
  readonly #o: TranslatorOptions;
  readonly #w: PointWriter;
  readonly #metrics: MetricTable;
  #losses = new Losses();
  #resources: ResourceInfo[] = [];
  #described: MetricMetadata[] = [];
  #families = new Set<string>();

  constructor(options: TranslatorOptions) {
    this.#o = options;
    this.#metrics = new MetricTable(options.metadata, (h) =>
      metricInfo(h, options.naming, options.delta !== undefined),
    );
    this.#w = new PointWriter(options, this.metric);
  }

  get samples(): Samples {
    return this.#w.samples;
  }

  get symbols(): Symbols {
    return this.#w.symbols;
  }

  get cache(): SeriesCache {
    return this.#w.cache;
  }

  /** Fills `samples` from a batch; says which points did not come through. What it made before is gone. */
  translate(batch: Batch): Losses {
    if (this.cache.isFull || this.#metrics.isFull) this.#forget();
    this.#o.delta?.sweep();
    this.samples.begin();
    this.#losses = new Losses();
    this.#w.point = 0;
    this.#resources = [];
    this.#described = [];
    this.#families = new Set();
    for (const g of batch.groups) this.#group(g);
    for (const info of this.#resources) this.#w.targetInfo(info);
    return this.#losses;
  }

  readonly metric = (id: number): MetricInfo | undefined => this.#metrics.info(id);

  /** Metadata of the metrics that were met in the last batch. */
  get described(): readonly MetricMetadata[] {
    return this.#described;
  }

  get collisions(): number {
    return this.#w.collisions.count;
  }

  #forget(): void {
    this.#w.forget();
    this.#metrics.reset();
  }

  #group(g: Group): void {
    const info = this.cache.resource(g.resource);
    if (info.push !== this.samples.push) {
      info.push = this.samples.push;
      info.newestMs = 0;
      this.#resources.push(info);
    } else if (isRepeated(info, g)) {
      this.#w.targetInfo(info);
      info.newestMs = 0;
    }
    info.items = g.items;
    const context = this.#w.context(info, g.scope);
    const bytes = g.items;
    const view = viewOf(bytes);
    const end = bytes.length;
    const first = this.#w.point;
    for (let pos = 0; pos < end; ) {
      at = pos + 1;
      const stop = contentEnd(bytes, end);
      this.#metric(context, bytes, view, at, stop);
      pos = stop;
    }
    // The batch's own count is what its parts go by.
    if (this.#w.point !== first + g.count) {
      if (this.#w.point < first + g.count) this.#drop('metric without data', first + g.count - this.#w.point);
      this.#w.point = first + g.count;
    }
  }

  #drop(reason: DropReason, points: number): void {
    this.#losses.add(this.#w.point, points, reason);
    this.#w.point += points;
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
      if (reason === undefined) this.#w.point++;
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
    this.#w.setTime(context, timeHigh, timeLow);
    if (metric.dropped) return metric.dropped;
    if (scattered) this.#gather(b, from, end, 0x3a);
    else this.#w.setAttributes(b, view, attributesFrom, attributesTo);
    const stream = this.#w.stream(context, metric);
    let series = this.cache.streamSeries[stream]!;
    if (series < 0) {
      series = this.#w.seriesOf(stream, context, metric);
      if (series < 0) return 'invalid label name';
    }
    if (isInteger) {
      doubles[0] = high * 0x1_0000_0000 + (low >>> 0);
      low = words[0]!;
      high = words[1]!;
    }
    if (startAt < 0 || !this.#w.wantsStart) this.#w.startIndex = 0;
    else this.#w.setStart(view.getInt32(startAt + 4, true), view.getInt32(startAt, true));
    if ((flags & STALE_FLAG) !== 0) {
      low = STALE_LOW;
      high = STALE_HIGH;
    } else if (metric.isDelta) {
      const total = this.#w.total(series);
      if (typeof total === 'string') return total;
      words[0] = low;
      words[1] = high;
      total.value += doubles[0]!;
      this.#w.startIndex = this.samples.times.push(total.startMs) - 1;
      doubles[0] = total.value;
      low = words[0]!;
      high = words[1]!;
    }
    this.#w.append(stream, series, low, high);
    if (hasExemplars && metric.kind === SUM && metric.isMonotonic)
      this.samples.addExemplars(series, exemplarsOf(b, from, end, 5));
    return undefined;
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
    this.#w.setAttributes(all, viewOf(all), 0, all.length);
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
    this.#w.startIndex = 0;
    at = from;
    while (at < end) {
      const tagAt = at;
      const tag = varint(b, end);
      if (tag === 0x19) {
        timeLow = view.getInt32(at, true);
        timeHigh = view.getInt32(at + 4, true);
        at += 8;
      } else if (tag === 0x11) {
        this.#w.setStart(view.getInt32(at + 4, true), view.getInt32(at, true));
        at += 8;
      } else if (tag === attributeTag) {
        if (attributesFrom === end) attributesFrom = tagAt;
        else if (attributesTo !== tagAt) scattered = true;
        at = contentEnd(b, end);
        attributesTo = at;
      } else skip(b, end, tag);
    }
    this.#w.setTime(context, timeHigh, timeLow);
    if (metric.dropped) return metric.dropped;
    if (scattered) this.#gather(b, from, end, attributeTag);
    else this.#w.setAttributes(b, view, attributesFrom, attributesTo);
    const stream = this.#w.stream(context, metric);
    if (!this.#w.hasLabels(stream, context)) return 'invalid label name';
    const point = new ProtoReader(b, from, end);
    if (metric.kind === SUMMARY) return this.#w.summary(stream, context, metric, point);
    if (metric.kind === EXPONENTIAL) {
      const native = fromExponential(readExponentialPoint(point), this.#o.protocol);
      if (typeof native === 'string') return native;
      this.#w.native(stream, context, metric, native, exemplarsOf(b, from, end, 11));
      return undefined;
    }
    return this.#w.histogram(stream, context, metric, readHistogramPoint(point), b, from, end);
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
