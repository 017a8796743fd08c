/** Against the real VictoriaMetrics: what it has stored is what was measured and what was accepted. */
import assert from 'node:assert/strict';
import { readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, defer, READY, startWith, tempDir, until } from './helpers/agent.ts';
import { fileOfPoints, type Json, Sequence, seriesName } from './helpers/metric-points.ts';
import {
  type Gate,
  portForLong,
  startGate,
  startVictoriaMetrics,
  type VictoriaMetrics,
  victoriaMetricsProgram,
} from './helpers/victoria-metrics.ts';

const OUTAGE_MS = Number(process.env['SLUICE_OUTAGE_SECONDS'] ?? 30) * 1000;

const program = await victoriaMetricsProgram();
const skip = program.missing ?? false;
const needsProc = process.platform === 'linux' ? skip : 'there is no /proc';

const SCRAPERS = { cpu: null, memory: null, disk: null, network: null, filesystem: null, load: null, paging: null };

interface Parts {
  readonly otlpPort?: number;
  readonly hostMetrics?: Json;
  readonly processors?: Json;
  readonly exporters: Json;
  readonly extensions?: Json;
}

/** YAML, as JSON is. */
function config(c: Parts): string {
  const receivers: Json = {};
  if (c.otlpPort) receivers['otlp'] = { protocols: { http: { endpoint: `127.0.0.1:${c.otlpPort}` } } };
  if (c.hostMetrics)
    receivers['host_metrics'] = { initial_delay: '0s', collection_interval: '200ms', ...c.hostMetrics };
  const { processors = {}, exporters, extensions = {} } = c;
  const keys = (o: Json): string[] => Object.keys(o);
  const metrics = { receivers: keys(receivers), processors: keys(processors), exporters: keys(exporters) };
  return JSON.stringify({
    receivers,
    processors,
    exporters,
    extensions,
    service: { telemetry: { metrics: { level: 'none' } }, extensions: keys(extensions), pipelines: { metrics } },
  });
}

const remoteWrite = (url: string, more: Json = {}): Json => ({
  prometheus_remote_write: {
    endpoint: `${url}/api/v1/write`,
    retry_on_failure: { initial_interval: '50ms', max_interval: '500ms' },
    ...more,
  },
});

async function start(t: TestContext, dir: string, c: Parts): Promise<Agent> {
  const agent = startWith(t, dir, config(c));
  await agent.says(READY);
  return agent;
}

const isIdle = (labels: Readonly<Record<string, string>>): boolean => ['idle', 'wait'].includes(labels['state'] ?? '');

/** What /proc and statfs say now, by name and labels as remote write makes them. */
function machine(): Map<string, { value: number; isCounter: boolean }> {
  const found = new Map<string, { value: number; isCounter: boolean }>();
  const put = (name: string, labels: Record<string, string>, value: number): void => {
    // The kernel takes back idle and wait time now and then.
    found.set(keyOf({ __name__: name, ...labels }), { value, isCounter: name.endsWith('_total') && !isIdle(labels) });
  };
  const rows = (file: string): string[][] =>
    readFileSync(`/proc/${file}`, 'utf8')
      .trim()
      .split('\n')
      .map((l) => l.trim().split(/[\s:]+/));

  const cpuStates = ['user', 'nice', 'system', 'idle', 'wait', 'interrupt', 'softirq', 'steal'];
  for (const [cpu, ...ticks] of rows('stat').filter((r) => /^cpu\d/.test(r[0]!)))
    for (const [i, state] of cpuStates.entries())
      put('system_cpu_time_seconds_total', { cpu: cpu!, state }, Number(ticks[i]) / 100);

  const kib = new Map(rows('meminfo').map(([name, n]) => [name!, Number(n) * 1024]));
  const memory = (state: string, bytes: number): void => put('system_memory_usage_bytes', { state }, bytes);
  memory('free', kib.get('MemFree')!);
  memory('buffered', kib.get('Buffers')!);
  memory('cached', kib.get('Cached')! + kib.get('SReclaimable')!);
  memory('slab_reclaimable', kib.get('SReclaimable')!);
  memory('slab_unreclaimable', kib.get('SUnreclaim')!);
  memory('used', kib.get('MemTotal')! - kib.get('MemAvailable')!);

  for (const [, , device, ...c] of rows('diskstats').filter((r) => r.slice(3).some((n) => n !== '0'))) {
    for (const [direction, i] of [
      ['read', 0],
      ['write', 4],
    ] as const) {
      put('system_disk_operations_total', { device: device!, direction }, Number(c[i]));
      put('system_disk_merged_total', { device: device!, direction }, Number(c[i + 1]));
      put('system_disk_io_bytes_total', { device: device!, direction }, Number(c[i + 2]) * 512);
      put('system_disk_operation_time_seconds_total', { device: device!, direction }, Number(c[i + 3]) / 1000);
    }
    put('system_disk_io_time_seconds_total', { device: device! }, Number(c[9]) / 1000);
  }

  for (const [device, ...c] of rows('net/dev').slice(2))
    for (const [direction, i] of [
      ['receive', 0],
      ['transmit', 8],
    ] as const)
      for (const [k, name] of ['io_bytes', 'packets', 'errors', 'dropped'].entries())
        put(`system_network_${name}_total`, { device: device!, direction }, Number(c[i + k]));

  const { blocks, bfree, bavail, bsize, files, ffree } = statfsSync('/');
  const usage = (state: string, n: number): void => put('system_filesystem_usage_bytes', { mountpoint: '/', state }, n);
  usage('used', (blocks - bfree) * bsize);
  usage('free', bavail * bsize);
  usage('reserved', (bfree - bavail) * bsize);
  put('system_filesystem_inodes_usage', { mountpoint: '/', state: 'used' }, files - ffree);
  put('system_filesystem_inodes_usage', { mountpoint: '/', state: 'free' }, ffree);
  return found;
}

