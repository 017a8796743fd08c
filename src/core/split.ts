/**
 * Dividing batches by count: log records, spans or data points, walked in their encoded form. Only a Metric message
 * that straddles the border is written anew; everything else stays a view of the same bytes.
 */
import { BYTES, ProtoReader, ProtoWriter } from '../wire/proto.ts';
import { type Batch, type Group, makeBatch, type Signal, splitParts } from './batch.ts';

/** Fields of Metric that hold the data: gauge, sum, histogram, exponential histogram, summary. */
const isMetricData = (field: number): boolean =>
  field === 5 || field === 7 || field === 9 || field === 10 || field === 11;

/** The first `n` counted items of `batch` and the rest; the rest is undefined when there is none. `n` is at least 1. */
export function splitBatch(batch: Batch, n: number): [Batch, Batch | undefined] {
  if (batch.count <= n) return [batch, undefined];
  const [head, tail] = splitGroups(batch.signal, batch.groups, n);
  return [
    makeBatch(batch.signal, head, batch.metadata, batch.peer),
    makeBatch(batch.signal, tail, batch.metadata, batch.peer),
  ];
}

/** The same for bare groups. */
export function splitGroups(signal: Signal, groups: readonly Group[], n: number): [Group[], Group[]] {
  const head: Group[] = [];
  let left = n;
  for (const [i, g] of groups.entries()) {
    if (g.count <= left) {
      head.push(g);
      left -= g.count;
      continue;
    }
    if (left === 0) return [head, groups.slice(i)];
    const [a, b] = splitGroup(signal, g, left);
    head.push(a);
    return [head, [b, ...groups.slice(i + 1)]];
  }
  return [head, []];
}

/** `n` lies strictly between 0 and the group's count. */
function splitGroup(signal: Signal, group: Group, n: number): [Group, Group] {
  const [headParts, tailParts] = splitParts(group.parts, n);
  const { resource, scope, items } = group;
  const head = (i: Uint8Array, messages: number): Group => ({
    resource,
    scope,
    items: i,
    messages,
    count: n,
    parts: headParts,
  });
  const tail = (i: Uint8Array, messages: number): Group => ({
    resource,
    scope,
    items: i,
    messages,
    count: group.count - n,
    parts: tailParts,
  });
  const r = new ProtoReader(items);
  if (signal !== 'metrics') {
    for (let i = 0; i < n && r.next(); i++) r.skip();
    return [head(items.subarray(0, r.pos), n), tail(items.subarray(r.pos), group.messages - n)];
  }
  let left = n;
  let messages = 0;
  while (left > 0) {
    const start = r.pos;
    if (!r.next()) break;
    const metric = r.bytes();
    const points = countPoints(metric);
    if (points <= left) {
      left -= points;
      messages++;
      continue;
    }
    const [a, b] = splitMetric(metric, left);
    return [
      head(Buffer.concat([items.subarray(0, start), a]), messages + 1),
      tail(Buffer.concat([b, items.subarray(r.pos)]), group.messages - messages),
    ];
  }
  return [head(items.subarray(0, r.pos), messages), tail(items.subarray(r.pos), group.messages - messages)];
}

/** Data points in one Metric message. */
export function countPoints(metric: Uint8Array): number {
  let n = 0;
  const r = new ProtoReader(metric);
  while (r.next()) {
    if (!isMetricData(r.field) || r.wire !== BYTES) {
      r.skip();
      continue;
    }
    const data = r.message();
    while (data.next()) {
      if (data.field === 1) n++;
      data.skip();
    }
  }
  return n;
}

/** Two items (tag and length included) with everything but the points in both; the first has `n` points. */
function splitMetric(metric: Uint8Array, n: number): [Uint8Array, Uint8Array] {
  const half = (from: number, to: number): Uint8Array => {
    const w = new ProtoWriter(metric.length + 16);
    const item = w.open(2);
    const r = new ProtoReader(metric);
    let point = 0;
    for (let at = 0; r.next(); at = r.pos) {
      if (!isMetricData(r.field) || r.wire !== BYTES) {
        r.skip();
        w.raw(metric.subarray(at, r.pos));
        continue;
      }
      const open = w.open(r.field);
      const data = r.message();
      for (let dataAt = data.pos; data.next(); dataAt = data.pos) {
        const isPoint = data.field === 1;
        data.skip();
        if (!isPoint || (point >= from && point < to)) w.raw(metric.subarray(dataAt, data.pos));
        if (isPoint) point++;
      }
      w.close(open);
    }
    w.close(item);
    return w.finish();
  };
  return [half(0, n), half(n, Number.POSITIVE_INFINITY)];
}
