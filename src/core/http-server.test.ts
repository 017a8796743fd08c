import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { ConfigError } from './errors.ts';
import { BodyTooLargeError, parseEndpoint, readBody, startHttpServer } from './http-server.ts';
import { httpServer } from './schema.ts';

const config = (more: object = {}) => httpServer('127.0.0.1:0').parse(more);

test('endpoints are read as Go reads them', () => {
  for (const [text, host, port] of [
    ['localhost:4318', 'localhost', 4318],
    [':4318', '', 4318],
    ['[::1]:80', '::1', 80],
    ['0.0.0.0:0', '0.0.0.0', 0],
  ] as const)
    assert.deepEqual(parseEndpoint(text), { host, port });
  for (const [text, message] of [
    ['localhost', 'listen tcp: address localhost: missing port in address'],
    ['::1:80', 'listen tcp: address ::1:80: too many colons in address'],
    ['a:http2', 'listen tcp: lookup tcp/http2: unknown port'],
    ['a:70000', 'listen tcp: address 70000: invalid port'],
  ] as const)
    assert.throws(
      () => parseEndpoint(text),
      (e) => e instanceof ConfigError && e.message === message,
    );
});

test('a taken port is named as Go names it', async () => {
  const first = await startHttpServer(config(), () => {});
  await assert.rejects(
    startHttpServer(config({ endpoint: first.address }), () => {}),
    {
      message: `listen tcp ${first.address}: bind: address already in use`,
    },
  );
  await first.close();
});

test('closing lets an open request finish, and cuts it when the deadline comes', async () => {
  let release = () => {};
  let arrived = () => {};
  const here = new Promise<void>((r) => (arrived = r));
  const server = await startHttpServer(config(), async (_req, res) => {
    arrived();
    await new Promise<void>((r) => (release = r));
    res.end('done');
  });
  const answer = fetch(`http://${server.address}/`).then((r) => r.text());
  await here;
  const closed = server.close();
  release();
  assert.equal(await answer, 'done');
  await closed;

  const stuck = await startHttpServer(config(), () => arrived());
  const waits = new Promise<void>((r) => (arrived = r));
  const cut = fetch(`http://${stuck.address}/`).then(
    () => 'answered',
    () => 'cut',
  );
  await waits;
  const deadline = new AbortController();
  const gone = stuck.close(deadline.signal);
  deadline.abort();
  await gone;
  assert.equal(await cut, 'cut');
});

test('CORS answers preflights of allowed origins only', async () => {
  const server = await startHttpServer(
    config({ cors: { allowed_origins: ['https://*.example.com'], allowed_headers: ['x-a'] } }),
    (_q, s) => void s.end('ok'),
  );
  const preflight = (origin: string) =>
    new Promise<http.IncomingMessage>((resolve) => {
      const req = http.request(`http://${server.address}/`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'X-A' },
      });
      req.on('response', (r) => resolve(r.resume()));
      req.end();
    });
  const good = await preflight('https://app.example.com');
  assert.equal(good.statusCode, 204);
  assert.equal(good.headers['access-control-allow-origin'], 'https://app.example.com');
  assert.equal(good.headers['access-control-allow-methods'], 'POST');
  assert.equal(good.headers['access-control-allow-headers'], 'x-a');
  const bad = await preflight('https://example.org');
  assert.equal(bad.headers['access-control-allow-origin'], undefined);
  await server.close();
});

test('bodies over the limit are refused, announced or not', async () => {
  const seen: string[] = [];
  const server = await startHttpServer(config(), async (req, res) => {
    try {
      seen.push(`${(await readBody(req, 10)).length}`);
    } catch (e) {
      assert.ok(e instanceof BodyTooLargeError);
      seen.push(e.message);
    }
    res.setHeader('connection', 'close').end();
  });
  const send = (chunked: boolean, body: string) =>
    new Promise<void>((resolve) => {
      const { hostname, port } = new URL(`http://${server.address}`);
      const socket = net.connect(Number(port), hostname);
      const head = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`;
      const text = chunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
      socket.write(`POST / HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n${text}`);
      socket.resume().on('close', () => resolve());
    });
  await send(false, '0123456789');
  await send(false, '0123456789a');
  await send(true, '0123456789a');
  assert.deepEqual(seen, ['10', 'http: request body too large', 'http: request body too large']);
  await server.close();
});
