/** Pods by identity: who has an address that several had, and for how long deleted pods are known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { StringPool } from '../../../kubernetes/object.ts';
import { schema } from './config.ts';
import { type PodFacts, podKind } from './facts.ts';
import { PodIndex } from './pod-index.ts';
import { compileRules } from './rules.ts';
import { pod } from './testing.ts';

const rules = compileRules(schema.parse({}).extract, { v0: true, v1: false });
const kind = podKind({ id: 'test', rules, excluded: [], needsContainerIds: false });
const facts = (n: number, ip = `10.0.0.${n}`): PodFacts =>
  kind.keep(pod(n, { status: { podIP: ip, startTime: new Date(n * 1000).toISOString() } }), new StringPool())!;

function index(graceMs = 1000, maxDeleted = 10) {
  const clock = { ms: 0 };
  const pods = new PodIndex({
    keysOf: (p) => [p.uid, ...(p.ip === '' ? [] : [p.ip])],
    graceMs,
    nowMs: () => clock.ms,
    maxDeleted,
  });
  return { pods, clock };
}

test('of pods with one address the one that started last has it, in whatever order they come', () => {
  for (const order of [
    [1, 2],
    [2, 1],
  ]) {
    const { pods } = index(0);
    const made = new Map(order.map((n) => [n, facts(n, '10.0.0.9')]));
    for (const p of made.values()) pods.add(p);
    assert.equal(pods.get('10.0.0.9'), made.get(2));
    pods.delete(made.get(2)!);
    pods.sweep();
    assert.equal(pods.get('10.0.0.9'), made.get(1), 'the one before has it again');
  }
});

test('a change of the address forgets the old one', () => {
  const { pods } = index();
  const before = facts(1);
  const after = facts(1, '10.0.0.77');
  pods.add(before);
  pods.update(after, before);
  assert.equal(pods.get('10.0.0.1'), undefined);
  assert.equal(pods.get('10.0.0.77'), after);
});

test('a deleted pod is known while records come, and for the time of grace after the last', () => {
  const { pods, clock } = index(1000);
  const p = facts(1);
  pods.add(p);
  pods.delete(p);
  for (let i = 0; i < 10; i++) {
    clock.ms += 1000;
    assert.equal(pods.get(p.uid), p);
    pods.sweep();
  }
  clock.ms += 999;
  pods.sweep();
  assert.equal(pods.deletedCount, 1);
  clock.ms += 1;
  pods.sweep();
  assert.equal(pods.deletedCount, 0);
  assert.equal(pods.get(p.uid), undefined);
});

test('only so many deleted pods are known; those of which nothing came go first', () => {
  const { pods, clock } = index(1e9, 2);
  const all = [1, 2, 3].map((n) => facts(n));
  for (const p of all) pods.add(p);
  pods.delete(all[0]!);
  pods.delete(all[1]!);
  clock.ms = 5000;
  pods.get(all[0]!.uid);
  pods.delete(all[2]!);
  assert.deepEqual(
    all.map((p) => pods.get(p.uid) !== undefined),
    [true, false, true],
  );
});

test('a pod takes little memory', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const pool = new StringPool();
  const list: PodFacts[] = [];
  const count = 20_000;
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let n = 0; n < count; n++) list.push(kind.keep(JSON.parse(JSON.stringify(pod(n))), pool)!);
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / count;
  assert.ok(bytes < 1024, `${Math.round(bytes)} bytes`);
  assert.equal(list.length, count);
});
