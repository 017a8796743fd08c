/**
 * Hostile senders against the running collector, over OTLP/HTTP and OTLP/gRPC: what they are answered, what memory they
 * can take (the peak of the process, measured by the kernel), and that a normal export succeeds after them.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import zlib from 'node:zlib';
import { frameHead } from '../src/core/grpc.ts';
import { snappyFramed } from '../src/core/grpc-snappy.ts';
import { requestFromJson } from '../src/wire/otlp-json.ts';
import { ProtoWriter } from '../src/wire/proto.ts';
import { snappyEncode } from '../src/wire/snappy.ts';
import { type Agent, freePort, READY, startWith, tempDir, until } from './helpers/agent.ts';
import { type Sink, startSink } from './helpers/sink.ts';

const MIB = 1 << 20;
/**
 * The bound on the whole process: some 100 MiB when idle, 128 MiB of bodies on their way, two bodies of 20 MiB that
 * are being unpacked, one that is being converted, and as much again for what is not yet collected.
 */
const PEAK_BYTES = 400 * MIB;
/** Where senders wait for an answer; it only ends a test that fails. */
const LIMIT_MS = 60_000;

const skip = existsSync('/proc/self/status') ? false : 'needs /proc';

interface Target {
  readonly http: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly agent: Agent;
  readonly sink: Sink;
  /** The most that the process ever had in memory. */
  peakBytes(): number;
}

async function start(t: TestContext, httpKeys = ''): Promise<Target> {
  const [httpPort, grpcPort, sink] = [await freePort(), await freePort(), await startSink(t)];
  const agent = startWith(
    t,
    tempDir(t),
    `receivers:
  otlp:
    protocols:
      http: {endpoint: "127.0.0.1:${httpPort}"${httpKeys}}
      grpc: {endpoint: "127.0.0.1:${grpcPort}"}
exporters: {otlp_http: {endpoint: "${sink.url}"}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {logs: {receivers: [otlp], exporters: [otlp_http]}}
`,
  );
  await agent.says(READY);
  return {
    http: `http://127.0.0.1:${httpPort}/v1/logs`,
    httpPort,
    grpcPort,
    agent,
    sink,
    peakBytes() {
      const [, kib] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${agent.pid}/status`, 'latin1'))!;
      return Number(kib) * 1024;
    },
  };
}

const JSON_TYPE = 'application/json';
const PROTO_TYPE = 'application/x-protobuf';

async function post(to: Target, body: Uint8Array | string, encoding = '', type = PROTO_TYPE): Promise<number> {
  const headers = { 'content-type': type, ...(encoding && { 'content-encoding': encoding }) };
  const r = await fetch(to.http, {
    method: 'POST',
    body: body as BodyInit,
    headers,
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  await r.arrayBuffer();
  return r.status;
}

/** The grpc-status of a call with one message. */
async function call(to: Target, message: Uint8Array, encoding = ''): Promise<number> {
  const session = http2.connect(`http://127.0.0.1:${to.grpcPort}`);
  try {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
      'content-type': 'application/grpc',
      ...(encoding && { 'grpc-encoding': encoding }),
    });
    let status: unknown;
    for (const event of ['response', 'trailers'] as const)
      stream.on(event, (h: http2.IncomingHttpHeaders) => {
        status = h['grpc-status'] ?? status;
      });
    // A refused message is not read to its end.
    stream.on('error', () => {});
    stream.resume();
    stream.write(frameHead(message.length, encoding !== ''));
    stream.end(message);
    await once(stream, 'close', { signal: AbortSignal.timeout(LIMIT_MS) });
    return Number(status);
  } finally {
    session.destroy();
  }
}

const logs = (body: string): string =>
  JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: body } }] }] }] });

/** A normal export over both protocols arrives, and the process stayed within its bound. */
async function goesOn(to: Target): Promise<void> {
  const before = to.sink.records.length;
  assert.equal(await post(to, logs('after, HTTP'), '', JSON_TYPE), 200);
  assert.equal(await call(to, requestFromJson('logs', logs('after, gRPC'))), 0);
  const arrived = (body: string): boolean => to.sink.bodies.includes(body, before);
  await until(() => arrived('after, HTTP') && arrived('after, gRPC'), 'the normal exports');
  assert.ok(to.agent.running);
  const peak = to.peakBytes();
  assert.ok(peak < PEAK_BYTES, `took ${Math.round(peak / MIB)} MiB`);
}

