/**
 * Changing encoded records in place is the same as decoding everything and encoding everything: a list of statements
 * in one pass over the bytes, against one statement after the other with another implementation of protobuf that reads
 * and writes the whole request in between. Fields of the one come in random order, of the other in that of the schema.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collector, componentContext } from '../../../../test/helpers/component.ts';
import fc from '../../../../test/helpers/property.ts';
import { makeBatch, type Signal } from '../../../core/batch.ts';
import type { Processor, ProcessorDefinition } from '../../../core/component.ts';
import { resourceFromBytes, scopeFromBytes } from '../../../core/resource.ts';
import { requestFromJson } from '../../../wire/otlp-json.ts';
import { decodeRequest, encodeRequest } from '../../../wire/otlp-request.ts';
import { flat, type Json, oracle, readByOracle, requestJson, writtenByOracle } from '../../../wire/testing.ts';
import attributesDefinition from '../attributes/index.ts';
import definition from './index.ts';

async function processorOf(d: unknown, config: object, signal: Signal) {
  const { schema, create } = d as ProcessorDefinition;
  const next = collector();
  const { context } = componentContext('x', 'processor');
  const processor: Processor = await create(schema.parse(config), {
    ...context,
    signal,
    pipelineId: signal,
    next: next.consumer,
  });
  return async (request: Uint8Array): Promise<Uint8Array> => {
    const groups = decodeRequest(signal, request).map((g) => ({
      ...g,
      resource: resourceFromBytes(g.resource.encoded, g.resource.schemaUrl),
      scope: scopeFromBytes(g.scope.encoded, g.scope.schemaUrl),
      parts: [],
    }));
    next.batches.length = 0;
    await processor.consume(makeBatch(signal, groups));
    return encodeRequest(next.batches.flatMap((b) => b.groups));
  };
}

const KEYS = ['a', 'b', 'c', 'd.e', 'long key of an attribute'];

/** The same message with keys that statements know, no key twice in a map, and members in an order of their own. */
function prepared(v: unknown, seed: number): unknown {
  if (Array.isArray(v)) {
    const isMap = v.length > 0 && v.every((x) => typeof x === 'object' && x !== null && ('key' in x || 'value' in x));
    return v.map((x, i) => {
      const one = prepared(x, seed + i) as Json;
      return isMap ? { ...one, key: KEYS[(seed + i) % KEYS.length] } : one;
    });
  }
  if (typeof v !== 'object' || v === null) return v;
  const entries = Object.entries(v).map(([k, x], i) => [k, prepared(x, seed + i * 7)] as const);
  const turn = seed % Math.max(1, entries.length);
  return Object.fromEntries([...entries.slice(turn), ...entries.slice(0, turn)]);
}

/** Being on the wire means something only for these. */
const ONEOF = /^(?:\w+Value|as(?:Int|Double)|sum|min|max)$/;

