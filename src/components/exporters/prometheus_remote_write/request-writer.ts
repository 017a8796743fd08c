/** Writes the samples of a push into requests of a bounded size. One buffer serves all of them. */
import { putVarint, varintSize } from '../../../wire/proto.ts';
import {
  encodeExemplar,
  encodeMetadata,
  encodeSeriesMetadata,
  encodeSymbols,
  METRIC_TYPES,
  type MetricMetadata,
  type Protocol,
} from '../../../wire/remote-write.ts';
import { viewOf } from './byte-table.ts';
import type { MetricInfo } from './metric-info.ts';
import { NO_POINT, type Samples } from './samples.ts';
import type { SeriesCache } from './series-cache.ts';
import type { Symbols } from './symbols.ts';

export interface EncodedRequest {
  /** Valid until the next request is written. */
  readonly body: Buffer;
  readonly series: number;
  /** Data points of its samples, in the order of the samples in the body. */
  readonly points: Int32Array;
}

/** A buffer that is not used for so long is let go. */
const IDLE_MS = 2000;
/** Above this a buffer is not kept. */
const MAX_KEPT_BYTES = 16 << 20;
const FIRST_BYTES = 256 << 10;

const TARGET_METADATA = 'Target metadata';

export interface RequestWriterOptions {
  readonly protocol: Protocol;
  readonly maxBytes: number;
  readonly symbols: Symbols;
  readonly cache: SeriesCache;
  readonly metric: (id: number) => MetricInfo | undefined;
}

export class RequestWriter {
  readonly #o: RequestWriterOptions;
  #buf = Buffer.alloc(0);
  #view = new DataView(new ArrayBuffer(0));
  #pos = 0;
  #series = 0;
  #points = new Int32Array(1024);
  #pointCount = 0;
  #time = new Uint8Array(10);
  #timeLength = 0;
  #timeOf = -1;
  /** The same as index, while nothing else was set. */
  #timeIndex = -1;
  #refs = new Uint8Array(1024);
  #ids = Buffer.allocUnsafe(1024);
  #idle: NodeJS.Timeout | undefined;
  #metadataRequest = 0;

  constructor(options: RequestWriterOptions) {
    this.#o = options;
  }

  /** Calls `emit` once per request. Every series is in one of them. */
  write(samples: Samples, series: Int32Array, emit: (request: EncodedRequest) => void): void {
    if (series.length === 0) return;
    this.#timeIndex = -1;
    this.#begin();
    for (let i = 0; i < series.length; i++) {
      if (this.#o.protocol === 1) this.#write1(samples, series[i]!, emit);
      else this.#write2(samples, series[i]!, emit);
    }
    this.#flush(emit);
    this.#release();
  }

  /** Version 1: what metrics are, in requests of their own. */
  writeMetadata(metadata: readonly MetricMetadata[], emit: (request: EncodedRequest) => void): void {
    this.#begin();
    for (const m of metadata) {
      const bytes = encodeMetadata(m);
      this.#room(bytes.length, emit);
      this.#raw(bytes);
      this.#series++;
    }
    this.#flush(emit);
    this.#release();
  }

  #begin(): void {
    this.#pos = 0;
    this.#series = 0;
    this.#pointCount = 0;
    if (this.#o.protocol === 2) {
      this.#o.symbols.beginRequest();
      this.#metadataRequest++;
    }
  }

  #flush(emit: (request: EncodedRequest) => void): void {
    if (this.#series === 0) return;
    const own = this.#buf.subarray(0, this.#pos);
    const body = this.#o.protocol === 1 ? own : Buffer.concat([encodeSymbols(this.#o.symbols.used), own]);
    emit({ body, series: this.#series, points: this.#points.slice(0, this.#pointCount) });
    this.#begin();
  }

  #release(): void {
    if (this.#buf.length > MAX_KEPT_BYTES) this.#resize(0);
    this.#idle ??= setTimeout(() => {
      const { buffer } = this.#buf;
      this.#resize(0);
      // At once: while nothing happens nobody collects garbage.
      buffer.transfer(0);
    }, IDLE_MS).unref();
    this.#idle.refresh();
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#resize(0);
  }

