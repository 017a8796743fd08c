/** One round: a collector is killed and started again while files rotate under it and the destination misbehaves. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../bench/generate.ts';
import { type CollectorProcess, startCollector, stopCollector, waitFor } from '../../bench/process.ts';
import { Destination } from './destination.ts';
import { ledgerLines, ledgerProblems } from './ledger.ts';
import { collectorConfig, EXPORT_TIMEOUT_MS, type RoundPlan } from './plan.ts';
import { type LineRange, Tally } from './tally.ts';
import { startWriter, type Written } from './writer.ts';

export interface CollectorUnderTest {
  readonly command: readonly string[];
  /** It keeps a ledger: its absence is an error. */
  readonly hasLedger: boolean;
  /** How long nothing may arrive before the rest counts as lost. */
  readonly patienceMs: number;
}

export interface RoundResult {
  readonly problems: readonly string[];
  readonly written: number;
  readonly missing: number;
  readonly duplicates: number;
  readonly requests: number;
  readonly refused: number;
  readonly rotations: number;
  readonly deletedFiles: number;
  readonly caughtUpMs: number;
  readonly kills: number;
}

/** What may be read but not settled when it is killed (default of `unsettled_window`), and so be sent again. */
const UNSETTLED_WINDOW_BYTES = 16 * 1024 * 1024;
const STOP_GRACE_MS = 20_000;
/** Files of the life before that are not found are called lost after two seconds: the last account is to tell of them. */
const LAST_LIFE_MS = 3_000;

/** Runs the round in `dir` (made by the caller, kept by it for evidence when there are problems). */
export async function runRound(plan: RoundPlan, collector: CollectorUnderTest, dir: string): Promise<RoundResult> {
  const paths = { logs: join(dir, 'logs'), storage: join(dir, 'storage'), config: join(dir, 'config.yaml') };
  mkdirSync(paths.logs);
  mkdirSync(paths.storage);
  writeFileSync(paths.config, collectorConfig(plan, `${paths.logs}/*.log*`));
  writeFileSync(join(dir, 'plan.json'), JSON.stringify(plan, undefined, 2));

  const tally = new Tally(plan.queue === 'persistent');
  const random = seededRandom(plan.seed ^ (plan.round << 8));
  const destination = new Destination({ tally, random, stallMs: EXPORT_TIMEOUT_MS + 1000 });
  const env = { STORAGE: paths.storage, DESTINATION: await destination.listen() };
  const logOf = (life: number): string => join(dir, `collector-${life}.log`);
  const start = (): CollectorProcess =>
    startCollector({ command: collector.command, configPath: paths.config, env, logPath: logOf(destination.life) });
  const problems: string[] = [];

  let running = start();
  let startedLastMs = performance.now();
  const writer = startWriter({ ...plan, dir: paths.logs, rotateEveryMs: 100 });
  const stopMoods = followMoods(plan, destination);
  const stopConfirming = confirmLate(tally, (complete) => writer.confirm(complete));
  let written: Written;
  let caughtUpMs = 0;
  try {
    const startedAt = performance.now();
    for (const d of plan.disruptions) {
      await sleepUntil(startedAt + d.atMs);
      if (!running.alive()) problems.push(await endedByItself(running, logOf(destination.life)));
      // SIGTERM while the destination is away takes as long as its deadline: then a kill ends it.
      if (d.kind === 'stop') await stopCollector(running, 3000);
      else {
        running.child.kill('SIGKILL');
        await running.exited;
      }
      await sleep(d.downMs);
      destination.life++;
      running = start();
      startedLastMs = performance.now();
    }
    await sleepUntil(startedAt + plan.durationMs);
    written = await writer.stop();
    stopMoods();
    destination.mood = 'healthy';
    const total = sum(written.lines);
    const stoppedAt = performance.now();
    destination.lastDeliveryAtMs = stoppedAt;
    const done = (): boolean => tally.distinct >= total;
    while (!done() && running.alive() && performance.now() - destination.lastDeliveryAtMs < collector.patienceMs)
      await sleep(20);
    caughtUpMs = (done() ? performance.now() : destination.lastDeliveryAtMs) - stoppedAt;
    // What is sent twice comes soon after.
    await sleep(300);
    await sleepUntil(startedLastMs + (collector.hasLedger ? LAST_LIFE_MS : 0));
    if (!running.alive()) problems.push(await endedByItself(running, logOf(destination.life)));
    else {
      const ended = await stopCollector(running, STOP_GRACE_MS);
      if (ended !== 0) problems.push(`after SIGTERM it ended with ${ended}`);
    }
    if (collector.hasLedger) problems.push(...lastAccount(logOf(destination.life), written.deletedBytes));
    if (plan.checkRestart) problems.push(...(await sentAgain(tally, destination, start)));
  } finally {
    stopMoods();
    stopConfirming();
    destination.close();
    running.child.kill('SIGKILL');
  }

  const missing = tally.missing(written.lines);
  problems.push(...missing.slice(0, 10).map((m) => describeMissing(m, written)));
  if (tally.damagedCount)
    problems.push(`${tally.damagedCount} damaged records, first: ${JSON.stringify(tally.damaged[0])}`);
  if (tally.sameLifeDuplicates)
    problems.push(`${tally.sameLifeDuplicates} lines were doubled without a kill in between`);
  tally.duplicateBytes.forEach((bytes, life) => {
    if (bytes > UNSETTLED_WINDOW_BYTES)
      problems.push(`life ${life} repeated ${bytes} bytes, more than the unsettled window`);
  });
  if (problems.length) {
    writeFileSync(
      join(dir, 'problems.json'),
      JSON.stringify({ problems, missing, written, damaged: tally.damaged }, undefined, 2),
    );
  }
  return {
    problems,
    written: sum(written.lines),
    missing: missing.reduce((n, m) => n + m.to - m.from + 1, 0),
    duplicates: tally.duplicates,
    requests: destination.requests,
    refused: destination.refused,
    rotations: written.segments.length,
    deletedFiles: written.deletedFiles,
    caughtUpMs,
    kills: plan.disruptions.filter((d) => d.kind === 'kill').length,
  };
}

