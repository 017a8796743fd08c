/**
 * Memory that is used again. perf: buffers that live for some milliseconds are memory outside of the heap, and garbage
 * collection of that took a third of the time (benches `otlp-spans`, `logs-transform`).
 */
const SLAB_BYTES = 2 << 20;
/** Free slabs that are kept; more are left to the garbage collector. */
const KEPT_SLABS = 4;
/** Slabs that nobody needed for so long are let go. */
const IDLE_MS = 5000;

/** A piece of a slab. Whoever never releases it keeps the slab from being used again, and nothing else. */
export interface Lease {
  readonly bytes: Buffer;
  /** The bytes are not looked at any more. Only the first call counts. */
  release(): void;
}

interface Slab {
  readonly mem: Buffer;
  used: number;
  leases: number;
}

export class Slabs {
  #slab: Slab | undefined;
  #free: Slab[] = [];
  #idle: NodeJS.Timeout | undefined;

  /** undefined: that is too much for a slab. */
  take(size: number): Lease | undefined {
    if (size > SLAB_BYTES) return undefined;
    const slab = this.#roomFor(size);
    const bytes = slab.mem.subarray(slab.used, slab.used + size);
    slab.used += size;
    slab.leases++;
    let isHeld = true;
    return {
      bytes,
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        if (--slab.leases === 0) this.#reclaim(slab);
      },
    };
  }

  #roomFor(size: number): Slab {
    if (this.#slab && this.#slab.used + size <= SLAB_BYTES) return this.#slab;
    // The one that is full comes back with its last lease.
    this.#slab = this.#free.pop() ?? { mem: Buffer.allocUnsafeSlow(SLAB_BYTES), used: 0, leases: 0 };
    return this.#slab;
  }

  #reclaim(slab: Slab): void {
    slab.used = 0;
    if (slab !== this.#slab && this.#free.length < KEPT_SLABS) this.#free.push(slab);
    this.#idle ??= setTimeout(() => {
      this.#idle = undefined;
      this.#free = [];
      if (this.#slab?.leases === 0) this.#slab = undefined;
    }, IDLE_MS).unref();
    this.#idle.refresh();
  }
}