/** Without what is at its default. */
function normal(v: unknown, key = ''): unknown {
  if (Array.isArray(v)) return v.map((x) => normal(x));
  if (typeof v === 'object' && v !== null)
    return Object.fromEntries(
      Object.entries(v)
        .map(([k, x]) => [k, normal(x, k)] as const)
        .filter(([k, x]) => ONEOF.test(k) || !isDefault(x))
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  return key === 'doubleValue' && v === 0 ? 0 : v;
}
const isDefault = (v: unknown): boolean =>
  v === '' ||
  v === 0 ||
  v === '0' ||
  v === false ||
  (Array.isArray(v) && v.length === 0) ||
  (typeof v === 'object' && v !== null && !Array.isArray(v) && Object.keys(v).length === 0);

const key = fc.constantFrom(...KEYS, 'new').map((k) => JSON.stringify(k));
const literal = fc.oneof(
  fc
    .string({ unit: 'grapheme', maxLength: 200 })
    .map((s) => JSON.stringify(s.replace(/[\u007f-\u009f\u2028\u2029]/g, ''))),
  fc.integer({ min: -1000, max: 1000 }).map(String),
  fc.constantFrom('1.5', 'true', 'nil', '["x", 1]', '{"k": "v", "n": {"m": 2}}', '0x0102'),
);
const value = (paths: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    literal,
    key.map((k) => `attributes[${k}]`),
    fc.constantFrom(...paths, ...paths.map((p) => `Concat([${p}, "x"], "-")`), ...paths.map((p) => `String(${p})`)),
  );

interface Kind {
  readonly signal: Signal;
  readonly context: string;
  /** Paths that may be read. */
  readonly reads: readonly string[];
  /** Statements of the context besides those on attributes. Shared things only get constants: their order differs. */
  readonly own: readonly string[];
  readonly wheres: readonly string[];
}

const SHARED = [
  'set(resource.attributes["a"], "shared")',
  'delete_key(resource.attributes, "b")',
  'set(scope.name, "shared")',
  'keep_keys(scope.attributes, ["a"])',
];

const KINDS: readonly Kind[] = [
  {
    signal: 'logs',
    context: 'log',
    reads: ['body', 'severity_text', 'severity_number', 'trace_id.string', 'event_name', 'attributes["a"]["b"]'],
    own: [
      'set(body, attributes["a"])',
      'set(body, "a longer text than most, so that lengths need another byte: 0123456789 0123456789 0123456789 0123456789")',
      'set(body["x"], 1) where IsMap(body)',
      'merge_maps(attributes, body, "upsert") where IsMap(body)',
      'set(severity_number, SEVERITY_NUMBER_WARN)',
      'set(severity_text, "")',
      'set(time_unix_nano, 1767323045000000001)',
      'set(observed_time, Now())',
      'set(trace_id, TraceID("0af7651916cd43dd8448eb211c80319c"))',
      'set(span_id.string, "b7ad6b7169203331")',
      'set(flags, 1)',
      'set(dropped_attributes_count, 3)',
      'replace_pattern(body, "[0-9a-f]+", "#") where IsString(body)',
      ...SHARED,
    ],
    wheres: [
      'IsString(body)',
      'IsMap(body)',
      'severity_number > 5',
      'trace_id != TraceID(0x00000000000000000000000000000000)',
    ],
  },
  {
    signal: 'traces',
    context: 'span',
    reads: ['name', 'kind', 'status.message', 'span_id.string', 'attributes["a"]["b"]'],
    own: [
      'set(name, Concat([name, "more"], " "))',
      'set(kind, SPAN_KIND_SERVER)',
      'set(status.code, STATUS_CODE_ERROR)',
      'set(status.message, "failed")',
      'set(start_time_unix_nano, 5)',
      'set(end_time_unix_nano, end_time_unix_nano)',
      'set(parent_span_id.string, "b7ad6b7169203331")',
      'set(dropped_events_count, 1)',
      ...SHARED,
    ],
    wheres: ['IsRootSpan()', 'kind == SPAN_KIND_INTERNAL', 'name != ""'],
  },
  {
    signal: 'traces',
    context: 'spanevent',
    reads: ['name', 'event_index', 'span.kind'],
    own: ['set(name, "event")', 'set(time_unix_nano, 7)', 'set(dropped_attributes_count, 2)'],
    wheres: ['event_index == 0', 'name != ""'],
  },
  {
    signal: 'metrics',
    context: 'metric',
    reads: ['description', 'unit'],
    own: [
      'set(name, Concat([name, "total"], "_"))',
      'set(description, "said")',
      'set(unit, "By")',
      'set(aggregation_temporality, AGGREGATION_TEMPORALITY_DELTA) where type == METRIC_DATA_TYPE_SUM',
      'set(is_monotonic, true) where type == METRIC_DATA_TYPE_SUM',
      'convert_gauge_to_sum("delta", true)',
      'convert_sum_to_gauge()',
      'scale_metric(2.0)',
      ...SHARED,
    ],
    wheres: ['type == METRIC_DATA_TYPE_GAUGE', 'name != ""'],
  },
  {
    signal: 'metrics',
    context: 'datapoint',
    reads: ['metric.type', 'flags', 'count', 'value_int'],
    own: [
      'set(value_int, 5) where metric.type == METRIC_DATA_TYPE_GAUGE',
      'set(value_double, 2.5) where metric.type == METRIC_DATA_TYPE_SUM',
      'set(time_unix_nano, 9)',
      'set(flags, 1)',
      'set(count, 4) where metric.type == METRIC_DATA_TYPE_HISTOGRAM',
      'set(zero_count, 3) where metric.type == METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM',
      'set(metric.unit, "s")',
    ],
    wheres: ['metric.type == METRIC_DATA_TYPE_SUM', 'flags == 0'],
  },
];

/** Metric has no attributes: its metadata is a map too. */
const target = (context: string): string => (context === 'metric' ? 'metadata' : 'attributes');

function statement({ context, reads, own, wheres }: Kind): fc.Arbitrary<string> {
  const map = target(context);
  const onMap = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(key, value(reads)).map(([k, v]) => `set(${map}[${k}], ${v})`) },
    fc.tuple(key, value(reads)).map(([k, v]) => `set(${map}[${k}]["deep"]["er"], ${v})`),
    key.map((k) => `delete_key(${map}, ${k})`),
    fc.uniqueArray(key, { maxLength: 3 }).map((ks) => `keep_keys(${map}, [${ks.join(', ')}])`),
    fc.constantFrom(
      `delete_matching_keys(${map}, "^[ab]$")`,
      `keep_matching_keys(${map}, "[a-z]")`,
      `limit(${map}, 1, ["c"])`,
      `truncate_all(${map}, 3)`,
      `replace_all_patterns(${map}, "value", "[aeiou]", "<$0>")`,
      `replace_all_patterns(${map}, "key", "^a$", "renamed")`,
      `replace_all_matches(${map}, "a*", "starred")`,
      `flatten(${map})`,
      `stringify_all(${map})`,
    ),
  );
  return fc
    .tuple(
      fc.oneof({ weight: 2, arbitrary: onMap }, fc.constantFrom(...own)),
      fc.option(fc.constantFrom(...wheres, `${map}["a"] != nil`), { freq: 3 }),
    )
    .map(([s, where]) =>
      (where && !s.includes(' where ') ? `${s} where ${where}` : s).replaceAll('attributes', (m, i) =>
        context === 'metric' && !/(?:resource|scope)\.$/.test(s.slice(0, i)) ? 'metadata' : m,
      ),
    );
}

