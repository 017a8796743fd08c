/**
 * OTLP/JSON from protobuf bytes: hex ids, 64-bit integers as text, enums as numbers, lowerCamelCase names. The other
 * direction is in otlp-from-json.ts.
 */
import { type Field, type Message, REQUESTS, type SignalName } from './otlp-schema.ts';
import { BYTES, decodeUtf8, FIXED32, FIXED64, ProtoError, ProtoReader, VARINT } from './proto.ts';

export { messageFromJson, OtlpJsonError, requestFromJson } from './otlp-from-json.ts';

const MAX_DEPTH = 200;

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
