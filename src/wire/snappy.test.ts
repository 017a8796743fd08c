import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { SnappyError, snappyDecode, snappyEncode, snappyMaxSize } from './snappy.ts';

const repetitive = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 60 })), { maxLength: 30 })
  .map((runs) => Buffer.concat(runs.flatMap(([b, n]) => Array<Uint8Array>(n).fill(b))));

test('what is packed comes back, and never exceeds the announced bound', () => {
  fc.assert(
    fc.property(fc.oneof(repetitive, fc.uint8Array({ maxLength: 3000 })), (data) => {
      const packed = snappyEncode(data);
      assert.ok(packed.length <= snappyMaxSize(data.length));
      assert.ok(snappyDecode(packed, data.length).equals(data));
    }),
    { numRuns: 300 },
  );
});

test('more than one block of 64 KiB comes back, and text gets small', () => {
  const text = Buffer.from('2026-01-02T03:04:05.000000000Z stdout F GET /index.html 200 12ms\n'.repeat(4000));
  const packed = snappyEncode(text);
  assert.ok(packed.length < text.length / 10, `${packed.length}`);
  assert.ok(snappyDecode(packed, text.length).equals(text));
});

test('blocks written by the reference implementation are read', () => {
  // The format description's own kinds: a literal, a copy with 1-byte offset that overlaps itself, one with 4 bytes.
  assert.equal(snappyDecode(Buffer.from([10, 4, 0x61, 0x62, (4 << 2) | 1, 2]), 100).toString(), 'ababababab');
  assert.equal(snappyDecode(Buffer.from([6, 8, 0x61, 0x62, 0x63, (2 << 2) | 3, 3, 0, 0, 0]), 100).toString(), 'abcabc');
});

test('broken and oversized blocks are refused before memory is taken', () => {
  for (const bad of [[], [5], [0xff, 0xff, 0xff, 0xff, 0x0f, 0], [4, 0, 0x61], [4, 1, 1], [1, 0, 0x61, 0, 0x62]])
    assert.throws(() => snappyDecode(Buffer.from(bad), 1 << 20), SnappyError, bad.join());
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (data) => {
      try {
        snappyDecode(data, 10_000);
      } catch (e) {
        assert.ok(e instanceof SnappyError, String(e));
      }
    }),
    { numRuns: 1000 },
  );
});
