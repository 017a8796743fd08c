/**
 * Attributes of an encoded message as a Map that decodes what is asked for. Entries that nobody changed keep their
 * bytes, so that writing the message again copies them. Where careless senders wrote a key twice, the first counts.
 */
import { readAnyValue, readKeyValue, type Value, type ValueMap, writeAnyValue } from '../../wire/otlp.ts';
import { ProtoError, ProtoReader, type ProtoWriter } from '../../wire/proto.ts';

/** A key that is looked up often: found by its bytes, without decoding the keys of the message. */
export class Key {
  readonly text: string;
  readonly bytes: Uint8Array;
  /** The text that was written under this key last, and its encoded entry when it came twice in a row. */
  #value: string | undefined;
  #field = 0;
  #encoded: Buffer | undefined;

  constructor(text: string) {
    this.text = text;
    this.bytes = Buffer.from(text);
  }

  /** Writes an entry with this key. perf: statements mostly write the same text to all records. */
  writeText(w: ProtoWriter, field: number, value: string): void {
    const isSame = value === this.#value && field === this.#field;
    if (isSame && this.#encoded) {
      copyRange(w, this.#encoded, 0, this.#encoded.length);
      return;
    }
    const from = w.pos;
    writeEntry(w, field, this.text, value);
    this.#encoded = isSame && value.length < 200 ? Buffer.from(w.buf.subarray(from, w.pos)) : undefined;
    this.#value = value;
    this.#field = field;
  }
}

/** Appends src[from, to). perf: below some forty bytes a loop beats the call into native code. */
export function copyRange(w: ProtoWriter, src: Buffer, from: number, to: number): void {
  w.reserve(to - from);
  const { buf } = w;
  let o = w.pos;
  if (to - from > 40) {
    src.copy(buf, o, from, to);
    o += to - from;
  } else for (let i = from; i < to; i++) buf[o++] = src[i]!;
  w.pos = o;
}

function writeEntry(w: ProtoWriter, field: number, key: string, value: Value): void {
  const at = w.open(field);
  w.string(1, key);
  const inner = w.open(2);
  writeAnyValue(w, value);
  w.close(inner);
  w.close(at);
}

const UNREAD: unique symbol = Symbol('unread');

interface Entry {
  /** The whole field with its tag; `to` is where it ends, `at` where its content begins. `from` -1: not in the bytes. */
  from: number;
  at: number;
  to: number;
  keyAt: number;
  keyTo: number;
  valueAt: number;
  valueTo: number;
  key: string | undefined;
  value: Value | typeof UNREAD;
  /** That it was set by. */
  by: Key | undefined;
}

const blank = (): Entry => ({
  from: -1,
  at: 0,
  to: 0,
  keyAt: 0,
  keyTo: 0,
  valueAt: 0,
  valueTo: 0,
  key: undefined,
  value: null,
  by: undefined,
});

const KEY_TAG = 0x0a;
const VALUE_TAG = 0x12;

export class LazyMap extends Map<string, Value> {
  #buf: Buffer = Buffer.alloc(0);
  /** Entries from #size on are spare. */
  readonly #entries: Entry[] = [];
  #size = 0;
  #isSplit = false;
  isChanged = false;

  /** Begins anew over `buf`; then comes `addField` for each KeyValue. */
  begin(buf: Buffer): void {
    this.#buf = buf;
    this.#size = 0;
    this.#isSplit = false;
    this.isChanged = false;
  }

  /** `from` is where the tag stands, `at` to `to` the KeyValue message. */
  addField(from: number, at: number, to: number): void {
    const e = (this.#entries[this.#size++] ??= blank());
    e.from = from;
    e.at = at;
    e.to = to;
    e.key = undefined;
    e.value = UNREAD;
    e.by = undefined;
  }

  /** Finds keys and values in the fields, once, when somebody looks. */
  #split(): void {
    this.#isSplit = true;
    const buf = this.#buf;
    for (let i = 0; i < this.#size; i++) {
      const e = this.#entries[i]!;
      const { at, to } = e;
      const keyTo = at + 2 + buf[at + 1]!;
      const valueAt = keyTo + 2;
      // Nearly all are: key shorter than 128 bytes, value, nothing else.
      if (at + 2 <= to && buf[at] === KEY_TAG && buf[at + 1]! < 128 && valueAt <= to && buf[keyTo] === VALUE_TAG) {
        const length = buf[keyTo + 1]!;
        if (length < 128 && valueAt + length === to) {
          e.keyAt = at + 2;
          e.keyTo = keyTo;
          e.valueAt = valueAt;
          e.valueTo = to;
          continue;
        }
      }
      this.#splitSlowly(e);
    }
  }

