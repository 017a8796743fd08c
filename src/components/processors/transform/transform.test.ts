/** Groups of statements over the three signals: contexts, order, what is shared, what is counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collector, componentContext, TestSource } from '../../../../test/helpers/component.ts';
import { DELIVERED, type Group, makeBatch, type Signal, settleGroup } from '../../../core/batch.ts';
import type { Processor, ProcessorDefinition } from '../../../core/component.ts';
import { EMPTY_SCOPE, resourceOf, scopeOf } from '../../../core/resource.ts';
import type { Value } from '../../../wire/otlp.ts';
import { logRecords } from '../../../wire/otlp-logs.ts';
import { metricsOf } from '../../../wire/otlp-metrics.ts';
import { spansOf } from '../../../wire/otlp-traces.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import definition from './index.ts';

const { schema, create } = definition as ProcessorDefinition;

async function transform(config: object, signal: Signal) {
  const around = componentContext('transform', 'processor');
  const next = collector();
  const processor: Processor = await create(schema.parse(config), {
    ...around.context,
    signal,
    pipelineId: signal,
    next: next.consumer,
  });
  return { ...around, processor, next };
}

async function logsThrough(log_statements: unknown[], groups: readonly Group[]): Promise<readonly Group[]> {
  const { processor, next } = await transform({ log_statements }, 'logs');
  await processor.consume(makeBatch('logs', groups));
  return next.batches[0]!.groups;
}
const records = (g: Group): [Value, Record<string, Value>][] =>
  [...logRecords(g.items)].map((r) => [r.body, Object.fromEntries(r.attributes)]);

test('without statements, and when nothing changes, batches and groups are handed on as they are', async () => {
  const batch = new TestSource(true).logs(['a']);
  const idle = await transform({}, 'logs');
  await idle.processor.consume(batch);
  assert.equal(idle.next.batches[0], batch);
  const [g] = await logsThrough(['set(log.body, "x") where log.body == "no"'], batch.groups);
  assert.equal(g, batch.groups[0]);
});

test('a flat list is one group whose paths decide the context; parts and counts stay', async () => {
  const source = new TestSource(true);
  const group = source.group(['a', 'b']);
  const [g] = await logsThrough(
    ['set(log.attributes["x"], log.body)', 'set(log.body, "c") where log.body == "a"'],
    [group],
  );
  assert.deepEqual(records(g!), [
    ['c', { x: 'a' }],
    ['b', { x: 'b' }],
  ]);
  assert.equal(g!.count, 2);
  settleGroup(g!, DELIVERED);
  assert.deepEqual(source.ledger.snapshot().delivered, { records: 2, bytes: 2 });
});

test('resource statements run once per resource, and again when they give something else each time', async () => {
  const source = new TestSource(false);
  const statements = ['set(attributes["r"], "seen")'];
  const { processor, next } = await transform({ log_statements: [{ context: 'resource', statements }] }, 'logs');
  for (let i = 0; i < 2; i++) await processor.consume(source.logs(['a']));
  const [first, second] = next.batches.map((b) => b.groups[0]!.resource);
  assert.equal(first!.attributes.get('r'), 'seen');
  assert.equal(first, second);
  const random = await transform(
    { log_statements: [{ context: 'resource', statements: ['set(attributes["r"], UUID())'] }] },
    'logs',
  );
  for (let i = 0; i < 2; i++) await random.processor.consume(source.logs(['a']));
  const [one, two] = random.next.batches.map((b) => b.groups[0]!.resource.attributes.get('r'));
  assert.notEqual(one, two);
});

test('a record may change its resource: all records below it see the last change', async () => {
  const source = new TestSource(false);
  const resource = resourceOf(new Map([['service.name', 'a']]));
  const other = resourceOf(new Map([['service.name', 'b']]));
  const groups = [
    source.group(['1'], resource),
    { ...source.group(['2'], resource), scope: scopeOf('s') },
    source.group(['3'], other),
  ];
  const out = await logsThrough(
    [{ context: 'log', statements: ['set(resource.attributes["last"], body) where body != "3"'] }],
    groups,
  );
  assert.deepEqual(
    out.map((g) => g.resource.attributes.get('last')),
    ['2', '2', undefined],
  );
});

test('scope statements change name, version and attributes', async () => {
  const group = {
    ...new TestSource(false).group(['a']),
    scope: scopeOf('old', '1', new Map([['k', 'v']]), 'http://s'),
  };
  const [g] = await logsThrough(
    [
      {
        context: 'scope',
        statements: ['set(name, "new")', 'set(attributes["a"], version)', 'set(schema_url, "http://t")'],
      },
    ],
    [group],
  );
  assert.deepEqual(
    [g!.scope.fields.name, g!.scope.fields.version, [...g!.scope.fields.attributes], g!.scope.schemaUrl],
    [
      'new',
      '1',
      [
        ['k', 'v'],
        ['a', '1'],
      ],
      'http://t',
    ],
  );
});

test('conditions of a group are joined by or, and each group has a cache of its own', async () => {
  const [g] = await logsThrough(
    [
      {
        context: 'log',
        conditions: ['body == "a"', 'body == "b"'],
        statements: ['set(attributes["g1"], true)', 'set(cache["x"], 1)'],
      },
      { context: 'log', statements: ['set(attributes["x"], cache["x"])'] },
    ],
    [new TestSource(false).group(['a', 'b', 'c'])],
  );
  assert.deepEqual(records(g!), [
    ['a', { g1: true }],
    ['b', { g1: true }],
    ['c', {}],
  ]);
});

test('groups run one after another over the whole batch where the order can be seen', async () => {
  const [g] = await logsThrough(
    [
      { context: 'log', statements: ['set(resource.attributes["last"], body)'] },
      { context: 'log', statements: ['set(attributes["seen"], resource.attributes["last"])'] },
    ],
    [new TestSource(false).group(['a', 'b'])],
  );
  assert.deepEqual(records(g!), [
    ['a', { seen: 'b' }],
    ['b', { seen: 'b' }],
  ]);
});

test('errors: ignore tells once and goes on, silent goes on, propagate refuses for good', async () => {
  const statements = ['set(attributes["a"], ParseJSON(body))', 'set(attributes["b"], 1)'];
  for (const [error_mode, lines] of [
    ['ignore', 1],
    ['silent', 0],
  ] as const) {
    const t = await transform({ error_mode, log_statements: [{ context: 'log', statements }] }, 'logs');
    await t.processor.consume(new TestSource(false).logs(['x', 'y']));
    assert.deepEqual(
      records(t.next.batches[0]!.groups[0]!).map(([, a]) => a),
      [{ b: 1n }, { b: 1n }],
    );
    assert.equal(t.lines.length, lines);
    if (lines > 0) assert.equal(t.lines[0]!.message, 'failed to execute statement');
  }
  const t = await transform({ log_statements: [{ context: 'log', error_mode: 'propagate', statements }] }, 'logs');
  const source = new TestSource(false);
  await assert.rejects(
    t.processor.consume(source.logs(['x'])),
    (e: Error & { permanent?: boolean }) => e.permanent === true,
  );
  assert.equal(source.ledger.snapshot().inFlight.records, 1);
  assert.equal(t.next.calls, 0);
});

function span(): Group {
  const w = new ProtoWriter();
  const s = w.open(2);
  w.bytes(1, new Uint8Array(16).fill(1));
  w.string(3, 'a=1,b=2');
  w.string(5, 'GET');
  w.tag(6, 0);
  w.varint(2);
  w.fixed64(7, 1000n);
  w.fixed64(8, 3000n);
  for (const name of ['e1', 'e2']) {
    const e = w.open(11);
    w.fixed64(1, 5n);
    w.string(2, name);
    w.close(e);
  }
  const link = w.open(13);
  w.bytes(1, new Uint8Array(16).fill(2));
  w.close(link);
  const status = w.open(15);
  w.string(2, 'bad');
  w.tag(3, 0);
  w.varint(2);
  w.close(status);
  w.close(s);
  return { resource: resourceOf(new Map()), scope: EMPTY_SCOPE, items: w.finish(), messages: 1, count: 1, parts: [] };
}

test('spans and their events', async () => {
  const t = await transform(
    {
      trace_statements: [
        {
          context: 'span',
          statements: [
            'set(attributes["ns"], end_time_unix_nano - start_time_unix_nano)',
            'set(attributes["kind"], kind.string)',
            'set(attributes["b"], trace_state["b"])',
            'set(trace_state["c"], "3")',
            'set(status.code, STATUS_CODE_OK)',
            'set(kind, SPAN_KIND_CLIENT)',
            'set(name, Concat([name, status.message], " "))',
          ],
        },
        {
          context: 'spanevent',
          statements: ['set(attributes["of"], span.name)', 'set(name, "first") where event_index == 0'],
        },
      ],
    },
    'traces',
  );
  await t.processor.consume(makeBatch('traces', [span()]));
  const [s] = spansOf(t.next.batches[0]!.groups[0]!.items);
  assert.deepEqual(Object.fromEntries(s!.attributes), { ns: 2000n, kind: 'Server', b: '2' });
  assert.deepEqual(
    [s!.name, s!.kind, s!.statusCode, s!.statusMessage, s!.traceState, s!.links.length, s!.traceId.length],
    ['GET bad', 3, 1, 'bad', 'c=3,a=1,b=2', 1, 16],
  );
  assert.deepEqual(
    s!.events.map((e) => [e.name, e.time, e.attributes.get('of')]),
    [
      ['first', 5n, 'GET bad'],
      ['e2', 5n, 'GET bad'],
    ],
  );
});

/** One metric; `point` writes the fields of its only point. */
function metric(name: string, type: number, point: (w: ProtoWriter) => void, temporality = 0): Group {
  const w = new ProtoWriter();
  const m = w.open(2);
  w.string(1, name);
  w.string(3, 's');
  const data = w.open(type);
  const p = w.open(1);
  w.fixed64(3, 9n);
  point(w);
  w.close(p);
  if (temporality) {
    w.tag(2, 0);
    w.varint(temporality);
  }
  w.close(data);
  w.close(m);
  return { resource: resourceOf(new Map()), scope: EMPTY_SCOPE, items: w.finish(), messages: 1, count: 1, parts: [] };
}
const gauge = (): Group => metric('g', 5, (w) => w.fixed64(6, 4n));
const sum = (): Group => metric('s', 7, (w) => w.double(4, 1.5), 2);
const histogram = (): Group =>
  metric(
    'h',
    9,
    (w) => {
      w.fixed64(4, 7n);
      w.double(5, 10);
      const bounds = w.open(7);
      w.reserve(8);
      w.pos = w.buf.writeDoubleLE(2, w.pos);
      w.close(bounds);
    },
    1,
  );
