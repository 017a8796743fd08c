/**
 * OTLP/JSON to and from protobuf bytes: hex ids, 64-bit integers as text or numbers, enums as numbers (names are
 * tolerated on input), lowerCamelCase names (those of the .proto files are tolerated), unknown fields ignored.
 */
import { type Field, type Message, REQUESTS, type SignalName } from './otlp-schema.ts';
import { BYTES, decodeUtf8, FIXED32, FIXED64, ProtoError, ProtoReader, ProtoWriter, VARINT } from './proto.ts';

/** Text that is no OTLP/JSON. */
export class OtlpJsonError extends Error {}

const MAX_DEPTH = 200;
const U64 = 2n ** 64n;

const fail = (f: Field, v: unknown): never => {
  const kind = v === null ? 'null' : Array.isArray(v) ? 'array' : typeof v;
  throw new OtlpJsonError(
    `invalid value for ${f.name}: ${kind} where ${f.type === 'message' ? 'object' : f.type} is expected`,
  );
};

/** Numbers above 2^53 would lose digits in JSON.parse; this keeps them as text. */
interface ReviverContext {
  readonly source?: string;
}
const keepLarge = (_key: string, v: unknown, context?: ReviverContext): unknown =>
  typeof v === 'number' && Number.isInteger(v) && !Number.isSafeInteger(v) && /^-?\d+$/.test(context?.source ?? '')
    ? context!.source
    : v;

/** Thrown inside a conversion to start over with keepLarge, which is several times slower. */
class NeedsLargeNumbers extends Error {}

function integer(f: Field, v: unknown, min: bigint, max: bigint): bigint {
  let n: bigint;
  if (typeof v === 'number') {
    if (!Number.isInteger(v)) return fail(f, v);
    if (!Number.isSafeInteger(v)) throw new NeedsLargeNumbers();
    n = BigInt(v);
  } else if (typeof v === 'string' && /^-?\d+$/.test(v)) n = BigInt(v);
  else return fail(f, v);
  if (n < min || n > max) throw new OtlpJsonError(`invalid value for ${f.name}: out of range`);
  return n;
}

function double(f: Field, v: unknown): number {
  if (typeof v === 'number') return v;
  if (v === 'NaN') return Number.NaN;
  if (v === 'Infinity') return Number.POSITIVE_INFINITY;
  if (v === '-Infinity') return Number.NEGATIVE_INFINITY;
  if (typeof v === 'string' && v.trim() !== '' && !Number.isNaN(Number(v))) return Number(v);
  return fail(f, v);
}

function id(f: Field, v: unknown): Buffer {
  if (typeof v !== 'string' || !/^(?:[0-9a-f]{2})*$/i.test(v)) return fail(f, v);
  const bytes = Buffer.from(v, 'hex');
  const size = f.type === 'id16' ? 16 : 8;
  if (bytes.length !== 0 && bytes.length !== size) throw new OtlpJsonError(`invalid length for ${f.name}`);
  return bytes;
}

function base64(f: Field, v: unknown): Buffer {
  if (typeof v !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(v)) return fail(f, v);
  return Buffer.from(v, 'base64');
}

function enumNumber(f: Field, v: unknown): bigint {
  if (typeof v === 'string' && f.values && Object.hasOwn(f.values, v)) return BigInt(f.values[v]!);
  return integer(f, v, -(2n ** 31n), 2n ** 31n - 1n);
}

function writeScalar(w: ProtoWriter, f: Field, v: unknown): void {
  switch (f.type) {
    case 'string':
      w.string(f.number, typeof v === 'string' ? v : fail(f, v));
      return;
    case 'bytes':
      w.bytes(f.number, base64(f, v));
      return;
    case 'id16':
    case 'id8':
      w.bytes(f.number, id(f, v));
      return;
    case 'bool':
      if (typeof v !== 'boolean') fail(f, v);
      w.tag(f.number, VARINT);
      w.varint(v ? 1 : 0);
      return;
    case 'double':
      w.double(f.number, double(f, v));
      return;
    case 'fixed64':
      w.fixed64(f.number, integer(f, v, 0n, U64 - 1n));
      return;
    case 'sfixed64':
      w.fixed64(f.number, integer(f, v, -U64 / 2n, U64 / 2n - 1n));
      return;
    case 'fixed32':
      w.fixed32(f.number, Number(integer(f, v, 0n, 2n ** 32n - 1n)));
      return;
    default:
      w.tag(f.number, VARINT);
      w.varint64(varintOf(f, v));
  }
}

function varintOf(f: Field, v: unknown): bigint {
  switch (f.type) {
    case 'enum':
      return enumNumber(f, v);
    case 'int64':
      return integer(f, v, -U64 / 2n, U64 / 2n - 1n);
    case 'uint64':
      return integer(f, v, 0n, U64 - 1n);
    case 'uint32':
      return integer(f, v, 0n, 2n ** 32n - 1n);
    case 'sint32': {
      const n = integer(f, v, -(2n ** 31n), 2n ** 31n - 1n);
      return n < 0n ? -2n * n - 1n : 2n * n;
    }
    default:
      return integer(f, v, -(2n ** 31n), 2n ** 31n - 1n);
  }
}

function writePacked(w: ProtoWriter, f: Field, list: readonly unknown[]): void {
  if (list.length === 0) return;
  const start = w.open(f.number);
  for (const v of list) {
    if (f.type === 'double' || f.type === 'fixed64') {
      w.reserve(8);
      if (f.type === 'double') w.pos = w.buf.writeDoubleLE(double(f, v), w.pos);
      else w.pos = w.buf.writeBigUInt64LE(integer(f, v, 0n, U64 - 1n), w.pos);
    } else w.varint64(varintOf(f, v));
  }
  w.close(start);
}

