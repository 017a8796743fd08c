/** Walks Metric messages and their data points, as rewrite.ts walks records. */
import { ProtoReader, ProtoWriter } from '../../wire/proto.ts';
import type { Group } from '../batch.ts';
import { Message } from './message.ts';
import { bufferOf, ItemsWriter, type Rewritten, Runs, rewritten } from './rewrite.ts';
import { DATA_FIELDS, METRIC, METRIC_DATA, POINT_ATTRIBUTES } from './shapes.ts';

/** A metric, the message that holds its data, and the point that is being looked at. */
export class MetricCursor {
  readonly metric = new Message(METRIC);
  readonly data = new Message(METRIC_DATA);
  /** Field of Metric that holds the data; 0: none. */
  dataField = 0;
  readonly #points: ReadonlyMap<number, Message> = new Map(
    DATA_FIELDS.map((f) => [f, new Message({ attributes: POINT_ATTRIBUTES[f]!, children: 0 })]),
  );
  readonly #writer = new ProtoWriter(1024);
  /** For the points of the metric that is being walked. */
  readonly pointsWriter = new ProtoWriter(1024);
  readonly #none = new Message({ attributes: 0, children: 0 });
  point: Message = this.#none;

  bind(buf: Buffer, at: number, to: number): void {
    this.metric.bind(buf, at, to);
    this.dataField = 0;
    for (const field of DATA_FIELDS) {
      const range = this.metric.range(field);
      if (!range) continue;
      this.dataField = field;
      this.data.bind(buf, range[0], range[1]);
    }
    if (this.dataField === 0) this.data.bind(buf, at, at);
    this.point = this.#points.get(this.dataField) ?? this.#none;
  }

  get points(): number {
    return this.data.children.length / 2;
  }

  /** Stands on a point and gives it to `visit`. */
  eachPoint(visit: (point: Message, at: number, to: number) => void): void {
    const ranges = this.data.children;
    const { buf } = this.data;
    for (let i = 0; i < ranges.length; i += 2)
      visit(this.point.bind(buf, ranges[i]!, ranges[i + 1]!), ranges[i]!, ranges[i + 1]!);
  }

  /** Replaces the data message: another type, other points. */
  setData(field: number, content: Uint8Array): void {
    if (this.dataField !== 0 && this.dataField !== field) this.metric.set(this.dataField, 'message', undefined);
    this.metric.set(field, 'message', content);
    this.dataField = field;
    this.data.bind(bufferOf(content), 0, content.length);
    this.point = this.#points.get(field) ?? this.#none;
  }

  /** Writes the data message again with these points (each with tag 1 and length); without, with the ones it has. */
  rewriteData(points?: Uint8Array): void {
    this.#writer.reset();
    this.data.writeContent(this.#writer, points);
    this.setData(this.dataField, this.#writer.finish());
  }
}

export interface MetricVisitor {
  /** False drops the metric with all its points. */
  readonly metric?: (cursor: MetricCursor) => boolean;
  /** False drops the point; a metric that loses all its points goes too. */
  readonly point?: (cursor: MetricCursor) => boolean;
  /** New Metric items (tag 2 and length each) for the end of the group, after all others were seen. */
  readonly more?: (w: ProtoWriter) => { readonly messages: number; readonly points: number };
}

/** Nobody waits for points that a processor made. */
const NOBODY = { patient: false, settle(): void {} };

export function rewriteMetrics(
  group: Group,
  cursor: MetricCursor,
  scratch: ProtoWriter,
  visitor: MetricVisitor,
): Rewritten {
  const buf = bufferOf(group.items);
  const out = new ItemsWriter(group.items, scratch);
  const runs = new Runs();
  const r = new ProtoReader(buf);
  let changed = false;
  let messages = 0;
  for (let from = 0; r.next(); from = r.pos) {
    const n = r.varint();
    const at = r.pos;
    r.pos = at + n;
    cursor.bind(buf, at, r.pos);
    const before = cursor.points;
    if (visitor.metric && !visitor.metric(cursor)) {
      runs.drop(before);
      continue;
    }
    if (visitor.point && !visitPoints(cursor, visitor.point, runs)) continue;
    if (!visitor.point) runs.keep(before);
    if (cursor.data.isChanged) cursor.rewriteData();
    messages++;
    if (cursor.metric.isChanged) {
      cursor.metric.write(out.writer, 2);
      changed = true;
    } else out.keep(from, r.pos);
  }
  const more = visitor.more?.(out.writer);
  const result = rewritten(group, out, runs, changed || (more?.messages ?? 0) > 0, messages + (more?.messages ?? 0));
  if (!more || more.messages === 0 || !result.group) return result;
  const { group: g } = result;
  const parts =
    g.parts.length > 0 && more.points > 0 ? [...g.parts, { ack: NOBODY, records: more.points, bytes: 0 }] : g.parts;
  return {
    ...result,
    group: { ...g, messages: messages + more.messages, count: runs.kept + more.points, parts },
  };
}

/** False when the last point went. */
function visitPoints(cursor: MetricCursor, visit: (cursor: MetricCursor) => boolean, runs: Runs): boolean {
  const w = cursor.pointsWriter;
  w.reset();
  let changed = false;
  let left = 0;
  const before = cursor.points;
  cursor.eachPoint((point, at, to) => {
    if (!visit(cursor)) {
      runs.drop(1);
      changed = true;
      return;
    }
    runs.keep(1);
    left++;
    if (point.isChanged) {
      point.write(w, 1);
      changed = true;
    } else w.bytes(1, point.buf.subarray(at, to));
  });
  if (left === 0) return before === 0;
  if (changed) cursor.rewriteData(w.finish());
  return true;
}
