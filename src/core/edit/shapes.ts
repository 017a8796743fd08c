/** Which fields of OTLP's messages hold attributes and which hold messages that are walked. */
import type { Shape } from './message.ts';

export const LOG: Shape = { attributes: 6, children: 0 };
/** Children: events. */
export const SPAN: Shape = { attributes: 9, children: 11 };
export const SPAN_EVENT: Shape = { attributes: 3, children: 0 };
export const RESOURCE: Shape = { attributes: 1, children: 0 };
export const SCOPE: Shape = { attributes: 3, children: 0 };
/** Attributes: metadata. */
export const METRIC: Shape = { attributes: 12, children: 0 };
/** Gauge, Sum, Histogram, ExponentialHistogram, Summary. Children: points. */
export const METRIC_DATA: Shape = { attributes: 0, children: 1 };

/** Field of Metric that holds the data → field of its points that holds their attributes. */
export const POINT_ATTRIBUTES: Readonly<Record<number, number>> = { 5: 7, 7: 7, 9: 9, 10: 1, 11: 7 };
export const GAUGE = 5;
export const SUM = 7;
export const HISTOGRAM = 9;
export const EXPONENTIAL_HISTOGRAM = 10;
export const SUMMARY = 11;
/** In the order of pdata's metric types from 1 on. */
export const DATA_FIELDS: readonly number[] = [GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY];
