/** Native histograms: from exponential histograms, and from explicit buckets as "custom buckets" (schema -53). */
import type {
  ExponentialBuckets,
  ExponentialHistogramDataPoint,
  HistogramDataPoint,
} from '../../../wire/otlp-metrics.ts';
import { type Buckets, type NativeHistogram, type Span, STALE_BITS } from '../../../wire/remote-write.ts';
import type { DropReason } from './metric-info.ts';

const MIN_SCALE = -4;
const MAX_SCALE = 8;
const CUSTOM_SCHEMA = -53;
/** What Prometheus clients use where nothing is said. */
const DEFAULT_ZERO_THRESHOLD = 1e-128;
/** Longer runs of empty buckets begin a new span. */
const MAX_GAP = 2;

const scratch = new DataView(new ArrayBuffer(8));
const bitsOf = (v: number): bigint => {
  scratch.setFloat64(0, v);
  return scratch.getBigUint64(0);
};

const isStale = (flags: number): boolean => (flags & 1) !== 0;
const toMs = (nanos: bigint): number => Number(nanos / 1_000_000n);

/** Counts by bucket index → spans and deltas. Empty buckets at the ends are left out. */
function layout(counts: Iterable<readonly [index: number, count: bigint]>): Buckets {
  const spans: Span[] = [];
  const deltas: bigint[] = [];
  let next = 0;
  let previous = 0n;
  for (const [index, count] of counts) {
    if (count === 0n) continue;
    const gap = index - next;
    const last = spans.at(-1);
    if (!last || gap > MAX_GAP) spans.push({ offset: gap, length: 0 });
    else
      for (let i = 0; i < gap; i++) {
        deltas.push(-previous);
        previous = 0n;
        last.length++;
      }
    deltas.push(count - previous);
    previous = count;
    spans.at(-1)!.length++;
    next = index + 1;
  }
  return { spans, deltas };
}

/** Buckets of a scale too fine are merged; their index is one more than OpenTelemetry's, whose bounds are the lower ones. */
function merged(buckets: ExponentialBuckets | undefined, scaleDown: number): Buckets {
  const counts = new Map<number, bigint>();
  for (const [i, n] of buckets?.bucketCounts.entries() ?? []) {
    const index = ((buckets!.offset + i) >> scaleDown) + 1;
    counts.set(index, (counts.get(index) ?? 0n) + n);
  }
  return layout(counts);
}

export function fromExponential(p: ExponentialHistogramDataPoint, protocol: 1 | 2): NativeHistogram | DropReason {
  if (p.scale < MIN_SCALE) return 'native histogram scale';
  if (p.sum === undefined) return 'native histogram without sum';
  const scaleDown = Math.max(0, p.scale - MAX_SCALE);
  const stale = isStale(p.flags);
  return {
    count: stale ? STALE_BITS : p.count,
    sumBits: stale ? STALE_BITS : bitsOf(p.sum),
    schema: p.scale - scaleDown,
    // Upstream's version 2 does not pass on what the point says.
    zeroThreshold: protocol === 1 && p.zeroThreshold > 0 ? p.zeroThreshold : DEFAULT_ZERO_THRESHOLD,
    zeroCount: p.zeroCount,
    positive: merged(p.positive, Math.min(scaleDown, 31)),
    negative: merged(p.negative, Math.min(scaleDown, 31)),
    customValues: [],
    timeMs: toMs(p.time),
    startMs: toMs(p.startTime),
  };
}

export function fromExplicit(p: HistogramDataPoint): NativeHistogram {
  const stale = isStale(p.flags);
  const bounds = p.explicitBounds.filter((b) => b !== Number.POSITIVE_INFINITY);
  return {
    count: stale ? STALE_BITS : p.count,
    sumBits: stale ? STALE_BITS : bitsOf(p.sum ?? 0),
    schema: CUSTOM_SCHEMA,
    zeroThreshold: 0,
    zeroCount: 0n,
    positive: layout(p.bucketCounts.entries()),
    negative: { spans: [], deltas: [] },
    customValues: bounds,
    timeMs: toMs(p.time),
    startMs: toMs(p.startTime),
  };
}
