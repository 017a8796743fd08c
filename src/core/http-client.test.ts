import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http, { type IncomingMessage, type RequestListener } from 'node:http';
import https, { type ServerOptions } from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { SYSTEM_CLOCK } from './clock.ts';
import { ConfigError } from './errors.ts';
import { createHttpClient, HttpRequestError, userAgent } from './http-client.ts';
import { httpClient } from './schema.ts';

const pem = (name: string) => new URL(`./testdata/tls/${name}.pem`, import.meta.url).pathname;
const ca = { ca_file: pem('ca') };

const open: { close: () => void }[] = [];
after(() => {
  for (const s of open) s.close();
});

const client = (config: object = {}, env = {}) => {
  const c = createHttpClient(httpClient().parse(config), { clock: SYSTEM_CLOCK, env });
  open.push(c);
  return c;
};

async function serve(listener: RequestListener, tls?: ServerOptions): Promise<URL> {
  const server = tls ? https.createServer(tls, listener) : http.createServer(listener);
  open.push({ close: () => server.close().closeAllConnections() });
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
  return new URL(`${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}/v1/logs`);
}

/** A server that speaks raw bytes. */
async function raw(onSocket: (s: Socket) => void): Promise<URL> {
  const server = net.createServer((s) => {
    s.on('error', () => {});
    open.push({ close: () => s.destroy() });
    onSocket(s);
  });
  open.push(server);
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

const keyPair = (name: string) => ({ key: readFileSync(pem(`${name}-key`)), cert: readFileSync(pem(name)) });

async function bodyOf(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const c of req) chunks.push(c as Buffer);
  return Buffer.concat(chunks);
}

