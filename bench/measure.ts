/** Runs one collector once through one case, and reads the figures. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFakeServer, summaryOf } from '../test/helpers/kubelet.ts';
import type { BenchCase, IdleCase, KubeletCase, PointsCase, SpansCase, StartCase, ThroughputCase } from './cases.ts';
import { podLogs, recordsOf } from './generate.ts';
import { sendLoad } from './load.ts';
import {
  type CollectorProcess,
  cpuSeconds,
  freePort,
  memoryOf,
  startCollector,
  stopCollector,
  waitFor,
} from './process.ts';
import type { Sink, SinkCount } from './sink.ts';

/** A program under test. */
export interface Contestant {
  readonly name: 'sluice' | 'otelcol';
  readonly command: readonly string[];
  readonly version: string;
}

export type Figures = Readonly<Record<string, number>>;

export interface Bench {
  readonly sink: Sink;
  /** Generated input is kept here between runs. */
  readonly cacheDir: string;
  /** Environment of the collector besides what the configurations need. */
  readonly env: Readonly<Record<string, string>>;
}

/** `scale` shrinks the input (warm-up). */
export function measure(bench: Bench, c: BenchCase, who: Contestant, scale = 1): Promise<Figures> {
  switch (c.kind) {
    case 'throughput':
      return throughput(bench, c, who, scale);
    case 'spans':
      return spans(bench, c, who, scale);
    case 'points':
      return points(bench, c, who, scale);
    case 'idle':
      return idle(bench, c, who);
    case 'start':
      return start(bench, c, who);
    case 'kubelet':
      return kubelet(bench, c, who);
  }
}

export const linesFor = (c: ThroughputCase, who: Contestant, scale = 1): number => {
  const lines = c.lines * scale * (who.name === 'otelcol' ? c.peerShare : 1);
  return Math.max(PODS, Math.round(lines / PODS) * PODS);
};

const PODS = 20;
const LINES_PER_IDLE_FILE = 10;
const MB = 1024 * 1024;

async function throughput(bench: Bench, c: ThroughputCase, who: Contestant, scale: number): Promise<Figures> {
  const lines = linesFor(c, who, scale);
  const logs = { lines, pods: PODS, kind: c.body };
  const pods = podLogs(bench.cacheDir, logs);
  warmPageCache(pods);
  return withCollector(bench, c, who, { PODS: pods }, async (collector) => {
    const count = await allArrived(bench, collector, recordsOf(logs), lines / 2 + 60_000);
    const cpu = cpuSeconds(collector.pid);
    const memory = memoryOf(collector.pid);
    return {
      lines,
      cpuSeconds: cpu,
      linesPerCpuSecond: lines / cpu,
      peakRssMb: (memory.peakRssKb * 1024) / MB,
      wireBytesPerLine: count.wireBytes / lines,
    };
  });
}

async function spans(bench: Bench, c: SpansCase, who: Contestant, scale: number): Promise<Figures> {
  const share = scale * (who.name === 'otelcol' ? c.peerShare : 1);
  const requests = Math.max(1, Math.round((c.spans * share) / c.spansPerRequest));
  const total = requests * c.spansPerRequest;
  const port = await freePort();
  return withCollector(bench, c, who, { OTLP_PORT: String(port) }, async (collector) => {
    const load = { port, requests, spansPerRequest: c.spansPerRequest };
    const sent = sendLoad(load);
    const [count] = await Promise.all([allArrived(bench, collector, total, total / 2 + 60_000), sent]);
    const cpu = cpuSeconds(collector.pid);
    const memory = memoryOf(collector.pid);
    return {
      spans: total,
      cpuSeconds: cpu,
      spansPerCpuSecond: total / cpu,
      peakRssMb: (memory.peakRssKb * 1024) / MB,
      wireBytesPerSpan: count.wireBytes / total,
    };
  });
}

async function points(bench: Bench, c: PointsCase, who: Contestant, scale: number): Promise<Figures> {
  const { agents, podsPerAgent, metricsPerPod } = c;
  const share = scale * (who.name === 'otelcol' ? c.peerShare : 1);
  const requests = Math.max(1, Math.round((c.points * share) / (podsPerAgent * metricsPerPod)));
  const total = requests * podsPerAgent * metricsPerPod;
  const port = await freePort();
  return withCollector(bench, c, who, { OTLP_PORT: String(port) }, async (collector) => {
    const sent = sendLoad({ port, requests, agents, podsPerAgent, metricsPerPod });
    const [count] = await Promise.all([allArrived(bench, collector, total, total / 2 + 60_000), sent]);
    const cpu = cpuSeconds(collector.pid);
    const memory = memoryOf(collector.pid);
    return {
      points: total,
      cpuSeconds: cpu,
      pointsPerCpuSecond: total / cpu,
      peakRssMb: (memory.peakRssKb * 1024) / MB,
      wireBytesPerPoint: count.wireBytes / total,
    };
  });
}

