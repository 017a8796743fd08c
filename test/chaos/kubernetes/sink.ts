/** Takes what gateway and agent send as OTLP in JSON, which needs nothing of the codec that is under test. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Attributes = Readonly<Record<string, string>>;

export interface SentEvent {
  readonly type: string;
  readonly uid: string;
  readonly version: number;
  /** Which start of the gateway sent it. */
  readonly life: number;
  readonly atMs: number;
}

export interface SentLine {
  readonly body: string;
  readonly path: string;
  readonly resource: Attributes;
}

export interface SentPoint {
  readonly metric: string;
  readonly value: number;
  readonly attributes: Attributes;
  readonly resource: Attributes;
}

interface AnyValue {
  readonly stringValue?: string;
  readonly intValue?: string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
  readonly kvlistValue?: { readonly values?: readonly KeyValue[] };
}
interface KeyValue {
  readonly key: string;
  readonly value?: AnyValue;
}
interface Point {
  readonly timeUnixNano: string;
  readonly asInt?: string;
  readonly asDouble?: number;
  readonly attributes?: readonly KeyValue[];
}
interface Request {
  readonly resourceLogs?: readonly {
    readonly resource?: { readonly attributes?: readonly KeyValue[] };
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly body?: AnyValue; readonly attributes?: readonly KeyValue[] }[];
    }[];
  }[];
  readonly resourceMetrics?: readonly {
    readonly resource?: { readonly attributes?: readonly KeyValue[] };
    readonly scopeMetrics: readonly {
      readonly metrics: readonly {
        readonly name: string;
        readonly gauge?: { readonly dataPoints: readonly Point[] };
        readonly sum?: { readonly dataPoints: readonly Point[] };
      }[];
    }[];
  }[];
}

const textOf = (v: AnyValue | undefined): string =>
  v?.stringValue ?? String(v?.intValue ?? v?.doubleValue ?? v?.boolValue ?? '');
const textsOf = (list: readonly KeyValue[] = []): Attributes =>
  Object.fromEntries(list.map(({ key, value }) => [key, textOf(value)]));
const member = (v: AnyValue | undefined, ...path: readonly string[]): AnyValue | undefined =>
  path.reduce<AnyValue | undefined>((at, key) => at?.kvlistValue?.values?.find((m) => m.key === key)?.value, v);

export class KubernetesSink {
  readonly events: SentEvent[] = [];
  readonly lines: SentLine[] = [];
  /** The newest collection, and its time. */
  points: SentPoint[] = [];
  pointsTime = 0n;
  latencyMs = 0;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const life = Number(/^\/gateway-(\d+)\//.exec(request.url ?? '')?.[1] ?? 0);
      const chunks: Buffer[] = [];
      request.on('error', () => {});
      response.on('error', () => {});
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as Request;
        setTimeout(() => {
          if (request.socket.destroyed) return;
          response.writeHead(200, { 'content-type': 'application/json' });
          response.end('{}', () => this.#take(request.url ?? '', body, life));
        }, this.latencyMs);
      });
    });
  }

  listen(): Promise<string> {
    return new Promise((resolve) =>
      this.#server.listen(0, '127.0.0.1', () =>
        resolve(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`),
      ),
    );
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #take(url: string, { resourceLogs = [], resourceMetrics = [] }: Request, life: number): void {
    const atMs = performance.now();
    for (const { resource, scopeLogs } of resourceLogs) {
      const attributes = textsOf(resource?.attributes);
      for (const { body, attributes: own } of scopeLogs.flatMap((s) => s.logRecords))
        if (url.startsWith('/agent'))
          this.lines.push({ body: textOf(body), path: textsOf(own)['log.file.path'] ?? '', resource: attributes });
        else
          this.events.push({
            type: textOf(member(body, 'type')),
            uid: textOf(member(body, 'object', 'metadata', 'uid')),
            version: Number(textOf(member(body, 'object', 'metadata', 'resourceVersion'))),
            life,
            atMs,
          });
    }
    for (const { resource, scopeMetrics } of resourceMetrics) {
      const attributes = textsOf(resource?.attributes);
      for (const { name, gauge, sum } of scopeMetrics.flatMap((s) => s.metrics))
        for (const point of (gauge ?? sum)?.dataPoints ?? []) this.#point(name, point, attributes);
    }
  }

  #point(metric: string, point: Point, resource: Attributes): void {
    const time = BigInt(point.timeUnixNano);
    if (time < this.pointsTime) return;
    if (time > this.pointsTime) this.points = [];
    this.pointsTime = time;
    const value = Number(point.asInt ?? point.asDouble);
    this.points.push({ metric, value, attributes: textsOf(point.attributes), resource });
  }
}
