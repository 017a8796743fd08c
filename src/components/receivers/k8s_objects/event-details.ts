/** What a Kubernetes event says, as fields of its record: severity, time, reason, reporter and the object it is about. */
import { countOf, fieldsOf, severityOf, textOf, timeOf } from '../../../kubernetes/event.ts';
import type { KubernetesObject } from '../../../kubernetes/object.ts';
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import type { RecordDetails } from './record.ts';

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
  return { time: timeOf(event), severityNumber: severityOf(type), severityText: type, attributes };
}
