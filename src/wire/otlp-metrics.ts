/** Metric messages, decoded: for whoever must look at points (debug, JSON, remote write). Logs and traces have files of their own. */
import { readKeyValue, type Value, type ValueMap } from './otlp.ts';
import { BYTES, ProtoReader } from './proto.ts';

export interface Exemplar {
  /** Nanoseconds since 1970. */
  time: bigint;
  /** Doubles are number, integers bigint; undefined when not set. */
  value: number | bigint | undefined;
  traceId: Uint8Array;
  spanId: Uint8Array;
  filteredAttributes: ValueMap;
}

export interface DataPointFields {
  attributes: ValueMap;
  /** Nanoseconds since 1970; 0n is "not set". */
  startTime: bigint;
  time: bigint;
  /** Bit 0: no recorded value (stale). */
  flags: number;
}

export interface NumberDataPoint extends DataPointFields {
  value: number | bigint | undefined;
  exemplars: Exemplar[];
}

export interface HistogramDataPoint extends DataPointFields {
  count: bigint;
  sum: number | undefined;
  bucketCounts: bigint[];
  explicitBounds: number[];
  exemplars: Exemplar[];
  min: number | undefined;
  max: number | undefined;
}

export interface ExponentialBuckets {
  offset: number;
  bucketCounts: bigint[];
}

export interface ExponentialHistogramDataPoint extends DataPointFields {
  count: bigint;
  sum: number | undefined;
  scale: number;
  zeroCount: bigint;
  zeroThreshold: number;
  positive: ExponentialBuckets | undefined;
  negative: ExponentialBuckets | undefined;
  exemplars: Exemplar[];
  min: number | undefined;
  max: number | undefined;
}

export interface SummaryDataPoint extends DataPointFields {
  count: bigint;
  sum: number;
  quantiles: { quantile: number; value: number }[];
}

/** 0 unspecified, 1 delta, 2 cumulative. */
export type Temporality = number;

export type MetricData =
  | { readonly type: 'gauge'; readonly points: NumberDataPoint[] }
  | { readonly type: 'sum'; readonly points: NumberDataPoint[]; temporality: Temporality; isMonotonic: boolean }
  | { readonly type: 'histogram'; readonly points: HistogramDataPoint[]; temporality: Temporality }
  | {
      readonly type: 'exponentialHistogram';
      readonly points: ExponentialHistogramDataPoint[];
      temporality: Temporality;
    }
  | { readonly type: 'summary'; readonly points: SummaryDataPoint[] }
  | { readonly type: 'none'; readonly points: [] };

export interface Metric {
  name: string;
  description: string;
  unit: string;
  metadata: ValueMap;
  data: MetricData;
}

const NO_ID = new Uint8Array(0);

/** Walks the metrics of a group's `items`. */
export function* metricsOf(items: Uint8Array): Generator<Metric> {
  const r = new ProtoReader(items);
  while (r.next()) yield readMetric(r.message());
}

/** Reads the fields of one Metric message. */
export function readMetric(r: ProtoReader): Metric {
  const metric: Metric = {
    name: '',
    description: '',
    unit: '',
    metadata: new Map<string, Value>(),
    data: { type: 'none', points: [] },
  };
  while (r.next()) {
    switch (r.field) {
      case 1:
        metric.name = r.string();
        break;
      case 2:
        metric.description = r.string();
        break;
      case 3:
        metric.unit = r.string();
        break;
      case 5:
        metric.data = { type: 'gauge', points: readData(r.message(), readNumberPoint).points };
        break;
      case 7: {
        const { points, temporality, isMonotonic } = readData(r.message(), readNumberPoint);
        metric.data = { type: 'sum', points, temporality, isMonotonic };
        break;
      }
      case 9: {
        const { points, temporality } = readData(r.message(), readHistogramPoint);
        metric.data = { type: 'histogram', points, temporality };
        break;
      }
      case 10: {
        const { points, temporality } = readData(r.message(), readExponentialPoint);
        metric.data = { type: 'exponentialHistogram', points, temporality };
        break;
      }
      case 11:
        metric.data = { type: 'summary', points: readData(r.message(), readSummaryPoint).points };
        break;
      case 12:
        readKeyValue(r.message(), metric.metadata);
        break;
      default:
        r.skip();
    }
  }
  return metric;
}

function readData<P>(
  r: ProtoReader,
  readPoint: (r: ProtoReader) => P,
): { points: P[]; temporality: number; isMonotonic: boolean } {
  const data = { points: [] as P[], temporality: 0, isMonotonic: false };
  while (r.next()) {
    if (r.field === 1) data.points.push(readPoint(r.message()));
    else if (r.field === 2) data.temporality = r.varint();
    else if (r.field === 3) data.isMonotonic = r.varint() !== 0;
    else r.skip();
  }
  return data;
}

const noFields = (): DataPointFields => ({ attributes: new Map<string, Value>(), startTime: 0n, time: 0n, flags: 0 });

function readNumberPoint(r: ProtoReader): NumberDataPoint {
  const p: NumberDataPoint = { ...noFields(), value: undefined, exemplars: [] };
  while (r.next()) {
    switch (r.field) {
      case 2:
        p.startTime = r.fixed64();
        break;
      case 3:
        p.time = r.fixed64();
        break;
      case 4:
        p.value = r.double();
        break;
      case 5:
        p.exemplars.push(readExemplar(r.message()));
        break;
      case 6:
        p.value = BigInt.asIntN(64, r.fixed64());
        break;
      case 7:
        readKeyValue(r.message(), p.attributes);
        break;
      case 8:
        p.flags = r.varint();
        break;
      default:
        r.skip();
    }
  }
  return p;
}