const BODY = Buffer.from('hello');
const failsWith = (reason: RegExp) => (e: unknown) => {
  assert.ok(e instanceof HttpRequestError, String(e));
  assert.match(e.message, /^Post "https?:\/\//);
  assert.match(e.message, reason);
  return true;
};

test('a request carries its headers, the configured ones win, and connections are used again', async () => {
  const seen: http.IncomingHttpHeaders[] = [];
  const ports = new Set<number>();
  const url = await serve(async (req, res) => {
    seen.push(req.headers);
    ports.add(req.socket.remotePort!);
    res.end(await bodyOf(req));
  });
  const c = client({ headers: { 'User-Agent': 'mine', Host: 'name.test', 'X-A': 'b' } });
  for (let i = 0; i < 3; i++) {
    const answer = await c.post(url, { 'user-agent': 'default', 'content-type': 'text/x' }, BODY);
    assert.equal(answer.status, 200);
    assert.equal(answer.body.toString(), 'hello');
  }
  const { 'user-agent': agent, host, 'x-a': a, 'content-length': length, 'content-type': type } = seen[0]!;
  assert.deepEqual([agent, host, a, length, type], ['mine', 'name.test', 'b', '5', 'text/x']);
  assert.equal(ports.size, 1);
});

test('the user agent names product, version and machine', () => {
  assert.match(userAgent({ command: 'sluice', description: 'x', version: '1.2.3' }), /^Sluice\/1\.2\.3 \(\w+\/\w+\)$/);
});

test('failures of the network read as in Go', async () => {
  const closed = await raw(() => {});
  (open.pop() as net.Server).close();
  await assert.rejects(
    client().post(closed, {}, BODY),
    failsWith(/dial tcp 127\.0\.0\.1:\d+: connect: connection refused$/),
  );
  await assert.rejects(
    client().post(await raw((s) => s.destroy()), {}, BODY),
    failsWith(/EOF$|connection reset by peer$|broken pipe$/),
  );
  await assert.rejects(
    client().post(await raw((s) => s.resetAndDestroy()), {}, BODY),
    failsWith(/connection reset by peer$|EOF$/),
  );
  await assert.rejects(
    client().post(new URL('http://nope.invalid/'), {}, BODY),
    failsWith(/dial tcp: lookup nope\.invalid: (no such host|Temporary failure in name resolution)$/),
  );
  await assert.rejects(
    client().post(await raw((s) => s.end('220 smtp ready\r\n')), {}, BODY),
    failsWith(/malformed HTTP response/),
  );
  await assert.rejects(
    client().post(
      await raw((s) => s.once('data', () => s.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'))),
      {},
      BODY,
    ),
    failsWith(/unexpected EOF$/),
  );
});

test('passwords in a URL stay out of messages', async () => {
  const url = await raw((s) => s.destroy());
  url.username = 'u';
  url.password = 'geheim';
  await assert.rejects(client().post(url, {}, BODY), (e: Error) => !e.message.includes('geheim'));
});

test('a server that never answers, or never ends its answer, hits the timeout', async () => {
  const deadlines = failsWith(/context deadline exceeded/);
  const c = client({ timeout: '50ms' });
  await assert.rejects(c.post(await raw(() => {}), {}, BODY), deadlines);
  await assert.rejects(c.post(await serve((_q, res) => void res.write('x')), {}, BODY), deadlines);
  const endless = await serve((_q, res) => {
    const timer = setInterval(() => res.write('.'), 5);
    res.on('close', () => clearInterval(timer));
  });
  await assert.rejects(c.post(endless, {}, BODY), deadlines);
});

test('a long answer is read only so far', async () => {
  const url = await serve((_q, res) => {
    const more = (gone?: Error | null) => gone || res.write(Buffer.alloc(65_536, 97), more);
    res.on('error', () => {});
    more();
  });
  assert.equal((await client().post(url, {}, BODY)).body.length, 65_536);
});

test('an abort from outside ends a request under way', async () => {
  const stop = new AbortController();
  const url = await raw((s) => s.once('data', () => stop.abort()));
  await assert.rejects(client().post(url, {}, BODY, stop.signal), failsWith(/context canceled$/));
});

test('a connection that the server closed while it lay idle is not an error', async () => {
  let calls = 0;
  const url = await raw((s) =>
    s.on('data', () => {
      calls++;
      // The server forgets the connection without saying so; the next request on it gets a reset.
      s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      s.once('data', () => s.resetAndDestroy());
    }),
  );
  const c = client();
  for (let i = 0; i < 5; i++) assert.equal((await c.post(url, {}, BODY)).status, 200);
  assert.ok(calls >= 5);
});

test('307 and 308 are followed with method, body and headers; other redirects are an answer', async () => {
  const target = await serve(async (req, res) =>
    res.end(
      `${req.method} ${(await bodyOf(req)).toString()} ${req.headers.authorization ?? 'none'} ${req.headers['x-a']}`,
    ),
  );
  const c = client({ headers: { Authorization: 'secret', 'X-A': 'b' } });
  for (const status of [307, 308]) {
    const url = await serve((_q, res) => res.writeHead(status, { location: target.href }).end());
    assert.equal((await c.post(url, {}, BODY)).body.toString(), 'POST hello none b');
  }
  const same = await serve((req, res) =>
    req.url === '/there' ? res.end(req.headers.authorization) : res.writeHead(307, { location: '/there' }).end(),
  );
  assert.equal((await c.post(same, {}, BODY)).body.toString(), 'secret');
  for (const status of [301, 302, 303]) {
    const url = await serve((_q, res) => res.writeHead(status, { location: target.href }).end());
    assert.equal((await c.post(url, {}, BODY)).status, status);
  }
  const loop = await serve((_q, res) => res.writeHead(307, { location: '/' }).end());
  await assert.rejects(c.post(loop, {}, BODY), failsWith(/stopped after 10 redirects$/));
});

test('certificates are checked, and what is wrong with one is said', async () => {
  const answer: RequestListener = (_q, res) => void res.end('ok');
  const good = await serve(answer, keyPair('server'));
  assert.equal((await client({ tls: ca }).post(good, {}, BODY)).body.toString(), 'ok');
  assert.equal((await client({ tls: { ca_pem: readFileSync(pem('ca'), 'utf8') } }).post(good, {}, BODY)).status, 200);
  await assert.rejects(client().post(good, {}, BODY), failsWith(/x509: certificate signed by unknown authority$/));
  const other = await serve(answer, keyPair('other'));
  await assert.rejects(
    client({ tls: ca }).post(other, {}, BODY),
    failsWith(/x509: certificate is valid for other\.test, not 127\.0\.0\.1$/),
  );
  assert.equal(
    (await client({ tls: { ...ca, server_name_override: 'other.test' } }).post(other, {}, BODY)).status,
    200,
  );
  assert.equal((await client({ tls: { insecure_skip_verify: true } }).post(other, {}, BODY)).status, 200);
  const expired = await serve(answer, keyPair('expired'));
  await assert.rejects(
    client({ tls: ca }).post(expired, {}, BODY),
    failsWith(/x509: certificate has expired or is not yet valid: it has expired$/),
  );
  const plain = await serve(answer);
  plain.protocol = 'https:';
  await assert.rejects(
    client({ tls: ca }).post(plain, {}, BODY),
    failsWith(/server gave HTTP response to HTTPS client$/),
  );
});

test('a client certificate is presented', async () => {
  const url = await serve(
    (req, res) => void res.end((req.socket as import('node:tls').TLSSocket).getPeerCertificate().subject.CN),
    {
      ...keyPair('server'),
      ca: readFileSync(pem('ca')),
      requestCert: true,
      rejectUnauthorized: true,
    },
  );
  const c = client({ tls: { ...ca, cert_file: pem('client'), key_file: pem('client-key') } });
  assert.equal((await c.post(url, {}, BODY)).body.toString(), 'client');
  await assert.rejects(client({ tls: ca }).post(url, {}, BODY), HttpRequestError);
});

test('TLS files that cannot be used fail at once', () => {
  for (const [tls, message] of [
    [{ ca_file: '/does/not/exist.pem' }, /failed to load CA CertPool File .*no such file or directory/],
    [{ ca_pem: 'rubbish' }, /failed to parse cert/],
    [{ cert_file: pem('client') }, /provide both certificate and key, or neither/],
    [{ min_version: '0.9' }, /invalid TLS min_version: unsupported TLS version: "0\.9"/],
  ] as const)
    assert.throws(
      () => client({ tls }),
      (e) => e instanceof ConfigError && message.test(e.message),
    );
});

test('changed certificates are read again after reload_interval', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
  try {
    const file = join(dir, 'ca.pem');
    copyFileSync(pem('client'), file);
    const url = await serve((_q, res) => void res.end('ok'), keyPair('server'));
    let nowMs = 0;
    const clock = { ...SYSTEM_CLOCK, monotonicMs: () => nowMs };
    const c = createHttpClient(httpClient().parse({ tls: { ca_file: file, reload_interval: '1m' } }), {
      clock,
      env: {},
    });
    open.push(c);
    await assert.rejects(c.post(url, {}, BODY), HttpRequestError);
    copyFileSync(pem('ca'), file);
    await assert.rejects(c.post(url, {}, BODY), HttpRequestError);
    nowMs = 60_000;
    assert.equal((await c.post(url, {}, BODY)).status, 200);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('proxies are used for http and https, but not for this machine unless told', async () => {
  const connects: string[] = [];
  const target = await serve((_q, res) => void res.end('tls'), keyPair('server'));
  const proxyUrl = await serve((req, res) => void res.end(`proxied ${req.url}`));
  const proxy = http.createServer();
  open.push({ close: () => proxy.close().closeAllConnections() });
  proxy.on('connect', (req, socket) => {
    connects.push(req.url!);
    const up = net.connect(Number(target.port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      up.pipe(socket).pipe(up);
    });
    up.on('error', () => {});
    socket.on('error', () => {});
  });
  await new Promise<void>((r) => proxy.listen(0, '127.0.0.1', r));
  const connectUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;

  const env = { HTTP_PROXY: proxyUrl.origin, HTTPS_PROXY: connectUrl, NO_PROXY: 'skip.invalid' };
  assert.equal(
    (await client({}, env).post(new URL('http://far.invalid/a'), {}, BODY)).body.toString(),
    'proxied http://far.invalid/a',
  );
  const secure = client({ tls: { ...ca, server_name_override: 'localhost' } }, env);
  assert.equal((await secure.post(new URL('https://far.invalid/a'), {}, BODY)).body.toString(), 'tls');
  assert.deepEqual(connects, ['far.invalid:443']);
  await assert.rejects(client({}, env).post(new URL('http://skip.invalid/a'), {}, BODY), HttpRequestError);
  const here = await serve((_q, res) => void res.end('direct'));
  assert.equal((await client({}, env).post(here, {}, BODY)).body.toString(), 'direct');
  assert.match((await client({ proxy_url: proxyUrl.origin }).post(here, {}, BODY)).body.toString(), /^proxied /);
});

test('an authenticator adds its headers, and must be there', async () => {
  const url = await serve((req, res) => void res.end(req.headers.authorization));
  const host = {
    extension: (id: string) =>
      id === 'basicauth' ? { headers: async () => ({ Authorization: 'Basic x' }) } : id === 'other' ? {} : undefined,
    fatal() {},
    shared: <T>(_k: string, make: () => T) => make(),
    addLedger() {},
  };
  const c = client({ auth: { authenticator: 'basicauth' } });
  c.start(host);
  assert.equal((await c.post(url, {}, BODY)).body.toString(), 'Basic x');
  for (const [id, message] of [
    ['nope', /authenticator not found/],
    ['other', /not a client authenticator/],
  ] as const)
    assert.throws(
      () => client({ auth: { authenticator: id } }).start(host),
      (e) => e instanceof ConfigError && message.test(e.message),
    );
});
