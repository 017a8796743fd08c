/** What is dropped, what is said about it, and that every record is settled exactly once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collector, componentContext, TestSource } from '../../../../test/helpers/component.ts';
import fc from '../../../../test/helpers/property.ts';
import { type Group, makeBatch, type Signal } from '../../../core/batch.ts';
import type { Processor, ProcessorDefinition } from '../../../core/component.ts';
import { rewriteItems } from '../../../core/edit/rewrite.ts';
import { retryable } from '../../../core/errors.ts';
import { FILTER_FUNCTIONS } from '../../../core/ottl/functions/filter.ts';
import { anyHolds, compileProgram, Env } from '../../../core/ottl/ottl.ts';
import { EMPTY_SCOPE, resourceOf } from '../../../core/resource.ts';
import { logRecords } from '../../../wire/otlp-logs.ts';
import { metricsOf } from '../../../wire/otlp-metrics.ts';
import { spansOf } from '../../../wire/otlp-traces.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import definition from './index.ts';

const { schema, create } = definition as ProcessorDefinition;

async function filter(config: object, signal: Signal, next = collector()) {
  const around = componentContext('filter/x', 'processor');
  const processor: Processor = await create(schema.parse(config), {
    ...around.context,
    signal,
    pipelineId: signal,
    next: next.consumer,
  });
  return { ...around, processor, next };
}

const bodiesOf = (groups: readonly Group[]): unknown[] =>
  groups.flatMap((g) => [...logRecords(g.items)].map((r) => r.body));

const logCases: [object, string[]][] = [
  [{ logs: { log_record: ['body == "b"'] } }, ['a', 'c']],
  [{ logs: { log_record: ['body == "b"', 'body == "c"'] } }, ['a']],
  [{ logs: { resource: ['attributes["service.name"] == "a"'] } }, []],
  [{ log_conditions: ['log.body == "b"', 'resource.attributes["service.name"] == "z"'] }, ['a', 'c']],
  [{ log_conditions: [{ context: 'log', conditions: ['body == "a"'] }, { conditions: ['log.body == "b"'] }] }, ['c']],
  [{ log_conditions: ['scope.name == ""'] }, []],
  [{ logs: { include: { match_type: 'strict', bodies: ['a', 'b'] } } }, ['a', 'b']],
  [{ logs: { exclude: { match_type: 'regexp', bodies: ['^[ab]$'] } } }, ['c']],
  [{ logs: { exclude: { match_type: 'strict', resource_attributes: [{ key: 'service.name', value: 'a' }] } } }, []],
  [
    { logs: { include: { match_type: 'strict', severity_number: { min: 9, match_undefined: true } } } },
    ['a', 'b', 'c'],
  ],
  [{ traces: { span: ['name == "x"'] } }, ['a', 'b', 'c']],
  [{}, ['a', 'b', 'c']],
];
for (const [config, expected] of logCases)
  test(`logs a, b, c through ${JSON.stringify(config)}: ${expected.join(', ') || 'nothing'}`, async () => {
    const { processor, next, value } = await filter(config, 'logs');
    const source = new TestSource(true);
    const batch = source.logs(['a', 'b', 'c']);
    await processor.consume(batch);
    assert.deepEqual(bodiesOf(next.batches.flatMap((b) => b.groups)), expected);
    assert.equal(next.batches.length, expected.length > 0 ? 1 : 0, 'an empty batch is not forwarded');
    if (expected.length === 3) assert.equal(next.batches[0], batch);
    assert.equal(value('otelcol_processor_filter_logs.filtered', 'filter=filter/x') ?? 0, 3 - expected.length);
  });

test('whatever is dropped, each record is settled once and the kept ones keep their parts', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.constantFrom('keep', 'drop'), { minLength: 1, maxLength: 6 }), {
        minLength: 1,
        maxLength: 5,
      }),
      async (lists) => {
        const { processor, next } = await filter({ logs: { log_record: ['body == "drop"'] } }, 'logs');
        const sources = [new TestSource(true), new TestSource(false)];
        // Groups of several parts, of both sources in turn.
        const parts = lists.map((bodies, i) => ({ ...sources[i % 2]!.group(bodies), bodies }));
        const items = Buffer.concat(parts.map((p) => p.items));
        const count = parts.reduce((n, p) => n + p.count, 0);
        const group: Group = { ...parts[0]!, items, messages: count, count, parts: parts.flatMap((p) => p.parts) };
        await processor.consume(makeBatch('logs', [group]));
        const kept = lists.flat().filter((b) => b === 'keep');
        const out = next.batches[0];
        assert.equal(out?.count ?? 0, kept.length);
        assert.equal(out?.groups[0]?.parts.reduce((n, p) => n + p.records, 0) ?? 0, kept.length);
        for (const p of out?.groups.flatMap((g) => g.parts) ?? [])
          p.ack.settle(p.records, p.bytes, { kind: 'delivered' });
        for (const [i, source] of sources.entries()) {
          const own = lists.filter((_, k) => k % 2 === i).flat();
          const { ledger } = source;
          const told = ledger.snapshot();
          assert.equal(told.filtered.records, own.filter((b) => b === 'drop').length);
          assert.equal(told.delivered.records, own.filter((b) => b === 'keep').length);
          assert.equal(ledger.snapshot().inFlight.records, 0);
          assert.equal(ledger.snapshot().inFlight.bytes, 0);
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('when the next stage refuses, nothing is settled', async () => {
  const next = collector(() => {
    throw retryable('full');
  });
  const { processor, value } = await filter({ logs: { log_record: ['body == "a"'] } }, 'logs', next);
  const source = new TestSource(false);
  await assert.rejects(processor.consume(source.logs(['a', 'b'])), /full/);
  assert.equal(source.ledger.snapshot().inFlight.records, 2);
  assert.equal(value('otelcol_processor_filter_logs.filtered') ?? 0, 0);
});

const FAILING = 'HasPrefix(attributes["missing"], "x")';

test('ignore tells about an error once and goes on, silent only goes on', async () => {
  for (const [mode, lines] of [
    ['ignore', 1],
    ['silent', 0],
  ] as const) {
    const f = await filter({ error_mode: mode, logs: { log_record: [FAILING, 'body == "b"'] } }, 'logs');
    await f.processor.consume(new TestSource(false).logs(['a', 'b', 'c']));
    assert.deepEqual(bodiesOf(f.next.batches[0]!.groups), ['a', 'c']);
    assert.equal(f.lines.length, lines);
    if (lines === 1) assert.deepEqual([f.lines[0]!.level, f.lines[0]!.fields['condition']], ['warn', FAILING]);
  }
  const ofResource = 'HasPrefix(resource.attributes["missing"], "x")';
  const f = await filter({ logs: { log_record: [ofResource] } }, 'logs');
  await f.processor.consume(new TestSource(false).logs(['a', 'b']));
  assert.deepEqual(bodiesOf(f.next.batches[0]!.groups), ['a', 'b']);
  assert.deepEqual(f.lines[0]!.fields['condition'], ofResource);
});

test('propagate refuses the batch for good, and a group may have its own mode', async () => {
  for (const config of [
    { error_mode: 'propagate', logs: { log_record: [FAILING] } },
    { log_conditions: [{ context: 'log', error_mode: 'propagate', conditions: [FAILING] }] },
  ]) {
    const f = await filter(config, 'logs');
    const source = new TestSource(false);
    await assert.rejects(f.processor.consume(source.logs(['a'])), (e: Error & { permanent?: boolean }) => {
      assert.match(e.message, /failed to execute condition/);
      return e.permanent === true;
    });
    assert.equal(source.ledger.snapshot().inFlight.records, 1);
  }
});

const ATOMS = [
  'resource.attributes["a"] == "1"',
  'resource.attributes[Concat(["b", resource.attributes["a"]], ".")] != nil',
  'HasPrefix(resource.attributes["missing"], "x")',
  'body == "x"',
  'attributes["missing"] != nil',
  FAILING,
  'true',
];
const condition = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom(...ATOMS),
    fc.tuple(tie('node'), fc.constantFrom('and', 'or'), tie('node')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('node').map((a) => `not (${a})`),
  ),
})).node;
const RESOURCES = [{}, { a: '1' }, { a: '2', 'b.2': 'x' }, { a: '1', 'b.1': 'x' }].map((o) =>
  resourceOf(new Map(Object.entries(o))),
);

test('what a resource decides for all its records is what each record would say', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(condition, { minLength: 1, maxLength: 3 }),
      fc.array(
        fc.tuple(
          fc.constantFrom(...RESOURCES),
          fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 1, maxLength: 3 }),
        ),
        { minLength: 1, maxLength: 4 },
      ),
      fc.constantFrom('ignore', 'propagate'),
      async (conditions, lists, error_mode) => {
        const program = compileProgram(
          { statements: [], conditions },
          { context: 'log', contexts: ['log', 'scope', 'resource'], functions: FILTER_FUNCTIONS },
        );
        const f = await filter({ error_mode, logs: { log_record: conditions } }, 'logs');
        const source = new TestSource(false);
        const env = new Env(f.context.clock);
        for (const [resource, bodies] of lists) {
          const group = source.group(bodies, resource);
          let failed = false;
          env.beginResource(resource);
          const expected = rewriteItems(
            group,
            env.log,
            new ProtoWriter(),
            () => !failed && !anyHolds(program, env, () => (failed = error_mode === 'propagate')),
          );
          const run = f.processor.consume(makeBatch('logs', [group]));
          if (failed) {
            await assert.rejects(run);
            continue;
          }
          await run;
          assert.deepEqual(
            bodiesOf(f.next.batches.splice(0).flatMap((b) => b.groups)),
            expected.group ? bodiesOf([expected.group]) : [],
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('groups of a resource that the conditions settle are not looked into, and what it becomes is looked at anew', async () => {
  const conditions = ['resource.attributes["keep"] != "yes" and body != "alert"'];
  const f = await filter({ logs: { log_record: conditions } }, 'logs');
  const source = new TestSource(true);
  const kept = resourceOf(new Map([['keep', 'yes']]));
  // Not even a log record: whoever looked into it would fail.
  const group: Group = { ...source.group(['x'], kept), items: Uint8Array.of(0x12, 0x7f) };
  const batch = makeBatch('logs', [group, group]);
  await f.processor.consume(batch);
  assert.equal(f.next.batches[0], batch);
  const other = resourceOf(new Map([['keep', 'no']]));
  await f.processor.consume(makeBatch('logs', [source.group(['alert', 'x'], other), source.group(['y'], kept)]));
  assert.deepEqual(bodiesOf(f.next.batches[1]!.groups), ['alert', 'y']);
});

/** Spans with an attribute n and events e1, e2. */
function spans(names: readonly string[]): Group {
  const w = new ProtoWriter();
  for (const name of names) {
    const span = w.open(2);
    w.string(5, name);
    for (const e of ['e1', 'e2']) {
      const event = w.open(11);
      w.string(2, e);
      w.close(event);
    }
    const status = w.open(15);
    w.tag(3, 0);
    w.varint(2);
    w.close(status);
    w.close(span);
  }
  const n = names.length;
  return { resource: resourceOf(new Map()), scope: EMPTY_SCOPE, items: w.finish(), messages: n, count: n, parts: [] };
}

