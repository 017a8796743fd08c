/**
 * Collects encoded log records into slabs and hands them out as batches. One per receiver.
 *
 * Bytes: a slab is written front to back; a group is a run of one slab. A slab is used again when every record in it
 * is settled, so nobody may use a batch's bytes after settling its parts.
 */
import { type Ack, type Batch, type Group, makeBatch, type Outcome, type Part } from '../core/batch.ts';
import type { Resource, Scope } from '../core/resource.ts';
import type { Source } from './source.ts';

const SLAB_BYTES = 1 << 20;
/** Slabs kept for reuse; more are left to the garbage collector. */
const POOLED_SLABS = 8;
/** Largest number of records in one batch: bounds a request where no batch processor follows. */
const MAX_RECORDS = 8192;

interface Slab {
  readonly mem: Buffer;
  /** Records in it whose outcome is not known. */
  unsettled: number;
  /** Bytes written and not yet given back. */
  used: number;
}

const newSlab = (size: number): Slab => ({ mem: Buffer.allocUnsafeSlow(size), unsettled: 0, used: 0 });

interface OpenPart extends Part {
  records: number;
  bytes: number;
}

export class LogsSink {
  /** Where the next byte goes: `mem[pos]`. Fast paths write there after `reserve` and then call `wrote`. */
  mem: Buffer;
  pos = 0;

  #slab: Slab;
  readonly #pool: Slab[] = [];
  #ready: Batch[] = [];
  #groups: Group[] = [];
  /** Records in #groups and in the open group. */
  #records = 0;
  #unsettledBytes = 0;

  // The open group.
  #source: Source | undefined;
  #range: Ack | undefined;
  #resource: Resource | undefined;
  #scope: Scope | undefined;
  #start = 0;
  #count = 0;
  #parts: OpenPart[] = [];
  #part: OpenPart | undefined;

  constructor() {
    this.#slab = newSlab(SLAB_BYTES);
    this.mem = this.#slab.mem;
  }

  /** Encoded bytes in slabs that are not settled: what the receiver's window is measured by. */
  get unsettledBytes(): number {
    return this.#unsettledBytes;
  }

  /** Makes `source`, `resource` and `scope` those of the records that follow. Cheap when nothing changes. */
  open(source: Source, resource: Resource, scope: Scope): void {
    if (this.#resource !== resource || this.#scope !== scope) {
      this.#closeGroup();
      this.#resource = resource;
      this.#scope = scope;
    }
    if (this.#source !== source || this.#range !== source.range) {
      this.#source = source;
      this.#range = source.range;
      this.#part = undefined;
    }
  }

  /** Makes room for `size` bytes in one piece at `mem[pos]`; starts a new slab or batch when it must. */
  reserve(size: number): void {
    if (this.#records >= MAX_RECORDS) this.seal();
    if (this.pos + size <= this.mem.length) return;
    this.seal();
    if (this.pos + size <= this.mem.length) return;
    this.#leave();
    if (size > this.mem.length) this.#enter(newSlab(size));
  }

  /** `records` records were written to mem[pos, end), made from `bytes` bytes of the source given to `open`. */
  wrote(end: number, records: number, bytes: number): void {
    this.#source!.range.add(records);
    let part = this.#part;
    if (!part) {
      part = { ack: this.#slabAck(this.#range!, this.#slab), records: 0, bytes: 0 };
      this.#part = part;
      this.#parts.push(part);
    }
    part.records += records;
    part.bytes += bytes;
    const size = end - this.pos;
    this.#slab.unsettled += records;
    this.#slab.used += size;
    this.#unsettledBytes += size;
    this.#count += records;
    this.#records += records;
    this.pos = end;
  }

  /**
   * One record, written to mem[pos, end), whose last `otherBytes` bytes come from `other`, a later source: both ranges
   * wait for its outcome, and it counts as a record of the first.
   */
  wroteJoined(end: number, bytes: number, other: Source, otherBytes: number): void {
    const first = this.#source!.range;
    const second = other.range;
    second.wait();
    const ack: Ack = {
      patient: true,
      settle: (records, _, outcome) => {
        if (records === 0) return;
        first.settle(1, bytes, outcome);
        second.told(otherBytes, outcome);
      },
    };
    this.#part = { ack: this.#slabAck(ack, this.#slab), records: 0, bytes: 0 };
    this.#parts.push(this.#part);
    this.wrote(end, 1, bytes + otherBytes);
    this.#part = undefined;
  }

  /** Copies one encoded item (tag and length included). */
  append(item: Uint8Array, bytes: number): void {
    this.reserve(item.length);
    this.mem.set(item, this.pos);
    this.wrote(this.pos + item.length, 1, bytes);
  }

  /** Closes what has been written into a batch that `takeReady` gives out. */
  seal(): void {
    this.#closeGroup();
    if (this.#groups.length === 0) return;
    this.#ready.push(makeBatch('logs', this.#groups));
    this.#groups = [];
    this.#records = 0;
  }

  get hasReady(): boolean {
    return this.#ready.length > 0;
  }

  takeReady(): Batch[] {
    const out = this.#ready;
    this.#ready = [];
    return out;
  }

  /** After a burst: gives back the slabs that were kept for the next one. False when there are none. */
  trim(): boolean {
    const had = this.#pool.length > 0 || this.mem.length > 0;
    this.#pool.length = 0;
    // With nothing unsettled the slab is empty, and nothing is under construction.
    if (this.#unsettledBytes === 0 && this.#count === 0) this.#enter(newSlab(0));
    return had;
  }

  #closeGroup(): void {
    if (this.#count > 0) {
      this.#groups.push({
        resource: this.#resource!,
        scope: this.#scope!,
        items: this.mem.subarray(this.#start, this.pos),
        messages: this.#count,
        count: this.#count,
        parts: this.#parts,
      });
      this.#parts = [];
      this.#count = 0;
    }
    this.#part = undefined;
    this.#start = this.pos;
  }

  #leave(): void {
    const old = this.#slab;
    this.#enter(this.#pool.pop() ?? newSlab(SLAB_BYTES));
    this.#reclaim(old);
  }

  #enter(slab: Slab): void {
    this.#slab = slab;
    this.mem = slab.mem;
    this.pos = 0;
    this.#start = 0;
    this.#part = undefined;
  }

  /** The range's acknowledgement, which also tells when the slab is free. */
  #slabAck(range: Ack, slab: Slab): Ack {
    return {
      patient: true,
      settle: (records: number, bytes: number, outcome: Outcome) => {
        slab.unsettled -= records;
        if (slab.unsettled === 0) this.#reclaim(slab);
        range.settle(records, bytes, outcome);
      },
    };
  }

  #reclaim(slab: Slab): void {
    if (slab.unsettled !== 0) return;
    this.#unsettledBytes -= slab.used;
    slab.used = 0;
    if (slab === this.#slab) {
      // Nothing is under construction either: its records would be unsettled.
      this.pos = 0;
      this.#start = 0;
    } else if (slab.mem.length === SLAB_BYTES && this.#pool.length < POOLED_SLABS && !this.#pool.includes(slab))
      this.#pool.push(slab);
  }
}
