/** Byte strings by number: kept in slabs, found by content. Numbers and offsets are in typed arrays, which cost the garbage collector nothing. */

const SLAB_BITS = 18;
const SLAB_BYTES = 1 << SLAB_BITS;
const SLAB_MASK = SLAB_BYTES - 1;

/** Bytes that are kept. */
export interface Slab {
  readonly bytes: Buffer;
  readonly view: DataView;
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Gives out places: the number of a slab and an offset in it, in one integer. */
export class Arena {
  readonly #slabs: Slab[] = [];
  #used = SLAB_BYTES;
  sizeBytes = 0;

  add(bytes: Uint8Array, from: number, to: number): number {
    const length = to - from;
    if (this.#used >= SLAB_BYTES || this.#used + length > SLAB_BYTES) {
      const slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, length));
      this.#slabs.push({ bytes: slab, view: viewOf(slab) });
      this.#used = 0;
    }
    const at = this.#used;
    const index = this.#slabs.length - 1;
    this.#slabs[index]!.bytes.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), at);
    this.#used += length;
    this.sizeBytes += length;
    return (index << SLAB_BITS) | at;
  }

  slab(place: number): Slab {
    return this.#slabs[place >>> SLAB_BITS]!;
  }

  offset(place: number): number {
    return place & SLAB_MASK;
  }
}

/** Not made to resist an adversary: who may send data may also send too much of it. */
export function hashBytes(view: DataView, from: number, to: number, seed: number): number {
  let h = seed | 0;
  let i = from;
  for (; i + 4 <= to; i += 4) {
    h = Math.imul(h ^ view.getInt32(i, true), 0x9e3779b1);
    h ^= h >>> 15;
  }
  for (; i < to; i++) h = Math.imul(h ^ view.getUint8(i), 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export function sameBytes(a: DataView, at: number, b: DataView, from: number, length: number): boolean {
  let i = 0;
  for (; i + 4 <= length; i += 4) if (a.getInt32(at + i, true) !== b.getInt32(from + i, true)) return false;
  for (; i < length; i++) if (a.getUint8(at + i) !== b.getUint8(from + i)) return false;
  return true;
}

/** A copy of twice the size, or of `atLeast`. */
export function grown(a: Int32Array, atLeast = a.length * 2): Int32Array<ArrayBuffer> {
  const b = new Int32Array(Math.max(atLeast, a.length * 2));
  b.set(a);
  return b;
}

const FIRST = 256;

/** Open addressing over numbers, at most half full; 0 is an empty slot, so numbers are stored plus one. */
export class Slots {
  #slots = new Int32Array(FIRST * 2);
  mask = FIRST * 2 - 1;
  #count = 0;

  /** The number in the slot, or -1. */
  at(i: number): number {
    return this.#slots[i]! - 1;
  }

  add(id: number, hash: number, hashOf: (id: number) => number): void {
    if (++this.#count * 2 > this.#slots.length) {
      const before = this.#slots;
      this.#slots = new Int32Array(before.length * 2);
      this.mask = this.#slots.length - 1;
      for (const s of before) if (s !== 0) this.#put(s, hashOf(s - 1));
    }
    this.#put(id + 1, hash);
  }

  #put(slot: number, hash: number): void {
    let i = hash & this.mask;
    while (this.#slots[i] !== 0) i = (i + 1) & this.mask;
    this.#slots[i] = slot;
  }
}

/** Byte strings, each with a number that belongs to its content (0 where there is none). */
export class ByteTable {
  readonly #arena: Arena;
  readonly #slots = new Slots();
  #place = new Int32Array(FIRST);
  #length = new Int32Array(FIRST);
  #hash = new Int32Array(FIRST);
  #tag = new Int32Array(FIRST);
  count = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  length(id: number): number {
    return this.#length[id]!;
  }

  slab(id: number): Slab {
    return this.#arena.slab(this.#place[id]!);
  }

  offset(id: number): number {
    return this.#arena.offset(this.#place[id]!);
  }

  tag(id: number): number {
    return this.#tag[id]!;
  }

  matches(id: number, tag: number, view: DataView, from: number, length: number): boolean {
    return (
      this.#tag[id] === tag &&
      this.#length[id] === length &&
      sameBytes(this.slab(id).view, this.offset(id), view, from, length)
    );
  }

  /** The number of these bytes; new ones get the next number. */
  id(tag: number, bytes: Uint8Array, view: DataView, from: number, to: number): number {
    const hash = hashBytes(view, from, to, Math.imul(tag, 0x9e3779b1));
    const { mask } = this.#slots;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const id = this.#slots.at(i);
      if (id < 0) break;
      if (this.#hash[id] === hash && this.matches(id, tag, view, from, to - from)) return id;
    }
    const id = this.count++;
    if (id === this.#place.length) {
      this.#place = grown(this.#place);
      this.#length = grown(this.#length);
      this.#hash = grown(this.#hash);
      this.#tag = grown(this.#tag);
    }
    this.#place[id] = this.#arena.add(bytes, from, to);
    this.#length[id] = to - from;
    this.#hash[id] = hash;
    this.#tag[id] = tag;
    this.#slots.add(id, hash, (n) => this.#hash[n]!);
    return id;
  }
}
