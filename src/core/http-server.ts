/**
 * HTTP servers of components: endpoint parsing, TLS with reload, CORS, response headers, bounded bodies, and a close
 * that lets open requests finish. Errors of listening read as Go's do.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { type ArrivingBodies, ArrivingBody } from './arriving.ts';
import { ConfigError, messageOf } from './errors.ts';
import type { HttpServerConfig } from './schema.ts';
import { serverTls } from './tls.ts';

export interface Endpoint {
  /** '' listens on all addresses. */
  readonly host: string;
  readonly port: number;
}

/** `localhost:4318`, `:4318`, `[::1]:4318`; the messages are those of Go's net package. */
export function parseEndpoint(text: string): Endpoint {
  const m = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(text);
  if (!m) {
    const why =
      text.replace(/^\[.*\]/, '').split(':').length > 2 ? 'too many colons in address' : 'missing port in address';
    throw new ConfigError(`listen tcp: address ${text}: ${why}`);
  }
  const port = m[3] === '' ? 0 : Number(m[3]);
  if (!/^\d*$/.test(m[3]!)) throw new ConfigError(`listen tcp: lookup tcp/${m[3]}: unknown port`);
  if (port > 65535) throw new ConfigError(`listen tcp: address ${m[3]}: invalid port`);
  return { host: m[1] ?? m[2] ?? '', port };
}

export const formatAddress = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'bind: address already in use',
  EACCES: 'bind: permission denied',
  EADDRNOTAVAIL: 'bind: cannot assign requested address',
};

/** A connection that could not be accepted (too many open files) must not end the process; the next may succeed. */
function keepListening(server: Server): void {
  server.removeAllListeners('error');
  server.on('error', () => {});
}

/** Listens, or fails with what Go would say: `listen tcp 127.0.0.1:4318: bind: address already in use`. */
export async function listen(server: Server, endpoint: string, transport = 'tcp'): Promise<string> {
  const listening = (options: object, name: string) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', (e: NodeJS.ErrnoException) =>
        reject(new Error(`listen ${transport} ${name}: ${REASONS[e.code ?? ''] ?? messageOf(e)}`, { cause: e })),
      );
      server.listen(options, () => resolve());
    });
  if (transport === 'unix') {
    await listening({ path: endpoint }, endpoint);
    keepListening(server);
    return endpoint;
  }
  const { host, port } = parseEndpoint(endpoint);
  const bare = /^([\d.]+|.*:.*)$/.test(host);
  let address = host;
  if (host !== '' && !bare) {
    // Go prefers IPv4 for a name with both, which is what `localhost` has nearly everywhere.
    const all = await process
      .getBuiltinModule('node:dns/promises')
      .lookup(host, { all: true })
      .catch((): { address: string; family: number }[] => []);
    const found = all.find((a) => a.family === 4) ?? all[0];
    if (!found) throw new Error(`listen ${transport}: lookup ${host}: no such host`);
    address = found.address;
  }
  // As in Go, 0.0.0.0 is every address of every family: in a cluster of IPv6 alone the kubelet's probes come that way.
  const isAny = address === '' || address === '0.0.0.0';
  await listening(isAny ? { port } : { host: address, port }, formatAddress(address, port));
  keepListening(server);
  const bound = server.address() as AddressInfo;
  return formatAddress(bound.address, bound.port);
}

export type Handler = (req: IncomingMessage, res: ServerResponse) => void | Promise<void>;

export interface HttpServer {
  /** Where it really listens: `127.0.0.1:4318`. */
  readonly address: string;
  /** Takes no new connections, waits for open requests until `deadline` aborts, then cuts what is left. */
  close(deadline?: AbortSignal): Promise<void>;
}

function matchOrigin(patterns: readonly string[], origin: string): boolean {
  const lower = origin.toLowerCase();
  return patterns.some((p) => {
    const star = p.indexOf('*');
    if (star < 0) return p.toLowerCase() === lower;
    const [head, tail] = [p.slice(0, star).toLowerCase(), p.slice(star + 1).toLowerCase()];
    return lower.length >= head.length + tail.length && lower.startsWith(head) && lower.endsWith(tail);
  });
}

