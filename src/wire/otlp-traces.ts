/** Span messages, decoded: for whoever must look inside (debug, JSON). */
import { readKeyValue, type Value, type ValueMap } from './otlp.ts';
import { ProtoReader } from './proto.ts';

export interface SpanEvent {
  /** Nanoseconds since 1970. */
  time: bigint;
  name: string;
  attributes: ValueMap;
  droppedAttributesCount: number;
}

export interface SpanLink {
  traceId: Uint8Array;
  spanId: Uint8Array;
  traceState: string;
  attributes: ValueMap;
  droppedAttributesCount: number;
  flags: number;
}

export interface Span {
  traceId: Uint8Array;
  spanId: Uint8Array;
  traceState: string;
  parentSpanId: Uint8Array;
  flags: number;
  name: string;
  /** 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  /** Nanoseconds since 1970. */
  startTime: bigint;
  endTime: bigint;
  attributes: ValueMap;
  droppedAttributesCount: number;
  events: SpanEvent[];
  droppedEventsCount: number;
  links: SpanLink[];
  droppedLinksCount: number;
  /** 0 unset, 1 ok, 2 error. */
  statusCode: number;
  statusMessage: string;
}

const NO_ID = new Uint8Array(0);
const noAttributes = (): ValueMap => new Map<string, Value>();

/** Walks the spans of a group's `items`. */
export function* spansOf(items: Uint8Array): Generator<Span> {
  const r = new ProtoReader(items);
  while (r.next()) yield readSpan(r.message());
}

/** Reads the fields of one Span message. */
export function readSpan(r: ProtoReader): Span {
  const s: Span = {
    traceId: NO_ID,
    spanId: NO_ID,
    traceState: '',
    parentSpanId: NO_ID,
    flags: 0,
    name: '',
    kind: 0,
    startTime: 0n,
    endTime: 0n,
    attributes: noAttributes(),
    droppedAttributesCount: 0,
    events: [],
    droppedEventsCount: 0,
    links: [],
    droppedLinksCount: 0,
    statusCode: 0,
    statusMessage: '',
  };
  while (r.next()) {
    switch (r.field) {
      case 1:
        s.traceId = r.bytes().slice();
        break;
      case 2:
        s.spanId = r.bytes().slice();
        break;
      case 3:
        s.traceState = r.string();
        break;
      case 4:
        s.parentSpanId = r.bytes().slice();
        break;
      case 5:
        s.name = r.string();
        break;
      case 6:
        s.kind = r.varint();
        break;
      case 7:
        s.startTime = r.fixed64();
        break;
      case 8:
        s.endTime = r.fixed64();
        break;
      case 9:
        readKeyValue(r.message(), s.attributes);
        break;
      case 10:
        s.droppedAttributesCount = r.varint();
        break;
      case 11:
        s.events.push(readEvent(r.message()));
        break;
      case 12:
        s.droppedEventsCount = r.varint();
        break;
      case 13:
        s.links.push(readLink(r.message()));
        break;
      case 14:
        s.droppedLinksCount = r.varint();
        break;
      case 15: {
        const status = r.message();
        while (status.next()) {
          if (status.field === 2) s.statusMessage = status.string();
          else if (status.field === 3) s.statusCode = status.varint();
          else status.skip();
        }
        break;
      }
      case 16:
        s.flags = r.fixed32();
        break;
      default:
        r.skip();
    }
  }
  return s;
}

function readEvent(r: ProtoReader): SpanEvent {
  const e: SpanEvent = { time: 0n, name: '', attributes: noAttributes(), droppedAttributesCount: 0 };
  while (r.next()) {
    if (r.field === 1) e.time = r.fixed64();
    else if (r.field === 2) e.name = r.string();
    else if (r.field === 3) readKeyValue(r.message(), e.attributes);
    else if (r.field === 4) e.droppedAttributesCount = r.varint();
    else r.skip();
  }
  return e;
}

function readLink(r: ProtoReader): SpanLink {
  const l: SpanLink = {
    traceId: NO_ID,
    spanId: NO_ID,
    traceState: '',
    attributes: noAttributes(),
    droppedAttributesCount: 0,
    flags: 0,
  };
  while (r.next()) {
    if (r.field === 1) l.traceId = r.bytes().slice();
    else if (r.field === 2) l.spanId = r.bytes().slice();
    else if (r.field === 3) l.traceState = r.string();
    else if (r.field === 4) readKeyValue(r.message(), l.attributes);
    else if (r.field === 5) l.droppedAttributesCount = r.varint();
    else if (r.field === 6) l.flags = r.fixed32();
    else r.skip();
  }
  return l;
}
