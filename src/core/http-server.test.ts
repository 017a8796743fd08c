import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

test('0.0.0.0 is every address of every family, as in Go', async (t) => {
  const server = await startHttpServer(config({ endpoint: '0.0.0.0:0' }), (_, res) => void res.end('here'));
  const { port } = parseEndpoint(server.address);
  const ask = async (host: string): Promise<string> => (await fetch(`http://${host}:${port}`)).text();
  assert.equal(await ask('127.0.0.1'), 'here');
  if (server.address.startsWith('[')) assert.equal(await ask('[::1]'), 'here');
  else t.diagnostic('this machine has no IPv6');
  await server.close();
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

const pem = (name: string) => new URL(`./testdata/tls/${name}.pem`, import.meta.url).pathname;

/** The status of a GET, or the code of the error. */
const get = (address: string, tls: https.RequestOptions): Promise<number | string | undefined> =>
  new Promise((resolve) => {
    const req = https.get(`https://${address}/`, { ca: readFileSync(pem('ca')), agent: false, ...tls }, (res) =>
      resolve(res.resume().statusCode),
    );
    req.on('error', (e: NodeJS.ErrnoException) => resolve(e.code));
  });

test('HTTPS is served, and a client CA makes certificates of clients necessary', async () => {
  const pair = { cert_file: pem('server'), key_file: pem('server-key') };
  const open = await startHttpServer(config({ tls: pair }), (_q, s) => void s.end());
  assert.equal(await get(open.address, {}), 200);
  assert.match(String(await get(open.address, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' })), /^E/);
  await open.close();
  const mutual = await startHttpServer(
    config({ tls: { ...pair, client_ca_file: pem('ca') } }),
    (_q, s) => void s.end(),
  );
  const client = { cert: readFileSync(pem('client')), key: readFileSync(pem('client-key')) };
  assert.equal(await get(mutual.address, client), 200);
  assert.notEqual(await get(mutual.address, {}), 200);
  await mutual.close();
  await assert.rejects(
    startHttpServer(config({ tls: null }), () => {}),
    /must include both certificate and key/,
  );
});

test('certificates of a server are read again after reload_interval', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
  const put = (name: string) => {
    copyFileSync(pem(name), join(dir, 'c.pem'));
    copyFileSync(pem(`${name}-key`), join(dir, 'k.pem'));
  };
  put('expired');
  const server = await startHttpServer(
    config({ tls: { cert_file: join(dir, 'c.pem'), key_file: join(dir, 'k.pem'), reload_interval: '5ms' } }),
    (_q, s) => void s.end(),
  );
  try {
    assert.equal(await get(server.address, {}), 'CERT_HAS_EXPIRED');
    put('server');
    for (let i = 0; (await get(server.address, {})) !== 200; i++) assert.ok(i < 1000, 'still the old certificate');
  } finally {
    await server.close();
    rmSync(dir, { recursive: true });
  }
});
