import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import zlib from 'node:zlib';
import grpc from '@grpc/grpc-js';
import type * as z from 'zod';
import { type Ack, type Batch, makeBatch, type Outcome, type Signal } from '../../../core/batch.ts';
import { SYSTEM_CLOCK } from '../../../core/clock.ts';
import type { ExporterContext, ExporterDefinition } from '../../../core/component.ts';
import { decompress } from '../../../core/compress.ts';
import { DeliveryError } from '../../../core/errors.ts';
import { statusDetails } from '../../../core/grpc.ts';
import { parseTarget } from '../../../core/grpc-schema.ts';
import type { LogFields, Logger } from '../../../core/log.ts';
import { resourceFromBytes, scopeFromBytes } from '../../../core/resource.ts';
import { TelemetryRegistry } from '../../../core/telemetry.ts';
import { requestFromJson, requestToJson } from '../../../wire/otlp-json.ts';
import { decodeRequest } from '../../../wire/otlp-request.ts';
import definition, { type OtlpGrpcConfig } from './index.ts';

const { schema, create } = definition as ExporterDefinition<z.ZodType<OtlpGrpcConfig>>;
const pem = (name: string) => new URL(`../../../core/testdata/tls/${name}.pem`, import.meta.url).pathname;

const cleanup: (() => unknown)[] = [];
after(async () => {
  for (const c of cleanup.reverse()) await c();
});

const PATHS: Readonly<Record<Signal, string>> = {
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
};

interface Seen {
  readonly path: string;
  readonly metadata: grpc.Metadata;
  readonly body: Buffer;
}
type Answer = (n: number) => grpc.ServiceError | Partial<grpc.StatusObject> | Buffer | undefined;

/** The official server. It answers with an empty response, a given one, or an error. */
async function destination(
  answer: Answer = () => undefined,
  { port = 0, credentials = grpc.ServerCredentials.createInsecure() } = {},
) {
  const seen: Seen[] = [];
  const server = new grpc.Server();
  const plain = (b: Buffer): Buffer => b;
  for (const path of Object.values(PATHS)) {
    const method = {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: plain,
      requestDeserialize: plain,
      responseSerialize: plain,
      responseDeserialize: plain,
    };
    server.addService({ Export: method } as grpc.ServiceDefinition, {
      Export: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
        seen.push({ path, metadata: call.metadata, body: call.request });
        const a = answer(seen.length);
        if (a === undefined || Buffer.isBuffer(a)) callback(null, a ?? Buffer.alloc(0));
        else callback(a as grpc.ServiceError);
      },
    });
  }
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, credentials, (e, p) => (e ? reject(e) : resolve(p))),
  );
  cleanup.push(() => server.forceShutdown());
  return { server, seen, port: bound, endpoint: `127.0.0.1:${bound}` };
}

