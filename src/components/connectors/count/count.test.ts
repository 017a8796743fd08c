import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collector, componentContext, TestSource } from '../../../../test/helpers/component.ts';
import { type Batch, type Group, makeBatch, type Signal } from '../../../core/batch.ts';
import { retryable } from '../../../core/errors.ts';
import { EMPTY_SCOPE, type Resource, resourceOf, scopeOf } from '../../../core/resource.ts';
import { type Value, writeAttributes } from '../../../wire/otlp.ts';
import { writeLogRecord } from '../../../wire/otlp-logs.ts';
import { metricsOf } from '../../../wire/otlp-metrics.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import { makeCount } from './count.ts';
import definition, { type CountConfig } from './index.ts';

const NOW = BigInt(Date.UTC(2026, 10, 22, 12)) * 1_000_000n;
const A = resourceOf(new Map([['service.name', 'a']]));
const B = resourceOf(new Map([['service.name', 'b']]));

type Attributes = Record<string, Value>;

function group(items: (w: ProtoWriter) => void, messages: number, count = messages, resource: Resource = A): Group {
  const w = new ProtoWriter();
  items(w);
  return { resource, scope: EMPTY_SCOPE, items: w.finish(), messages, count, parts: [] };
}

const logs = (records: readonly { time?: bigint; attributes?: Attributes }[], resource: Resource = A): Group =>
  group(
    (w) => {
      for (const { time = 0n, attributes = {} } of records)
        writeLogRecord(w, {
          time,
          observedTime: 5n,
          severityNumber: 0,
          severityText: '',
          body: 'x',
          attributes: new Map(Object.entries(attributes)),
        });
    },
    records.length,
    records.length,
    resource,
  );

function span(
  w: ProtoWriter,
  attributes: Attributes,
  events: readonly { time: bigint; attributes?: Attributes }[],
): void {
  const at = w.open(2);
  w.string(5, 'name');
  w.fixed64(7, 100n);
  w.fixed64(8, 200n);
  writeAttributes(w, 9, new Map(Object.entries(attributes)));
  for (const e of events) {
    const event = w.open(11);
    w.fixed64(1, e.time);
    writeAttributes(w, 3, new Map(Object.entries(e.attributes ?? {})));
    w.close(event);
  }
  w.close(at);
}

/** One metric for each data field, with `n` points each. */
function metric(w: ProtoWriter, dataField: number, attributeField: number, points: readonly Attributes[]): void {
  const at = w.open(2);
  w.string(1, 'm');
  const data = w.open(dataField);
  for (const p of points) {
    const point = w.open(1);
    w.fixed64(3, 77n);
    writeAttributes(w, attributeField, new Map(Object.entries(p)));
    w.close(point);
  }
  w.close(data);
  w.close(at);
}

async function run(raw: object | null, signal: Signal, groups: readonly Group[]) {
  const out = collector();
  const { context } = componentContext('count', 'connector');
  const config = definition.schema.parse(raw) as CountConfig;
  const connector = makeCount(config, { ...context, signal, outputs: { metrics: out.consumer } });
  await connector.consume(makeBatch(signal, groups));
  return seen(out.batches);
}

const seen = (batches: readonly Batch[]) =>
  batches.flatMap((b) =>
    b.groups.flatMap((g) =>
      [...metricsOf(g.items)].flatMap((m) => {
        assert.equal(m.data.type, 'sum');
        assert.ok(m.data.type === 'sum' && m.data.isMonotonic && m.data.temporality === 1);
        return m.data.points.map((p) => ({
          of: g.resource.attributes.get('service.name'),
          name: m.name,
          value: p.value,
          from: p.startTime,
          to: p.time,
          attributes: Object.fromEntries(p.attributes),
        }));
      }),
    ),
  );

test('log records are counted by resource, with their times', async () => {
  const batch = [logs([{ time: 30n }, { time: 10n }]), logs([{ time: 0n }], B), logs([{ time: 20n }])];
  assert.deepEqual(await run(null, 'logs', batch), [
    { of: 'a', name: 'log.record.count', value: 3n, from: 10n, to: 30n, attributes: {} },
    { of: 'b', name: 'log.record.count', value: 1n, from: NOW, to: NOW, attributes: {} },
  ]);
});

