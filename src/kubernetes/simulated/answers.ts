/** How a simulated API server writes its answers: objects, Status bodies, lines of a watch, and answers that break off. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KubernetesObject, ResourceType } from '../object.ts';

const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** What a refusal is about. */
export interface Details {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly causes?: readonly { readonly reason: string; readonly message: string }[];
  readonly retryAfterSeconds?: number;
}

export interface Refusal {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details?: Details;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `details` of a refusal about an object: kinds are named as resources are. */
export const detailsOf = ({ group, resource }: ResourceType, name: string): Details => ({
  ...(name === '' ? {} : { name }),
  ...(group === '' ? {} : { group }),
  kind: resource,
});

const statusOf = ({ code, reason, message, details }: Refusal) => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  ...(reason === '' ? {} : { reason }),
  ...(details ? { details } : {}),
  code,
});

export function sendRefusal(res: ServerResponse, refusal: Refusal): void {
  const text = JSON.stringify(statusOf(refusal));
  res.writeHead(refusal.code, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...refusal.headers,
  });
  res.end(text);
}

export function sendJson(res: ServerResponse, status: number, body: unknown, type = 'application/json'): void {
  const text = JSON.stringify(body);
  res.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  res.end(text);
}

export const sendEvent = (res: ServerResponse, type: string, object: unknown): boolean =>
  res.write(`${JSON.stringify({ type, object })}\n`);

export function endWithError(res: ServerResponse, refusal: Refusal): void {
  sendEvent(res, 'ERROR', statusOf(refusal));
  res.end();
}

/** Lets the answer begin, and breaks the connection after so many bytes of it. */
export function cutAfter(res: ServerResponse, bytes: number): void {
  const whole = res.end.bind(res);
  res.end = ((text: string) => {
    res.write(text.slice(0, bytes), () => res.socket?.destroy());
    return res;
  }) as typeof whole;
}

export async function readAll(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error('the body is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Until the client has taken what was written, or is gone. */
export function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      res.off('drain', done).off('close', done);
      resolve();
    };
    res.on('drain', done).on('close', done);
  });
}

/** How objects are shown: as they are, or their metadata alone. */
export interface Shape {
  readonly type: (whole: { readonly kind: string; readonly apiVersion: string }) => {
    readonly kind: string;
    readonly apiVersion: string;
  };
  readonly item: (object: KubernetesObject) => object;
  readonly object: (object: KubernetesObject) => object;
}

const PARTIAL = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' };
const WHOLE: Shape = {
  type: (whole) => whole,
  // Items of typed lists do not say what they are.
  item: ({ kind: _, apiVersion: __, ...o }) => o,
  object: (o) => o,
};
const METADATA: Shape = {
  type: () => PARTIAL,
  item: ({ metadata }) => ({ ...PARTIAL, metadata }),
  object: ({ metadata }) => ({ ...PARTIAL, metadata }),
};

export const shapeOf = (accept: string | undefined): Shape =>
  /;as=PartialObjectMetadata(List)?;/.test(accept ?? '') ? METADATA : WHOLE;
