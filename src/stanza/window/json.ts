/**
 * JSON objects → attributes of a log record, byte to byte: the fast path of json_parser.
 *
 * It knows the plain cases and says "not me" (-1) to everything else: escapes in keys, keys that come twice or collide
 * with attributes that are there already, numbers that need care, and every kind of malformed text. The general way
 * then decides, so that behaviour is one and the same. Keys are learned as a tree of known sequences, so that a key
 * costs one comparison and its encoded form is copied.
 */
import { type Value, writeAnyValue } from '../../wire/otlp.ts';
import { ProtoWriter, putVarint } from '../../wire/proto.ts';
import { copyBytes, varintBytes } from './record.ts';

const QUOTE = 34;
const BACKSLASH = 92;
/** Nodes of the tree of keys, over all shapes; beyond that unknown keys take the general way. */
const MAX_NODES = 2000;
/** Larger objects take the general way, so that the room an object needs stays small against a slab. */
export const MAX_JSON_BYTES = 32 << 10;
/** Bytes out per byte in, at worst: an element of `[1,1,…]` is two bytes of text and eleven of protobuf. */
export const JSON_GROWTH = 8;

interface Node {
  /** `key"` as it stands in the text. */
  readonly raw: Buffer;
  /** Field 1 of KeyValue: tag, length, key. */
  readonly encoded: Buffer;
  /** Index of the value to be remembered, or -1. */
  readonly capture: number;
  /** Read, but not written. */
  readonly isHidden: boolean;
  readonly keys: ReadonlySet<string>;
  readonly children: Node[];
}

/** What a value was, for those that timestamp and severity look at. */
export const KIND_NONE = 0;
export const KIND_STRING = 1;
/** String with escapes, number, or anything else: the general way must look at it. */
export const KIND_OTHER = 2;

const numberBytes = new Uint8Array(8);
const numberView = new DataView(numberBytes.buffer);
const POWERS = Array.from({ length: 23 }, (_, i) => 10 ** i);

export class JsonAttributes {
  /** Where the captured values stand in the text, by index; strings without their quotes. */
  readonly from: number[];
  readonly to: number[];
  readonly kind: number[];

  readonly #captures: readonly string[];
  readonly #hidden: ReadonlySet<string>;
  readonly #parseInts: boolean;
  #root: Node[] = [];
  #nodes = 0;
  #taken: ReadonlySet<string> = new Set();
  readonly #nested = new ProtoWriter(1024);

  constructor(captures: readonly string[], parseInts: boolean, hidden: ReadonlySet<string> = new Set()) {
    this.#captures = captures;
    this.#hidden = hidden;
    this.#parseInts = parseInts;
    this.from = captures.map(() => 0);
    this.to = captures.map(() => 0);
    this.kind = captures.map(() => KIND_NONE);
  }

