/** Metrics with all that they can have, as debug prints them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { componentContext } from '../../../../test/helpers/component.ts';
import { type Batch, makeBatch } from '../../../core/batch.ts';
import type { Exporter, ExporterDefinition } from '../../../core/component.ts';
import { resourceFromBytes, scopeFromBytes } from '../../../core/resource.ts';
import { requestFromJson } from '../../../wire/otlp-json.ts';
import { decodeRequest } from '../../../wire/otlp-request.ts';
import definition from './index.ts';
import { fixed } from './value-text.ts';

const { schema, create } = definition as ExporterDefinition;
const NOON = 1_795_348_800_500_000_000n;

async function printed(verbosity: string, batch: Batch): Promise<string[]> {
  const { context, lines } = componentContext('debug', 'exporter');
  const exporter = (await create(schema.parse({ verbosity }), { ...context, signal: 'metrics' })) as Exporter;
  await exporter.consume(batch);
  return lines.map((l) => l.message);
}

/** As a receiver makes it of OTLP/JSON. */
function batchOf(resourceMetrics: object[]): Batch {
  const groups = decodeRequest('metrics', requestFromJson('metrics', JSON.stringify({ resourceMetrics }))).map((g) => ({
    ...g,
    resource: resourceFromBytes(g.resource.encoded, g.resource.schemaUrl),
    scope: scopeFromBytes(g.scope.encoded, g.scope.schemaUrl),
    parts: [],
  }));
  return makeBatch('metrics', groups);
}

const k = (key: string, stringValue: string) => ({ key, value: { stringValue } });
const exemplar = {
  timeUnixNano: String(NOON),
  traceId: '0102030405060708090a0b0c0d0e0f10',
  spanId: '1112131415161718',
  filteredAttributes: [k('user', 'u')],
};
const rich = batchOf([
  {
    resource: {
      attributes: [k('service.name', 's'), k('host.name', 'h')],
      entityRefs: [
        {
          schemaUrl: 'https://schema/2',
          type: 'service',
          idKeys: ['service.name'],
          descriptionKeys: ['service.version', 'x'],
        },
        { type: 'host', idKeys: ['host.name'] },
      ],
    },
    scopeMetrics: [
      {
        metrics: [
          {
            name: 'meta',
            metadata: [k('meta.key', 'v'), { key: 'n', value: { intValue: '101' } }],
            sum: {
              aggregationTemporality: 1,
              dataPoints: [
                { asDouble: -0.0078125, exemplars: [{ ...exemplar, asInt: '15' }, { asDouble: 1.5 }] },
                { flags: 1 },
                { asDouble: 'Infinity', startTimeUnixNano: String(NOON - 1n), timeUnixNano: String(NOON) },
                { asDouble: 1.5e300 },
              ],
            },
          },
          {
            name: 'h',
            histogram: {
              aggregationTemporality: 2,
              dataPoints: [
                { count: '1' },
                {
                  count: '3',
                  sum: 0,
                  min: -1,
                  max: 2,
                  explicitBounds: [1],
                  bucketCounts: ['1', '2'],
                  exemplars: [exemplar],
                },
              ],
            },
          },
          {
            name: 'e',
            exponentialHistogram: {
              aggregationTemporality: 1,
              dataPoints: [
                {
                  count: '5',
                  sum: 0.15,
                  min: -1.2,
                  max: 2.5,
                  scale: 1,
                  zeroCount: '1',
                  zeroThreshold: 1e-7,
                  negative: { offset: -1, bucketCounts: ['1', '0'] },
                  positive: { offset: 1, bucketCounts: ['1', '1'] },
                  exemplars: [{ ...exemplar, asDouble: 15 }],
                },
              ],
            },
          },
          { name: 'none' },
        ],
      },
    ],
  },
]);

