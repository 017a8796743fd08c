import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import { after, test } from 'node:test';
import grpc from '@grpc/grpc-js';
import * as z from 'zod';
import { GrpcError, RESOURCE_EXHAUSTED, retryInfo } from './grpc.ts';
import { grpcServerShape } from './grpc-schema.ts';
import { type GrpcServer, type GrpcServerOptions, startGrpcServer, type UnaryHandler } from './grpc-server.ts';

const schema = z.strictObject(grpcServerShape('127.0.0.1:0'));
const pem = (name: string) => new URL(`./testdata/tls/${name}.pem`, import.meta.url).pathname;

const cleanup: (() => unknown)[] = [];
after(async () => {
  for (const c of cleanup.reverse()) await c();
});

const METHOD = '/a.B/Export';

async function serve(
  handler: UnaryHandler,
  config: object = {},
  auth?: GrpcServerOptions['auth'],
): Promise<GrpcServer> {
  const server = await startGrpcServer({ config: schema.parse(config), methods: new Map([[METHOD, handler]]), auth });
  cleanup.push(() => server.close(AbortSignal.abort()));
  return server;
}

function clientOf(address: string, options: grpc.ClientOptions = {}, credentials = grpc.credentials.createInsecure()) {
  const client = new grpc.Client(address, credentials, { 'grpc.max_send_message_length': -1, ...options });
  cleanup.push(() => client.close());
  return client;
}

interface CallOptions extends grpc.CallOptions {
  readonly path?: string;
  readonly metadata?: grpc.Metadata;
}

const plain = (b: Buffer): Buffer => b;

function call(client: grpc.Client, message: Buffer, { path = METHOD, metadata, ...options }: CallOptions = {}) {
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(path, plain, plain, message, metadata ?? new grpc.Metadata(), options, (error, value) =>
      error ? reject(error) : resolve(value!),
    );
  });
}

const echo: UnaryHandler = async (message) => message;
const fails = (code: number, details: RegExp) => (e: unknown) => {
  const { code: got, details: text } = e as grpc.ServiceError;
  assert.equal(got, code, text);
  assert.match(text, details);
  return true;
};

const GZIP = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };
const noise = (size: number): Buffer => {
  const b = Buffer.alloc(size);
  for (let i = 0, x = 1; i < size; i++) b[i] = x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 8;
  return b;
};

test('messages of every size come through, packed or not, alone or at the same time', async () => {
  const { address } = await serve(echo, { max_recv_msg_size_mib: 8 });
  for (const options of [{}, GZIP]) {
    const client = clientOf(address, { ...options, 'grpc.max_receive_message_length': -1 });
    for (const size of [0, 1, 100, 16_384, 65_536, 1_000_000, 6 * 1024 * 1024]) {
      const message = noise(size);
      assert.ok((await call(client, message)).equals(message), `${size}`);
    }
    const many = await Promise.all(Array.from({ length: 50 }, (_, i) => call(client, noise(i * 1000))));
    for (const [i, m] of many.entries()) assert.ok(m.equals(noise(i * 1000)));
  }
});

test('a message over the limit is refused, whether it is too large packed or unpacked', async () => {
  let handled = 0;
  const { address } = await serve(async (m) => {
    handled++;
    return m;
  });
  const large = Buffer.alloc(5 * 1024 * 1024);
  await assert.rejects(
    call(clientOf(address), large),
    fails(8, /^grpc: received message larger than max \(5242880 vs\. 4194304\)$/),
  );
  await assert.rejects(call(clientOf(address, GZIP), large), fails(8, /after decompression larger than max 4194304/));
  assert.equal(handled, 0);
  assert.equal((await call(clientOf(address, GZIP), Buffer.alloc(1000))).length, 1000);
});

test('unknown services and methods are told apart', async () => {
  const client = clientOf((await serve(echo)).address);
  await assert.rejects(call(client, Buffer.alloc(0), { path: '/x.Y/Z' }), fails(12, /^unknown service x\.Y$/));
  await assert.rejects(
    call(client, Buffer.alloc(0), { path: '/a.B/Z' }),
    fails(12, /^unknown method Z for service a\.B$/),
  );
});

