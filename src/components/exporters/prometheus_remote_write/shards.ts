/**
 * Several batches on their way at a time, and yet every series in order: a series always belongs to the same shard, and
 * a shard sends the next batch's part only when the last one's has come to its end.
 */
export class Shards {
  readonly #count: number;
  readonly #hash: (series: number) => number;
  readonly #tails: Promise<void>[];

  constructor(count: number, hash: (series: number) => number) {
    this.#count = count;
    this.#hash = hash;
    this.#tails = new Array<Promise<void>>(count).fill(Promise.resolve());
  }

  divide(series: Int32Array): Int32Array[] {
    const shards: number[][] = Array.from({ length: this.#count }, () => []);
    for (const s of series) shards[(this.#hash(s) >>> 8) % this.#count]!.push(s);
    return shards.map((list) => Int32Array.from(list));
  }

  /** Takes the next place in each of these shards. Every turn must be ended. */
  enter(shards: Iterable<number>): Map<number, Turn> {
    const turns = new Map<number, Turn>();
    for (const i of shards) {
      const before = this.#tails[i]!;
      let end = () => {};
      this.#tails[i] = new Promise<void>((resolve) => (end = resolve));
      turns.set(i, { comes: before, end });
    }
    return turns;
  }
}

export interface Turn {
  readonly comes: Promise<void>;
  readonly end: () => void;
}