test('detailed prints exemplars, metadata, entities, and only what a data point has', async () => {
  const [, text] = await printed('detailed', rich);
  const head = (n: number, name: string, type: string) => [
    `Metric #${n}`,
    'Descriptor:',
    `     -> Name: ${name}`,
    '     -> Description: ',
    '     -> Unit: ',
    `     -> DataType: ${type}`,
  ];
  const EPOCH = '1970-01-01 00:00:00 +0000 UTC';
  const untimed = [`StartTimestamp: ${EPOCH}`, `Timestamp: ${EPOCH}`];
  const sample = (i: number, ...value: string[]) => [
    `Exemplar #${i}`,
    '     -> Trace ID: 0102030405060708090a0b0c0d0e0f10',
    '     -> Span ID: 1112131415161718',
    '     -> Timestamp: 2026-11-22 12:00:00.5 +0000 UTC',
    ...value,
    '     -> FilteredAttributes:',
    '          -> user: Str(u)',
  ];
  assert.deepEqual(text!.split('\n'), [
    'ResourceMetrics #0',
    'Resource SchemaURL: ',
    'Resource attributes:',
    '     -> service.name: Str(s)',
    '     -> host.name: Str(h)',
    'Resource entity refs:',
    '     -> Entity ref #0:',
    '          -> Type: service',
    '          -> Schema URL: https://schema/2',
    '          -> ID keys:',
    '               -> service.name',
    '          -> Description keys:',
    '               -> service.version',
    '               -> x',
    '     -> Entity ref #1:',
    '          -> Type: host',
    '          -> ID keys:',
    '               -> host.name',
    'ScopeMetrics #0',
    'ScopeMetrics SchemaURL: ',
    'InstrumentationScope  ',
    ...head(0, 'meta', 'Sum'),
    '     -> Metadata:',
    '          -> meta.key: Str(v)',
    '          -> n: Int(101)',
    '     -> IsMonotonic: false',
    '     -> AggregationTemporality: Delta',
    'NumberDataPoints #0',
    ...untimed,
    'Value: -0.007812',
    'Exemplars:',
    ...sample(0, '     -> Value: 15'),
    'Exemplar #1',
    '     -> Trace ID: ',
    '     -> Span ID: ',
    `     -> Timestamp: ${EPOCH}`,
    '     -> Value: 1.500000',
    'NumberDataPoints #1',
    ...untimed,
    'NumberDataPoints #2',
    'StartTimestamp: 2026-11-22 12:00:00.499999999 +0000 UTC',
    'Timestamp: 2026-11-22 12:00:00.5 +0000 UTC',
    'Value: +Inf',
    'NumberDataPoints #3',
    ...untimed,
    `Value: ${BigInt(1.5e300)}.000000`,
    ...head(1, 'h', 'Histogram'),
    '     -> AggregationTemporality: Cumulative',
    'HistogramDataPoints #0',
    ...untimed,
    'Count: 1',
    'HistogramDataPoints #1',
    ...untimed,
    'Count: 3',
    'Sum: 0.000000',
    'Min: -1.000000',
    'Max: 2.000000',
    'ExplicitBounds #0: 1.000000',
    'Buckets #0, Count: 1',
    'Buckets #1, Count: 2',
    'Exemplars:',
    ...sample(0),
    ...head(2, 'e', 'ExponentialHistogram'),
    '     -> AggregationTemporality: Delta',
    'ExponentialHistogramDataPoints #0',
    ...untimed,
    'Count: 5',
    'Sum: 0.150000',
    'Min: -1.200000',
    'Max: 2.500000',
    'Bucket [-1.414214, -1.000000), Count: 0',
    'Bucket [-1.000000, -0.707107), Count: 1',
    'Bucket [0, 0], Count: 1',
    'Bucket (1.414214, 2.000000], Count: 1',
    'Bucket (2.000000, 2.828427], Count: 1',
    'Exemplars:',
    ...sample(0, '     -> Value: 15.000000'),
    ...head(3, 'none', 'Empty'),
  ]);
});

test('normal prints a line per data point, whatever it has', async () => {
  const [, text] = await printed('normal', rich);
  assert.deepEqual(text!.split('\n').slice(2), [
    'meta{} -0.0078125',
    'meta{}',
    'meta{} +Inf',
    'meta{} 1.5e+300',
    'h{} count=1',
    'h{} count=3 sum=0 min=-1 max=2 le1=1 2',
    'e{} count=5 sum=0.15 min=-1.2 max=2.5 le0.7071067811865475=1 le1=0 le1.4142135623730951=1 le2.0000000000000004=1 zero_count1e-07=1',
  ]);
});

for (const [value, text] of [
  [0.0078125, '0.007812'],
  [0.0234375, '0.023438'],
  [-0, '-0.000000'],
  [-1e-9, '-0.000000'],
  [1e21, '1000000000000000000000.000000'],
  [Number.NaN, 'NaN'],
  [Number.NEGATIVE_INFINITY, '-Inf'],
] as const)
  test(`${Object.is(value, -0) ? '-0' : value} is printed as Go prints it: ${text}`, () => {
    assert.equal(fixed(value), text);
  });
