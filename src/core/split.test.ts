import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { ProtoReader, ProtoWriter } from '../wire/proto.ts';
import { type Ack, type Group, makeBatch, type Signal } from './batch.ts';
import { EMPTY_RESOURCE, EMPTY_SCOPE, resourceOf } from './resource.ts';
import { countPoints, splitBatch } from './split.ts';

const silent: Ack = { patient: false, settle() {} };

function logGroup(bodies: readonly string[], resource = EMPTY_RESOURCE): Group {
  const w = new ProtoWriter();
  for (const b of bodies) {
    const at = w.open(2);
    w.string(3, b);
    w.close(at);
  }
  const parts = bodies.length ? [{ ack: silent, records: bodies.length, bytes: bodies.length * 7 + 3 }] : [];
  return { resource, scope: EMPTY_SCOPE, items: w.finish(), messages: bodies.length, count: bodies.length, parts };
}

/** Metrics with the given numbers of points; each point carries its index as time. */
function metricGroup(points: readonly number[]): Group {
  const w = new ProtoWriter();
  let time = 0n;
  for (const [i, n] of points.entries()) {
    const item = w.open(2);
    w.string(1, `metric${i}`);
    w.string(3, 'By');
    const sum = w.open(7);
    for (let k = 0; k < n; k++) {
      const p = w.open(1);
      w.fixed64(3, ++time);
      w.close(p);
    }
    w.tag(2, 0);
    w.varint(2);
    w.tag(3, 0);
    w.varint(1);
    w.close(sum);
    w.close(item);
  }
  const count = points.reduce((a, b) => a + b, 0);
  const parts = [{ ack: silent, records: count, bytes: count * 11 }];
  return { resource: EMPTY_RESOURCE, scope: EMPTY_SCOPE, items: w.finish(), messages: points.length, count, parts };
}

function split(signal: Signal, groups: readonly Group[], size: number) {
  const pieces = [];
  for (let rest: ReturnType<typeof makeBatch> | undefined = makeBatch(signal, groups); rest; ) {
    const [head, tail]: [typeof rest, typeof rest | undefined] = splitBatch(rest, size);
    pieces.push(head);
    rest = tail;
  }
  return pieces;
}

function messagesOf(group: Group): Uint8Array[] {
  const out = [];
  const r = new ProtoReader(group.items);
  while (r.next()) out.push(r.bytes());
  return out;
}

test('log batches are cut at exactly the asked count, and order, parts and bytes stay complete', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.string(), { maxLength: 8 }), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 12 }),
      (bodies, size) => {
        const groups = bodies.map((b, i) => logGroup(b, resourceOf(new Map([['n', BigInt(i)]]))));
        const whole = makeBatch('logs', groups);
        const pieces = split('logs', groups, size);
        for (const p of pieces.slice(0, -1)) assert.equal(p.count, size);
        assert.ok(pieces.at(-1)!.count <= size);
        for (const p of pieces)
          for (const g of p.groups) {
            assert.equal(messagesOf(g).length, g.messages);
            assert.equal(
              g.parts.reduce((n, x) => n + x.records, 0),
              g.count,
            );
          }
        const all = pieces.flatMap((p) => p.groups);
        assert.deepEqual(Buffer.concat(all.map((g) => g.items)), Buffer.concat(groups.map((g) => g.items)));
        const sourceBytes = (gs: readonly Group[]) => gs.flatMap((g) => g.parts).reduce((n, p) => n + p.bytes, 0);
        assert.equal(sourceBytes(all), sourceBytes(groups));
        assert.equal(
          pieces.reduce((n, p) => n + p.sizeBytes, 0),
          whole.sizeBytes,
        );
      },
    ),
  );
});

test('metrics are cut inside a metric by data points, with name, unit, temporality and monotonicity on both sides', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 7 }),
      (points, size) => {
        const group = metricGroup(points);
        const pieces = split('metrics', [group], size);
        const times: bigint[] = [];
        for (const [i, p] of pieces.entries()) {
          if (i < pieces.length - 1) assert.equal(p.count, size);
          for (const g of p.groups) {
            const metrics = messagesOf(g);
            assert.equal(metrics.length, g.messages);
            assert.equal(
              metrics.reduce((n, m) => n + countPoints(m), 0),
              g.count,
            );
            for (const m of metrics) times.push(...readSum(m));
          }
        }
        assert.deepEqual(
          times,
          Array.from({ length: group.count }, (_, i) => BigInt(i + 1)),
        );
      },
    ),
  );
});

function readSum(metric: Uint8Array): bigint[] {
  const times: bigint[] = [];
  const seen: Record<string, unknown> = {};
  const r = new ProtoReader(metric);
  while (r.next()) {
    if (r.field === 1) seen['name'] = r.string();
    else if (r.field === 3) seen['unit'] = r.string();
    else {
      const sum = r.message();
      while (sum.next()) {
        if (sum.field === 1) {
          const p = sum.message();
          while (p.next()) times.push(p.fixed64());
        } else seen[sum.field] = sum.varint();
      }
    }
  }
  assert.match(String(seen['name']), /^metric\d$/);
  assert.deepEqual([seen['unit'], seen['2'], seen['3']], ['By', 2, 1]);
  return times;
}

test('a batch that fits is returned as it is', () => {
  const batch = makeBatch('logs', [logGroup(['a', 'b'])], new Map([['k', ['v']]]));
  assert.deepEqual(splitBatch(batch, 2), [batch, undefined]);
  const [head, tail] = splitBatch(batch, 1);
  assert.equal(head.metadata, batch.metadata);
  assert.equal(tail?.metadata, batch.metadata);
});
