/** Answers of OTLP/HTTP destinations: partial success, and errors with what they say about trying again. */
import type { Signal } from '../../../core/batch.ts';
import { DeliveryError, permanent } from '../../../core/errors.ts';
import type { HttpResponse } from '../../../core/http-client.ts';
import { type PartialSuccess, readPartialSuccess } from '../../../wire/otlp-response.ts';
import { BYTES, ProtoReader } from '../../../wire/proto.ts';

const REJECTED: Readonly<Record<Signal, string>> = {
  logs: 'rejectedLogRecords',
  metrics: 'rejectedDataPoints',
  traces: 'rejectedSpans',
};

const typeOf = (answer: HttpResponse): string => answer.headers['content-type'] ?? '';

/** undefined: the body says nothing. A body of the right type that cannot be read is an error for good, as upstream. */
export function partialSuccess(signal: Signal, answer: HttpResponse): PartialSuccess | undefined {
  const type = typeOf(answer);
  if (answer.body.length === 0) return undefined;
  try {
    if (type === 'application/x-protobuf') return readPartialSuccess(answer.body);
    if (type === 'application/json') return fromJson(signal, answer.body.toString('utf8'));
  } catch (e) {
    throw permanent(`failed to read the answer of the destination: ${(e as Error).message}`, {
      cause: e,
      status: answer.status,
    });
  }
  return undefined;
}

function fromJson(signal: Signal, text: string): PartialSuccess {
  const answer = JSON.parse(text) as { partialSuccess?: Record<string, unknown> } | null;
  if (typeof answer !== 'object' || answer === null) throw new Error('not a JSON object');
  const partial = answer.partialSuccess ?? {};
  const rejected = Number(partial[REJECTED[signal]] ?? 0);
  const message = partial['errorMessage'];
  return {
    rejected: Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0,
    message: typeof message === 'string' ? message : '',
  };
}

const RETRYABLE: readonly number[] = [429, 502, 503, 504];

/** The gRPC code that a push receiver passes back to its sender. */
const GRPC_CODES: Readonly<Record<number, number>> = {
  400: 3,
  401: 16,
  403: 7,
  404: 12,
  429: 8,
  502: 14,
  503: 14,
  504: 14,
};
const GRPC_UNKNOWN = 2;

export function responseError(url: URL, answer: HttpResponse, nowMs: number): DeliveryError {
  const { status } = answer;
  const target = new URL(url);
  target.username = '';
  target.password = '';
  const text = `error exporting items, request to ${target.href} responded with HTTP Status Code ${status}${explanation(answer)}`;
  const retryAfterMs = status === 429 || status === 503 ? retryAfter(answer.headers['retry-after'], nowMs) : undefined;
  return new DeliveryError(text, !RETRYABLE.includes(status), {
    status,
    grpcCode: GRPC_CODES[status] ?? GRPC_UNKNOWN,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Seconds or a date, as milliseconds from now. */
export function retryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

const MAX_EXCERPT = 300;

/** What the destination says: a Status message, or the beginning of a text. */
function explanation(answer: HttpResponse): string {
  if (answer.status < 400 || answer.body.length === 0) return '';
  const type = typeOf(answer);
  let message: string | undefined;
  if (/protobuf/.test(type)) message = statusMessage(answer.body);
  else if (/json|text\/plain/.test(type) || type === '')
    message = answer.body
      .subarray(0, MAX_EXCERPT * 4)
      .toString('utf8')
      .trim();
  if (!message) return '';
  const short = message.length > MAX_EXCERPT ? `${message.slice(0, MAX_EXCERPT)}…` : message;
  return `, Message=${short}, Details=[]`;
}

function statusMessage(body: Buffer): string | undefined {
  try {
    let message: string | undefined;
    const r = new ProtoReader(body);
    while (r.next()) {
      if (r.field === 2 && r.wire === BYTES) message = r.string();
      else r.skip();
    }
    return message;
  } catch {
    return undefined;
  }
}
