/** The paths of every context: which names there are, and what they stand for. */
import type { Value } from '../../wire/otlp.ts';
import { ProtoReader, ProtoWriter } from '../../wire/proto.ts';
import type { FieldKind, Message } from '../edit/message.ts';
import { DATA_FIELDS, EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM, SUMMARY } from '../edit/shapes.ts';
import {
  type Accessor,
  anyField,
  anyText,
  cacheField,
  field,
  idField,
  idText,
  type KeyGet,
  mapField,
  timeField,
} from './accessor.ts';
import type { ContextName, Env } from './env.ts';
import { fail, goKind, goName, kindOf, type OttlValue } from './values.ts';

/** Keys are only given to paths that can be indexed. */
export interface PathDefinition {
  readonly make: (keys: readonly KeyGet[]) => Accessor;
  readonly isIndexable: boolean;
}

type Table = ReadonlyMap<string, PathDefinition>;

const plain = (accessor: Accessor): PathDefinition => ({ make: () => accessor, isIndexable: false });
const keyed = (make: PathDefinition['make']): PathDefinition => ({ make, isIndexable: true });
const CACHE = keyed(cacheField);

const log = (env: Env): Message => env.log;
const span = (env: Env): Message => env.span;
const event = (env: Env): Message => env.spanevent;
const metric = (env: Env): Message => env.metrics.metric;
const resource = (env: Env): Message => env.resource.message;
const scope = (env: Env): Message => env.scope.message;

const schemaUrl = (owner: 'resource' | 'scope'): Accessor => ({
  kind: 'string',
  get: (env) => env[owner].schemaUrl,
  set(env, v) {
    if (typeof v !== 'string') return fail(`expects string but got ${goName(v)}`);
    env[owner].schemaUrl = v;
  },
});

const RESOURCE: Table = new Map([
  ['attributes', keyed((keys) => mapField((env) => env.resource.message.attributes, keys))],
  ['dropped_attributes_count', plain(field(resource, 2, 'varint'))],
  ['schema_url', plain(schemaUrl('resource'))],
  ['cache', CACHE],
]);

const SCOPE: Table = new Map([
  ['name', plain(field(scope, 1, 'string'))],
  ['version', plain(field(scope, 2, 'string'))],
  ['attributes', keyed((keys) => mapField((env) => env.scope.message.attributes, keys))],
  ['dropped_attributes_count', plain(field(scope, 4, 'varint'))],
  ['schema_url', plain(schemaUrl('scope'))],
  ['cache', CACHE],
]);

const LOG: Table = new Map([
  ['attributes', keyed((keys) => mapField((env) => env.log.attributes, keys))],
  ['body', keyed((keys) => anyField(log, 5, keys))],
  ['body.string', plain(anyText(log, 5))],
  ['time_unix_nano', plain(field(log, 1, 'fixed64'))],
  ['observed_time_unix_nano', plain(field(log, 11, 'fixed64'))],
  ['time', plain(timeField(log, 1))],
  ['observed_time', plain(timeField(log, 11))],
  ['severity_number', plain(field(log, 2, 'varint'))],
  ['severity_text', plain(field(log, 3, 'string'))],
  ['dropped_attributes_count', plain(field(log, 7, 'varint'))],
  ['flags', plain(field(log, 8, 'fixed32'))],
  ['trace_id', plain(idField(log, 9, 16))],
  ['trace_id.string', plain(idText(log, 9, 16))],
  ['span_id', plain(idField(log, 10, 8))],
  ['span_id.string', plain(idText(log, 10, 8))],
  ['event_name', plain(field(log, 12, 'string'))],
  ['cache', CACHE],
]);

/** `k=v,k=v`; a key that is set moves to the front. */
function traceState(keys: readonly KeyGet[]): Accessor {
  const whole = field(span, 3, 'string');
  const [key] = keys;
  if (!key) return whole;
  if (keys.length > 1 || !('constant' in key) || typeof key.constant !== 'string')
    throw new Error('trace_state takes one key, a text');
  const name = key.constant;
  const entries = (env: Env): [string, string][] =>
    (env.span.get(3, 'string') as string)
      .split(',')
      .filter((e) => e.includes('='))
      .map((e): [string, string] => [e.slice(0, e.indexOf('=')).trim(), e.slice(e.indexOf('=') + 1).trim()]);
  return {
    kind: 'string',
    get: (env) => entries(env).find(([k]) => k === name)?.[1] ?? '',
    set(env, v) {
      if (typeof v !== 'string') return fail(`expects string but got ${goName(v)}`);
      const others = entries(env).filter(([k]) => k !== name);
      const text = [[name, v], ...others].map(([k, x]) => `${k}=${x}`).join(',');
      env.span.set(3, 'string', text);
    },
  };
}