  #splitSlowly(e: Entry): void {
    const r = new ProtoReader(this.#buf, e.at, e.to);
    e.keyAt = e.keyTo = e.valueAt = e.valueTo = e.at;
    while (r.next()) {
      if (r.wire !== 2 || (r.field !== 1 && r.field !== 2)) {
        r.skip();
        continue;
      }
      const n = r.varint();
      if (n > e.to - r.pos) throw new ProtoError('truncated field');
      if (r.field === 1) {
        e.keyAt = r.pos;
        e.keyTo = r.pos + n;
      } else {
        e.valueAt = r.pos;
        e.valueTo = r.pos + n;
      }
      r.pos += n;
    }
  }

  #remove(index: number): void {
    const entries = this.#entries;
    const gone = entries[index]!;
    const last = --this.#size;
    for (let i = index; i < last; i++) entries[i] = entries[i + 1]!;
    entries[last] = gone;
    gone.value = null;
    this.isChanged = true;
  }

  #keyOf(e: Entry): string {
    return (e.key ??= this.#buf.toString('utf8', e.keyAt, e.keyTo));
  }

  #valueOf(e: Entry): Value {
    if (e.value === UNREAD) e.value = readValue(this.#buf, e.valueAt, e.valueTo);
    return e.value;
  }

  #find(key: string): number {
    if (!this.#isSplit) this.#split();
    for (let i = 0; i < this.#size; i++) if (this.#keyOf(this.#entries[i]!) === key) return i;
    return -1;
  }

  #findKey(key: Key): number {
    if (!this.#isSplit) this.#split();
    const buf = this.#buf;
    const { bytes } = key;
    next: for (let i = 0; i < this.#size; i++) {
      const e = this.#entries[i]!;
      if (e.key !== undefined) {
        if (e.key === key.text) return i;
        continue;
      }
      if (e.keyTo - e.keyAt !== bytes.length) continue;
      const at = e.keyAt;
      for (let k = bytes.length - 1; k >= 0; k--) if (buf[at + k] !== bytes[k]) continue next;
      e.key = key.text;
      return i;
    }
    return -1;
  }

  getKey(key: Key): Value | undefined {
    const i = this.#findKey(key);
    return i < 0 ? undefined : this.#valueOf(this.#entries[i]!);
  }

  setKey(key: Key, value: Value): void {
    this.#put(this.#findKey(key), key.text, value).by = key;
  }

  deleteKey(key: Key): boolean {
    const i = this.#findKey(key);
    if (i >= 0) this.#remove(i);
    return i >= 0;
  }

  #put(index: number, key: string, value: Value): Entry {
    let e: Entry;
    if (index >= 0) e = this.#entries[index]!;
    else {
      e = this.#entries[this.#size++] ??= blank();
      e.key = key;
    }
    e.from = -1;
    e.value = value;
    e.by = undefined;
    this.isChanged = true;
    return e;
  }

  /** The value, which the caller is going to change in place. */
  getForUpdate(key: string): Value | undefined {
    const i = this.#find(key);
    if (i < 0) return undefined;
    const e = this.#entries[i]!;
    const value = this.#valueOf(e);
    if (typeof value === 'object' && value !== null) {
      this.#keyOf(e);
      e.from = -1;
      this.isChanged = true;
    }
    return value;
  }

