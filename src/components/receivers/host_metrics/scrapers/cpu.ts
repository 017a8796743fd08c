/** CPU times by CPU and state, and what part of the time since the last scrape each took. */
import { type AttributeSet, attributeSet } from '../../../../core/metrics/attribute-set.ts';
import type { Scraper } from '../../../../core/scrape.ts';
import { CPU } from '../catalogue/cpu.ts';
import type { PlainConfig } from '../config.ts';
import { countCores, countCpus, processors } from '../cpu-info.ts';
import { type Host, Remembered, unexpectedLine } from '../host.ts';

/** Columns of /proc/stat. `user` and `nice` hold the time of guests already. */
const STATES = ['user', 'nice', 'system', 'idle', 'wait', 'interrupt', 'softirq', 'steal'];

interface Cpu {
  readonly sets: readonly AttributeSet[];
  /** Ticks at the last scrape. */
  readonly ticks: Float64Array;
  isNew: boolean;
}

export function makeCpuScraper(config: PlainConfig, host: Host): Scraper {
  const builder = host.builder(CPU, config.metrics);
  const time = builder.stream('system.cpu.time');
  const utilization = builder.stream('system.cpu.utilization');
  const frequency = builder.stream('system.cpu.frequency');
  const logical = builder.stream('system.cpu.logical.count');
  const physical = builder.stream('system.cpu.physical.count');
  const cpus = new Remembered<number, Cpu>();
  const frequencySets = new Remembered<number, AttributeSet>();
  const now = new Float64Array(STATES.length);
  const delta = new Float64Array(STATES.length);
  const path = host.proc('stat');
  let cores: { readonly of: number; readonly count: number } | undefined;

  const makeCpu = (n: number): Cpu => ({
    sets: STATES.map((state) => attributeSet({ cpu: `cpu${n}`, state })),
    ticks: new Float64Array(STATES.length),
    isNew: true,
  });

  function record(cpu: Cpu): void {
    let total = 0;
    for (let i = 0; i < STATES.length; i++) {
      if (time.enabled) time.point(now[i]! / host.ticksPerSecond, cpu.sets[i]!);
      // The kernel takes back idle and wait time now and then.
      total += delta[i] = Math.max(0, now[i]! - cpu.ticks[i]!);
    }
    if (utilization.enabled && !cpu.isNew)
      for (let i = 0; i < STATES.length; i++) utilization.point(total > 0 ? delta[i]! / total : 0, cpu.sets[i]!);
    cpu.ticks.set(now);
    cpu.isNew = false;
  }

  return host.scraper('cpu', builder, (problems) => {
    if (time.enabled || utilization.enabled)
      problems.try(STATES.length, () => {
        const line = host.reader.lines(path);
        let seen = 0;
        while (line.next() && line.take('cpu')) {
          const text = line.rest();
          // The first line is the sum of all.
          if (text.startsWith(' ')) continue;
          const n = line.number();
          // Kernels before 2.6.11 have fewer columns.
          for (let i = 0; i < STATES.length; i++) {
            const ticks = line.number();
            now[i] = i >= 4 && Number.isNaN(ticks) && !line.more() ? 0 : ticks;
          }
          if (Number.isNaN(n) || now.some((v) => !(v >= 0))) {
            problems.add(unexpectedLine(path, `cpu${text}`), STATES.length);
            continue;
          }
          seen++;
          record(cpus.get(n, () => makeCpu(n)));
        }
        cpus.forgetOthers();
        if (seen === 0 && problems.errors.length === 0) throw new Error(`no CPU in ${path}`);
      });
    if (logical.enabled || physical.enabled)
      problems.try(1, () => {
        const count = countCpus(host);
        logical.point(count);
        if (physical.enabled && cores?.of !== count) cores = { of: count, count: countCores(host, count) };
        if (cores) physical.point(cores.count);
      });
    if (frequency.enabled)
      problems.try(1, () => {
        for (const { number, mhz } of processors(host))
          if (mhz > 0 && Number.isFinite(mhz))
            frequency.point(
              mhz * 1e6,
              frequencySets.get(number, () => attributeSet({ cpu: `cpu${number}` })),
            );
        frequencySets.forgetOthers();
      });
  });
}
