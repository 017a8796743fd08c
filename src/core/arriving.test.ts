import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { ArrivingBodies, type ArrivingBody, arrivingLimit } from './arriving.ts';

test('a body is what its chunks were, however they were cut', () => {
  const chunk = fc.oneof(
    { weight: 5, arbitrary: fc.uint8Array({ maxLength: 20 }) },
    fc.constantFrom(100, 4095, 4096, 20_000).map((n) => new Uint8Array(n).fill(n)),
  );
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 60 }), (chunks) => {
      const bodies = new ArrivingBodies(1 << 30);
      const body = bodies.open(() => assert.fail('cut'));
      for (const c of chunks) body.add(Buffer.from(c));
      const expected = Buffer.concat(chunks);
      assert.ok(body.head(5).equals(expected.subarray(0, 5)));
      assert.equal(body.sizeBytes, expected.length);
      assert.ok(bodies.sizeBytes >= expected.length && bodies.sizeBytes <= expected.length * 2 + 33_000);
      assert.ok(body.finish().equals(expected));
      assert.equal(bodies.sizeBytes, 0);
    }),
  );
});

test('chunks of one byte cost about one byte each', () => {
  const bodies = new ArrivingBodies(1 << 30);
  const body = bodies.open(() => {});
  for (let i = 0; i < 1_000_000; i++) body.add(Buffer.from([i & 255]));
  assert.ok(bodies.sizeBytes < 1_100_000, `${bodies.sizeBytes}`);
  assert.equal(body.finish().length, 1_000_000);
});

test('when all together are too much, the oldest give way, and a new one gets through', () => {
  const bodies = new ArrivingBodies(100_000);
  const cut: number[] = [];
  const open = (i: number): ArrivingBody => bodies.open(() => void cut.push(i));
  const slow = [0, 1, 2].map(open);
  for (const b of slow) b.add(Buffer.alloc(30_000));
  const next = open(3);
  for (let i = 0; i < 7; i++) next.add(Buffer.alloc(10_000));
  assert.deepEqual(cut, [0, 1]);
  assert.equal(next.finish().length, 70_000);
  assert.equal(bodies.sizeBytes, 30_000);
  slow[0]!.add(Buffer.alloc(50_000));
  slow[0]!.close();
  assert.equal(bodies.sizeBytes, 30_000, 'what was cut counts no more');
  slow[2]!.close();
  assert.equal(bodies.sizeBytes, 0);
});

test('one that is too large alone is cut itself', () => {
  let isCut = false;
  const bodies = new ArrivingBodies(10);
  const body = bodies.open(() => {
    isCut = true;
  });
  body.add(Buffer.alloc(8));
  body.add(Buffer.alloc(8));
  body.add(Buffer.alloc(8000));
  assert.ok(isCut);
  assert.equal(bodies.sizeBytes, 0);
  assert.ok(arrivingLimit(20 << 20) >= 128 << 20, 'no body that may be sent is too large alone');
  assert.ok(arrivingLimit(1 << 30) > 1 << 30);
});
