import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../../test/helpers/property.ts';
import { parseExact } from './summary.ts';

test('whole numbers are exact: bigints where a number is not', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }), (n) => {
      const { value } = parseExact(`{"value":${n}}`) as { value: number | bigint };
      assert.equal(BigInt(value), n);
      assert.equal(typeof value, Number.isSafeInteger(Number(n)) ? 'number' : 'bigint');
    }),
  );
});

test('fractions and large powers stay numbers', () => {
  assert.deepEqual(parseExact('[1.5, 1e300, -3, 0.1234567890123456789]'), [1.5, 1e300, -3, 0.12345678901234568]);
});