/** Attributes of the point; of file systems only the mount point, which the others follow from. */
function keyOf(labels: Readonly<Record<string, string>>): string {
  const isFilesystem = labels['__name__']!.startsWith('system_filesystem');
  return Object.entries(labels)
    .filter(([k]) => !k.startsWith('otel_scope_') && !(isFilesystem && ['device', 'mode', 'type'].includes(k)))
    .map(([k, v]) => `${k}=${v}`)
    .sort()
    .join(' ');
}

test('the host in VictoriaMetrics is the host of /proc and statfs', { skip: needsProc }, async (t) => {
  const vm = await startVictoriaMetrics(t, program);
  const filesystem = {
    include_virtual_filesystems: true,
    include_mount_points: { mount_points: ['/'], match_type: 'strict' },
  };
  await start(t, tempDir(t), {
    hostMetrics: { scrapers: { ...SCRAPERS, filesystem } },
    exporters: remoteWrite(vm.url),
  });
  const NAMES = '{__name__=~"system_(cpu_time|memory|disk|network|filesystem).*"}';
  /** The time of a scrape after that one, when all of it is stored. */
  const scrapeAfter = async (timeMs: number): Promise<number> => {
    let times: (number | undefined)[] = [];
    await until(async () => {
      times = (await vm.stored(NAMES)).map((s) => s.samples.find(([time]) => time > timeMs)?.[0]);
      return times.length > 0 && times.every((time) => time !== undefined);
    }, 'a scrape');
    return Math.max(...(times as number[]));
  };
  // Counters lie between the readings before and after, always. What goes up and down may have been elsewhere in
  // between: it has several scrapes to be seen at rest.
  const agreed = new Set<string>();
  let wrong: string[] = [];
  const compare = async (): Promise<boolean> => {
    const before = machine();
    const time = await scrapeAfter(Date.now());
    const after = machine();
    const measured = new Map((await vm.query(NAMES, time)).map((s) => [keyOf(s.labels), s.value]));
    wrong = [];
    for (const [key, first] of before) {
      const last = after.get(key);
      if (!last || agreed.has(key)) continue;
      const value = measured.get(key) ?? Number.NaN;
      // VictoriaMetrics keeps 12 digits.
      const slack = Math.abs(value) * 1e-11;
      const [low, high] = [Math.min(first.value, last.value) - slack, Math.max(first.value, last.value) + slack];
      const said = `${key}: ${first.value} … ${value} … ${last.value}`;
      if (value >= low && value <= high) agreed.add(key);
      else if (first.isCounter) assert.fail(said);
      else wrong.push(said);
    }
    return wrong.length === 0;
  };
  await until(compare, 'gauges that agree').catch((e: Error) => assert.fail(`${e.message}\n${wrong.join('\n')}`));
  for (const name of [
    'cpu_time_seconds_total',
    'memory_usage_bytes',
    'network_io_bytes_total',
    'filesystem_usage_bytes',
  ])
    assert.ok(
      [...agreed].some((key) => key.includes(`__name__=system_${name}`)),
      `nothing to compare of ${name}`,
    );
});

