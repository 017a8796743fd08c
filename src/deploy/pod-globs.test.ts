import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANY, allOf, anyOf, globText, intersect } from './pod-globs.ts';

const texts = (globs: readonly { namespace: string; pod: string; container: string }[]): string[] =>
  globs.map(globText);

test('globs are as short as they can be', () => {
  assert.deepEqual(texts([ANY, { ...ANY, namespace: 'a' }, { ...ANY, pod: 'p-*' }, { ...ANY, container: 'c' }]), [
    '/var/log/pods/*/*/*.log',
    '/var/log/pods/a_*/*/*.log',
    '/var/log/pods/*_p-*_*/*/*.log',
    '/var/log/pods/*/c/*.log',
  ]);
});

test('including takes all criteria together, excluding each one', () => {
  assert.deepEqual(texts(allOf({ namespaces: ['a', 'b'], containers: ['c'] })), [
    '/var/log/pods/a_*/c/*.log',
    '/var/log/pods/b_*/c/*.log',
  ]);
  assert.deepEqual(texts(anyOf({ namespaces: ['a'], containers: ['c'] })), [
    '/var/log/pods/a_*/*/*.log',
    '/var/log/pods/*/c/*.log',
  ]);
});

for (const [a, b, both] of [
  ['*', 'x-*', 'x-*'],
  ['shop', 'sh*', 'shop'],
  ['s?op', 'shop', 'shop'],
  ['web', 'shop', undefined],
  ['team-*', 'team-a-*', 'team-a-*'],
  ['team-*', 'web-*', undefined],
] as const)
  test(`what is in ${a} and in ${b} is ${both ?? 'nothing'}`, () => {
    for (const [x, y] of [
      [a, b],
      [b, a],
    ] as const)
      assert.deepEqual(
        intersect([{ ...ANY, namespace: x }], [{ ...ANY, namespace: y }], []).map((g) => g.namespace),
        both === undefined ? [] : [both],
      );
  });

test('patterns whose common names cannot be written as a pattern are refused', () => {
  assert.throws(() => intersect([{ ...ANY, pod: '*-a' }], [{ ...ANY, pod: 'b-*' }], ['x']), /cannot be combined/);
});
