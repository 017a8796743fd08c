/** Data points of a page as encoded Metric messages. */
import { writeAttributes } from '../../../wire/otlp.ts';
import type { ProtoWriter } from '../../../wire/proto.ts';
import type { PointFamily } from './points.ts';
import type { FamilyType } from './text.ts';

const ITEM = 2;
const GAUGE = 5;
const SUM = 7;
const HISTOGRAM = 9;
const SUMMARY = 11;
const CUMULATIVE = 2;
/** The series is gone: Prometheus calls the value stale. */
const NO_RECORDED_VALUE = 1;

export interface MetricHead {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  /** UCUM. */
  readonly unit: string;
}

export interface EncodedPoint {
  readonly labels: ReadonlyMap<string, string>;
  readonly startNs: bigint;
  readonly timeNs: bigint;
  /** Undefined: gone. Of histograms and summaries their count. */
  readonly value: number | undefined;
  readonly sum?: number | undefined;
  readonly steps?: readonly (readonly [number, number])[];
}

const UNITS: Readonly<Record<string, string>> = {
  days: 'd',
  hours: 'h',
  minutes: 'min',
  seconds: 's',
  milliseconds: 'ms',
  microseconds: 'us',
  nanoseconds: 'ns',
  bytes: 'By',
  kibibytes: 'KiBy',
  mebibytes: 'MiBy',
  gibibytes: 'GiBy',
  tibibytes: 'TiBy',
  kilobytes: 'KBy',
  megabytes: 'MBy',
  gigabytes: 'GBy',
  terabytes: 'TBy',
  meters: 'm',
  volts: 'V',
  amperes: 'A',
  joules: 'J',
  watts: 'W',
  grams: 'g',
  celsius: 'Cel',
  hertz: 'Hz',
  ratio: '1',
  percent: '%',
};

/** UCUM of a unit as Prometheus names it; others stay. */
export const unitOf = (unit: string): string => UNITS[unit] ?? unit;

/** A name without what type and unit say already. */
export function trimmed({ name, type, unit }: Pick<PointFamily, 'name' | 'type' | 'unit'>): string {
  const bare = type === 'counter' && name.endsWith('_total') ? name.slice(0, -'_total'.length) : name;
  return unit !== '' && bare.endsWith(`_${unit}`) ? bare.slice(0, -unit.length - 1) : bare;
}

export function writeMetric(w: ProtoWriter, head: MetricHead, points: readonly EncodedPoint[]): void {
  const metric = w.open(ITEM);
  w.string(1, head.name);
  if (head.help !== '') w.string(2, head.help);
  if (head.unit !== '') w.string(3, head.unit);
  const { type } = head;
  const isSum = type === 'counter';
  const isHistogram = type === 'histogram';
  const data = w.open(isSum ? SUM : isHistogram ? HISTOGRAM : type === 'summary' ? SUMMARY : GAUGE);
  for (const p of points) {
    const point = w.open(1);
    writeAttributes(w, isHistogram ? 9 : 7, p.labels);
    if (isSum || isHistogram || type === 'summary') w.fixed64(2, p.startNs);
    w.fixed64(3, p.timeNs);
    if (isHistogram || type === 'summary') writeComposed(w, isHistogram, p);
    else if (p.value !== undefined) w.double(4, p.value);
    if (p.value === undefined) {
      w.tag(isHistogram ? 10 : 8, 0);
      w.varint(NO_RECORDED_VALUE);
    }
    w.close(point);
  }
  if (isSum || isHistogram) {
    w.tag(2, 0);
    w.varint(CUMULATIVE);
  }
  if (isSum) {
    w.tag(3, 0);
    w.varint(1);
  }
  w.close(data);
  w.close(metric);
}

const whole = (n: number): number => (n > 0 && n < Number.MAX_SAFE_INTEGER ? Math.trunc(n) : 0);

function writeComposed(w: ProtoWriter, isHistogram: boolean, p: EncodedPoint): void {
  if (p.value === undefined) return;
  const steps = [...(p.steps ?? [])].filter(([at]) => !Number.isNaN(at)).sort(([a], [b]) => a - b);
  const total = Number.isNaN(p.value) ? (isHistogram ? (steps.at(-1)?.[1] ?? 0) : 0) : p.value;
  w.fixed64(4, BigInt(whole(total)));
  if (p.sum !== undefined) w.double(5, p.sum);
  if (isHistogram) writeBuckets(w, steps, whole(total));
  else
    for (const [quantile, value] of steps) {
      const q = w.open(6);
      w.double(1, quantile);
      w.double(2, value);
      w.close(q);
    }
}

/** Counts are cumulative on the page and per bucket in OTLP; what a target gets wrong never becomes a negative count. */
function writeBuckets(w: ProtoWriter, steps: readonly (readonly [number, number])[], total: number): void {
  const finite = steps.filter(([bound]) => bound !== Infinity);
  const counts = Buffer.alloc((finite.length + 1) * 8);
  const bounds = Buffer.alloc(finite.length * 8);
  let before = 0;
  [...finite.map(([, n]) => n), total].forEach((n, i) => {
    const cumulative = Math.max(before, whole(n));
    counts.writeBigUInt64LE(BigInt(cumulative - before), i * 8);
    before = cumulative;
  });
  finite.forEach(([bound], i) => {
    bounds.writeDoubleLE(bound, i * 8);
  });
  w.bytes(6, counts);
  w.bytes(7, bounds);
}