/** Sets the CORS headers; true when the request was a preflight and is answered. */
function cors(config: NonNullable<HttpServerConfig['cors']>, req: IncomingMessage, res: ServerResponse): boolean {
  const origin = req.headers.origin;
  const preflight = req.method === 'OPTIONS' && req.headers['access-control-request-method'] !== undefined;
  res.setHeader('Vary', preflight ? 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers' : 'Origin');
  const allowed = origin !== undefined && matchOrigin(config.allowed_origins, origin);
  if (allowed) {
    res.setHeader('Access-Control-Allow-Origin', origin);
    res.setHeader('Access-Control-Allow-Credentials', 'true');
    if (config.exposed_headers.length)
      res.setHeader('Access-Control-Expose-Headers', config.exposed_headers.join(', '));
  }
  if (!preflight) return false;
  if (allowed) {
    const wanted = (req.headers['access-control-request-headers'] ?? '')
      .split(',')
      .map((h) => h.trim().toLowerCase())
      .filter((h) => h !== '');
    const known = ['accept', 'content-type', 'x-requested-with', ...config.allowed_headers.map((h) => h.toLowerCase())];
    if (known.includes('*') || wanted.every((h) => known.includes(h))) {
      res.setHeader('Access-Control-Allow-Methods', req.headers['access-control-request-method']!);
      if (wanted.length) res.setHeader('Access-Control-Allow-Headers', wanted.join(', '));
      if (config.max_age > 0) res.setHeader('Access-Control-Max-Age', String(config.max_age));
    }
  }
  res.writeHead(204).end();
  return true;
}

/** Starts a server; `handler` may reject: that is a bug and becomes a 500 without details. */
export async function startHttpServer(config: HttpServerConfig, handler: Handler): Promise<HttpServer> {
  const idleMs = config.idle_timeout ?? config.keepalive?.idle_timeout ?? 60_000;
  const keepAlive = config.keep_alives_enabled ?? config.keepalive?.enabled ?? true;
  const responseHeaders = Object.entries(config.response_headers);
  let closing = false;
  const onRequest = (req: IncomingMessage, res: ServerResponse) => {
    // A connection that was busy when close began would otherwise stay for the whole idle time.
    res.once('close', () => closing && setImmediate(() => server.closeIdleConnections()));
    for (const [name, value] of responseHeaders) res.setHeader(name, value);
    if (!keepAlive) res.shouldKeepAlive = false;
    if (config.cors?.allowed_origins.length && cors(config.cors, req, res)) return;
    Promise.resolve()
      .then(() => handler(req, res))
      .catch(() => {
        if (!res.headersSent) res.writeHead(500, { 'Content-Type': 'text/plain; charset=utf-8' });
        res.end();
      });
  };
  // Without the limits of its own that Go leaves off, one slow sender could hold a connection for ever.
  const headersTimeout = config.read_header_timeout || 60_000;
  const requestTimeout = Math.max(config.read_timeout || 300_000, config.read_timeout ? 0 : headersTimeout);
  // Node looks only so often; its 30 s would be long beside a limit of one.
  const lookMs = Math.min(Math.max(Math.min(headersTimeout, requestTimeout) / 4, 25), 15_000);
  const limits = { connectionsCheckingInterval: Math.ceil(lookMs) };
  const server = config.tls
    ? process.getBuiltinModule('node:https').createServer({ ...serverTls(config.tls), ...limits }, onRequest)
    : http.createServer(limits, onRequest);
  server.headersTimeout = Math.min(headersTimeout, requestTimeout);
  server.requestTimeout = requestTimeout;
  server.keepAliveTimeout = idleMs;
  server.timeout = config.write_timeout;
  server.on('clientError', (e: NodeJS.ErrnoException, socket) => {
    const status = e.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request';
    if (socket.writable)
      socket.end(
        `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`,
        // A sender that does not close its side would keep the connection.
        () => socket.destroy(),
      );
    else socket.destroy();
  });
  const address = await listen(server, config.endpoint, config.transport);
  let reload: NodeJS.Timeout | undefined;
  const tls = config.tls;
  const reloadMs = tls ? tls.reload_interval || (tls.client_ca_file_reload ? 10_000 : 0) : 0;
  if (tls && reloadMs > 0) {
    reload = setInterval(() => {
      try {
        (server as https.Server).setSecureContext(serverTls(tls));
      } catch {
        // Half-written files: the certificates that worked stay until the next look.
      }
    }, reloadMs);
    reload.unref();
  }
  let closed: Promise<void> | undefined;
  return {
    address,
    close(deadline) {
      closed ??= new Promise<void>((resolve) => {
        closing = true;
        clearInterval(reload);
        server.close(() => resolve());
        server.closeIdleConnections();
        const cut = () => server.closeAllConnections();
        if (deadline?.aborted) cut();
        else deadline?.addEventListener('abort', cut, { once: true });
      });
      return closed;
    },
  };
}

export class BodyTooLargeError extends Error {}
/** The body was cut because all on their way together would have been too much; another try may succeed. */
export class BodyCutError extends Error {}

/**
 * The whole body as one buffer, refused when it is longer than `maxBytes`. It is the one that `allocate` gives for the
 * length, if any.
 */
export function readBody(
  req: IncomingMessage,
  maxBytes: number,
  arriving?: ArrivingBodies,
  allocate?: (size: number) => Buffer | undefined,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      req.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      body.close();
      // What still comes may not stop the connection, nor end the process when it breaks.
      req.on('error', () => {}).resume();
      settle();
    };
    const tooLarge = (): void => end(() => reject(new BodyTooLargeError('http: request body too large')));
    const cut = (): void => end(() => reject(new BodyCutError('too much data on its way from slow senders')));
    const body = arriving ? arriving.open(cut) : new ArrivingBody(cut, () => {});
    const onData = (chunk: Buffer): void => {
      if (body.sizeBytes + chunk.length > maxBytes) tooLarge();
      else body.add(chunk);
    };
    const onEnd = (): void => {
      const whole = body.finish(allocate);
      end(() => resolve(whole));
    };
    const onError = (e: Error): void => end(() => reject(e));
    const onClose = (): void => end(() => reject(new Error('unexpected EOF')));
    req.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    if (Number(req.headers['content-length'] ?? 0) > maxBytes) tooLarge();
    else if (req.destroyed) onClose();
  });
}
