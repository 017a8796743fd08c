import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { test } from 'node:test';
import zlib from 'node:zlib';
import grpc from '@grpc/grpc-js';
import type * as z from 'zod';
import { componentContext } from '../../../../test/helpers/component.ts';
import type { Batch, Signal } from '../../../core/batch.ts';
import type { ReceiverDefinition } from '../../../core/component.ts';
import { permanent, retryable } from '../../../core/errors.ts';
import { retryInfo } from '../../../core/grpc.ts';
import { snappyFramed } from '../../../core/grpc-snappy.ts';
import { requestFromJson, requestToJson } from '../../../wire/otlp-json.ts';
import { encodeRequest } from '../../../wire/otlp-request.ts';
import definition, { type OtlpReceiverConfig } from './index.ts';

const { schema, create } = definition as ReceiverDefinition<z.ZodType<OtlpReceiverConfig>>;

const TEXT: Readonly<Record<Signal, string>> = {
  logs: '{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"b"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"severityText":"x"},{"severityText":"y"}]}]}]}',
  metrics:
    '{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}}]}]}]}',
  traces: '{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"name":"n"},{"name":"o"}]}]}]}',
};
const PATHS: Readonly<Record<Signal, string>> = {
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
};
const SIGNALS: readonly Signal[] = ['logs', 'metrics', 'traces'];

interface Running {
  readonly endpoint: string;
  readonly batches: Batch[];
  readonly value: ReturnType<typeof componentContext>['value'];
  send(signal: Signal, body: Uint8Array, metadata?: grpc.Metadata): Promise<Buffer>;
}

async function serving(
  config: object,
  use: (r: Running) => Promise<void>,
  { signals = SIGNALS, consume }: { signals?: readonly Signal[]; consume?: (b: Batch) => Promise<void> } = {},
): Promise<void> {
  const c = componentContext('otlp', 'receiver');
  const batches: Batch[] = [];
  const next = { consume: consume ?? (async (b: Batch) => void batches.push(b)) };
  const outputs = Object.fromEntries(signals.map((s) => [s, next]));
  const receiver = await create(schema.parse({ protocols: { grpc: { endpoint: '127.0.0.1:0', ...config } } }), {
    ...c.context,
    outputs,
  });
  await receiver.start?.();
  const started = c.lines.find((l) => l.message === 'Starting GRPC server')!;
  const client = new grpc.Client(String(started.fields['endpoint']), grpc.credentials.createInsecure());
  const bytes = (b: Uint8Array): Buffer => Buffer.from(b);
  try {
    await use({
      endpoint: String(started.fields['endpoint']),
      batches,
      value: c.value,
      send: (signal, body, metadata = new grpc.Metadata()) =>
        new Promise((resolve, reject) => {
          client.makeUnaryRequest(
            PATHS[signal],
            bytes,
            (b) => b,
            body,
            metadata,
            (e, answer) => (e ? reject(e) : resolve(answer!)),
          );
        }),
    });
  } finally {
    client.close();
    await receiver.stop?.(AbortSignal.timeout(10_000));
  }
}

const EXTRA: Readonly<Record<Signal, string>> = { logs: 'log_records', metrics: 'metric_points', traces: 'spans' };

test('every signal becomes the batch that was sent, and is counted as grpc', async () => {
  await serving({}, async ({ send, batches, value }) => {
    for (const signal of SIGNALS) {
      const answer = await send(signal, requestFromJson(signal, TEXT[signal]));
      assert.deepEqual([...answer], [10, 0]);
      const batch = batches.pop()!;
      assert.equal(batch.signal, signal);
      assert.equal(batch.count, 2);
      assert.equal(batch.patient, false);
      assert.equal(batch.metadata, undefined);
      assert.equal(requestToJson(signal, encodeRequest(batch.groups)), TEXT[signal]);
      assert.equal(value(`otelcol_receiver_accepted_${EXTRA[signal]}`, 'receiver=otlp', 'transport=grpc'), 2);
    }
    await send('logs', new Uint8Array(0));
    assert.equal(batches.length, 0);
    assert.equal(value('otelcol_receiver_accepted_log_records'), 2);
  });
});

