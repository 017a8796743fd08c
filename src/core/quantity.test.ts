import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMilliQuantity, parseQuantity, parseWholeQuantity } from './quantity.ts';

test('quantities mean what Kubernetes means, to the last bit', () => {
  const rows: readonly [unknown, number | undefined][] = [
    ['0', 0],
    ['100m', 0.1],
    ['50m', 0.05],
    ['1', 1],
    [2, 2],
    ['1.5', 1.5],
    ['0.3', 3 * 0.1],
    ['.5', 0.5],
    ['2e3', 2000],
    ['1E', 1e18],
    ['1E2', 100],
    ['3k', 3000],
    ['64Mi', 67108864],
    ['1.5Gi', 1610612736],
    ['32564740Ki', 33346293760],
    ['250n', 250 * 1e-9],
    ['-5', -5],
    ['', undefined],
    ['.', undefined],
    ['1 Mi', undefined],
    ['1K', undefined],
    ['much', undefined],
    [null, undefined],
    [{}, undefined],
  ];
  for (const [text, want] of rows) assert.equal(parseQuantity(text), want, String(text));
});

test('bytes are rounded up', () => {
  assert.equal(parseWholeQuantity('0.1'), 1);
  assert.equal(parseWholeQuantity('1500m'), 2);
  assert.equal(parseWholeQuantity('64Mi'), 67108864);
  assert.equal(parseWholeQuantity('x'), undefined);
});

test('thousandths are whole, and rounded up only where there is more', () => {
  for (const milli of Array.from({ length: 2000 }, (_, i) => i)) assert.equal(parseMilliQuantity(`${milli}m`), milli);
  assert.equal(parseMilliQuantity('1.5'), 1500);
  assert.equal(parseMilliQuantity('0.0001'), 1);
  assert.equal(parseMilliQuantity('100u'), 1);
  assert.equal(parseMilliQuantity(''), undefined);
});
