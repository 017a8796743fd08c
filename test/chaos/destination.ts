/**
 * A destination with moods: it answers OTLP requests with 200, refuses them in every way a real one does, or lets them
 * hang. Only what it answered with 200 counts as delivered.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { decompress, walkLogBodies } from '../../bench/otlp-records.ts';
import type { Tally } from './tally.ts';

export type Mood = 'healthy' | 'flaky' | 'unavailable' | 'hanging-up';

type Reaction = 'accept' | 'accept late' | '503' | '429' | 'hang up before reading' | 'hang up after reading' | 'stall';

const FLAKY: readonly Reaction[] = [
  'accept',
  'accept',
  'accept',
  'accept',
  'accept late',
  '503',
  '503',
  '429',
  'hang up before reading',
  'hang up after reading',
  'stall',
];

export interface DestinationOptions {
  readonly tally: Tally;
  readonly random: (n: number) => number;
  /** A request that stalls is cut off after this time; longer than the exporter's timeout. */
  readonly stallMs: number;
}

export class Destination {
  mood: Mood = 'healthy';
  /** Which start of the collector sends now; set before each start. */
  life = 0;
  requests = 0;
  refused = 0;
  lastDeliveryAtMs = 0;
  readonly #options: DestinationOptions;
  readonly #server: Server;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: DestinationOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.keepAliveTimeout = 60_000;
  }

  listen(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', () => {
        const address = this.#server.address();
        if (address === null || typeof address === 'string') reject(new Error('no port'));
        else resolve(`http://127.0.0.1:${address.port}`);
      });
    });
  }

  close(): void {
    for (const t of this.#timers) clearTimeout(t);
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const life = this.life;
    const reaction = this.#reaction();
    this.requests++;
    request.on('error', () => {});
    response.on('error', () => {});
    if (reaction !== 'accept' && reaction !== 'accept late') this.refused++;
    if (reaction === 'hang up before reading') {
      request.socket.destroy();
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      switch (reaction) {
        case 'accept':
          this.#accept(request, response, Buffer.concat(chunks), life);
          break;
        case 'accept late':
          this.#later(20 + this.#options.random(300), () =>
            this.#accept(request, response, Buffer.concat(chunks), life),
          );
          break;
        case '503':
          response.writeHead(503).end('try again');
          break;
        case '429':
          response.writeHead(429, { 'retry-after': '1' }).end('slow down');
          break;
        case 'stall':
          this.#later(this.#options.stallMs, () => request.socket.destroy());
          break;
        default:
          request.socket.resetAndDestroy();
      }
    });
  }

  #reaction(): Reaction {
    switch (this.mood) {
      case 'healthy':
        return 'accept';
      case 'unavailable':
        return '503';
      case 'hanging-up':
        return 'hang up before reading';
      case 'flaky':
        return FLAKY[this.#options.random(FLAKY.length)]!;
    }
  }

  /** The records count when the answer is out; a collector that was killed meanwhile is going to send them again. */
  #accept(request: IncomingMessage, response: ServerResponse, body: Buffer, life: number): void {
    if (request.socket.destroyed) return;
    const message = decompress(body, request.headers['content-encoding']);
    response.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-length': '0' });
    response.end(() => {
      walkLogBodies(message, (start, end) => this.#options.tally.add(message, start, end, life));
      this.lastDeliveryAtMs = performance.now();
    });
  }

  #later(ms: number, then: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, ms);
    this.#timers.add(timer);
  }
}
