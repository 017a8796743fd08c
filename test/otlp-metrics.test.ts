/** Metrics of all types through the collector: OTLP/HTTP in as JSON and protobuf, out as both, and on its terminal. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { flat, forOracle, type Json, readByOracle, writtenByOracle } from '../src/wire/testing.ts';
import { defer, freePort, READY, startWith, tempDir, until } from './helpers/agent.ts';

const time = { startTimeUnixNano: '1795348800000000001', timeUnixNano: '1795348801500000002' };
const point = { ...time, attributes: [{ key: 'k', value: { stringValue: 'v' } }] };
const exemplars = [
  {
    timeUnixNano: '1795348801000000000',
    asDouble: 0.5,
    traceId: '0102030405060708090a0b0c0d0e0f10',
    spanId: '1112131415161718',
    filteredAttributes: [{ key: 'user', value: { intValue: '7' } }],
  },
];
const METRICS = {
  resourceMetrics: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
      schemaUrl: 'https://schema/1',
      scopeMetrics: [
        {
          scope: { name: 'lib', version: '2', attributes: [{ key: 's', value: { boolValue: true } }] },
          schemaUrl: 'https://schema/2',
          metrics: [
            { name: 'gauge', description: 'about', unit: 'Cel', gauge: { dataPoints: [{ ...point, asDouble: -1.5 }] } },
            {
              name: 'sum',
              metadata: [{ key: 'm', value: { stringValue: 'n' } }],
              sum: {
                aggregationTemporality: 2,
                isMonotonic: true,
                dataPoints: [
                  { ...point, asInt: '9007199254740993', exemplars },
                  { ...time, flags: 1 },
                ],
              },
            },
            {
              name: 'histogram',
              histogram: {
                aggregationTemporality: 1,
                dataPoints: [
                  {
                    ...point,
                    count: '3',
                    sum: 4.5,
                    min: 0.25,
                    max: 3,
                    bucketCounts: ['1', '2'],
                    explicitBounds: [1],
                    exemplars,
                  },
                ],
              },
            },
            {
              name: 'exponential',
              exponentialHistogram: {
                aggregationTemporality: 2,
                dataPoints: [
                  {
                    ...point,
                    count: '6',
                    sum: 1.5,
                    min: -2,
                    max: 3,
                    scale: 1,
                    zeroCount: '1',
                    zeroThreshold: 0.001,
                    positive: { offset: 1, bucketCounts: ['1', '2'] },
                    negative: { offset: -1, bucketCounts: ['2'] },
                    exemplars,
                  },
                ],
              },
            },
            {
              name: 'summary',
              summary: {
                dataPoints: [{ ...point, count: '2', sum: 5, quantileValues: [{ quantile: 0.5, value: 2.5 }] }],
              },
            },
          ],
        },
      ],
    },
  ],
};

async function destination(t: TestContext, read: (body: Buffer) => Json) {
  const received: Json[] = [];
  const server = createServer(async (req, res) => {
    const body = Buffer.concat((await req.toArray()) as Buffer[]);
    received.push(read(req.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body));
    res.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => {
    server.close();
    server.closeAllConnections();
  });
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

/** One line for each of what the sender has given. */
const SAID = [
  'Resource SchemaURL: https://schema/1',
  'ScopeMetrics SchemaURL: https://schema/2',
  'InstrumentationScope lib 2',
  '     -> Unit: Cel',
  '     -> DataType: Gauge',
  'Value: -1.500000',
  'StartTimestamp: 2026-11-22 12:00:00.000000001 +0000 UTC',
  'Timestamp: 2026-11-22 12:00:01.500000002 +0000 UTC',
  '          -> m: Str(n)',
  '     -> IsMonotonic: true',
  'Value: 9007199254740993',
  '     -> Trace ID: 0102030405060708090a0b0c0d0e0f10',
  '          -> user: Int(7)',
  '     -> DataType: Histogram',
  '     -> AggregationTemporality: Delta',
  'Buckets #1, Count: 2',
  '     -> DataType: ExponentialHistogram',
  'Bucket [-1.000000, -0.707107), Count: 2',
  'Bucket (2.000000, 2.828427], Count: 2',
  '     -> DataType: Summary',
  'QuantileValue #0: Quantile 0.500000, Value 2.500000',
];

for (const [encoding, type, body] of [
  ['JSON', 'application/json', JSON.stringify(METRICS)],
  ['protobuf', 'application/x-protobuf', Buffer.from(writtenByOracle('metrics', METRICS))],
] as const)
  test(`metrics that come as ${encoding} leave complete, and debug shows every field`, async (t) => {
    const protobuf = await destination(t, (b) => readByOracle('metrics', b));
    const json = await destination(t, (b) => forOracle(JSON.parse(b.toString())) as Json);
    const port = await freePort();
    const exporters = {
      'otlp_http/protobuf': { endpoint: protobuf.endpoint },
      'otlp_http/json': { endpoint: json.endpoint, encoding: 'json', compression: 'none' },
      debug: { verbosity: 'detailed' },
    };
    const metrics = { receivers: ['otlp'], exporters: Object.keys(exporters) };
    const agent = startWith(
      t,
      tempDir(t),
      JSON.stringify({
        receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
        exporters,
        service: { telemetry: { metrics: { level: 'none' } }, pipelines: { metrics } },
      }),
    );
    await agent.says(READY);
    const answer = await fetch(`http://127.0.0.1:${port}/v1/metrics`, {
      method: 'POST',
      headers: { 'content-type': type },
      body,
    });
    assert.equal(answer.status, 200, await answer.text());
    await until(() => protobuf.received.length > 0 && json.received.length > 0, 'both destinations');
    assert.equal((await agent.stop()).code, 0);
    const expected = flat('metrics', forOracle(METRICS) as Json);
    assert.deepEqual(
      protobuf.received.map((r) => flat('metrics', r)),
      [expected],
    );
    assert.deepEqual(
      json.received.map((r) => flat('metrics', r)),
      [expected],
    );
    const lines = agent.output.split('\n');
    assert.deepEqual(
      SAID.filter((line) => !lines.some((l) => l.startsWith(line))),
      [],
      agent.output,
    );
  });
