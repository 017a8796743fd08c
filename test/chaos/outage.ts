/**
 * The destination is away while gigabytes of logs are written, and some files are deleted unread. The collector's
 * memory must stay flat; afterwards everything arrives, and the ledger names exactly the bytes that did not.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../bench/generate.ts';
import { cpuSeconds, memoryOf, startCollector, stopCollector } from '../../bench/process.ts';
import { Destination } from './destination.ts';
import { ledgerLines, ledgerProblems } from './ledger.ts';
import { lineBody } from './lines.ts';
import { writeDuringOutage } from './outage-writer.ts';
import { collectorConfig } from './plan.ts';
import type { CollectorUnderTest } from './round.ts';
import { type LineRange, Tally } from './tally.ts';

export interface OutageOptions {
  readonly sizeBytes: number;
  readonly collector: CollectorUnderTest;
  readonly dir: string;
}

const GROWTH_LIMIT_KB = 40 * 1024;
const BYTES_PER_SECOND = 50e6;
/** So long its memory may settle after start, with the window full, before flatness is judged. */
const SETTLE_SECONDS = 5;

/** What went wrong; nothing when all is well. */
export async function runOutage(options: OutageOptions): Promise<string[]> {
  const { collector, dir } = options;
  const logs = join(dir, 'logs');
  const storage = join(dir, 'storage');
  mkdirSync(logs);
  mkdirSync(storage);
  const configPath = join(dir, 'config.yaml');
  writeFileSync(configPath, collectorConfig({ format: 'plain', queue: 'memory', batch: true }, `${logs}/*/*.log*`));
  const tally = new Tally();
  const destination = new Destination({ tally, random: seededRandom(1), stallMs: 1000 });
  destination.mood = 'unavailable';
  const env = { STORAGE: storage, DESTINATION: await destination.listen() };
  const logPath = join(dir, 'collector.log');
  const running = startCollector({ command: collector.command, configPath, env, logPath });
  const problems: string[] = [];
  const rssKb: number[] = [];
  const sampler = setInterval(() => running.alive() && rssKb.push(memoryOf(running.pid).rssKb), 1000);
  try {
    const written = await writeDuringOutage({
      dir: logs,
      files: 4,
      totalBytes: options.sizeBytes,
      bytesPerSecond: BYTES_PER_SECOND,
      deletions: 4,
    });
    const total = written.lines.reduce((a, b) => a + b, 0);
    console.log(
      `outage: ${mb(written.bytes)} MB in ${total} lines written, ${written.rotations} rotations, ${written.deleted.length} files deleted unread`,
    );
    await sleep(3000);
    const flat = rssKb.slice(SETTLE_SECONDS);
    const median = flat.toSorted((a, b) => a - b)[flat.length >> 1] ?? Number.NaN;
    const most = Math.max(...flat);
    console.log(
      `outage: RSS median ${mb(median * 1024)} MB, most ${mb(most * 1024)} MB over ${flat.length} s, ${destination.requests} requests refused`,
    );
    if (!(most - median < GROWTH_LIMIT_KB))
      problems.push(`RSS grew by ${mb((most - median) * 1024)} MB during the outage`);
    if (tally.distinct) problems.push('something was delivered during the outage');

    const cpuBefore = cpuSeconds(running.pid);
    const returnedAt = performance.now();
    destination.mood = 'healthy';
    destination.lastDeliveryAtMs = returnedAt;
    while (
      running.alive() &&
      tally.distinct < total &&
      performance.now() - destination.lastDeliveryAtMs < collector.patienceMs
    ) {
      await sleep(50);
    }
    const seconds = (destination.lastDeliveryAtMs - returnedAt) / 1000;
    console.log(
      `return: ${tally.distinct} lines in ${seconds.toFixed(1)} s with ${(cpuSeconds(running.pid) - cpuBefore).toFixed(1)} CPU-seconds, ` +
        `peak RSS ${mb(memoryOf(running.pid).peakRssKb * 1024)} MB`,
    );
    const ended = await stopCollector(running, 30_000);
    if (ended !== 0) problems.push(`after SIGTERM it ended with ${ended}`);

    const missing = tally.missing(written.lines);
    const missingBytes = missing.reduce((n, m) => n + sourceBytes(m), 0);
    console.log(
      `missing: ${missing.reduce((n, m) => n + m.to - m.from + 1, 0)} lines, ${missingBytes} bytes; doubled ${tally.duplicates}`,
    );
    for (const m of missing) {
      if (written.deleted.some((d) => d.stream === m.stream && d.from <= m.from && m.to <= d.to)) continue;
      problems.push(`lines ${m.from}-${m.to} of pod-${m.stream} are missing, and their file was there all the time`);
    }
    if (tally.duplicates) problems.push(`${tally.duplicates} lines were doubled`);
    if (tally.damagedCount) problems.push(`${tally.damagedCount} damaged records`);
    if (collector.hasLedger) {
      const ledgers = ledgerLines(readFileSync(logPath, 'utf8'));
      problems.push(...ledgers.flatMap(ledgerProblems));
      const account = ledgers.find((l) => /file_?log/.test(l.component));
      if (!account) problems.push('no Ledger line of file_log');
      else if (account.bytes.lost !== missingBytes) {
        problems.push(`the ledger says that ${account.bytes.lost} bytes were lost, ${missingBytes} are missing`);
      } else console.log(`ledger: ${JSON.stringify(account.bytes)} lost by ${JSON.stringify(account.lostBy)}`);
    }
  } finally {
    clearInterval(sampler);
    destination.close();
    running.child.kill('SIGKILL');
  }
  return problems;
}

const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Bytes that these lines had in the file. */
function sourceBytes(range: LineRange): number {
  let bytes = 0;
  for (let seq = range.from; seq <= range.to; seq++) bytes += Buffer.byteLength(lineBody(range.stream, seq)) + 1;
  return bytes;
}
