/** Entries that an operator holds to join them: their offsets stay unread for the receiver, their bytes add up. */
import type { Outcome } from '../core/batch.ts';
import { Ledger } from '../core/ledger.ts';
import type { Entry } from './entry.ts';
import { Range, type Source } from './source.ts';

/** The joined record belongs to several sources: each waits for its outcome. */
class JoinedRange extends Range {
  readonly #shares: ReadonlyMap<Source, number>;

  constructor(shares: ReadonlyMap<Source, number>) {
    super(0, new Ledger(), () => {});
    this.#shares = shares;
  }

  override add(records: number): void {
    for (const source of this.#shares.keys()) source.range.add(records);
    // The ranges that are open now are the ones to settle, whatever is open then.
    this.#ranges = [...this.#shares].map(([source, bytes]) => [source.range, bytes] as const);
  }

  #ranges: (readonly [Range, number])[] = [];

  override settle(records: number, _bytes: number, outcome: Outcome): void {
    for (const [range, bytes] of this.#ranges) range.settle(records, bytes, outcome);
  }
}

/** A base entry, whose fields the joined one has, and the others that went into it. */
export class Held {
  #base: Entry;
  readonly #offsets: { readonly source: Source; readonly offset: number }[] = [];
  #bytes = 0;
  /** Bytes by source, once there is more than one. */
  #shares: Map<Source, number> | undefined;

  constructor(entry: Entry) {
    this.#base = entry;
    this.#take(entry);
  }

  #take(entry: Entry): void {
    const { source, offset } = entry;
    source.holds.add(offset);
    this.#offsets.push({ source, offset });
    this.#bytes += entry.bytes;
    if (this.#shares) this.#shares.set(source, (this.#shares.get(source) ?? 0) + entry.bytes);
  }

  /** Takes the entry in; with `asBase` its fields are the ones that go on. */
  join(entry: Entry, asBase = false): void {
    if (!this.#shares && entry.source !== this.#base.source) this.#shares = new Map([[this.#base.source, this.#bytes]]);
    this.#take(entry);
    if (asBase) this.#base = entry;
  }

  has(source: Source): boolean {
    return this.#offsets.some((o) => o.source === source);
  }

  get base(): Entry {
    return this.#base;
  }

  /** Ends the holding; what it gives stands for the bytes of all. */
  release(): Entry {
    for (const { source, offset } of this.#offsets) source.holds.remove(offset);
    const base = this.#base;
    base.bytes = this.#bytes;
    if (!this.#shares) return base;
    const { path, attributes, resource, ledger, holds, memo } = base.source;
    const source: Source = { path, attributes, resource, ledger, holds, memo, range: new JoinedRange(this.#shares) };
    return { ...base, source };
  }
}
