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

export const NOTHING_SEEN: Seen = { from: 0n, to: 0n, attributes: new Map() };

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
/** Told about an item before it is visited: where its content stands in the bytes of the group. */
type Bind = ((from: number, to: number) => void) | undefined;

function bound(r: ProtoReader, bind: Bind): ProtoReader {
  const item = r.message();
  bind?.(item.pos, item.end);
  return item;
}

export function eachLog(items: Uint8Array, wantAttributes: boolean, visit: Visit, bind?: Bind): void {
  for (const r = new ProtoReader(items); r.next(); ) visit(look(bound(r, bind), LOG, wantAttributes));
}

export interface SpanVisitor {
  readonly wantAttributes: boolean;
  readonly visit: Visit;
  readonly bind?: Bind;
  readonly wantEventAttributes: boolean;
  readonly visitEvent: Visit;
  readonly bindEvent?: Bind;
}

export function eachSpan(items: Uint8Array, v: SpanVisitor): void {
  const event = (r: ProtoReader): void => {
    v.bindEvent?.(r.pos, r.end);
    v.visitEvent(look(r, SPAN_EVENT, v.wantEventAttributes));
  };
  for (const r = new ProtoReader(items); r.next(); )
    v.visit(look(bound(r, v.bind), SPAN, v.wantAttributes, EVENTS, event));
}

export interface PointVisitor {
  readonly wantAttributes: boolean;
  readonly visitMetric?: () => void;
  readonly bindMetric?: Bind;
  readonly visit: Visit;
  readonly bind?: Bind;
}

export function eachPoint(items: Uint8Array, v: PointVisitor): void {
  for (const r = new ProtoReader(items); r.next(); ) {
    const metric = bound(r, v.bindMetric);
    v.visitMetric?.();
    while (metric.next()) {
      const shape = POINTS[metric.field];
      if (!shape || metric.wire !== BYTES) {
        metric.skip();
        continue;
      }
      const data = metric.message();
      while (data.next()) {
        if (data.field === 1 && data.wire === BYTES) v.visit(look(bound(data, v.bind), shape, v.wantAttributes));
        else data.skip();
      }
    }
  }
}