export function readHistogramPoint(r: ProtoReader): HistogramDataPoint {
  const p: HistogramDataPoint = {
    ...noFields(),
    count: 0n,
    sum: undefined,
    bucketCounts: [],
    explicitBounds: [],
    exemplars: [],
    min: undefined,
    max: undefined,
  };
  while (r.next()) {
    switch (r.field) {
      case 2:
        p.startTime = r.fixed64();
        break;
      case 3:
        p.time = r.fixed64();
        break;
      case 4:
        p.count = r.fixed64();
        break;
      case 5:
        p.sum = r.double();
        break;
      case 6:
        repeated(r, p.bucketCounts, (x) => x.fixed64());
        break;
      case 7:
        repeated(r, p.explicitBounds, (x) => x.double());
        break;
      case 8:
        p.exemplars.push(readExemplar(r.message()));
        break;
      case 9:
        readKeyValue(r.message(), p.attributes);
        break;
      case 10:
        p.flags = r.varint();
        break;
      case 11:
        p.min = r.double();
        break;
      case 12:
        p.max = r.double();
        break;
      default:
        r.skip();
    }
  }
  return p;
}

export function readExponentialPoint(r: ProtoReader): ExponentialHistogramDataPoint {
  const p: ExponentialHistogramDataPoint = {
    ...noFields(),
    count: 0n,
    sum: undefined,
    scale: 0,
    zeroCount: 0n,
    zeroThreshold: 0,
    positive: undefined,
    negative: undefined,
    exemplars: [],
    min: undefined,
    max: undefined,
  };
  while (r.next()) {
    switch (r.field) {
      case 1:
        readKeyValue(r.message(), p.attributes);
        break;
      case 2:
        p.startTime = r.fixed64();
        break;
      case 3:
        p.time = r.fixed64();
        break;
      case 4:
        p.count = r.fixed64();
        break;
      case 5:
        p.sum = r.double();
        break;
      case 6:
        p.scale = zigzag(r);
        break;
      case 7:
        p.zeroCount = r.fixed64();
        break;
      case 8:
        p.positive = readBuckets(r.message());
        break;
      case 9:
        p.negative = readBuckets(r.message());
        break;
      case 10:
        p.flags = r.varint();
        break;
      case 11:
        p.exemplars.push(readExemplar(r.message()));
        break;
      case 12:
        p.min = r.double();
        break;
      case 13:
        p.max = r.double();
        break;
      case 14:
        p.zeroThreshold = r.double();
        break;
      default:
        r.skip();
    }
  }
  return p;
}

function readBuckets(r: ProtoReader): ExponentialBuckets {
  const b: ExponentialBuckets = { offset: 0, bucketCounts: [] };
  while (r.next()) {
    if (r.field === 1) b.offset = zigzag(r);
    else if (r.field === 2) repeated(r, b.bucketCounts, (x) => x.varint64());
    else r.skip();
  }
  return b;
}

export function readSummaryPoint(r: ProtoReader): SummaryDataPoint {
  const p: SummaryDataPoint = { ...noFields(), count: 0n, sum: 0, quantiles: [] };
  while (r.next()) {
    switch (r.field) {
      case 2:
        p.startTime = r.fixed64();
        break;
      case 3:
        p.time = r.fixed64();
        break;
      case 4:
        p.count = r.fixed64();
        break;
      case 5:
        p.sum = r.double();
        break;
      case 6: {
        const q = { quantile: 0, value: 0 };
        const m = r.message();
        while (m.next()) {
          if (m.field === 1) q.quantile = m.double();
          else if (m.field === 2) q.value = m.double();
          else m.skip();
        }
        p.quantiles.push(q);
        break;
      }
      case 7:
        readKeyValue(r.message(), p.attributes);
        break;
      case 8:
        p.flags = r.varint();
        break;
      default:
        r.skip();
    }
  }
  return p;
}

export function readExemplar(r: ProtoReader): Exemplar {
  const e: Exemplar = {
    time: 0n,
    value: undefined,
    traceId: NO_ID,
    spanId: NO_ID,
    filteredAttributes: new Map<string, Value>(),
  };
  while (r.next()) {
    switch (r.field) {
      case 2:
        e.time = r.fixed64();
        break;
      case 3:
        e.value = r.double();
        break;
      case 4:
        e.spanId = r.bytes().slice();
        break;
      case 5:
        e.traceId = r.bytes().slice();
        break;
      case 6:
        e.value = BigInt.asIntN(64, r.fixed64());
        break;
      case 7:
        readKeyValue(r.message(), e.filteredAttributes);
        break;
      default:
        r.skip();
    }
  }
  return e;
}

/** A repeated scalar, packed or one by one. */
function repeated<T>(r: ProtoReader, into: T[], read: (r: ProtoReader) => T): void {
  if (r.wire !== BYTES) {
    into.push(read(r));
    return;
  }
  const packed = r.message();
  while (packed.pos < packed.end) into.push(read(packed));
}

function zigzag(r: ProtoReader): number {
  const n = Number(BigInt.asUintN(32, r.varint64()));
  return (n >>> 1) ^ -(n & 1);
}
