import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from '../../../test/helpers/property.ts';
import { SYSTEM_CLOCK } from '../../core/clock.ts';
import { encodeResource, type Value } from '../../wire/otlp.ts';
import { writeLogRecord } from '../../wire/otlp-logs.ts';
import { ProtoWriter } from '../../wire/proto.ts';
import { decodeJson, decodeProtobuf, severityOf } from './decode.ts';
import { MetricStore } from './metric-store.ts';
import { parseQuery, QueryError } from './query.ts';
import { startStoreServer } from './server.ts';
import { LogStore } from './store.ts';

const NOW = Date.UTC(2026, 10, 1, 12);

interface Sent {
  readonly pod: string;
  readonly namespace?: string;
  readonly records: readonly { body: Value; agoMs?: number; severity?: number; attributes?: Record<string, Value> }[];
}

function request(groups: readonly Sent[]): Uint8Array {
  const w = new ProtoWriter(1024);
  for (const g of groups) {
    const group = w.open(1);
    w.bytes(
      1,
      encodeResource(
        new Map([
          ['k8s.pod.name', g.pod],
          ['k8s.namespace.name', g.namespace ?? 'shop'],
          ['host.name', `h-${g.pod}`],
        ]),
      ),
    );
    const scope = w.open(2);
    for (const r of g.records)
      writeLogRecord(w, {
        time: BigInt(NOW - (r.agoMs ?? 0)) * 1_000_000n + 7n,
        observedTime: 0n,
        severityNumber: r.severity ?? 0,
        severityText: '',
        body: r.body,
        attributes: new Map(Object.entries(r.attributes ?? {})),
      });
    w.close(scope);
    w.close(group);
  }
  return w.finish();
}

const storeWith = (
  groups: readonly Sent[],
  options: Partial<ConstructorParameters<typeof LogStore>[0]> = {},
): LogStore => {
  const store = new LogStore({ path: ':memory:', maxRows: 1000, maxAgeMs: 3_600_000, ...options });
  store.insert(decodeProtobuf(request(groups), NOW));
  return store;
};

const found = (store: LogStore, query: string): string[] =>
  store.search({ query, limit: 100, nowMs: NOW }).map((r) => r.message);

test('queries find words, phrases, fields and times', () => {
  const store = storeWith([
    {
      pod: 'web-1',
      records: [
        { body: 'GET /cart 200', agoMs: 600_000, attributes: { stream: 'stdout', 'user.id': 'u1' } },
        { body: 'GET /login 500 from 10.0.0.1:80', agoMs: 5000, severity: 17 },
        { body: '100%_sure "quoted" a|b', agoMs: 4000 },
      ],
    },
    { pod: 'db-1', namespace: 'data', records: [{ body: 'Checkpoint done', agoMs: 3000, attributes: { empty: '' } }] },
  ]);
  const [cart, login, sure, done] = [
    'GET /cart 200',
    'GET /login 500 from 10.0.0.1:80',
    '100%_sure "quoted" a|b',
    'Checkpoint done',
  ];
  const table: [string, string[]][] = [
    ['', [done, sure, login, cart]],
    ['*', [done, sure, login, cart]],
    ['get', [login, cart]],
    ['GET 500', [login]],
    ['GET AND 500', [login]],
    ['checkpoint OR cart', [done, cart]],
    ['GET -cart', [login]],
    ['NOT GET', [done, sure]],
    ['!(GET OR done)', [sure]],
    ['"/login 500"', [login]],
    ['"\\"quoted\\""', [sure]],
    ['%', [sure]],
    ['_sure', [sure]],
    ['"a|b"', [sure]],
    ['_msg:done', [done]],
    ['_msg:10.0.0.1:80', [login]],
    ['namespace:data', [done]],
    ['k8s.namespace.name:=shop GET 200', [cart]],
    ['pod:web', [sure, login, cart]],
    ['pod:=web', []],
    ['-pod:web', [done]],
    ['severity:error', [login]],
    ['user.id:=u1', [cart]],
    ['user.id:*', [cart]],
    ['-user.id:*', [done, sure, login]],
    ['host.name:h-db', [done]],
    ['"host.name":="h-db-1"', [done]],
    ['_time:1m', [done, sure, login]],
    ['_time:1h cart', [cart]],
    ['(_time:1m (GET OR done))', [done, login]],
    ['nothing', []],
  ];
  for (const [query, expected] of table) assert.deepEqual(found(store, query), expected, query);
  for (const query of [
    '(a',
    'a)',
    'a OR',
    'NOT',
    ':x',
    'a:',
    '_time:soon',
    '_time:-5m',
    '"open',
    '* | fields a',
    '{app="x"}',
    '('.repeat(80),
    'x'.repeat(5000),
  ])
    assert.throws(() => found(store, query), QueryError, query);
  store.close();
});