const summary = (): Group =>
  metric('y', 11, (w) => {
    w.fixed64(4, 7n);
    w.double(5, 10);
  });

async function metricsThrough(metric_statements: unknown[], group: Group) {
  const t = await transform({ metric_statements }, 'metrics');
  await t.processor.consume(makeBatch('metrics', [group]));
  const [g] = t.next.batches[0]!.groups;
  const list = [...metricsOf(g!.items)];
  assert.equal(g!.messages, list.length);
  assert.equal(
    g!.count,
    list.reduce((n, m) => n + m.data.points.length, 0),
  );
  return list;
}

const seen = (m: Awaited<ReturnType<typeof metricsThrough>>[number]): unknown[] => [
  m.name,
  m.unit,
  m.data.type,
  m.data.points.map((p) => ('value' in p ? p.value : 'sum' in p ? [p.count, p.sum] : undefined))[0],
];

const metricCases: [string, unknown[], () => Group, unknown[][]][] = [
  [
    'names, units and descriptions',
    ['set(metric.name, "n")', 'set(metric.unit, "ms")'],
    gauge,
    [['n', 'ms', 'gauge', 4n]],
  ],
  ['values of points', ['set(datapoint.value_int, datapoint.value_int * 2)'], gauge, [['g', 's', 'gauge', 8n]]],
  ['another type of value', ['set(datapoint.value_double, 2.5)'], gauge, [['g', 's', 'gauge', 2.5]]],
  [
    'metric fields from the point',
    ['set(metric.name, Concat([metric.name, datapoint.value_int], "_"))'],
    gauge,
    [['g_4', 's', 'gauge', 4n]],
  ],
  ['convert_sum_to_gauge', ['convert_sum_to_gauge()'], sum, [['s', 's', 'gauge', 1.5]]],
  [
    'convert_sum_to_gauge of a gauge',
    ['convert_sum_to_gauge() where metric.name == "g"'],
    gauge,
    [['g', 's', 'gauge', 4n]],
  ],
  ['convert_gauge_to_sum', ['convert_gauge_to_sum("cumulative", true)'], gauge, [['g', 's', 'sum', 4n]]],
  ['scale_metric', ['scale_metric(10.0, "ms")'], sum, [['s', 'ms', 'sum', 15]]],
  ['scale_metric of a histogram', ['scale_metric(10.0)'], histogram, [['h', 's', 'histogram', [7n, 100]]]],
  [
    'copy_metric',
    ['copy_metric(name="c") where metric.name == "g"'],
    gauge,
    [
      ['g', 's', 'gauge', 4n],
      ['c', 's', 'gauge', 4n],
    ],
  ],
  [
    'extract_count_metric',
    ['extract_count_metric(true) where metric.name == "h"'],
    histogram,
    [
      ['h', 's', 'histogram', [7n, 10]],
      ['h_count', 's', 'sum', 7n],
    ],
  ],
  [
    'extract_sum_metric',
    ['extract_sum_metric(true, ".sum") where metric.name == "h"'],
    histogram,
    [
      ['h', 's', 'histogram', [7n, 10]],
      ['h.sum', 's', 'sum', 10],
    ],
  ],
  [
    'convert_summary_count_val_to_sum',
    ['convert_summary_count_val_to_sum("delta", true)'],
    summary,
    [
      ['y', 's', 'summary', [7n, 10]],
      ['y_count', 's', 'sum', 7n],
    ],
  ],
  [
    'convert_summary_sum_val_to_sum',
    ['convert_summary_sum_val_to_sum("delta", true)'],
    summary,
    [
      ['y', 's', 'summary', [7n, 10]],
      ['y_sum', 's', 'sum', 10],
    ],
  ],
  [
    'attributes of points',
    [
      {
        context: 'datapoint',
        statements: [
          'set(attributes["a"], metric.type)',
          'set(value_int, 1) where attributes["a"] == METRIC_DATA_TYPE_GAUGE',
        ],
      },
    ],
    gauge,
    [['g', 's', 'gauge', 1n]],
  ],
  [
    'bounds of histograms',
    ['set(datapoint.explicit_bounds, [1.0, 2.0])', 'set(datapoint.count, 8)'],
    histogram,
    [['h', 's', 'histogram', [8n, 10]]],
  ],
];
for (const [name, statements, group, expected] of metricCases)
  test(`metrics: ${name}`, async () =>
    assert.deepEqual((await metricsThrough(statements, group())).map(seen), expected));

