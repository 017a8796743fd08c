/** Samples of a page become data points: those of a histogram or summary are put together. */
import type { Family, FamilyType, Page, Sample } from './text.ts';

export interface Point {
  readonly labels: ReadonlyMap<string, string>;
  /** Same for the same series in every scrape. */
  readonly key: string;
  readonly timeMs: number | undefined;
  /** Of gauges and counters; of histograms and summaries their count. */
  value: number;
  sum: number | undefined;
  /** Upper bounds with what is at or below them, or quantiles with their values. */
  readonly steps: [number, number][];
}

export interface PointFamily {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
  readonly points: Map<string, Point>;
}

const PARTS = ['_bucket', '_sum', '_count'];

/** The family that a sample is of: itself, or what stands before `_bucket`, `_sum`, `_count`; counters may lack `_total`. */
function familyNameOf(sample: string, families: ReadonlyMap<string, Family>): string {
  if (families.has(sample)) return sample;
  for (const part of PARTS) {
    if (!sample.endsWith(part)) continue;
    const base = sample.slice(0, -part.length);
    const type = families.get(base)?.type;
    if (type === 'histogram' || (type === 'summary' && part !== '_bucket')) return base;
  }
  const withoutTotal = sample.endsWith('_total') ? sample.slice(0, -'_total'.length) : sample;
  return families.get(withoutTotal)?.type === 'counter' ? withoutTotal : sample;
}

const keyOf = (labels: ReadonlyMap<string, string>): string =>
  JSON.stringify([...labels].sort(([a], [b]) => (a < b ? -1 : 1)));

export function pointsOf(page: Page): PointFamily[] {
  const found = new Map<string, PointFamily>();
  for (const sample of page.samples) {
    const described = familyNameOf(sample.name, page.families);
    const known = page.families.get(described);
    const type = known?.type ?? 'untyped';
    const isSplit = type === 'histogram' || type === 'summary';
    const name = isSplit ? described : sample.name;
    let family = found.get(name);
    if (!family)
      found.set(name, (family = { name, type, help: known?.help ?? '', unit: known?.unit ?? '', points: new Map() }));
    if (isSplit) addPart(family, sample);
    else {
      const key = keyOf(sample.labels);
      family.points.set(key, {
        labels: sample.labels,
        key,
        timeMs: sample.timeMs,
        value: sample.value,
        sum: undefined,
        steps: [],
      });
    }
  }
  return [...found.values()];
}

function addPart(family: PointFamily, { name, labels, value, timeMs }: Sample): void {
  const by = family.type === 'histogram' ? 'le' : 'quantile';
  const step = labels.get(by);
  const own = step === undefined ? labels : new Map([...labels].filter(([k]) => k !== by));
  const key = keyOf(own);
  let point = family.points.get(key);
  if (!point)
    family.points.set(key, (point = { labels: own, key, timeMs, value: Number.NaN, sum: undefined, steps: [] }));
  if (name.endsWith('_sum') && step === undefined) point.sum = value;
  else if (name.endsWith('_count') && step === undefined) point.value = value;
  else if (step !== undefined) point.steps.push([step === '+Inf' ? Infinity : Number(step), value]);
}
