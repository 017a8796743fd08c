/**
 * Tries to make the collector lose log lines: `npm run chaos -- [rounds|outage|kubernetes] [--rounds N] [--seed S] [--only N]
 * [--dist | --collector PROGRAM] [--minutes N] [--keep]`. Exits with 1 when a line was lost, doubled without reason,
 * damaged, or not accounted for; of `kubernetes` also when anything in the end is not as at the API server.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { planKubernetes } from './kubernetes/plan.ts';
import { runKubernetesRound } from './kubernetes/round.ts';
import { runOutage } from './outage.ts';
import { planRound, type QueueKind } from './plan.ts';
import { type CollectorUnderTest, type RoundResult, runRound } from './round.ts';

/** Rounds of a scenario when nobody says how many. */
const ROUNDS = { rounds: '100', kubernetes: '20' } as const;
const ROOT = join(import.meta.dirname, '..', '..');

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string' },
    scenario: { type: 'string' },
    collector: { type: 'string' },
    dist: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '15' },
    'size-mb': { type: 'string', default: '2048' },
    keep: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const work = mkdtempSync(join(tmpdir(), 'sluice-chaos-'));
  const collector = collectorUnderTest();
  const scenario = positionals[0] ?? options.scenario ?? 'rounds';
  switch (scenario) {
    case 'rounds':
      return rounds(work, collector);
    case 'kubernetes':
      return kubernetes(work, collector);
    case 'outage': {
      const problems = await runOutage({ sizeBytes: number('size-mb') * 1024 * 1024, collector, dir: work });
      if (problems.length === 0 && !options.keep) rmSync(work, { recursive: true });
      else console.log(`evidence: ${work}`);
      for (const p of problems) console.log(`FAILED: ${p}`);
      return problems.length ? 1 : 0;
    }
    default:
      throw new Error(`${scenario}: known are rounds, outage and kubernetes`);
  }
}

function planned(scenario: keyof typeof ROUNDS) {
  const seed = options.seed === undefined ? Date.now() % 1_000_000 : number('seed');
  const count = options.rounds === undefined ? Number(ROUNDS[scenario]) : number('rounds');
  const wanted = options.only === undefined ? [...Array(count).keys()] : [number('only')];
  const end = performance.now() + number('minutes') * 60_000;
  console.log(`seed ${seed}: repeat a round with --seed ${seed} --only N`);
  return { seed, wanted, end };
}

async function kubernetes(work: string, collector: CollectorUnderTest): Promise<number> {
  const { seed, wanted, end } = planned('kubernetes');
  let failed = 0;
  let done = 0;
  for (const round of wanted) {
    if (performance.now() > end) {
      console.log(`stopped after ${done} rounds: ${options.minutes} minutes are over (--minutes)`);
      break;
    }
    const dir = join(work, `round-${round}`);
    mkdirSync(dir);
    const plan = planKubernetes(seed, round);
    const result = await runKubernetesRound(plan, collector.command, dir);
    done++;
    const isBad = result.problems.length > 0;
    if (isBad) failed++;
    console.log(
      [
        `round ${String(round).padStart(3)} ${isBad ? 'FAILED' : 'ok    '}`,
        `${(plan.durationMs / 1000).toFixed(0).padStart(3)} s`,
        `events ${String(result.events).padStart(4)} repeated ${result.repeated} lines ${String(result.lines).padStart(4)}`,
        `requests ${String(result.requests).padStart(4)} lists ${String(result.lists).padStart(3)} 410 ${String(result.gones).padStart(3)}`,
        `kills ${result.kills} caught up in ${(result.caughtUpMs / 1000).toFixed(1)} s`,
        `queue ${plan.queue}${plan.hasElector ? ', elector' : ''}: ${plan.faults.map((f) => f.kind).join(' ')}`,
      ].join('  '),
    );
    for (const p of result.problems) console.log(`          ${p}`);
    if (isBad) console.log(`          evidence: ${dir}`);
    else if (!options.keep) rmSync(dir, { recursive: true });
  }
  console.log(`${done - failed} passed, ${failed} failed (seed ${seed})`);
  if (!failed && !options.keep) rmSync(work, { recursive: true });
  return failed ? 1 : 0;
}

