/** Data points that a test pushes as OTLP/JSON, and data points of files in OTLP/JSON, to compare with what a database has. */
import { existsSync, readFileSync } from 'node:fs';
import type { Labels, StoredSeries } from './victoria-metrics.ts';

export type Json = Record<string, unknown>;

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface NumberPoint {
  readonly attributes?: readonly KeyValue[];
  readonly timeUnixNano: string;
  readonly asInt?: string;
  readonly asDouble?: number;
}
interface Metric {
  readonly name: string;
  readonly unit?: string;
  readonly gauge?: { readonly dataPoints: readonly NumberPoint[] };
  readonly sum?: { readonly dataPoints: readonly NumberPoint[]; readonly isMonotonic?: boolean };
}
interface MetricsRequest {
  readonly resourceMetrics: readonly { readonly scopeMetrics: readonly { readonly metrics: readonly Metric[] }[] }[];
}

export const attributes = (values: Labels): KeyValue[] =>
  Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));

export const metricsRequest = (metrics: readonly Json[], resource: Labels = {}): Json => ({
  resourceMetrics: [{ resource: { attributes: attributes(resource) }, scopeMetrics: [{ scope: {}, metrics }] }],
});

/** Whether the receiver has accepted it; one that goes away meanwhile has not. */
export async function pushMetrics(port: number, request: Json): Promise<boolean> {
  try {
    const r = await fetch(`http://127.0.0.1:${port}/v1/metrics`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    await r.arrayBuffer();
    return r.status === 200;
  } catch {
    return false;
  }
}

const LANES = 8;

/** Pushes a counter whose value is the number of the push, with a time of its own, in several series. */
export class Sequence {
  readonly #port: number;
  readonly #fromMs = Date.now() - 3_600_000;
  readonly accepted: number[] = [];
  #next = 1;

  constructor(port: number) {
    this.#port = port;
  }

  async push(): Promise<boolean> {
    const n = this.#next++;
    const timeUnixNano = `${this.#fromMs + n}000000`;
    const dataPoints = Array.from({ length: LANES }, (_, lane) => ({
      attributes: attributes({ lane: String(lane) }),
      startTimeUnixNano: `${this.#fromMs}000000`,
      timeUnixNano,
      asInt: String(n),
    }));
    const metric = { name: 'sequence', sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints } };
    const isAccepted = await pushMetrics(this.#port, metricsRequest([metric]));
    if (isAccepted) this.accepted.push(n);
    return isAccepted;
  }

  /** Accepted pushes that are not in all series, or with another value. */
  missing(series: readonly StoredSeries[]): number[] {
    const lanes = series.map((s) => new Map(s.samples));
    if (lanes.length !== LANES) return this.accepted;
    return this.accepted.filter((n) => lanes.some((l) => l.get(this.#fromMs + n) !== n));
  }

  /** Stored samples that nobody has pushed. */
  foreign(series: readonly StoredSeries[]): number {
    return series
      .flatMap((s) => s.samples)
      .filter(([timeMs, value]) => timeMs !== this.#fromMs + value || !(value >= 1 && value < this.#next)).length;
  }
}

export interface DataPoint {
  /** As remote write names it. */
  readonly series: string;
  readonly timeMs: number;
  readonly value: number;
}

const UNITS: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes', '1': 'ratio' };

export function seriesName(labels: Labels): string {
  const own = Object.entries(labels).filter(([k]) => !k.startsWith('otel_scope_'));
  return own
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    .sort()
    .join();
}

/** The numbers of gauges and sums in a file of requests, one a line. */
export function fileOfPoints(path: string): DataPoint[] {
  if (!existsSync(path)) return [];
  const points: DataPoint[] = [];
  for (const line of readFileSync(path, 'utf8')
    .split('\n')
    .filter((l) => l !== ''))
    for (const { scopeMetrics } of (JSON.parse(line) as MetricsRequest).resourceMetrics)
      for (const { metrics } of scopeMetrics)
        for (const m of metrics) {
          const unit = m.unit === '1' && m.sum ? undefined : UNITS[m.unit ?? ''];
          const words = [m.name.replaceAll('.', '_')];
          if (unit) words.push(unit);
          if (m.sum?.isMonotonic) words.push('total');
          for (const p of (m.sum ?? m.gauge)?.dataPoints ?? []) {
            const labels: Record<string, string> = { __name__: words.join('_') };
            for (const { key, value } of p.attributes ?? [])
              labels[key.replaceAll('.', '_')] = String(Object.values(value)[0]);
            points.push({
              series: seriesName(labels),
              timeMs: Number(BigInt(p.timeUnixNano) / 1_000_000n),
              value: p.asInt === undefined ? p.asDouble! : Number(p.asInt),
            });
          }
        }
  return points;
}
