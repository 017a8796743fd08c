/** Answers of the OTLP/HTTP receiver: success, google.rpc.Status in the encoding of the request, and plain text. */
import type { ServerResponse } from 'node:http';
import { DeliveryError } from '../../../core/errors.ts';
import { ProtoWriter } from '../../../wire/proto.ts';

export type ContentType = 'application/json' | 'application/x-protobuf';

export const INVALID_ARGUMENT = 3;
export const UNAUTHENTICATED = 16;
const INTERNAL = 13;
export const UNAVAILABLE = 14;

/** A response of any signal with an empty partial_success. */
export const EMPTY_PROTO: Buffer = Buffer.from([0x0a, 0x00]);
const EMPTY_JSON = Buffer.from('{"partialSuccess":{}}');

export function answerSuccess(res: ServerResponse, type: ContentType): void {
  const body = type === 'application/json' ? EMPTY_JSON : EMPTY_PROTO;
  res.writeHead(200, { 'Content-Type': type, 'Content-Length': body.length }).end(body);
}

/** By gRPC code; what is not listed is 500. */
const HTTP_STATUS: Readonly<Record<number, number>> = {
  1: 503,
  3: 400,
  4: 503,
  7: 403,
  8: 429,
  10: 503,
  11: 503,
  12: 404,
  14: 503,
  15: 503,
  16: 401,
};

export function answerStatus(
  res: ServerResponse,
  type: ContentType,
  httpStatus: number,
  code: number,
  message: string,
): void {
  let body: Uint8Array;
  if (type === 'application/json') body = Buffer.from(JSON.stringify({ code, message }));
  else {
    const w = new ProtoWriter();
    w.tag(1, 0);
    w.varint(code);
    w.string(2, message);
    body = w.finish();
  }
  res.writeHead(httpStatus, { 'Content-Type': type, 'Content-Length': body.length }).end(body);
}

/** What a sender is told about an error of the pipeline. */
export function answerPipelineError(res: ServerResponse, type: ContentType, error: unknown): void {
  const e = error instanceof DeliveryError ? error : undefined;
  const code = e?.grpcCode ?? (e?.permanent ? INTERNAL : UNAVAILABLE);
  answerStatus(res, type, HTTP_STATUS[code] ?? 500, code, error instanceof Error ? error.message : String(error));
}

export function answerText(res: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  res.writeHead(status, { 'Content-Type': type, 'X-Content-Type-Options': 'nosniff' }).end(text);
}
