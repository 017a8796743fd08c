import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from '../../../../test/helpers/property.ts';
import { scopeOf } from '../../../core/resource.ts';
import { groupOf, type Measured } from './items.ts';
import { ObjectRecorder } from './recorder.ts';
import { configOf, pointsOf } from './testing.ts';

const SCOPE = scopeOf('test');
const recorderOf = (config: object = {}) => new ObjectRecorder(configOf(config), SCOPE, 5n);

function podPhase(r: ObjectRecorder, name: string, value: number, before: readonly Measured[] = []) {
  r.begin(before);
  r.point('k8s.pod.phase', value);
  r.emit([['k8s.pod.name', name]]);
  return r.end();
}

describe('recorder', () => {
  it('any points come back with their values, attributes and the time of the collection', () => {
    const amount = fc.integer({ min: -(2 ** 40), max: 2 ** 40 });
    const quotas = fc.dictionary(fc.string({ maxLength: 40 }), amount, { maxKeys: 12, noNullPrototype: true });
    const r = recorderOf();
    let round = 0;
    fc.assert(
      fc.property(quotas, quotas, fc.bigInt({ min: 1n, max: 2n ** 62n }), (hard, used, time) => {
        r.begin();
        for (const [resource, value] of Object.entries(hard))
          r.point('k8s.resource_quota.hard_limit', value, { resource });
        for (const [resource, value] of Object.entries(used)) r.point('k8s.resource_quota.used', value, { resource });
        r.emit([['k8s.resourcequota.name', 'q']]);
        round++;
        const points = pointsOf(r.end().map((m) => groupOf(m, SCOPE, time, round)));
        const wanted = [
          ...Object.entries(hard).map(([n, v]) => [`k8s.resource_quota.hard_limit{${n}}`, v]),
          ...Object.entries(used).map(([n, v]) => [`k8s.resource_quota.used{${n}}`, v]),
        ];
        assert.deepEqual(
          points.map((p) => [p.metric, p.value]),
          wanted,
        );
        for (const p of points) assert.deepEqual([p.time, p.start], [time, 5n]);
      }),
    );
  });

  it('what did not change is used again, and equal values are one', () => {
    const r = recorderOf();
    const [a] = podPhase(r, 'a', 2);
    const [b] = podPhase(r, 'b', 2);
    assert.equal(a!.items, b!.items);
    const [changed] = podPhase(r, 'a', 3, [a!]);
    assert.equal(changed!.resource, a!.resource);
    assert.notEqual(changed!.items, a!.items);
    const [other] = podPhase(r, 'c', 2, [a!]);
    assert.notEqual(other!.resource, a!.resource);
  });

  it('values that no object has any more are let go', () => {
    const r = recorderOf();
    const live = podPhase(r, 'a', 2);
    const [gone] = podPhase(r, 'b', 3);
    for (const m of live) groupOf(m, SCOPE, 1n, 1);
    r.tidy(1, () => live, 1);
    assert.equal(podPhase(r, 'c', 2)[0]!.items, live[0]!.items);
    assert.notEqual(podPhase(r, 'd', 3)[0]!.items, gone!.items);
  });

  it('resources move when most of their memory is in vain, and stay the same resources', () => {
    const r = recorderOf();
    const live = podPhase(r, 'stays', 2);
    for (let i = 0; i < 60_000; i++) podPhase(r, `passes-${i}`, 2);
    const [{ resource }] = live as [Measured];
    const { buffer } = resource.encoded;
    r.tidy(1, () => live, resource.encoded.length);
    assert.notEqual(resource.encoded.buffer, buffer);
    assert.deepEqual(Object.fromEntries(resource.attributes), { 'k8s.pod.name': 'stays' });
  });

  it('a metric or an attribute that is off is not there; without points there is no resource', () => {
    const off = { enabled: false };
    const r = recorderOf({ metrics: { 'k8s.pod.phase': off } });
    assert.deepEqual(podPhase(r, 'a', 2), []);
    const named = recorderOf({ resource_attributes: { 'k8s.pod.name': off } });
    assert.equal(podPhase(named, 'a', 2)[0]!.resource.attributes.size, 0);
  });

  it('resources are left out by the values of their attributes', () => {
    const r = recorderOf({ resource_attributes: { 'k8s.pod.name': { metrics_exclude: [{ regexp: '^tmp-' }] } } });
    assert.deepEqual(podPhase(r, 'tmp-1', 2), []);
    assert.equal(podPhase(r, 'a', 2).length, 1);
  });

  it('points that differ in a dropped attribute become one', () => {
    const r = recorderOf({ metrics: { 'k8s.resource_quota.used': { attributes: [], aggregation_strategy: 'max' } } });
    r.begin();
    r.point('k8s.resource_quota.used', 3, { resource: 'pods' });
    r.point('k8s.resource_quota.used', 7, { resource: 'secrets' });
    r.emit([['k8s.resourcequota.name', 'q']]);
    const points = pointsOf(r.end().map((m) => groupOf(m, SCOPE, 1n, 1)));
    assert.deepEqual(
      points.map((p) => [p.metric, p.value]),
      [['k8s.resource_quota.used', 7]],
    );
  });
});
