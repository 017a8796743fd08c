/** Evaluates the expressions of promql.ts at one or many points of time, with Prometheus' rules for staleness and rates. */
import type { Label } from '../../wire/remote-write.ts';
import type { MetricStore } from './metric-store.ts';
import { type AggregationName, type Expression, type RateName, type Selector, UnsupportedError } from './promql.ts';

export interface Times {
  readonly startMs: number;
  readonly stepMs: number;
  readonly count: number;
  /** How old a sample may be to count as the present value. */
  readonly lookbackMs: number;
}

/** One result: a value for each point of time, undefined where there is none. */
export interface Line {
  /** Sorted by name; without __name__ when the value is no longer that of the metric. */
  readonly labels: readonly Label[];
  readonly values: readonly (number | undefined)[];
}

/** Well-formed, but it cannot be answered. */
export class ExecutionError extends Error {}

const MAX_LOADED = 5_000_000;

/** Counts what a query reads, so that it ends before memory does. */
class Budget {
  #left = MAX_LOADED;
  take(n: number): void {
    this.#left -= n;
    if (this.#left < 0) throw new ExecutionError('query processing would load too many samples into memory');
  }
}

interface Samples {
  readonly times: number[];
  /** undefined ends the series. */
  readonly values: (number | undefined)[];
}

export function evaluate(store: MetricStore, expression: Expression, times: Times): Line[] {
  return new Evaluation(store, times).lines(expression);
}

export function* selected(store: MetricStore, selector: Selector): Generator<{ id: number; labels: readonly Label[] }> {
  const name = selector.matchers.find((m) => m.name === '__name__' && m.exact !== undefined)?.exact;
  for (const s of store.series(name)) {
    const labelValue = (label: string): string => s.labels.find(([n]) => n === label)?.[1] ?? '';
    if (selector.matchers.every((m) => m.matches(labelValue(m.name)))) yield s;
  }
}

class Evaluation {
  readonly #store: MetricStore;
  readonly #times: Times;
  readonly #budget = new Budget();

  constructor(store: MetricStore, times: Times) {
    this.#store = store;
    this.#times = times;
  }

  lines(e: Expression): Line[] {
    if (e.kind === 'aggregation') return aggregate(e.name, e.labels, e.without, this.lines(e.of), this.#times.count);
    if (e.kind === 'selector' && e.rangeMs !== undefined)
      throw new UnsupportedError(
        'a range vector as the result of an expression is not supported by the embedded store',
      );
    const isRate = e.kind === 'rate';
    const windowMs = isRate ? e.of.rangeMs : this.#times.lookbackMs;
    const lines: Line[] = [];
    for (const series of selected(this.#store, isRate ? e.of : e)) {
      this.#budget.take(this.#times.count);
      const samples = this.#samples(series.id, windowMs, isRate);
      if (samples.times.length === 0) continue;
      const values = isRate ? this.#rates(samples, windowMs, e.name) : this.#latest(samples, windowMs);
      if (values.every((v) => v === undefined)) continue;
      lines.push({ labels: isRate ? series.labels.filter(([n]) => n !== '__name__') : series.labels, values });
    }
    if (isRate) refuseDoubles(lines);
    return lines;
  }

  #samples(id: number, windowMs: number, withoutEnds: boolean): Samples {
    const { startMs, stepMs, count } = this.#times;
    const times: number[] = [];
    const values: (number | undefined)[] = [];
    for (const s of this.#store.samples(id, startMs - windowMs, startMs + stepMs * (count - 1))) {
      this.#budget.take(1);
      if (withoutEnds && s.value === undefined) continue;
      times.push(s.timeMs);
      values.push(s.value);
    }
    return { times, values };
  }

  /** The last sample at or before each time, unless it is too old or the end of the series. */
  #latest({ times, values }: Samples, windowMs: number): (number | undefined)[] {
    const { startMs, stepMs, count } = this.#times;
    let next = 0;
    return Array.from({ length: count }, (_, i) => {
      const at = startMs + i * stepMs;
      while (next < times.length && times[next]! <= at) next++;
      return next > 0 && times[next - 1]! > at - windowMs ? values[next - 1] : undefined;
    });
  }