test('a restart continues all series, and counters never fall', { skip: needsProc }, async (t) => {
  const vm = await startVictoriaMetrics(t, program);
  const dir = tempDir(t);
  // With states of connections, series come and go.
  const network = { metrics: { 'system.network.connections': { enabled: false } } };
  const parts: Parts = {
    hostMetrics: { scrapers: { ...SCRAPERS, network } },
    processors: { resource_detection: { detectors: ['system'] } },
    exporters: remoteWrite(vm.url, { resource_to_telemetry_conversion: { enabled: true } }),
  };
  const CPU = 'system_cpu_time_seconds_total{state="user"}';
  const run = async (): Promise<number> => {
    const startMs = Date.now();
    const agent = await start(t, dir, parts);
    await until(async () => {
      const cpus = await vm.stored(CPU);
      return cpus.length > 0 && cpus.every((s) => s.samples.filter(([time]) => time > startMs).length >= 3);
    }, 'three scrapes');
    assert.equal((await agent.stop()).code, 0);
    return startMs;
  };
  await run();
  const restartMs = await run();

  const all = await vm.stored('{__name__=~"system_.+"}');
  const oneSided = all.filter(({ samples }) => samples[0]![0] > restartMs || samples.at(-1)![0] < restartMs);
  // A device may show up meanwhile, but with the labels that all have.
  const keys = all.map((s) => seriesName(s.labels));
  assert.equal(new Set(keys).size, keys.length);
  assert.deepEqual(
    oneSided.filter((s) => /cpu|memory|load/.test(s.labels['__name__']!)),
    [],
  );
  const hosts = new Set(all.map((s) => s.labels['host_name']));
  assert.equal(hosts.size, 1);
  assert.ok(![...hosts][0]?.match(/^$/) && [...hosts][0]);
  const counters = all.filter((s) => s.labels['__name__']!.endsWith('_total') && !isIdle(s.labels));
  assert.ok(counters.length > 0);
  for (const { labels, samples } of counters)
    for (const [i, [, value]] of samples.entries())
      if (i > 0) assert.ok(value >= samples[i - 1]![1], `${JSON.stringify(labels)} fell to ${value}`);
  const resets = await vm.query('sum(resets({__name__=~"system_.+_total",state!~"idle|wait"}[1h]))');
  assert.deepEqual(
    resets.map((s) => s.value),
    [0],
  );
});

/** Pushes until it is stopped, as fast as a busy sender; what is not accepted is the sender's. */
function pushing(t: TestContext, sequence: Sequence) {
  let isOver = false;
  const all = (async () => {
    while (!isOver) {
      await sequence.push();
      await delay(15);
    }
  })();
  const stop = async (): Promise<void> => {
    isOver = true;
    await all;
  };
  defer(t, stop);
  return {
    stop,
    /** Waits for that many more to be accepted. */
    async more(n: number): Promise<void> {
      const goal = sequence.accepted.length + n;
      await until(() => sequence.accepted.length >= goal, `${n} accepted pushes`);
    },
  };
}

async function allArrived(vm: VictoriaMetrics, sequence: Sequence, limitMs = 60_000): Promise<void> {
  const series = () => vm.stored('sequence_total');
  await until(async () => sequence.missing(await series()).length === 0, 'accepted samples', limitMs).catch(
    async () => {
      const missing = sequence.missing(await series());
      assert.fail(`${missing.length} of ${sequence.accepted.length} are missing: ${missing.slice(0, 100)}`);
    },
  );
  assert.equal(sequence.foreign(await series()), 0);
}

/** kill -9 in the midst of requests, but only of what VictoriaMetrics has not answered for: it keeps the rest in memory. */
async function takeAway(vm: VictoriaMetrics, gate: Gate): Promise<void> {
  await gate.hold();
  await until(() => gate.waiting > 0, 'a request under way');
  await vm.sync();
  await vm.kill();
  await gate.close();
}

