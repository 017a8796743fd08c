/**
 * OTLP/JSON to protobuf bytes in one pass: hex ids, 64-bit integers as text or numbers, enums as numbers (names are
 * tolerated), lowerCamelCase names (those of the .proto files are tolerated), unknown fields ignored.
 */
import { JsonError, JsonScanner } from './json-scanner.ts';
import { type Field, type Message, REQUESTS, type SignalName } from './otlp-schema.ts';
import { BYTES, ProtoWriter, VARINT } from './proto.ts';

/** Text that is no OTLP/JSON. */
export class OtlpJsonError extends Error {}

const MAX_DEPTH = 200;
const U64 = 2n ** 64n;

const COLON = 58;
const OPEN_LIST = 91;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/** A value that is no object or list. Integers that a double cannot hold are text, as OTLP/JSON writes them. */
type Scalar = string | number | boolean;

function fail(f: Field, kind: string): never {
  const wanted = f.type === 'message' ? 'object' : f.type;
  throw new OtlpJsonError(`invalid value for ${f.name}: ${kind} where ${wanted} is expected`);
}

function integer(f: Field, v: Scalar, min: bigint, max: bigint): bigint {
  let n: bigint;
  if (typeof v === 'number' && Number.isInteger(v)) n = BigInt(v);
  else if (typeof v === 'string' && /^-?\d{1,20}$/.test(v)) n = BigInt(v);
  else return fail(f, typeof v);
  if (n < min || n > max) throw new OtlpJsonError(`invalid value for ${f.name}: out of range`);
  return n;
}

function double(f: Field, v: Scalar): number {
  if (typeof v === 'number') return v;
  if (v === 'NaN') return Number.NaN;
  if (v === 'Infinity') return Number.POSITIVE_INFINITY;
  if (v === '-Infinity') return Number.NEGATIVE_INFINITY;
  if (typeof v === 'string' && v.trim() !== '' && !Number.isNaN(Number(v))) return Number(v);
  return fail(f, typeof v);
}

function id(f: Field, v: Scalar): Buffer {
  if (typeof v !== 'string' || v.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(v)) return fail(f, typeof v);
  const bytes = Buffer.from(v, 'hex');
  const size = f.type === 'id16' ? 16 : 8;
  if (bytes.length !== 0 && bytes.length !== size) throw new OtlpJsonError(`invalid length for ${f.name}`);
  return bytes;
}

function base64(f: Field, v: Scalar): Buffer {
  if (typeof v !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(v)) return fail(f, typeof v);
  return Buffer.from(v, 'base64');
}

