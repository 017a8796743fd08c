/**
 * Memory that the groups of scrapes stand in. It is used again when a destination has what was in it: memory outside of
 * the heap that is made anew for every scrape costs more garbage collection than the scrape itself.
 */
import type { Ack, Part } from '../batch.ts';

const SLAB_BYTES = 64 * 1024;
/** Free slabs that are kept for the next scrape; more are left to the garbage collector. */
const KEPT_SLABS = 32;

export class GroupSlab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  used = 0;
  /** Data points in it of which nobody has said yet what became of them. */
  #open = 0;
  readonly #ack: Ack;

  constructor(size: number, onFree: (slab: GroupSlab) => void) {
    const memory = new ArrayBuffer(size);
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.#ack = {
      patient: false,
      isMemory: true,
      settle: (records) => {
        this.#open -= records;
        if (this.#open > 0) return;
        this.used = 0;
        onFree(this);
      },
    };
  }

  /** For a group of so many points that stands here now. */
  parts(points: number): readonly Part[] {
    this.#open += points;
    return [{ ack: this.#ack, records: points, bytes: 0 }];
  }
}

/** Of one builder. What is never settled is not used again, and nothing worse. */
export class GroupMemory {
  #current: GroupSlab | undefined;
  readonly #free: GroupSlab[] = [];

  /** A slab with room for `size` behind what is used of it. */
  slabFor(size: number): GroupSlab {
    let slab = this.#current;
    if (slab && slab.used + size <= slab.bytes.length) return slab;
    slab = size <= SLAB_BYTES ? this.#free.pop() : undefined;
    slab ??= new GroupSlab(Math.max(SLAB_BYTES, size), (freed) => {
      if (freed === this.#current || freed.bytes.length > SLAB_BYTES || this.#free.length >= KEPT_SLABS) return;
      this.#free.push(freed);
    });
    this.#current = slab;
    return slab;
  }
}
