/** Against the real VictoriaMetrics: what queries answer is what was measured and what was pushed. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { tempDir, until } from './helpers/agent.ts';
import { isIdle, keyOf, machine } from './helpers/machine.ts';
import { attributes, type Json, metricsRequest, pushMetrics, seriesName } from './helpers/metric-points.ts';
import { type Parts, remoteWrite, SCRAPERS, startMetricsAgent } from './helpers/metrics-agent.ts';
import { portForLong, startGate, startVictoriaMetrics, victoriaMetricsProgram } from './helpers/victoria-metrics.ts';

const program = await victoriaMetricsProgram();
const skip = program.missing ?? false;
const needsProc = process.platform === 'linux' ? skip : 'there is no /proc';

test('the host in VictoriaMetrics is the host of /proc and statfs', { skip: needsProc }, async (t) => {
  const vm = await startVictoriaMetrics(t, program);
  const filesystem = {
    include_virtual_filesystems: true,
    include_mount_points: { mount_points: ['/'], match_type: 'strict' },
  };
  await startMetricsAgent(t, tempDir(t), {
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
    const agent = await startMetricsAgent(t, dir, parts);
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
  assert.deepEqual([...new Set(all.map((s) => s.labels['host_name']))], [hostname()]);
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

/** A metric of each type that remote write can carry to any version of VictoriaMetrics, and what queries make of them. */
function oneOfEach(timeMs: number): Json {
  const at = { timeUnixNano: `${timeMs}000000`, startTimeUnixNano: `${timeMs - 60_000}000000` };
  const room = (name: string, more: Json): Json => ({ ...at, attributes: attributes({ 'room.name': name }), ...more });
  return metricsRequest(
    [
      {
        name: 'temperature',
        unit: 'Cel',
        gauge: {
          dataPoints: [
            room('hall', { asDouble: -21.25 }),
            room('a "b"\\c\näöü', { asDouble: 0.1 }),
            room('far', { asDouble: 1e300 }),
            room('near', { asDouble: 1e-300 }),
            room('many', { asInt: '9007199254740991' }),
          ],
        },
      },
      {
        name: 'http.requests',
        sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [room('hall', { asInt: '42' })] },
      },
      {
        name: 'queue.size',
        unit: 'By',
        sum: { aggregationTemporality: 2, dataPoints: [room('hall', { asInt: '-7' })] },
      },
      {
        name: 'latency',
        unit: 's',
        histogram: {
          aggregationTemporality: 2,
          dataPoints: [
            room('hall', { count: '10', sum: 4.5, bucketCounts: ['5', '5', '0'], explicitBounds: [0.1, 1] }),
          ],
        },
      },
      {
        name: 'rpc',
        summary: {
          dataPoints: [room('hall', { count: '3', sum: 6, quantileValues: [{ quantile: 0.5, value: 1.5 }] })],
        },
      },
    ],
    {
      'service.name': 'cart',
      'service.namespace': 'shop',
      'service.instance.id': 'cart-1',
      'k8s.pod.name': 'cart-abc',
    },
  );
}

const HALL = 'room_name="hall",job="shop/cart",instance="cart-1",k8s_pod_name="cart-abc"';
const ANSWERS: readonly [string, number][] = [
  [`temperature_celsius{${HALL}}`, -21.25],
  ['temperature_celsius{room_name="a \\"b\\"\\\\c\\näöü"}', 0.1],
  ['temperature_celsius{room_name="far"}', 1e300],
  ['temperature_celsius{room_name="near"}', 1e-300],
  ['temperature_celsius{room_name="many"}', 9_007_199_254_740_991],
  [`http_requests_total{${HALL}}`, 42],
  [`queue_size_bytes{${HALL}}`, -7],
  [`latency_seconds_count{${HALL}}`, 10],
  [`latency_seconds_sum{${HALL}}`, 4.5],
  [`latency_seconds_bucket{${HALL},le="0.1"}`, 5],
  [`latency_seconds_bucket{${HALL},le="1"}`, 10],
  [`latency_seconds_bucket{${HALL},le="+Inf"}`, 10],
  [`histogram_quantile(0.5, sum(latency_seconds_bucket{${HALL}}) by (le))`, 0.1],
  [`histogram_quantile(0.75, sum(latency_seconds_bucket{${HALL}}) by (le))`, 0.55],
  [`rpc{${HALL},quantile="0.5"}`, 1.5],
  [`rpc_sum{${HALL}}`, 6],
  [`rpc_count{${HALL}}`, 3],
  ['target_info{job="shop/cart",instance="cart-1",k8s_pod_name="cart-abc"}', 1],
  ['temperature_celsius{room_name="hall"} * on(job, instance) group_left() target_info', -21.25],
];

