import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { collector, componentContext, settled, TestSource } from '../../../../test/helpers/component.ts';
import { type ProcessorDefinition, STOPPING } from '../../../core/component.ts';
import { DeliveryError } from '../../../core/errors.ts';
import { findCollector } from './collect.ts';
import definition, { type MemoryLimiterConfig } from './index.ts';
import { Limiter, limitsOf, MIB } from './limiter.ts';
import { makeMemoryLimiter } from './processor.ts';
import { totalMemory } from './total-memory.ts';

const parse = (config: object): MemoryLimiterConfig =>
  (definition as ProcessorDefinition).schema.parse(config) as MemoryLimiterConfig;
const GIB = 1024 * MIB;

const limits: [object, number, number][] = [
  [{ limit_mib: 100 }, 100, 80],
  [{ limit_mib: 100, spike_limit_mib: 30 }, 100, 70],
  [{ limit_percentage: 50 }, 1024, 820],
  [{ limit_percentage: 80, spike_limit_percentage: 25 }, 1638, 1127],
  [{ limit_mib: 100, limit_percentage: 50 }, 100, 80],
];
for (const [keys, hard, soft] of limits)
  test(`${JSON.stringify(keys)} of 2 GiB is ${hard} MiB hard and ${soft} MiB soft`, () => {
    const l = limitsOf(parse({ check_interval: '1s', ...keys }), () => 2 * GIB);
    assert.deepEqual([Math.floor(l.hardBytes / MIB), Math.ceil(l.softBytes / MIB)], [hard, soft]);
  });

const refused: [object, RegExp][] = [
  [{ check_interval: '1s' }, /^'limit_mib' or 'limit_percentage' must be greater than zero$/],
  [{ limit_mib: 1 }, /^'check_interval' must be greater than zero$/],
  [{ check_interval: '1s', limit_mib: 5, spike_limit_mib: 5 }, /'spike_limit_mib' must be smaller than 'limit_mib'/],
  [{ check_interval: '1s', limit_percentage: 101 }, /less than or equal to hundred/],
  [
    { check_interval: '1s', limit_percentage: 5, spike_limit_percentage: 5 },
    /'spike_limit_percentage' must be smaller/,
  ],
  [{ check_interval: '1s', limit_mib: 5, min_gc_interval_when_hard_limited: '20s' }, /should be larger/],
  [{ check_interval: '1s', limit_mib: 5, max_gc_interval_when_soft_limited: '5s' }, /must not be less than/],
  [{ check_interval: '1s', limit_mib: -5 }, /./],
];
for (const [config, message] of refused)
  test(`configuration ${JSON.stringify(config)} is refused`, () => {
    const result = (definition as ProcessorDefinition).schema.safeParse(config);
    assert.ok(!result.success);
    assert.match(result.error.issues[0]!.message, message);
  });

const NO_LIMIT = '9223372036854771712\n';
const trees: { name: string; files: Record<string, string>; expected: number }[] = [
  { name: 'no cgroup', files: {}, expected: 8 * GIB },
  { name: 'v2 in a container', files: { 'sys/fs/cgroup/memory.max': '1073741824\n' }, expected: GIB },
  { name: 'v2 without limit', files: { 'sys/fs/cgroup/memory.max': 'max\n' }, expected: 8 * GIB },
  {
    name: 'v2 nested, the lowest of the ancestors',
    files: {
      'proc/self/cgroup': '0::/pods/a\n',
      'sys/fs/cgroup/pods/a/memory.max': '3221225472\n',
      'sys/fs/cgroup/pods/memory.max': '2147483648\n',
    },
    expected: 2 * GIB,
  },
  {
    name: 'v1 by its own path',
    files: {
      'proc/self/cgroup': '9:cpu,cpuacct:/x\n4:memory:/docker/1\n',
      'sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes': '536870912\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': NO_LIMIT,
    },
    expected: GIB / 2,
  },
  { name: 'v1 without limit', files: { 'sys/fs/cgroup/memory/memory.limit_in_bytes': NO_LIMIT }, expected: 8 * GIB },
  { name: 'nonsense', files: { 'sys/fs/cgroup/memory.max': 'lots\n' }, expected: 8 * GIB },
];
for (const { name, files, expected } of trees)
  test(`total memory: ${name}`, (t) => {
    const root = mkdtempSync(join(tmpdir(), 'sluice-cgroup-'));
    t.after(() => rmSync(root, { recursive: true }));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    assert.equal(totalMemory(root, 8 * GIB), expected);
  });

