/** Running totals for sums and histograms that come as deltas, when the configuration asks for them. */
import type { Clock } from '../../../core/clock.ts';
import type { DropReason } from './metric-info.ts';

export interface DeltaConfig {
  readonly enabled: boolean;
  readonly max_stale: number;
  readonly max_streams: number;
}

/** What has been added up for one series. */
export interface Total {
  value: number;
  /** Of a histogram. */
  count: number;
  counts: number[];
  bounds: string;
  /** Of the last point, in nanoseconds as two words. */
  timeHigh: number;
  timeLow: number;
  startMs: number;
  seenMs: number;
  isGone: boolean;
}

const SWEEP_MS = 30_000;

export class DeltaTotals {
  readonly #config: DeltaConfig;
  readonly #clock: Clock;
  readonly #totals = new Map<string, Total>();
  #sweptMs: number;

  constructor(config: DeltaConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.#sweptMs = clock.monotonicMs();
  }

  get size(): number {
    return this.#totals.size;
  }

  /** Lets go of what no point has come for. */
  sweep(): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = now;
    for (const [key, t] of this.#totals)
      if (now - t.seenMs > this.#config.max_stale) {
        t.isGone = true;
        this.#totals.delete(key);
      }
  }

  /** The total behind `key`, moved on to the time of a new point; or why the point cannot be added. */
  at(key: string, timeHigh: number, timeLow: number, startMs: number): Total | DropReason {
    const seenMs = this.#clock.monotonicMs();
    let t = this.#totals.get(key);
    if (!t) {
      if (this.#totals.size >= this.#config.max_streams) return 'too many delta streams';
      t = { value: 0, count: 0, counts: [], bounds: '', timeHigh, timeLow, startMs, seenMs, isGone: false };
      this.#totals.set(key, t);
      return t;
    }
    if (timeHigh < t.timeHigh || (timeHigh === t.timeHigh && timeLow <= t.timeLow)) return 'delta out of order';
    t.timeHigh = timeHigh;
    t.timeLow = timeLow;
    t.seenMs = seenMs;
    return t;
  }
}
