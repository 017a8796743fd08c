/** Number of processes by state, and of those created since the start. */
import { type AttributeSet, attributeSet } from '../../../../core/metrics/attribute-set.ts';
import type { Scraper } from '../../../../core/scrape.ts';
import { PROCESSES } from '../catalogue/processes.ts';
import type { PlainConfig } from '../config.ts';
import { type Host, unexpectedLine } from '../host.ts';
import { eachProcess } from '../pids.ts';
import { isGone } from '../proc-reader.ts';
import { readStat, stateOf } from '../process-stat.ts';

const BY_LETTER: Readonly<Record<string, string>> = {
  A: 'daemon',
  D: 'blocked',
  E: 'detached',
  I: 'idle',
  L: 'locked',
  O: 'orphan',
  R: 'running',
  S: 'sleeping',
  T: 'stopped',
  t: 'stopped',
  U: 'blocked',
  W: 'paging',
  Y: 'system',
  Z: 'zombies',
};

export function makeProcessesScraper(config: PlainConfig, host: Host): Scraper {
  const builder = host.builder(PROCESSES, config.metrics);
  const count = builder.stream('system.processes.count');
  const created = builder.stream('system.processes.created');
  const sets = new Map<string, AttributeSet>();
  const setOf = (status: string): AttributeSet => {
    let set = sets.get(status);
    if (!set) sets.set(status, (set = attributeSet({ status })));
    return set;
  };

  function readTotals(): { processes: number; running: number; blocked: number } {
    const path = host.proc('stat');
    const totals = { processes: Number.NaN, running: Number.NaN, blocked: Number.NaN };
    const line = host.reader.lines(path);
    while (line.next()) {
      if (line.take('processes ')) totals.processes = line.number();
      else if (line.take('procs_running ')) totals.running = line.number();
      else if (line.take('procs_blocked ')) totals.blocked = line.number();
    }
    for (const [name, value] of Object.entries(totals))
      if (Number.isNaN(value)) throw new Error(unexpectedLine(path, `no ${name}`));
    return totals;
  }

  return host.scraper('processes', builder, async (_, signal) => {
    const byStatus = new Map<string, number>();
    let processes = 0;
    if (count.enabled)
      await eachProcess(host, signal, (pid) => {
        processes++;
        try {
          const status = BY_LETTER[stateOf(readStat(host, pid))] ?? 'unknown';
          byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
        } catch (error) {
          if (!isGone(error)) throw error;
        }
      });
    const totals = readTotals();
    created.point(totals.processes);
    byStatus.set('running', totals.running);
    byStatus.set('blocked', totals.blocked);
    const unknown = processes - [...byStatus.values()].reduce((a, b) => a + b, 0);
    if (unknown > 0) byStatus.set('unknown', unknown);
    for (const [status, n] of byStatus) count.point(n, setOf(status));
  });
}
