/**
 * A cursor over one encoded protobuf message: finds its fields when somebody looks, decodes what is asked for, and
 * writes the message again with the changed fields replaced and everything else copied. One object serves many messages.
 */
import { type Value, writeAnyValue } from '../../wire/otlp.ts';
import { BYTES, FIXED32, FIXED64, ProtoError, ProtoReader, type ProtoWriter, VARINT } from '../../wire/proto.ts';
import { copyRange, LazyMap, readValue } from './lazy-map.ts';

/** How a field is encoded, and as what it is seen: all integers are bigint. */
export type FieldKind =
  | 'varint'
  | 'sint'
  | 'bool'
  | 'fixed64'
  | 'sfixed64'
  | 'fixed32'
  | 'double'
  | 'string'
  | 'bytes'
  | 'any'
  | 'doubles'
  | 'fixed64s'
  | 'varints'
  /** The raw content of a sub-message. */
  | 'message';

export type FieldValue = Value | readonly bigint[] | readonly number[];

export interface Shape {
  /** Field of the attributes; 0: none. */
  readonly attributes: number;
  /** Repeated messages that are walked one by one (points, events); 0: none. */
  readonly children: number;
}

const MAX_FIELD = 31;
const NONE = new Uint8Array(0);
const EMPTY = Buffer.alloc(0);

export class Message {
  readonly #shape: Shape;
  #buf: Buffer = EMPTY;
  #start = 0;
  #end = 0;
  #isIndexed = false;
  /** Content of the last occurrence of each field; -1: absent. */
  readonly #at = new Int32Array(MAX_FIELD + 1);
  readonly #to = new Int32Array(MAX_FIELD + 1);
  /** Bit per field that has a value of its own in #values (undefined there: removed). */
  #changed = 0;
  readonly #values: unknown[] = new Array(MAX_FIELD + 1);
  readonly #kinds: FieldKind[] = new Array(MAX_FIELD + 1);
  readonly #attributes = new LazyMap();
  /** Number, start of the tag and end of each field that is no attribute, in order. */
  readonly #fields: number[] = [];
  #fieldsLength = 0;
  /** Pairs of content ranges. */
  readonly #children: number[] = [];

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  bind(buf: Buffer, start: number, end: number): this {
    this.#buf = buf;
    this.#start = start;
    this.#end = end;
    this.#isIndexed = false;
    this.#changed = 0;
    this.#attributes.isChanged = false;
    return this;
  }

  get isChanged(): boolean {
    return this.#changed !== 0 || this.#attributes.isChanged;
  }

  get buf(): Buffer {
    return this.#buf;
  }

