/** What gRPC clients and servers share: status codes, message frames, the encodings of its headers, packing. */
import { BYTES, ProtoReader, ProtoWriter, VARINT } from '../wire/proto.ts';
import { type Compressor, compressor, decompress, UnpackBusyError } from './compress.ts';
import { snappyFramed } from './grpc-snappy.ts';

export const OK = 0;
export const CANCELLED = 1;
export const UNKNOWN = 2;
export const INVALID_ARGUMENT = 3;
export const DEADLINE_EXCEEDED = 4;
export const PERMISSION_DENIED = 7;
export const RESOURCE_EXHAUSTED = 8;
export const ABORTED = 10;
export const OUT_OF_RANGE = 11;
export const UNIMPLEMENTED = 12;
export const INTERNAL = 13;
export const UNAVAILABLE = 14;
export const DATA_LOSS = 15;
export const UNAUTHENTICATED = 16;

const NAMES = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const;

export const codeName = (code: number): string => NAMES[code] ?? `Code(${code})`;

/** A status other than OK. The message reads as Go prints it. */
export class GrpcError extends Error {
  readonly code: number;
  /** The status message alone. */
  readonly description: string;
  /** How long the other side asks to wait (RetryInfo); undefined: it does not say. */
  readonly retryAfterMs: number | undefined;
  constructor(code: number, description: string, options: ErrorOptions & { readonly retryAfterMs?: number } = {}) {
    super(`rpc error: code = ${codeName(code)} desc = ${description}`, options);
    this.name = 'GrpcError';
    this.code = code;
    this.description = description;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** grpc-message is percent-encoded: printable ASCII without `%` stays. */
export const encodeMessage = (text: string): string =>
  Buffer.from(text, 'utf8')
    .toString('latin1')
    .replace(/[^ -$&-~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);

export const decodeMessage = (text: string): string =>
  Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8');

const TIMEOUT_UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a grpc-timeout header; undefined when it is none. */
export function parseTimeout(text: string): number | undefined {
  const m = /^(\d{1,8})([HMSmun])$/.exec(text);
  return m ? Number(m[1]) * TIMEOUT_UNITS[m[2]!]! : undefined;
}

export function formatTimeout(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  return whole < 1e8 ? `${whole}m` : `${Math.min(99_999_999, Math.ceil(whole / 1000))}S`;
}

export const FRAME_HEAD_BYTES = 5;

/** The five bytes before a message. */
export function frameHead(sizeBytes: number, packed: boolean): Buffer {
  const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
  head[0] = packed ? 1 : 0;
  head.writeUInt32BE(sizeBytes, 1);
  return head;
}

/** What grpc-accept-encoding says. */
export const GRPC_ENCODINGS = ['gzip', 'zstd', 'snappy'] as const;
export type GrpcEncoding = (typeof GRPC_ENCODINGS)[number];

/** gRPC's snappy is the framed format, unlike that of HTTP. */
export const grpcCompressor = (encoding: string): Compressor | undefined =>
  encoding === 'snappy' ? (body) => snappyFramed(body) : compressor(encoding as GrpcEncoding, undefined);

/** The message of one frame, unpacked; GrpcError when that cannot be. */
export async function unpack(message: Buffer, encoding: string, maxBytes: number): Promise<Buffer> {
  if (encoding === '' || encoding === 'identity')
    throw new GrpcError(INTERNAL, 'grpc: compressed flag set with identity or empty encoding');
  if (!(GRPC_ENCODINGS as readonly string[]).includes(encoding))
    throw new GrpcError(
      UNIMPLEMENTED,
      `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`,
    );
  try {
    return await decompress(encoding, message, maxBytes);
  } catch (e) {
    const text = (e as Error).message;
    if (e instanceof UnpackBusyError) throw new GrpcError(UNAVAILABLE, text);
    throw /too large/.test(text)
      ? new GrpcError(RESOURCE_EXHAUSTED, `grpc: received message after decompression larger than max ${maxBytes}`)
      : new GrpcError(INTERNAL, `grpc: failed to decompress the received message: ${text}`, { cause: e });
  }
}

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

/** google.rpc.Status with a RetryInfo, for grpc-status-details-bin. */
export function statusDetails(code: number, message: string, retryAfterMs: number): string {
  const w = new ProtoWriter();
  w.tag(1, VARINT);
  w.varint(code);
  w.string(2, message);
  const any = w.open(3);
  w.string(1, RETRY_INFO);
  const info = w.open(2);
  const delay = w.open(1);
  const seconds = Math.floor(retryAfterMs / 1000);
  if (seconds > 0) {
    w.tag(1, VARINT);
    w.varint(seconds);
  }
  const nanos = Math.round((retryAfterMs - seconds * 1000) * 1e6);
  if (nanos > 0) {
    w.tag(2, VARINT);
    w.varint(nanos);
  }
  w.close(delay);
  w.close(info);
  w.close(any);
  return Buffer.from(w.finish()).toString('base64').replace(/=+$/, '');
}

/** The delay of a RetryInfo in grpc-status-details-bin; undefined when there is none, or the bytes say nothing. */
export function retryInfo(details: string): number | undefined {
  try {
    const status = new ProtoReader(Buffer.from(details, 'base64'));
    while (status.next()) {
      if (status.field !== 3 || status.wire !== BYTES) {
        status.skip();
        continue;
      }
      const any = status.message();
      let type = '';
      let value: Uint8Array = new Uint8Array(0);
      while (any.next()) {
        if (any.field === 1 && any.wire === BYTES) type = any.string();
        else if (any.field === 2 && any.wire === BYTES) value = any.bytes();
        else any.skip();
      }
      if (type === RETRY_INFO) return delayOf(value);
    }
  } catch {
    // A proxy may put anything there.
  }
  return undefined;
}

function delayOf(info: Uint8Array): number {
  let ms = 0;
  const r = new ProtoReader(info);
  while (r.next()) {
    if (r.field !== 1 || r.wire !== BYTES) {
      r.skip();
      continue;
    }
    const delay = r.message();
    while (delay.next()) {
      if (delay.field === 1 && delay.wire === VARINT) ms += Number(BigInt.asIntN(64, delay.varint64())) * 1000;
      else if (delay.field === 2 && delay.wire === VARINT) ms += Number(BigInt.asIntN(64, delay.varint64())) / 1e6;
      else delay.skip();
    }
  }
  return Math.max(0, ms);
}
