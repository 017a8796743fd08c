import assert from 'node:assert/strict';
import { test } from 'node:test';
import zlib from 'node:zlib';
import type * as z from 'zod';
import { type Batch, DELIVERED, type Signal, settleBatch } from '../../../core/batch.ts';
import { SYSTEM_CLOCK } from '../../../core/clock.ts';
import type { ReceiverContext, ReceiverDefinition } from '../../../core/component.ts';
import { permanent, retryable } from '../../../core/errors.ts';
import type { LogFields, Logger } from '../../../core/log.ts';
import { TelemetryRegistry } from '../../../core/telemetry.ts';
import { requestFromJson, requestToJson } from '../../../wire/otlp-json.ts';
import { encodeRequest } from '../../../wire/otlp-request.ts';
import definition, { type OtlpReceiverConfig } from './index.ts';

const { schema, create } = definition as ReceiverDefinition<z.ZodType<OtlpReceiverConfig>>;

const LOGS =
  '{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"b"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"severityText":"x"},{"severityText":"y"}]}]}]}';
const METRICS =
  '{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[{"name":"m","sum":{"dataPoints":[{"asInt":"1"},{"asInt":"2"},{"asInt":"3"}]}}]}]}]}';

interface Server {
  readonly url: string;
  readonly batches: Batch[];
  readonly telemetry: TelemetryRegistry;
  value(name: string): number | undefined;
}

async function serving(
  http: object,
  use: (s: Server) => Promise<void>,
  options: { signals?: readonly Signal[]; consume?: (b: Batch) => Promise<void>; extension?: unknown } = {},
): Promise<void> {
  const batches: Batch[] = [];
  const lines: { message: string; fields: LogFields }[] = [];
  const at = (message: string, fields: LogFields = {}) => void lines.push({ message, fields });
  const log: Logger = { debug: at, info: at, warn: at, error: at, enabled: () => true, with: () => log };
  const telemetry = new TelemetryRegistry();
  const consume = options.consume ?? (async (b: Batch) => void batches.push(b));
  const ctx: ReceiverContext = {
    id: 'otlp',
    kind: 'receiver',
    outputs: Object.fromEntries((options.signals ?? ['logs', 'metrics', 'traces']).map((s) => [s, { consume }])),
    log,
    telemetry,
    clock: SYSTEM_CLOCK,
    host: { extension: () => options.extension, fatal() {}, shared: (_k, make) => make(), addLedger() {} },
    build: { command: 'sluice', description: 'Sluice', version: '0' },
  };
  const receiver = await create(schema.parse({ protocols: { http: { endpoint: '127.0.0.1:0', ...http } } }), ctx);
  await receiver.start?.();
  try {
    const started = lines.find((l) => l.message === 'Starting HTTP server');
    await use({
      url: `http://${started!.fields['endpoint']}`,
      batches,
      telemetry,
      value: (name) => telemetry.families.get(name)?.series.values().next().value?.value,
    });
  } finally {
    await receiver.stop?.(AbortSignal.timeout(5000));
  }
}

async function post(url: string, body: string | Uint8Array, headers: Record<string, string> = {}) {
  const r = await fetch(url, {
    method: 'POST',
    body: body as BodyInit,
    headers: { 'content-type': typeof body === 'string' ? 'application/json' : 'application/x-protobuf', ...headers },
  });
  return {
    status: r.status,
    type: r.headers.get('content-type'),
    body: Buffer.from(await r.arrayBuffer()).toString('latin1'),
    headers: r.headers,
  };
}

test('JSON and protobuf, packed or not, become the same batch', async () => {
  await serving({}, async ({ url, batches, value }) => {
    const proto = requestFromJson('logs', LOGS);
    assert.deepEqual(
      [(await post(`${url}/v1/logs`, LOGS)).body, (await post(`${url}/v1/logs?x=y`, proto)).body],
      ['{"partialSuccess":{}}', '\n\x00'],
    );
    for (const [encoding, pack] of [
      ['gzip', zlib.gzipSync],
      ['zlib', zlib.deflateSync],
      ['deflate', zlib.deflateSync],
      ['zstd', zlib.zstdCompressSync],
      ['identity', (x: Uint8Array) => x],
    ] as const)
      assert.equal((await post(`${url}/v1/logs`, pack(proto), { 'content-encoding': encoding })).status, 200, encoding);
    assert.equal(batches.length, 7);
    for (const b of batches) {
      assert.equal(requestToJson('logs', encodeRequest(b.groups)), LOGS);
      assert.equal(b.count, 2);
      assert.equal(b.groups[0]!.resource, batches[0]!.groups[0]!.resource);
      assert.equal(b.patient, false);
    }
    assert.equal(value('otelcol_receiver_accepted_log_records'), 14);
    assert.equal(value('otelcol_receiver_refused_log_records'), 0);
    await post(`${url}/v1/metrics`, METRICS);
    assert.equal(value('otelcol_receiver_accepted_metric_points'), 3);
  });
});

