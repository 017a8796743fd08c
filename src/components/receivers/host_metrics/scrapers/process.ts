/** Every process: CPU, memory, I/O and more, each with a resource of its own. */
import type { Group } from '../../../../core/batch.ts';
import { attributeSet } from '../../../../core/metrics/attribute-set.ts';
import type { MetricStream } from '../../../../core/metrics/builder.ts';
import type { Scraper } from '../../../../core/scrape.ts';
import { PROCESS } from '../catalogue/process.ts';
import type { ProcessConfig } from '../config.ts';
import { countCpus } from '../cpu-info.ts';
import { type Host, Problems, unexpectedLine } from '../host.ts';
import { readMeminfo } from '../meminfo.ts';
import { eachProcess } from '../pids.ts';
import { isDenied, isGone } from '../proc-reader.ts';
import { ProcessStat } from '../process-stat.ts';
import { type Process, ProcessTable } from '../process-table.ts';

const STATES = ['user', 'system', 'wait'] as const;
const IO_FIELDS = ['rchar', 'wchar', 'syscr', 'syscw'] as const;

/** Errors by kind: the first as it is, the others as a number, since thousands of processes may have the same. */
class ProcessProblems {
  readonly #kinds = new Map<string, { readonly first: string; count: number }>();
  readonly tell = (kind: string, text: string): void => {
    const seen = this.#kinds.get(kind);
    if (seen) seen.count++;
    else this.#kinds.set(kind, { first: text, count: 1 });
  };

