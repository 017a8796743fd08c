/** Applies the redactor to encoded items. A message in which nothing changes keeps its bytes. */
import {
  readAnyValue,
  readKeyValue,
  type Value,
  type ValueMap,
  writeAnyValue,
  writeAttributes,
} from '../../../wire/otlp.ts';
import { BYTES, ProtoReader, ProtoWriter } from '../../../wire/proto.ts';
import type { Redactor } from './redactor.ts';

/** Which fields of a message are looked at. */
interface Shape {
  readonly attributes?: number;
  readonly body?: number;
  readonly children?: Readonly<Record<number, Shape>>;
}

const points = (attributes: number): Shape => ({ children: { 1: { attributes } } });
export const SHAPES: Readonly<Record<'logs' | 'metrics' | 'traces', Shape>> = {
  logs: { attributes: 6, body: 5 },
  traces: { attributes: 9, children: { 11: { attributes: 3 } } },
  metrics: { children: { 5: points(7), 7: points(7), 9: points(9), 10: points(1), 11: points(7) } },
};

/** Items of a group, each with tag and length; the same object when nothing changed. */
export function redactItems(items: Uint8Array, shape: Shape, redactor: Redactor): Uint8Array {
  const r = new ProtoReader(items);
  let w: ProtoWriter | undefined;
  let copied = 0;
  for (let from = 0; r.next(); from = r.pos) {
    const changed = redactMessage(r.bytes(), shape, redactor);
    if (!changed) continue;
    w ??= new ProtoWriter(items.length + 64);
    w.raw(items.subarray(copied, from));
    w.bytes(2, changed);
    copied = r.pos;
  }
  if (!w) return items;
  w.raw(items.subarray(copied));
  return w.finish();
}

/** The message without tag and length; undefined when nothing changed. */
function redactMessage(message: Uint8Array, shape: Shape, redactor: Redactor): Uint8Array | undefined {
  const attributes: ValueMap = new Map();
  let body: Value = null;
  let children: Map<number, Uint8Array> | undefined;
  const r = new ProtoReader(message);
  for (let from = 0; r.next(); from = r.pos) {
    const child = shape.children?.[r.field];
    if (r.wire !== BYTES) r.skip();
    else if (r.field === shape.attributes) readKeyValue(r.message(), attributes);
    else if (r.field === shape.body) body = readAnyValue(r.message());
    else if (child) {
      const changed = redactMessage(r.bytes(), child, redactor);
      if (changed) (children ??= new Map()).set(from, changed);
    } else r.skip();
  }
  let isChanged = redactor.attributes(attributes);
  let isBodyChanged = false;
  if (shape.body !== undefined) {
    const done = redactor.body(body, attributes, (v) => {
      body = v;
    });
    isBodyChanged = done.body;
    isChanged ||= done.attributes;
  }
  if (!isChanged && !isBodyChanged && !children) return undefined;

  const w = new ProtoWriter(message.length + 64);
  const again = new ProtoReader(message);
  for (let from = 0; again.next(); from = again.pos) {
    const { field } = again;
    again.skip();
    const changed = children?.get(from);
    if (changed) w.bytes(field, changed);
    else if (!(isChanged && field === shape.attributes) && !(isBodyChanged && field === shape.body))
      w.raw(message.subarray(from, again.pos));
  }
  if (isBodyChanged) {
    const at = w.open(shape.body!);
    writeAnyValue(w, body);
    w.close(at);
  }
  if (isChanged) writeAttributes(w, shape.attributes!, attributes);
  return w.finish();
}
