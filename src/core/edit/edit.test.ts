/** The cursor, its attributes and the rewriting of groups, against full decoding and against plain models. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import type { Value, ValueMap } from '../../wire/otlp.ts';
import { type LogRecord, logRecords, writeLogRecord } from '../../wire/otlp-logs.ts';
import { type Metric, metricsOf } from '../../wire/otlp-metrics.ts';
import { ProtoReader, ProtoWriter } from '../../wire/proto.ts';
import type { Ack, Group, Part } from '../batch.ts';
import { EMPTY_RESOURCE, EMPTY_SCOPE } from '../resource.ts';
import { copyMap, Key } from './lazy-map.ts';
import { Message } from './message.ts';
import { MetricCursor, rewriteMetrics } from './metrics.ts';
import { bufferOf, divideParts, Runs, rewriteItems } from './rewrite.ts';
import { LOG } from './shapes.ts';
import { jsonText, valueText } from './values.ts';

const leaf: fc.Arbitrary<Value> = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.boolean(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true }),
  fc.constant(null),
);
const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(fc.string({ maxLength: 5 }), tie('value')), { maxLength: 3 }).map((e) => new Map(e)),
  ),
}));
const attributes: fc.Arbitrary<ValueMap> = fc
  .array(fc.tuple(fc.string({ maxLength: 8 }), value), { maxLength: 8 })
  .map((e) => new Map(e));
const record: fc.Arbitrary<LogRecord> = fc.record({
  time: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  observedTime: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  severityNumber: fc.integer({ min: 0, max: 24 }),
  severityText: fc.string({ maxLength: 5 }),
  body: value,
  attributes,
  droppedAttributesCount: fc.integer({ min: 0, max: 300 }),
  flags: fc.integer({ min: 0, max: 255 }),
  traceId: fc.constantFrom(new Uint8Array(0), new Uint8Array(16).fill(7)),
  spanId: fc.constantFrom(new Uint8Array(0), new Uint8Array(8).fill(9)),
  eventName: fc.string({ maxLength: 3 }),
});

function groupOf(records: readonly LogRecord[], parts: readonly Part[] = []): Group {
  const w = new ProtoWriter();
  for (const r of records) writeLogRecord(w, r);
  const n = records.length;
  return { resource: EMPTY_RESOURCE, scope: EMPTY_SCOPE, items: w.finish(), messages: n, count: n, parts };
}

/** Entries in order, so that the order of attributes counts too. */
const comparable = (r: LogRecord) => ({
  ...r,
  attributes: [...r.attributes],
  traceId: [...r.traceId],
  spanId: [...r.spanId],
});

const scratch = new ProtoWriter();

type Edit =
  | { readonly do: 'set'; readonly key: string; readonly value: Value }
  | { readonly do: 'setKey'; readonly key: string; readonly value: Value }
  | { readonly do: 'delete'; readonly key: string }
  | { readonly do: 'deleteKey'; readonly key: string }
  | { readonly do: 'retain'; readonly key: string }
  | { readonly do: 'texts'; readonly key: string }
  | { readonly do: 'severity'; readonly key: string }
  | { readonly do: 'body'; readonly value: Value }
  | { readonly do: 'time'; readonly time: bigint };

/** As statements have them: one object for all records. */
const keys = new Map<string, Key>();
const keyOf = (text: string): Key => keys.get(text) ?? keys.set(text, new Key(text)).get(text)!;

