import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resourceAttributeSwitches, switchedResource } from './resource-attributes.ts';

const schema = resourceAttributeSwitches([
  { name: 'pod', description: 'The pod.', enabled: true },
  { name: 'node', description: 'The node.', enabled: false },
]);
const POD: readonly (readonly [string, string])[] = [
  ['pod', 'web-1'],
  ['node', 'n'],
];
const resource = (switches: unknown) => {
  const r = switchedResource(schema.parse(switches), POD);
  return r && Object.fromEntries(r.attributes);
};

describe('switches of resource attributes', () => {
  const rows: readonly [string, unknown, Record<string, string> | undefined][] = [
    ['the defaults', null, { pod: 'web-1' }],
    ['one on, one off', { pod: { enabled: false }, node: { enabled: true } }, { node: 'n' }],
    ['a section without keys', { pod: null }, { pod: 'web-1' }],
    ['an included value', { pod: { metrics_include: [{ strict: 'db' }, { regexp: '^web' }] } }, { pod: 'web-1' }],
    ['a value that is not included', { pod: { metrics_include: [{ strict: 'web' }] } }, undefined],
    ['an excluded value', { pod: { metrics_exclude: [{ regexp: '-[0-9]$' }] } }, undefined],
    ['a filter on an attribute that is off', { node: { metrics_exclude: [{ strict: 'n' }] } }, { pod: 'web-1' }],
  ];
  for (const [what, switches, want] of rows)
    it(`${what}`, () => {
      assert.deepEqual(resource(switches), want);
    });

  it('refuses unknown attributes and broken expressions', () => {
    assert.throws(() => resource({ pot: {} }), /pot/);
    assert.throws(() => resource({ pod: { metrics_include: [{ regexp: '(' }] } }), /missing closing \)/);
  });
});
