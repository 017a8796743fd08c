/**
 * Prometheus remote write, versions 1 and 2, as bytes. Both requests are a list of TimeSeries: version 1 spells labels
 * out, version 2 refers to a table of symbols. Series are written by whoever has the samples; this file has the parts.
 */
import { BYTES, ProtoReader, ProtoWriter, putVarint, VARINT, varintSize } from './proto.ts';

export type Protocol = 1 | 2;
export type Label = readonly [name: string, value: string];

/** Numbers of MetricType in both versions. */
export const METRIC_TYPES = { unknown: 0, counter: 1, gauge: 2, histogram: 3, summary: 5, info: 6 } as const;

/** The bits of the NaN that marks the end of a series, as two words. */
export const STALE_HIGH = 0x7ff00000;
export const STALE_LOW = 2;
export const STALE_BITS = 0x7ff0000000000002n;

/** The first byte of a series in a request. */
export const seriesTag = (protocol: Protocol): number => (protocol === 1 ? 0x0a : 0x2a);

/** The labels of a version 1 series, each with tag and length, in the order given. */
export function encodeLabels(labels: readonly Label[]): Uint8Array {
  const w = new ProtoWriter(256);
  for (const [name, value] of labels) writeLabel(w, name, value);
  return w.finish();
}

function writeLabel(w: ProtoWriter, name: string, value: string): void {
  const at = w.open(1);
  w.string(1, name);
  w.string(2, value);
  w.close(at);
}

/** The references of a version 2 series: field labels_refs, packed. */
export function encodeRefs(refs: readonly number[]): Uint8Array {
  const w = new ProtoWriter(64);
  const at = w.open(1);
  for (const r of refs) w.varint(r);
  w.close(at);
  return w.finish();
}

export interface WireExemplar {
  /** Sorted. */
  readonly labels: readonly Label[];
  readonly value: number;
  readonly timeMs: number;
}

/** A whole field of the series; `ref` gives symbols in version 2. */
export function encodeExemplar(e: WireExemplar, protocol: Protocol, ref: (text: string) => number): Uint8Array {
  const w = new ProtoWriter(128);
  const at = w.open(protocol === 1 ? 3 : 4);
  if (protocol === 1) for (const [name, value] of e.labels) writeLabel(w, name, value);
  else w.raw(encodeRefs(e.labels.flatMap(([name, value]) => [ref(name), ref(value)])));
  w.double(2, e.value);
  w.tag(3, VARINT);
  w.varint(e.timeMs);
  w.close(at);
  return w.finish();
}

export interface Span {
  readonly offset: number;
  length: number;
}

/** A native histogram with whole counts. */
export interface NativeHistogram {
  readonly count: bigint;
  /** The eight bytes of the sum: a stale marker is a NaN whose bits matter. */
  readonly sumBits: bigint;
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly zeroCount: bigint;
  readonly negative: Buckets;
  readonly positive: Buckets;
  /** Upper bounds of schema -53. */
  readonly customValues: readonly number[];
  readonly timeMs: number;
  /** Version 2 only; 0 is "not known". */
  readonly startMs: number;
}

export interface Buckets {
  readonly spans: readonly Span[];
  readonly deltas: readonly bigint[];
}

const zigzag32 = (n: number): number => ((n << 1) ^ (n >> 31)) >>> 0;
const zigzag64 = (n: bigint): bigint => BigInt.asUintN(64, (n << 1n) ^ (n >> 63n));

/** A whole field of the series. */
export function encodeHistogram(h: NativeHistogram, protocol: Protocol): Uint8Array {
  const w = new ProtoWriter(256);
  const at = w.open(protocol === 1 ? 4 : 3);
  w.tag(1, VARINT);
  w.varint64(h.count);
  w.fixed64(3, h.sumBits);
  if (h.schema !== 0) {
    w.tag(4, VARINT);
    w.varint(zigzag32(h.schema));
  }
  if (h.zeroThreshold !== 0) w.double(5, h.zeroThreshold);
  w.tag(6, VARINT);
  w.varint64(h.zeroCount);
  writeBuckets(w, 8, h.negative);
  writeBuckets(w, 11, h.positive);
  w.tag(15, VARINT);
  w.varint(h.timeMs);
  if (h.customValues.length > 0) {
    const values = w.open(16);
    for (const v of h.customValues) {
      w.reserve(8);
      w.pos = w.buf.writeDoubleLE(v, w.pos);
    }
    w.close(values);
  }
  if (protocol === 2 && h.startMs > 0) {
    w.tag(17, VARINT);
    w.varint(h.startMs);
  }
  w.close(at);
  return w.finish();
}