const key = fc.oneof(fc.string({ maxLength: 2 }), fc.constantFrom('a', 'b', 'ä'));
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ do: fc.constant('set' as const), key, value }),
  fc.record({ do: fc.constant('setKey' as const), key, value }),
  fc.record({ do: fc.constant('setKey' as const), key, value: fc.constantFrom('prod', 'prod', 'ü'.repeat(150), '') }),
  fc.record({ do: fc.constant('texts' as const), key }),
  fc.record({ do: fc.constant('delete' as const), key }),
  fc.record({ do: fc.constant('deleteKey' as const), key }),
  fc.record({ do: fc.constant('retain' as const), key }),
  fc.record({ do: fc.constant('severity' as const), key }),
  fc.record({ do: fc.constant('body' as const), value }),
  fc.record({ do: fc.constant('time' as const), time: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
);

function applyToMessage(m: Message, e: Edit): void {
  if (e.do === 'set') m.attributes.set(e.key, e.value);
  else if (e.do === 'setKey') m.attributes.setKey(keyOf(e.key), e.value);
  else if (e.do === 'delete') m.attributes.delete(e.key);
  else if (e.do === 'deleteKey') m.attributes.deleteKey(keyOf(e.key));
  else if (e.do === 'retain') m.attributes.retain((k) => k !== e.key);
  else if (e.do === 'texts') m.attributes.changeTexts((t) => (t.length % 2 ? t : t + e.key));
  else if (e.do === 'severity') m.set(3, 'string', e.key);
  else if (e.do === 'body') m.set(5, 'any', e.value);
  else m.set(1, 'fixed64', e.time);
}

function applyToRecord(r: LogRecord, e: Edit): void {
  if (e.do === 'set' || e.do === 'setKey') r.attributes.set(e.key, e.value);
  else if (e.do === 'delete' || e.do === 'deleteKey' || e.do === 'retain') r.attributes.delete(e.key);
  else if (e.do === 'texts') {
    for (const [k, v] of r.attributes) if (typeof v === 'string' && v.length % 2 === 0) r.attributes.set(k, v + e.key);
  } else if (e.do === 'severity') r.severityText = e.key;
  else if (e.do === 'body') r.body = e.value;
  else r.time = e.time;
}

test('whatever is changed through the cursor, the written record is the decoded one with the same changes', () => {
  const message = new Message(LOG);
  fc.assert(
    fc.property(fc.array(fc.tuple(record, fc.array(edit, { maxLength: 6 })), { maxLength: 5 }), (list) => {
      const group = groupOf(list.map(([r]) => r));
      let i = 0;
      const { group: out } = rewriteItems(group, message, scratch, (m) => {
        const [before, edits] = list[i++]!;
        assert.deepEqual([...m.attributes.entries()], [...before.attributes]);
        assert.deepEqual(m.get(5, 'any'), before.body);
        assert.equal(m.get(2, 'varint'), BigInt(before.severityNumber));
        assert.equal(m.get(1, 'fixed64'), before.time);
        for (const e of edits) applyToMessage(m, e);
        return true;
      });
      const expected = list.map(([r, edits]) => {
        const copy = { ...r, attributes: copyMap(r.attributes) };
        for (const e of edits) applyToRecord(copy, e);
        return comparable(copy);
      });
      assert.equal(out?.count ?? 0, list.length);
      assert.deepEqual([...logRecords(out?.items ?? new Uint8Array(0))].map(comparable), expected);
    }),
    { numRuns: 300 },
  );
});

test('reading changes nothing: the same group comes back', () => {
  const message = new Message(LOG);
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 5 }), (records) => {
      const group = groupOf(records);
      const out = rewriteItems(group, message, scratch, (m) => {
        m.attributes.get('a');
        for (const _ of m.attributes.entries());
        m.get(5, 'any');
        return true;
      });
      assert.equal(out.group, group);
      assert.deepEqual(out.dropped, []);
    }),
  );
});

const ackOf = (): Ack => ({ patient: false, settle() {} });
const sum = (parts: readonly Part[], ack: Ack, what: 'records' | 'bytes'): number =>
  parts.filter((p) => p.ack === ack).reduce((n, p) => n + p[what], 0);