  /** Names of attributes that are on the record already: an object with such a key is not for us. */
  avoid(taken: ReadonlySet<string>): void {
    if (taken.size === this.#taken.size && [...taken].every((k) => this.#taken.has(k))) return;
    this.#taken = taken;
    this.#root = [];
    this.#nodes = 0;
  }

  /**
   * Writes the members of the object src[from, to) as fields 6 (attributes) to out[at…]. The caller has made room for
   * JSON_GROWTH times the text. Returns the next position, or -1.
   */
  encode(src: Buffer, from: number, to: number, out: Buffer, at: number): number {
    const kind = this.kind;
    for (let i = 0; i < kind.length; i++) kind[i] = KIND_NONE;
    let p = skipSpace(src, from, to);
    if (src[p] !== 123 || to - from > MAX_JSON_BYTES) return -1;
    p = skipSpace(src, p + 1, to);
    let o = at;
    if (src[p] === 125) return skipSpace(src, p + 1, to) === to ? o : -1;
    let siblings = this.#root;
    let parent: Node | undefined;
    for (;;) {
      if (p >= to || src[p] !== QUOTE) return -1;
      p++;
      const node: Node | undefined = find(siblings, src, p, to) ?? this.#learn(siblings, parent, src, p, to);
      if (!node) return -1;
      p += node.raw.length;
      if (src[p] !== 58) p = skipSpace(src, p, to);
      if (src[p] !== 58) return -1;
      p = skipSpace(src, p + 1, to);
      if (p >= to) return -1;

      const before = o;
      const key = node.encoded;
      const c = src[p]!;
      if (c === QUOTE) {
        const start = p + 1;
        let q = start;
        let b = 0;
        // perf: copied while it is looked at, in the hope that all lengths take one byte (bench `logs-json`).
        const longest = start + 123 - key.length;
        const stop = longest < to ? longest : to;
        let w = o + key.length + 6;
        while (q < stop && (b = src[q]!) !== QUOTE && b !== BACKSLASH && b >= 32) {
          out[w++] = b;
          q++;
        }
        if (b === QUOTE && q < stop) {
          const size = q - start;
          if (node.capture >= 0) {
            kind[node.capture] = KIND_STRING;
            this.from[node.capture] = start;
            this.to[node.capture] = q;
          }
          out[o++] = 0x32;
          out[o++] = key.length + 4 + size;
          for (let i = 0; i < key.length; i++) out[o++] = key[i]!;
          out[o++] = 0x12;
          out[o++] = size + 2;
          out[o++] = 0x0a;
          out[o++] = size;
          o = node.isHidden ? before : w;
          p = q + 1;
          siblings = node.children;
          parent = node;
          if (src[p] === 44 && src[p + 1] === 32 && src[p + 2] === QUOTE) {
            p += 2;
            continue;
          }
          p = skipSpace(src, p, to);
          if (p >= to) return -1;
          if (src[p] === 125) return skipSpace(src, p + 1, to) === to ? o : -1;
          if (src[p] !== 44) return -1;
          p = skipSpace(src, p + 1, to);
          continue;
        }
        while (q < to && (b = src[q]!) !== QUOTE && b !== BACKSLASH && b >= 32) q++;
        if (q >= to || b < 32) return -1;
        if (b === BACKSLASH) {
          const end = endOfString(src, q, to);
          if (end < 0) return -1;
          const text = unescaped(src, start - 1, end);
          if (text === undefined) return -1;
          if (node.capture >= 0) kind[node.capture] = KIND_OTHER;
          const size = text.length;
          o = putHead(out, o, key, 1 + varintBytes(size) + size);
          out[o++] = 0x0a;
          o = putVarint(out, o, size);
          o = copyBytes(text, 0, size, out, o);
          p = end;
        } else {
          const size = q - start;
          if (node.capture >= 0) {
            kind[node.capture] = KIND_STRING;
            this.from[node.capture] = start;
            this.to[node.capture] = q;
          }
          o = putHead(out, o, key, 1 + varintBytes(size) + size);
          out[o++] = 0x0a;
          o = putVarint(out, o, size);
          o = copyBytes(src, start, q, out, o);
          p = q + 1;
        }
      } else {
        if (node.capture >= 0) kind[node.capture] = KIND_OTHER;
        if (c === 45 || (c >= 48 && c <= 57)) {
          const q = endOfNumber(src, p, to);
          if (q < 0) return -1;
          o = this.#putNumber(src, p, q, out, o, key);
          if (o < 0) return -1;
          p = q;
        } else if (c === 116 && src[p + 1] === 114 && src[p + 2] === 117 && src[p + 3] === 101) {
          o = putHead(out, o, key, 2);
          out[o++] = 0x10;
          out[o++] = 1;
          p += 4;
        } else if (c === 102 && src[p + 1] === 97 && src[p + 2] === 108 && src[p + 3] === 115 && src[p + 4] === 101) {
          o = putHead(out, o, key, 2);
          out[o++] = 0x10;
          out[o++] = 0;
          p += 5;
        } else if (c === 110 && src[p + 1] === 117 && src[p + 2] === 108 && src[p + 3] === 108) {
          o = putHead(out, o, key, 0);
          p += 4;
        } else if (c === 123 || c === 91) {
          const q = endOfNested(src, p, to);
          if (q < 0) return -1;
          const value = this.#nestedValue(src, p, q);
          if (!value) return -1;
          o = putHead(out, o, key, value.length);
          out.set(value, o);
          o += value.length;
          p = q;
        } else return -1;
      }

      if (node.isHidden) o = before;
      if (p > to) return -1;
      if (src[p] !== 44) p = skipSpace(src, p, to);
      const sep = src[p];
      if (p >= to) return -1;
      if (sep === 125) return skipSpace(src, p + 1, to) === to ? o : -1;
      if (sep !== 44) return -1;
      p = skipSpace(src, p + 1, to);
      siblings = node.children;
      parent = node;
    }
  }

  /** A new key at src[p…]; undefined when it is one that needs care. */
  #learn(siblings: Node[], parent: Node | undefined, src: Buffer, p: number, to: number): Node | undefined {
    let q = p;
    let b = 0;
    while (q < to && (b = src[q]!) !== QUOTE && b !== BACKSLASH && b >= 32) q++;
    if (q >= to || b !== QUOTE || q - p > 120 || this.#nodes >= MAX_NODES) return undefined;
    const name = src.toString('utf8', p, q);
    if (parent?.keys.has(name) || this.#taken.has(name)) return undefined;
    const text = Buffer.from(src.subarray(p, q));
    const node: Node = {
      raw: Buffer.from(src.subarray(p, q + 1)),
      encoded: Buffer.concat([Buffer.from([0x0a, text.length]), text]),
      capture: this.#captures.indexOf(name),
      isHidden: this.#hidden.has(name),
      keys: new Set([...(parent?.keys ?? []), name]),
      children: [],
    };
    this.#nodes++;
    siblings.push(node);
    return node;
  }

  #putNumber(src: Buffer, from: number, to: number, out: Buffer, at: number, key: Buffer): number {
    let p = from;
    const negative = src[p] === 45;
    if (negative) p++;
    // Up to 2^53 a mantissa is exact, and one correctly rounded division by an exact power gives the nearest double.
    let mantissa = 0;
    let digits = 0;
    let decimals = -1;
    let plain = true;
    for (; p < to; p++) {
      const c = src[p]!;
      if (c === 46) decimals = digits;
      else if (c >= 48 && c <= 57) {
        mantissa = mantissa * 10 + (c - 48);
        digits++;
      } else plain = false;
    }
    plain &&= digits <= 16 && mantissa <= Number.MAX_SAFE_INTEGER;
    let o = at;
    if (this.#parseInts && decimals < 0) {
      if (!plain || negative) return -1;
      let size = 1;
      for (let n = mantissa; n > 127; n = Math.floor(n / 128)) size++;
      o = putHead(out, o, key, 1 + size);
      out[o++] = 0x18;
      while (mantissa > 127) {
        out[o++] = (mantissa % 128) | 128;
        mantissa = Math.floor(mantissa / 128);
      }
      out[o++] = mantissa;
      return o;
    }
    let value = plain
      ? decimals < 0
        ? mantissa
        : mantissa / POWERS[digits - decimals]!
      : Number(src.toString('latin1', from, to));
    if (plain && negative) value = -value;
    if (!Number.isFinite(value)) return -1;
    o = putHead(out, o, key, 9);
    out[o++] = 0x21;
    numberView.setFloat64(0, value, true);
    for (let i = 0; i < 8; i++) out[o++] = numberBytes[i]!;
    return o;
  }

  /** An object or array through JSON.parse; undefined when it is malformed or has what JSON.parse would not tell. */
  #nestedValue(src: Buffer, from: number, to: number): Uint8Array | undefined {
    // With parse_ints the difference between 1 and 1.0 would be gone.
    if (this.#parseInts) return undefined;
    let parsed: unknown;
    try {
      parsed = JSON.parse(src.toString('utf8', from, to));
    } catch {
      return undefined;
    }
    const w = this.#nested;
    w.reset();
    writeAnyValue(w, toValue(parsed));
    return w.buf.subarray(0, w.pos);
  }
}

function toValue(v: unknown): Value {
  if (v === null || typeof v !== 'object') return v as Value;
  if (Array.isArray(v)) return v.map(toValue);
  return new Map(Object.entries(v).map(([k, x]) => [k, toValue(x)] as const));
}

function find(nodes: readonly Node[], src: Buffer, p: number, to: number): Node | undefined {
  for (let n = 0; n < nodes.length; n++) {
    const raw = nodes[n]!.raw;
    const size = raw.length;
    if (p + size > to) continue;
    let i = 0;
    while (i < size && raw[i] === src[p + i]) i++;
    if (i === size) return nodes[n];
  }
  return undefined;
}

/** Tag and length of a KeyValue, its key, and tag and length of its value. */
function putHead(out: Buffer, at: number, key: Buffer, value: number): number {
  let o = at;
  out[o++] = 0x32;
  o = putVarint(out, o, key.length + 1 + varintBytes(value) + value);
  o = copyBytes(key, 0, key.length, out, o);
  out[o++] = 0x12;
  return putVarint(out, o, value);
}

function skipSpace(src: Buffer, p: number, to: number): number {
  while (p < to) {
    const c = src[p]!;
    if (c !== 32 && c !== 10 && c !== 13 && c !== 9) break;
    p++;
  }
  return p;
}

/** Position behind the closing quote of a string whose first backslash stands at `p`; -1 when it does not end. */
function endOfString(src: Buffer, p: number, to: number): number {
  for (let q = p; q < to; q++) {
    const c = src[q]!;
    if (c === BACKSLASH) q++;
    else if (c === QUOTE) return q + 1;
    else if (c < 32) return -1;
  }
  return -1;
}

/** The text of the string literal src[from, to), as UTF-8; undefined for bad escapes and lone surrogates. */
function unescaped(src: Buffer, from: number, to: number): Buffer | undefined {
  try {
    const text = JSON.parse(src.toString('utf8', from, to)) as string;
    return text.isWellFormed() ? Buffer.from(text, 'utf8') : undefined;
  } catch {
    return undefined;
  }
}

/** Position behind the JSON number at `p`; -1 when it is none. */
function endOfNumber(src: Buffer, p: number, to: number): number {
  const digit = (at: number) => at < to && src[at]! >= 48 && src[at]! <= 57;
  let q = p;
  if (src[q] === 45) q++;
  if (!digit(q)) return -1;
  if (src[q] === 48) q++;
  else while (digit(q)) q++;
  if (q < to && src[q] === 46) {
    q++;
    if (!digit(q)) return -1;
    while (digit(q)) q++;
  }
  if (q < to && (src[q] === 101 || src[q] === 69)) {
    q++;
    if (src[q] === 43 || src[q] === 45) q++;
    if (!digit(q)) return -1;
    while (digit(q)) q++;
  }
  return q;
}

/** Position behind the object or array at `p`, by counting brackets outside of strings; -1 when it does not end. */
function endOfNested(src: Buffer, p: number, to: number): number {
  let depth = 0;
  for (let q = p; q < to; q++) {
    const c = src[q]!;
    if (c === QUOTE) {
      q++;
      while (q < to && src[q] !== QUOTE) q += src[q] === BACKSLASH ? 2 : 1;
      if (q >= to) return -1;
    } else if (c === 123 || c === 91) {
      if (++depth > 100) return -1;
    } else if (c === 125 || c === 93) {
      if (--depth === 0) return q + 1;
    }
  }
  return -1;
}
