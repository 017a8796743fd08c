/** The log record of an event, as otelcol shapes it: the message is the body, the object it is about the resource. */
import { type Resource, resourceOf } from '../../../core/resource.ts';
import { fieldsOf, nanosOf, severityOf, textOf } from '../../../kubernetes/event.ts';
import type { KubernetesObject } from '../../../kubernetes/object.ts';
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import { writeLogRecord } from '../../../wire/otlp-logs.ts';
import { ProtoWriter } from '../../../wire/proto.ts';

const writer = new ProtoWriter(4096);

/** eventTime is exact; the others are there for events of older sources. */
function timeOf(event: KubernetesObject): bigint {
  for (const key of ['eventTime', 'lastTimestamp', 'firstTimestamp']) {
    const time = nanosOf(event[key]);
    if (time !== 0n) return time;
  }
  return 0n;
}

function resourceFor(event: KubernetesObject): Resource {
  const about = fieldsOf(event['involvedObject']);
  return resourceOf(
    new Map<string, Value>([
      ['k8s.node.name', textOf(fieldsOf(event['source'])['host'])],
      ['k8s.object.kind', textOf(about['kind'])],
      ['k8s.object.name', textOf(about['name'])],
      ['k8s.object.uid', textOf(about['uid'])],
      ['k8s.object.fieldpath', textOf(about['fieldPath'])],
      ['k8s.object.api_version', textOf(about['apiVersion'])],
      ['k8s.object.resource_version', textOf(about['resourceVersion'])],
    ]),
  );
}

function attributesOf(event: KubernetesObject): ValueMap {
  const { metadata } = event;
  const attributes: ValueMap = new Map<string, Value>([
    ['k8s.event.reason', textOf(event['reason'])],
    ['k8s.event.action', textOf(event['action'])],
    ['k8s.event.start_time', textOf(event['firstTimestamp'])],
    ['k8s.event.name', metadata.name],
    ['k8s.event.uid', metadata.uid],
    ['k8s.namespace.name', textOf(fieldsOf(event['involvedObject'])['namespace'])],
  ]);
  const { count } = event as { count?: unknown };
  if (typeof count === 'number' && count !== 0) attributes.set('k8s.event.count', BigInt(Math.trunc(count)));
  return attributes;
}

export function encodeEvent(event: KubernetesObject, observed: bigint): { resource: Resource; item: Uint8Array } {
  const type = textOf(event['type']);
  writer.reset();
  writeLogRecord(writer, {
    time: timeOf(event),
    observedTime: observed,
    severityNumber: severityOf(type),
    severityText: type,
    body: textOf(event['message']),
    attributes: attributesOf(event),
  });
  return { resource: resourceFor(event), item: writer.finish() };
}