/** Spans under `field`, deltas under the next. */
function writeBuckets(w: ProtoWriter, field: number, buckets: Buckets): void {
  for (const s of buckets.spans) {
    const at = w.open(field);
    if (s.offset !== 0) {
      w.tag(1, VARINT);
      w.varint(zigzag32(s.offset));
    }
    w.tag(2, VARINT);
    w.varint(s.length);
    w.close(at);
  }
  if (buckets.deltas.length === 0) return;
  const at = w.open(field + 1);
  for (const d of buckets.deltas) w.varint64(zigzag64(d));
  w.close(at);
}

export interface MetricMetadata {
  readonly type: number;
  readonly family: string;
  readonly help: string;
  readonly unit: string;
}

/** A version 1 request may hold these besides series. */
export function encodeMetadata(m: MetricMetadata): Uint8Array {
  const w = new ProtoWriter(128);
  const at = w.open(3);
  if (m.type !== 0) {
    w.tag(1, VARINT);
    w.varint(m.type);
  }
  w.string(2, m.family);
  if (m.help !== '') w.string(4, m.help);
  if (m.unit !== '') w.string(5, m.unit);
  w.close(at);
  return w.finish();
}

/** Version 2: what a series says about its metric. */
export function encodeSeriesMetadata(type: number, helpRef: number, unitRef: number): Uint8Array {
  const w = new ProtoWriter(24);
  const at = w.open(5);
  for (const [field, v] of [
    [1, type],
    [3, helpRef],
    [4, unitRef],
  ] as const)
    if (v !== 0) {
      w.tag(field, VARINT);
      w.varint(v);
    }
  w.close(at);
  return w.finish();
}

/** The symbols of a version 2 request, in order; the first is always empty. */
export function encodeSymbols(symbols: readonly Uint8Array[]): Buffer {
  let size = 0;
  for (const s of symbols) size += 1 + varintSize(s.length) + s.length;
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  for (const s of symbols) {
    out[at] = 0x22;
    at = putVarint(out, at + 1, s.length);
    out.set(s, at);
    at += s.length;
  }
  return out;
}

/** A request taken apart, so that parts of it can be sent alone. */
export interface RequestParts {
  /** What every part needs: the symbols. */
  readonly common: Uint8Array;
  /** Whole fields, and how many samples and histograms each holds. */
  readonly series: readonly { readonly bytes: Uint8Array; readonly samples: number }[];
}

export function takeApart(body: Uint8Array, protocol: Protocol): RequestParts {
  const tag = protocol === 1 ? 1 : 5;
  const common: Uint8Array[] = [];
  const series: { bytes: Uint8Array; samples: number }[] = [];
  const r = new ProtoReader(body);
  for (let from = 0; r.next(); from = r.pos) {
    if (r.field !== tag || r.wire !== BYTES) {
      r.skip();
      common.push(body.subarray(from, r.pos));
      continue;
    }
    const message = r.message();
    let samples = 0;
    while (message.next()) {
      if (message.field === 2 || message.field === (protocol === 1 ? 4 : 3)) samples++;
      message.skip();
    }
    series.push({ bytes: body.subarray(from, r.pos), samples });
  }
  return { common: Buffer.concat(common), series };
}

/** `name{a="b"}` of an encoded version 1 label set, for people. */
export function describeLabels(labels: readonly Label[]): string {
  const name = labels.find(([n]) => n === '__name__')?.[1] ?? '';
  const rest = labels.filter(([n]) => n !== '__name__').map(([n, v]) => `${n}=${JSON.stringify(v)}`);
  return `${name}{${rest.join(', ')}}`;
}

/** The labels of version 1 that stand in `encoded`, alone or in a series. */
export function decodeLabels(encoded: Uint8Array): Label[] {
  const labels: Label[] = [];
  const r = new ProtoReader(encoded);
  while (r.next()) {
    if (r.field !== 1 || r.wire !== BYTES) {
      r.skip();
      continue;
    }
    const pair: [string, string] = ['', ''];
    const m = r.message();
    while (m.next()) {
      if (m.field === 1) pair[0] = m.string();
      else if (m.field === 2) pair[1] = m.string();
      else m.skip();
    }
    labels.push(pair);
  }
  return labels;
}

/** The labels of a whole version 1 series field. */
export function labelsOfSeries(field: Uint8Array): Label[] {
  const r = new ProtoReader(field);
  return r.next() ? decodeLabels(r.bytes()) : [];
}
