/** Memory for many small byte strings that live long: each alone would cost several times its own size. */

const CHUNK_BYTES = 64 * 1024;

/** Holds many small byte strings in few pieces of memory. Nothing is ever overwritten. */
export class Arena {
  readonly #chunkBytes: number;
  #chunk = new Uint8Array(0);
  #used = 0;
  /** Since the arena was made; what nobody needs any more counts too. */
  allocated = 0;

  /** A chunk stays as long as anything in it is held, so where contents come and go one by one it has to be small. */
  constructor(chunkBytes = CHUNK_BYTES) {
    this.#chunkBytes = chunkBytes;
  }

  put(bytes: Uint8Array): Uint8Array {
    if (this.#used + bytes.length > this.#chunk.length) {
      this.#chunk = new Uint8Array(Math.max(this.#chunkBytes, bytes.length));
      this.#used = 0;
    }
    const view = this.#chunk.subarray(this.#used, this.#used + bytes.length);
    view.set(bytes);
    this.#used += bytes.length;
    this.allocated += bytes.length;
    return view;
  }
}