const STATEMENTS_KEY: Readonly<Record<Signal, string>> = {
  logs: 'log_statements',
  traces: 'trace_statements',
  metrics: 'metric_statements',
};

/** Decoded and encoded as a whole by the other implementation. */
const again = (signal: Signal, request: Uint8Array): Uint8Array =>
  oracle[signal].encode(oracle[signal].decode(request)).finish();

const seen = (signal: Signal, request: Uint8Array): unknown => normal(flat(signal, readByOracle(signal, request)));

for (const kind of KINDS)
  test(`transform, ${kind.context}: one pass over the bytes is what decoding and encoding everything gives`, async () => {
    const { signal, context } = kind;
    let changed = 0;
    await fc.assert(
      fc.asyncProperty(
        requestJson(signal),
        fc.nat(1000),
        fc.array(statement(kind), { minLength: 1, maxLength: 6 }),
        async (message, seed, statements) => {
          const json = prepared(message, seed) as Json;
          const config = (list: string[]): object => ({
            error_mode: 'ignore',
            [STATEMENTS_KEY[signal]]: [{ context, statements: list }],
          });
          const input = requestFromJson(signal, JSON.stringify(json));
          const output = await (await processorOf(definition, config(statements), signal))(input);
          let step: Uint8Array = writtenByOracle(signal, json);
          for (const s of statements)
            step = again(signal, await (await processorOf(definition, config([s]), signal))(step));
          assert.deepEqual(seen(signal, output), seen(signal, step));
          if (!Buffer.from(input).equals(output)) changed++;
        },
      ),
      { numRuns: 120 },
    );
    assert.ok(changed > 30, `only ${changed} requests were changed`);
  });

const action = fc.oneof(
  fc.record({
    key: fc.constantFrom(...KEYS, 'new'),
    action: fc.constantFrom('insert', 'update', 'upsert'),
    value: fc.oneof(fc.string(), fc.boolean(), fc.integer()),
  }),
  fc.record({ key: fc.constantFrom(...KEYS), action: fc.constantFrom('delete', 'hash') }),
  fc.record({
    key: fc.constantFrom(...KEYS, 'new'),
    action: fc.constantFrom('insert', 'upsert'),
    from_attribute: fc.constantFrom(...KEYS),
  }),
  fc.record({
    key: fc.constantFrom(...KEYS),
    action: fc.constant('convert'),
    converted_type: fc.constantFrom('int', 'double', 'string'),
  }),
  fc.record({ action: fc.constant('delete'), pattern: fc.constantFrom('^[ab]$', 'long') }),
  fc.record({
    key: fc.constantFrom('a', 'b'),
    action: fc.constant('extract'),
    pattern: fc.constant('^(?P<c>.)(?P<extracted>.*)$'),
  }),
);

for (const signal of ['logs', 'traces', 'metrics'] as const)
  test(`attributes, ${signal}: one pass over the bytes is what decoding and encoding everything gives`, async () => {
    await fc.assert(
      fc.asyncProperty(
        requestJson(signal),
        fc.nat(1000),
        fc.array(action, { minLength: 1, maxLength: 5 }),
        async (message, seed, actions) => {
          const json = prepared(message, seed) as Json;
          const input = requestFromJson(signal, JSON.stringify(json));
          const output = await (await processorOf(attributesDefinition, { actions }, signal))(input);
          let step: Uint8Array = writtenByOracle(signal, json);
          for (const a of actions)
            step = again(signal, await (await processorOf(attributesDefinition, { actions: [a] }, signal))(step));
          assert.deepEqual(seen(signal, output), seen(signal, step));
        },
      ),
      { numRuns: 120 },
    );
  });
