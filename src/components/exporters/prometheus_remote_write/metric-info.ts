/** What all points of a metric share: its name in Prometheus, its metadata, and whether it can be told at all. */
import { METRIC_TYPES } from '../../../wire/remote-write.ts';
import { type MetricNaming, metadataUnit, metricName, type NamedType } from './naming.ts';

/** Numbers of the fields of Metric that hold data. */
export const GAUGE = 5;
export const SUM = 7;
export const HISTOGRAM = 9;
export const EXPONENTIAL = 10;
export const SUMMARY = 11;

export const DELTA = 1;
export const CUMULATIVE = 2;

/** Why points are not sent. These words are the values of a label of self telemetry, and reasons in the ledger. */
export type DropReason =
  | 'delta temporality'
  | 'no temporality'
  | 'invalid metric name'
  | 'invalid label name'
  | 'native histogram scale'
  | 'native histogram without sum'
  | 'delta out of order'
  | 'too many delta streams'
  | 'metric without data';

export interface MetricInfo {
  readonly id: number;
  readonly kind: number;
  /** OpenTelemetry's, for people. */
  readonly otelName: string;
  readonly unit: string;
  readonly temporality: number;
  readonly isMonotonic: boolean;
  /** Without `_sum` and the like; '' when it cannot be told. */
  readonly name: string;
  /** All its points are dropped for this. */
  readonly dropped: DropReason | undefined;
  /** Delta points are added up. */
  readonly isDelta: boolean;
  /** Number of MetricType. */
  readonly type: number;
  readonly help: string;
  /** As metadata tells it. */
  readonly unitWord: string;
  /** In the order of its first use in a push. */
  push: number;
  /** Version 2: refs of help and unit, encoded, for the request that `encodedIn` numbers. */
  encoded: Uint8Array | undefined;
  encodedIn: number;
}

const NAMED: Readonly<Record<number, NamedType>> = {
  [GAUGE]: 'gauge',
  [SUM]: 'sum',
  [HISTOGRAM]: 'histogram',
  [EXPONENTIAL]: 'exponentialHistogram',
  [SUMMARY]: 'summary',
};

const TYPES: Readonly<Record<number, number>> = {
  [GAUGE]: METRIC_TYPES.gauge,
  [SUM]: METRIC_TYPES.gauge,
  [HISTOGRAM]: METRIC_TYPES.histogram,
  [EXPONENTIAL]: METRIC_TYPES.histogram,
  [SUMMARY]: METRIC_TYPES.summary,
};

export interface MetricHeader {
  readonly id: number;
  readonly kind: number;
  readonly temporality: number;
  readonly isMonotonic: boolean;
  readonly otelName: string;
  readonly unit: string;
  readonly help: string;
}

export function metricInfo(h: MetricHeader, naming: MetricNaming, addsUpDelta: boolean): MetricInfo {
  const hasTemporality = h.kind === SUM || h.kind === HISTOGRAM || h.kind === EXPONENTIAL;
  const isDelta = hasTemporality && h.temporality === DELTA && addsUpDelta && h.kind !== EXPONENTIAL;
  const counter = h.kind === SUM && h.isMonotonic;
  const name = metricName(h.otelName, h.unit, counter ? 'monotonicSum' : (NAMED[h.kind] ?? 'gauge'), naming) ?? '';
  let dropped: DropReason | undefined;
  if (hasTemporality && h.temporality !== CUMULATIVE && !isDelta)
    dropped = h.temporality === DELTA ? 'delta temporality' : 'no temporality';
  else if (name === '') dropped = 'invalid metric name';
  return {
    ...h,
    name,
    dropped,
    isDelta,
    type: counter ? METRIC_TYPES.counter : (TYPES[h.kind] ?? METRIC_TYPES.unknown),
    unitWord: metadataUnit(h.unit),
    push: -1,
    encoded: undefined,
    encodedIn: -1,
  };
}