test('a status of the handler arrives whole, with its wait; other errors are INTERNAL', async () => {
  let error: Error = new GrpcError(RESOURCE_EXHAUSTED, 'zu viel: 100 % „ü"\n', { retryAfterMs: 1500 });
  const client = clientOf((await serve(() => Promise.reject(error))).address);
  await assert.rejects(call(client, Buffer.alloc(10)), (e: grpc.ServiceError) => {
    assert.equal(e.code, 8);
    assert.equal(e.details, 'zu viel: 100 % „ü"\n');
    const [details] = e.metadata.get('grpc-status-details-bin');
    assert.equal(retryInfo((details as Buffer).toString('base64')), 1500);
    return true;
  });
  error = new Error('a bug');
  await assert.rejects(call(client, Buffer.alloc(10)), fails(13, /^a bug$/));
});

test('the deadline of a call ends it, and the server goes on', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { address } = await serve(async (m) => {
    if (m.length === 1) await held;
    return m;
  });
  const client = clientOf(address);
  await assert.rejects(call(client, Buffer.alloc(1), { deadline: Date.now() + 50 }), fails(4, /./));
  assert.equal((await call(client, Buffer.alloc(2))).length, 2);
  // Without a client that counts for itself, the server is the one that answers.
  const session = http2.connect(`http://${address}`);
  cleanup.push(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': METHOD,
    'content-type': 'application/grpc',
    'grpc-timeout': '20m',
  });
  const head = new Promise<http2.IncomingHttpHeaders>((resolve) => stream.once('response', resolve));
  stream.end(Buffer.from([0, 0, 0, 0, 1, 7]));
  assert.equal((await head)['grpc-status'], '4');
  release();
});

test('the handler knows the address of the sender', async () => {
  const { address } = await serve(async (_m, _metadata, peer) => Buffer.from(peer ?? 'unknown'));
  assert.equal((await call(clientOf(address), Buffer.alloc(0))).toString(), '127.0.0.1');
});

test('metadata reaches the handler and the authenticator, which decides', async () => {
  const { address } = await serve(
    async (_m, metadata) => Buffer.from(JSON.stringify([...metadata])),
    {},
    {
      authenticate: async (headers) => {
        if (headers.get('authorization')?.[0] !== 'Bearer good') throw new Error('who are you?');
      },
    },
  );
  const client = clientOf(address);
  const metadata = new grpc.Metadata();
  await assert.rejects(call(client, noise(100_000), { metadata }), fails(16, /^who are you\?$/));
  metadata.set('Authorization', 'Bearer good');
  metadata.set('X-Tenant', 'a');
  const seen = new Map(JSON.parse((await call(client, Buffer.alloc(0), { metadata })).toString()));
  assert.deepEqual(seen.get('x-tenant'), ['a']);
  assert.deepEqual(seen.get(':authority'), [address]);
  assert.deepEqual(
    [...seen.keys()].filter((k) => String(k).startsWith('grpc-') || k === ':path' || k === 'te'),
    [],
  );
});

test('what is no gRPC call is refused and harms nobody', async () => {
  const { address } = await serve(echo);
  const session = http2.connect(`http://${address}`);
  cleanup.push(() => session.destroy());
  const request = (headers: http2.OutgoingHttpHeaders, body: Buffer) =>
    new Promise<http2.IncomingHttpHeaders>((resolve, reject) => {
      const s = session.request({ ':method': 'POST', ':path': METHOD, 'content-type': 'application/grpc', ...headers });
      let head: http2.IncomingHttpHeaders = {};
      s.on('response', (h) => {
        head = h;
      });
      s.on('trailers', (t) => {
        head = { ...head, ...t };
      });
      s.on('error', reject);
      s.on('close', () => resolve(head));
      s.resume();
      s.end(body);
    });
  const one = Buffer.from([0, 0, 0, 0, 1, 7]);
  for (const [headers, body, http, status] of [
    [{ 'content-type': 'application/json' }, one, 415, '3'],
    [{ 'content-type': 'application/grpcx' }, one, 415, '3'],
    [{ ':method': 'PUT' }, one, 405, '13'],
    [{}, Buffer.alloc(0), 200, '13'],
    [{}, one.subarray(0, 3), 200, '13'],
    [{}, one.subarray(0, 5), 200, '13'],
    [{}, Buffer.concat([one, one]), 200, '13'],
    [{}, Buffer.from([1, 0, 0, 0, 1, 7]), 200, '13'],
    [{}, Buffer.from([2, 0, 0, 0, 1, 7]), 200, '13'],
    [{ 'grpc-encoding': 'gzip' }, Buffer.from([1, 0, 0, 0, 1, 7]), 200, '13'],
    [{ 'grpc-encoding': 'br' }, Buffer.from([1, 0, 0, 0, 1, 7]), 200, '12'],
    [{ 'content-type': 'application/grpc+proto' }, one, 200, '0'],
  ] as const) {
    const head = await request(headers, body);
    assert.deepEqual([head[':status'], head['grpc-status']], [http, status], JSON.stringify(headers));
  }
  // Bytes that are not HTTP/2 at all.
  const socket = net.connect(Number(address.split(':')[1]), '127.0.0.1');
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => {});
  socket.resume().write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await closed;
  assert.equal((await call(clientOf(address), one)).length, 6);
});

