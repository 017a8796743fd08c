/**
 * The destination of a benchmark: its own process, so that its CPU time is not the collector's. It answers every
 * request with 200, keeps the bodies as they came, and counts the records only when it is asked, so that decoding does
 * not compete with the collector that is being measured. Talks with its parent over IPC.
 */
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import { decompress, walkLogBodies } from './otlp-records.ts';
import { countSamples, unsnappy } from './remote-write.ts';

export interface SinkCount {
  readonly requests: number;
  readonly wireBytes: number;
  readonly records: number;
  /** Milliseconds since 1970 with fractions, of the first and the last request that has been read in full. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** How long no request has come in. */
  readonly silentMs: number;
}

/** The parent's end of a sink process. */
export interface Sink {
  readonly url: string;
  /** Numbers so far; with `decode` those of the records include everything that has arrived. */
  count(decode: boolean): Promise<SinkCount>;
  reset(): Promise<void>;
  close(): void;
}

type Ask = { readonly id: number; readonly ask: 'count' | 'decode' | 'reset' };
type Answer = { readonly id: number; readonly count: SinkCount } | { readonly port: number };

const SINK = 'sluice-bench-sink';

export async function startSink(): Promise<Sink> {
  const child = fork(import.meta.filename, [SINK], { execArgv: [] });
  const waiting = new Map<number, (count: SinkCount) => void>();
  let next = 0;
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`sink ended with ${code}`)));
    child.on('message', (m: Answer) => {
      if ('port' in m) resolve(m.port);
      else {
        waiting.get(m.id)?.(m.count);
        waiting.delete(m.id);
      }
    });
  });
  const ask = (what: Ask['ask']): Promise<SinkCount> =>
    new Promise((resolve) => {
      waiting.set(++next, resolve);
      child.send({ id: next, ask: what } satisfies Ask);
    });
  return {
    url: `http://127.0.0.1:${port}`,
    count: (decode) => ask(decode ? 'decode' : 'count'),
    reset: async () => void (await ask('reset')),
    close: () => child.kill(),
  };
}

function serve(): void {
  const nowMs = (): number => performance.timeOrigin + performance.now();
  let bodies: { encoding: string | undefined; body: Buffer }[] = [];
  let requests = 0;
  let wireBytes = 0;
  let records = 0;
  let firstAtMs = 0;
  let lastAtMs = nowMs();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    request.on('end', () => {
      lastAtMs = nowMs();
      firstAtMs ||= lastAtMs;
      const body = Buffer.concat(chunks);
      requests++;
      wireBytes += body.length;
      bodies.push({ encoding: request.headers['content-encoding'], body });
      response.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-length': '0' });
      response.end();
    });
  });
  server.keepAliveTimeout = 120_000;
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (address && typeof address === 'object') process.send?.({ port: address.port } satisfies Answer);
  });
  process.on('message', (m: Ask) => {
    if (m.ask === 'reset') {
      bodies = [];
      requests = wireBytes = records = firstAtMs = 0;
      lastAtMs = nowMs();
    } else if (m.ask === 'decode') {
      for (const b of bodies)
        records +=
          b.encoding === 'snappy' ? countSamples(unsnappy(b.body)) : walkLogBodies(decompress(b.body, b.encoding));
      bodies = [];
    }
    const count: SinkCount = { requests, wireBytes, records, firstAtMs, lastAtMs, silentMs: nowMs() - lastAtMs };
    process.send?.({ id: m.id, count } satisfies Answer);
  });
  process.on('disconnect', () => process.exit(0));
}

if (process.argv[2] === SINK) serve();