test('whatever is dropped, parts and counts stay exact', () => {
  const acks = [ackOf(), ackOf(), ackOf()];
  const part = fc.record({
    ack: fc.constantFrom(...acks),
    records: fc.integer({ min: 0, max: 5 }),
    bytes: fc.nat(100),
  });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), fc.array(fc.boolean(), { maxLength: 40 }), (parts, flags) => {
      const owners = parts.flatMap((p) => new Array<Ack>(p.records).fill(p.ack));
      const kept = owners.map((_, i) => flags[i] ?? true);
      const runs = new Runs();
      for (const k of kept) k ? runs.keep(1) : runs.drop(1);
      const out = divideParts(parts, runs);
      for (const ack of acks) {
        assert.equal(sum(out.kept, ack, 'records'), owners.filter((o, i) => o === ack && kept[i]).length);
        assert.equal(sum(out.dropped, ack, 'records'), owners.filter((o, i) => o === ack && !kept[i]).length);
        assert.equal(sum(out.kept, ack, 'bytes') + sum(out.dropped, ack, 'bytes'), sum(parts, ack, 'bytes'));
      }
      const order = out.kept.flatMap((p) => new Array<Ack>(p.records).fill(p.ack));
      assert.deepEqual(
        order.map((a) => acks.indexOf(a)),
        owners.filter((_, i) => kept[i]).map((a) => acks.indexOf(a)),
      );
    }),
    { numRuns: 500 },
  );
});

test('dropped records are gone, the others are the same bytes, in order', () => {
  const message = new Message(LOG);
  const ack = ackOf();
  fc.assert(
    fc.property(fc.array(fc.tuple(record, fc.boolean()), { minLength: 1, maxLength: 12 }), (list) => {
      const n = list.length;
      const group = groupOf(
        list.map(([r]) => r),
        [{ ack, records: n, bytes: n * 7 }],
      );
      let i = 0;
      const out = rewriteItems(group, message, scratch, () => list[i++]![1]);
      const left = list.filter(([, keep]) => keep).map(([r]) => r);
      assert.equal(out.droppedCount, n - left.length);
      assert.equal(out.group?.count ?? 0, left.length);
      assert.deepEqual(Buffer.from(out.group?.items ?? []), Buffer.from(groupOf(left).items));
      const records = sum(out.group?.parts ?? [], ack, 'records') + sum(out.dropped, ack, 'records');
      const bytes = sum(out.group?.parts ?? [], ack, 'bytes') + sum(out.dropped, ack, 'bytes');
      assert.deepEqual([records, bytes], [n, n * 7]);
    }),
    { numRuns: 200 },
  );
});

/** Gauges with integer points, encoded by hand: name, values. */
function metricsGroup(metrics: readonly (readonly [string, readonly bigint[]])[], parts: readonly Part[] = []): Group {
  const w = new ProtoWriter();
  let count = 0;
  for (const [name, values] of metrics) {
    const item = w.open(2);
    w.string(1, name);
    const data = w.open(5);
    for (const v of values) {
      count++;
      const point = w.open(1);
      w.fixed64(6, v);
      const kv = w.open(7);
      w.string(1, 'k');
      const any = w.open(2);
      w.string(1, String(v));
      w.close(any);
      w.close(kv);
      w.close(point);
    }
    w.close(data);
    w.close(item);
  }
  return { resource: EMPTY_RESOURCE, scope: EMPTY_SCOPE, items: w.finish(), messages: metrics.length, count, parts };
}
const seen = (m: Metric): [string, bigint[]] => [
  m.name,
  m.data.points.map((p) => ('value' in p ? (p.value as bigint) : 0n)),
];

