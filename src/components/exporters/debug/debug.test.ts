import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { componentContext, TestSource } from '../../../../test/helpers/component.ts';
import { type Batch, type Group, makeBatch, type Signal } from '../../../core/batch.ts';
import type { Exporter, ExporterDefinition } from '../../../core/component.ts';
import { EMPTY_SCOPE, resourceOf, scopeOf } from '../../../core/resource.ts';
import { writeAttributes } from '../../../wire/otlp.ts';
import { writeLogRecord } from '../../../wire/otlp-logs.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import definition from './index.ts';

const { schema, create } = definition as ExporterDefinition;
const NOON = 1_795_348_800_500_000_000n;
const resource = resourceOf(new Map([['service.name', 's']]), 'https://schema/1');
const scope = scopeOf('lib', '1.2', new Map([['k', true]]));

function group(write: (w: ProtoWriter) => void, count: number, messages = count): Group {
  const w = new ProtoWriter();
  write(w);
  return { resource, scope, items: w.finish(), messages, count, parts: [] };
}

async function exporter(config: object, signal: Signal) {
  const around = componentContext('debug', 'exporter');
  const e = (await create(schema.parse(config), { ...around.context, signal })) as Exporter;
  await e.start?.();
  return { ...around, exporter: e };
}

async function printed(verbosity: string, batch: Batch): Promise<string[]> {
  const { exporter: e, lines } = await exporter({ verbosity }, batch.signal);
  await e.consume(batch);
  return lines.map((l) => l.message);
}

const logs = makeBatch('logs', [
  group((w) => {
    writeLogRecord(w, {
      time: NOON,
      observedTime: 0n,
      severityNumber: 10,
      severityText: 'INFO',
      body: new Map<string, string | bigint>([
        ['a', 'x'],
        ['n', 1n],
      ]),
      attributes: new Map<string, bigint | number | boolean | null | Uint8Array | string[]>([
        ['i', 5n],
        ['d', 0.5],
        ['b', true],
        ['e', null],
        ['y', Uint8Array.of(1, 2)],
        ['l', ['p', 'q']],
      ]),
      traceId: Uint8Array.of(0xab, 0xcd),
      eventName: 'ev',
    });
  }, 1),
  group(
    (w) =>
      writeLogRecord(w, {
        time: 0n,
        observedTime: 0n,
        severityNumber: 0,
        severityText: '',
        body: 'two',
        attributes: new Map(),
      }),
    1,
  ),
]);

test('basic prints one line of counts, counts what it sent and settles it', async () => {
  const { exporter: e, lines, value } = await exporter({}, 'logs');
  const source = new TestSource(true);
  await e.consume(source.logs(['a', 'b']));
  assert.deepEqual(lines, [{ level: 'info', message: 'Logs', fields: { 'resource logs': 1, 'log records': 2 } }]);
  assert.equal(source.ledger.snapshot().delivered.records, 2);
  assert.equal(value('otelcol_exporter_sent_log_records', 'exporter=debug'), 2);
});

test('normal prints a line per log record below its resource and scope', async () => {
  assert.deepEqual(await printed('Normal', logs), [
    'Logs',
    [
      'ResourceLog #0 [https://schema/1] service.name=s',
      'ScopeLog #0 lib@1.2 k=true',
      '{"a":"x","n":1} i=5 d=0.5 b=true e= y=AQI= l=["p","q"]',
      'two',
    ].join('\n'),
  ]);
});

test('detailed prints every field of log records', async () => {
  const [, text] = await printed('detailed', logs);
  assert.deepEqual(text!.split('\n'), [
    'ResourceLog #0',
    'Resource SchemaURL: https://schema/1',
    'Resource attributes:',
    '     -> service.name: Str(s)',
    'ScopeLogs #0',
    'ScopeLogs SchemaURL: ',
    'InstrumentationScope lib 1.2',
    'InstrumentationScope attributes:',
    '     -> k: Bool(true)',
    'LogRecord #0',
    'ObservedTimestamp: 1970-01-01 00:00:00 +0000 UTC',
    'Timestamp: 2026-11-22 12:00:00.5 +0000 UTC',
    'SeverityText: INFO',
    'SeverityNumber: Info2(10)',
    'EventName: ev',
    'Body: Map({"a":"x","n":1})',
    'Attributes:',
    '     -> i: Int(5)',
    '     -> d: Double(0.5)',
    '     -> b: Bool(true)',
    '     -> e: Empty()',
    '     -> y: Bytes(AQI=)',
    '     -> l: Slice(["p","q"])',
    'Trace ID: abcd',
    'Span ID: ',
    'Flags: 0',
    'LogRecord #1',
    'ObservedTimestamp: 1970-01-01 00:00:00 +0000 UTC',
    'Timestamp: 1970-01-01 00:00:00 +0000 UTC',
    'SeverityText: ',
    'SeverityNumber: Unspecified(0)',
    'Body: Str(two)',
    'Trace ID: ',
    'Span ID: ',
    'Flags: 0',
  ]);
});