function context(signal: Signal, extension?: unknown) {
  const lines: { message: string; fields: LogFields }[] = [];
  const at = (message: string, fields: LogFields = {}) => void lines.push({ message, fields });
  const log: Logger = { debug: at, info: at, warn: at, error: at, enabled: () => true, with: () => log };
  const telemetry = new TelemetryRegistry();
  const ctx: ExporterContext = {
    id: 'otlp_grpc',
    kind: 'exporter',
    signal,
    log,
    telemetry,
    clock: SYSTEM_CLOCK,
    host: { extension: () => extension, fatal() {}, shared: (_k, make) => make(), addLedger() {} },
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

function batchOf(signal: Signal, ack?: Ack, text = TEXT[signal]): Batch {
  const groups = decodeRequest(signal, requestFromJson(signal, text)).map((g) => ({
    ...g,
    resource: resourceFromBytes(g.resource.encoded, g.resource.schemaUrl),
    scope: scopeFromBytes(g.scope.encoded, g.scope.schemaUrl),
    parts: ack ? [{ ack, records: g.count, bytes: 10 * g.count }] : [],
  }));
  return makeBatch(signal, groups);
}

const DIRECT = { sending_queue: { enabled: false }, retry_on_failure: { enabled: false }, tls: { insecure: true } };

async function run<T>(
  config: object,
  use: (consume: (b: Batch) => Promise<void>, c: ReturnType<typeof context>) => Promise<T>,
  { signal = 'logs', extension }: { signal?: Signal; extension?: unknown } = {},
): Promise<T> {
  const c = context(signal, extension);
  const exporter = await create(schema.parse({ ...DIRECT, ...config }), c.ctx);
  try {
    await exporter.start?.();
    return await use((b) => exporter.consume(b), c);
  } finally {
    await exporter.stop?.(AbortSignal.timeout(5000));
  }
}

test('every signal arrives in full', async () => {
  const d = await destination();
  for (const signal of ['logs', 'metrics', 'traces'] as const)
    for (const compression of ['none', '', 'gzip']) {
      await run(
        { endpoint: d.endpoint, compression, headers: { 'X-Tenant': 't', 'x-raw-bin': 'ä' } },
        (consume) => consume(batchOf(signal)),
        { signal },
      );
      const { path, metadata, body } = d.seen.pop()!;
      assert.equal(path, PATHS[signal]);
      assert.equal(requestToJson(signal, body), TEXT[signal]);
      assert.deepEqual(metadata.get('x-tenant'), ['t']);
      assert.deepEqual(metadata.get('x-raw-bin'), [Buffer.from('ä')]);
      assert.match(String(metadata.get('user-agent')[0]), /^Sluice\/9\.9\.9 \(/);
    }
});

/** grpc-js knows neither zstd nor snappy, so these are looked at on the wire. */
test('zstd and framed snappy are what the header says', async () => {
  for (const compression of ['zstd', 'snappy', 'gzip']) {
    const server = http2.createServer();
    let seen: { encoding: unknown; body: Buffer } | undefined;
    server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on('data', (c: Buffer) => chunks.push(c));
      stream.on('end', () => {
        seen = { encoding: headers['grpc-encoding'], body: Buffer.concat(chunks) };
        const packed = zlib.gzipSync(Buffer.from([10, 0]));
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'grpc-encoding': 'gzip' },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        const head = Buffer.from([1, 0, 0, 0, packed.length]);
        stream.end(Buffer.concat([head, packed]));
      });
    });
    await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
    cleanup.push(() => server.close());
    const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    await run({ endpoint, compression }, (consume) => consume(batchOf('logs')));
    assert.equal(seen!.encoding, compression);
    assert.equal(seen!.body[0], 1);
    assert.equal(seen!.body.readUInt32BE(1), seen!.body.length - 5);
    if (compression === 'snappy') assert.equal(seen!.body.subarray(9, 15).toString(), 'sNaPpY');
    const plain = await decompress(compression, seen!.body.subarray(5), 10_000);
    assert.equal(requestToJson('logs', plain), TEXT.logs);
  }
});

const details = (retryMs?: number) => {
  const metadata = new grpc.Metadata();
  if (retryMs !== undefined)
    metadata.set('grpc-status-details-bin', Buffer.from(statusDetails(8, 'later', retryMs), 'base64'));
  return metadata;
};

test('statuses: which are tried again, and what the error says and carries', async () => {
  let answer: Partial<grpc.StatusObject> = {};
  const d = await destination(() => answer);
  for (const [code, name, permanent] of [
    [1, 'Canceled', false],
    [2, 'Unknown', true],
    [3, 'InvalidArgument', true],
    [4, 'DeadlineExceeded', false],
    [5, 'NotFound', true],
    [6, 'AlreadyExists', true],
    [7, 'PermissionDenied', true],
    [8, 'ResourceExhausted', true],
    [9, 'FailedPrecondition', true],
    [10, 'Aborted', false],
    [11, 'OutOfRange', false],
    [12, 'Unimplemented', true],
    [13, 'Internal', true],
    [14, 'Unavailable', false],
    [15, 'DataLoss', false],
    [16, 'Unauthenticated', true],
  ] as const)
    for (const waitMs of [undefined, 2500]) {
      answer = { code, details: 'weil „es“ so ist', metadata: details(waitMs) };
      const gone = code === 8 && waitMs !== undefined ? false : permanent;
      await run({ endpoint: d.endpoint }, (consume) =>
        assert.rejects(consume(batchOf('logs')), (e) => {
          assert.ok(e instanceof DeliveryError);
          assert.equal(e.message, `rpc error: code = ${name} desc = weil „es“ so ist`);
          assert.equal(e.permanent, gone, name);
          assert.equal(e.grpcCode, code);
          assert.equal(e.retryAfterMs, gone ? undefined : waitMs);
          return true;
        }),
      );
    }
});