  #resize(size: number): void {
    const buf = Buffer.allocUnsafeSlow(size);
    this.#buf.copy(buf, 0, 0, this.#pos);
    this.#buf = buf;
    this.#view = new DataView(buf.buffer, buf.byteOffset, buf.length);
  }

  /** Begins a new request when `size` more bytes would fill this one, and makes room for them. */
  #room(size: number, emit: (request: EncodedRequest) => void): void {
    const symbols = this.#o.protocol === 2 ? this.#o.symbols.usedBytes : 0;
    if (this.#series > 0 && this.#pos + symbols + size >= this.#o.maxBytes) this.#flush(emit);
    if (this.#pos + size > this.#buf.length)
      this.#resize(Math.max(FIRST_BYTES, this.#buf.length * 2, this.#pos + size));
  }

  #raw(bytes: Uint8Array): void {
    this.#buf.set(bytes, this.#pos);
    this.#pos += bytes.length;
  }

  #setTime(ms: number): void {
    if (ms === this.#timeOf) return;
    this.#timeOf = ms;
    let i = 0;
    let n = ms;
    for (; n > 127; n = Math.floor(n / 128)) this.#time[i++] = (n % 128) | 128;
    this.#time[i++] = n;
    this.#timeLength = i;
  }

  #note(point: number): void {
    if (this.#pointCount === this.#points.length) {
      const bigger = new Int32Array(this.#points.length * 2);
      bigger.set(this.#points);
      this.#points = bigger;
    }
    this.#points[this.#pointCount++] = point;
  }

  /** Value and time; the time is the one that was set. */
  #sample(samples: Samples, i: number): void {
    const buf = this.#buf;
    let p = this.#pos;
    const n = this.#timeLength;
    buf[p++] = 0x09;
    this.#view.setInt32(p, samples.low[i]!, true);
    this.#view.setInt32(p + 4, samples.high[i]!, true);
    p += 8;
    buf[p++] = 0x10;
    for (let k = 0; k < n; k++) buf[p++] = this.#time[k]!;
    this.#pos = p;
    this.#note(samples.point[i]!);
  }

  #write1(samples: Samples, s: number, emit: (request: EncodedRequest) => void): void {
    const { cache } = this.#o;
    const i = samples.head[s]!;
    if (
      i < 0 ||
      i !== samples.tail[s] ||
      (samples.exemplars.size > 0 && samples.exemplars.has(s)) ||
      (samples.histograms.size > 0 && samples.histograms.has(s))
    ) {
      this.#message(samples, s, cache.labelsOf(s), undefined, emit);
      return;
    }
    const time = samples.time[i]!;
    if (time !== this.#timeIndex) {
      this.#timeIndex = time;
      this.#setTime(samples.times[time]!);
    }
    const length = cache.seriesLength[s]!;
    const inner = length + 12 + this.#timeLength;
    this.#room(inner + 6, emit);
    const buf = this.#buf;
    buf[this.#pos++] = 0x0a;
    this.#pos = putVarint(buf, this.#pos, inner);
    cache.copyLabels(s, buf, this.#view, this.#pos);
    this.#pos += length;
    buf[this.#pos++] = 0x12;
    buf[this.#pos++] = 10 + this.#timeLength;
    this.#sample(samples, i);
    this.#series++;
  }

  /** The labels of a version 2 series stand in the cache as numbers of symbols. */
  #write2(samples: Samples, s: number, emit: (request: EncodedRequest) => void): void {
    // Its symbols may not fit any more: then they are asked for again in the next request.
    for (;;) {
      const before = this.#series;
      const known = this.#o.symbols.used.length;
      const labels = this.#labelRefs(s);
      const metadata = this.#seriesMetadata(s);
      const symbols = this.#o.symbols.usedBytes;
      if (before > 0 && this.#pos + symbols + labels.length >= this.#o.maxBytes) {
        this.#o.symbols.rollback(known);
        this.#flush(emit);
        continue;
      }
      this.#message(samples, s, labels, metadata, emit);
      return;
    }
  }

  #labelRefs(s: number): Uint8Array {
    const { symbols, cache } = this.#o;
    const length = cache.seriesLength[s]!;
    if (this.#refs.length < length * 2 + 8) this.#refs = new Uint8Array(length * 4);
    if (this.#ids.length < length) this.#ids = Buffer.allocUnsafe(length * 2);
    cache.copyLabels(s, this.#ids, viewOf(this.#ids), 0);
    const refs = this.#refs;
    // The packed field's length comes first: five bytes are kept for it.
    let p = 6;
    for (let at = 0; at < length; at += 4) p = putVarint(refs, p, symbols.ref(this.#ids.readInt32LE(at)));
    const from = 5 - varintSize(p - 6);
    refs[from] = 0x0a;
    putVarint(refs, from + 1, p - 6);
    return refs.subarray(from, p);
  }

  #seriesMetadata(s: number): Uint8Array {
    const { refOf } = this.#o.symbols;
    const m = this.#o.metric(this.#o.cache.seriesMetric[s]!);
    if (!m) return encodeSeriesMetadata(METRIC_TYPES.gauge, refOf(TARGET_METADATA), 0);
    if (m.encodedIn !== this.#metadataRequest || !m.encoded) {
      m.encoded = encodeSeriesMetadata(m.type, refOf(m.help), refOf(m.unitWord));
      m.encodedIn = this.#metadataRequest;
    }
    return m.encoded;
  }

  /** A series with any number of samples, exemplars and histograms. */
  #message(
    samples: Samples,
    s: number,
    labels: Uint8Array,
    metadata: Uint8Array | undefined,
    emit: (request: EncodedRequest) => void,
  ): void {
    const { protocol, symbols } = this.#o;
    const order = samples.inOrder(s);
    const withStart = protocol === 2;
    const exemplars = (samples.exemplars.get(s) ?? []).map((e) => encodeExemplar(e, protocol, symbols.refOf));
    const histograms = [...(samples.histograms.get(s) ?? [])].sort((a, b) => a.timeMs - b.timeMs);
    const sizeOf = (i: number): number => {
      const start = samples.times[samples.start[i]!]!;
      return 10 + varintSize(samples.times[samples.time[i]!]!) + (withStart && start > 0 ? 1 + varintSize(start) : 0);
    };
    let inner = labels.length + (metadata?.length ?? 0);
    for (const i of order) inner += 2 + sizeOf(i);
    for (const e of exemplars) inner += e.length;
    for (const h of histograms) inner += h.bytes.length;
    // In version 2 the caller has looked at the size: a new request would have other symbols.
    if (protocol === 1) this.#room(inner + 6, emit);
    else if (this.#pos + inner + 6 > this.#buf.length)
      this.#resize(Math.max(FIRST_BYTES, this.#buf.length * 2, this.#pos + inner + 6));
    this.#buf[this.#pos++] = protocol === 1 ? 0x0a : 0x2a;
    this.#pos = putVarint(this.#buf, this.#pos, inner);
    this.#raw(labels);
    for (const i of order) {
      this.#buf[this.#pos++] = 0x12;
      this.#buf[this.#pos++] = sizeOf(i);
      this.#timeIndex = -1;
      this.#setTime(samples.times[samples.time[i]!]!);
      this.#sample(samples, i);
      const start = samples.times[samples.start[i]!]!;
      if (!withStart || start <= 0) continue;
      this.#setTime(start);
      this.#buf[this.#pos++] = 0x18;
      for (let k = 0; k < this.#timeLength; k++) this.#buf[this.#pos++] = this.#time[k]!;
    }
    const addExemplars = () => {
      for (const e of exemplars) this.#raw(e);
    };
    if (protocol === 1) addExemplars();
    for (const h of histograms) {
      this.#raw(h.bytes);
      this.#note(h.point);
    }
    if (protocol === 2) addExemplars();
    if (metadata) this.#raw(metadata);
    this.#series++;
  }
}

/** Points of a request that stand for data of the batch; a point with several samples is named once. */
export function distinctPoints(points: Int32Array): Set<number> {
  const all = new Set<number>(points);
  all.delete(NO_POINT);
  return all;
}