/** One metric item; `data` is written inside field `field`. */
function metric(w: ProtoWriter, name: string, field: number, data: (w: ProtoWriter) => void): void {
  const item = w.open(2);
  w.string(1, name);
  w.string(2, 'about');
  w.string(3, 'By');
  const at = w.open(field);
  data(w);
  w.close(at);
  w.close(item);
}

function point(w: ProtoWriter, write: (w: ProtoWriter) => void, attributesField = 7): void {
  const at = w.open(1);
  writeAttributes(w, attributesField, new Map([['k', 'v']]));
  w.fixed64(3, NOON);
  write(w);
  w.close(at);
}

const number = (w: ProtoWriter, field: number, n: number): void => {
  w.tag(field, 0);
  w.varint(n);
};

const metrics = makeBatch('metrics', [
  group((w) => {
    metric(w, 'gauge', 5, (d) => point(d, (p) => p.double(4, 1.5)));
    metric(w, 'sum', 7, (d) => {
      point(d, (p) => p.fixed64(6, -7n));
      number(d, 2, 2);
      number(d, 3, 1);
    });
    metric(w, 'hist', 9, (d) => {
      point(
        d,
        (p) => {
          p.fixed64(4, 3n);
          p.double(5, 10);
          // Packed, as every writer of today does it.
          const counts = p.open(6);
          for (const n of [1n, 2n]) {
            p.reserve(8);
            p.pos = p.buf.writeBigUInt64LE(n, p.pos);
          }
          p.close(counts);
          const bounds = p.open(7);
          p.reserve(8);
          p.pos = p.buf.writeDoubleLE(2.5, p.pos);
          p.close(bounds);
          p.double(12, 9);
        },
        9,
      );
      number(d, 2, 1);
    });
    metric(w, 'exp', 10, (d) =>
      point(
        d,
        (p) => {
          p.fixed64(4, 4n);
          p.fixed64(7, 1n);
          const positive = p.open(8);
          number(p, 1, 2); // zigzag of 1
          const counts = p.open(2);
          p.varint(0);
          p.varint(3);
          p.close(counts);
          p.close(positive);
        },
        1,
      ),
    );
    metric(w, 'summary', 11, (d) =>
      point(d, (p) => {
        p.fixed64(4, 2n);
        p.double(5, 5);
        const q = p.open(6);
        p.double(1, 0.5);
        p.double(2, 2);
        p.close(q);
      }),
    );
  }, 5),
]);

test('normal prints a line per data point', async () => {
  const [first, text] = await printed('normal', metrics);
  assert.equal(first, 'Metrics');
  assert.deepEqual(text!.split('\n').slice(2), [
    'gauge{k=v} 1.5',
    'sum{k=v} -7',
    'hist{k=v} count=3 sum=10 max=9 le2.5=1 2',
    'exp{k=v} count=4 le2=0 le4=3 zero_count0=1',
    'summary{k=v} count=2 sum=5.000000 q0.5=2',
  ]);
});

test('detailed prints every field of metrics', async () => {
  const [, text] = await printed('detailed', metrics);
  const head = (type: string, ...more: string[]) => [
    '     -> Description: about',
    '     -> Unit: By',
    `     -> DataType: ${type}`,
    ...more,
  ];
  const at = (title: string) => [
    title,
    'Data point attributes:',
    '     -> k: Str(v)',
    'StartTimestamp: 1970-01-01 00:00:00 +0000 UTC',
    'Timestamp: 2026-11-22 12:00:00.5 +0000 UTC',
  ];
  const name = (i: number, n: string) => [`Metric #${i}`, 'Descriptor:', `     -> Name: ${n}`];
  assert.deepEqual(text!.split('\n').slice(9), [
    ...name(0, 'gauge'),
    ...head('Gauge'),
    ...at('NumberDataPoints #0'),
    'Value: 1.500000',
    ...name(1, 'sum'),
    ...head('Sum', '     -> IsMonotonic: true', '     -> AggregationTemporality: Cumulative'),
    ...at('NumberDataPoints #0'),
    'Value: -7',
    ...name(2, 'hist'),
    ...head('Histogram', '     -> AggregationTemporality: Delta'),
    ...at('HistogramDataPoints #0'),
    'Count: 3',
    'Sum: 10.000000',
    'Max: 9.000000',
    'ExplicitBounds #0: 2.500000',
    'Buckets #0, Count: 1',
    'Buckets #1, Count: 2',
    ...name(3, 'exp'),
    ...head('ExponentialHistogram', '     -> AggregationTemporality: Unspecified'),
    ...at('ExponentialHistogramDataPoints #0'),
    'Count: 4',
    'Bucket [0, 0], Count: 1',
    'Bucket (2.000000, 4.000000], Count: 0',
    'Bucket (4.000000, 8.000000], Count: 3',
    ...name(4, 'summary'),
    ...head('Summary'),
    ...at('SummaryDataPoints #0'),
    'Count: 2',
    'Sum: 5.000000',
    'QuantileValue #0: Quantile 0.500000, Value 2.000000',
  ]);
});