test('a partial success is logged, and the rejected records are told as lost', async () => {
  for (const [body, dropped] of [
    [Buffer.from([10, 11, 8, 1, 18, 7, ...Buffer.from('too old')]), 1],
    [Buffer.from([10, 9, 18, 7, ...Buffer.from('too old')]), 0],
    [Buffer.from([10, 0]), undefined],
    [Buffer.alloc(0), undefined],
  ] as const) {
    const told: string[] = [];
    const ack: Ack = {
      patient: true,
      settle: (n, _b, o: Outcome) => void told.push(`${n} ${o.kind}${'reason' in o ? ` ${o.reason}` : ''}`),
    };
    const d = await destination(() => body);
    await run({ endpoint: d.endpoint }, async (consume, { lines }) => {
      await consume(batchOf('logs', ack));
      const line = lines.find((l) => l.message === 'Partial success response');
      assert.deepEqual(
        line?.fields,
        dropped === undefined ? undefined : { message: 'too old', dropped_log_records: dropped },
      );
      assert.deepEqual(told, dropped ? ['1 delivered', '1 lost rejected by destination'] : ['2 delivered']);
    });
  }
  const d = await destination(() => Buffer.from([255]));
  await run({ endpoint: d.endpoint }, (consume) =>
    assert.rejects(consume(batchOf('logs')), (e) => e instanceof DeliveryError && e.permanent),
  );
});

test('starting needs nobody at the other end; the first try that can reach it delivers', async () => {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await new Promise((r) => probe.once('listening', r));
  const { port } = probe.address() as AddressInfo;
  await new Promise((r) => probe.close(r));
  const endpoint = `127.0.0.1:${port}`;
  const retry = { initial_interval: '20ms', max_interval: '20ms' };
  await run({ endpoint, retry_on_failure: retry }, async (consume, { lines }) => {
    const delivered = consume(batchOf('logs'));
    while (!lines.some((l) => l.message.startsWith('Exporting failed. Will retry')))
      await new Promise((r) => setTimeout(r, 5));
    assert.equal(
      lines.find((l) => l.message.startsWith('Exporting failed'))!.fields['error'],
      `rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp ${endpoint}: connect: connection refused"`,
    );
    const d = await destination(() => undefined, { port });
    await delivered;
    assert.equal(d.seen.length, 1);
  });
});

test('wait_for_ready keeps a call until there is a connection or its time is over', async () => {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await new Promise((r) => probe.once('listening', r));
  const { port } = probe.address() as AddressInfo;
  await new Promise((r) => probe.close(r));
  const endpoint = `127.0.0.1:${port}`;
  await run({ endpoint, wait_for_ready: true, timeout: '100ms' }, (consume) =>
    assert.rejects(consume(batchOf('logs')), /code = DeadlineExceeded desc = context deadline exceeded/),
  );
  await run({ endpoint, wait_for_ready: true, timeout: '60s' }, async (consume) => {
    const delivered = consume(batchOf('logs'));
    const d = await destination(() => undefined, { port });
    await delivered;
    assert.equal(d.seen.length, 1);
  });
});

test('a connection that was closed is made again, and calls in flight are worth another try', async () => {
  const d = await destination();
  await run({ endpoint: d.endpoint }, async (consume) => {
    await consume(batchOf('logs'));
    d.server.forceShutdown();
    const again = await destination(() => undefined, { port: d.port });
    for (let sent = false; !sent; ) {
      try {
        await consume(batchOf('logs'));
        sent = true;
      } catch (e) {
        assert.ok(e instanceof DeliveryError && !e.permanent, String(e));
        await new Promise((r) => setTimeout(r, 20));
      }
    }
    assert.equal(again.seen.length, 1);
  });
});