  #rates({ times, values }: Samples, windowMs: number, name: RateName): (number | undefined)[] {
    const { startMs, stepMs, count } = this.#times;
    const v = values as number[];
    // What counters lost by resets up to each sample.
    const lost = [0];
    for (let i = 1; i < v.length; i++) lost.push(lost[i - 1]! + (v[i]! < v[i - 1]! ? v[i - 1]! : 0));
    let first = 0;
    let next = 0;
    return Array.from({ length: count }, (_, i) => {
      const at = startMs + i * stepMs;
      while (next < times.length && times[next]! <= at) next++;
      while (first < next && times[first]! <= at - windowMs) first++;
      if (next - first < 2) return undefined;
      const last = next - 1;
      if (name === 'irate') {
        const change = v[last]! < v[last - 1]! ? v[last]! : v[last]! - v[last - 1]!;
        return change / ((times[last]! - times[last - 1]!) / 1000);
      }
      const change = v[last]! - v[first]! + lost[last]! - lost[first]!;
      const grown = extrapolated(change, v[first]!, {
        samples: next - first,
        sampledMs: times[last]! - times[first]!,
        beforeMs: times[first]! - (at - windowMs),
        afterMs: at - times[last]!,
      });
      return name === 'rate' ? grown / (windowMs / 1000) : grown;
    });
  }
}

interface Window {
  readonly samples: number;
  readonly sampledMs: number;
  /** From the beginning of the window to its first sample, and from its last one to its end. */
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** The growth over the whole window, from that between its samples: as Prometheus does, half an interval at most where samples are missing, and never below zero. */
function extrapolated(change: number, firstValue: number, w: Window): number {
  const betweenMs = w.sampledMs / (w.samples - 1);
  const gap = (ms: number): number => (ms >= betweenMs * 1.1 ? betweenMs / 2 : ms);
  let beforeMs = gap(w.beforeMs);
  if (change > 0 && firstValue >= 0) beforeMs = Math.min(beforeMs, w.sampledMs * (firstValue / change));
  return change * ((w.sampledMs + beforeMs + gap(w.afterMs)) / w.sampledMs);
}

function refuseDoubles(lines: readonly Line[]): void {
  const seen = new Set<string>();
  for (const { labels } of lines) {
    const key = JSON.stringify(labels);
    if (seen.has(key)) throw new ExecutionError('vector cannot contain metrics with the same labelset');
    seen.add(key);
  }
}

const FOLDS: Readonly<Record<AggregationName, (values: readonly number[]) => number>> = {
  sum: (values) => values.reduce((a, b) => a + b, 0),
  avg: (values) => values.reduce((a, b) => a + b, 0) / values.length,
  // NaN only when there is nothing else.
  min: (values) => values.reduce((a, b) => (b < a || Number.isNaN(a) ? b : a)),
  max: (values) => values.reduce((a, b) => (b > a || Number.isNaN(a) ? b : a)),
  count: (values) => values.length,
};

function aggregate(
  name: AggregationName,
  labels: readonly string[],
  without: boolean,
  lines: readonly Line[],
  count: number,
): Line[] {
  const groups = new Map<string, { labels: Label[]; members: Line[] }>();
  for (const line of lines) {
    const kept = line.labels.filter(([n]) => (without ? n !== '__name__' && !labels.includes(n) : labels.includes(n)));
    const key = JSON.stringify(kept);
    const group = groups.get(key);
    if (group) group.members.push(line);
    else groups.set(key, { labels: kept, members: [line] });
  }
  return [...groups.values()].map(({ labels: own, members }) => ({
    labels: own,
    values: Array.from({ length: count }, (_, i) => {
      const present = members.map((m) => m.values[i]).filter((v) => v !== undefined);
      return present.length === 0 ? undefined : FOLDS[name](present);
    }),
  }));
}