const sleepUntil = (atMs: number): Promise<void> => sleep(Math.max(0, atMs - performance.now()));

async function endedByItself(collector: CollectorProcess, logPath: string): Promise<string> {
  const lastLines = readFileSync(logPath, 'utf8').trim().split('\n').slice(-4).join('\n');
  return `the collector ended by itself with ${await collector.exited}:\n${lastLines}`;
}

function followMoods(plan: RoundPlan, destination: Destination): () => void {
  const timers = plan.moods.map((m) =>
    setTimeout(() => {
      destination.mood = m.mood;
    }, m.atMs),
  );
  return () => {
    for (const t of timers) clearTimeout(t);
  };
}

/** Confirms to the writer what was complete two seconds ago: by then the collector has stored that, too. */
function confirmLate(tally: Tally, confirm: (complete: number[]) => void): () => void {
  const history: number[][] = [];
  const timer = setInterval(() => {
    history.push(tally.complete());
    if (history.length > 4) confirm(history.shift()!);
  }, 500);
  return () => clearInterval(timer);
}

/**
 * Rotated files are deleted when all their lines were delivered. A collector that was killed before it stored that
 * cannot know, and rightly counts what it finds gone as lost: at most `deletedBytes`.
 */
function lastAccount(logPath: string, deletedBytes: number): string[] {
  const lines = ledgerLines(readFileSync(logPath, 'utf8'));
  if (!lines.some((l) => /file_?log/.test(l.component)))
    return ['no Ledger line of file_log in the log of the last life'];
  return lines.flatMap((l) => {
    const problems = ledgerProblems(l);
    if (l.records.lost || l.bytes.lost > deletedBytes) {
      problems.push(
        `ledger of ${l.component}: lost ${l.records.lost} records, ${l.bytes.lost} bytes: ${JSON.stringify(l.lostBy)}`,
      );
    }
    return problems;
  });
}

/** After a clean stop with everything delivered, a start delivers nothing. */
async function sentAgain(tally: Tally, destination: Destination, start: () => CollectorProcess): Promise<string[]> {
  const before = tally.duplicates;
  destination.life++;
  const again = start();
  await waitFor(() => tally.duplicates > before || !again.alive(), 1500);
  await stopCollector(again, STOP_GRACE_MS);
  const count = tally.duplicates - before;
  return count ? [`${count} lines came again after a clean stop`] : [];
}

function describeMissing(m: LineRange, written: Written): string {
  const count = m.to - m.from + 1;
  const segments = written.segments.filter((s) => s.stream === m.stream && s.from <= m.to && s.to >= m.from);
  const where = segments.length
    ? segments.map(
        (s) => `lines ${s.from}-${s.to} went by ${s.rotation} at ${new Date(s.atMs).toISOString().slice(11, -1)}`,
      )
    : ['in the last, never rotated file'];
  return `${count} lines of app-${m.stream}.log never arrived: ${m.from}-${m.to} (${where.join('; ')})`;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