test('only signals that a pipeline takes have a path, and paths can be set', async () => {
  await serving(
    { logs_url_path: 'my/logs' },
    async ({ url, batches }) => {
      assert.equal((await post(`${url}/my/logs`, LOGS)).status, 200);
      for (const path of ['/v1/logs', '/v1/traces', '/v1/metrics', '/'])
        assert.deepEqual(
          [(await post(url + path, '{}')).status, (await post(url + path, '{}')).body],
          [404, '404 page not found\n'],
        );
      assert.equal(batches.length, 1);
    },
    { signals: ['logs'] },
  );
});

test('bad requests are answered with what is wrong, in the encoding of the request', async () => {
  await serving({ max_request_body_size: 1000 }, async ({ url, batches }) => {
    const logs = `${url}/v1/logs`;
    const bomb = zlib.gzipSync(Buffer.alloc(100_000));
    for (const [body, headers, status, text] of [
      ['{', {}, 400, /^\{"code":3,"message":".+"\}$/],
      ['{"resourceLogs":1}', {}, 400, /"code":3/],
      [Buffer.from([255, 255, 255]), {}, 400, /^\x08\x03\x12/],
      [Buffer.from([10, 5, 18]), {}, 400, /^\x08\x03\x12/],
      [LOGS, { 'content-encoding': 'br' }, 400, /unsupported Content-Encoding: br/],
      [LOGS, { 'content-encoding': 'lz4' }, 400, /unsupported Content-Encoding: lz4/],
      [LOGS, { 'content-encoding': 'gzip' }, 400, /"code":3/],
      [Buffer.alloc(1001, 'x'), {}, 400, /http: request body too large/],
      [bomb, { 'content-encoding': 'gzip' }, 400, /http: request body too large/],
      [
        LOGS,
        { 'content-type': 'text/plain' },
        415,
        /^415 unsupported media type, supported: \[application\/json, application\/x-protobuf\]$/,
      ],
    ] as const) {
      const r = await post(logs, body, headers);
      assert.equal(r.status, status, r.body);
      assert.match(r.body, text);
    }
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const r = await fetch(logs, { method });
      assert.deepEqual(
        [r.status, r.headers.get('content-type'), await r.text()],
        [405, 'text/plain', '405 method not allowed, supported: [POST]'],
      );
    }
    for (const empty of ['{}', '{"resourceLogs":[]}', new Uint8Array(0)])
      assert.equal((await post(logs, empty)).status, 200);
    assert.equal(batches.length, 0);
  });
});

test('errors of the pipeline become statuses that tell senders whether to try again', async () => {
  let error: Error = new Error('bug');
  await serving(
    {},
    async ({ url, value }) => {
      for (const [e, status, code] of [
        [retryable('data refused due to high memory usage'), 503, 14],
        [permanent('no'), 500, 13],
        [new Error('bug'), 503, 14],
        [permanent('no', { grpcCode: 3 }), 400, 3],
        [retryable('no', { grpcCode: 8, retryAfterMs: 3000 }), 429, 8],
        [permanent('no', { grpcCode: 12 }), 404, 12],
        [permanent('no', { grpcCode: 16 }), 401, 16],
        [permanent('no', { grpcCode: 7 }), 403, 7],
        [permanent('no', { grpcCode: 2 }), 500, 2],
      ] as const) {
        error = e;
        const r = await post(`${url}/v1/logs`, LOGS);
        assert.equal(r.status, status);
        assert.deepEqual(JSON.parse(r.body), { code, message: e.message });
        assert.equal(r.headers.get('retry-after'), null);
      }
      assert.equal(value('otelcol_receiver_refused_log_records'), 18);
      assert.equal(value('otelcol_receiver_accepted_log_records'), 0);
    },
    { consume: () => Promise.reject(error) },
  );
});

test('headers become client metadata only when asked for', async () => {
  for (const include_metadata of [true, false])
    await serving({ include_metadata }, async ({ url, batches }) => {
      await post(`${url}/v1/logs`, LOGS, { 'X-Tenant': 'a' });
      assert.deepEqual(batches[0]!.metadata?.get('x-tenant'), include_metadata ? ['a'] : undefined);
    });
});