const traceCases: [object, [string, string[]][]][] = [
  [{ traces: { span: ['name == "b"'] } }, [['a', ['e1', 'e2']]]],
  [
    { traces: { spanevent: ['name == "e1" and span.name == "a"'] } },
    [
      ['a', ['e2']],
      ['b', ['e1', 'e2']],
    ],
  ],
  [{ traces: { span: ['name == "a"'], spanevent: ['event_index == 0'] } }, [['b', ['e2']]]],
  [
    { trace_conditions: ['spanevent.name == "e2"', 'span.status.code == STATUS_CODE_OK'] },
    [
      ['a', ['e1']],
      ['b', ['e1']],
    ],
  ],
  [{ traces: { span: ['status.code == STATUS_CODE_ERROR and IsRootSpan()'] } }, []],
  [{ trace_conditions: ['resource.attributes["a"] == nil'] }, []],
  [
    { traces: { span: ['resource.attributes["a"] != nil'], spanevent: ['name == "e2"'] } },
    [
      ['a', ['e1']],
      ['b', ['e1']],
    ],
  ],
  [{ spans: { include: { match_type: 'strict', span_names: ['a'] } } }, [['a', ['e1', 'e2']]]],
];
for (const [config, expected] of traceCases)
  test(`spans a, b through ${JSON.stringify(config)}`, async () => {
    const { processor, next } = await filter(config, 'traces');
    await processor.consume(makeBatch('traces', [spans(['a', 'b'])]));
    const out = next.batches.flatMap((b) => b.groups.flatMap((g) => [...spansOf(g.items)]));
    assert.deepEqual(
      out.map((s) => [s.name, s.events.map((e) => e.name)]),
      expected,
    );
    for (const s of out) assert.equal(s.statusCode, 2);
  });

