/** LogRecord messages: decoded form and codec. The container fast path writes the same bytes without objects. */
import {
  type ReadonlyValueMap,
  readAnyValue,
  readKeyValue,
  type Value,
  type ValueMap,
  writeAnyValue,
  writeAttributes,
} from './otlp.ts';
import { ProtoReader, type ProtoWriter } from './proto.ts';

export interface LogRecord {
  /** Nanoseconds since 1970; 0n is "not set". */
  time: bigint;
  observedTime: bigint;
  severityNumber: number;
  severityText: string;
  body: Value;
  attributes: ValueMap;
  droppedAttributesCount: number;
  flags: number;
  traceId: Uint8Array;
  spanId: Uint8Array;
  eventName: string;
}

export const NO_ID = new Uint8Array(0);

export interface LogRecordFields {
  readonly time: bigint;
  readonly observedTime: bigint;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body: Value;
  readonly attributes: ReadonlyValueMap;
  readonly droppedAttributesCount?: number;
  readonly flags?: number;
  readonly traceId?: Uint8Array | undefined;
  readonly spanId?: Uint8Array | undefined;
  readonly eventName?: string;
}

/** Writes one item of ScopeLogs: tag 2, length, LogRecord. Fields stand in the order upstream's generated code uses. */
export function writeLogRecord(w: ProtoWriter, r: LogRecordFields): void {
  const at = w.open(2);
  if (r.time !== 0n) w.fixed64(1, r.time);
  if (r.severityNumber) {
    w.tag(2, 0);
    w.varint(r.severityNumber);
  }
  if (r.severityText) w.string(3, r.severityText);
  const body = w.open(5);
  writeAnyValue(w, r.body);
  w.close(body);
  writeAttributes(w, 6, r.attributes);
  if (r.droppedAttributesCount) {
    w.tag(7, 0);
    w.varint(r.droppedAttributesCount);
  }
  if (r.flags) w.fixed32(8, r.flags);
  if (r.traceId?.length) w.bytes(9, r.traceId);
  if (r.spanId?.length) w.bytes(10, r.spanId);
  if (r.observedTime !== 0n) w.fixed64(11, r.observedTime);
  if (r.eventName) w.string(12, r.eventName);
  w.close(at);
}

/** Reads the fields of one LogRecord message. */
export function readLogRecord(r: ProtoReader): LogRecord {
  const rec: LogRecord = {
    time: 0n,
    observedTime: 0n,
    severityNumber: 0,
    severityText: '',
    body: null,
    attributes: new Map(),
    droppedAttributesCount: 0,
    flags: 0,
    traceId: NO_ID,
    spanId: NO_ID,
    eventName: '',
  };
  while (r.next()) {
    switch (r.field) {
      case 1:
        rec.time = r.fixed64();
        break;
      case 2:
        rec.severityNumber = r.varint();
        break;
      case 3:
        rec.severityText = r.string();
        break;
      case 5:
        rec.body = readAnyValue(r.message());
        break;
      case 6:
        readKeyValue(r.message(), rec.attributes);
        break;
      case 7:
        rec.droppedAttributesCount = r.varint();
        break;
      case 8:
        rec.flags = r.fixed32();
        break;
      case 9:
        rec.traceId = r.bytes().slice();
        break;
      case 10:
        rec.spanId = r.bytes().slice();
        break;
      case 11:
        rec.observedTime = r.fixed64();
        break;
      case 12:
        rec.eventName = r.string();
        break;
      default:
        r.skip();
    }
  }
  return rec;
}

/** Walks the records of a group's `items`. */
export function* logRecords(items: Uint8Array): Generator<LogRecord> {
  const r = new ProtoReader(items);
  while (r.next()) yield readLogRecord(r.message());
}
