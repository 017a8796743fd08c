/** What has arrived at the destination: how often each line was delivered, and in which life of the collector. */
import { type LineName, readLineName } from './lines.ts';

interface Stream {
  deliveries: Uint8Array;
  /** Deliveries by `lastLife`. */
  inLife: Uint8Array;
  lastLife: Uint8Array;
  /** All lines below have been delivered. */
  complete: number;
}

/** Consecutive lines of a stream, `to` included. */
export interface LineRange {
  readonly stream: number;
  readonly from: number;
  readonly to: number;
}

export class Tally {
  readonly #streams: Stream[] = [];
  readonly #name: LineName = { stream: 0, seq: 0 };
  /** Lines that were delivered at least once. */
  distinct = 0;
  /** Deliveries beyond the first. */
  duplicates = 0;
  /** Duplicates that no kill excuses: the same life of the collector had already delivered the line. */
  sameLifeDuplicates = 0;
  /** Source bytes of the duplicates that each life sent. */
  readonly duplicateBytes: number[] = [];
  /** Bodies that are no whole line. */
  readonly damaged: string[] = [];
  damagedCount = 0;

  /**
   * With a persistent queue a kill leaves lines in the queue whose offsets are not stored yet: the next life sends them
   * from the queue and from the file.
   */
  readonly #queueSurvives: boolean;

  constructor(queueSurvives = false) {
    this.#queueSurvives = queueSurvives;
  }

  /** Counts the record with this body as delivered by life `life`. */
  add(bytes: Buffer, start: number, end: number, life: number): void {
    const name = this.#name;
    if (start < 0 || !readLineName(bytes, start, end, name)) {
      this.damagedCount++;
      // What follows the body in the record are its attributes: they say which file it came from.
      if (this.damaged.length < 20)
        this.damaged.push(bytes.toString('latin1', Math.max(0, start), Math.max(0, end) + 120));
      return;
    }
    const s = this.#stream(name.stream, name.seq);
    if (s.lastLife[name.seq] !== life) s.inLife[name.seq] = 0;
    if (s.inLife[name.seq]! < 255) s.inLife[name.seq]!++;
    if (s.deliveries[name.seq] === 0) this.distinct++;
    else {
      this.duplicates++;
      if (s.inLife[name.seq]! > (this.#queueSurvives && life > 0 ? 2 : 1)) this.sameLifeDuplicates++;
      this.duplicateBytes[life] = (this.duplicateBytes[life] ?? 0) + (end - start);
    }
    if (s.deliveries[name.seq]! < 255) s.deliveries[name.seq]!++;
    s.lastLife[name.seq] = life;
    while (s.deliveries[s.complete]) s.complete++;
  }

  /** For each stream, the number of its first lines that have all been delivered. */
  complete(): number[] {
    return Array.from(this.#streams, (s) => s?.complete ?? 0);
  }

  /** Lines that were written (`written[stream]` of each) and never delivered. */
  missing(written: readonly number[]): LineRange[] {
    const ranges: LineRange[] = [];
    written.forEach((count, stream) => {
      const deliveries = this.#streams[stream]?.deliveries;
      let from = -1;
      for (let seq = 0; seq <= count; seq++) {
        const gone = seq < count && !deliveries?.[seq];
        if (gone && from < 0) from = seq;
        else if (!gone && from >= 0) {
          ranges.push({ stream, from, to: seq - 1 });
          from = -1;
        }
      }
    });
    return ranges;
  }

  #stream(index: number, seq: number): Stream {
    const s = (this.#streams[index] ??= {
      deliveries: new Uint8Array(4096),
      inLife: new Uint8Array(4096),
      lastLife: new Uint8Array(4096),
      complete: 0,
    });
    if (seq >= s.deliveries.length) {
      const size = Math.max(s.deliveries.length * 2, seq + 1);
      s.deliveries = grown(s.deliveries, size);
      s.inLife = grown(s.inLife, size);
      s.lastLife = grown(s.lastLife, size);
    }
    return s;
  }
}

function grown(array: Uint8Array, size: number): Uint8Array {
  const bigger = new Uint8Array(size);
  bigger.set(array);
  return bigger;
}
