/**
 * The embedded store's HTTP side, on VictoriaLogs' and VictoriaMetrics' paths, and the pages over it. Only for this machine: it
 * listens on 127.0.0.1 and answers no request that names another host (so no web page elsewhere can reach it).
 */
import { readFileSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { BodyTooLargeError, listen, readBody } from '../../core/http-server.ts';
import { decodeJson, decodeProtobuf, type FieldRules, type StreamRows } from './decode.ts';
import { HttpError, json, SECURITY } from './http.ts';
import { answerMetrics } from './metric-api.ts';
import type { MetricStore } from './metric-store.ts';
import { QueryError } from './query.ts';
import type { FoundRow, LogStore } from './store.ts';

const MAX_BODY_BYTES = 64 << 20;
const MAX_RESULTS = 1000;
const EXPIRE_MS = 60_000;

const unpack = {
  gzip: promisify(zlib.gunzip),
  deflate: promisify(zlib.inflate),
  zstd: promisify(zlib.zstdDecompress),
} as const;

const FILES: Readonly<Record<string, readonly [string, string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/charts': ['charts.html', 'text/html; charset=utf-8'],
  '/app.js': ['app.js', 'text/javascript; charset=utf-8'],
  '/charts.js': ['charts.js', 'text/javascript; charset=utf-8'],
  '/chart.js': ['chart.js', 'text/javascript; charset=utf-8'],
  '/explorer.js': ['explorer.js', 'text/javascript; charset=utf-8'],
  '/ranges.js': ['ranges.js', 'text/javascript; charset=utf-8'],
  '/common.js': ['common.js', 'text/javascript; charset=utf-8'],
  '/charts.css': ['charts.css', 'text/css; charset=utf-8'],
  '/style.css': ['style.css', 'text/css; charset=utf-8'],
};

export interface StoreServerOptions {
  readonly store: LogStore;
  readonly metrics: MetricStore;
  readonly clock: Clock;
  /** Taken when it is free, else any other; 0: any. */
  readonly port: number;
  /** What the page's head shows: rates and ledger of the agent. */
  readonly status: () => unknown;
}

export interface StoreServer {
  /** `http://127.0.0.1:9428` */
  readonly url: string;
  close(): Promise<void>;
}

export async function startStoreServer(options: StoreServerOptions): Promise<StoreServer> {
  const { store, metrics, clock } = options;
  const server = http.createServer((req, res) => {
    answer(req, res, options).catch((error: unknown) => fail(res, error));
  });
  server.requestTimeout = 60_000;
  const address = await listen(server, `127.0.0.1:${options.port}`).catch((error: Error) => {
    if (options.port === 0 || (error.cause as NodeJS.ErrnoException | undefined)?.code !== 'EADDRINUSE') throw error;
    return listen(server, '127.0.0.1:0');
  });
  const timer = setInterval(() => {
    store.expire(clock.nowMs());
    metrics.expire(clock.nowMs());
  }, EXPIRE_MS);
  timer.unref();
  return {
    url: `http://${address}`,
    close: () =>
      new Promise((resolve) => {
        clearInterval(timer);
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function fail(res: ServerResponse, error: unknown): void {
  const status =
    error instanceof HttpError
      ? error.status
      : error instanceof QueryError
        ? 400
        : error instanceof BodyTooLargeError
          ? 413
          : 500;
  if (res.headersSent) return void res.destroy();
  res.writeHead(status, {
    ...SECURITY,
    'Content-Type': 'text/plain; charset=utf-8',
    ...(status === 413 ? { Connection: 'close' } : {}),
  });
  res.end(`${messageOf(error)}\n`);
}

async function answer(req: IncomingMessage, res: ServerResponse, options: StoreServerOptions): Promise<void> {
  const url = new URL(req.url ?? '/', 'http://localhost');
  if (!/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(req.headers.host ?? ''))
    throw new HttpError(403, 'this store answers only to localhost');
  if (url.pathname === '/insert/opentelemetry/v1/logs' || url.pathname === '/v1/logs') return insert(req, res, options);
  if (await answerMetrics(req, res, url, { store: options.metrics, clock: options.clock })) return;
  if (req.method !== 'GET' && req.method !== 'HEAD') throw new HttpError(405, 'only GET');
  const file = FILES[url.pathname];
  if (file) {
    res.writeHead(200, { ...SECURITY, 'Content-Type': file[1] });
    return void res.end(readFileSync(new URL(`../web/${file[0]}`, import.meta.url)));
  }
  const { store, clock } = options;
  const nowMs = clock.nowMs();
  const query = url.searchParams.get('query') ?? '*';
  switch (url.pathname) {
    case '/select/logsql/query': {
      const rows = store.search({ query, limit: numberIn(url, 'limit', 100, 1, MAX_RESULTS), nowMs });
      res.writeHead(200, { ...SECURITY, 'Content-Type': 'application/stream+json' });
      return void res.end(rows.map((r) => `${JSON.stringify(asVictoriaLogs(r))}\n`).join(''));
    }
    case '/api/logs': {
      const after = url.searchParams.has('after') ? numberIn(url, 'after', 0, 0, Number.MAX_SAFE_INTEGER) : undefined;
      const limit = numberIn(url, 'limit', 100, 1, MAX_RESULTS);
      return json(res, {
        lastId: store.lastId,
        rows: store.search({ query, limit, nowMs, ...(after === undefined ? {} : { afterId: after }) }),
      });
    }
    case '/api/histogram': {
      const stepMs = numberIn(url, 'step', 60_000, 1000, 86_400_000);
      const since = numberIn(url, 'since', nowMs - 60 * stepMs, 0, Number.MAX_SAFE_INTEGER);
      return json(res, {
        stepMs,
        nowMs,
        steps: store.histogram(query, stepMs, Math.max(since, nowMs - 1000 * stepMs), nowMs),
      });
    }
    case '/api/streams':
      return json(res, store.streams());
    case '/api/status':
      return json(res, { kept: store.kept, accepted: store.accepted, ...(options.status() as object) });
    case '/health':
      res.writeHead(200, { ...SECURITY, 'Content-Type': 'text/plain' });
      return void res.end('OK');
    default:
      throw new HttpError(404, 'not found');
  }
}

async function insert(req: IncomingMessage, res: ServerResponse, { store, clock }: StoreServerOptions): Promise<void> {
  if (req.method !== 'POST') throw new HttpError(405, 'only POST');
  const type = (req.headers['content-type'] ?? '').split(';')[0]!.trim();
  const isJson = type === 'application/json';
  if (!isJson && type !== 'application/x-protobuf')
    throw new HttpError(415, `content type ${JSON.stringify(type)} is not supported`);
  const body = await decoded(await readBody(req, MAX_BODY_BYTES), req.headers['content-encoding']);
  let rows: StreamRows[];
  const rules = rulesOf(req);
  try {
    const now = clock.nowMs();
    rows = isJson ? decodeJson(body.toString(), now, rules) : decodeProtobuf(body, now, rules);
  } catch (error) {
    throw new HttpError(400, `no OTLP logs request: ${messageOf(error)}`);
  }
  store.insert(rows);
  res.writeHead(200, { ...SECURITY, 'Content-Type': isJson ? 'application/json' : 'application/x-protobuf' });
  res.end(isJson ? '{}' : '');
}

/** VL-Stream-Fields is not among them: here all of the resource is the stream. */
function rulesOf({ headers }: IncomingMessage): FieldRules {
  const list = (name: string): string[] => [headers[name] ?? []].flat().flatMap((f) => f.split(','));
  return {
    messageFields: list('vl-msg-field'),
    ignoreFields: list('vl-ignore-fields'),
    extraFields: list('vl-extra-fields').map((text) => {
      const at = text.indexOf('=');
      if (at <= 0 || at === text.length - 1) throw new HttpError(400, `VL-Extra-Fields: ${text}: write field=value`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  };
}

async function decoded(body: Buffer, encoding: string | undefined): Promise<Buffer> {
  if (encoding === undefined || encoding === '' || encoding === 'identity') return body;
  if (!Object.hasOwn(unpack, encoding))
    throw new HttpError(415, `content encoding ${JSON.stringify(encoding)} is not supported`);
  try {
    return (await unpack[encoding as keyof typeof unpack](body, { maxOutputLength: MAX_BODY_BYTES })) as Buffer;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new BodyTooLargeError('request body too large');
    throw new HttpError(400, `body is not ${encoding}: ${messageOf(error)}`);
  }
}

function numberIn(url: URL, name: string, fallback: number, low: number, high: number): number {
  const text = url.searchParams.get(name);
  if (text === null || text === '') return fallback;
  const n = Number(text);
  if (!Number.isSafeInteger(n)) throw new HttpError(400, `${name} must be a whole number`);
  return Math.min(Math.max(n, low), high);
}

const asVictoriaLogs = (r: FoundRow): Record<string, string> => ({
  ...r.stream,
  ...r.attributes,
  ...(r.severity ? { severity: r.severity } : {}),
  _time: r.time.replace(/\.?0+Z$/, 'Z'),
  _msg: r.message,
  _stream: `{${Object.entries(r.stream)
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    .join(',')}}`,
});