test('only signals that a pipeline takes are there', async () => {
  await serving(
    {},
    async ({ send }) => {
      await send('logs', requestFromJson('logs', TEXT.logs));
      for (const signal of ['metrics', 'traces'] as const)
        await assert.rejects(send(signal, new Uint8Array(0)), { code: 12, details: /unknown service/ });
    },
    { signals: ['logs'] },
  );
});

/** One call with a frame of our own, for what grpc-js cannot send. */
function rawCall(endpoint: string, encoding: string, message: Buffer): Promise<unknown> {
  const session = http2.connect(`http://${endpoint}`);
  const stream = session.request({
    ':method': 'POST',
    ':path': PATHS.logs,
    'content-type': 'application/grpc',
    'grpc-encoding': encoding,
  });
  const head = Buffer.from([1, 0, 0, 0, 0]);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, message]));
  stream.resume();
  return new Promise((resolve, reject) => {
    let status: unknown;
    stream.on('response', (h) => {
      status = h['grpc-status'];
    });
    stream.on('trailers', (t) => {
      status = t['grpc-status'];
    });
    stream.on('error', reject);
    stream.on('close', () => {
      session.close();
      resolve(status);
    });
  });
}

test('messages packed with gzip, zstd and framed snappy are taken', async () => {
  await serving({}, async ({ endpoint, batches }) => {
    const request = Buffer.from(requestFromJson('logs', TEXT.logs));
    for (const [encoding, packed] of [
      ['gzip', zlib.gzipSync(request)],
      ['zstd', zlib.zstdCompressSync(request)],
      ['snappy', snappyFramed(request)],
    ] as const) {
      assert.equal(await rawCall(endpoint, encoding, packed), '0', encoding);
      assert.equal(requestToJson('logs', encodeRequest(batches.pop()!.groups)), TEXT.logs);
      assert.equal(await rawCall(endpoint, encoding, packed.subarray(0, 8)), '13', encoding);
    }
    assert.equal(await rawCall(endpoint, 'deflate', zlib.deflateSync(request)), '12');
  });
});

test('errors of the pipeline become statuses that tell senders whether to try again', async () => {
  let error: Error = new Error();
  await serving(
    {},
    async ({ send, value }) => {
      for (const [e, code, waitMs] of [
        [retryable('data refused due to high memory usage'), 14, undefined],
        [permanent('no'), 13, undefined],
        [new Error('bug'), 14, undefined],
        [permanent('no', { grpcCode: 3 }), 3, undefined],
        [retryable('no', { grpcCode: 8, retryAfterMs: 3000 }), 8, 3000],
        [retryable('no', { retryAfterMs: 500 }), 14, 500],
      ] as const) {
        error = e;
        await assert.rejects(send('logs', requestFromJson('logs', TEXT.logs)), (x: grpc.ServiceError) => {
          assert.deepEqual([x.code, x.details], [code, e.message]);
          const [details] = x.metadata.get('grpc-status-details-bin');
          assert.equal(details && retryInfo((details as Buffer).toString('base64')), waitMs);
          return true;
        });
      }
      assert.equal(value('otelcol_receiver_refused_log_records', 'transport=grpc'), 12);
      assert.equal(value('otelcol_receiver_accepted_log_records'), 0);
    },
    { consume: () => Promise.reject(error) },
  );
});

test('metadata becomes client metadata only when asked for', async () => {
  const metadata = new grpc.Metadata();
  metadata.set('X-Tenant', 'a');
  for (const include_metadata of [true, false])
    await serving({ include_metadata }, async ({ send, batches }) => {
      await send('logs', requestFromJson('logs', TEXT.logs), metadata);
      assert.deepEqual(batches[0]!.metadata?.get('x-tenant'), include_metadata ? ['a'] : undefined);
    });
});

test('bytes that are no request are refused and counted nowhere', async () => {
  await serving({}, async ({ send, batches, value }) => {
    for (const bad of [Buffer.from([255, 255, 255]), Buffer.from([10, 5, 18]), Buffer.from('hello')])
      await assert.rejects(send('logs', bad), { code: 13, details: /grpc: error unmarshalling request/ });
    assert.equal(batches.length, 0);
    assert.equal(value('otelcol_receiver_refused_log_records'), undefined);
  });
});