test('closing lets open calls end, and takes no new ones', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let entered = () => {};
  const inside = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const server = await serve(async (m) => {
    entered();
    await held;
    return m;
  });
  const client = clientOf(server.address);
  const open = call(client, Buffer.from('open'));
  await inside;
  const closed = server.close(AbortSignal.timeout(60_000));
  release();
  assert.equal((await open).toString(), 'open');
  await closed;
  await assert.rejects(call(client, Buffer.from('late')), fails(14, /./));
});

test('closing cuts what does not end in time', async () => {
  let entered = () => {};
  const inside = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const server = await serve(() => {
    entered();
    return new Promise(() => {});
  });
  const failed = assert.rejects(call(clientOf(server.address), Buffer.from('x')), fails(14, /./));
  await inside;
  const deadline = new AbortController();
  const closed = server.close(deadline.signal);
  deadline.abort();
  await closed;
  await failed;
});

test('TLS, and certificates of clients where a CA for them is set', async () => {
  const tls = { cert_file: pem('server'), key_file: pem('server-key') };
  const ca = readFileSync(pem('ca'));
  const { address } = await serve(echo, { tls });
  const target = `localhost:${address.split(':')[1]}`;
  assert.equal((await call(clientOf(target, {}, grpc.credentials.createSsl(ca)), Buffer.from('x'))).toString(), 'x');
  const mutual = await serve(echo, { tls: { ...tls, client_ca_file: pem('ca') } });
  const mutualTarget = `localhost:${mutual.address.split(':')[1]}`;
  const withCert = grpc.credentials.createSsl(ca, readFileSync(pem('client-key')), readFileSync(pem('client')));
  assert.equal((await call(clientOf(mutualTarget, {}, withCert), Buffer.from('x'))).toString(), 'x');
  await assert.rejects(
    call(clientOf(mutualTarget, {}, grpc.credentials.createSsl(ca)), Buffer.from('x')),
    fails(14, /./),
  );
});

test('connections end when they are idle or old, and clients go on with new ones', async () => {
  for (const server_parameters of [
    { max_connection_idle: '20ms' },
    { max_connection_age: '20ms', max_connection_age_grace: '1s' },
  ]) {
    const { address } = await serve(echo, { keepalive: { server_parameters } });
    const session = http2.connect(`http://${address}`);
    await new Promise((resolve) => session.once('close', resolve));
    const client = clientOf(address);
    for (let i = 0; i < 3; i++) {
      assert.equal((await call(client, Buffer.from('x'), { deadline: Date.now() + 60_000 })).toString(), 'x');
    }
  }
});

test('a connection that gives no sign of life is closed, one that answers stays', async () => {
  const { address } = await serve(echo, { keepalive: { server_parameters: { time: '20ms', timeout: '2s' } } });
  const dead = net.connect(Number(address.split(':')[1]), '127.0.0.1');
  dead.on('error', () => {});
  const closed = new Promise((resolve) => dead.on('close', resolve));
  dead.resume().write(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1'));
  const alive = http2.connect(`http://${address}`);
  cleanup.push(() => alive.destroy());
  await new Promise((resolve) => alive.once('connect', resolve));
  await closed;
  assert.equal(alive.closed, false);
});
