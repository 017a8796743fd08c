/**
 * Bodies of requests while they arrive: each in few pieces, all of a server together within a bound. When they would
 * exceed it, the one that has been on its way for longest is cut: whoever sends slowly on purpose goes first.
 */

/** Chunks below this are put together: a chunk of one byte costs some 250. */
const SMALL_BYTES = 4096;

/** What bodies on their way may take together: as much as six of the largest, at least 128 MiB. */
export const arrivingLimit = (maxBodyBytes: number): number => Math.max(128 * 1024 * 1024, maxBodyBytes * 6);

export class ArrivingBodies {
  readonly #limitBytes: number;
  readonly #open = new Set<ArrivingBody>();
  #sizeBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** What all of them hold. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** `cut` is called when the body has to give way; nothing may be added to it then. */
  open(cut: () => void): ArrivingBody {
    const body: ArrivingBody = new ArrivingBody(cut, (n) => this.#grow(n, body));
    return body;
  }

  /** Only bodies that hold something are here, in the order in which they began. */
  #grow(n: number, body: ArrivingBody): void {
    this.#sizeBytes += n;
    if (body.heldBytes > 0) this.#open.add(body);
    else this.#open.delete(body);
    while (this.#sizeBytes > this.#limitBytes) {
      const [oldest] = this.#open;
      if (!oldest) return;
      oldest.close();
      oldest.cut();
    }
  }
}

export class ArrivingBody {
  readonly cut: () => void;
  readonly #grow: (n: number) => void;
  readonly #pieces: Buffer[] = [];
  /** Small chunks of the moment, and how much of the buffer they fill. */
  #small: Buffer | undefined;
  #smallBytes = 0;
  /** Length of the body so far. */
  sizeBytes = 0;
  /** Memory that it takes. */
  heldBytes = 0;
  #isClosed = false;

  constructor(cut: () => void, grow: (n: number) => void) {
    this.cut = cut;
    this.#grow = grow;
  }

  add(chunk: Buffer): void {
    if (this.#isClosed) return;
    this.sizeBytes += chunk.length;
    if (chunk.length >= SMALL_BYTES) {
      this.#seal();
      this.#pieces.push(chunk);
      this.#hold(chunk.length);
      return;
    }
    if (!this.#small || this.#smallBytes + chunk.length > this.#small.length) {
      this.#seal();
      // The first is short, as most bodies of small chunks are.
      const size = this.sizeBytes > SMALL_BYTES ? SMALL_BYTES * 4 : Math.max(256, chunk.length);
      this.#small = Buffer.allocUnsafeSlow(size);
      this.#hold(size);
    }
    // It may have been cut just now.
    if (!this.#small) return;
    chunk.copy(this.#small, this.#smallBytes);
    this.#smallBytes += chunk.length;
  }

  /** The first `n` bytes as far as they are there. */
  head(n: number): Buffer {
    const first = this.#pieces[0] ?? this.#small?.subarray(0, this.#smallBytes) ?? Buffer.alloc(0);
    return first.length >= n ? first.subarray(0, n) : this.#joined().subarray(0, n);
  }

  /** The whole body, in a buffer that `allocate` gives for its length, if any; it is no longer counted. */
  finish(allocate?: (size: number) => Buffer | undefined): Buffer {
    const into = this.sizeBytes > 0 ? allocate?.(this.sizeBytes) : undefined;
    const body = into ? this.#copied(into) : this.#joined();
    this.close();
    return body;
  }

  #copied(into: Buffer): Buffer {
    let at = 0;
    for (const piece of this.#pieces) at += piece.copy(into, at);
    this.#small?.copy(into, at, 0, this.#smallBytes);
    return into;
  }

  /** Lets go of everything. */
  close(): void {
    this.#isClosed = true;
    this.#pieces.length = 0;
    this.#small = undefined;
    this.#hold(-this.heldBytes);
  }

  #hold(n: number): void {
    this.heldBytes += n;
    this.#grow(n);
  }

  #seal(): void {
    if (this.#small && this.#smallBytes > 0) this.#pieces.push(this.#small.subarray(0, this.#smallBytes));
    this.#small = undefined;
    this.#smallBytes = 0;
  }

  #joined(): Buffer {
    const small = this.#small?.subarray(0, this.#smallBytes);
    if (this.#pieces.length === 0) return small ?? Buffer.alloc(0);
    if (this.#pieces.length === 1 && !small) return this.#pieces[0]!;
    return Buffer.concat(small ? [...this.#pieces, small] : this.#pieces, this.sizeBytes);
  }
}