/** A field of a small sub-message, which is written anew when it changes. */
function inner(of: (env: Env) => Message, outer: number, number: number, kind: FieldKind): Accessor {
  const text = kind === 'string';
  return {
    kind: text ? 'string' : kind === 'varints' ? 'list' : 'int',
    get(env) {
      const r = new ProtoReader(of(env).get(outer, 'message') as Uint8Array);
      let value: Value = text ? '' : kind === 'varints' ? [] : 0n;
      while (r.next()) {
        if (r.field !== number) r.skip();
        else if (text) value = r.string();
        else if (kind === 'varints') {
          if (r.wire !== 2) (value as bigint[]).push(r.varint64());
          else for (const m = r.message(); m.pos < m.end; ) (value as bigint[]).push(m.varint64());
        } else {
          const n = r.varint64();
          value = kind === 'sint' ? (n >> 1n) ^ -(n & 1n) : n;
        }
      }
      return value;
    },
    set(env, v) {
      const w = new ProtoWriter(64);
      const raw = of(env).get(outer, 'message') as Uint8Array;
      const r = new ProtoReader(raw);
      for (let at = 0; r.next(); at = r.pos) {
        const isOld = r.field === number;
        r.skip();
        if (!isOld) w.raw(raw.subarray(at, r.pos));
      }
      if (text) {
        if (typeof v !== 'string') return fail(`expects string but got ${goName(v)}`);
        w.string(number, v);
      } else if (kind === 'varints') {
        if (!Array.isArray(v) || !v.every((n) => typeof n === 'bigint')) return fail('expects a list of int64');
        const at = w.open(number);
        for (const n of v) w.varint64(n);
        w.close(at);
      } else {
        if (typeof v !== 'bigint') return fail(`expects int64 but got ${goName(v)}`);
        w.tag(number, 0);
        w.varint64(kind === 'sint' ? (v << 1n) ^ (v >> 63n) : v);
      }
      of(env).set(outer, 'message', w.finish());
    },
  };
}

const SPAN_KINDS = [
  'SPAN_KIND_UNSPECIFIED',
  'SPAN_KIND_INTERNAL',
  'SPAN_KIND_SERVER',
  'SPAN_KIND_CLIENT',
  'SPAN_KIND_PRODUCER',
  'SPAN_KIND_CONSUMER',
];
const kindNames = (names: readonly string[]): Accessor => ({
  kind: 'string',
  get: (env) => names[Number(env.span.get(6, 'varint'))] ?? '',
  set(env, v) {
    const n = names.indexOf(String(v));
    if (n < 0) return fail(`unknown span kind ${String(v)}`);
    env.span.set(6, 'varint', BigInt(n));
  },
});
const title = (text: string): string => text[0]! + text.slice(1).toLowerCase();

const SPAN: Table = new Map([
  ['trace_id', plain(idField(span, 1, 16))],
  ['trace_id.string', plain(idText(span, 1, 16))],
  ['span_id', plain(idField(span, 2, 8))],
  ['span_id.string', plain(idText(span, 2, 8))],
  ['parent_span_id', plain(idField(span, 4, 8))],
  ['parent_span_id.string', plain(idText(span, 4, 8))],
  ['trace_state', keyed(traceState)],
  ['name', plain(field(span, 5, 'string'))],
  ['kind', plain(field(span, 6, 'varint'))],
  ['kind.string', plain(kindNames(SPAN_KINDS.map((k) => title(k.slice('SPAN_KIND_'.length)))))],
  ['kind.deprecated_string', plain(kindNames(SPAN_KINDS))],
  ['start_time_unix_nano', plain(field(span, 7, 'fixed64'))],
  ['end_time_unix_nano', plain(field(span, 8, 'fixed64'))],
  ['start_time', plain(timeField(span, 7))],
  ['end_time', plain(timeField(span, 8))],
  ['attributes', keyed((keys) => mapField((env) => env.span.attributes, keys))],
  ['dropped_attributes_count', plain(field(span, 10, 'varint'))],
  ['dropped_events_count', plain(field(span, 12, 'varint'))],
  ['dropped_links_count', plain(field(span, 14, 'varint'))],
  ['status.message', plain(inner(span, 15, 2, 'string'))],
  ['status.code', plain(inner(span, 15, 3, 'varint'))],
  ['flags', plain(field(span, 16, 'fixed32'))],
  ['cache', CACHE],
]);