function writeFields(w: ProtoWriter, m: Message, object: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw new OtlpJsonError('nested too deep');
  const o = object as Record<string, unknown>;
  for (const f of m.fields) {
    const v = Object.hasOwn(o, f.name) ? o[f.name] : Object.hasOwn(o, f.protoName) ? o[f.protoName] : undefined;
    if (v === undefined || v === null) continue;
    if (f.repeated && !Array.isArray(v)) fail(f, v);
    if (f.type === 'message') {
      for (const one of f.repeated ? (v as unknown[]) : [v]) {
        if (typeof one !== 'object' || one === null || Array.isArray(one)) fail(f, one);
        const start = w.open(f.number);
        writeFields(w, f.message!, one, depth + 1);
        w.close(start);
      }
    } else if (!f.repeated) writeScalar(w, f, v);
    else if (f.type === 'string') for (const one of v as unknown[]) writeScalar(w, f, one);
    else writePacked(w, f, v as unknown[]);
  }
}

function parse(text: string, reviver?: typeof keepLarge): object {
  let value: unknown;
  try {
    value = JSON.parse(text, reviver as Parameters<typeof JSON.parse>[1]);
  } catch (e) {
    throw new OtlpJsonError((e as Error).message);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new OtlpJsonError('not a JSON object');
  return value;
}

/** Any OTLP message from its JSON form. */
export function messageFromJson(m: Message, text: string): Uint8Array {
  const convert = (reviver?: typeof keepLarge) => {
    const w = new ProtoWriter(Math.max(256, text.length));
    writeFields(w, m, parse(text, reviver), 0);
    return w.buf.subarray(0, w.pos);
  };
  try {
    return convert();
  } catch (e) {
    if (e instanceof NeedsLargeNumbers) return convert(keepLarge);
    throw e;
  }
}

export const requestFromJson = (signal: SignalName, text: string): Uint8Array =>
  messageFromJson(REQUESTS[signal], text);

const doubleText = (n: number): string =>
  Number.isFinite(n)
    ? Object.is(n, -0)
      ? '-0'
      : JSON.stringify(n)
    : Number.isNaN(n)
      ? '"NaN"'
      : n > 0
        ? '"Infinity"'
        : '"-Infinity"';

function scalarText(r: ProtoReader, f: Field): string {
  switch (f.type) {
    case 'string':
      return JSON.stringify(decodeUtf8(r.bytes()));
    case 'bytes':
      return `"${Buffer.from(r.bytes()).toString('base64')}"`;
    case 'id16':
    case 'id8':
      return `"${Buffer.from(r.bytes()).toString('hex')}"`;
    case 'bool':
      return r.varint64() !== 0n ? 'true' : 'false';
    case 'double':
      return doubleText(r.double());
    case 'fixed64':
      return `"${r.fixed64()}"`;
    case 'sfixed64':
      return `"${BigInt.asIntN(64, r.fixed64())}"`;
    case 'fixed32':
      return `${r.fixed32()}`;
    case 'int64':
      return `"${BigInt.asIntN(64, r.varint64())}"`;
    case 'uint64':
      return `"${r.varint64()}"`;
    case 'uint32':
      return `${BigInt.asUintN(32, r.varint64())}`;
    case 'sint32': {
      const n = BigInt.asUintN(32, r.varint64());
      return `${(n >> 1n) ^ -(n & 1n)}`;
    }
    default:
      return `${BigInt.asIntN(32, r.varint64())}`;
  }
}

const WIRES: Readonly<Partial<Record<Field['type'], number>>> = {
  message: BYTES,
  string: BYTES,
  bytes: BYTES,
  id16: BYTES,
  id8: BYTES,
  double: FIXED64,
  fixed64: FIXED64,
  sfixed64: FIXED64,
  fixed32: FIXED32,
};

function messageText(r: ProtoReader, m: Message, depth: number): string {
  if (depth > MAX_DEPTH) throw new ProtoError('nested too deep');
  const one = new Map<Field, string>();
  const lists = new Map<Field, string[]>();
  while (r.next()) {
    const f = m.byNumber[r.field];
    const wire = f && (WIRES[f.type] ?? VARINT);
    if (!f || (r.wire !== wire && !(f.repeated && r.wire === BYTES))) {
      r.skip();
      continue;
    }
    if (!f.repeated) {
      one.set(f, f.type === 'message' ? messageText(r.message(), f.message!, depth + 1) : scalarText(r, f));
      continue;
    }
    let list = lists.get(f);
    if (!list) lists.set(f, (list = []));
    if (f.type === 'message') list.push(messageText(r.message(), f.message!, depth + 1));
    else if (r.wire === wire) list.push(scalarText(r, f));
    else for (const packed = r.message(); packed.pos < packed.end; ) list.push(scalarText(packed, f));
  }
  const members: string[] = [];
  for (const f of m.fields) {
    const text = one.get(f) ?? (lists.has(f) ? `[${lists.get(f)!.join(',')}]` : undefined);
    if (text !== undefined) members.push(`"${f.name}":${text}`);
  }
  return `{${members.join(',')}}`;
}

/** The JSON form of any OTLP message. Fields that are on the wire are in the text, also at their defaults. */
export const messageToJson = (m: Message, data: Uint8Array): string => messageText(new ProtoReader(data), m, 0);

export const requestToJson = (signal: SignalName, request: Uint8Array): string =>
  messageToJson(REQUESTS[signal], request);
