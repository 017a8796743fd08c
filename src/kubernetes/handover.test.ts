import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { HANDOVER_ANNOTATION, Handover } from './handover.ts';
import type { KubernetesObject } from './object.ts';

const LEASE: KubernetesObject = { metadata: { name: 'a', namespace: 'b', uid: '', resourceVersion: '' } };

it('changes that are settled behind a position come to the next leader, once', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 50 }),
      fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 50 }),
      (position, steps) => {
        let last = position;
        const settled = steps.map((step) => String((last += step)));
        const first = new Handover();
        first.set('events', String(position));
        first.set('pods', '7');
        first.follow('events', (most) => settled.slice(0, most));
        const next = new Handover();
        next.take(first.into(LEASE));
        assert.deepEqual([next.get('events'), next.get('pods')], [String(position), '7']);
        assert.deepEqual([...next.known('events')], settled);
        assert.deepEqual([...next.known('events'), ...next.known('pods')], []);
      },
    ),
  );
});

it('too many of them are left out, the positions are not; what cannot be read counts as none', () => {
  const first = new Handover();
  for (const key of Array.from({ length: 20 }, (_, i) => `stream-${i}`)) {
    first.set(key, '1');
    first.follow(key, (most) => Array.from({ length: most }, (_, i) => String(2 + i * 100)));
  }
  const annotation = first.into(LEASE).metadata.annotations![HANDOVER_ANNOTATION]!;
  assert.deepEqual(Object.values(JSON.parse(annotation)), Array(20).fill('1'));
  for (const beyond of [7, '', '-5', '1  2', 'x!', ['1']]) {
    const next = new Handover();
    const annotations = { [HANDOVER_ANNOTATION]: JSON.stringify({ events: '9', 'events beyond': beyond }) };
    next.take({ ...LEASE, metadata: { ...LEASE.metadata, annotations } });
    assert.equal(next.get('events'), '9');
    assert.equal(next.known('events').size, 0);
  }
});
