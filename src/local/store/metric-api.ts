/** The embedded metric store's HTTP side: remote write, and the part of Prometheus' query API that charts need. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../core/clock.ts';
import { DecompressError, decompress } from '../../core/compress.ts';
import { messageOf } from '../../core/errors.ts';
import { BodyTooLargeError, readBody } from '../../core/http-server.ts';
import type { Label } from '../../wire/remote-write.ts';
import { HttpError, json, SECURITY } from './http.ts';
import { type MetricStore, TooManySeriesError } from './metric-store.ts';
import {
  PromqlSyntaxError,
  parsePromql,
  parseSelector,
  promDurationMs,
  type Selector,
  UnsupportedError,
} from './promql.ts';
import { ExecutionError, evaluate, type Line, selected } from './promql-evaluate.ts';
import { decodeWriteRequest, RemoteWriteError, type Series } from './remote-write.ts';

const MAX_WRITE_BYTES = 16 << 20;
const MAX_FORM_BYTES = 1 << 20;
const LOOKBACK_MS = 300_000;
const MAX_POINTS = 11_000;
const MAX_RAW_SAMPLES = 1_000_000;

/** On the paths of VictoriaMetrics' single node, of its cluster (tenant 0 only), and of Prometheus. */
const WRITE = /^(?:\/insert\/0\/prometheus|\/prometheus)?\/api\/v1\/write$/;
const READ = /^(?:\/select\/0\/prometheus|\/prometheus)?\/api\/v1\/(.+)$/;

/** A parameter that cannot be understood. */
class BadParameterError extends Error {}

/** False when the path is none of these. */
export async function answerMetrics(
  req: IncomingMessage,
  res: ServerResponse,
  url: URL,
  { store, clock }: { readonly store: MetricStore; readonly clock: Clock },
): Promise<boolean> {
  if (WRITE.test(url.pathname)) {
    await write(req, res, store, clock);
    return true;
  }
  const path = READ.exec(url.pathname)?.[1];
  if (path === undefined) return false;
  try {
    const data = read(path, await parameters(req, url), store, clock.nowMs());
    if (data === undefined) return false;
    json(res, { status: 'success', data });
  } catch (error) {
    const failure = failureOf(error);
    if (!failure) throw error;
    json(res, { status: 'error', errorType: failure.type, error: messageOf(error) }, failure.status);
  }
  return true;
}

async function write(req: IncomingMessage, res: ServerResponse, store: MetricStore, clock: Clock): Promise<void> {
  if (req.method !== 'POST') throw new HttpError(405, 'only POST');
  const [type, ...more] = (req.headers['content-type'] ?? '').split(';').map((t) => t.trim().toLowerCase());
  if (type !== 'application/x-protobuf')
    throw new HttpError(415, `content type ${JSON.stringify(type)} is not supported, only application/x-protobuf`);
  // With this answer senders of version 2 go back to version 1.
  const proto = more.find((m) => m.startsWith('proto='))?.slice(6);
  if (proto !== undefined && proto !== 'prometheus.writerequest')
    throw new HttpError(415, `${proto} is not supported, only prometheus.WriteRequest`);
  const encoding = req.headers['content-encoding'] ?? 'snappy';
  if (encoding !== 'snappy' && encoding !== 'zstd')
    throw new HttpError(415, `content encoding ${JSON.stringify(encoding)} is not supported, only snappy and zstd`);
  const packed = await readBody(req, MAX_WRITE_BYTES);
  let list: Series[];
  try {
    list = decodeWriteRequest(await decompress(encoding, packed, MAX_WRITE_BYTES));
  } catch (error) {
    if (error instanceof DecompressError && /too large/.test(error.message)) throw new BodyTooLargeError(error.message);
    throw new HttpError(400, `no remote write request: ${messageOf(error)}`);
  }
  try {
    store.insert(list, clock.nowMs());
  } catch (error) {
    if (error instanceof RemoteWriteError) throw new HttpError(400, error.message);
    if (error instanceof TooManySeriesError) throw new HttpError(422, error.message);
    throw error;
  }
  res.writeHead(204, SECURITY).end();
}

async function parameters(req: IncomingMessage, url: URL): Promise<URLSearchParams> {
  if (req.method === 'GET' || req.method === 'HEAD') return url.searchParams;
  if (req.method !== 'POST') throw new HttpError(405, 'only GET and POST');
  if (!/^application\/x-www-form-urlencoded\b/.test(req.headers['content-type'] ?? ''))
    throw new HttpError(415, 'parameters are wanted as application/x-www-form-urlencoded');
  const form = new URLSearchParams((await readBody(req, MAX_FORM_BYTES)).toString());
  return new URLSearchParams([...url.searchParams, ...form]);
}

function failureOf(error: unknown): { status: number; type: string } | undefined {
  if (error instanceof PromqlSyntaxError || error instanceof BadParameterError)
    return { status: 400, type: 'bad_data' };
  if (error instanceof UnsupportedError || error instanceof ExecutionError) return { status: 422, type: 'execution' };
  return undefined;
}

/** undefined: there is no such endpoint. */
function read(path: string, p: URLSearchParams, store: MetricStore, nowMs: number): unknown {
  switch (path) {
    case 'query':
      return instant(p, store, nowMs);
    case 'query_range':
      return range(p, store);
    case 'series': {
      if (!p.has('match[]')) throw new BadParameterError('no match[] parameter provided');
      return [...matching(p, store)].map((labels) => Object.fromEntries(labels));
    }
    case 'labels':
      return [...new Set([...matching(p, store)].flatMap((labels) => labels.map(([name]) => name)))].sort();
    default: {
      const name = /^label\/([^/]+)\/values$/.exec(path)?.[1];
      if (name === undefined) return undefined;
      const label = decoded(name);
      if (label === '__name__' && !p.has('match[]')) return store.names();
      const values = [...matching(p, store)].map((labels) => labels.find(([n]) => n === label)?.[1]);
      return [...new Set(values.filter((v) => v !== undefined))].sort();
    }
  }
}