function varintOf(f: Field, v: Scalar): bigint {
  switch (f.type) {
    case 'enum':
      if (typeof v === 'string' && f.values && Object.hasOwn(f.values, v)) return BigInt(f.values[v]!);
      return integer(f, v, -(2n ** 31n), 2n ** 31n - 1n);
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

function writeScalar(w: ProtoWriter, f: Field, v: Scalar): void {
  switch (f.type) {
    case 'bytes':
      w.bytes(f.number, base64(f, v));
      return;
    case 'id16':
    case 'id8':
      w.bytes(f.number, id(f, v));
      return;
    case 'bool':
      if (typeof v !== 'boolean') fail(f, typeof v);
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

/** One element of a packed list. */
function writePacked(w: ProtoWriter, f: Field, v: Scalar): void {
  if (f.type === 'double') {
    w.reserve(8);
    w.pos = w.buf.writeDoubleLE(double(f, v), w.pos);
  } else if (f.type === 'fixed64') {
    w.reserve(8);
    w.pos = w.buf.writeBigUInt64LE(integer(f, v, 0n, U64 - 1n), w.pos);
  } else w.varint64(varintOf(f, v));
}

interface Name {
  readonly bytes: Buffer;
  readonly field: Field;
}

/** perf: names are found by their bytes; making a string of each took a third of the time of a log request. */
type Names = ReadonlyMap<number, readonly Name[]>;

const hash = (length: number, first: number, last: number): number => (length << 16) | (first << 8) | last;
const tables = new Map<Message, Names>();

function namesOf(m: Message): Names {
  const known = tables.get(m);
  if (known) return known;
  const table = new Map<number, Name[]>();
  for (const field of m.fields)
    for (const name of new Set([field.name, field.protoName])) {
      const bytes = Buffer.from(name);
      const key = hash(bytes.length, bytes[0]!, bytes.at(-1)!);
      table.set(key, [...(table.get(key) ?? []), { bytes, field }]);
    }
  tables.set(m, table);
  return table;
}

/** The field whose name the scanner has just walked. */
function fieldOf(names: Names, s: JsonScanner): Field | undefined {
  const { buf, start, end } = s.escaped ? { buf: Buffer.from(s.text), start: 0, end: Buffer.byteLength(s.text) } : s;
  if (end === start) return undefined;
  const found = names.get(hash(end - start, buf[start]!, buf[end - 1]!));
  if (found)
    next: for (const { bytes, field } of found) {
      for (let i = 1; i < bytes.length; i++) if (bytes[i] !== buf[start + i]) continue next;
      return field;
    }
  return undefined;
}

class Converter {
  readonly #s: JsonScanner;
  readonly #w: ProtoWriter;

  constructor(text: string | Uint8Array) {
    this.#s = new JsonScanner(text);
    this.#w = new ProtoWriter(Math.max(256, this.#s.buf.length >> 1));
  }

  convert(m: Message): Uint8Array {
    if (this.#s.peek() !== OPEN_OBJECT) {
      this.#s.skip();
      this.#s.finish();
      throw new OtlpJsonError('not a JSON object');
    }
    this.#message(m, 0);
    this.#s.finish();
    return this.#w.buf.subarray(0, this.#w.pos);
  }

  #message(m: Message, depth: number): void {
    if (depth > MAX_DEPTH) throw new OtlpJsonError('nested too deep');
    const s = this.#s;
    s.take(OPEN_OBJECT);
    if (s.empty(CLOSE_OBJECT)) return;
    const names = namesOf(m);
    do {
      s.string();
      const f = fieldOf(names, s);
      s.take(COLON);
      if (!f) s.skip();
      else if (s.peek() === 110) s.word('null');
      else if (f.repeated) this.#list(f, depth);
      else this.#one(f, depth);
    } while (s.more(CLOSE_OBJECT));
  }

  #list(f: Field, depth: number): void {
    const s = this.#s;
    if (s.peek() !== OPEN_LIST) fail(f, this.#kind());
    s.pos++;
    if (s.empty(CLOSE_LIST)) return;
    const isPacked = f.type !== 'message' && f.type !== 'string';
    const start = isPacked ? this.#w.open(f.number) : 0;
    do {
      if (isPacked) writePacked(this.#w, f, this.#scalar(f));
      else this.#one(f, depth);
    } while (s.more(CLOSE_LIST));
    if (isPacked) this.#w.close(start);
  }

  #one(f: Field, depth: number): void {
    const s = this.#s;
    const c = s.peek();
    if (f.type === 'message') {
      if (c !== OPEN_OBJECT) fail(f, this.#kind());
      const start = this.#w.open(f.number);
      this.#message(f.message!, depth + 1);
      this.#w.close(start);
    } else if (f.type === 'string') {
      if (c !== 34) fail(f, this.#kind());
      s.string();
      if (s.escaped) this.#w.string(f.number, s.text);
      else this.#copy(f.number);
    } else writeScalar(this.#w, f, this.#scalar(f));
  }

  /** Writes the string that was last walked. A native copy pays from some forty bytes on. */
  #copy(field: number): void {
    const { buf, start, end } = this.#s;
    const w = this.#w;
    w.tag(field, BYTES);
    w.varint(end - start);
    w.reserve(end - start);
    if (end - start > 40) buf.copy(w.buf, w.pos, start, end);
    else for (let i = start, to = w.pos; i < end; ) w.buf[to++] = buf[i++]!;
    w.pos += end - start;
  }

  #kind(): string {
    const c = this.#s.peek();
    if (c === OPEN_OBJECT) return 'object';
    if (c === OPEN_LIST) return 'array';
    if (c === 34) return 'string';
    if (c === 116 || c === 102) return 'boolean';
    if (c === 110) return 'null';
    if (c === 45 || (c >= 48 && c <= 57)) return 'number';
    return this.#s.fail();
  }

  #scalar(f: Field): Scalar {
    const s = this.#s;
    switch (s.peek()) {
      case 34:
        s.string();
        return s.text;
      case 116:
        s.word('true');
        return true;
      case 102:
        s.word('false');
        return false;
      case OPEN_OBJECT:
      case OPEN_LIST:
      case 110:
        return fail(f, this.#kind());
    }
    const text = s.number();
    const n = Number(text);
    return Number.isSafeInteger(n) || !/^-?\d+$/.test(text) ? n : text;
  }
}

/** Any OTLP message from its JSON form. */
export function messageFromJson(m: Message, text: string | Uint8Array): Uint8Array {
  try {
    return new Converter(text).convert(m);
  } catch (e) {
    if (e instanceof JsonError) throw new OtlpJsonError(e.message);
    throw e;
  }
}

export const requestFromJson = (signal: SignalName, text: string | Uint8Array): Uint8Array =>
  messageFromJson(REQUESTS[signal], text);
