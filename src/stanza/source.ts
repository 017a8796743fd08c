/** Where entries come from (one file), and the acknowledgement of a run of its bytes. */
import type { Ack, Outcome } from '../core/batch.ts';
import type { Ledger } from '../core/ledger.ts';
import type { ReadonlyValueMap } from '../wire/otlp.ts';

/** One file as the operators see it; the receiver implements it. */
export interface Source {
  /** As matched by the globs: log.file.path. */
  readonly path: string;
  /** Constant for all its entries: configured attributes, then file attributes. Replaced (never changed) on a rename. */
  readonly attributes: ReadonlyValueMap;
  readonly resource: ReadonlyValueMap;
  readonly ledger: Ledger;
  /** Offsets of bytes that operators hold back (partial lines, recombine); stored offsets stay below the lowest. */
  readonly holds: Holds;
  /**
   * What is being read now; the sink tells it of every record. ALWAYS an open one: operators may emit what they held
   * at any tick, so the receiver puts the next range here in the same step in which it closes one.
   */
  range: Range;
  /** What a compiled program remembers about this source. */
  memo: unknown;
}

/** A small multiset of offsets. */
export class Holds {
  readonly #offsets: number[] = [];

  add(offset: number): void {
    this.#offsets.push(offset);
  }

  remove(offset: number): void {
    const i = this.#offsets.indexOf(offset);
    if (i >= 0) this.#offsets.splice(i, 1);
  }

  /** Infinity when nothing is held. */
  get lowest(): number {
    let low = Number.POSITIVE_INFINITY;
    for (const o of this.#offsets) if (o < low) low = o;
    return low;
  }

  get size(): number {
    return this.#offsets.length;
  }
}

/**
 * The bytes [from, to) of a source and the records that were made while reading them. Settled when it is closed and
 * the outcome of every record is known. A record counts to the range that is open when it is emitted, even if its
 * bytes were held since an earlier one (Holds keeps the stored offset back meanwhile).
 */
export class Range implements Ack {
  readonly patient = true;
  readonly from: number;
  to: number;
  #pending = 0;
  #closed = false;
  readonly #ledger: Ledger;
  readonly #done: (range: Range) => void;

  constructor(from: number, ledger: Ledger, done: (range: Range) => void) {
    this.from = from;
    this.to = from;
    this.#ledger = ledger;
    this.#done = done;
  }

  get settled(): boolean {
    return this.#closed && this.#pending === 0;
  }

  get pendingRecords(): number {
    return this.#pending;
  }

  /** Announces records that settle() will be called for. */
  add(records: number): void {
    if (this.#closed) throw new Error(`range [${this.from}, ${this.to}) is closed`);
    this.#pending += records;
    this.#ledger.read(records, 0);
  }

  /** Waits for the outcome of a record that counts elsewhere but holds bytes of this range; see `told`. */
  wait(): void {
    if (this.#closed) throw new Error(`range [${this.from}, ${this.to}) is closed`);
    this.#pending++;
  }

  /** The outcome that `wait` announced. */
  told(bytes: number, outcome: Outcome): void {
    this.#ledger.settle(0, bytes, outcome);
    this.#pending--;
    if (this.#closed && this.#pending === 0) this.#done(this);
  }

  /** No more records will be added; `to` is where the next range starts. */
  close(to: number): void {
    if (this.#closed) return;
    this.to = to;
    this.#closed = true;
    if (this.#pending === 0) this.#done(this);
  }

  settle(records: number, bytes: number, outcome: Outcome): void {
    this.#ledger.settle(records, bytes, outcome);
    if (records === 0) return;
    this.#pending -= records;
    if (this.#pending < 0) throw new Error(`range [${this.from}, ${this.to}) was settled twice`);
    if (this.#closed && this.#pending === 0) this.#done(this);
  }
}
