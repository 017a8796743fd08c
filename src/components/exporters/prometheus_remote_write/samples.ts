/**
 * The samples of one push, in flat arrays, chained per series. Values are kept as the two halves of their bits, since
 * the stale marker is a NaN that must keep them.
 */
import type { WireExemplar } from '../../../wire/remote-write.ts';
import { grown } from './byte-table.ts';

/** Samples of nobody's point: target_info. */
export const NO_POINT = -1;

export interface NativeSample {
  readonly timeMs: number;
  /** As a field of the series. */
  readonly bytes: Uint8Array;
  readonly point: number;
}

export class Samples {
  low = new Int32Array(1024);
  high = new Int32Array(1024);
  /** Index in `times`. */
  time = new Int32Array(1024);
  /** Index in `times`; 0: not known, or not asked for. */
  start = new Int32Array(1024);
  /** Milliseconds. Few times recur in a push, so samples have small numbers instead. The first is 0. */
  times: number[] = [0];
  /** The next sample of the same series, or -1. */
  next = new Int32Array(1024);
  /** The data point that it comes from, counted through the batch. */
  point = new Int32Array(1024);
  count = 0;
  /** Series of the push, in the order of their first sample. */
  touched = new Int32Array(1024);
  touchedCount = 0;
  push = 0;
  /** By series: the last push it has samples in, with the first and the last of them there (-1: none). */
  #push = new Int32Array(1024);
  head = new Int32Array(1024);
  tail = new Int32Array(1024);
  /** What few series have. */
  readonly exemplars = new Map<number, WireExemplar[]>();
  readonly histograms = new Map<number, NativeSample[]>();

  begin(): void {
    this.push++;
    this.count = 0;
    this.touchedCount = 0;
    this.times = [0];
    this.exemplars.clear();
    this.histograms.clear();
  }

  isTouched(series: number): boolean {
    return this.#push[series] === this.push;
  }

  append(series: number, low: number, high: number, time: number, start: number, point: number): void {
    const i = this.count++;
    if (i === this.low.length) this.#grow();
    this.low[i] = low;
    this.high[i] = high;
    this.time[i] = time;
    this.start[i] = start;
    this.point[i] = point;
    this.next[i] = -1;
    if (this.#push[series] !== this.push) this.touch(series);
    const tail = this.tail[series]!;
    if (tail >= 0) this.next[tail] = i;
    else this.head[series] = i;
    this.tail[series] = i;
  }

  /** Makes the series a part of the push. */
  touch(series: number): void {
    if (series >= this.#push.length) {
      this.#push = grown(this.#push, series + 1);
      this.head = grown(this.head, series + 1);
      this.tail = grown(this.tail, series + 1);
    }
    if (this.#push[series] === this.push) return;
    this.#push[series] = this.push;
    this.head[series] = -1;
    this.tail[series] = -1;
    if (this.touchedCount === this.touched.length) this.touched = grown(this.touched);
    this.touched[this.touchedCount++] = series;
  }

  addExemplars(series: number, exemplars: readonly WireExemplar[]): void {
    if (exemplars.length === 0) return;
    const all = this.exemplars.get(series);
    if (all) all.push(...exemplars);
    else this.exemplars.set(series, [...exemplars]);
  }

  addHistogram(series: number, sample: NativeSample): void {
    this.touch(series);
    const all = this.histograms.get(series);
    if (all) all.push(sample);
    else this.histograms.set(series, [sample]);
  }

  #grow(): void {
    const size = this.low.length * 2;
    this.low = grown(this.low, size);
    this.high = grown(this.high, size);
    this.next = grown(this.next, size);
    this.point = grown(this.point, size);
    this.time = grown(this.time, size);
    this.start = grown(this.start, size);
  }

  /** The samples of a series, oldest first; of equal times in the order they came. */
  inOrder(series: number): number[] {
    const chain: number[] = [];
    for (let i = this.head[series]!; i >= 0; i = this.next[i]!) chain.push(i);
    return chain.sort((a, b) => this.times[this.time[a]!]! - this.times[this.time[b]!]! || a - b);
  }
}