test('bombs of every compression, 30 at a time: refused, in bounded memory', { skip }, async (t) => {
  const zeros = Buffer.alloc(1024 * MIB);
  const framed = snappyFramed(zeros.subarray(0, 64 * MIB));
  const gzip = zlib.gzipSync(zeros);
  const zstd = zlib.zstdCompressSync(zeros);
  const bombs: [string, Buffer][] = [
    ['gzip', gzip],
    ['zstd', zstd],
    ['deflate', zlib.deflateSync(zeros)],
    ['snappy', Buffer.from(snappyEncode(zeros.subarray(0, 64 * MIB)))],
    ['x-snappy-framed', framed],
  ];
  const to = await start(t);
  for (const [encoding, bomb] of bombs) {
    const statuses = await Promise.all(Array.from({ length: 30 }, () => post(to, bomb, encoding)));
    assert.deepEqual([...new Set(statuses)], [400], encoding);
  }
  for (const [encoding, bomb] of [
    ['gzip', gzip],
    ['zstd', zstd],
    ['snappy', framed.subarray(0, 4 * MIB)],
  ] as const) {
    const statuses = await Promise.all(Array.from({ length: 30 }, () => call(to, bomb, encoding)));
    assert.deepEqual([...new Set(statuses)], [8], encoding);
  }
  await goesOn(to);
});

/** A record whose body is values in values, written from the inside out. `fields` leads from a value to the next. */
function nested(depth: number, ...fields: number[]): Uint8Array {
  const heads: Buffer[] = [];
  let size = 0;
  const wrap = (field: number): void => {
    const w = new ProtoWriter(16);
    w.tag(field, 2);
    w.varint(size);
    heads.push(Buffer.from(w.finish()));
    size += heads.at(-1)!.length;
  };
  for (let i = 0; i < depth; i++) for (const f of fields.toReversed()) wrap(f);
  for (const f of [5, 2, 2, 1]) wrap(f);
  return Buffer.concat(heads.reverse());
}

test('values nested a hundred thousand deep: refused', { skip }, async (t) => {
  const to = await start(t);
  const body = (value: string): string => `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${value}}]}]}]}`;
  const [n, list, map] = [100_000, '{"arrayValue":{"values":[', '{"kvlistValue":{"values":[{"key":"k","value":'];
  for (const text of [
    body(`${list.repeat(n)}{}${']}}'.repeat(n)}`),
    body(`${map.repeat(n)}{}${'}]}}'.repeat(n)}`),
    `{"unknown":${'['.repeat(5_000_000)}${']'.repeat(5_000_000)}}`,
    `{"unknown":${'{"a":'.repeat(1_000_000)}1${'}'.repeat(1_000_000)}}`,
    '['.repeat(10_000_000),
  ])
    assert.equal(await post(to, text, '', JSON_TYPE), 400, text.slice(0, 30));
  // AnyValue.array_value.values, and AnyValue.kvlist_value.values.value.
  for (const request of [nested(n, 5, 1), nested(n, 6, 1, 2)]) {
    assert.equal(await post(to, request), 400);
    assert.equal(await call(to, request), 13);
  }
  for (const request of [nested(60, 5, 1), nested(40, 6, 1, 2)]) assert.equal(await post(to, request), 200);
  await goesOn(to);
});

test('one record with 100,000 attributes arrives whole', { skip }, async (t) => {
  const to = await start(t);
  const attributes = Array.from({ length: 100_000 }, (_, i) => ({ key: `key-${i}`, value: { intValue: `${i}` } }));
  const text = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ attributes }] }] }] });
  const request = requestFromJson('logs', text);
  assert.equal(await post(to, text, '', JSON_TYPE), 200);
  assert.equal(await post(to, request), 200);
  assert.equal(await call(to, request), 0);
  await until(() => to.sink.records.length >= 3, 'the records');
  for (const r of to.sink.records) {
    assert.equal(r.attributes.size, 100_000);
    assert.equal(r.attributes.get('key-99999'), 99_999n);
  }
  const resource = { attributes };
  assert.equal(await post(to, JSON.stringify({ resourceLogs: [{ resource }] }), '', JSON_TYPE), 200);
  await goesOn(to);
});

test('20 MB that would be millions of objects: refused or walked, in bounded memory', { skip }, async (t) => {
  const to = await start(t);
  for (const [text, status] of [
    [`{"unknown":[${'{},'.repeat(6_000_000)}1]}`, 200],
    [`{"unknown":[${'{"a":[]},'.repeat(2_000_000)}1]}`, 200],
    [`{"resourceLogs":[${'{"scopeLogs":[{"logRecords":[{}]}]},'.repeat(500_000)}{}]}`, 400],
  ] as const)
    assert.equal(await post(to, text, '', JSON_TYPE), status, text.slice(0, 40));
  const resources = Buffer.alloc(18_000_000, Buffer.from([0x0a, 4, 0x12, 2, 0x12, 0]));
  assert.equal(await post(to, resources), 400);
  assert.equal(await call(to, resources.subarray(0, 3_999_996)), 13);
  await goesOn(to);
});

interface Connection {
  readonly socket: net.Socket;
  /** What the server said before it closed. */
  readonly closed: Promise<string>;
}

