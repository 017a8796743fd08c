/**
 * `npm run bench -- scale`: the gateway and the agent on simulated clusters. What is measured is the collector's process
 * alone; the API server, the kubelet and the writer of logs are another one, the destination a third.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { oursContestant, peerContestant } from './contestants.ts';
import { heapSnapshot, type LiveBytes, liveBytes } from './heap.ts';
import type { Contestant, Figures } from './measure.ts';
import {
  type CollectorProcess,
  cpuSeconds,
  freePort,
  loadAverage,
  memoryOf,
  startCollector,
  stopCollector,
  waitFor,
} from './process.ts';
import { selfTimes } from './profile.ts';
import { type CaseResult, circumstances, publish, readResults, resultOf, table } from './report.ts';
import { podsOfCase, SCALE_CASES, type ScaleCase } from './scale-cases.ts';
import { type ClusterServer, startClusterServer } from './scale-server.ts';
import { type Sink, startSink } from './sink.ts';

const ROOT = join(import.meta.dirname, '..');
const CACHE = join(ROOT, '.cache', 'bench');
const MB = 1024 * 1024;
/** As in the configurations. */
const INTERVAL_S = 10;
const SETTLE_MS = 2000;
const PATIENCE_MS = 180_000;
const QUIET_LOAD = 1.5;

const HELP = `npm run bench -- scale [options]        OTELCOL=/path/to/otelcol names the peer
  --pods N      only this size (may be repeated): ${[...new Set(SCALE_CASES.map(podsOfCase))].join(', ')}
  --case NAME   only this case (may be repeated): ${SCALE_CASES.map((c) => c.name).join(', ')}
  --runs N      measured runs per collector and case (1)
  --ours        without the peer
  --peer        the peer also where it takes gigabytes
  --collections N  that are measured in a run (2)
  --source      measure the sources; otherwise dist/, built first when it is older than they are
  --profile     list where Sluice's time goes; keep a heap snapshot
  --dry-run     leave results.json and README.md as they are`;

interface Setup {
  readonly sink: Sink;
  readonly collections: number;
  readonly isProfiled: boolean;
}

