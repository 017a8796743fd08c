/** Walks encoded items as far as counting needs it: their times, and their attributes when somebody groups by them. */
import { readKeyValue, type ValueMap } from '../../../wire/otlp.ts';
import { BYTES, FIXED64, ProtoReader } from '../../../wire/proto.ts';

export interface Seen {
  /** First and last of its times; 0n: it has none. */
  readonly from: bigint;
  readonly to: bigint;
  /** Empty unless asked for. */
  readonly attributes: ValueMap;
}

interface Shape {
  readonly times: readonly number[];
  readonly attributes: number;
}

const LOG: Shape = { times: [1], attributes: 6 };
const SPAN: Shape = { times: [7, 8], attributes: 9 };
const SPAN_EVENT: Shape = { times: [1], attributes: 3 };
const EVENTS = 11;
/** Field of Metric that holds the data → its points. */
const POINTS: Readonly<Record<number, Shape>> = {
  5: { times: [3], attributes: 7 },
  7: { times: [3], attributes: 7 },
  9: { times: [3], attributes: 9 },
  10: { times: [3], attributes: 1 },
  11: { times: [3], attributes: 7 },
};

/** `child` gets the sub-messages in field `childField`. */
function look(
  r: ProtoReader,
  shape: Shape,
  wantAttributes: boolean,
  childField = 0,
  child?: (r: ProtoReader) => void,
): Seen {
  let from = 0n;
  let to = 0n;
  const attributes: ValueMap = new Map();
  while (r.next()) {
    if (r.wire === FIXED64 && shape.times.includes(r.field)) {
      const time = r.fixed64();
      if (time !== 0n && (from === 0n || time < from)) from = time;
      if (time > to) to = time;
    } else if (wantAttributes && r.field === shape.attributes && r.wire === BYTES)
      readKeyValue(r.message(), attributes);
    else if (child && r.field === childField && r.wire === BYTES) child(r.message());
    else r.skip();
  }
  return { from, to, attributes };
}

type Visit = (seen: Seen) => void;

export function eachLog(items: Uint8Array, wantAttributes: boolean, visit: Visit): void {
  for (const r = new ProtoReader(items); r.next(); ) visit(look(r.message(), LOG, wantAttributes));
}

export function eachSpan(
  items: Uint8Array,
  wantAttributes: boolean,
  visit: Visit,
  wantEvents: boolean,
  visitEvent: Visit,
): void {
  const event = (r: ProtoReader): void => visitEvent(look(r, SPAN_EVENT, wantEvents));
  for (const r = new ProtoReader(items); r.next(); ) visit(look(r.message(), SPAN, wantAttributes, EVENTS, event));
}

export function eachPoint(items: Uint8Array, wantAttributes: boolean, visit: Visit): void {
  for (const r = new ProtoReader(items); r.next(); ) {
    const metric = r.message();
    while (metric.next()) {
      const shape = POINTS[metric.field];
      if (!shape || metric.wire !== BYTES) {
        metric.skip();
        continue;
      }
      const data = metric.message();
      while (data.next()) {
        if (data.field === 1 && data.wire === BYTES) visit(look(data.message(), shape, wantAttributes));
        else data.skip();
      }
    }
  }
}