const traces = makeBatch('traces', [
  group((w) => {
    const item = w.open(2);
    w.bytes(1, Uint8Array.of(1));
    w.bytes(2, Uint8Array.of(2));
    w.bytes(4, Uint8Array.of(3));
    w.string(5, 'op');
    number(w, 6, 2);
    w.fixed64(7, NOON);
    w.fixed64(8, NOON + 500_000_000n);
    writeAttributes(w, 9, new Map([['k', 'v']]));
    const event = w.open(11);
    w.fixed64(1, NOON);
    w.string(2, 'happened');
    writeAttributes(w, 3, new Map([['x', 1n]]));
    w.close(event);
    const link = w.open(13);
    w.bytes(1, Uint8Array.of(9));
    w.close(link);
    const status = w.open(15);
    w.string(2, 'bad');
    number(w, 3, 2);
    w.close(status);
    w.close(item);
  }, 1),
]);

test('normal prints a line per span', async () => {
  const [first, text] = await printed('normal', traces);
  assert.equal(first, 'Traces');
  assert.equal(text!.split('\n')[2], 'op 01 02 k=v');
});

test('detailed prints every field of spans', async () => {
  const [, text] = await printed('detailed', traces);
  assert.deepEqual(text!.split('\n').slice(9), [
    'Span #0',
    '    Trace ID       : 01',
    '    Parent ID      : 03',
    '    ID             : 02',
    '    Name           : op',
    '    Kind           : Server',
    '    Start time     : 2026-11-22 12:00:00.5 +0000 UTC',
    '    End time       : 2026-11-22 12:00:01 +0000 UTC',
    '    Status code    : Error',
    '    Status message : bad',
    'Attributes:',
    '     -> k: Str(v)',
    'Events:',
    'SpanEvent #0',
    '     -> Name: happened',
    '     -> Timestamp: 2026-11-22 12:00:00.5 +0000 UTC',
    '     -> DroppedAttributesCount: 0',
    '     -> Attributes::',
    '          -> x: Int(1)',
    'Links:',
    'SpanLink #0',
    '     -> Trace ID: 09',
    '     -> ID: ',
    '     -> TraceState: ',
    '     -> DroppedAttributesCount: 0',
  ]);
});

test('resources are counted as neighbours, not as groups', async () => {
  const { exporter: e, lines } = await exporter({}, 'logs');
  const other = { ...logs.groups[0]!, resource: resourceOf(new Map()), scope: EMPTY_SCOPE };
  await e.consume(makeBatch('logs', [...logs.groups, other]));
  assert.deepEqual(lines[0]!.fields, { 'resource logs': 2, 'log records': 3 });
});

test('equal messages are sampled per second', async () => {
  const { exporter: e, lines, clock } = await exporter({ sampling_initial: 2, sampling_thereafter: 3 }, 'logs');
  for (let i = 0; i < 8; i++) await e.consume(logs);
  assert.equal(lines.length, 4);
  clock.ms += 1000;
  await e.consume(logs);
  assert.equal(lines.length, 5);
});

test('without the internal logger bare messages go to the output paths', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-debug-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'out.txt');
  const { exporter: e, lines } = await exporter({ use_internal_logger: false, output_paths: [path] }, 'logs');
  await e.consume(new TestSource(false).logs(['a']));
  await e.stop?.(new AbortController().signal);
  assert.equal(readFileSync(path, 'utf8'), 'Logs\t{"resource logs": 1, "log records": 1}\n');
  assert.deepEqual(lines, []);
});

test('bytes that are not OTLP are refused for good', async () => {
  const { exporter: e } = await exporter({ verbosity: 'detailed' }, 'logs');
  const bad: Group = { ...logs.groups[0]!, items: Uint8Array.of(0x12, 200) };
  await assert.rejects(e.consume(makeBatch('logs', [bad])), { permanent: true, message: /cannot be decoded/ });
});

const refused: [object, RegExp][] = [
  [{ verbosity: 'none' }, /verbosity level "none" is not supported/],
  [{ output_paths: ['stdout'] }, /only supported with use_internal_logger set to false/],
  [{ verbos: 'basic' }, /verbos/],
];
for (const [config, message] of refused)
  test(`configuration ${JSON.stringify(config)} is refused`, () => {
    const result = schema.safeParse(config);
    assert.ok(!result.success);
    assert.match(result.error.issues[0]!.message, message);
  });
