import assert from 'node:assert/strict';
import http, { type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import type * as z from 'zod';
import { type Ack, type Batch, makeBatch, type Outcome, type Signal } from '../../../core/batch.ts';
import { SYSTEM_CLOCK } from '../../../core/clock.ts';
import type { ExporterContext, ExporterDefinition } from '../../../core/component.ts';
import { decompress } from '../../../core/compress.ts';
import { DeliveryError } from '../../../core/errors.ts';
import type { LogFields, Logger } from '../../../core/log.ts';
import { resourceFromBytes, scopeFromBytes } from '../../../core/resource.ts';
import { TelemetryRegistry } from '../../../core/telemetry.ts';
import { requestFromJson, requestToJson } from '../../../wire/otlp-json.ts';
import { decodeRequest } from '../../../wire/otlp-request.ts';
import { signalUrl } from './exporter.ts';
import definition, { type OtlpHttpConfig } from './index.ts';
import { retryAfter } from './response.ts';

const { schema, create } = definition as ExporterDefinition<z.ZodType<OtlpHttpConfig>>;

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const servers: http.Server[] = [];
after(() => {
  for (const s of servers) s.close().closeAllConnections();
});

async function destination(answer: (res: ServerResponse, n: number) => void): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = http.createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const c of req) chunks.push(c as Buffer);
    seen.push({ method: req.method!, url: req.url!, headers: req.headers, body: Buffer.concat(chunks) });
    answer(res, seen.length);
  });
  servers.push(server);
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function context(signal: Signal = 'logs') {
  const lines: { message: string; fields: LogFields }[] = [];
  const at = (message: string, fields: LogFields = {}) => void lines.push({ message, fields });
  const log: Logger = { debug: at, info: at, warn: at, error: at, enabled: () => true, with: () => log };
  const telemetry = new TelemetryRegistry();
  const ctx: ExporterContext = {
    id: 'otlp_http',
    kind: 'exporter',
    signal,
    log,
    telemetry,
    clock: SYSTEM_CLOCK,
    host: { extension: () => undefined, fatal() {}, shared: (_k, make) => make(), addLedger() {} },
    build: { command: 'sluice', description: 'Sluice', version: '9.9.9' },
  };
  return { ctx, lines, telemetry };
}

const TEXT: Readonly<Record<Signal, string>> = {
  logs: '{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"b"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"severityText":"x"},{"severityText":"y"}]}]}]}',
  metrics:
    '{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}}]}]}]}',
  traces: '{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"name":"n"},{"name":"o"}]}]}]}',
};

function batchOf(signal: Signal, ack?: Ack): Batch {
  const groups = decodeRequest(signal, requestFromJson(signal, TEXT[signal])).map((g) => ({
    ...g,
    resource: resourceFromBytes(g.resource.encoded, g.resource.schemaUrl),
    scope: scopeFromBytes(g.scope.encoded, g.scope.schemaUrl),
    parts: ack ? [{ ack, records: g.count, bytes: 10 * g.count }] : [],
  }));
  return makeBatch(signal, groups);
}

const DIRECT = { sending_queue: { enabled: false }, retry_on_failure: { enabled: false } };

async function run<T>(
  config: object,
  use: (consume: (b: Batch) => Promise<void>, c: ReturnType<typeof context>) => Promise<T>,
  signal: Signal = 'logs',
): Promise<T> {
  const c = context(signal);
  const exporter = await create(schema.parse(config), c.ctx);
  await exporter.start?.();
  try {
    return await use((b) => exporter.consume(b), c);
  } finally {
    await exporter.stop?.(AbortSignal.timeout(5000));
  }
}