  /** Keeps the entries for which `keep` holds. */
  retain(keep: (key: string) => boolean): void {
    if (!this.#isSplit) this.#split();
    for (let i = 0; i < this.#size; ) {
      if (keep(this.#keyOf(this.#entries[i]!))) i++;
      else this.#remove(i);
    }
  }

  /** Replaces texts; what `change` gives back unchanged keeps its bytes. Values that are no text are not decoded. */
  changeTexts(change: (text: string) => string): void {
    if (!this.#isSplit) this.#split();
    for (let i = 0; i < this.#size; i++) {
      const e = this.#entries[i]!;
      if (e.value === UNREAD && this.#buf[e.valueAt] !== 0x0a) continue;
      const value = this.#valueOf(e);
      if (typeof value !== 'string') continue;
      const changed = change(value);
      if (changed === value) continue;
      this.#keyOf(e);
      e.from = -1;
      e.value = changed;
      this.isChanged = true;
    }
  }

  override get size(): number {
    if (!this.#isSplit) this.#split();
    return this.#size;
  }

  override get(key: string): Value | undefined {
    const i = this.#find(key);
    return i < 0 ? undefined : this.#valueOf(this.#entries[i]!);
  }

  override has(key: string): boolean {
    return this.#find(key) >= 0;
  }

  override set(key: string, value: Value): this {
    this.#put(this.#find(key), key, value);
    return this;
  }

  override delete(key: string): boolean {
    const i = this.#find(key);
    if (i >= 0) this.#remove(i);
    return i >= 0;
  }

  override clear(): void {
    if (this.#size === 0) return;
    this.#size = 0;
    this.isChanged = true;
  }

  override *entries(): MapIterator<[string, Value]> {
    if (!this.#isSplit) this.#split();
    for (let i = 0; i < this.#size; i++) {
      const e = this.#entries[i]!;
      yield [this.#keyOf(e), this.#valueOf(e)];
    }
  }

  override [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }

  override *keys(): MapIterator<string> {
    if (!this.#isSplit) this.#split();
    for (let i = 0; i < this.#size; i++) yield this.#keyOf(this.#entries[i]!);
  }

  override *values(): MapIterator<Value> {
    for (const [, value] of this.entries()) yield value;
  }

  override forEach(each: (value: Value, key: string, map: Map<string, Value>) => void): void {
    for (const [key, value] of this.entries()) each(value, key, this);
  }

  /** How many of the first entries stand in the bytes, when all that do come before all that do not; else 0. */
  get leading(): number {
    let n = 0;
    while (n < this.#size && this.#entries[n]!.from >= 0) n++;
    for (let i = n; i < this.#size; i++) if (this.#entries[i]!.from >= 0) return 0;
    return n;
  }

  fromOf(index: number): number {
    return this.#entries[index]!.from;
  }

  toOf(index: number): number {
    return this.#entries[index]!.to;
  }

  /** Writes the entries from `first` on under `field`. */
  write(w: ProtoWriter, field: number, first = 0): void {
    for (let i = first; i < this.#size; i++) {
      const e = this.#entries[i]!;
      if (e.from >= 0) {
        copyRange(w, this.#buf, e.from, e.to);
        continue;
      }
      const value = this.#valueOf(e);
      if (e.by && typeof value === 'string') e.by.writeText(w, field, value);
      else writeEntry(w, field, this.#keyOf(e), value);
    }
  }
}

/** Decodes the AnyValue in `at` to `to`; the common kinds without a reader. */
export function readValue(buf: Buffer, at: number, to: number): Value {
  const tag = buf[at];
  if (tag === KEY_TAG) {
    const n = buf[at + 1]!;
    if (n < 128) {
      if (at + 2 + n === to) return n === 0 ? '' : buf.toString('utf8', at + 2, to);
    } else if (buf[at + 2]! < 128 && at + 3 + (n & 127) + buf[at + 2]! * 128 === to)
      return buf.toString('utf8', at + 3, to);
  } else if (tag === 0x18) {
    const n = buf[at + 1]!;
    if (n < 128 && at + 2 === to) return BigInt(n);
  } else if (tag === 0x10 && at + 2 === to) return buf[at + 1] !== 0;
  return readAnyValue(new ProtoReader(buf, at, to));
}

/** A plain, deep copy: what is stored must not be shared with where it came from. */
export function copyValue(v: Value): Value {
  if (typeof v !== 'object' || v === null) return v;
  if (Array.isArray(v)) return v.map(copyValue);
  if (v instanceof Map) return copyMap(v);
  // Buffer.slice would share the memory.
  return Uint8Array.prototype.slice.call(v);
}

export function copyMap(map: ReadonlyMap<string, Value>): ValueMap {
  const out: ValueMap = new Map();
  for (const [k, v] of map.entries()) out.set(k, copyValue(v));
  return out;
}

/** One KeyValue message as an entry of a plain map. */
export const readEntry = (buf: Uint8Array, at: number, to: number, into: ValueMap): void =>
  readKeyValue(new ProtoReader(buf, at, to), into);
