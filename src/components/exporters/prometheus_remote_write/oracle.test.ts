/** Arbitrary metrics against a plain reading of the rules, requests being read by protobufjs. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from '../../../../test/helpers/property.ts';
import { labelName, metricName, type NamedType } from './naming.ts';
import {
  AT,
  attributes,
  batchOf,
  closeDestinations,
  DIRECT,
  destination,
  nanos,
  run,
  type SeenRequest,
} from './testing.ts';

after(closeDestinations);

interface Point {
  readonly a: Record<string, string>;
  readonly time: number;
  readonly value: number;
  readonly isInteger: boolean;
  readonly stale: boolean;
  readonly counts: readonly number[];
  readonly offset: number;
  readonly scale: number;
}
interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly kind: 'gauge' | 'sum' | 'histogram' | 'exponentialHistogram' | 'summary';
  readonly temporality: number;
  readonly isMonotonic: boolean;
  readonly points: readonly Point[];
}
interface Source {
  readonly resource: Record<string, string>;
  readonly scope: string;
  readonly metrics: readonly Metric[];
}

const keys = fc.constantFrom('a.b', 'a_b', 'le', 'job', 'Z', 'ä', 'service.name', 'host', '0x', '__name__');
const text = fc.constantFrom('', 'x', 'y', 'ünï', 'long '.repeat(40));
const map = fc.dictionary(keys, text, { maxKeys: 4, noNullPrototype: true });
const pointArb: fc.Arbitrary<Point> = fc.record({
  a: map,
  time: fc.integer({ min: 0, max: 5 }),
  value: fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.double({ noNaN: true, noDefaultInfinity: true })),
  isInteger: fc.boolean(),
  stale: fc.boolean(),
  counts: fc.array(fc.constantFrom(0, 0, 1, 5), { minLength: 1, maxLength: 12 }),
  offset: fc.integer({ min: -20, max: 20 }),
  scale: fc.integer({ min: -5, max: 12 }),
});
const metricArb: fc.Arbitrary<Metric> = fc.record({
  name: fc.constantFrom('m', 'http.requests', 'x_total', '...', 'größe'),
  unit: fc.constantFrom('', 's', '1', 'By/s', '{x}'),
  kind: fc.constantFrom('gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'),
  temporality: fc.constantFrom(0, 1, 2, 2, 2),
  isMonotonic: fc.boolean(),
  points: fc.array(pointArb, { maxLength: 4 }),
});
const sourcesArb: fc.Arbitrary<Source[]> = fc.array(
  fc.record({
    resource: map,
    scope: fc.constantFrom('', 'lib'),
    metrics: fc.array(metricArb, { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 4 },
);

const BOUNDS = [0.5, 1, 2.5, 1e21, 1e-7];
const boundsOf = (p: Point): number[] =>
  BOUNDS.slice(0, Math.min(p.counts.length - 1, BOUNDS.length)).sort((x, y) => x - y);
const countsOf = (p: Point): number[] => p.counts.slice(0, boundsOf(p).length + 1);
const total = (counts: readonly number[]): number => counts.reduce((x, y) => x + y, 0);
const numberOf = (p: Point): number => (p.isInteger ? Math.trunc(p.value) % 1e15 : p.value);

function pointJson(m: Metric, p: Point): object {
  const common = { attributes: attributes(p.a), timeUnixNano: nanos(AT + p.time), flags: p.stale ? 1 : 0 };
  if (m.kind === 'histogram')
    return {
      ...common,
      count: total(countsOf(p)),
      sum: p.value,
      bucketCounts: countsOf(p),
      explicitBounds: boundsOf(p),
    };
  if (m.kind === 'summary')
    return { ...common, count: 3, sum: p.value, quantileValues: [{ quantile: 0.99, value: p.value }] };
  if (m.kind === 'exponentialHistogram')
    return {
      ...common,
      count: total(p.counts),
      sum: p.value,
      scale: p.scale,
      positive: { offset: p.offset, bucketCounts: p.counts },
    };
  const n = numberOf(p);
  return p.isInteger ? { ...common, asInt: String(n) } : { ...common, asDouble: n };
}

const json = (sources: readonly Source[]): unknown[] =>
  sources.map((s) => ({
    resource: { attributes: attributes(s.resource) },
    scopeMetrics: [
      {
        scope: { name: s.scope },
        metrics: s.metrics.map((m) => ({
          name: m.name,
          unit: m.unit,
          [m.kind]: {
            dataPoints: m.points.map((p) => pointJson(m, p)),
            ...(m.kind === 'gauge' || m.kind === 'summary' ? {} : { aggregationTemporality: m.temporality }),
            ...(m.kind === 'sum' ? { isMonotonic: m.isMonotonic } : {}),
          },
        })),
      },
    ],
  }));

const bytes = (x: string, y: string): number => Buffer.compare(Buffer.from(x), Buffer.from(y));

/** Labels of a point: the rules in the order in which they are written down. */
function labelsOf(s: Source, p: Point): Map<string, string> | undefined {
  const all = { ...p.a, ...s.resource };
  const out = new Map<string, string>();
  for (const k of Object.keys(all).sort(bytes)) {
    const name = labelName(k, false);
    if (name === undefined && k in p.a) return undefined;
    if (name === undefined) continue;
    const before = out.get(name);
    if (before === undefined) out.set(name, all[k]!);
    else if (before !== all[k]) out.set(name, `${before};${all[k]}`);
  }
  const job = s.resource['service.name'];
  if (job) out.set('job', job);
  if (!out.has('region')) out.set('region', 'eu');
  if (s.scope) out.set('otel_scope_name', s.scope);
  return out;
}