test('every signal arrives in full, in both encodings and all kinds of packing', async () => {
  const d = await destination((res) => res.end());
  for (const signal of ['logs', 'metrics', 'traces'] as const)
    for (const encoding of ['proto', 'json'])
      for (const compression of ['none', 'gzip', 'zstd', 'zlib', 'deflate', 'snappy']) {
        await run(
          { ...DIRECT, endpoint: `${d.url}/base/`, encoding, compression },
          (consume) => consume(batchOf(signal)),
          signal,
        );
        const { method, url, headers, body } = d.seen.pop()!;
        assert.equal(`${method} ${url}`, `POST /base/v1/${signal}`);
        assert.equal(headers['content-type'], encoding === 'json' ? 'application/json' : 'application/x-protobuf');
        assert.equal(headers['content-encoding'], compression === 'none' ? undefined : compression);
        assert.match(headers['user-agent']!, /^Sluice\/9\.9\.9 \(/);
        const plain = await decompress(compression === 'none' ? '' : compression, body, 10_000);
        assert.equal(encoding === 'json' ? plain.toString() : requestToJson(signal, plain), TEXT[signal]);
      }
});

test('URLs: the base gets the standard path, a signal of its own is taken as it is', () => {
  const url = (config: object) => signalUrl(schema.parse(config), 'logs').href;
  assert.equal(url({ endpoint: 'http://h' }), 'http://h/v1/logs');
  assert.equal(url({ endpoint: 'http://h:1/a/b' }), 'http://h:1/a/b/v1/logs');
  assert.equal(url({ endpoint: 'http://h/a/', logs_endpoint: 'https://x/insert?y=1' }), 'https://x/insert?y=1');
  assert.throws(() => url({ traces_endpoint: 'http://h' }), /either endpoint or logs_endpoint must be specified/);
});

test('statuses: which are tried again, and what the error says and carries', async () => {
  for (const [status, permanent, grpcCode] of [
    [400, true, 3],
    [401, true, 16],
    [403, true, 7],
    [404, true, 12],
    [408, true, 2],
    [413, true, 2],
    [429, false, 8],
    [500, true, 2],
    [501, true, 2],
    [502, false, 14],
    [503, false, 14],
    [504, false, 14],
  ] as const) {
    const d = await destination((res) =>
      res.writeHead(status, { 'content-type': 'text/plain', 'retry-after': '7' }).end('because\n'),
    );
    await run({ ...DIRECT, endpoint: d.url }, (consume) =>
      assert.rejects(consume(batchOf('logs')), (e) => {
        assert.ok(e instanceof DeliveryError);
        assert.equal(e.permanent, permanent, `${status}`);
        assert.equal(e.status, status);
        assert.equal(e.grpcCode, grpcCode);
        assert.equal(e.retryAfterMs, status === 429 || status === 503 ? 7000 : undefined);
        assert.equal(
          e.message,
          `error exporting items, request to ${d.url}/v1/logs responded with HTTP Status Code ${status}, Message=because, Details=[]`,
        );
        return true;
      }),
    );
  }
});

test('an error in protobuf is told, a very long one is cut', async () => {
  const status = Buffer.from([8, 3, 18, 3, 0x62, 0x61, 0x64]);
  for (const [type, body, message] of [
    ['application/x-protobuf', status, /, Message=bad, Details=\[\]$/],
    ['application/x-protobuf', Buffer.from([255]), /Code 400$/],
    ['text/html', Buffer.from('<html>'), /Code 400$/],
    ['text/plain', Buffer.alloc(60_000, 'x'), /, Message=x{300}…, Details=\[\]$/],
  ] as const) {
    const d = await destination((res) => res.writeHead(400, { 'content-type': type }).end(body));
    await run({ ...DIRECT, endpoint: d.url }, (consume) => assert.rejects(consume(batchOf('logs')), message));
  }
});

test('Retry-After is seconds or a date', () => {
  const now = Date.UTC(2026, 0, 1);
  assert.equal(retryAfter('5', now), 5000);
  assert.equal(retryAfter('Thu, 01 Jan 2026 00:01:00 GMT', now), 60_000);
  assert.equal(retryAfter('Thu, 01 Jan 2015 00:01:00 GMT', now), 0);
  assert.equal(retryAfter('soon', now), undefined);
  assert.equal(retryAfter(undefined, now), undefined);
});

test('a partial success is logged, and the rejected records are told as lost', async () => {
  const cases: readonly (readonly [type: string, body: string | Buffer, dropped: number | undefined])[] = [
    ['application/json', '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}}', 1],
    ['application/x-protobuf', Buffer.from([10, 11, 8, 1, 18, 7, ...Buffer.from('too old')]), 1],
    ['application/json', '{"partialSuccess":{"errorMessage":"too old"}}', 0],
    ['application/json', '{"partialSuccess":{}}', undefined],
    ['application/x-protobuf', Buffer.from([10, 0]), undefined],
    ['text/plain', 'too old', undefined],
  ];
  for (const [type, body, dropped] of cases) {
    const told: string[] = [];
    const ack: Ack = {
      patient: true,
      settle: (records, _bytes, o: Outcome) =>
        void told.push(`${records} ${o.kind}${'reason' in o ? ` ${o.reason}` : ''}`),
    };
    const d = await destination((res) => res.writeHead(200, { 'content-type': type }).end(body));
    await run({ ...DIRECT, endpoint: d.url }, async (consume, { lines }) => {
      await consume(batchOf('logs', ack));
      const line = lines.find((l) => l.message === 'Partial success response');
      assert.deepEqual(
        line?.fields,
        dropped === undefined ? undefined : { message: 'too old', dropped_log_records: dropped },
      );
      assert.deepEqual(told, dropped ? ['1 delivered', '1 lost rejected by destination'] : ['2 delivered']);
    });
  }
  const d = await destination((res) => res.writeHead(200, { 'content-type': 'application/json' }).end('{'));
  await run({ ...DIRECT, endpoint: d.url }, (consume) =>
    assert.rejects(consume(batchOf('logs')), (e) => e instanceof DeliveryError && e.permanent),
  );
});

test('what was sent and what failed is counted with the address of the destination', async () => {
  const d = await destination((res, n) => (n === 1 ? res.end() : res.writeHead(400).end()));
  const port = new URL(d.url).port;
  await run(
    { ...DIRECT, endpoint: `${d.url}/x` },
    async (consume, { telemetry }) => {
      await consume(batchOf('metrics'));
      await assert.rejects(consume(batchOf('metrics')));
      for (const name of ['sent', 'send_failed']) {
        const [series] = telemetry.families.get(`otelcol_exporter_${name}_metric_points`)!.series.values();
        assert.equal(series!.value, 2);
        assert.deepEqual(series!.labels, {
          exporter: 'otlp_http',
          'server.address': '127.0.0.1',
          'server.port': port,
          'url.path': '/x/v1/metrics',
        });
      }
    },
    'metrics',
  );
});

test('a connection that breaks is worth another try, and the body is sent again in full', async () => {
  const d = await destination((res, n) => (n < 3 ? res.destroy() : res.end()));
  await run(
    {
      endpoint: d.url,
      retry_on_failure: { initial_interval: '1ms', max_interval: '1ms' },
      sending_queue: { enabled: false },
    },
    (consume) => consume(batchOf('logs')),
  );
  assert.ok(d.seen.length >= 3);
  for (const s of d.seen) assert.ok(s.body.equals(d.seen[0]!.body));
});

test('configurations that cannot work are refused with what is wrong', () => {
  for (const [config, message] of [
    [{}, /at least one endpoint must be specified/],
    [{ endpoint: 'localhost:4318' }, /endpoint must be a valid URL that begins with http/],
    [{ endpoint: 'http://h', encoding: 'xml' }, /invalid encoding type: xml/],
    [{ endpoint: 'http://h', compression: 'br' }, /unsupported compression type "br"/],
    [{ endpoint: 'http://h', compression: 'lz4' }, /lz4 and x-snappy-framed are not supported/],
    [
      { endpoint: 'http://h', compression_params: { level: 12 } },
      /unsupported parameters \{Level:12\} for compression type "gzip"/,
    ],
    [{ endpoint: 'http://h', cookies: {} }, /'cookies' is not supported/],
    [{ endpoint: 'http://h', middlewares: [{ id: 'x' }] }, /'middlewares' is not supported/],
    [
      { endpoint: 'http://h', keepalive: {}, max_idle_conns: 1 },
      /cannot use both 'keepalive' and the deprecated 'max_idle_conns'/,
    ],
    [{ endpoint: 'http://h', proxy_url: 'socks5://h' }, /only http:\/\/ and https:\/\/ proxies/],
    [{ endpoint: 'http://h', sending_queue: { queue_size: 0 } }, /`queue_size` must be positive/],
    [{ endpoint: 'http://h', sending_queue: { num_consumers: 0 } }, /`num_consumers` must be positive/],
    [
      { endpoint: 'http://h', sending_queue: { storage: 'x', wait_for_result: true } },
      /`wait_for_result` is not supported with a persistent queue/,
    ],
    [
      { endpoint: 'http://h', sending_queue: { sizer: 'requests', batch: {} } },
      /`batch` supports only `items` or `bytes` sizer/,
    ],
    [
      { endpoint: 'http://h', sending_queue: { batch: { max_size: 1 } } },
      /`max_size` must be greater or equal to `min_size`/,
    ],
    [
      { endpoint: 'http://h', retry_on_failure: { max_elapsed_time: '1s' } },
      /'max_elapsed_time' must not be less than 'initial_interval'/,
    ],
  ] as const)
    assert.match(
      JSON.stringify(schema.safeParse(config).error?.issues.map((i) => i.message)) ?? '',
      new RegExp(message.source.replace(/"/g, '\\\\"')),
      JSON.stringify(config),
    );
  for (const config of [
    { endpoint: 'http://h', tls: null, headers: [{ name: 'A', value: 'b' }] },
    { endpoint: 'http://h', sending_queue: null, retry_on_failure: null, compression: '' },
  ])
    assert.ok(schema.safeParse(config).success, JSON.stringify(schema.safeParse(config).error?.issues));
});
