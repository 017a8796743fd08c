/**
 * Measures Sluice and the real collector side by side: `npm run bench -- [--case NAME]… [--lines N] [--runs N] [--source]
 * [--profile] [--quick]`. The peer's program is named by the environment variable OTELCOL; without it the ratio is unknown.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type BenchCase, CASES } from './cases.ts';
import { oursContestant, peerContestant } from './contestants.ts';
import { type Bench, type Contestant, type Figures, measure } from './measure.ts';
import { loadAverage } from './process.ts';
import { selfTimes } from './profile.ts';
import { type CaseResult, circumstances, publish, readResults, resultOf, table } from './report.ts';
import { scale } from './scale.ts';
import { startSink } from './sink.ts';

const ROOT = join(import.meta.dirname, '..');
const CACHE = join(ROOT, '.cache', 'bench');
const QUIET_LOAD = 1.5;
const PATIENCE_MS = 60_000;

const isScale = process.argv[2] === 'scale';
const { values: options } = parseArgs({
  args: isScale ? [] : process.argv.slice(2),
  options: {
    case: { type: 'string', multiple: true },
    lines: { type: 'string' },
    runs: { type: 'string', default: '3' },
    source: { type: 'boolean', default: false },
    dist: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const HELP = `npm run bench -- [options]        OTELCOL=/path/to/otelcol names the peer
npm run bench -- scale [options]  gateway and agent on simulated clusters; scale --help tells more
  --case NAME   only this case (may be repeated): ${CASES.map((c) => c.name).join(', ')}
  --lines N     lines (or spans) of the throughput cases for Sluice (the peer gets its share of them)
  --runs N      measured runs per collector and case (3)
  --source      measure the sources; otherwise dist/, built first when it is older than they are
  --profile     run Sluice once per case under the CPU profiler and list where the time goes
  --quick       one run on a tenth of the lines, a tenth of the time: does it work at all
  --dry-run     leave results.json and README.md as they are`;

async function main(): Promise<number> {
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const cases = selectCases();
  const runs = options.quick ? 1 : positive('runs', options.runs);
  const ours = oursContestant(options);
  const peer = peerContestant();
  if (!peer) console.log('OTELCOL is not set: only Sluice is measured, the ratio is unknown.\n');
  const sink = await startSink();
  const bench: Bench = { sink, cacheDir: CACHE, env: {} };
  const resultsPath = join(import.meta.dirname, 'results.json');
  const results: Record<string, CaseResult> = { ...readResults(resultsPath) };
  const measured: Record<string, CaseResult> = {};
  try {
    for (const c of cases) {
      const contestants = peer && !c.oursOnly ? [ours, peer] : [ours];
      if (options.profile) await profile(bench, c, ours);
      else measured[c.name] = results[c.name] = await runCase(bench, c, contestants, runs);
    }
  } finally {
    sink.close();
  }
  if (options.profile) return 0;
  console.log(`\n${table(measured)}\n\n${circumstances(measured)}`);
  if (options.quick || options['dry-run']) return 0;
  publish(ROOT, results);
  return 0;
}

/** One smaller run of each to warm up, then the contestants in turn. */
async function runCase(
  bench: Bench,
  c: BenchCase,
  contestants: readonly Contestant[],
  runs: number,
): Promise<CaseResult> {
  const busy = !(await quiet());
  const loads: number[] = [];
  const figures: Record<Contestant['name'], Figures[]> = { sluice: [], otelcol: [] };
  console.log(`${c.name}: ${c.title}${busy ? ' — the machine is busy, take the figures with care' : ''}`);
  if (c.kind !== 'idle' && c.kind !== 'kubelet' && !options.quick)
    for (const who of contestants) await measure(bench, c, who, 0.1);
  const times = c.kind === 'start' ? (options.quick ? 2 : c.starts) : runs;
  for (let run = 0; run < times; run++) {
    for (const who of contestants) {
      loads.push(loadAverage());
      const f = await measure(bench, c, who);
      figures[who.name].push(f);
      const text = c.figures.map(
        (figure) => `${figure.label} ${round(f[figure.key])}${figure.unit && ` ${figure.unit}`}`,
      );
      console.log(`  ${who.name.padEnd(7)} ${text.join(', ')} (load ${loads.at(-1)})`);
    }
  }
  return resultOf(figures, contestants, { loads, busy });
}

const round = (n: number | undefined): string => (n === undefined ? '–' : n >= 100 ? n.toFixed(0) : n.toPrecision(3));

async function profile(bench: Bench, c: BenchCase, ours: Contestant): Promise<void> {
  const dir = join(CACHE, 'profiles', c.name);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  await measure({ ...bench, env: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${dir}` } }, c, ours);
  console.log(`${c.name}: self time of the busiest functions`);
  for (const f of selfTimes(dir, 25)) console.log(`  ${(f.share * 100).toFixed(1).padStart(5)} %  ${f.name}`);
}

/** Waits for a quiet machine; false when it did not get quiet. Only asked before a case: our own runs are load, too. */
async function quiet(): Promise<boolean> {
  const end = performance.now() + (options.quick ? 0 : PATIENCE_MS);
  while (loadAverage() > QUIET_LOAD) {
    if (performance.now() >= end) return false;
    await sleep(2000);
  }
  return true;
}

function selectCases(): BenchCase[] {
  const names = options.case ?? CASES.map((c) => c.name);
  return names.map((name) => {
    const found = CASES.find((c) => c.name === name);
    if (!found) throw new Error(`unknown case ${name}; known: ${CASES.map((c) => c.name).join(', ')}`);
    return resize(found);
  });
}

function resize(c: BenchCase): BenchCase {
  const asked = options.lines === undefined ? undefined : positive('lines', options.lines);
  switch (c.kind) {
    case 'throughput':
      return { ...c, lines: asked ?? (options.quick ? c.lines / 10 : c.lines) };
    case 'spans':
      return { ...c, spans: asked ?? (options.quick ? c.spans / 10 : c.spans) };
    case 'points':
      return { ...c, points: asked ?? (options.quick ? c.points / 10 : c.points) };
    case 'idle':
    case 'kubelet':
      return options.quick ? { ...c, settleSeconds: 3, seconds: 5 } : c;
    case 'start':
      return c;
  }
}

function positive(name: string, text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n <= 0) throw new Error(`--${name} ${text}: must be a positive whole number`);
  return n;
}

const run = isScale ? scale(process.argv.slice(3)) : main();
process.exitCode = await run.catch((e: unknown) => {
  console.error(e instanceof Error ? e.message : e);
  return 1;
});