test('an authenticator decides who may send', async () => {
  const extension = {
    authenticate: async (headers: ReadonlyMap<string, readonly string[]>) => {
      if (headers.get('authorization')?.[0] !== 'Bearer good') throw new Error('no');
    },
  };
  await serving(
    { auth: { authenticator: 'bearer' } },
    async ({ url, batches }) => {
      const r = await post(`${url}/v1/logs`, LOGS);
      assert.deepEqual([r.status, r.body], [401, '{"code":16,"message":"no"}']);
      assert.equal((await post(`${url}/v1/logs`, LOGS, { authorization: 'Bearer good' })).status, 200);
      assert.equal(batches.length, 1);
    },
    { extension },
  );
});

test('a receiver needs a protocol, and one without keys has its defaults', () => {
  const messages = (config: unknown) => schema.safeParse(config).error?.issues.map((i) => i.message) ?? [];
  assert.deepEqual(messages({}), ['must specify at least one protocol when using the OTLP receiver']);
  assert.deepEqual(messages({ protocols: null }), ['must specify at least one protocol when using the OTLP receiver']);
  const { http, grpc } = schema.parse({ protocols: { grpc: null, http: null } }).protocols;
  assert.deepEqual([http!.endpoint, grpc!.endpoint], ['localhost:4318', 'localhost:4317']);
});

test('the memory of a request is used again when all its records are settled, and not before', async () => {
  await serving({}, async ({ url, batches }) => {
    // Larger than a third of a slab, so that every few requests need another one.
    const bodyOf = (i: number): Buffer => {
      const text = `${i}`.padEnd(700_000, 'x');
      const record = `{"body":{"stringValue":"${text}"}},{"severityText":"${i}"}`;
      return Buffer.from(
        requestFromJson('logs', Buffer.from(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[${record}]}]}]}`)),
      );
    };
    const copies: Buffer[] = [];
    const send = async (i: number): Promise<void> => {
      assert.equal((await post(`${url}/v1/logs`, bodyOf(i))).status, 200);
      copies.push(Buffer.from(batches.at(-1)!.groups[0]!.items));
    };
    for (let i = 0; i < 12; i++) {
      await send(i);
      const [part] = batches[i]!.groups[0]!.parts;
      // Of every other one a record stays unsettled.
      part!.ack.settle(i % 2 ? 2 : 1, 0, DELIVERED);
    }
    for (let i = 0; i < 12; i += 2) assert.ok(copies[i]!.equals(batches[i]!.groups[0]!.items), `request ${i}`);
    const memory = new Set<ArrayBufferLike>();
    for (let i = 12; i < 32; i++) {
      await send(i);
      memory.add(batches[i]!.groups[0]!.items.buffer);
      settleBatch(batches[i]!, DELIVERED);
    }
    assert.ok(memory.size <= 3, `${memory.size} slabs`);
  });
});

test('memory of metrics is used again too, unless one of them has no points: nobody would tell of it', async () => {
  const gauge = (points: number): string =>
    `{"name":"${'m'.repeat(700_000)}","gauge":{"dataPoints":[${Array(points).fill('{"asInt":"1"}').join()}]}}`;
  const body = (...points: number[]): Buffer =>
    Buffer.from(
      requestFromJson(
        'metrics',
        Buffer.from(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[${points.map(gauge).join()}]}]}]}`),
      ),
    );
  await serving({}, async ({ url, batches }) => {
    const memory = new Set<ArrayBufferLike>();
    for (let i = 0; i < 12; i++) {
      assert.equal((await post(`${url}/v1/metrics`, body(2))).status, 200);
      memory.add(batches[i]!.groups[0]!.items.buffer);
      settleBatch(batches[i]!, DELIVERED);
    }
    assert.ok(memory.size <= 3, `${memory.size} slabs`);
    assert.equal((await post(`${url}/v1/metrics`, body(0, 1))).status, 200);
    assert.deepEqual(batches[12]!.groups[0]!.parts, []);
  });
});

test('a refused request does not give its memory away: a branch of the pipeline may still have it', async () => {
  const refused: Batch[] = [];
  const consume = async (b: Batch): Promise<void> => {
    refused.push(b);
    if (refused.length < 6) throw retryable('later');
  };
  await serving(
    {},
    async ({ url }) => {
      const body = Buffer.from(requestFromJson('logs', Buffer.from(LOGS.replace('"x"', `"${'x'.repeat(900_000)}"`))));
      for (let i = 0; i < 6; i++) await post(`${url}/v1/logs`, body);
      const starts = refused.map(({ groups: [g] }) => `${g!.items.byteOffset}`);
      const memory = refused.map(({ groups: [g] }) => g!.items.buffer);
      for (let i = 0; i < 6; i++)
        for (let k = 0; k < i; k++) assert.ok(memory[i] !== memory[k] || starts[i] !== starts[k], `${k} and ${i}`);
    },
    { consume },
  );
});