test('any text is a query that is answered or refused, never an error of the database', () => {
  const store = storeWith([{ pod: 'p', records: [{ body: 'x' }] }]);
  const piece = fc.oneof(
    fc.constantFrom(
      '(',
      ')',
      '"',
      ':',
      ':=',
      '-',
      '!',
      ' ',
      'AND',
      'OR',
      'NOT',
      '*',
      '_time',
      '5m',
      "'",
      ';',
      '\\',
      '%',
      '$.a',
    ),
    fc.string({ maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        found(store, pieces.join(''));
      } catch (error) {
        assert.ok(error instanceof QueryError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
  // A value never becomes part of the statement.
  assert.equal(parseQuery(`"' OR 1=1 --"`, NOW).sql.includes('1=1'), false);
});

test('rows are bounded by number and by age, and rows that arrive later are found by id', () => {
  const store = new LogStore({ path: ':memory:', maxRows: 100, maxAgeMs: 60_000 });
  for (let i = 0; i < 25; i++)
    store.insert(
      decodeProtobuf(
        request([
          {
            pod: `p-${i}`,
            records: Array.from({ length: 10 }, (_, j) => ({ body: `row ${i * 10 + j}`, agoMs: 250 - i * 10 - j })),
          },
        ]),
        NOW,
      ),
    );
  assert.equal(store.accepted, 250);
  assert.ok(store.kept <= 100 && store.kept >= 90, `${store.kept}`);
  const rows = found(store, '');
  assert.equal(rows.length, store.kept);
  assert.equal(rows[0], 'row 249');
  assert.ok(store.streams().length <= 11);
  const last = store.lastId;
  store.expire(NOW + 60_000 + 1000);
  assert.equal(store.kept, 0);
  assert.deepEqual(store.streams(), []);
  store.insert(decodeProtobuf(request([{ pod: 'late', records: [{ body: 'late' }] }]), NOW));
  assert.deepEqual(
    store.search({ query: '', limit: 10, afterId: last, nowMs: NOW }).map((r) => r.message),
    ['late'],
  );
  store.close();
});

test('the histogram counts by step and severity; repeated rows are seen', () => {
  const store = storeWith([
    {
      pod: 'a',
      records: [
        { body: 'error x', agoMs: 70_000 },
        { body: 'info', agoMs: 1000 },
        { body: 'info', agoMs: 1000 },
      ],
    },
  ]);
  assert.deepEqual(
    store.histogram('*', 60_000, NOW - 600_000, NOW).map((m) => ({ ...m })),
    [
      { startMs: NOW - 120_000, severity: 'error', count: 1 },
      { startMs: NOW - 60_000, severity: 'info', count: 2 },
    ],
  );
  assert.equal(store.repeated(), 1);
  store.close();
});

test('severity comes from the record, else from its text', () => {
  for (const [message, expected] of [
    ['I1102 10:00:00.000000 1 x.go:1] error counter is 0', 'info'],
    ['E1102 10:00:00.000000 1 x.go:1] hm', 'error'],
    ['1.2.3.4 - - [x] "GET / HTTP/1.1" 503 12 "-"', 'error'],
    ['1.2.3.4 - - [x] "GET / HTTP/1.1" 404 12 "-"', 'warn'],
    ['{"level":"debug","msg":"x"}', 'debug'],
    ['2026-01-01 WARN x', 'warn'],
    ['{"priority":"Critical"}', 'fatal'],
    ['java.lang.IllegalStateException: x', 'error'],
    ['hello', ''],
  ] as const)
    assert.equal(severityOf({ severityNumber: 0, severityText: '' }, message), expected, message);
  assert.equal(severityOf({ severityNumber: 9, severityText: '' }, 'error'), 'info');
  assert.equal(severityOf({ severityNumber: 99, severityText: 'ERROR' }, ''), 'error');
});

test('protobuf and JSON give the same rows', () => {
  const json = JSON.stringify({
    resourceLogs: [
      {
        resource: {
          attributes: [
            { key: 'k8s.pod.name', value: { stringValue: 'p' } },
            { key: 'k8s.namespace.name', value: { stringValue: 'shop' } },
            { key: 'host.name', value: { stringValue: 'h-p' } },
          ],
        },
        scopeLogs: [
          {
            logRecords: [
              {
                timeUnixNano: `${BigInt(NOW) * 1_000_000n + 7n}`,
                body: { kvlistValue: { values: [{ key: 'n', value: { intValue: '5' } }] } },
                attributes: [{ key: 'a', value: { arrayValue: { values: [{ boolValue: true }] } } }],
              },
            ],
          },
        ],
      },
    ],
  });
  const expected = decodeProtobuf(
    request([{ pod: 'p', records: [{ body: new Map([['n', 5n]]), attributes: { a: [true] } }] }]),
    NOW,
  );
  assert.deepEqual(decodeJson(json, NOW), expected);
  assert.equal(expected[0]!.rows[0]!.message, '{"n":5}');
});

test('the server takes OTLP in every encoding, refuses what is malformed, and answers like VictoriaLogs', async (t) => {
  const store = new LogStore({ path: ':memory:', maxRows: 1000, maxAgeMs: 1e12 });
  const metrics = new MetricStore({ path: ':memory:', maxSamples: 100, maxSeries: 10, maxAgeMs: 1e9 });
  const server = await startStoreServer({
    store,
    metrics,
    clock: SYSTEM_CLOCK,
    port: 0,
    status: () => ({ agent: 'fine' }),
  });
  t.after(() => server.close());
  const body = request([{ pod: 'web-1', records: [{ body: 'hello', attributes: { k: 'v' } }] }]);
  const post = (data: Uint8Array | string, headers: Record<string, string>) =>
    fetch(`${server.url}/insert/opentelemetry/v1/logs`, { method: 'POST', body: data as BodyInit, headers });
  const protobuf = { 'content-type': 'application/x-protobuf' };
  const responses: [Response, number][] = [
    [await post(body, protobuf), 200],
    [await post(gzipSync(body), { ...protobuf, 'content-encoding': 'gzip' }), 200],
    [await post(zstdCompressSync(body), { ...protobuf, 'content-encoding': 'zstd' }), 200],
    [await post('{"resourceLogs":[]}', { 'content-type': 'application/json; charset=utf-8' }), 200],
    [await post('', protobuf), 200],
    [await post('{', { 'content-type': 'application/json' }), 400],
    [await post(body.subarray(0, 20), protobuf), 400],
    [await post(body, { ...protobuf, 'content-encoding': 'gzip' }), 400],
    [await post(body, { ...protobuf, 'content-encoding': 'br' }), 415],
    [await post(body, { 'content-type': 'text/plain' }), 415],
    [await post(gzipSync(Buffer.alloc(70 << 20)), { ...protobuf, 'content-encoding': 'gzip' }), 413],
    [await fetch(`${server.url}/insert/opentelemetry/v1/logs`), 405],
    [await fetch(`${server.url}/nothing`), 404],
    [await fetch(`${server.url}/api/logs?limit=x`), 400],
    [await fetch(`${server.url}/select/logsql/query?query=(`), 400],
  ];
  for (const [r, status] of responses) assert.equal(r.status, status, `${r.url}: ${await r.text()}`);
  assert.equal(store.accepted, 3);

  const lines = (await (await fetch(`${server.url}/select/logsql/query?query=hello&limit=2`)).text())
    .trim()
    .split('\n');
  assert.equal(lines.length, 2);
  const { _stream, ...rest } = JSON.parse(lines[0]!) as Record<string, string>;
  assert.equal(_stream, '{host.name="h-web-1",k8s.namespace.name="shop",k8s.pod.name="web-1"}');
  assert.deepEqual(rest, {
    _time: '2026-11-01T12:00:00.000000007Z',
    _msg: 'hello',
    'k8s.pod.name': 'web-1',
    'k8s.namespace.name': 'shop',
    'host.name': 'h-web-1',
    k: 'v',
  });
  assert.deepEqual(await (await fetch(`${server.url}/api/status`)).json(), { kept: 3, accepted: 3, agent: 'fine' });
  const page = await fetch(`${server.url}/`);
  assert.match(page.headers.get('content-security-policy')!, /default-src 'none'/);
  assert.match(await page.text(), /<!doctype html>/i);
  // Another name for this address, as a rebinding web page would use it.
  const { default: http } = await import('node:http');
  const status = await new Promise((resolve) =>
    http.get(server.url, { headers: { host: 'evil.example' } }, (r) => resolve(r.resume().statusCode)),
  );
  assert.equal(status, 403);
  const second = await startStoreServer({
    store,
    metrics,
    clock: SYSTEM_CLOCK,
    port: Number(new URL(server.url).port),
    status: () => ({}),
  });
  assert.notEqual(second.url, server.url);
  await second.close();
  await server.close();
  store.close();
});