test('points and metrics can be dropped and renamed; a metric without points goes', () => {
  const cursor = new MetricCursor();
  const ack = ackOf();
  const metric = fc.tuple(
    fc.string({ minLength: 1, maxLength: 4 }),
    fc.array(fc.bigInt({ min: 0n, max: 9n }), { minLength: 1, maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(metric, { minLength: 1, maxLength: 5 }), fc.bigInt({ min: 0n, max: 9n }), (metrics, limit) => {
      const count = metrics.reduce((n, [, v]) => n + v.length, 0);
      const group = metricsGroup(metrics, [{ ack, records: count, bytes: 1000 }]);
      const out = rewriteMetrics(group, cursor, scratch, {
        metric: (c) => c.metric.get(1, 'string') !== 'a',
        point(c) {
          assert.equal(c.point.attributes.get('k'), String(c.point.get(6, 'sfixed64')));
          c.metric.set(1, 'string', `${c.metric.get(1, 'string')}!`.slice(0, 6));
          return (c.point.get(6, 'sfixed64') as bigint) < limit;
        },
      });
      const expected = metrics
        .filter(([name]) => name !== 'a')
        .map(([name, v]): [string, bigint[]] => [
          `${name}${'!'.repeat(v.length)}`.slice(0, 6),
          v.filter((x) => x < limit),
        ])
        .filter(([, v]) => v.length > 0);
      const items = out.group?.items ?? new Uint8Array(0);
      assert.deepEqual([...metricsOf(items)].map(seen), expected);
      const left = expected.reduce((n, [, v]) => n + v.length, 0);
      assert.deepEqual([out.group?.count ?? 0, out.group?.messages ?? 0], [left, expected.length]);
      assert.equal(sum(out.group?.parts ?? [], ack, 'records'), left);
      assert.equal(sum(out.dropped, ack, 'records'), count - left);
      assert.equal(sum(out.group?.parts ?? [], ack, 'bytes') + sum(out.dropped, ack, 'bytes'), 1000);
    }),
    { numRuns: 200 },
  );
});

test('new metrics come behind the others, and nobody waits for their points', () => {
  const ack = ackOf();
  const more = metricsGroup([['new', [7n, 8n]]]);
  const group = metricsGroup([['old', [1n]]], [{ ack, records: 1, bytes: 5 }]);
  const out = rewriteMetrics(group, new MetricCursor(), scratch, {
    more(w) {
      w.raw(more.items);
      return { messages: 1, points: 2 };
    },
  });
  assert.deepEqual([...metricsOf(out.group!.items)].map(seen), [
    ['old', [1n]],
    ['new', [7n, 8n]],
  ]);
  assert.deepEqual([out.group!.count, out.group!.messages], [3, 2]);
  assert.equal(
    out.group!.parts.reduce((n, p) => n + p.records, 0),
    3,
  );
  assert.equal(sum(out.group!.parts, ack, 'records'), 1);
});

test('truncated messages are an error, not a crash or a loop', () => {
  const message = new Message(LOG);
  const { items } = groupOf([
    { ...[...logRecords(new Uint8Array([0x12, 0]))][0]!, body: 'text', attributes: new Map([['a', 'b']]) },
  ]);
  const buf = bufferOf(items.subarray(2));
  for (let n = 1; n < buf.length; n++) {
    const part = Buffer.from(buf.subarray(0, n));
    let isWhole = true;
    try {
      const r = new ProtoReader(part);
      while (r.next()) r.skip();
    } catch {
      isWhole = false;
    }
    if (!isWhole) assert.throws(() => message.bind(part, 0, n).attributes, /truncated|wire/);
  }
});

test('values as text', () => {
  const rows: [Value, string][] = [
    ['a', 'a'],
    [null, ''],
    [true, 'true'],
    [12n, '12'],
    [1.5, '1.5'],
    [1e21, '1e+21'],
    [new Uint8Array([1, 2]), 'AQI='],
    [[1n, 'x', null], '[1,"x",null]'],
    [
      new Map<string, Value>([
        ['b', 1n],
        ['a', new Map([['c', 0.5]])],
      ]),
      '{"a":{"c":0.5},"b":1}',
    ],
  ];
  for (const [v, text] of rows) assert.equal(valueText(v), text);
  assert.equal(jsonText('<"'), '"<\\""');
});
