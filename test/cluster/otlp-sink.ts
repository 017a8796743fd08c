/** A destination for tests: takes OTLP/HTTP logs and metrics, and keeps them as plain objects with their resources. */
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { requestToJson } from '../../src/wire/otlp-json.ts';
import { defer } from '../helpers/agent.ts';
import type { Any } from './cluster.ts';

export type Attributes = Readonly<Record<string, unknown>>;

export interface SinkRecord {
  readonly resource: Attributes;
  readonly attributes: Attributes;
  readonly body: Any;
  readonly severityText: string;
  readonly severityNumber: number;
  readonly timeMs: number;
  /** When it arrived here, on the clock of `performance.now()`. */
  readonly atMs: number;
}

export interface SinkPoint {
  readonly name: string;
  readonly resource: Attributes;
  readonly attributes: Attributes;
  readonly value: number;
  readonly timeMs: number;
}

export interface OtlpSink {
  readonly url: string;
  readonly records: readonly SinkRecord[];
  readonly points: readonly SinkPoint[];
  /** Headers of each request with logs. */
  readonly logRequests: readonly IncomingHttpHeaders[];
  /** What to answer from now on; what is not answered with 200 is not kept. */
  answer: number;
  /** Forgets all points. */
  clearPoints(): void;
}

function plain(value: Any): unknown {
  if (value === undefined || value === null) return null;
  if ('stringValue' in value) return value.stringValue;
  if ('intValue' in value) return Number(value.intValue);
  if ('doubleValue' in value) return value.doubleValue;
  if ('boolValue' in value) return value.boolValue;
  if ('arrayValue' in value) return (value.arrayValue.values ?? []).map(plain);
  if ('kvlistValue' in value) return attributesOf(value.kvlistValue.values);
  return value.bytesValue ?? null;
}
const attributesOf = (list: Any[] | undefined): Attributes =>
  Object.fromEntries((list ?? []).map(({ key, value }) => [key, plain(value)]));
const msOf = (nanos: string | undefined): number => Number(BigInt(nanos ?? 0) / 1_000_000n);

function recordsOf(request: Any, atMs: number): SinkRecord[] {
  const records: SinkRecord[] = [];
  for (const { resource, scopeLogs } of request.resourceLogs ?? []) {
    const owner = attributesOf(resource?.attributes);
    for (const scope of scopeLogs ?? [])
      for (const r of scope.logRecords ?? [])
        records.push({
          resource: owner,
          attributes: attributesOf(r.attributes),
          body: plain(r.body),
          severityText: r.severityText ?? '',
          severityNumber: r.severityNumber ?? 0,
          timeMs: msOf(r.timeUnixNano),
          atMs,
        });
  }
  return records;
}

/** Numbers of gauges and sums. */
function pointsOf(request: Any): SinkPoint[] {
  const points: SinkPoint[] = [];
  for (const { resource, scopeMetrics } of request.resourceMetrics ?? []) {
    const owner = attributesOf(resource?.attributes);
    for (const scope of scopeMetrics ?? [])
      for (const m of scope.metrics ?? [])
        for (const p of (m.gauge ?? m.sum)?.dataPoints ?? [])
          points.push({
            name: m.name,
            resource: owner,
            attributes: attributesOf(p.attributes),
            value: p.asInt === undefined ? p.asDouble : Number(p.asInt),
            timeMs: msOf(p.timeUnixNano),
          });
  }
  return points;
}

/**
 * Listens on one address, that of the node when pods are to reach it; closed when the test ends. Logs also go on to that
 * server, as they came.
 */
export async function startOtlpSink(t: TestContext, host = '127.0.0.1', logsTo?: string): Promise<OtlpSink> {
  const records: SinkRecord[] = [];
  const points: SinkPoint[] = [];
  const logRequests: IncomingHttpHeaders[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('error', () => res.destroy());
    req.on('data', (d: Buffer) => chunks.push(d));
    req.on('end', () => {
      const packed = Buffer.concat(chunks);
      const isLogs = req.url?.endsWith('/logs') === true;
      if (sink.answer === 200) {
        const coding = req.headers['content-encoding'];
        const body = coding === 'gzip' ? gunzipSync(packed) : coding === 'zstd' ? zstdDecompressSync(packed) : packed;
        if (isLogs) {
          logRequests.push(req.headers);
          for (const r of recordsOf(JSON.parse(requestToJson('logs', body)), performance.now())) records.push(r);
        } else if (req.url?.endsWith('/metrics')) points.push(...pointsOf(JSON.parse(requestToJson('metrics', body))));
        if (isLogs && logsTo !== undefined) {
          const on = request(logsTo + req.url, { method: 'POST', headers: req.headers }, (answer) => {
            res.writeHead(answer.statusCode!, answer.headers);
            answer.pipe(res);
          });
          on.on('error', () => res.destroy());
          on.end(packed);
          return;
        }
      }
      res.writeHead(sink.answer, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  server.on('connection', (s: Socket) => {
    sockets.add(s);
    s.on('close', () => sockets.delete(s));
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  defer(t, async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const s of sockets) s.destroy();
    await closed;
  });
  const sink: OtlpSink = {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    records,
    points,
    logRequests,
    answer: 200,
    clearPoints: () => void points.splice(0),
  };
  return sink;
}
