import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Gate, gates, selectGates } from './gates.ts';

const KNOWN: readonly Gate[] = [
  { id: 'a.alpha', stage: 'alpha', description: '' },
  { id: 'b.beta', stage: 'beta', description: '' },
  { id: 's.stable', stage: 'stable', description: '' },
  { id: 'd.deprecated', stage: 'deprecated', description: '' },
];

test('stages say what is on, flags change it, and the last word counts', () => {
  const table: [string[], [boolean, boolean, boolean, boolean]][] = [
    [[], [false, true, true, false]],
    [['a.alpha,-b.beta'], [true, false, true, false]],
    [
      ['+a.alpha', ' -b.beta '],
      [true, false, true, false],
    ],
    [
      ['-b.beta,b.beta', 'a.alpha,-a.alpha'],
      [false, true, true, false],
    ],
    [
      ['s.stable', '-d.deprecated', '', ','],
      [false, true, true, false],
    ],
  ];
  for (const [flags, want] of table)
    assert.deepEqual([...selectGates(flags, KNOWN).enabled.values()], want, flags.join(' '));
  assert.equal(selectGates(['s.stable'], KNOWN).notices.length, 1);
});

test('flags that cannot be are refused', () => {
  const table: [string, RegExp][] = [
    ['nope', /no such feature gate "nope". valid gates: \[a.alpha b.beta s.stable d.deprecated\]/],
    ['-s.stable', /feature gate "s.stable" is stable, can not be disabled/],
    ['d.deprecated', /feature gate "d.deprecated" is deprecated, can not be enabled/],
  ];
  for (const [flag, message] of table) assert.throws(() => selectGates([flag], KNOWN), { message });
});

test('the registry is sorted and names no gate twice', () => {
  const ids = gates.map((g) => g.id);
  assert.deepEqual(ids, [...new Set(ids)].sort());
});
