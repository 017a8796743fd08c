/**
 * A writer whose results stand in slabs that are used again. perf: a copy of its own for every rewritten group is memory
 * outside of the heap, and garbage collection of that took a fifth of the time (bench `logs-transform`).
 */
import { ProtoWriter } from '../../wire/proto.ts';
import type { Ack, Outcome, Part } from '../batch.ts';

const SLAB_BYTES = 2 << 20;
/** Free slabs that are kept for reuse; more are left to the garbage collector. */
const KEPT_SLABS = 4;
/** Slabs that nobody needed for so long are let go. */
const IDLE_MS = 5000;

interface Slab {
  readonly mem: Buffer;
  used: number;
  /** Records in it whose outcome is not known. */
  unsettled: number;
}

const newSlab = (): Slab => ({ mem: Buffer.allocUnsafeSlow(SLAB_BYTES), used: 0, unsettled: 0 });

export class SlabWriter extends ProtoWriter {
  #slab: Slab | undefined;
  #free: Slab[] = [];
  #idle: NodeJS.Timeout | undefined;

  /**
   * What was written, and the parts that belong to it from now on: when all their records are settled, the bytes are
   * written over. Without records nobody would tell, so then it is a copy.
   */
  take(parts: readonly Part[]): { readonly items: Uint8Array; readonly parts: readonly Part[] } {
    const size = this.pos;
    let records = 0;
    for (const p of parts) records += p.records;
    if (records === 0 || size > SLAB_BYTES) return { items: this.finish(), parts };
    const slab = this.#roomFor(size);
    const from = slab.used;
    this.buf.copy(slab.mem, from, 0, size);
    slab.used += size;
    slab.unsettled += records;
    return {
      items: slab.mem.subarray(from, from + size),
      parts: parts.map((p) => ({ ack: this.#ackOf(p.ack, slab), records: p.records, bytes: p.bytes })),
    };
  }

  #roomFor(size: number): Slab {
    let slab = this.#slab;
    if (slab && slab.used + size <= SLAB_BYTES) return slab;
    // The one that is full comes back when its records are settled.
    slab = this.#free.pop() ?? newSlab();
    this.#slab = slab;
    return slab;
  }

  #ackOf(ack: Ack, slab: Slab): Ack {
    return {
      patient: ack.patient,
      settle: (records: number, bytes: number, outcome: Outcome) => {
        slab.unsettled -= records;
        if (records > 0 && slab.unsettled === 0) this.#reclaim(slab);
        ack.settle(records, bytes, outcome);
      },
    };
  }

  #reclaim(slab: Slab): void {
    slab.used = 0;
    if (slab !== this.#slab && this.#free.length < KEPT_SLABS) this.#free.push(slab);
    this.#idle ??= setTimeout(() => {
      this.#idle = undefined;
      this.#free = [];
      if (this.#slab?.unsettled === 0) this.#slab = undefined;
    }, IDLE_MS).unref();
    this.#idle.refresh();
  }
}