/** Gauges (field 5) and sums (field 7) with integer points that have an attribute p of the same value. */
function metrics(list: readonly (readonly [string, 5 | 7, readonly bigint[]])[]): Group {
  const w = new ProtoWriter();
  let count = 0;
  for (const [name, type, values] of list) {
    const metric = w.open(2);
    w.string(1, name);
    const data = w.open(type);
    for (const v of values) {
      count++;
      const point = w.open(1);
      w.fixed64(6, v);
      const kv = w.open(7);
      w.string(1, 'p');
      const any = w.open(2);
      w.string(1, `v${v}`);
      w.close(any);
      w.close(kv);
      w.close(point);
    }
    w.close(data);
    w.close(metric);
  }
  return {
    resource: resourceOf(new Map()),
    scope: EMPTY_SCOPE,
    items: w.finish(),
    messages: list.length,
    count,
    parts: [],
  };
}

const metricCases: [object, [string, bigint[]][], number][] = [
  [{ metrics: { metric: ['name == "g"'] } }, [['s', [3n]]], 2],
  [{ metrics: { metric: ['type == METRIC_DATA_TYPE_SUM'] } }, [['g', [1n, 2n]]], 1],
  [
    { metrics: { datapoint: ['attributes["p"] == "v2"'] } },
    [
      ['g', [1n]],
      ['s', [3n]],
    ],
    1,
  ],
  [{ metrics: { datapoint: ['metric.name == "s" and value_int > 1'] } }, [['g', [1n, 2n]]], 1],
  [{ metrics: { metric: ['HasAttrOnDatapoint("p", "v3")'] } }, [['g', [1n, 2n]]], 1],
  [{ metrics: { metric: ['HasAttrKeyOnDatapoint("p")'] } }, [], 3],
  [{ metrics: { resource: ['attributes["a"] == nil'] } }, [], 3],
  [{ metrics: { resource: ['attributes["a"] != nil'], metric: ['name == "g"'] } }, [['s', [3n]]], 2],
  [
    { metric_conditions: ['metric.name == "g" and datapoint.value_int == 1'] },
    [
      ['g', [2n]],
      ['s', [3n]],
    ],
    1,
  ],
  [{ metrics: { include: { match_type: 'regexp', metric_names: ['^g'] } } }, [['g', [1n, 2n]]], 1],
];
for (const [config, expected, dropped] of metricCases)
  test(`metrics g, s through ${JSON.stringify(config)}`, async () => {
    const { processor, next, value } = await filter(config, 'metrics');
    await processor.consume(
      makeBatch('metrics', [
        metrics([
          ['g', 5, [1n, 2n]],
          ['s', 7, [3n]],
        ]),
      ]),
    );
    const out = next.batches.flatMap((b) => b.groups.flatMap((g) => [...metricsOf(g.items)]));
    assert.deepEqual(
      out.map((m) => [m.name, m.data.points.map((p) => 'value' in p && p.value)]),
      expected,
    );
    assert.equal(value('otelcol_processor_filter_datapoints.filtered'), dropped);
  });

test('old blocks and conditions do not go together, and expr is refused', () => {
  for (const [config, message] of [
    [
      { logs: { log_record: ['true'], exclude: { match_type: 'strict', bodies: ['a'] } } },
      /cannot use ottl conditions and include\/exclude for logs/,
    ],
    [{ metrics: { include: { match_type: 'expr' } } }, /match_type expr is not supported/],
    [{ logs: { log_record: ['set(body, "x")'] } }, /converter names must start with an uppercase letter/],
    [{ error_mode: 'explode' }, /./],
  ] as const) {
    const result = schema.safeParse(config);
    assert.ok(!result.success);
    assert.match(result.error.issues[0]!.message, message);
  }
});