async function bringBack(vm: VictoriaMetrics, gate: Gate): Promise<void> {
  await vm.start();
  await gate.open(vm.url);
}

test(`VictoriaMetrics is killed and away for ${OUTAGE_MS / 1000} s: no accepted sample is missing`, {
  skip: needsProc,
}, async (t) => {
  const vm = await startVictoriaMetrics(t, program);
  const gate = await startGate(t);
  await gate.open(vm.url);
  const dir = tempDir(t);
  const otlpPort = await portForLong();
  const path = join(dir, 'accepted.jsonl');
  const agent = await start(t, dir, {
    otlpPort,
    hostMetrics: { scrapers: SCRAPERS },
    // The file has what the queue has been given.
    exporters: { ...remoteWrite(gate.url), file: { path } },
  });
  const sequence = new Sequence(otlpPort);
  const pushes = pushing(t, sequence);
  await pushes.more(20);
  await allArrived(vm, sequence);

  await takeAway(vm, gate);
  const before = sequence.accepted.length;
  await delay(OUTAGE_MS);
  await pushes.more(1);
  assert.ok(sequence.accepted.length - before > OUTAGE_MS / 1000, 'the queue takes data during the outage');
  assert.ok(agent.output.includes('connection refused'), agent.output);
  await bringBack(vm, gate);
  await pushes.more(20);
  await pushes.stop();
  await allArrived(vm, sequence);
  assert.equal((await agent.stop()).code, 0);

  const points = fileOfPoints(path);
  const have = new Map(
    (await vm.stored('{__name__=~".+"}')).map((s) => [seriesName(s.labels), new Map(s.samples)] as const),
  );
  const missing = points.filter(({ series, timeMs, value }) => {
    const got = have.get(series)?.get(timeMs);
    return got === undefined || Math.abs(got - value) > Math.abs(value) * 1e-11;
  });
  assert.deepEqual(missing.slice(0, 10), [], `${missing.length} of ${points.length} points are missing`);
  const scrapes = new Set(points.filter((p) => p.series.includes('system_cpu_time')).map((p) => p.timeMs));
  assert.ok(scrapes.size > OUTAGE_MS / 400, `${scrapes.size} scrapes`);
});

const DURABLE: readonly [string, (dir: string) => Pick<Parts, 'extensions'> & { readonly writer: Json }][] = [
  ['wal', (dir) => ({ writer: { wal: { directory: join(dir, 'wal') } } })],
  [
    'a queue in file_storage',
    (dir) => ({
      writer: { remote_write_queue: { storage: 'file_storage' } },
      extensions: { file_storage: { directory: join(dir, 'state'), create_directory: true } },
    }),
  ],
];
for (const [what, parts] of DURABLE)
  test(`${what}: kill -9 of the agent, during an outage and during delivery, loses no accepted sample`, {
    skip,
  }, async (t) => {
    const vm = await startVictoriaMetrics(t, program);
    const gate = await startGate(t);
    await gate.open(vm.url);
    const dir = tempDir(t);
    const otlpPort = await portForLong();
    const { writer, extensions } = parts(dir);
    const run = (): Promise<Agent> =>
      start(t, dir, { otlpPort, exporters: remoteWrite(gate.url, writer), ...(extensions && { extensions }) });
    const kill = async (agent: Agent): Promise<void> => {
      agent.signal('SIGKILL');
      await agent.exited;
    };
    const sequence = new Sequence(otlpPort);
    let agent = await run();
    const pushes = pushing(t, sequence);
    await pushes.more(30);
    await allArrived(vm, sequence);
    await takeAway(vm, gate);
    for (let kills = 0; kills < 2; kills++) {
      await pushes.more(40);
      await kill(agent);
      agent = await run();
    }
    await pushes.more(40);
    await bringBack(vm, gate);
    // In the midst of what has piled up.
    await until(() => [...gate.answered.values()].reduce((a, b) => a + b, 0) > 40, 'the first requests of the backlog');
    await kill(agent);
    agent = await run();
    await pushes.more(20);
    await pushes.stop();
    await allArrived(vm, sequence);
    assert.equal((await agent.stop()).code, 0);
  });
