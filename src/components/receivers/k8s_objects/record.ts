/** The log records of objects: the JSON as body, as otelcol shapes it. */
import { type Resource, resourceOf } from '../../../core/resource.ts';
import type { ObjectMetadata } from '../../../kubernetes/object.ts';
import { JsonScanner } from '../../../wire/json-scanner.ts';
import { writeJsonValue } from '../../../wire/json-value.ts';
import { type ReadonlyValueMap, type Value, writeAttributes } from '../../../wire/otlp.ts';
import { ProtoWriter } from '../../../wire/proto.ts';

/** What event_details adds to a record. */
export interface RecordDetails {
  /** Nanoseconds since 1970; 0n: not known. */
  readonly time: bigint;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly attributes: ReadonlyValueMap;
}

const NO_NAMESPACE = resourceOf(new Map());
const writer = new ProtoWriter(16 * 1024);

export const resourceFor = (namespace: string | undefined): Resource =>
  namespace ? resourceOf(new Map([['k8s.namespace.name', namespace]])) : NO_NAMESPACE;

export const pullAttributes = (resource: string): ReadonlyValueMap => new Map([['k8s.resource.name', resource]]);

export const watchAttributes = (resource: string, metadata: ObjectMetadata): ReadonlyValueMap =>
  new Map<string, Value>([
    ['k8s.resource.name', resource],
    ['event.domain', 'k8s'],
    ['event.name', metadata.name],
  ]);

/** One item of ScopeLogs. `json` becomes the body; throws JsonError when it is none. */
export function encodeRecord(
  json: Buffer,
  observed: bigint,
  attributes: ReadonlyValueMap,
  details?: RecordDetails | undefined,
): Uint8Array {
  const w = writer;
  w.reset();
  const at = w.open(2);
  if (details && details.time !== 0n) w.fixed64(1, details.time);
  if (details && details.severityNumber !== 0) {
    w.tag(2, 0);
    w.varint(details.severityNumber);
  }
  if (details?.severityText) w.string(3, details.severityText);
  const body = w.open(5);
  writeJsonValue(w, new JsonScanner(json));
  w.close(body);
  writeAttributes(w, 6, attributes);
  if (details) writeAttributes(w, 6, details.attributes);
  w.fixed64(11, observed);
  w.close(at);
  return w.finish();
}
