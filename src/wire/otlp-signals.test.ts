/** Decoding of metrics and spans against protobufjs, which knows the messages from a schema written here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import fc from '../../test/helpers/property.ts';
import type { Value } from './otlp.ts';
import { metricsOf } from './otlp-metrics.ts';
import { spansOf } from './otlp-traces.ts';
import { ProtoReader } from './proto.ts';

const { root } = protobuf.parse(
  `syntax = "proto3";
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
message KeyValue { string key = 1; AnyValue value = 2; }
message Exemplar { repeated KeyValue filtered_attributes = 7; fixed64 time = 2; oneof value { double as_double = 3; sfixed64 as_int = 6; } bytes span_id = 4; bytes trace_id = 5; }
message Number { repeated KeyValue attributes = 7; fixed64 start = 2; fixed64 time = 3; oneof value { double as_double = 4; sfixed64 as_int = 6; } repeated Exemplar exemplars = 5; uint32 flags = 8; }
message Hist { repeated KeyValue attributes = 9; fixed64 start = 2; fixed64 time = 3; fixed64 count = 4; optional double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7; repeated Exemplar exemplars = 8; uint32 flags = 10; optional double min = 11; optional double max = 12; }
message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
message Exp { repeated KeyValue attributes = 1; fixed64 start = 2; fixed64 time = 3; fixed64 count = 4; optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7; Buckets positive = 8; Buckets negative = 9; uint32 flags = 10; repeated Exemplar exemplars = 11; optional double min = 12; optional double max = 13; double zero_threshold = 14; }
message Quantile { double quantile = 1; double value = 2; }
message Sum { repeated KeyValue attributes = 7; fixed64 start = 2; fixed64 time = 3; fixed64 count = 4; double sum = 5; repeated Quantile quantiles = 6; uint32 flags = 8; }
message Numbers { repeated Number points = 1; int32 temporality = 2; bool monotonic = 3; }
message Hists { repeated Hist points = 1; int32 temporality = 2; }
message Exps { repeated Exp points = 1; int32 temporality = 2; }
message Sums { repeated Sum points = 1; }
message Metric { string name = 1; string description = 2; string unit = 3; repeated KeyValue metadata = 12; oneof data { Numbers gauge = 5; Numbers sum = 7; Hists histogram = 9; Exps exponential = 10; Sums summary = 11; } }
message Event { fixed64 time = 1; string name = 2; repeated KeyValue attributes = 3; uint32 dropped = 4; }
message Link { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; repeated KeyValue attributes = 4; uint32 dropped = 5; fixed32 flags = 6; }
message Status { string message = 2; int32 code = 3; }
message Span { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; fixed32 flags = 16; string name = 5; int32 kind = 6; fixed64 start = 7; fixed64 end = 8; repeated KeyValue attributes = 9; uint32 dropped_attributes = 10; repeated Event events = 11; uint32 dropped_events = 12; repeated Link links = 13; uint32 dropped_links = 14; Status status = 15; }
message Metrics { repeated Metric items = 2; }
message Spans { repeated Span items = 2; }`,
  { keepCase: true },
);

const encode = (type: string, message: object): Uint8Array => {
  const t = root.lookupType(type);
  return t.encode(t.fromObject(message)).finish();
};

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const i64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const double = fc.double({ noNaN: true });
const id = fc.uint8Array({ maxLength: 16 });
const maybe = <T>(a: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(a, { nil: undefined });
const value: fc.Arbitrary<Value> = fc.oneof(fc.string(), fc.boolean(), i64, double);
const attributes = fc.dictionary(fc.string(), value, { maxKeys: 3 }).map((o) => new Map(Object.entries(o)));
const list = <T>(a: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(a, { maxLength: 3 });

const toKeyValues = (map: ReadonlyMap<string, Value>): object[] =>
  [...map].map(([key, v]) => ({
    key,
    value:
      typeof v === 'string'
        ? { string_value: v }
        : typeof v === 'boolean'
          ? { bool_value: v }
          : typeof v === 'bigint'
            ? { int_value: String(v) }
            : { double_value: v as number },
  }));

const exemplar = fc.record({
  time: u64,
  value: maybe(fc.oneof(i64, double)),
  traceId: id,
  spanId: id,
  filteredAttributes: attributes,
});
const common = { attributes, startTime: u64, time: u64, flags: u32 };
const bucketed = { count: u64, sum: maybe(double), min: maybe(double), max: maybe(double), exemplars: list(exemplar) };
const number = fc.record({ ...common, value: maybe(fc.oneof(i64, double)), exemplars: list(exemplar) });
const histogram = fc.record({ ...common, ...bucketed, bucketCounts: list(u64), explicitBounds: list(double) });
const buckets = fc.record({ offset: i32, bucketCounts: list(u64) });
const exponential = fc.record({
  ...common,
  ...bucketed,
  scale: i32,
  zeroCount: u64,
  zeroThreshold: double,
  positive: maybe(buckets),
  negative: maybe(buckets),
});
const summary = fc.record({
  ...common,
  count: u64,
  sum: double,
  quantiles: list(fc.record({ quantile: double, value: double })),
});
const temporality = fc.integer({ min: 0, max: 2 });
const data = fc.oneof(
  fc.record({ type: fc.constant('gauge'), points: list(number) }),
  fc.record({ type: fc.constant('sum'), points: list(number), temporality, isMonotonic: fc.boolean() }),
  fc.record({ type: fc.constant('histogram'), points: list(histogram), temporality }),
  fc.record({ type: fc.constant('exponentialHistogram'), points: list(exponential), temporality }),
  fc.record({ type: fc.constant('summary'), points: list(summary) }),
);
const metric = fc.record({
  name: fc.string(),
  description: fc.string(),
  unit: fc.string(),
  metadata: attributes,
  data,
});

type Plain = Record<string, unknown>;
const numberValue = (v: unknown): Plain =>
  v === undefined ? {} : typeof v === 'bigint' ? { as_int: String(v) } : { as_double: v };
const optional = (o: Plain): Plain => Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined));

function plainPoint(p: Plain): Plain {
  const one = (b: unknown): Plain | undefined => {
    const x = b as { offset: number; bucketCounts: bigint[] } | undefined;
    return x && { offset: x.offset, bucket_counts: x.bucketCounts.map(String) };
  };
  return optional({
    ...numberValue(p['value']),
    attributes: toKeyValues(p['attributes'] as Map<string, Value>),
    start: String(p['startTime']),
    time: String(p['time']),
    flags: p['flags'],
    exemplars: (p['exemplars'] as Plain[] | undefined)?.map((e) => ({
      ...numberValue(e['value']),
      time: String(e['time']),
      trace_id: e['traceId'],
      span_id: e['spanId'],
      filtered_attributes: toKeyValues(e['filteredAttributes'] as Map<string, Value>),
    })),
    count: p['count'] === undefined ? undefined : String(p['count']),
    sum: p['sum'],
    min: p['min'],
    max: p['max'],
    bucket_counts: (p['bucketCounts'] as bigint[] | undefined)?.map(String),
    explicit_bounds: p['explicitBounds'],
    scale: p['scale'],
    zero_count: p['zeroCount'] === undefined ? undefined : String(p['zeroCount']),
    zero_threshold: p['zeroThreshold'],
    positive: one(p['positive']),
    negative: one(p['negative']),
    quantiles: p['quantiles'],
  });
}

const FIELD: Readonly<Record<string, string>> = { exponentialHistogram: 'exponential' };

test('metrics of every type are read as they were written', () => {
  fc.assert(
    fc.property(list(metric), (metrics) => {
      const items = metrics.map((m) => {
        const d = m.data as unknown as Plain & { type: string; points: Plain[] };
        const body = optional({
          points: d.points.map(plainPoint),
          temporality: d['temporality'],
          monotonic: d['isMonotonic'],
        });
        const { name, description, unit } = m;
        return { name, description, unit, metadata: toKeyValues(m.metadata), [FIELD[d.type] ?? d.type]: body };
      });
      assert.deepEqual([...metricsOf(encode('Metrics', { items }))].map(normal), metrics.map(normal));
    }),
  );
});

const event = fc.record({ time: u64, name: fc.string(), attributes, droppedAttributesCount: u32 });
const link = fc.record({
  traceId: id,
  spanId: id,
  traceState: fc.string(),
  attributes,
  droppedAttributesCount: u32,
  flags: u32,
});
const span = fc.record({
  traceId: id,
  spanId: id,
  traceState: fc.string(),
  parentSpanId: id,
  flags: u32,
  name: fc.string(),
  kind: fc.integer({ min: 0, max: 5 }),
  startTime: u64,
  endTime: u64,
  attributes,
  droppedAttributesCount: u32,
  events: list(event),
  droppedEventsCount: u32,
  links: list(link),
  droppedLinksCount: u32,
  statusCode: fc.integer({ min: 0, max: 2 }),
  statusMessage: fc.string(),
});

test('spans are read as they were written', () => {
  fc.assert(
    fc.property(list(span), (spans) => {
      const items = spans.map((s) => ({
        trace_id: s.traceId,
        span_id: s.spanId,
        trace_state: s.traceState,
        parent_span_id: s.parentSpanId,
        flags: s.flags,
        name: s.name,
        kind: s.kind,
        start: String(s.startTime),
        end: String(s.endTime),
        attributes: toKeyValues(s.attributes),
        dropped_attributes: s.droppedAttributesCount,
        events: s.events.map((e) => ({
          time: String(e.time),
          name: e.name,
          attributes: toKeyValues(e.attributes),
          dropped: e.droppedAttributesCount,
        })),
        dropped_events: s.droppedEventsCount,
        links: s.links.map((l) => ({
          trace_id: l.traceId,
          span_id: l.spanId,
          trace_state: l.traceState,
          attributes: toKeyValues(l.attributes),
          dropped: l.droppedAttributesCount,
          flags: l.flags,
        })),
        dropped_links: s.droppedLinksCount,
        status: { code: s.statusCode, message: s.statusMessage },
      }));
      assert.deepEqual([...spansOf(encode('Spans', { items }))].map(normal), spans.map(normal));
    }),
  );
});

/** Buffers and arrays of bytes alike as text; proto3 does not tell -0 from 0. */
function normal(v: unknown): unknown {
  if (v instanceof Uint8Array) return `bytes ${Buffer.from(v).toString('hex')}`;
  if (typeof v === 'number') return v === 0 ? 0 : v;
  if (v instanceof Map) return ['map', ...[...v].map(([k, x]) => [k, normal(x)])];
  if (Array.isArray(v)) return v.map(normal);
  if (v !== null && typeof v === 'object')
    return Object.fromEntries(
      Object.keys(v)
        .sort()
        .filter((k) => (v as Plain)[k] !== undefined)
        .map((k) => [k, normal((v as Plain)[k])]),
    );
  return v;
}

test('bytes that are no message fail with an error and never hang', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const read of [metricsOf, spansOf])
        try {
          for (const item of read(bytes)) assert.ok(item);
        } catch (error) {
          assert.ok(error instanceof Error);
        }
      const r = new ProtoReader(bytes);
      assert.equal(r.pos, 0);
    }),
    { numRuns: 1000 },
  );
});