test('a port that is taken fails the start and leaves nothing open', async () => {
  const c = componentContext('otlp', 'receiver');
  const outputs = { logs: { consume: async () => {} } };
  const both = (grpcEndpoint: string, httpEndpoint: string) =>
    create(schema.parse({ protocols: { grpc: { endpoint: grpcEndpoint }, http: { endpoint: httpEndpoint } } }), {
      ...c.context,
      outputs,
    });
  const first = await both('127.0.0.1:0', '127.0.0.1:0');
  await first.start?.();
  const taken = String(c.lines.find((l) => l.message === 'Starting HTTP server')!.fields['endpoint']);
  const second = await both('127.0.0.1:0', taken);
  await assert.rejects(second.start!(), /^Error: listen tcp .*: bind: address already in use$/);
  const free = String(c.lines.findLast((l) => l.message === 'Starting GRPC server')!.fields['endpoint']);
  const third = await both(free, '127.0.0.1:0');
  await third.start?.();
  for (const r of [first, third]) await r.stop?.(AbortSignal.timeout(10_000));
});

/** A client with options of its own, beside the one that `serving` makes. */
function exportWith(endpoint: string, body: Uint8Array, client: grpc.ClientOptions, call: grpc.CallOptions = {}) {
  const c = new grpc.Client(endpoint, grpc.credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
    ...client,
  });
  return new Promise<Buffer>((resolve, reject) => {
    c.makeUnaryRequest(
      PATHS.logs,
      (b: Uint8Array) => Buffer.from(b),
      (b) => b,
      body,
      new grpc.Metadata(),
      call,
      (e, answer) => (e ? reject(e) : resolve(answer!)),
    );
  }).finally(() => c.close());
}

const GZIP = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };

/** A request of `records` records of about 1 KiB that do not pack well. */
function largeRequest(records: number): Uint8Array {
  const logRecords = Array.from({ length: records }, (_, i) => ({
    body: {
      stringValue: Array.from({ length: 64 }, (_, k) => Math.imul(i * 64 + k + 1, 2_654_435_761).toString(36)).join(
        ' ',
      ),
    },
  }));
  return requestFromJson('logs', JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] }));
}

test('messages above 4 MiB are refused unless allowed, plain or with gzip', async () => {
  const large = largeRequest(12_000);
  assert.ok(large.length > 5 << 20);
  await serving({}, async ({ endpoint, batches, send }) => {
    for (const options of [{}, GZIP])
      await assert.rejects(exportWith(endpoint, large, options), { code: 8, details: /larger than max/ });
    assert.equal(batches.length, 0);
    await send('logs', requestFromJson('logs', TEXT.logs));
    assert.equal(batches.length, 1);
  });
  await serving({ max_recv_msg_size_mib: 16 }, async ({ endpoint, batches, value }) => {
    for (const options of [{}, GZIP]) {
      assert.deepEqual([...(await exportWith(endpoint, large, options))], [10, 0]);
      const batch = batches.pop()!;
      assert.equal(batch.count, 12_000);
      assert.ok(Buffer.from(batch.groups[0]!.items).equals(Buffer.from(large.subarray(-batch.sizeBytes))));
    }
    assert.equal(value('otelcol_receiver_accepted_log_records', 'transport=grpc'), 24_000);
  });
});

test('a pipeline that is slower than the deadline of the call: the client is told, the next call succeeds', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let calls = 0;
  await serving(
    {},
    async ({ endpoint, value }) => {
      const request = requestFromJson('logs', TEXT.logs);
      await assert.rejects(exportWith(endpoint, request, GZIP, { deadline: Date.now() + 100 }), { code: 4 });
      assert.deepEqual([...(await exportWith(endpoint, request, GZIP, { deadline: Date.now() + 60_000 }))], [10, 0]);
      assert.equal(value('otelcol_receiver_accepted_log_records', 'transport=grpc'), 2);
      release();
    },
    {
      consume: async () => {
        if (calls++ === 0) await held;
      },
    },
  );
});