const decimal = (v: number): string => (v === 1e21 ? '1000000000000000000000' : v === 1e-7 ? '0.0000001' : String(v));

function expected(sources: readonly Source[]): string[] {
  const out: string[] = [];
  for (const s of sources)
    for (const m of s.metrics) {
      if (m.kind !== 'gauge' && m.kind !== 'summary' && m.temporality !== 2) continue;
      const type: NamedType = m.kind === 'sum' && m.isMonotonic ? 'monotonicSum' : m.kind;
      const name = metricName(m.name, m.unit, type, { strategy: 'UnderscoreEscapingWithSuffixes', namespace: '' });
      if (name === undefined) continue;
      for (const p of m.points) {
        const labels = labelsOf(s, p);
        if (!labels) continue;
        const add = (n: string, v: number, extra: Record<string, string> = {}) => {
          const l = Object.fromEntries([...labels, ...Object.entries(extra), ['__name__', n]]);
          out.push(lineOf(l, p.stale ? 'stale' : String(v), AT + p.time));
        };
        if (m.kind === 'gauge' || m.kind === 'sum') add(name, numberOf(p));
        else if (m.kind === 'summary') {
          add(`${name}_sum`, p.value);
          add(`${name}_count`, 3);
          add(name, p.value, { quantile: '0.99' });
        } else if (m.kind === 'histogram') {
          const counts = countsOf(p);
          add(`${name}_sum`, p.value);
          add(`${name}_count`, total(counts));
          for (const [i, b] of boundsOf(p).entries())
            add(`${name}_bucket`, total(counts.slice(0, i + 1)), { le: decimal(b) });
          add(`${name}_bucket`, total(counts), { le: '+Inf' });
        } else if (p.scale >= -4) {
          const down = Math.max(0, p.scale - 8);
          const buckets = new Map<number, number>();
          for (const [i, n] of p.counts.entries()) {
            const at = Math.floor((p.offset + i) / 2 ** down) + 1;
            if (n > 0) buckets.set(at, (buckets.get(at) ?? 0) + n);
          }
          const l = Object.fromEntries([...labels, ['__name__', name]]);
          out.push(lineOf(l, JSON.stringify([Math.min(p.scale, 8), ...buckets]), AT + p.time));
        }
      }
    }
  return out.sort();
}

const lineOf = (labels: Record<string, string>, value: string, time: number): string =>
  `${JSON.stringify(Object.entries(labels).sort(([x], [y]) => bytes(x, y)))} ${value}@${time}`;

interface NativeHistogram {
  readonly schema: number;
  readonly timestamp: number;
  readonly positive_spans: readonly { offset: number; length: number }[];
  readonly positive_deltas: readonly number[];
}

function bucketsOf(h: NativeHistogram): [number, number][] {
  const out: [number, number][] = [];
  let at = 0;
  let next = 0;
  let count = 0;
  for (const span of h.positive_spans) {
    at += span.offset;
    for (let i = 0; i < span.length; i++) {
      count += h.positive_deltas[next++]!;
      if (count > 0) out.push([at, count]);
      at++;
    }
  }
  assert.equal(next, h.positive_deltas.length);
  return out;
}

function received(requests: readonly SeenRequest[]): string[] {
  const out: string[] = [];
  const series = new Set<string>();
  for (const r of requests)
    for (const s of r.series) {
      assert.deepEqual(s.names, [...new Set(s.names)].sort(bytes), 'labels are in order and there once');
      const id = JSON.stringify(s.labels);
      assert.ok(!series.has(id), `${id} is in one place`);
      series.add(id);
      const times = s.samples.map((x) => x.timestamp);
      assert.deepEqual(
        times,
        times.toSorted((x, y) => x - y),
      );
      for (const x of s.samples)
        out.push(lineOf(s.labels, Number.isNaN(x.value) ? 'stale' : String(x.value), x.timestamp));
      for (const h of s.histograms as unknown as NativeHistogram[])
        out.push(lineOf(s.labels, JSON.stringify([h.schema, ...bucketsOf(h)]), h.timestamp));
    }
  return out.sort();
}

for (const [version, config, gates] of [
  [1, {}, []],
  [2, { protobuf_message: 'io.prometheus.write.v2.Request' }, ['enableSendingRW2']],
] as const)
  test(`what arrives in version ${version} is what the rules say, whatever is sent, from the cache as well`, async () => {
    const d = await destination();
    await run(
      {
        ...DIRECT,
        ...config,
        endpoint: d.url,
        max_batch_size_bytes: 1500,
        target_info: { enabled: false },
        external_labels: { region: 'eu', job: 'nobody' },
        resource_to_telemetry_conversion: { enabled: true },
      },
      async (exporter) => {
        await fc.assert(
          fc.asyncProperty(sourcesArb, async (sources) => {
            const want = expected(sources).map((l) => (l.includes('["job"') ? l : withJob(l)));
            for (let round = 0; round < 2; round++) {
              d.seen.length = 0;
              await exporter.consume(batchOf(json(sources)));
              assert.deepEqual(received(d.seen), want.sort());
            }
          }),
          { numRuns: 150 },
        );
      },
      gates,
    );
  });

/** The external label is there where no other job is. */
function withJob(line: string): string {
  const end = line.lastIndexOf('] ');
  const labels = JSON.parse(line.slice(0, end + 1)) as [string, string][];
  return `${JSON.stringify([...labels, ['job', 'nobody']].sort(([x], [y]) => bytes(x!, y!)))}${line.slice(end + 1)}`;
}
