/**
 * Reads the store that otelcol leaves behind: a bbolt file, bucket `default`. Only as far as taking it over needs:
 * pages of a fixed size; page 0 and 1 hold the same meta of the last two transactions; a tree of branch and leaf pages;
 * a small bucket lies inside the value that names it. All numbers are little-endian.
 */
import { fstatSync, readSync } from 'node:fs';

export class BboltError extends Error {}

const MAGIC = 0xed0cdaed;
const VERSION = 2;
const HEADER_BYTES = 16;
const ELEMENT_BYTES = 16;
const META_BYTES = 64;
const BRANCH = 0x01;
const LEAF = 0x02;
const BUCKET_ENTRY = 0x01;
const DEEPEST = 64;
const BUCKET = 'default';

/** `head` is what a file begins with. */
export const isBbolt = (head: Buffer): boolean => head.length >= 20 && head.readUInt32LE(HEADER_BYTES) === MAGIC;

interface Meta {
  readonly pageBytes: number;
  readonly root: number;
  readonly transaction: bigint;
}

/** Entries in key order; values are copies. Throws BboltError for what is damaged. */
export function* bboltEntries(fd: number): Generator<[string, Uint8Array]> {
  const file = new BboltFile(fd);
  for (const [key, value, flags] of file.entries(file.root)) {
    if (flags !== BUCKET_ENTRY || key.toString() !== BUCKET) continue;
    if (value.length < HEADER_BYTES) throw new BboltError('bucket is cut short');
    const root = Number(value.readBigUInt64LE(0));
    const found = root === 0 ? file.pageEntries(value.subarray(HEADER_BYTES), 0) : file.entries(root);
    for (const [k, v, f] of found) if (f === 0) yield [k.toString(), Uint8Array.from(v)];
  }
}

type Entry = [key: Buffer, value: Buffer, flags: number];

class BboltFile {
  readonly root: number;
  readonly #fd: number;
  readonly #sizeBytes: number;
  readonly #pageBytes: number;
  #pagesLeft: number;

  constructor(fd: number) {
    this.#fd = fd;
    this.#sizeBytes = fstatSync(fd).size;
    const meta = this.#meta();
    this.#pageBytes = meta.pageBytes;
    this.root = meta.root;
    // Each page has one place in the tree; more reads than pages mean a circle.
    this.#pagesLeft = Math.ceil(this.#sizeBytes / meta.pageBytes);
  }

  #read(at: number, length: number): Buffer {
    if (at + length > this.#sizeBytes) throw new BboltError('file is cut short');
    const data = Buffer.alloc(length);
    if (readSync(this.#fd, data, 0, length, at) !== length) throw new BboltError('file is cut short');
    return data;
  }

  /** The newest of the two that is whole. */
  #meta(): Meta {
    const first = this.#metaAt(0);
    const sizes = first ? [first.pageBytes] : [4096, 8192, 16_384, 32_768, 65_536];
    const found = [first, ...sizes.map((n) => this.#metaAt(n))].filter((m) => m !== undefined);
    const newest = found.sort((a, b) => (a.transaction < b.transaction ? 1 : -1))[0];
    if (!newest) throw new BboltError('no valid meta page');
    return newest;
  }

  #metaAt(at: number): Meta | undefined {
    if (at + HEADER_BYTES + META_BYTES > this.#sizeBytes) return undefined;
    const meta = this.#read(at + HEADER_BYTES, META_BYTES);
    if (meta.readUInt32LE(0) !== MAGIC || meta.readUInt32LE(4) !== VERSION) return undefined;
    if (meta.readBigUInt64LE(56) !== fnv1a(meta.subarray(0, 56))) return undefined;
    const pageBytes = meta.readUInt32LE(8);
    if (pageBytes < 512 || pageBytes > 1 << 20) return undefined;
    return { pageBytes, root: Number(meta.readBigUInt64LE(16)), transaction: meta.readBigUInt64LE(48) };
  }

  *entries(page: number, depth = 0): Generator<Entry> {
    if (depth > DEEPEST || --this.#pagesLeft < 0) throw new BboltError('pages form a circle');
    const at = page * this.#pageBytes;
    const overflow = this.#read(at, HEADER_BYTES).readUInt32LE(12);
    const data = this.#read(at, (overflow + 1) * this.#pageBytes);
    if (Number(data.readBigUInt64LE(0)) !== page) throw new BboltError(`page ${page} is damaged`);
    yield* this.pageEntries(data, depth);
  }

  *pageEntries(data: Buffer, depth: number): Generator<Entry> {
    if (data.length < HEADER_BYTES) throw new BboltError('page is cut short');
    const flags = data.readUInt16LE(8);
    const count = data.readUInt16LE(10);
    if (HEADER_BYTES + count * ELEMENT_BYTES > data.length) throw new BboltError('page is damaged');
    if (flags !== LEAF && flags !== BRANCH) throw new BboltError(`page of kind ${flags} where entries are expected`);
    for (let i = 0; i < count; i++) {
      const element = HEADER_BYTES + i * ELEMENT_BYTES;
      if (flags === BRANCH) {
        yield* this.entries(Number(data.readBigUInt64LE(element + 8)), depth + 1);
        continue;
      }
      const key = element + data.readUInt32LE(element + 4);
      const value = key + data.readUInt32LE(element + 8);
      const end = value + data.readUInt32LE(element + 12);
      if (end > data.length) throw new BboltError('entry is damaged');
      yield [data.subarray(key, value), data.subarray(value, end), data.readUInt32LE(element)];
    }
  }
}

function fnv1a(data: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of data) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}