const SPAN_EVENT: Table = new Map([
  ['time_unix_nano', plain(field(event, 1, 'fixed64'))],
  ['time', plain(timeField(event, 1))],
  ['name', plain(field(event, 2, 'string'))],
  ['attributes', keyed((keys) => mapField((env) => env.spanevent.attributes, keys))],
  ['dropped_attributes_count', plain(field(event, 4, 'varint'))],
  ['event_index', plain({ kind: 'int', get: (env) => BigInt(env.eventIndex) })],
  ['cache', CACHE],
]);

/** Of data that has the field; 0 for the others, where setting it does nothing. */
const dataField = (number: number, kind: FieldKind, holders: readonly number[]): Accessor => {
  const inside = field((env) => env.metrics.data, number, kind);
  return {
    kind: inside.kind,
    get: (env) => (holders.includes(env.metrics.dataField) ? inside.get(env) : kind === 'bool' ? false : 0n),
    set(env, v) {
      if (holders.includes(env.metrics.dataField)) inside.set!(env, v);
    },
  };
};

const METRIC: Table = new Map([
  ['name', plain(field(metric, 1, 'string'))],
  ['description', plain(field(metric, 2, 'string'))],
  ['unit', plain(field(metric, 3, 'string'))],
  ['type', plain({ kind: 'int', get: (env) => BigInt(DATA_FIELDS.indexOf(env.metrics.dataField) + 1) })],
  ['aggregation_temporality', plain(dataField(2, 'varint', [SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM]))],
  ['is_monotonic', plain(dataField(3, 'bool', [SUM]))],
  ['metadata', keyed((keys) => mapField((env) => env.metrics.metric.attributes, keys))],
  ['cache', CACHE],
]);

/** A field that stands elsewhere in each kind of point: field of the data → number and encoding in the point. */
function pointField(places: Readonly<Record<number, readonly [number, FieldKind]>>, type?: 'time'): Accessor {
  const accessors = new Map<number, Accessor>();
  for (const [data, [number, kind]] of Object.entries(places)) {
    const of = (env: Env): Message => env.metrics.point;
    accessors.set(Number(data), type === 'time' ? timeField(of, number) : field(of, number, kind));
  }
  return {
    kind: 'any',
    get: (env) => accessors.get(env.metrics.dataField)?.get(env) ?? null,
    set(env, v) {
      accessors.get(env.metrics.dataField)?.set?.(env, v);
    },
  };
}
const everyPoint = (number: number, kind: FieldKind): Readonly<Record<number, readonly [number, FieldKind]>> =>
  Object.fromEntries(DATA_FIELDS.map((f) => [f, [number, kind] as const]));

/** A point has an integer or a double; setting one takes the other away. */
function pointValue(number: 4 | 6, kind: 'double' | 'sfixed64'): Accessor {
  const seen = kind === 'double' ? 'float' : 'int';
  return {
    kind: seen,
    get(env): OttlValue {
      const { dataField: f, point } = env.metrics;
      return f === GAUGE || f === SUM ? (point.get(number, kind) as Value) : null;
    },
    set(env, v) {
      if (kindOf(v) !== seen) return fail(`expects ${goKind(seen)} but got ${goName(v)}`);
      const { dataField: f, point } = env.metrics;
      if (f !== GAUGE && f !== SUM) return;
      point.set(10 - number, 'double', undefined);
      point.set(number, kind, v as Value);
    },
  };
}

const point = (env: Env): Message => env.metrics.point;
const buckets = (outer: number, number: number, kind: FieldKind): Accessor => {
  const inside = inner(point, outer, number, kind);
  return {
    kind: 'any',
    get: (env) => (env.metrics.dataField === EXPONENTIAL_HISTOGRAM ? inside.get(env) : null),
    set(env, v) {
      if (env.metrics.dataField === EXPONENTIAL_HISTOGRAM) inside.set!(env, v);
    },
  };
};

