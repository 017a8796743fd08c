/** What was accepted is in the real VictoriaMetrics, although it or the agent was killed. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, defer, tempDir, until } from './helpers/agent.ts';
import { fileOfPoints, type Json, Sequence, seriesName } from './helpers/metric-points.ts';
import { type Parts, remoteWrite, SCRAPERS, startMetricsAgent } from './helpers/metrics-agent.ts';
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
  const agent = await startMetricsAgent(t, dir, {
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
      startMetricsAgent(t, dir, {
        otlpPort,
        exporters: remoteWrite(gate.url, writer),
        ...(extensions && { extensions }),
      });
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