  addTo(problems: Problems): void {
    for (const [kind, { first, count }] of this.#kinds)
      problems.add(count === 1 ? first : `${first}; and ${count - 1} more`, count, kind);
  }
}

export function makeProcessScraper(config: ProcessConfig, host: Host): Scraper {
  const builder = host.builder(PROCESS, config.metrics);
  const stream = (name: string): MetricStream => builder.stream(`process.${name}`);
  const cpuTime = stream('cpu.time');
  const cpuUtilization = stream('cpu.utilization');
  const memoryUsage = stream('memory.usage');
  const memoryVirtual = stream('memory.virtual');
  const memoryUtilization = stream('memory.utilization');
  const diskIo = stream('disk.io');
  const diskOperations = stream('disk.operations');
  const faults = stream('paging.faults');
  const threads = stream('threads');
  const switches = stream('context_switches');
  const descriptors = stream('open_file_descriptors');
  const signals = stream('signals_pending');
  const uptime = stream('uptime');
  const wantsStatus = signals.enabled;
  const states = STATES.map((state) => attributeSet({ state }));
  const read = attributeSet({ direction: 'read' });
  const write = attributeSet({ direction: 'write' });
  const major = attributeSet({ type: 'major' });
  const minor = attributeSet({ type: 'minor' });
  const involuntary = attributeSet({ type: 'involuntary' });
  const voluntary = attributeSet({ type: 'voluntary' });
  const scope = host.scope('process');
  const table = new ProcessTable(config, host);
  const stat = new ProcessStat();
  const { clock } = host.ctx;
  const delayMs = config.scrape_process_delay;

  function recordCpu(p: Process, cpus: number): void {
    const { userTicks: user, systemTicks: system, waitTicks: wait } = stat;
    const now = [user, system, wait];
    for (const [i, set] of states.entries()) cpuTime.point(now[i]! / host.ticksPerSecond, set);
    if (!cpuUtilization.enabled) return;
    const atMs = clock.monotonicMs();
    const elapsedTicks = ((atMs - p.ticks.atMs) / 1000) * host.ticksPerSecond * cpus;
    if (elapsedTicks > 0)
      for (const [i, set] of states.entries())
        cpuUtilization.point(Math.max(0, now[i]! - p.ticks[STATES[i]!]) / elapsedTicks, set);
    p.ticks = { user, system, wait, atMs };
  }

  function recordMemory(pid: number, totalBytes: number): void {
    let pages = 0;
    let residentPages = 0;
    if (!stat.isKernelThread) {
      const path = host.proc(String(pid), 'statm');
      const line = host.reader.lines(path);
      line.next();
      const text = line.rest();
      pages = line.number();
      residentPages = line.number();
      if (Number.isNaN(pages + residentPages)) throw new Error(unexpectedLine(path, text));
    }
    const resident = residentPages * host.pageSize;
    memoryVirtual.point(pages * host.pageSize);
    memoryUsage.point(resident);
    // Upstream computes this with 32 bits.
    if (totalBytes > 0)
      memoryUtilization.point(Math.fround(Math.fround(100 * Math.fround(resident)) / Math.fround(totalBytes)));
  }

  function recordIo(p: Process): void {
    if (p.isIoDenied) return;
    const path = host.proc(String(p.pid), 'io');
    const found: Partial<Record<(typeof IO_FIELDS)[number], number>> = {};
    try {
      const line = host.reader.lines(path);
      for (const field of IO_FIELDS) {
        if (!line.next() || !line.take(`${field}:`)) throw new Error(unexpectedLine(path, line.rest()));
        found[field] = line.number();
      }
    } catch (error) {
      p.isIoDenied = isDenied(error);
      throw error;
    }
    const { rchar, wchar, syscr, syscw } = found;
    if (!(rchar! + wchar! + syscr! + syscw! >= 0)) throw new Error(unexpectedLine(path, JSON.stringify(found)));
    diskIo.point(rchar!, read);
    diskIo.point(wchar!, write);
    diskOperations.point(syscr!, read);
    diskOperations.point(syscw!, write);
  }

  function recordSwitches(pid: number): void {
    const tasks = host.proc(String(pid), 'task');
    const total = { voluntary: 0, involuntary: 0 };
    for (const task of host.reader.names(tasks)) {
      const line = host.reader.lines(host.proc(String(pid), 'task', task, 'status'));
      while (line.next()) {
        if (line.take('voluntary_ctxt_switches:')) total.voluntary += line.number();
        else if (line.take('nonvoluntary_ctxt_switches:')) total.involuntary += line.number();
      }
    }
    if (Number.isNaN(total.voluntary + total.involuntary)) throw new Error(unexpectedLine(tasks, 'context switches'));
    switches.point(total.voluntary, voluntary);
    switches.point(total.involuntary, involuntary);
  }

  function recordSignals(pid: number): void {
    const path = host.proc(String(pid), 'status');
    const line = host.reader.lines(path);
    while (line.next())
      if (line.take('SigQ:')) {
        const pending = Number.parseInt(line.word(), 10);
        if (Number.isNaN(pending)) break;
        signals.point(pending);
        return;
      }
    throw new Error(`no SigQ in ${path}`);
  }

  function measure(p: Process, found: ProcessProblems, totalBytes: number, cpus: number): void {
    const part = (kind: string, what: string, record: () => void): void => {
      try {
        record();
      } catch (error) {
        if (isGone(error) && kind !== 'switches') return;
        const who = `process ${JSON.stringify(p.name)} (pid ${p.pid})`;
        found.tell(kind, `error reading ${what} for ${who}: ${(error as Error).message}`);
      }
    };
    const { pid } = p;
    recordCpu(p, cpus);
    if (memoryUsage.enabled || memoryVirtual.enabled || memoryUtilization.enabled)
      part('memory', 'memory info', () => recordMemory(pid, totalBytes));
    if (diskIo.enabled || diskOperations.enabled)
      try {
        recordIo(p);
      } catch (error) {
        if (!config.mute_process_io_error)
          part('io', 'disk usage', () => {
            throw error;
          });
      }
    faults.point(stat.majorFaults, major);
    faults.point(stat.minorFaults, minor);
    threads.point(stat.threads);
    if (switches.enabled) part('switches', 'context switch counts', () => recordSwitches(pid));
    if (descriptors.enabled)
      part('descriptors', 'open file descriptor count', () =>
        descriptors.point(host.reader.names(host.proc(String(pid), 'fd')).length),
      );
    if (wantsStatus) part('signals', 'pending signals', () => recordSignals(pid));
    uptime.point(Math.max(0, clock.nowMs() / 1000 - Number(p.startTime / 1_000_000n) / 1000));
  }

  return {
    name: 'process',
    scrape: async (signal) => {
      const problems = new Problems();
      const found = new ProcessProblems();
      const groups: Group[] = [];
      let totalBytes = 0;
      if (memoryUtilization.enabled) problems.try(1, () => (totalBytes = readMeminfo(host).MemTotal));
      let cpus = 1;
      if (cpuUtilization.enabled) problems.try(1, () => (cpus = Math.max(1, countCpus(host))));
      const now = clock.nowUnixNano();
      const nowMs = clock.nowMs();
      table.begin();
      await eachProcess(host, signal, (pid) => {
        try {
          stat.read(host, pid);
        } catch (error) {
          if (!isGone(error) && !config.mute_process_name_error)
            found.tell('stat', `error reading process name for pid ${pid}: ${(error as Error).message}`);
          return;
        }
        const p = table.get(pid, stat, found.tell);
        if (!p?.resource) return;
        if (delayMs > 0 && nowMs - Number(p.startTime / 1_000_000n) < delayMs) return;
        builder.at(p.startTime, now);
        measure(p, found, totalBytes, cpus);
        const group = builder.group(p.resource, scope);
        if (group) groups.push(group);
      });
      table.end();
      if (!config.mute_process_all_errors) found.addTo(problems);
      return { groups, errors: problems.errors, failedPoints: problems.failedPoints };
    },
  };
}