const DATAPOINT: Table = new Map([
  ['attributes', keyed((keys) => mapField((env) => env.metrics.point.attributes, keys))],
  ['start_time_unix_nano', plain(pointField(everyPoint(2, 'fixed64')))],
  ['time_unix_nano', plain(pointField(everyPoint(3, 'fixed64')))],
  ['start_time', plain(pointField(everyPoint(2, 'fixed64'), 'time'))],
  ['time', plain(pointField(everyPoint(3, 'fixed64'), 'time'))],
  ['value_double', plain(pointValue(4, 'double'))],
  ['value_int', plain(pointValue(6, 'sfixed64'))],
  [
    'flags',
    plain(
      pointField({
        [GAUGE]: [8, 'varint'],
        [SUM]: [8, 'varint'],
        [SUMMARY]: [8, 'varint'],
        [HISTOGRAM]: [10, 'varint'],
        [EXPONENTIAL_HISTOGRAM]: [10, 'varint'],
      }),
    ),
  ],
  [
    'count',
    plain(
      pointField({ [HISTOGRAM]: [4, 'fixed64'], [EXPONENTIAL_HISTOGRAM]: [4, 'fixed64'], [SUMMARY]: [4, 'fixed64'] }),
    ),
  ],
  [
    'sum',
    plain(pointField({ [HISTOGRAM]: [5, 'double'], [EXPONENTIAL_HISTOGRAM]: [5, 'double'], [SUMMARY]: [5, 'double'] })),
  ],
  ['min', plain(pointField({ [HISTOGRAM]: [11, 'double'], [EXPONENTIAL_HISTOGRAM]: [12, 'double'] }))],
  ['max', plain(pointField({ [HISTOGRAM]: [12, 'double'], [EXPONENTIAL_HISTOGRAM]: [13, 'double'] }))],
  ['bucket_counts', plain(pointField({ [HISTOGRAM]: [6, 'fixed64s'] }))],
  ['explicit_bounds', plain(pointField({ [HISTOGRAM]: [7, 'doubles'] }))],
  ['scale', plain(pointField({ [EXPONENTIAL_HISTOGRAM]: [6, 'sint'] }))],
  ['zero_count', plain(pointField({ [EXPONENTIAL_HISTOGRAM]: [7, 'fixed64'] }))],
  ['zero_threshold', plain(pointField({ [EXPONENTIAL_HISTOGRAM]: [14, 'double'] }))],
  ['positive.offset', plain(buckets(8, 1, 'sint'))],
  ['positive.bucket_counts', plain(buckets(8, 2, 'varints'))],
  ['negative.offset', plain(buckets(9, 1, 'sint'))],
  ['negative.bucket_counts', plain(buckets(9, 2, 'varints'))],
  ['cache', CACHE],
]);

export const PATHS: Readonly<Record<ContextName, Table>> = {
  resource: RESOURCE,
  scope: SCOPE,
  log: LOG,
  span: SPAN,
  spanevent: SPAN_EVENT,
  metric: METRIC,
  datapoint: DATAPOINT,
};

/** Contexts whose paths each context can use, itself first. */
export const VISIBLE: Readonly<Record<ContextName, readonly ContextName[]>> = {
  resource: ['resource'],
  scope: ['scope', 'resource'],
  log: ['log', 'scope', 'resource'],
  span: ['span', 'scope', 'resource'],
  spanevent: ['spanevent', 'span', 'scope', 'resource'],
  metric: ['metric', 'scope', 'resource'],
  datapoint: ['datapoint', 'metric', 'scope', 'resource'],
};

/** Names that stand for a context at the beginning of a path. */
export const CONTEXT_NAMES: ReadonlyMap<string, ContextName> = new Map<string, ContextName>([
  ...(Object.keys(VISIBLE) as ContextName[]).map((c): [string, ContextName] => [c, c]),
  ['instrumentation_scope', 'scope'],
]);

const SEVERITIES = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const LOG_ENUMS = new Map<string, bigint>([
  ['SEVERITY_NUMBER_UNSPECIFIED', 0n],
  ...SEVERITIES.flatMap((s, i) =>
    [1, 2, 3, 4].map((n): [string, bigint] => [`SEVERITY_NUMBER_${s}${n === 1 ? '' : n}`, BigInt(i * 4 + n)]),
  ),
]);
const SPAN_ENUMS = new Map<string, bigint>([
  ...SPAN_KINDS.map((k, i): [string, bigint] => [k, BigInt(i)]),
  ['STATUS_CODE_UNSET', 0n],
  ['STATUS_CODE_OK', 1n],
  ['STATUS_CODE_ERROR', 2n],
]);
const METRIC_ENUMS = new Map<string, bigint>([
  ...['NONE', 'GAUGE', 'SUM', 'HISTOGRAM', 'EXPONENTIAL_HISTOGRAM', 'SUMMARY'].map((t, i): [string, bigint] => [
    `METRIC_DATA_TYPE_${t}`,
    BigInt(i),
  ]),
  ...['UNSPECIFIED', 'DELTA', 'CUMULATIVE'].map((t, i): [string, bigint] => [
    `AGGREGATION_TEMPORALITY_${t}`,
    BigInt(i),
  ]),
  ['FLAG_NONE', 0n],
  ['FLAG_NO_RECORDED_VALUE', 1n],
]);
const NO_ENUMS: ReadonlyMap<string, bigint> = new Map();

export const ENUMS: Readonly<Record<ContextName, ReadonlyMap<string, bigint>>> = {
  resource: NO_ENUMS,
  scope: NO_ENUMS,
  log: LOG_ENUMS,
  span: SPAN_ENUMS,
  spanevent: SPAN_ENUMS,
  metric: METRIC_ENUMS,
  datapoint: METRIC_ENUMS,
};