test('spans and their events are counted', async () => {
  const g = group((w) => {
    span(w, {}, [{ time: 150n }, { time: 120n }]);
    span(w, {}, []);
  }, 2);
  assert.deepEqual(await run({}, 'traces', [g]), [
    { of: 'a', name: 'trace.span.count', value: 2n, from: 100n, to: 200n, attributes: {} },
    { of: 'a', name: 'trace.span.event.count', value: 2n, from: 120n, to: 150n, attributes: {} },
  ]);
});

test('nothing is said about what was not there', async () => {
  const g = group((w) => span(w, {}, []), 1);
  assert.deepEqual(
    (await run({}, 'traces', [g])).map((m) => m.name),
    ['trace.span.count'],
  );
  assert.deepEqual(await run({ logs: {} }, 'logs', [logs([{}])]), []);
});

test('metrics and points of every type are counted, points by their attributes', async () => {
  const g = group(
    (w) => {
      for (const [data, attributes] of [
        [5, 7],
        [7, 7],
        [9, 9],
        [10, 1],
        [11, 7],
      ] as const)
        metric(w, data, attributes, [{ env: 'p' }, { env: 't' }]);
    },
    5,
    10,
  );
  const found = await run({ datapoints: { 'my.points': { attributes: [{ key: 'env' }] } } }, 'metrics', [g]);
  assert.deepEqual(found, [
    { of: 'a', name: 'metric.count', value: 5n, from: NOW, to: NOW, attributes: {} },
    { of: 'a', name: 'my.points', value: 5n, from: 77n, to: 77n, attributes: { env: 'p' } },
    { of: 'a', name: 'my.points', value: 5n, from: 77n, to: 77n, attributes: { env: 't' } },
  ]);
});

test('records without a wanted attribute are not counted, unless there is a default', async () => {
  const batch = [logs([{ attributes: { env: 'prod' } }, {}, { attributes: { env: 7n } }])];
  const values = async (attribute: object) =>
    (await run({ logs: { c: { attributes: [attribute] } } }, 'logs', batch)).map((m) => [m.attributes['env'], m.value]);
  assert.deepEqual(await values({ key: 'env' }), [
    ['prod', 1n],
    [7n, 1n],
  ]);
  assert.deepEqual(await values({ key: 'env', default_value: 'none' }), [
    ['prod', 1n],
    ['none', 1n],
    [7n, 1n],
  ]);
  assert.deepEqual(await values({ key: 'env', default_value: '' }), [
    ['prod', 1n],
    [7n, 1n],
  ]);
});

test('attributes are looked for in the item, its scope, its resource', async () => {
  const g = {
    ...logs([{ attributes: { a: 'item' } }]),
    scope: scopeOf(
      's',
      '',
      new Map([
        ['a', 'scope'],
        ['b', 'scope'],
      ]),
    ),
  };
  const attributes = ['a', 'b', 'service.name'].map((key) => ({ key }));
  const [found] = await run({ logs: { c: { attributes } } }, 'logs', [g]);
  assert.deepEqual(found?.attributes, { a: 'item', b: 'scope', 'service.name': 'a' });
});

test('the text 7 and the number 7 are counted apart', async () => {
  const found = await run({ logs: { c: { attributes: [{ key: 'k' }] } } }, 'logs', [
    logs([{ attributes: { k: '7' } }, { attributes: { k: 7n } }]),
  ]);
  assert.deepEqual(
    found.map((m) => m.value),
    [1n, 1n],
  );
});

test('the batch is settled as delivered once the counts are accepted, and not before', async () => {
  const { context } = componentContext('count', 'connector');
  const source = new TestSource(true);
  let isFull = true;
  const out = collector(() => {
    if (isFull) throw retryable('full');
  });
  const config = definition.schema.parse(null) as CountConfig;
  const connector = makeCount(config, { ...context, signal: 'logs', outputs: { metrics: out.consumer } });
  const batch = source.logs(['a', 'b']);
  await assert.rejects(connector.consume(batch), /full/);
  assert.equal(source.ledger.snapshot().inFlight.records, 2);
  isFull = false;
  await connector.consume(batch);
  assert.equal(source.ledger.snapshot().delivered.records, 2);
  assert.deepEqual(out.batches[0]?.groups[0]?.parts, []);
  assert.equal(out.batches[0]?.patient, false);
  assert.equal(out.batches[0]?.count, 1);
});

const spansOf = (...names: readonly string[]): Group =>
  group((w) => {
    for (const name of names) {
      const at = w.open(2);
      w.string(5, name);
      for (const event of ['start', 'exception']) {
        const e = w.open(11);
        w.string(2, event);
        w.close(e);
      }
      w.close(at);
    }
  }, names.length);
