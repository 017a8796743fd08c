/**
 * The sender of a benchmark: its own process, which posts requests of spans or of points (OTLP/HTTP, protobuf, not compressed) over a
 * few connections, each as soon as the one before it is answered. What is refused is sent again.
 */
import { fork } from 'node:child_process';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { metricsRequest } from './otlp-points.ts';
import { traceRequest } from './otlp-spans.ts';

export type Load = SpanLoad | PointLoad;

interface SpanLoad {
  readonly port: number;
  readonly requests: number;
  readonly spansPerRequest: number;
}

/** Every request is of one agent; the agents take turns. */
export interface PointLoad {
  readonly port: number;
  readonly requests: number;
  readonly agents: number;
  readonly podsPerAgent: number;
  readonly metricsPerPod: number;
}

const LOAD = 'sluice-bench-load';
const CONNECTIONS = 4;
/** Different request bodies; sent in turn. */
const BODIES = 32;
/** A receiver that is not there yet, or has no room. */
const RETRY_MS = 20;
const PATIENCE_MS = 30_000;

/** Resolves when all requests have been accepted. */
export function sendLoad(load: Load): Promise<void> {
  const child = fork(import.meta.filename, [LOAD, JSON.stringify(load)], { execArgv: [] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`load ended with ${code}`))));
  });
}

async function run(load: Load): Promise<void> {
  const { port, requests } = load;
  const isPoints = 'agents' in load;
  const bodies = isPoints
    ? Array.from({ length: load.agents }, (_, i) => metricsRequest(i, load.podsPerAgent, load.metricsPerPod))
    : Array.from({ length: BODIES }, (_, i) => traceRequest(i + 1, load.spansPerRequest));
  const path = isPoints ? '/v1/metrics' : '/v1/traces';
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const post = (body: Buffer): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/x-protobuf', 'content-length': body.length };
      const out = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers }, (answer) => {
        answer.resume();
        answer.once('end', () => resolve(answer.statusCode ?? 0));
      });
      out.once('error', reject);
      out.end(body);
    });
  let next = 0;
  const sender = async (): Promise<void> => {
    while (next < requests) {
      const body = bodies[next++ % bodies.length]!;
      const giveUp = performance.now() + PATIENCE_MS;
      for (;;) {
        const status = await post(body).catch((e: NodeJS.ErrnoException) => {
          // An answer that got lost might have been an acceptance: then the count would be wrong.
          if (e.code !== 'ECONNREFUSED') throw e;
          return 0;
        });
        if (status === 200) break;
        if (performance.now() > giveUp) throw new Error(`still answered with ${status}`);
        await sleep(RETRY_MS);
      }
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, sender));
  agent.destroy();
}

if (process.argv[2] === LOAD)
  await run(JSON.parse(process.argv[3]!) as Load).then(
    () => process.exit(0),
    (e: unknown) => {
      console.error(e);
      process.exit(1);
    },
  );
