import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { metricsOf } from '../../wire/otlp-metrics.ts';
import { EMPTY_RESOURCE, EMPTY_SCOPE } from '../resource.ts';
import { attributeSet } from './attribute-set.ts';
import { MetricsBuilder } from './builder.ts';
import { type MetricDeclaration, metricSettings, metricSwitches } from './catalogue.ts';

const CATALOGUE: readonly MetricDeclaration[] = [
  {
    name: 'cpu.time',
    description: 'Seconds.',
    unit: 's',
    type: 'sum',
    valueType: 'double',
    isMonotonic: true,
    attributes: [{ name: 'cpu', isOptIn: true }, { name: 'state' }],
    enabled: true,
  },
  { name: 'memory.limit', description: '', unit: 'By', type: 'gauge', valueType: 'int', enabled: true },
  { name: 'load', description: 'Load.', unit: '1', type: 'gauge', valueType: 'double', enabled: false },
];

const builderFor = (switches: unknown): MetricsBuilder => {
  const parsed = metricSwitches(CATALOGUE).parse(switches);
  return new MetricsBuilder(CATALOGUE, metricSettings(CATALOGUE, parsed));
};

describe('metrics builder', () => {
  it('writes the metrics that are on, in the order of the catalogue, with type, times and values', () => {
    const b = builderFor({ 'cpu.time': { attributes: ['state', 'cpu'] }, load: null });
    b.at(5n, 1_700_000_000_000_000_007n);
    b.stream('memory.limit').point(-(2n ** 62n));
    b.stream('cpu.time').point(1.5, attributeSet({ cpu: 'cpu0', state: 'user' }));
    b.stream('cpu.time').point(2, attributeSet({ cpu: 'cpu1', state: 'user' }));
    b.stream('load').point(1);
    const group = b.group(EMPTY_RESOURCE, EMPTY_SCOPE)!;
    assert.equal(group.count, 3);
    assert.equal(group.messages, 2);
    const [cpu, memory, ...rest] = [...metricsOf(group.items)];
    assert.equal(rest.length, 0);
    assert.equal(cpu!.name, 'cpu.time');
    assert.equal(cpu!.unit, 's');
    assert.ok(cpu!.data.type === 'sum' && cpu!.data.isMonotonic && cpu!.data.temporality === 2);
    assert.deepEqual(
      cpu!.data.points.map((p) => [p.value, p.startTime, p.time, Object.fromEntries(p.attributes)]),
      [
        [1.5, 5n, 1_700_000_000_000_000_007n, { cpu: 'cpu0', state: 'user' }],
        [2, 5n, 1_700_000_000_000_000_007n, { cpu: 'cpu1', state: 'user' }],
      ],
    );
    assert.ok(memory!.data.type === 'gauge');
    assert.equal(memory!.data.points[0]!.value, -(2n ** 62n));
    assert.equal(b.group(EMPTY_RESOURCE, EMPTY_SCOPE), undefined, 'points are written once');
  });

  it('writes every integer exactly, numbers and bigints', () => {
    const b = builderFor({});
    const values = [
      0,
      1,
      -1,
      2 ** 32 - 1,
      2 ** 32,
      -(2 ** 32),
      -(2 ** 32) - 1,
      2 ** 53 - 1,
      -(2 ** 53) + 1,
      2 ** 60,
      1.9,
    ];
    for (const v of [...values, 2n ** 63n - 1n, -(2n ** 63n)]) b.stream('memory.limit').point(v);
    const [metric] = [...metricsOf(b.group(EMPTY_RESOURCE, EMPTY_SCOPE)!.items)];
    assert.ok(metric!.data.type === 'gauge');
    assert.deepEqual(
      metric!.data.points.map((p) => p.value),
      [...values.map((v) => BigInt(Math.trunc(v))), 2n ** 63n - 1n, -(2n ** 63n)],
    );
  });

  for (const [strategy, want] of [
    ['sum', 9],
    ['avg', 3],
    ['min', 1],
    ['max', 6],
  ] as const)
    it(`merges points that differ in a dropped attribute: ${strategy}`, () => {
      const b = builderFor({ 'cpu.time': { aggregation_strategy: strategy } });
      for (const [cpu, v] of [
        ['cpu0', 1],
        ['cpu1', 6],
        ['cpu2', 2],
      ] as const)
        b.stream('cpu.time').point(v, attributeSet({ cpu, state: 'user' }));
      const [metric] = [...metricsOf(b.group(EMPTY_RESOURCE, EMPTY_SCOPE)!.items)];
      assert.ok(metric!.data.type === 'sum');
      assert.deepEqual(
        metric!.data.points.map((p) => [p.value, Object.fromEntries(p.attributes)]),
        [[want, { state: 'user' }]],
      );
    });

  it('writes groups that are alike and groups that are not, each with its own times and values', () => {
    const b = builderFor({ load: { enabled: true } });
    const sets = ['a', 'b', 'c'].map((state) => attributeSet({ state, cpu: 'x' }));
    const cpu = b.stream('cpu.time');
    const load = b.stream('load');
    const all = builderFor({ 'cpu.time': { attributes: ['cpu', 'state'] }, load: { enabled: true } });
    const random = (
      (state: number) => (n: number) =>
        (state = (state * 48271) % 2147483647) % n
    )(7);
    for (let round = 0; round < 300; round++) {
      const want: unknown[] = [];
      for (let i = random(6); i > 0; i--) {
        const [start, time, value, set] = [BigInt(random(1e6)), BigInt(random(1e6)), random(1e6) / 4, sets[random(3)]!];
        all.at(start, time);
        all.stream('cpu.time').point(value, set);
        want.push(['cpu.time', start, time, value, set.values.get('state')]);
      }
      if (random(2)) {
        all.at(1n, 2n);
        all.stream('load').point(round);
        want.push(['load', 1n, 2n, round, undefined]);
      }
      const group = all.group(EMPTY_RESOURCE, EMPTY_SCOPE);
      const got = [...metricsOf(group?.items ?? new Uint8Array())].flatMap((m) => {
        assert.ok(m.data.type === 'sum' || m.data.type === 'gauge');
        return m.data.points.map((p) => [m.name, p.startTime, p.time, p.value, p.attributes.get('state')]);
      });
      assert.deepEqual(got, want);
      assert.equal(group?.count ?? 0, want.length);
    }
    cpu.point(1, sets[0]);
    load.point(1);
    b.discard();
    assert.equal(b.group(EMPTY_RESOURCE, EMPTY_SCOPE), undefined, 'what was discarded is gone, merged or not');
  });

  it('uses memory again when all that stands in it is settled, and not before', () => {
    const b = builderFor({ load: { enabled: true } });
    const make = (value: number) => {
      for (let i = 0; i < 700; i++) b.stream('load').point(value);
      return b.group(EMPTY_RESOURCE, EMPTY_SCOPE)!;
    };
    const valuesOf = (group: { items: Uint8Array }) => {
      const [metric] = [...metricsOf(group.items)];
      assert.ok(metric!.data.type === 'gauge');
      return new Set(metric!.data.points.map((p) => p.value));
    };
    const kept = Array.from({ length: 9 }, (_, i) => make(i));
    const memory = new Set(kept.map((g) => g.items.buffer));
    // In two pieces, as a splitter would.
    for (const g of kept.slice(0, 6))
      for (const p of g.parts) {
        p.ack.settle(300, 0, { kind: 'delivered' });
        p.ack.settle(p.records - 300, 0, { kind: 'delivered' });
      }
    const made = Array.from({ length: 6 }, (_, i) => make(100 + i));
    for (const [i, g] of kept.slice(6).entries()) assert.deepEqual(valuesOf(g), new Set([6 + i]), 'still held');
    for (const [i, g] of made.entries()) assert.deepEqual(valuesOf(g), new Set([100 + i]));
    assert.ok(
      made.some((g) => memory.has(g.items.buffer)),
      'some memory was used again',
    );
    assert.ok(kept.every((g) => g.parts.every((p) => !p.ack.patient && p.ack.isMemory)));
  });

  it('writes nothing of a point whose integer is no number', () => {
    const b = builderFor({});
    const limit = b.stream('memory.limit');
    limit.point(1);
    assert.throws(() => limit.point(Number.NaN), RangeError);
    limit.point(2);
    const [metric] = [...metricsOf(b.group(EMPTY_RESOURCE, EMPTY_SCOPE)!.items)];
    assert.ok(metric!.data.type === 'gauge');
    assert.deepEqual(
      metric!.data.points.map((p) => p.value),
      [1n, 2n],
    );
  });

  it('refuses metrics and attributes that are not in the catalogue', () => {
    assert.throws(() => builderFor({ nosuch: {} }), /nosuch/);
    assert.throws(() => builderFor({ 'cpu.time': { attributes: ['mode'] } }), /cpu/);
    assert.throws(() => builderFor({ load: { attributes: ['cpu'] } }), /attributes/);
  });
});