test('a destination that does not answer is given up after the timeout, for another try', async () => {
  const silent = net.createServer((s) => s.resume().on('error', () => {})).listen(0, '127.0.0.1');
  await new Promise((r) => silent.once('listening', r));
  const sockets = new Set<net.Socket>();
  silent.on('connection', (s) => sockets.add(s));
  cleanup.push(() => {
    for (const s of sockets) s.destroy();
    silent.close();
  });
  const endpoint = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  await run({ endpoint, timeout: '50ms' }, (consume) =>
    assert.rejects(
      consume(batchOf('logs')),
      (e) => e instanceof DeliveryError && !e.permanent && /DeadlineExceeded/.test(e.message),
    ),
  );
});

test('what is no gRPC server, and what a proxy says, is told', async () => {
  const server = http2.createServer();
  let respond: (s: http2.ServerHttp2Stream) => void = () => {};
  server.on('stream', (s: http2.ServerHttp2Stream) => {
    s.on('error', () => {});
    respond(s);
  });
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
  cleanup.push(() => server.close());
  const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const status = (code: number) => (s: http2.ServerHttp2Stream) => {
    s.respond({ ':status': code, 'content-type': 'text/html' });
    s.end('<html>');
    s.resume();
  };
  for (const [action, permanent, text] of [
    [status(503), false, /Unavailable desc = unexpected HTTP status code received from server: 503/],
    [status(404), true, /Unimplemented .* 404/],
    [status(401), true, /Unauthenticated .* 401/],
    [status(200), true, /Unknown desc = received unexpected content-type "text\/html"/],
    [(s) => s.close(7), false, /Unavailable desc = stream terminated by RST_STREAM with error code: REFUSED_STREAM/],
    [(s) => s.close(2), false, /RST_STREAM with error code: INTERNAL_ERROR/],
    [(s) => s.session!.destroy(), false, /Unavailable/],
  ] as readonly [typeof respond, boolean, RegExp][]) {
    respond = action;
    await run({ endpoint }, (consume) =>
      assert.rejects(consume(batchOf('logs')), (e) => {
        assert.ok(e instanceof DeliveryError);
        assert.match(e.message, text);
        assert.equal(e.permanent, permanent, e.message);
        return true;
      }),
    );
  }
});

test('TLS is on unless it is switched off, and certificates are checked', async () => {
  const pair = { private_key: readFileSync(pem('server-key')), cert_chain: readFileSync(pem('server')) };
  const ca = readFileSync(pem('ca'));
  const d = await destination(() => undefined, { credentials: grpc.ServerCredentials.createSsl(null, [pair]) });
  const endpoint = `localhost:${d.port}`;
  await run({ endpoint, tls: { ca_file: pem('ca') } }, (consume) => consume(batchOf('logs')));
  await run({ endpoint, tls: { ca_file: pem('ca'), insecure: true } }, (consume) => consume(batchOf('logs')));
  await run({ endpoint: `https://${endpoint}`, tls: { insecure: true, insecure_skip_verify: true } }, (consume) =>
    consume(batchOf('logs')),
  );
  assert.equal(d.seen.length, 3);
  for (const [tls, text] of [
    [{}, /transport: authentication handshake failed: tls: failed to verify certificate: x509/],
    [{ ca_file: pem('ca'), server_name_override: 'elsewhere' }, /x509: certificate is valid for .*, not elsewhere/],
  ] as const)
    await run({ endpoint, tls }, (consume) =>
      assert.rejects(consume(batchOf('logs')), (e) => {
        assert.match((e as Error).message, text);
        return e instanceof DeliveryError && !e.permanent;
      }),
    );
  const mutual = await destination(() => undefined, {
    credentials: grpc.ServerCredentials.createSsl(ca, [pair], true),
  });
  const own = { ca_file: pem('ca'), cert_file: pem('client'), key_file: pem('client-key') };
  await run({ endpoint: `localhost:${mutual.port}`, tls: own }, (consume) => consume(batchOf('logs')));
  assert.equal(mutual.seen.length, 1);
});