test('a sum made of a gauge has the given temporality, and a gauge made of a sum has none', async () => {
  const [made] = await metricsThrough(['convert_gauge_to_sum("delta", true)'], gauge());
  assert.deepEqual(made!.data.type === 'sum' && [made!.data.temporality, made!.data.isMonotonic], [1, true]);
  const [extracted] = (
    await metricsThrough(['extract_count_metric(false) where metric.name == "h"'], histogram())
  ).slice(1);
  assert.deepEqual(extracted!.data.type === 'sum' && [extracted!.data.temporality, extracted!.data.isMonotonic], [
    1,
    false,
  ]);
});

test('a metric that copies itself without end is stopped', async () => {
  const list = await metricsThrough(['copy_metric(name="again")'], gauge());
  assert.ok(list.length > 100 && list.length < 10_000);
});

test('nobody waits for points that statements made; the others keep their parts', async () => {
  const source = new TestSource(true);
  const group = { ...gauge(), parts: [{ ack: source.ack, records: 1, bytes: 10 }] };
  const t = await transform({ metric_statements: ['copy_metric(name="c") where metric.name == "g"'] }, 'metrics');
  source.ledger.read(1, 10);
  await t.processor.consume(makeBatch('metrics', [group]));
  const { parts } = t.next.batches[0]!.groups[0]!;
  for (const p of parts) p.ack.settle(p.records, p.bytes, { kind: 'delivered' });
  assert.equal(
    parts.reduce((n, p) => n + p.records, 0),
    2,
  );
  assert.equal(source.ledger.snapshot().inFlight.records, 0);
});

test('what does not compile is refused with its place', () => {
  for (const [config, path, message] of [
    [{ log_statements: ['set(log.body, "x")', 'sett(log.body)'] }, ['log_statements', 1], /undefined function "sett"/],
    [{ log_statements: ['set(body, "x")'] }, ['log_statements', 0], /missing context name for path "body"/],
    [
      { log_statements: [{ context: 'log', conditions: ['body ='], statements: [] }] },
      ['log_statements', 0, 'conditions', 0],
      /condition has invalid syntax/,
    ],
    [
      { metric_statements: [{ context: 'datapoint', statements: ['convert_sum_to_gauge()'] }] },
      ['metric_statements', 0, 'statements', 0],
      /undefined function "convert_sum_to_gauge" in context datapoint/,
    ],
    [
      { metric_statements: ['convert_gauge_to_sum("x", true)'] },
      ['metric_statements', 0],
      /unknown aggregation temporality/,
    ],
    [{ flatten_data: true }, ['flatten_data'], /not supported/],
  ] as const) {
    const result = schema.safeParse(config);
    assert.ok(!result.success);
    assert.deepEqual(result.error.issues[0]!.path, [...path]);
    assert.match(result.error.issues[0]!.message, message);
  }
});
