/** The account of what was read: read = delivered + filtered + queued + in flight + lost, in records and in bytes. */
import type { Outcome } from './batch.ts';

export interface Amount {
  records: number;
  bytes: number;
}

const amount = (): Amount => ({ records: 0, bytes: 0 });

export interface LedgerSnapshot {
  readonly read: Readonly<Amount>;
  readonly delivered: Readonly<Amount>;
  /** Handed to a durable queue, which answers for it from then on. */
  readonly queued: Readonly<Amount>;
  readonly filtered: Readonly<Amount>;
  readonly filteredBy: ReadonlyMap<string, Readonly<Amount>>;
  readonly lost: Readonly<Amount>;
  readonly lostBy: ReadonlyMap<string, Readonly<Amount>>;
  /** What is left of `read`. Never negative: that would mean that something was told twice. */
  readonly inFlight: Readonly<Amount>;
}

/** Amounts are also passed on to `parent` (a file's ledger to the receiver's). */
export class Ledger {
  readonly #parent: Ledger | undefined;
  readonly #read = amount();
  readonly #delivered = amount();
  readonly #queued = amount();
  readonly #filteredBy = new Map<string, Amount>();
  readonly #lostBy = new Map<string, Amount>();

  constructor(parent?: Ledger) {
    this.#parent = parent;
  }

  read(records: number, bytes: number): void {
    this.#read.records += records;
    this.#read.bytes += bytes;
    this.#parent?.read(records, bytes);
  }

  settle(records: number, bytes: number, outcome: Outcome): void {
    const to =
      outcome.kind === 'delivered'
        ? this.#delivered
        : outcome.kind === 'queued'
          ? this.#queued
          : entry(outcome.kind === 'filtered' ? this.#filteredBy : this.#lostBy, outcome.reason);
    to.records += records;
    to.bytes += bytes;
    this.#parent?.settle(records, bytes, outcome);
  }

  snapshot(): LedgerSnapshot {
    const filtered = sum(this.#filteredBy);
    const lost = sum(this.#lostBy);
    const left = (k: keyof Amount) => this.#read[k] - this.#delivered[k] - this.#queued[k] - filtered[k] - lost[k];
    return {
      read: { ...this.#read },
      delivered: { ...this.#delivered },
      queued: { ...this.#queued },
      filtered,
      filteredBy: copy(this.#filteredBy),
      lost,
      lostBy: copy(this.#lostBy),
      inFlight: { records: left('records'), bytes: left('bytes') },
    };
  }
}

function entry(map: Map<string, Amount>, key: string): Amount {
  let a = map.get(key);
  if (!a) map.set(key, (a = amount()));
  return a;
}

function sum(map: ReadonlyMap<string, Amount>): Amount {
  const total = amount();
  for (const a of map.values()) {
    total.records += a.records;
    total.bytes += a.bytes;
  }
  return total;
}

const copy = (map: ReadonlyMap<string, Amount>): Map<string, Amount> =>
  new Map([...map].map(([k, a]) => [k, { ...a }] as const));
