import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasLargeNumbers, parseExact } from './summary.ts';

test('numbers that a double cannot hold are found wherever they stand', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.nat({ max: 40 }),
      fc.nat({ max: 40 }),
      (n, before, after) => {
        const text = `{"a":"${'x'.repeat(before)}","n":${n},"z":"${'x'.repeat(after)}"}`;
        const found = hasLargeNumbers(Buffer.from(text));
        if (n > BigInt(Number.MAX_SAFE_INTEGER)) assert.ok(found, text);
        else assert.ok(!found, text);
        const value = (parseExact(text) as { n: number | bigint }).n;
        assert.equal(BigInt(value), n);
        assert.equal(typeof value, n > BigInt(Number.MAX_SAFE_INTEGER) ? 'bigint' : 'number');
      },
    ),
  );
});

test('fractions and large powers stay numbers', () => {
  assert.deepEqual(parseExact('[1.5, 1e300, -3, 0.1234567890123456789]'), [1.5, 1e300, -3, 0.12345678901234568]);
});