  #index(): void {
    this.#isIndexed = true;
    const buf = this.#buf;
    const end = this.#end;
    const { attributes, children } = this.#shape;
    this.#at.fill(-1);
    this.#attributes.begin(buf);
    this.#children.length = 0;
    const fields = this.#fields;
    let fieldsLength = 0;
    let pos = this.#start;
    while (pos < end) {
      const from = pos;
      let tag = buf[pos++]!;
      if (tag > 127) {
        tag &= 127;
        for (let shift = 7; ; shift += 7) {
          const b = buf[pos++]!;
          tag |= (b & 127) << shift;
          if (!(b > 127) || shift > 21) break;
        }
      }
      const field = tag >>> 3;
      const wire = tag & 7;
      let at = pos;
      if (wire === BYTES) {
        let n = buf[pos++]!;
        if (n > 127) {
          n &= 127;
          let scale = 128;
          for (;;) {
            const b = buf[pos++]!;
            n += (b & 127) * scale;
            scale *= 128;
            if (!(b > 127)) break;
          }
        }
        at = pos;
        pos += n;
      } else if (wire === VARINT) {
        while (buf[pos++]! > 127);
      } else if (wire === FIXED64) pos += 8;
      else if (wire === FIXED32) pos += 4;
      else throw new ProtoError(`wire type ${wire}`);
      if (!(pos <= end)) throw new ProtoError('truncated field');
      if (field === attributes && wire === BYTES) {
        this.#attributes.addField(from, at, pos);
        continue;
      }
      fields[fieldsLength] = field;
      fields[fieldsLength + 1] = from;
      fields[fieldsLength + 2] = pos;
      fieldsLength += 3;
      if (field === children && wire === BYTES) this.#children.push(at, pos);
      else if (field <= MAX_FIELD) {
        this.#at[field] = at;
        this.#to[field] = pos;
      }
    }
    this.#fieldsLength = fieldsLength;
  }

  get attributes(): LazyMap {
    if (!this.#isIndexed) this.#index();
    return this.#attributes;
  }

  /** Content ranges of the children in pairs: at, to, at, to… Valid until the next `bind`. */
  get children(): readonly number[] {
    if (!this.#isIndexed) this.#index();
    return this.#children;
  }

  has(field: number): boolean {
    if (this.#changed & (1 << field)) return this.#values[field] !== undefined;
    if (!this.#isIndexed) this.#index();
    return this.#at[field]! >= 0;
  }

  /** Content range of a field as it came, or undefined. */
  range(field: number): readonly [number, number] | undefined {
    if (!this.#isIndexed) this.#index();
    return this.#at[field]! < 0 ? undefined : [this.#at[field]!, this.#to[field]!];
  }

  get(field: number, kind: FieldKind): FieldValue {
    if (this.#changed & (1 << field)) {
      const own = this.#values[field];
      return own === undefined ? absent(kind) : (own as FieldValue);
    }
    if (!this.#isIndexed) this.#index();
    const at = this.#at[field]!;
    if (at < 0) return absent(kind);
    return decode(this.#buf, at, this.#to[field]!, kind);
  }

  /** undefined removes the field. */
  set(field: number, kind: FieldKind, value: FieldValue | undefined): void {
    this.#changed |= 1 << field;
    this.#values[field] = value;
    this.#kinds[field] = kind;
  }

  /** The value of a field of kind `any`, which the caller is going to change in place. */
  getForUpdate(field: number): Value {
    const value = this.get(field, 'any') as Value;
    if (typeof value === 'object' && value !== null) this.set(field, 'any', value);
    return value;
  }

  /** Writes the message as `field`. With `children`, they take the place of the ones that are there. */
  write(w: ProtoWriter, field: number, children?: Uint8Array): void {
    const open = w.open(field);
    this.writeContent(w, children);
    w.close(open);
  }

  writeContent(w: ProtoWriter, children?: Uint8Array): void {
    if (!this.#isIndexed) this.#index();
    const shape = this.#shape;
    const map = this.#attributes;
    const fields = this.#fields;
    const fieldsLength = this.#fieldsLength;
    let skipped = this.#changed;
    if (children) skipped |= 1 << shape.children;
    // Fields and attributes that stay, in the order of their bytes; neighbours are copied in one piece.
    const kept = map.leading;
    let f = 0;
    let a = 0;
    let from = this.#start;
    let to = from;
    for (;;) {
      while (f < fieldsLength && fields[f]! <= MAX_FIELD && skipped & (1 << fields[f]!)) f += 3;
      const isField = f < fieldsLength && (a >= kept || fields[f + 1]! < map.fromOf(a));
      if (!isField && a >= kept) break;
      const at = isField ? fields[f + 1]! : map.fromOf(a);
      if (at !== to) {
        if (from < to) copyRange(w, this.#buf, from, to);
        from = at;
      }
      if (isField) {
        to = fields[f + 2]!;
        f += 3;
      } else to = map.toOf(a++);
    }
    if (from < to) copyRange(w, this.#buf, from, to);
    if (this.#changed !== 0)
      for (let field = 1; field <= MAX_FIELD; field++)
        if (this.#changed & (1 << field)) {
          const value = this.#values[field];
          if (value !== undefined) encode(w, field, this.#kinds[field]!, value as FieldValue);
        }
    if (map.isChanged) map.write(w, shape.attributes, kept);
    if (children) w.raw(children);
  }
}

function absent(kind: FieldKind): FieldValue {
  switch (kind) {
    case 'string':
      return '';
    case 'bytes':
    case 'message':
      return NONE;
    case 'any':
      return null;
    case 'bool':
      return false;
    case 'double':
      return 0;
    case 'doubles':
    case 'fixed64s':
    case 'varints':
      return [];
    default:
      return 0n;
  }
}

const readVarint = (buf: Buffer, at: number): bigint =>
  buf[at]! < 128 ? BigInt(buf[at]!) : new ProtoReader(buf, at).varint64();

function decode(buf: Buffer, at: number, to: number, kind: FieldKind): FieldValue {
  switch (kind) {
    case 'varint':
      return BigInt.asIntN(64, readVarint(buf, at));
    case 'sint': {
      const n = readVarint(buf, at);
      return (n >> 1n) ^ -(n & 1n);
    }
    case 'bool':
      return readVarint(buf, at) !== 0n;
    case 'fixed64':
      return buf.readBigUInt64LE(at);
    case 'sfixed64':
      return buf.readBigInt64LE(at);
    case 'fixed32':
      return BigInt(buf.readUInt32LE(at));
    case 'double':
      return buf.readDoubleLE(at);
    case 'string':
      return buf.toString('utf8', at, to);
    case 'bytes':
      return Uint8Array.prototype.slice.call(buf, at, to);
    case 'message':
      return buf.subarray(at, to);
    case 'any':
      return readValue(buf, at, to);
    case 'doubles': {
      const list: number[] = [];
      for (let i = at; i + 8 <= to; i += 8) list.push(buf.readDoubleLE(i));
      return list;
    }
    case 'fixed64s': {
      const list: bigint[] = [];
      for (let i = at; i + 8 <= to; i += 8) list.push(buf.readBigUInt64LE(i));
      return list;
    }
    case 'varints': {
      const list: bigint[] = [];
      const r = new ProtoReader(buf, at, to);
      while (r.pos < to) list.push(r.varint64());
      return list;
    }
  }
}

function encode(w: ProtoWriter, field: number, kind: FieldKind, value: FieldValue): void {
  switch (kind) {
    case 'varint':
      if (value === 0n) return;
      w.tag(field, VARINT);
      w.varint64(value as bigint);
      return;
    case 'sint': {
      const n = value as bigint;
      w.tag(field, VARINT);
      w.varint64((n << 1n) ^ (n >> 63n));
      return;
    }
    case 'bool':
      w.tag(field, VARINT);
      w.varint(value ? 1 : 0);
      return;
    case 'fixed64':
    case 'sfixed64':
      w.fixed64(field, value as bigint);
      return;
    case 'fixed32':
      w.fixed32(field, Number(value));
      return;
    case 'double':
      w.double(field, value as number);
      return;
    case 'string':
      if (value !== '') w.string(field, value as string);
      return;
    case 'bytes':
    case 'message':
      if ((value as Uint8Array).length > 0 || kind === 'message') w.bytes(field, value as Uint8Array);
      return;
    case 'any': {
      const at = w.open(field);
      writeAnyValue(w, value as Value);
      w.close(at);
      return;
    }
    default: {
      const at = w.open(field);
      for (const n of value as readonly (number | bigint)[]) {
        if (kind === 'varints') {
          w.varint64(n as bigint);
          continue;
        }
        w.reserve(8);
        w.pos =
          kind === 'doubles'
            ? w.buf.writeDoubleLE(n as number, w.pos)
            : w.buf.writeBigUInt64LE(BigInt.asUintN(64, n as bigint), w.pos);
      }
      w.close(at);
    }
  }
}