export async function scale(args: readonly string[]): Promise<number> {
  const { values: options } = parseArgs({
    args: [...args],
    options: {
      pods: { type: 'string', multiple: true },
      case: { type: 'string', multiple: true },
      runs: { type: 'string', default: '1' },
      collections: { type: 'string', default: '2' },
      ours: { type: 'boolean', default: false },
      peer: { type: 'boolean', default: false },
      source: { type: 'boolean', default: false },
      dist: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const cases = chosen(options.pods, options.case);
  const ours = oursContestant(options);
  const peer = options.ours || options.profile ? undefined : peerContestant();
  if (!peer && !options.ours) console.log('OTELCOL is not set: only Sluice is measured, the ratio is unknown.\n');
  const resultsPath = join(import.meta.dirname, 'results.json');
  const results: Record<string, CaseResult> = { ...readResults(resultsPath) };
  const measured: Record<string, CaseResult> = {};
  const sink = await startSink();
  const setup = { sink, collections: Number(options.collections), isProfiled: options.profile };
  try {
    for (const c of cases) {
      const contestants = peer && (c.hasPeer || options.peer) ? [ours, peer] : [ours];
      measured[c.name] = results[c.name] = await runCase(setup, c, contestants, Number(options.runs));
    }
  } finally {
    sink.close();
  }
  console.log(`\n${table(measured)}\n\n${circumstances(measured)}\n`);
  for (const c of cases)
    for (const [key, aim] of Object.entries(c.aims)) {
      const figure = c.figures.find((f) => f.key === key)!;
      const value = measured[c.name]!.sluice[key]!.median;
      const text = `${figure.label}: ${Number(value.toPrecision(3))} ${figure.unit}, aim at most ${aim} ${figure.unit}`;
      console.log(`${value <= aim ? 'reached' : 'MISSED '}  ${c.name}: ${text}`);
    }
  if (options['dry-run'] || options.profile) return 0;
  publish(ROOT, results);
  return 0;
}

function chosen(pods: readonly string[] | undefined, names: readonly string[] | undefined): readonly ScaleCase[] {
  if (!pods && !names) return SCALE_CASES;
  const sizes = (pods ?? []).map((p) => Number(p.replaceAll(',', '')));
  const found = SCALE_CASES.filter((c) => sizes.includes(podsOfCase(c)) || names?.includes(c.name));
  if (found.length === 0) throw new Error(`no such case; known: ${SCALE_CASES.map((c) => c.name).join(', ')}`);
  return found;
}

async function runCase(
  setup: Setup,
  c: ScaleCase,
  contestants: readonly Contestant[],
  runs: number,
): Promise<CaseResult> {
  const loads: number[] = [];
  const busy = loadAverage() > QUIET_LOAD;
  const figures: Record<Contestant['name'], Figures[]> = { sluice: [], otelcol: [] };
  console.log(`${c.name}: ${c.title}${busy ? ' — the machine is busy, take the figures with care' : ''}`);
  const state = join(CACHE, 'scale');
  mkdirSync(state, { recursive: true });
  const base = c.hasBase ? await liveWithoutPods(setup, c, contestants[0]!, state) : undefined;
  for (let run = 0; run < runs; run++)
    for (const who of contestants) {
      loads.push(loadAverage());
      const f = await once(setup, c, who, state, base);
      figures[who.name].push(f);
      const text = c.figures
        .filter(({ key }) => f[key] !== undefined)
        .map(({ key, label, unit }) => `${label} ${Number(f[key]!.toPrecision(3))} ${unit}`);
      console.log(`  ${who.name.padEnd(7)} ${text.join(', ')} (load ${loads.at(-1)})`);
    }
  return resultOf(figures, contestants, { loads, busy });
}

interface Run {
  readonly collector: CollectorProcess;
  readonly server: ClusterServer;
  readonly logPath: string;
}

/** A cluster, and a collector that looks at it, until `use` is done. */
async function withCollector<T>(
  setup: Setup,
  c: ScaleCase,
  who: Contestant,
  state: string,
  size: ScaleCase['size'],
  use: (run: Run) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(state, `${c.name}-`));
  const logs = join(directory, 'pods');
  const storage = join(directory, 'storage');
  for (const d of [logs, storage]) mkdirSync(d);
  const server = await startClusterServer(c.tier === 'agent' ? { ...size, logs } : size);
  const logPath = join(directory, 'collector.log');
  let collector: CollectorProcess | undefined;
  try {
    const kubeconfig = join(directory, 'kubeconfig');
    writeFileSync(kubeconfig, kubeconfigOf(server.url));
    await setup.sink.reset();
    collector = startCollector({
      command: who.command,
      configPath: join(import.meta.dirname, 'cases', c.config, 'config.yaml'),
      env: {
        SINK: setup.sink.url,
        METRICS_PORT: String(await freePort()),
        KUBECONFIG: kubeconfig,
        KUBELET: server.kubeletUrl,
        K8S_NODE_NAME: server.node,
        PODS: logs,
        STORAGE: storage,
        ...(who.name === 'sluice' ? { NODE_OPTIONS: nodeOptions(setup, c) } : {}),
      },
      logPath,
    });
    return await use({ collector, server, logPath });
  } catch (e) {
    const tail = readFileSync(logPath, 'utf8').split('\n').slice(-15).join('\n');
    throw new Error(`${c.name}, ${who.name}: ${e instanceof Error ? e.message : e}\n${tail}`, { cause: e });
  } finally {
    // All is measured, and nobody needs what is still on its way; a profile is written at the end.
    if (collector) await stopCollector(collector, setup.isProfiled ? 60_000 : 0).catch(() => {});
    server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The inspector opens only when it is asked, after everything else was measured. */
function nodeOptions({ isProfiled }: Setup, c: ScaleCase): string {
  const inspector = '--inspect-port=127.0.0.1:0';
  return isProfiled ? `${inspector} --cpu-prof --cpu-prof-dir=${profileDir(c)}` : inspector;
}

const profileDir = (c: ScaleCase): string => join(CACHE, 'profiles', c.name);

const kubeconfigOf = (url: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bench',
    clusters: [{ name: 'bench', cluster: { server: url } }],
    users: [{ name: 'bench', user: { token: 'none' } }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
  });

/** Of the same cluster without a single pod. */
async function liveWithoutPods(setup: Setup, c: ScaleCase, who: Contestant, state: string): Promise<LiveBytes> {
  return withCollector({ ...setup, isProfiled: false }, c, who, state, { ...c.size, hasPods: false }, async (run) => {
    await waitFor(async () => (await run.server.counts()).openWatches > 0, PATIENCE_MS, 500);
    await sleep(SETTLE_MS * 5);
    return liveBytes(run.collector.pid, run.logPath);
  });
}

async function firstData({ sink }: Setup, { collector }: Run): Promise<void> {
  let requests = 0;
  const arrived = await waitFor(
    async () => {
      if (!collector.alive()) throw new Error('the collector ended');
      const now = await sink.count(false);
      // The first collection is complete when nothing of it follows any more.
      const isOver = now.requests > 0 && now.requests === requests && now.silentMs > 1000;
      requests = now.requests;
      return isOver;
    },
    PATIENCE_MS,
    500,
  );
  if (!arrived) throw new Error('no data arrived');
}

async function once(
  setup: Setup,
  c: ScaleCase,
  who: Contestant,
  state: string,
  base: LiveBytes | undefined,
): Promise<Figures> {
  if (setup.isProfiled) rmSync(profileDir(c), { recursive: true, force: true });
  const figures = await withCollector(setup, c, who, state, c.size, async (run) => {
    const { collector, server, logPath } = run;
    await firstData(setup, run);
    const syncSeconds = cpuSeconds(collector.pid);
    const initial = await server.counts();
    await sleep(SETTLE_MS);
    // As when their time is over: they have to go on where they were.
    await server.endWatches();
    // The first collections are made before V8 has optimized what they run.
    await sleep(c.tier === 'gateway' ? INTERVAL_S * 1000 : SETTLE_MS);
    const before = await server.counts();
    const samplesBefore = (await setup.sink.count(true)).records;
    const cpuBefore = cpuSeconds(collector.pid);
    const startedMs = performance.now();
    const rss: number[] = [];
    while (performance.now() - startedMs < setup.collections * INTERVAL_S * 1000 - 500) {
      await sleep(1000);
      rss.push(memoryOf(collector.pid).rssKb / 1024);
    }
    await sleep(Math.max(0, setup.collections * INTERVAL_S * 1000 - (performance.now() - startedMs)));
    const seconds = (performance.now() - startedMs) / 1000;
    const cpu = cpuSeconds(collector.pid) - cpuBefore;
    const after = await server.counts();
    const peak = memoryOf(collector.pid).peakRssKb / 1024;
    const samples = (await setup.sink.count(true)).records - samplesBefore;
    check(c, who, initial.lists, after, samples);
    const live = base !== undefined && who.name === 'sluice' ? await liveBytes(collector.pid, logPath) : undefined;
    if (setup.isProfiled) {
      mkdirSync(profileDir(c), { recursive: true });
      await heapSnapshot(collector.pid, logPath, join(CACHE, `${c.name}.heapsnapshot`));
    }
    return {
      rssMb: rss.toSorted((a, b) => a - b)[rss.length >> 1]!,
      peakRssMb: peak,
      syncSeconds,
      initialMb: initial.bytes / MB,
      steadyKbPerSecond: (after.bytes - before.bytes) / 1024 / seconds,
      samplesPerSecond: samples / seconds,
      ...(c.tier === 'gateway'
        ? { collectionSeconds: (cpu / seconds) * INTERVAL_S }
        : { cpuPercent: (cpu / seconds) * 100 }),
      ...(live === undefined || base === undefined
        ? {}
        : {
            heapBytesPerPod: (live.heap - base.heap) / c.size.pods,
            bufferBytesPerPod: (live.buffers - base.buffers) / c.size.pods,
          }),
    };
  });
  if (setup.isProfiled)
    for (const f of selfTimes(profileDir(c), 25))
      console.log(`  ${(f.share * 100).toFixed(1).padStart(5)} %  ${f.name}`);
  return figures;
}

/** That the figures are of a collector that did its work, and did not read everything again. */
function check(
  c: ScaleCase,
  who: Contestant,
  listsAtFirst: number,
  after: { lists: number; openWatches: number },
  samples: number,
): void {
  if (samples === 0) throw new Error('no data arrived while it was measured');
  if (after.openWatches === 0) throw new Error('nothing is watched');
  const again = after.lists - listsAtFirst;
  if (again === 0) return;
  const text = `${c.name}: ${who.name} read all objects again ${again} times after its watches had ended`;
  if (who.name === 'sluice') throw new Error(text);
  console.log(`  ${text}`);
}
