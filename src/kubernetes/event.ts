/** What events of Kubernetes say, in their core form and in that of events.k8s.io. */
import type { KubernetesObject } from './object.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Numbers of OpenTelemetry. */
const SEVERITIES: Readonly<Record<string, number>> = { normal: 9, warning: 13, error: 17, critical: 21 };

export const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Nanoseconds of a time of Kubernetes, to the microsecond; 0n for what is none. */
export function nanosOf(time: unknown): bigint {
  const m = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/.exec(textOf(time));
  if (!m) return 0n;
  const ms = Date.parse(m[1]! + m[3]!);
  return Number.isNaN(ms) ? 0n : BigInt(ms) * 1_000_000n + BigInt((m[2] ?? '').padEnd(9, '0'));
}

export const isEvent = (object: KubernetesObject): boolean =>
  object.kind === 'Event' && (object.apiVersion === 'v1' || /^events\.k8s\.io\//.test(object.apiVersion ?? ''));

/** How often it has happened; 1 when it says nothing. */
export function countOf(event: KubernetesObject): number {
  const count = fieldsOf(event['series'])['count'] ?? event['count'] ?? event['deprecatedCount'];
  return typeof count === 'number' && count > 0 ? count : 1;
}

/** The newest time that the event has. */
export function timeOf(event: KubernetesObject): bigint {
  const candidates = [
    fieldsOf(event['series'])['lastObservedTime'],
    event['lastTimestamp'],
    event['deprecatedLastTimestamp'],
    event['eventTime'],
    event['firstTimestamp'],
    event['deprecatedFirstTimestamp'],
    event.metadata.creationTimestamp,
  ];
  for (const c of candidates) {
    const time = nanosOf(c);
    if (time !== 0n) return time;
  }
  return 0n;
}

/** 0 for a type that is not known. */
export const severityOf = (type: string): number => SEVERITIES[type.toLowerCase()] ?? 0;