const gauges = (...points: readonly Attributes[]): Group => group((w) => metric(w, 5, 7, points), 1, points.length);
const LEVELS = [logs([{ attributes: { env: 'p', n: 1n } }, { attributes: { env: 't' } }, {}]), logs([{}], B)];

const conditional: readonly [what: string, raw: object, signal: Signal, groups: readonly Group[], expected: unknown][] =
  [
    [
      'of the record, its resource, one of several',
      {
        logs: {
          p: { conditions: ['attributes["env"] == "p"'] },
          any: { conditions: ['attributes["env"] == "p"', 'log.attributes["env"] == "t"'] },
          b: { conditions: ['resource.attributes["service.name"] == "b"'] },
          none: { conditions: ['body == "other"'] },
          all: {},
        },
      },
      'logs',
      LEVELS,
      { 'a p': 1n, 'a any': 2n, 'a all': 3n, 'b b': 1n, 'b all': 1n },
    ],
    [
      'and attributes: both must be there',
      { logs: { c: { conditions: ['attributes["env"] != nil'], attributes: [{ key: 'n' }] } } },
      'logs',
      LEVELS,
      { 'a c': 1n },
    ],
    [
      'of spans and their events',
      {
        spans: { s: { conditions: ['name == "x"'] } },
        spanevents: {
          e: { conditions: ['name == "exception" and span.name != "y"'] },
          second: { conditions: ['event_index == 1'] },
        },
      },
      'traces',
      [spansOf('x', 'y', 'z')],
      { 'a s': 1n, 'a e': 2n, 'a second': 3n },
    ],
    [
      'of metrics and their points',
      {
        metrics: {
          gauges: { conditions: ['type == METRIC_DATA_TYPE_GAUGE'] },
          sums: { conditions: ['type == METRIC_DATA_TYPE_SUM'] },
          prod: { conditions: ['HasAttrOnDatapoint("env", "p")'] },
        },
        datapoints: { p: { conditions: ['attributes["env"] == "p" and metric.name == "m"'] } },
      },
      'metrics',
      [gauges({ env: 'p' }, { env: 't' }), gauges({ env: 't' }), gauges({ env: 'p' })],
      { 'a gauges': 3n, 'a prod': 2n, 'a p': 2n },
    ],
    [
      'of only the points: metrics keep their default',
      { datapoints: { p: { conditions: ['attributes["env"] == "p"'] } } },
      'metrics',
      [gauges({ env: 'p' })],
      { 'a metric.count': 1n, 'a p': 1n },
    ],
  ];
for (const [what, raw, signal, groups, expected] of conditional)
  test(`conditions ${what}`, async () => {
    const found = await run(raw, signal, groups);
    assert.deepEqual(Object.fromEntries(found.map((m) => [`${m.of} ${m.name}`, m.value])), expected);
  });

test('a condition that fails does not count and does not cost the data, and is told', async () => {
  const { context, lines } = componentContext('count', 'connector');
  const out = collector();
  const config = definition.schema.parse({
    logs: { c: { conditions: ['Int(attributes["n"]) > Len(severity_number)', 'attributes["n"] == 1'] } },
  }) as CountConfig;
  const connector = makeCount(config, { ...context, signal: 'logs', outputs: { metrics: out.consumer } });
  const source = new TestSource(true);
  const batch = { ...source.logs(['x']) };
  await connector.consume(batch);
  assert.equal(source.ledger.snapshot().delivered.records, 1);
  assert.deepEqual(out.batches, []);
  assert.equal(lines.filter((l) => l.level === 'warn' && l.message === 'failed to eval condition').length, 1);
});

const refused: readonly [raw: object, message: RegExp][] = [
  [{ logs: { c: { conditions: ['true', 'body =='] } } }, /unable to parse OTTL condition "body =="/],
  [{ spans: { c: { conditions: ['severity_text == ""'] } } }, /severity_text/],
  [{ metrics: { c: { attributes: [{ key: 'a' }] } } }, /metrics attributes not supported: metric "c"/],
  [{ logs: { c: { attributes: [{ key: '' }] } } }, /attribute key missing/],
  [{ logs: { '': {} } }, /metric name missing/],
  [{ log: {} }, /log/],
];
for (const [raw, message] of refused)
  test(`refused: ${JSON.stringify(raw)}`, () => {
    const result = definition.schema.safeParse(raw);
    assert.match(result.error?.issues.map((i) => i.message).join() ?? '', message);
  });