/** The series that one of the `match[]` takes, or all without any; `start` and `end` are not looked at. */
function* matching(p: URLSearchParams, store: MetricStore): Generator<readonly Label[]> {
  const selectors = p.getAll('match[]').map(parseSelector);
  const all: Selector[] = selectors.length > 0 ? selectors : [{ kind: 'selector', matchers: [] }];
  const seen = new Set<number>();
  for (const s of all)
    for (const { id, labels } of selected(store, s))
      if (!seen.has(id)) {
        seen.add(id);
        yield labels;
      }
}

function instant(p: URLSearchParams, store: MetricStore, nowMs: number): unknown {
  const expression = parsePromql(required(p, 'query'));
  const atMs = timeIn(p, 'time') ?? nowMs;
  if (expression.kind === 'selector' && expression.rangeMs !== undefined)
    return { resultType: 'matrix', result: rawSamples(store, expression, atMs, expression.rangeMs) };
  const lines = evaluate(store, expression, { startMs: atMs, stepMs: 1, count: 1, lookbackMs: lookback(p) });
  return {
    resultType: 'vector',
    result: lines.map((l) => ({ metric: Object.fromEntries(l.labels), value: [atMs / 1000, valueText(l.values[0]!)] })),
  };
}

function rawSamples(store: MetricStore, selector: Selector, atMs: number, rangeMs: number): unknown[] {
  let left = MAX_RAW_SAMPLES;
  const result: unknown[] = [];
  for (const { id, labels } of selected(store, selector)) {
    const values: unknown[] = [];
    for (const s of store.samples(id, atMs - rangeMs, atMs)) {
      if (left-- <= 0) throw new ExecutionError('query processing would load too many samples into memory');
      if (s.value !== undefined) values.push([s.timeMs / 1000, valueText(s.value)]);
    }
    if (values.length > 0) result.push({ metric: Object.fromEntries(labels), values });
  }
  return result;
}

function range(p: URLSearchParams, store: MetricStore): unknown {
  const expression = parsePromql(required(p, 'query'));
  const startMs = timeIn(p, 'start');
  const endMs = timeIn(p, 'end');
  if (startMs === undefined || endMs === undefined) throw new BadParameterError('start and end are required');
  if (endMs < startMs)
    throw new BadParameterError('invalid parameter "end": end timestamp must not be before start time');
  const stepMs = durationIn(p, 'step');
  if (stepMs === undefined || stepMs < 1)
    throw new BadParameterError(
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    );
  const count = Math.floor((endMs - startMs) / stepMs) + 1;
  if (count > MAX_POINTS)
    throw new BadParameterError(
      'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
    );
  if (expression.kind === 'selector' && expression.rangeMs !== undefined)
    throw new BadParameterError(
      'invalid parameter "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector',
    );
  const lines = evaluate(store, expression, { startMs, stepMs, count, lookbackMs: lookback(p) });
  return { resultType: 'matrix', result: lines.map((l) => matrixLine(l, startMs, stepMs)) };
}

function matrixLine(line: Line, startMs: number, stepMs: number): unknown {
  const values: [number, string][] = [];
  for (const [i, v] of line.values.entries())
    if (v !== undefined) values.push([(startMs + i * stepMs) / 1000, valueText(v)]);
  return { metric: Object.fromEntries(line.labels), values };
}

const valueText = (v: number): string =>
  v === Number.POSITIVE_INFINITY ? '+Inf' : v === Number.NEGATIVE_INFINITY ? '-Inf' : String(v);

function required(p: URLSearchParams, name: string): string {
  const text = p.get(name) ?? '';
  if (text.trim() === '')
    throw new PromqlSyntaxError(
      `invalid parameter ${JSON.stringify(name)}: unknown position: parse error: no expression found in input`,
    );
  return text;
}

const lookback = (p: URLSearchParams): number => durationIn(p, 'lookback_delta') || LOOKBACK_MS;

/** Seconds since 1970, or a date. */
function timeIn(p: URLSearchParams, name: string): number | undefined {
  const text = p.get(name);
  if (text === null || text === '') return undefined;
  const seconds = Number(text);
  const ms = Number.isFinite(seconds) ? Math.round(seconds * 1000) : Date.parse(text);
  if (!(Math.abs(ms) <= 8.64e15))
    throw new BadParameterError(
      `invalid parameter ${JSON.stringify(name)}: cannot parse ${JSON.stringify(text)} to a valid timestamp`,
    );
  return ms;
}

/** Seconds, or a duration such as 15s. */
function durationIn(p: URLSearchParams, name: string): number | undefined {
  const text = p.get(name);
  if (text === null || text === '') return undefined;
  const seconds = Number(text);
  const ms = Number.isFinite(seconds) ? Math.round(seconds * 1000) : promDurationMs(text);
  if (ms === undefined)
    throw new BadParameterError(
      `invalid parameter ${JSON.stringify(name)}: cannot parse ${JSON.stringify(text)} to a valid duration`,
    );
  return ms;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    throw new BadParameterError(`invalid label name: ${JSON.stringify(name)}`);
  }
}
