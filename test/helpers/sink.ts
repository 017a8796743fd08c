/** A destination for tests: takes OTLP/HTTP logs, keeps the records, and misbehaves when told to. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type LogRecord, logRecords } from '../../src/wire/otlp-logs.ts';
import { ProtoReader, ProtoWriter } from '../../src/wire/proto.ts';
import { defer } from './agent.ts';

export interface Sink {
  readonly url: string;
  /** Of requests that were answered with 200. */
  readonly records: readonly LogRecord[];
  readonly bodies: readonly string[];
  /** All that arrived, whatever the answer. */
  readonly requests: number;
  /** What to answer from now on: a status, or `endless` for headers and then a byte per second without an end. */
  answer: number | 'endless';
  close(): Promise<void>;
}

/** The records of an ExportLogsServiceRequest. */
export function recordsOf(request: Uint8Array): LogRecord[] {
  const records: LogRecord[] = [];
  const r = new ProtoReader(request);
  while (r.next()) {
    const resourceLogs = r.message();
    while (resourceLogs.next()) {
      if (resourceLogs.field !== 2) {
        resourceLogs.skip();
        continue;
      }
      const scopeLogs = resourceLogs.message();
      while (scopeLogs.next()) {
        if (scopeLogs.field !== 2) {
          scopeLogs.skip();
          continue;
        }
        const w = new ProtoWriter();
        w.bytes(2, scopeLogs.bytes());
        records.push(...logRecords(w.finish()));
      }
    }
  }
  return records;
}

/** Closed when the test ends. */
export async function startSink(t: TestContext, tls?: { key: string; cert: string }): Promise<Sink> {
  const records: LogRecord[] = [];
  let requests = 0;
  const timers = new Set<NodeJS.Timeout>();
  const sockets = new Set<Socket>();
  let url = '';
  const sink: Sink = {
    answer: 200,
    records,
    get url() {
      return url;
    },
    get bodies() {
      return records.map((r) => String(r.body));
    },
    get requests() {
      return requests;
    },
    async close() {
      for (const t of timers) clearInterval(t);
      const closed = new Promise((resolve) => server.close(resolve));
      for (const s of sockets) s.destroy();
      await closed;
    },
  };
  const listener: RequestListener = (req, res) => {
    const chunks: Buffer[] = [];
    req.on('error', () => res.destroy());
    req.on('data', (d: Buffer) => chunks.push(d));
    req.on('end', () => {
      requests++;
      if (sink.answer === 'endless') {
        res.writeHead(200, { 'content-type': 'application/x-protobuf' });
        const timer = setInterval(() => res.write('\0'), 1000);
        timers.add(timer);
        res.on('close', () => clearInterval(timer));
        return;
      }
      if (sink.answer === 200) {
        const body = Buffer.concat(chunks);
        records.push(...recordsOf(req.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body));
      }
      res.writeHead(sink.answer, { 'content-type': 'application/x-protobuf' }).end();
    });
  };
  const server: Server = tls ? createTlsServer(tls, listener) : createServer(listener);
  server.on('connection', (s: Socket) => {
    sockets.add(s);
    s.on('close', () => sockets.delete(s));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  defer(t, () => sink.close());
  return sink;
}