function limiterAt(config: object, readings: number[]) {
  const around = componentContext('memory_limiter', 'processor');
  const parsed = parse({ check_interval: '1s', limit_mib: 100, ...config });
  let collections = 0;
  const limiter = new Limiter({
    config: parsed,
    limits: limitsOf(parsed, () => 0),
    clock: around.clock,
    log: around.context.log,
    usage: () => (readings.length > 1 ? readings.shift()! : readings[0]!) * MIB,
    room: () => ({ totalBytes: 200 * MIB, runtimeBytes: 60 * MIB }),
    collect: () => void collections++,
  });
  return { ...around, limiter, collections: () => collections };
}

test('data is refused from the soft limit on, and passes again below it', () => {
  const { limiter, lines } = limiterAt({ garbage_collector: { enabled: false } }, [79, 80, 99, 79]);
  const seen = Array.from({ length: 4 }, () => {
    limiter.check();
    return limiter.isRefusing;
  });
  assert.deepEqual(seen, [false, true, true, false]);
  assert.deepEqual(
    lines.map((l) => [l.level, l.message, l.fields['cur_mem_mib']]),
    [
      ['warn', 'Memory usage is above soft limit. Refusing data.', 80],
      ['info', 'Memory usage back within limits. Resuming normal operation.', 79],
    ],
  );
});

test('above the soft limit a collection is forced at most every ten seconds, and memory is measured again after it', () => {
  const { limiter, clock, collections } = limiterAt({}, [90, 90, 50, 90]);
  limiter.check();
  assert.deepEqual([collections(), limiter.isRefusing], [0, true]);
  clock.ms += 10_001;
  limiter.check();
  assert.deepEqual([collections(), limiter.isRefusing], [1, false]);
});

test('data that comes faster than the interval is refused before the limit: memory is measured as it passes', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { limiter, lines } = limiterAt(
    { check_interval: '1h', garbage_collector: { enabled: false } },
    [20, 52, 70, 81],
  );
  limiter.start();
  const refusedAtMib: number[] = [];
  for (let mib = 1; mib <= 60; mib++) {
    limiter.take(MIB);
    if (limiter.isRefusing) refusedAtMib.push(mib);
  }
  // Measured at the first MiB (20 in use, so 30 more may pass), after 31 (52: 14), 15 (70: 5) and 6 more.
  assert.equal(refusedAtMib[0], 1 + 31 + 15 + 6);
  assert.equal(lines.filter((l) => l.level === 'warn').length, 1);
  limiter.stop();
});

test('between two checks garbage is told from data by a collection, at most four times a second', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { limiter, clock, collections, lines } = limiterAt({ check_interval: '1h' }, [90, 20, 90, 20, 90]);
  limiter.start();
  const seen: [number, boolean][] = [];
  for (const ms of [251, 251, 10]) {
    clock.ms += ms;
    limiter.take(100 * MIB);
    seen.push([collections(), limiter.isRefusing]);
  }
  assert.deepEqual(seen, [
    [1, false],
    [2, false],
    [2, true],
  ]);
  assert.equal(lines.filter((l) => l.level === 'info' && /GC/.test(l.message)).length, 0);
  limiter.stop();
});

test('while data is refused, what was refused is collected, and only the interval ends refusing', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { limiter, clock, collections } = limiterAt({}, [90, 90, 50, 90, 50, 50]);
  limiter.start();
  limiter.take(0.1 * MIB);
  assert.deepEqual([collections(), limiter.isRefusing], [0, true]);
  // A quarter of the spike limit of 20 MiB, twice.
  for (let mib = 1; mib <= 12; mib++) limiter.take(MIB);
  assert.deepEqual([collections(), limiter.isRefusing], [2, true]);
  clock.ms += 1000;
  t.mock.timers.tick(1000);
  assert.deepEqual([collections(), limiter.isRefusing], [2, false]);
  limiter.stop();
});

test('a limiter that nobody uses any more measures nothing and holds nobody back', () => {
  const { limiter } = limiterAt({}, [1000]);
  limiter.take(1000 * MIB);
  assert.equal(limiter.isRefusing, false);
});

test('a limit that leaves no room for the runtime is warned about, once, at the start', () => {
  for (const [runtimeMib, expected] of [
    [100, 0],
    [101, 1],
  ] as const) {
    const around = componentContext('memory_limiter', 'processor');
    const config = parse({ check_interval: '1s', limit_mib: 100 });
    const limiter = new Limiter({
      config,
      limits: limitsOf(config, () => 0),
      clock: around.clock,
      log: around.context.log,
      usage: () => 0,
      room: () => ({ totalBytes: 200 * MIB, runtimeBytes: runtimeMib * MIB }),
      collect: undefined,
    });
    limiter.start();
    limiter.start();
    limiter.stop();
    limiter.stop();
    assert.equal(around.lines.filter((l) => l.level === 'warn').length, expected);
  }
});

