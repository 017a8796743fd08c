import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { SYSTEM_CLOCK } from '../../core/clock.ts';
import { snappyEncode } from '../../wire/snappy.ts';
import { metricStore, type SentSeries, writeRequest } from './metric-testing.ts';
import { startStoreServer } from './server.ts';
import { LogStore } from './store.ts';

const NOW = Date.UTC(2026, 10, 1, 12);
const store = new LogStore({ path: ':memory:', maxRows: 10, maxAgeMs: 1e9 });
const metrics = metricStore({ maxSeries: 5 });
const server = await startStoreServer({
  store,
  metrics,
  clock: { ...SYSTEM_CLOCK, nowMs: () => NOW },
  port: 0,
  status: () => ({}),
});
after(async () => {
  await server.close();
  store.close();
  metrics.close();
});

const PROTOBUF = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
const WRITE = '/insert/0/prometheus/api/v1/write';
const post = (path: string, body: Uint8Array | string, headers: Record<string, string>) =>
  fetch(server.url + path, { method: 'POST', body: body as BodyInit, headers });
const request = (name: string) => writeRequest([{ name, labels: { a: 'b' }, samples: [[NOW, 1]] }]);

test('remote write is taken packed with snappy and zstd, and refused as senders understand it', async () => {
  const body = request('w');
  const packed = snappyEncode(body);
  const many = writeRequest(Array.from({ length: 9 }, (_, i) => ({ name: `many_${i}`, samples: [[NOW, 1]] as const })));
  const { 'content-type': type } = PROTOBUF;
  const table: [string, Promise<Response>, number, RegExp][] = [
    ['snappy', post(WRITE, packed, PROTOBUF), 204, /^$/],
    ['zstd', post(WRITE, zstdCompressSync(body), { ...PROTOBUF, 'content-encoding': 'zstd' }), 204, /^$/],
    ['no encoding named', post('/api/v1/write', packed, { 'content-type': type }), 204, /^$/],
    [
      'version 1 by name',
      post('/prometheus/api/v1/write', packed, {
        ...PROTOBUF,
        'content-type': `${type};proto=prometheus.WriteRequest`,
      }),
      204,
      /^$/,
    ],
    [
      'version 2',
      post(WRITE, packed, { ...PROTOBUF, 'content-type': `${type};proto=io.prometheus.write.v2.Request` }),
      415,
      /write\.v2\.request is not supported, only prometheus\.WriteRequest/,
    ],
    ['another tenant', post('/insert/1/prometheus/api/v1/write', packed, PROTOBUF), 405, /only GET/],
    ['gzip', post(WRITE, body, { ...PROTOBUF, 'content-encoding': 'gzip' }), 415, /"gzip" is not supported/],
    ['JSON', post(WRITE, '{}', { 'content-type': 'application/json' }), 415, /only application\/x-protobuf/],
    ['not packed', post(WRITE, body, PROTOBUF), 400, /no remote write request/],
    ['cut', post(WRITE, packed.subarray(0, 9), PROTOBUF), 400, /no remote write request/],
    ['packed garbage', post(WRITE, snappyEncode(Buffer.from([10, 200, 1])), PROTOBUF), 400, /no remote write request/],
    [
      'a bomb',
      post(WRITE, zstdCompressSync(Buffer.alloc(64 << 20)), { ...PROTOBUF, 'content-encoding': 'zstd' }),
      413,
      /too large/,
    ],
    [
      'a block that claims to be large',
      post(WRITE, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]), PROTOBUF),
      413,
      /too large/,
    ],
    ['too many series', post(WRITE, snappyEncode(many), PROTOBUF), 422, /5 series at most/],
    [
      'old',
      post(WRITE, snappyEncode(writeRequest([{ name: 'x', samples: [[1, 1]] }])), PROTOBUF),
      400,
      /out of bounds/,
    ],
    ['GET', fetch(server.url + WRITE), 405, /only POST/],
  ];
  for (const [name, answer, status, words] of table) {
    const r = await answer;
    const text = (await r.text()).trim();
    assert.equal(r.status, status, `${name}: ${text}`);
    assert.match(text, words, name);
  }
  assert.deepEqual([metrics.accepted, metrics.repeated, metrics.kept], [4, 3, 1]);
});

