/** Packed files: their first bytes, and their content as a stream of pieces. */
import { readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { constants, createGunzip, gunzipSync } from 'node:zlib';

const HEAD_PACKED = 4096;
const PIECE = 64 * 1024;
/** How much a head of 4 KiB may unpack to. */
const HEAD_LIMIT = 8 << 20;

/** The first `size` bytes of the content; empty when it is not a readable gzip file. */
export function gzipHead(fd: number, size: number): Buffer {
  const packed = Buffer.alloc(HEAD_PACKED);
  const n = readSync(fd, packed, 0, packed.length, 0);
  if (n === 0) return Buffer.alloc(0);
  try {
    const head = gunzipSync(packed.subarray(0, n), {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: HEAD_LIMIT,
    });
    return Buffer.from(head.subarray(0, size));
  } catch {
    return Buffer.alloc(0);
  }
}

/** The content of a packed file from an offset on. Unread pieces stay in it between turns. */
export class GzipReader {
  /** Content that was unpacked and not taken. */
  rest: Buffer = Buffer.alloc(0);
  /** Packed size when reading began: when it grows, reading begins again. */
  readonly packedSize: number;
  /** The end of the content was reached, or `error` says why not. */
  ended = false;
  error: Error | undefined;
  /** The bytes before the offset were not those expected. */
  mismatch = false;
  /** The content ends before the offset. */
  isShort = false;

  readonly #pieces: AsyncIterator<Buffer>;
  readonly #close: () => void;
  readonly #tail: Buffer;
  #skip: number;
  #closed = false;
  #before: Buffer = Buffer.alloc(0);

  constructor(fd: number, packedSize: number, offset: number, tail: Buffer) {
    this.packedSize = packedSize;
    this.#skip = offset;
    this.#tail = Buffer.from(tail);
    const file = Readable.from(this.#packedPieces(fd), { objectMode: false, highWaterMark: 1 });
    const unpacked = createGunzip({ chunkSize: 64 * 1024 });
    file.on('error', (e) => unpacked.destroy(e));
    file.pipe(unpacked);
    this.#pieces = unpacked[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#close = () => {
      file.destroy();
      unpacked.destroy();
    };
  }

  /** Not a file stream: that would close the descriptor, which is not its own. */
  *#packedPieces(fd: number): Generator<Buffer> {
    let position = 0;
    while (!this.#closed) {
      const piece = Buffer.allocUnsafe(PIECE);
      const n = readSync(fd, piece, 0, PIECE, position);
      if (n === 0) return;
      position += n;
      yield piece.subarray(0, n);
    }
  }

  /** Adds the next piece to `rest`; false at the end. */
  async fill(): Promise<boolean> {
    while (!this.ended) {
      let next: IteratorResult<Buffer>;
      try {
        next = await this.#pieces.next();
      } catch (error) {
        this.ended = true;
        this.error = error as Error;
        return false;
      }
      if (next.done) {
        this.ended = true;
        if (this.#skip > 0) {
          this.mismatch = true;
          this.isShort = true;
        }
        return false;
      }
      let piece = next.value;
      if (this.#skip > 0) {
        const skipped = piece.subarray(0, Math.min(this.#skip, piece.length));
        this.#skip -= skipped.length;
        this.#before = Buffer.concat([this.#before, skipped]).subarray(-Math.max(1, this.#tail.length));
        if (this.#skip === 0 && this.#tail.length > 0 && !Buffer.from(this.#before).equals(this.#tail))
          this.mismatch = true;
        piece = piece.subarray(skipped.length);
        if (piece.length === 0) continue;
      }
      this.rest = this.rest.length === 0 ? piece : Buffer.concat([this.rest, piece]);
      return true;
    }
    return false;
  }

  close(): void {
    this.ended = true;
    this.#closed = true;
    this.#close();
  }
}