async function rounds(work: string, collector: CollectorUnderTest): Promise<number> {
  const { seed, wanted, end } = planned('rounds');
  const results: { queue: QueueKind; result: RoundResult }[] = [];
  let failed = 0;
  for (const round of wanted) {
    if (performance.now() > end) {
      console.log(`stopped after ${results.length} rounds: ${options.minutes} minutes are over (--minutes)`);
      break;
    }
    const dir = join(work, `round-${round}`);
    mkdirSync(dir);
    const plan = planRound(seed, round);
    const result = await runRound(plan, collector, dir);
    results.push({ queue: plan.queue, result });
    const bad = result.problems.length > 0;
    if (bad) failed++;
    console.log(
      [
        `round ${String(round).padStart(3)} ${bad ? 'FAILED' : 'ok    '}`,
        `${plan.format.padEnd(5)} ${plan.rotations.join('+').padEnd(24)} ${plan.naming.padEnd(8)}`,
        `queue ${plan.queue.padEnd(10)} ${plan.batch ? 'batch' : '     '}`,
        `kills ${result.kills}/${plan.disruptions.length} rotations ${String(result.rotations).padStart(3)}`,
        `lines ${String(result.written).padStart(6)} lost ${result.missing} doubled ${result.duplicates}`,
        `requests ${result.requests} (${result.refused} refused) caught up in ${(result.caughtUpMs / 1000).toFixed(1)} s`,
      ].join('  '),
    );
    for (const p of result.problems) console.log(`          ${p}`);
    if (bad) console.log(`          evidence: ${dir}`);
    else if (!options.keep) rmSync(dir, { recursive: true });
  }
  summary(results);
  console.log(`${results.length - failed} passed, ${failed} failed (seed ${seed})`);
  if (!failed && !options.keep) rmSync(work, { recursive: true });
  return failed ? 1 : 0;
}

function summary(results: readonly { queue: QueueKind; result: RoundResult }[]): void {
  const line = (label: string, some: readonly RoundResult[]): void => {
    const sum = (of: (r: RoundResult) => number): number => some.reduce((n, r) => n + of(r), 0);
    const written = sum((r) => r.written);
    const share = (n: number): string => (written ? `${((n * 100) / written).toFixed(2)} %` : '–');
    console.log(
      `${label.padEnd(16)} ${some.length} rounds, ${sum((r) => r.kills)} kill -9, ${sum((r) => r.rotations)} rotations, ` +
        `${sum((r) => r.deletedFiles)} deletions, ${written} lines: ` +
        `lost ${sum((r) => r.missing)} (${share(sum((r) => r.missing))}), doubled ${sum((r) => r.duplicates)} (${share(sum((r) => r.duplicates))})`,
    );
  };
  console.log();
  for (const queue of ['none', 'memory', 'persistent'] as const) {
    const some = results.filter((r) => r.queue === queue).map((r) => r.result);
    if (some.length) line(`queue ${queue}`, some);
  }
  line(
    'together',
    results.map((r) => r.result),
  );
}

function collectorUnderTest(): CollectorUnderTest {
  if (options.collector !== undefined) {
    const isSluice = /^sluice /.test(execFileSync(options.collector, ['--version'], { encoding: 'utf8' }));
    return { command: [options.collector], hasLedger: isSluice, patienceMs: isSluice ? 15_000 : 5000 };
  }
  const program = join(ROOT, ...(options.dist ? ['dist'] : []), 'bin', 'sluice');
  if (!existsSync(program)) throw new Error(`${program} does not exist (npm run build)`);
  return { command: [program, 'run'], hasLedger: true, patienceMs: 15_000 };
}

function number(name: 'rounds' | 'seed' | 'only' | 'minutes' | 'size-mb'): number {
  const n = Number(options[name]);
  if (!Number.isInteger(n) || n < 0) throw new Error(`--${name} ${options[name]}: must be a whole number`);
  return n;
}

process.exitCode = await main().catch((e: unknown) => {
  console.error(e instanceof Error ? e.stack : e);
  return 1;
});