test('queries are answered as Prometheus answers, and what is not known with its errors', async () => {
  const samples = (values: readonly number[]) =>
    values.map((v, i) => [NOW - (values.length - 1 - i) * 10_000, v] as const);
  const list: SentSeries[] = [
    { name: 'c_total', labels: { host: 'h', dir: 'in' }, samples: samples([0, 10, 20, 30, 40, 50, 60]) },
    { name: 'g', labels: { host: 'h' }, samples: samples([1.5, Number.POSITIVE_INFINITY]) },
  ];
  assert.equal((await post(WRITE, snappyEncode(writeRequest(list)), PROTOBUF)).status, 204);
  const at = NOW / 1000;
  const data: [string, unknown][] = [
    [
      'query?query=g',
      { resultType: 'vector', result: [{ metric: { __name__: 'g', host: 'h' }, value: [at, '+Inf'] }] },
    ],
    [
      `query?query=g&time=${at - 5}`,
      { resultType: 'vector', result: [{ metric: { __name__: 'g', host: 'h' }, value: [at - 5, '1.5'] }] },
    ],
    ['query?query=g&time=2026-11-01T11:59:49.5Z', { resultType: 'vector', result: [] }],
    [
      'query?query=g[1m]',
      {
        resultType: 'matrix',
        result: [
          {
            metric: { __name__: 'g', host: 'h' },
            values: [
              [at - 10, '1.5'],
              [at, '+Inf'],
            ],
          },
        ],
      },
    ],
    [`query?query=g&lookback_delta=1s&time=${at - 5}`, { resultType: 'vector', result: [] }],
    [
      `query_range?query=rate(c_total[30s])&start=${at - 30}&end=${at}&step=15`,
      {
        resultType: 'matrix',
        result: [
          {
            metric: { dir: 'in', host: 'h' },
            values: [
              [at - 30, '1'],
              [at - 15, '1'],
              [at, '1'],
            ],
          },
        ],
      },
    ],
    [
      `query_range?query=sum(g)&start=${at - 10}&end=${at}&step=5s`,
      {
        resultType: 'matrix',
        result: [
          {
            metric: {},
            values: [
              [at - 10, '1.5'],
              [at - 5, '1.5'],
              [at, '+Inf'],
            ],
          },
        ],
      },
    ],
    ['label/__name__/values', ['c_total', 'g', 'w']],
    ['label/dir/values', ['in']],
    ['label/host/values?match[]=nothing', []],
    ['labels', ['__name__', 'a', 'dir', 'host']],
    ['labels?match[]=g', ['__name__', 'host']],
    [
      'series?match[]={host="h"}&match[]=g',
      [
        { __name__: 'c_total', dir: 'in', host: 'h' },
        { __name__: 'g', host: 'h' },
      ],
    ],
  ];
  for (const [path, expected] of data)
    for (const prefix of ['', '/prometheus', '/select/0/prometheus']) {
      const r = await fetch(`${server.url}${prefix}/api/v1/${path}`);
      assert.deepEqual(await r.json(), { status: 'success', data: expected }, path);
      assert.equal(r.status, 200);
    }
  const form = await post('/api/v1/query', 'query=g', { 'content-type': 'application/x-www-form-urlencoded' });
  assert.equal(((await form.json()) as { data: { result: unknown[] } }).data.result.length, 1);

  const errors: [string, number, string, RegExp][] = [
    ['query', 400, 'bad_data', /no expression found in input/],
    ['query?query=g{', 400, 'bad_data', /parse error/],
    [
      'query?query=g*2',
      422,
      'execution',
      /operator \* is not supported by the embedded store; it knows selectors, rate/,
    ],
    ['query?query=topk(1,g)', 422, 'execution', /function topk is not supported/],
    ['query?query=g&time=soon', 400, 'bad_data', /cannot parse "soon" to a valid timestamp/],
    ['query_range?query=g', 400, 'bad_data', /start and end are required/],
    [`query_range?query=g&start=${at}&end=${at - 1}&step=1`, 400, 'bad_data', /must not be before start/],
    [`query_range?query=g&start=0&end=${at}&step=1`, 400, 'bad_data', /exceeded maximum resolution/],
    [`query_range?query=g&start=0&end=1&step=0`, 400, 'bad_data', /zero or negative/],
    [`query_range?query=g&start=0&end=1&step=x`, 400, 'bad_data', /cannot parse "x" to a valid duration/],
    [`query_range?query=g[1m]&start=0&end=1&step=1`, 400, 'bad_data', /invalid expression type "range vector"/],
    ['series', 400, 'bad_data', /no match\[\] parameter provided/],
    ['series?match[]=sum(g)', 400, 'bad_data', /expected a selector/],
    ['label/%ff/values', 400, 'bad_data', /invalid label name/],
  ];
  for (const [path, status, errorType, words] of errors) {
    const r = await fetch(`${server.url}/api/v1/${path}`);
    const answer = (await r.json()) as { status: string; errorType: string; error: string };
    assert.deepEqual([r.status, answer.status, answer.errorType], [status, 'error', errorType], path);
    assert.match(answer.error, words, path);
  }
  assert.equal((await fetch(`${server.url}/api/v1/alerts`)).status, 404);
  assert.equal((await post('/api/v1/query', 'query=g', { 'content-type': 'text/plain' })).status, 415);
});
