/** What a Kubernetes event says, as fields of its record: severity, time, reason, reporter and the object it is about. */
import type { KubernetesObject } from '../../../kubernetes/object.ts';
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import type { RecordDetails } from './record.ts';

type Fields = Readonly<Record<string, unknown>>;

const SEVERITIES: Readonly<Record<string, number>> = { normal: 9, warning: 13, error: 17, critical: 21 };

/** Kinds that have attributes of their own in the semantic conventions. */
const KINDS: readonly string[] = [
  'Pod',
  'Node',
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'CronJob',
  'ReplicationController',
];

const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

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
function timeOf(event: KubernetesObject): bigint {
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

/** `repeats`: how many earlier records this one stands for. */
export function eventDetails(event: KubernetesObject, repeats = 0): RecordDetails {
  const about = fieldsOf(event['regarding'] ?? event['involvedObject']);
  const source = fieldsOf(event['source'] ?? event['deprecatedSource']);
  const type = textOf(event['type']);
  const attributes: ValueMap = new Map();
  const set = (key: string, value: Value) => {
    if (value !== '') attributes.set(key, value);
  };
  set('k8s.event.reason', textOf(event['reason']));
  set('k8s.event.action', textOf(event['action']));
  set('k8s.event.uid', event.metadata.uid);
  set('k8s.event.count', BigInt(Math.trunc(countOf(event))));
  if (repeats > 0) set('k8s.event.folded', BigInt(repeats));
  set(
    'k8s.event.reporting_controller',
    textOf(event['reportingController']) || textOf(event['reportingComponent']) || textOf(source['component']),
  );
  set('k8s.event.reporting_instance', textOf(event['reportingInstance']) || textOf(source['host']));
  const kind = textOf(about['kind']);
  set('k8s.object.kind', kind);
  set('k8s.object.name', textOf(about['name']));
  set('k8s.object.uid', textOf(about['uid']));
  set('k8s.object.fieldpath', textOf(about['fieldPath']));
  if (KINDS.includes(kind)) {
    const prefix = `k8s.${kind.toLowerCase()}`;
    set(`${prefix}.name`, textOf(about['name']));
    set(`${prefix}.uid`, textOf(about['uid']));
  }
  return { time: timeOf(event), severityNumber: SEVERITIES[type.toLowerCase()] ?? 0, severityText: type, attributes };
}
