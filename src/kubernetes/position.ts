/**
 * How far a stream of changes has got: read, and settled. The settled version is the one that may be stored, since
 * everything up to it has its outcome; a watch that begins there repeats nothing and misses nothing.
 */
import type { Ack, Outcome } from '../core/batch.ts';
import type { Ledger } from '../core/ledger.ts';

/** Records that are settled together: one event, or a whole list. */
export class Range implements Ack {
  readonly patient = true;
  readonly #position: Position;
  readonly #ledger: Ledger;
  /** Where the stream is when this is settled; undefined while more may come. */
  version: string | undefined;
  /** Of the one change that this is; undefined for a list. */
  change: string | undefined;
  #pending = 0;

  constructor(position: Position, ledger: Ledger) {
    this.#position = position;
    this.#ledger = ledger;
  }

  get isSettled(): boolean {
    return this.#pending === 0 && this.version !== undefined;
  }

  add(records: number, bytes: number): void {
    this.#pending += records;
    this.#ledger.read(records, bytes);
  }

  close(version: string): void {
    this.version = version;
    this.#position.moved();
  }

  settle(records: number, bytes: number, outcome: Outcome): void {
    this.#pending -= records;
    this.#ledger.settle(records, bytes, outcome);
    if (this.isSettled) this.#position.moved();
  }
}

export class Position {
  readonly #ledger: Ledger;
  readonly #onSettled: (version: string) => void;
  /** In the order of the stream; the first is not settled. */
  readonly #open: Range[] = [];
  #settled: string | undefined;

  constructor(ledger: Ledger, onSettled: (version: string) => void = () => {}) {
    this.#ledger = ledger;
    this.#onSettled = onSettled;
  }

  get settled(): string | undefined {
    return this.#settled;
  }

  /** Nothing is on its way. */
  get isSettled(): boolean {
    return this.#open.length === 0;
  }

  /** Up to here everything was handed on, settled or not; undefined when some of it has no version yet. */
  get handedOn(): string | undefined {
    const last = this.#open.at(-1);
    return this.#open.some((range) => range.version === undefined) ? undefined : (last?.version ?? this.#settled);
  }

  begin(change?: string): Range {
    const range = new Range(this, this.#ledger);
    range.change = change;
    this.#open.push(range);
    return range;
  }

  /** Changes behind the settled version that are settled too: something before them is held back. */
  beyond(most: number): string[] {
    const versions: string[] = [];
    for (const { isSettled, change } of this.#open)
      if (isSettled && change !== undefined && versions.length < most) versions.push(change);
    return versions;
  }

  /** The stream is at this version, and there is nothing to send. */
  pass(version: string): void {
    const last = this.#open.at(-1);
    if (last?.version !== undefined) last.version = version;
    else if (!last) this.#store(version);
  }

  moved(): void {
    let version: string | undefined;
    while (this.#open[0]?.isSettled) version = this.#open.shift()!.version;
    if (version !== undefined) this.#store(version);
  }

  #store(version: string): void {
    this.#settled = version;
    this.#onSettled(version);
  }
}
