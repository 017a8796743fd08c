/**
 * The samples of one push, in flat arrays, chained per series. Values are kept as the two halves of their bits, since
 * the stale marker is a NaN that must keep them.
 */
import type { Series } from './series-cache.ts';

/** Samples of nobody's point: target_info. */
export const NO_POINT = -1;

export class Samples {
  low = new Int32Array(1024);
  high = new Int32Array(1024);
  timeMs = new Float64Array(1024);
  /** 0: not known, or not asked for. */
  startMs = new Float64Array(1024);
  /** The next sample of the same series, or -1. */
  next = new Int32Array(1024);
  /** The data point that it comes from, counted through the batch. */
  point = new Int32Array(1024);
  count = 0;
  /** In the order of their first sample. */
  touched: Series[] = [];
  push = 0;

  begin(): void {
    this.push++;
    this.count = 0;
    this.touched = [];
  }

  append(series: Series, low: number, high: number, timeMs: number, startMs: number, point: number): void {
    const i = this.count++;
    if (i === this.low.length) this.#grow();
    this.low[i] = low;
    this.high[i] = high;
    this.timeMs[i] = timeMs;
    this.startMs[i] = startMs;
    this.point[i] = point;
    this.next[i] = -1;
    if (series.push === this.push && series.tail >= 0) {
      this.next[series.tail] = i;
      series.tail = i;
      return;
    }
    this.touch(series);
    series.head = i;
    series.tail = i;
  }

  /** Makes the series a part of the push. */
  touch(series: Series): void {
    if (series.push === this.push) return;
    series.push = this.push;
    series.head = -1;
    series.tail = -1;
    series.exemplars = undefined;
    series.histograms = undefined;
    this.touched.push(series);
  }

  #grow(): void {
    const size = this.low.length * 2;
    const ints = (a: Int32Array): Int32Array<ArrayBuffer> => {
      const b = new Int32Array(size);
      b.set(a);
      return b;
    };
    const doubles = (a: Float64Array): Float64Array<ArrayBuffer> => {
      const b = new Float64Array(size);
      b.set(a);
      return b;
    };
    this.low = ints(this.low);
    this.high = ints(this.high);
    this.next = ints(this.next);
    this.point = ints(this.point);
    this.timeMs = doubles(this.timeMs);
    this.startMs = doubles(this.startMs);
  }

  /** The samples of a series, oldest first; of equal times in the order they came. */
  inOrder(series: Series): number[] {
    const chain: number[] = [];
    for (let i = series.head; i >= 0; i = this.next[i]!) chain.push(i);
    const time = this.timeMs;
    return chain.sort((a, b) => time[a]! - time[b]! || a - b);
  }
}