test('collections that free nothing become rarer', () => {
  const { limiter, clock, collections } = limiterAt({ max_gc_interval_when_hard_limited: '8s' }, [150]);
  const at: number[] = [];
  for (let s = 1; s <= 30; s++) {
    clock.ms += 1000;
    const before = collections();
    limiter.check();
    if (collections() > before) at.push(s);
  }
  assert.deepEqual(at, [1, 3, 7, 15, 24]);
});

async function processor(t: TestContext, usageMib: () => number) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const around = componentContext('memory_limiter', 'processor');
  const sink = collector();
  const config = parse({ check_interval: '1s', limit_mib: 100, garbage_collector: { enabled: false } });
  const make = (signal: 'logs' | 'traces') =>
    makeMemoryLimiter(
      config,
      { ...around.context, signal, pipelineId: signal, next: sink.consumer },
      () => usageMib() * MIB,
    );
  const tick = async (): Promise<void> => {
    t.mock.timers.tick(1000);
    await settled();
  };
  return { ...around, sink, make, tick };
}

test('pushed data is refused with an error that may be retried; both outcomes are counted', async (t) => {
  let usage = 10;
  const { make, tick, sink, value } = await processor(t, () => usage);
  const limiter = make('logs');
  await limiter.start!();
  const source = new TestSource(false);
  await limiter.consume(source.logs(['a', 'b']));
  usage = 90;
  await tick();
  await assert.rejects(limiter.consume(source.logs(['c'])), (e) => {
    assert.ok(e instanceof DeliveryError);
    assert.deepEqual([e.message, e.permanent, e.grpcCode], ['data refused due to high memory usage', false, 14]);
    return true;
  });
  assert.deepEqual(sink.counts(), [2]);
  assert.equal(value('otelcol_processor_memory_limiter_accepted_log_records', 'processor=memory_limiter'), 2);
  assert.equal(value('otelcol_processor_memory_limiter_refused_log_records', 'processor=memory_limiter'), 1);
  await limiter.stop!(new AbortController().signal);
});

test('files wait until memory is there again', async (t) => {
  let usage = 90;
  const { make, tick, sink, value } = await processor(t, () => usage);
  const limiter = make('logs');
  await limiter.start!();
  await tick();
  const waiting = limiter.consume(new TestSource(true).logs(['a']));
  await tick();
  assert.deepEqual(sink.counts(), []);
  usage = 10;
  await tick();
  await waiting;
  assert.deepEqual(sink.counts(), [1]);
  assert.equal(value('otelcol_processor_memory_limiter_refused_log_records'), 0);
  await limiter.stop!(new AbortController().signal);
});

test('files that wait are turned away when the service stops', async (t) => {
  const { make, tick, host } = await processor(t, () => 90);
  const limiter = make('logs');
  await limiter.start!();
  await tick();
  const waiting = limiter.consume(new TestSource(true).logs(['a']));
  host.shared(STOPPING, () => new AbortController()).abort();
  await assert.rejects(waiting, /data refused due to high memory usage/);
  await limiter.stop!(new AbortController().signal);
});

test('pipelines share one check per id, which runs as long as one of them', async (t) => {
  let usage = 10;
  const { make, tick, lines } = await processor(t, () => usage);
  const [a, b] = [make('logs'), make('traces')];
  await a.start!();
  await b.start!();
  assert.deepEqual(
    lines.map((l) => [l.message, l.fields]),
    [['Memory limiter configured', { limit_mib: 100, spike_limit_mib: 20, check_interval: 1 }]],
  );
  await a.stop!(new AbortController().signal);
  await a.stop!(new AbortController().signal);
  usage = 90;
  await tick();
  await assert.rejects(b.consume(new TestSource(false).logs(['a'])));
  await b.stop!(new AbortController().signal);
});

test('this runtime lets collections be forced', () => {
  const collect = findCollector();
  assert.ok(collect);
  let garbage: number[][] | undefined = Array.from({ length: 200 }, () => new Array<number>(10_000).fill(1.5));
  const before = process.memoryUsage().heapUsed;
  assert.equal(garbage.length, 200);
  garbage = undefined;
  collect();
  assert.ok(process.memoryUsage().heapUsed < before);
});