async function connect(t: TestContext, port: number): Promise<Connection> {
  const socket = net.connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  let said = '';
  socket.on('data', (d) => {
    said += d.toString('latin1', 0, 200);
  });
  const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(said)));
  await once(socket, 'connect');
  socket.on('error', () => {});
  return { socket, closed };
}

const head = (framing: string): string =>
  `POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: ${PROTO_TYPE}\r\n${framing}\r\n\r\n`;

test('headers and bodies that drip are cut when their time is over, others are served meanwhile', {
  skip,
}, async (t) => {
  const to = await start(t, ', read_header_timeout: 1s, read_timeout: 2s');
  const drip = async (first: string, next: string): Promise<string> => {
    const { socket, closed } = await connect(t, to.httpPort);
    socket.write(first);
    const timer = setInterval(() => socket.writable && socket.write(next), 100);
    t.after(() => clearInterval(timer));
    return closed.finally(() => clearInterval(timer));
  };
  const all = Promise.all([
    ...Array.from({ length: 50 }, () => drip('POST /v1/logs HTTP/1.1\r\nhost: x\r\n', 'a: b\r\n')),
    ...Array.from({ length: 50 }, () => drip(head('content-length: 20000000'), 'x')),
    ...Array.from({ length: 50 }, () => drip(head('transfer-encoding: chunked'), '1\r\nx\r\n')),
  ]);
  for (let i = 0; i < 20; i++) assert.equal(await post(to, logs('meanwhile'), '', JSON_TYPE), 200);
  const said = await all;
  assert.ok(said.some((text) => text.startsWith('HTTP/1.1 408 ')));
  for (const text of said) assert.doesNotMatch(text, /^HTTP\/1\.1 200/);
  await until(() => to.sink.records.length >= 20, 'what was sent meanwhile');
  await goesOn(to);
});

test('bodies that never end take no more than their share; the oldest are told to try again', { skip }, async (t) => {
  const to = await start(t);
  const half = Buffer.alloc(15 * MIB);
  const said: string[] = [];
  for (let i = 0; i < 40; i++) {
    const { socket, closed } = await connect(t, to.httpPort);
    void closed.then((text) => said.push(text));
    socket.write(head('content-length: 20000000'));
    await new Promise((resolve) => socket.write(half, resolve));
  }
  await until(() => said.length >= 20, 'the oldest to be cut');
  assert.ok(said.every((text) => text === '' || text.startsWith('HTTP/1.1 503 ')));
  assert.ok(said.some((text) => text !== ''));
  // A body in chunks of one byte.
  const { socket } = await connect(t, to.httpPort);
  socket.write(head('transfer-encoding: chunked'));
  await new Promise((resolve) => socket.write('1\r\nx\r\n'.repeat(1_000_000), resolve));
  // Calls whose messages stay unfinished, 100 on each of five connections.
  for (let c = 0; c < 5; c++) {
    const session = http2.connect(`http://127.0.0.1:${to.grpcPort}`);
    t.after(() => session.destroy());
    session.on('error', () => {});
    for (let i = 0; i < 100; i++) {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
        'content-type': 'application/grpc',
      });
      stream.on('error', () => {}).resume();
      stream.write(frameHead(4 * MIB, false));
      await new Promise((resolve) => stream.write(Buffer.alloc(MIB), resolve));
    }
  }
  await goesOn(to);
});

/** How many of 10,000 connections this machine lets a process have. */
function connectionCount(): number {
  const [, limit] = /Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'latin1'))!;
  return Math.min(10_000, Number(limit) - 500);
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');

for (const [protocol, first] of [
  ['HTTP', Buffer.from(`${head('content-length: 20000000')}0123456789`)],
  ['gRPC', PREFACE],
] as const)
  test(`10,000 open connections, ${protocol}: others are served, in bounded memory`, { skip }, async (t) => {
    const count = connectionCount();
    t.diagnostic(`${count} connections`);
    const to = await start(t);
    const port = protocol === 'HTTP' ? to.httpPort : to.grpcPort;
    const sockets: net.Socket[] = [];
    t.after(() => {
      for (const s of sockets) s.destroy();
    });
    let open = 0;
    const one = async (): Promise<void> => {
      const socket = net.connect(port, '127.0.0.1');
      sockets.push(socket);
      await once(socket, 'connect');
      open++;
      socket.on('close', () => open--).on('error', () => {});
      socket.resume();
      await new Promise((resolve) => socket.write(first, resolve));
    };
    for (let i = 0; i < count; i += 250) await Promise.all(Array.from({ length: Math.min(250, count - i) }, one));
    await goesOn(to);
    assert.equal(open, count);
    t.diagnostic(`peak ${Math.round(to.peakBytes() / MIB)} MiB`);
  });