test('credentials come from an authenticator, and never go over plain text', async () => {
  const pair = { private_key: readFileSync(pem('server-key')), cert_chain: readFileSync(pem('server')) };
  const d = await destination(() => undefined, { credentials: grpc.ServerCredentials.createSsl(null, [pair]) });
  const extension = { headers: async () => ({ Authorization: 'Bearer t' }) };
  const config = { endpoint: `localhost:${d.port}`, auth: { authenticator: 'bearertokenauth' } };
  await run({ ...config, tls: { ca_file: pem('ca') } }, (consume) => consume(batchOf('logs')), { extension });
  assert.deepEqual(d.seen[0]!.metadata.get('authorization'), ['Bearer t']);
  await assert.rejects(
    run(config, async () => {}, { extension }),
    /the credentials require transport level security/,
  );
  await assert.rejects(
    run(config, async () => {}),
    /failed to resolve authenticator "bearertokenauth": authenticator not found/,
  );
});

test('what was sent is counted with the address of the destination', async () => {
  const d = await destination();
  await run({ endpoint: d.endpoint }, async (consume, { telemetry }) => {
    await consume(batchOf('logs'));
    const [series] = telemetry.families.get('otelcol_exporter_sent_log_records')!.series.values();
    assert.equal(series!.value, 2);
    assert.deepEqual(series!.labels, {
      exporter: 'otlp_grpc',
      'server.address': '127.0.0.1',
      'server.port': String(d.port),
    });
  });
});

test('a message of many megabytes and many calls at a time get through', async () => {
  const server = await destination();
  const record = `{"severityText":"${'x'.repeat(1000)}"}`;
  const text = `{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[${Array(3500).fill(record).join(',')}]}]}]}`;
  await run({ endpoint: server.endpoint, compression: 'none', timeout: '60s' }, async (consume) => {
    await Promise.all(Array.from({ length: 8 }, () => consume(batchOf('logs', undefined, text))));
  });
  assert.equal(server.seen.length, 8);
  for (const s of server.seen) assert.ok(s.body.length > 3_500_000);
});

test('endpoints: what is stripped, and what is wrong', () => {
  for (const [endpoint, expected] of [
    ['h:4317', { host: 'h', port: 4317, secure: false }],
    ['http://h:4317', { host: 'h', port: 4317, secure: false }],
    ['https://h:4317/', { host: 'h', port: 4317, secure: true }],
    ['dns:///h:4317', { host: 'h', port: 4317, secure: false }],
    ['dns://h:4317', { host: 'h', port: 4317, secure: false }],
    ['dns:h:4317', { host: 'h', port: 4317, secure: false }],
    ['passthrough:///h:4317', { host: 'h', port: 4317, secure: false }],
    ['[::1]:4317', { host: '::1', port: 4317, secure: false }],
    ['unix:///run/x.sock', { host: '', port: 0, path: '/run/x.sock', secure: false }],
    ['', { error: 'requires a non-empty "endpoint"' }],
    ['http://', { error: 'requires a non-empty "endpoint"' }],
    ['unix://', { error: 'unix socket path cannot be empty' }],
    ['h', { error: 'address h: missing port in address' }],
    ['::1:4317', { error: 'address ::1:4317: too many colons in address' }],
    ['h:x', { error: 'invalid port "x"' }],
  ] as const)
    assert.deepEqual(parseTarget(endpoint), expected, endpoint);
  const message = (config: object) => schema.safeParse(config).error?.issues[0]?.message;
  assert.equal(message({}), 'requires a non-empty "endpoint"');
  assert.equal(message({ endpoint: 'h:1', compression: 'lz4' }), 'unsupported compression type "lz4"');
  assert.match(message({ endpoint: 'h:1', headers: { 'grpc-status': '0' } })!, /not a name for gRPC metadata/);
  assert.match(message({ endpoint: 'h:1', headers: { a: 'x\ny' } })!, /must be printable ASCII/);
  assert.equal(message({ endpoint: 'h:1', headers: { 'a-bin': 'x\ny' } }), undefined);
  assert.match(message({ endpoint: 'h:1', balancer_name: 'x' })!, /invalid balancer_name: x/);
});
