/** The attributes of a data point, encoded once for all points that carry them. */
import { type Value, writeAttributes } from '../../wire/otlp.ts';
import { ProtoWriter } from '../../wire/proto.ts';

/** NumberDataPoint.attributes */
const ATTRIBUTES = 7;

export interface AttributeSet {
  readonly values: ReadonlyMap<string, Value>;
  /** KeyValue fields as they stand inside a NumberDataPoint, each with its tag. */
  readonly encoded: Uint8Array;
}

/** Scrapers keep the sets of things that last (a CPU and a state, a device) and make new ones only for new things. */
export function attributeSet(values: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>): AttributeSet {
  const map = values instanceof Map ? (values as ReadonlyMap<string, Value>) : new Map(Object.entries(values));
  const w = new ProtoWriter(64);
  writeAttributes(w, ATTRIBUTES, map);
  return { values: map, encoded: w.finish() };
}

export const NO_ATTRIBUTES: AttributeSet = attributeSet({});