async function idle(bench: Bench, c: IdleCase, who: Contestant): Promise<Figures> {
  const lines = c.files * LINES_PER_IDLE_FILE;
  const pods = podLogs(bench.cacheDir, { lines, pods: c.files, kind: 'mixed' });
  return withCollector(bench, c, who, { PODS: pods }, async (collector) => {
    await allArrived(bench, collector, lines, 120_000);
    await sleep(c.settleSeconds * 1000);
    const from = performance.now();
    const before = cpuSeconds(collector.pid);
    await sleep(c.seconds * 1000);
    const cpu = cpuSeconds(collector.pid) - before;
    const memory = memoryOf(collector.pid);
    return {
      cpuPercent: (cpu * 100_000) / (performance.now() - from),
      rssMb: (memory.rssKb * 1024) / MB,
      anonMb: (memory.anonKb * 1024) / MB,
    };
  });
}

async function start(bench: Bench, c: StartCase, who: Contestant): Promise<Figures> {
  const pods = podLogs(bench.cacheDir, { lines: 10, pods: 1, kind: 'mixed' });
  return withCollector(bench, c, who, { PODS: pods }, async (collector, startedAtMs) => {
    const count = await allArrived(bench, collector, 1, 60_000, 5);
    return { firstRecordMs: count.firstAtMs - startedAtMs, cpuMs: cpuSeconds(collector.pid) * 1000 };
  });
}

async function kubelet(bench: Bench, c: KubeletCase, who: Contestant): Promise<Figures> {
  const figures: Record<string, number> = {};
  for (const pods of c.pods) {
    const text = JSON.stringify(summaryOf({ pods }));
    const server = await startFakeServer(() => ({ status: 200, text }));
    const input = { KUBELET: server.url, INTERVAL: `${Math.round(c.everyMs + c.everyMsPerPod * pods)}ms` };
    try {
      await withCollector(bench, c, who, input, async (collector) => {
        await sleep(c.settleSeconds * 1000);
        const cpu = cpuSeconds(collector.pid);
        const scrapes = server.requests.length;
        await sleep(c.seconds * 1000);
        const done = server.requests.length - scrapes;
        if ((await bench.sink.count(false)).requests < done) throw new Error('metrics are missing at the destination');
        figures[`scrapeMs${pods}`] = ((cpuSeconds(collector.pid) - cpu) * 1000) / done;
        if (c.figures.some((f) => f.key === 'samplesPerScrape'))
          figures['samplesPerScrape'] = (await bench.sink.count(true)).records / server.requests.length;
        if (pods === 110) figures['rssMb'] = (memoryOf(collector.pid).peakRssKb * 1024) / MB;
        return figures;
      });
    } finally {
      await server.close();
    }
  }
  return figures;
}

async function withCollector(
  bench: Bench,
  c: BenchCase,
  who: Contestant,
  input: Readonly<Record<string, string>>,
  use: (collector: CollectorProcess, startedAtMs: number) => Promise<Figures>,
): Promise<Figures> {
  await bench.sink.reset();
  mkdirSync(join(bench.cacheDir, 'logs'), { recursive: true });
  const logPath = join(bench.cacheDir, 'logs', `${c.name}-${who.name}.log`);
  rmSync(logPath, { force: true });
  const storage = mkdtempSync(join(bench.cacheDir, 'storage-'));
  const env = {
    ...{ ...bench.env, ...input, SINK: bench.sink.url, STORAGE: storage },
    METRICS_PORT: String(await freePort()),
  };
  const configPath = join(import.meta.dirname, 'cases', c.name, 'config.yaml');
  const startedAtMs = performance.timeOrigin + performance.now();
  const collector = startCollector({ command: who.command, configPath, env, logPath });
  try {
    return await use(collector, startedAtMs);
  } catch (e) {
    throw new Error(`${c.name}, ${who.name}: ${e instanceof Error ? e.message : e}\n${tail(logPath)}`);
  } finally {
    await stopCollector(collector, 15_000).catch(() => {});
    rmSync(storage, { recursive: true, force: true });
  }
}

/** Waits until the destination has `records`, exactly counted; decodes only while the collector pauses. */
async function allArrived(
  bench: Bench,
  collector: CollectorProcess,
  records: number,
  timeoutMs: number,
  everyMs = 50,
): Promise<SinkCount> {
  let count = await bench.sink.count(false);
  let decoded = 0;
  const arrived = await waitFor(
    async () => {
      if (!collector.alive()) throw new Error('the collector ended');
      count = await bench.sink.count(false);
      if (count.requests > decoded && (count.silentMs > 400 || records === 1)) {
        decoded = count.requests;
        count = await bench.sink.count(true);
      }
      return count.records >= records;
    },
    timeoutMs,
    everyMs,
  );
  if (!arrived) throw new Error(`only ${count.records} of ${records} records arrived`);
  if (records > 1 && count.records > records)
    throw new Error(`${count.records} records arrived, ${records} were written`);
  return count;
}

/** Reads all files once, so that no run is the first to read from the disk. */
function warmPageCache(dir: string): void {
  for (const e of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (e.isFile()) readFileSync(join(e.parentPath, e.name));
  }
}

function tail(logPath: string): string {
  return readFileSync(logPath, 'utf8').split('\n').slice(-15).join('\n');
}