for (const compression of ['snappy', 'zstd'])
  test(`compression ${compression}: every type of metric can be queried`, { skip }, async (t) => {
    const vm = await startVictoriaMetrics(t, program);
    const gate = await startGate(t);
    await gate.open(vm.url);
    const otlpPort = await portForLong();
    const agent = await startMetricsAgent(t, tempDir(t), {
      otlpPort,
      exporters: remoteWrite(gate.url, { compression, resource_to_telemetry_conversion: { enabled: true } }),
    });
    const timeMs = Date.now() - 10_000;
    assert.ok(await pushMetrics(otlpPort, oneOfEach(timeMs)));
    await until(async () => (await vm.stored('rpc_count')).length > 0, 'the metrics');
    for (const [query, value] of ANSWERS) {
      const answer = await vm.query(query, timeMs);
      assert.deepEqual(
        answer.map((s) => Math.abs(s.value - value) <= Math.abs(value) * 1e-11),
        [true],
        `${query}: ${JSON.stringify(answer)} instead of ${value}`,
      );
    }
    for (const s of await vm.stored('{__name__=~".+"}'))
      assert.deepEqual(
        s.samples.map(([time]) => time),
        [timeMs],
        JSON.stringify(s.labels),
      );

    // VictoriaMetrics before 1.88 does not know zstd: then the exporter goes over to snappy, and nothing is lost.
    const knows = await fetch(vm.writeUrl, {
      method: 'POST',
      headers: { 'content-encoding': 'zstd' },
      body: zstdCompressSync(Buffer.alloc(0)),
    });
    const isRefused = compression === 'zstd' && !knows.ok;
    assert.equal(agent.output.includes('refuses zstd'), isRefused, agent.output);
    const used = isRefused ? 'snappy' : compression;
    assert.deepEqual([...gate.answered.keys()], isRefused ? ['400 zstd', '204 snappy'] : [`204 ${used}`]);

    const gone = { timeUnixNano: `${timeMs + 1000}000000`, attributes: attributes({ 'room.name': 'hall' }), flags: 1 };
    const end = metricsRequest([{ name: 'temperature', unit: 'Cel', gauge: { dataPoints: [gone] } }], {
      'service.name': 'cart',
      'service.namespace': 'shop',
      'service.instance.id': 'cart-1',
      'k8s.pod.name': 'cart-abc',
    });
    assert.ok(await pushMetrics(otlpPort, end));
    const hall = `temperature_celsius{${HALL}}`;
    await until(async () => (await vm.stored(hall))[0]!.samples.length === 2, 'the stale marker');
    assert.deepEqual(await vm.query(hall, timeMs + 2000), []);
    assert.equal((await vm.query(hall, timeMs + 500)).length, 1);
  });

test('OTLP to VictoriaMetrics and remote write agree', { skip }, async (t) => {
  const vm = await startVictoriaMetrics(t, program);
  const takesOtlp = await fetch(`${vm.url}/opentelemetry/v1/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: '',
  });
  if (!takesOtlp.ok)
    return t.skip(`this VictoriaMetrics takes no OTLP: ${(await takesOtlp.text()).slice(-120).trim()}`);
  const otlpPort = await portForLong();
  await startMetricsAgent(t, tempDir(t), {
    otlpPort,
    exporters: {
      ...remoteWrite(vm.url, { external_labels: { via: 'remote write' } }),
      otlp_http: { metrics_endpoint: `${vm.url}/opentelemetry/v1/metrics` },
    },
  });
  // Names that mean the same on both ways: without dots and units.
  const at = { timeUnixNano: `${Date.now() - 10_000}000000`, attributes: attributes({ lane: 'a' }) };
  const cumulative = { aggregationTemporality: 2, isMonotonic: true };
  const request = metricsRequest([
    { name: 'reading', gauge: { dataPoints: [{ ...at, asDouble: 0.3 }] } },
    { name: 'pushed_total', sum: { ...cumulative, dataPoints: [{ ...at, asInt: '12' }] } },
    {
      name: 'size',
      histogram: {
        aggregationTemporality: 2,
        dataPoints: [{ ...at, count: '3', sum: 7.5, bucketCounts: ['1', '2', '0'], explicitBounds: [0.5, 10] }],
      },
    },
    {
      name: 'rpc',
      summary: { dataPoints: [{ ...at, count: '3', sum: 6, quantileValues: [{ quantile: 0.5, value: 1.5 }] }] },
    },
  ]);
  assert.ok(await pushMetrics(otlpPort, request));
  const found = async (via: string): Promise<string[]> =>
    (await vm.stored(`{lane="a",via="${via}"}`))
      .map(({ labels, samples }) => {
        const { __name__, le, quantile } = labels;
        return JSON.stringify([__name__, le, quantile, samples]);
      })
      .sort();
  await until(async () => (await found('')).length > 0 && (await found('remote write')).length > 0, 'both');
  const direct = await found('');
  assert.equal(direct.length, 1 + 1 + 5 + 3, direct.join('\n'));
  assert.deepEqual(await found('remote write'), direct);
});
