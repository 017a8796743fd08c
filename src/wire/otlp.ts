/** OTLP's common messages: AnyValue, attributes, Resource, InstrumentationScope. Logs live in otlp-logs.ts. */
import { ProtoReader, ProtoWriter } from './proto.ts';

/** An OTLP value. Doubles are number, 64-bit integers are bigint; null is the empty AnyValue. */
export type Value = null | string | boolean | number | bigint | Uint8Array | Value[] | ValueMap;
export type ValueMap = Map<string, Value>;
export type ReadonlyValueMap = ReadonlyMap<string, Value>;

/** Writes an AnyValue's fields (no tag around them). */
export function writeAnyValue(w: ProtoWriter, v: Value): void {
  if (typeof v === 'string') w.string(1, v);
  else if (v === null || v === undefined) return;
  else if (typeof v === 'boolean') {
    w.tag(2, 0);
    w.varint(v ? 1 : 0);
  } else if (typeof v === 'bigint') {
    w.tag(3, 0);
    w.varint64(v);
  } else if (typeof v === 'number') w.double(4, v);
  else if (v instanceof Uint8Array) w.bytes(7, v);
  else if (Array.isArray(v)) {
    const at = w.open(5);
    for (const item of v) {
      const inner = w.open(1);
      writeAnyValue(w, item);
      w.close(inner);
    }
    w.close(at);
  } else {
    const at = w.open(6);
    writeAttributes(w, 1, v);
    w.close(at);
  }
}

/** Writes each entry as a KeyValue under `field`. */
export function writeAttributes(w: ProtoWriter, field: number, attributes: ReadonlyValueMap): void {
  for (const [k, v] of attributes) {
    const at = w.open(field);
    w.string(1, k);
    const value = w.open(2);
    writeAnyValue(w, v);
    w.close(value);
    w.close(at);
  }
}

export function readAnyValue(r: ProtoReader, depth = 0): Value {
  if (depth > 100) throw new Error('value nested too deep');
  let value: Value = null;
  while (r.next()) {
    switch (r.field) {
      case 1:
        value = r.string();
        break;
      case 2:
        value = r.varint64() !== 0n;
        break;
      case 3:
        value = BigInt.asIntN(64, r.varint64());
        break;
      case 4:
        value = r.double();
        break;
      case 5: {
        const list: Value[] = [];
        const m = r.message();
        while (m.next()) {
          if (m.field === 1) list.push(readAnyValue(m.message(), depth + 1));
          else m.skip();
        }
        value = list;
        break;
      }
      case 6: {
        const map: ValueMap = new Map();
        const m = r.message();
        while (m.next()) {
          if (m.field === 1) readKeyValue(m.message(), map, depth + 1);
          else m.skip();
        }
        value = map;
        break;
      }
      case 7:
        value = r.bytes().slice();
        break;
      default:
        r.skip();
    }
  }
  return value;
}

export function readKeyValue(r: ProtoReader, into: ValueMap, depth = 0): void {
  let key = '';
  let value: Value = null;
  while (r.next()) {
    if (r.field === 1) key = r.string();
    else if (r.field === 2) value = readAnyValue(r.message(), depth);
    else r.skip();
  }
  into.set(key, value);
}

/** The fields of a Resource message. */
export function encodeResource(attributes: ReadonlyValueMap): Uint8Array {
  const w = new ProtoWriter(512);
  writeAttributes(w, 1, attributes);
  return w.finish();
}

export function decodeResource(encoded: Uint8Array): ValueMap {
  const map: ValueMap = new Map();
  const r = new ProtoReader(encoded);
  while (r.next()) {
    if (r.field === 1) readKeyValue(r.message(), map);
    else r.skip();
  }
  return map;
}

export interface ScopeFields {
  readonly name: string;
  readonly version: string;
  readonly attributes: ReadonlyValueMap;
}

/** The fields of an InstrumentationScope message. */
export function encodeScope(scope: ScopeFields): Uint8Array {
  const w = new ProtoWriter(128);
  if (scope.name) w.string(1, scope.name);
  if (scope.version) w.string(2, scope.version);
  writeAttributes(w, 3, scope.attributes);
  return w.finish();
}

export function decodeScope(encoded: Uint8Array): ScopeFields {
  let name = '';
  let version = '';
  const attributes: ValueMap = new Map();
  const r = new ProtoReader(encoded);
  while (r.next()) {
    if (r.field === 1) name = r.string();
    else if (r.field === 2) version = r.string();
    else if (r.field === 3) readKeyValue(r.message(), attributes);
    else r.skip();
  }
  return { name, version, attributes };
}
