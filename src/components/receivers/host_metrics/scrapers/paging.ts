/** Swap, from /proc/swaps, and paging, from /proc/vmstat. */
import { type AttributeSet, attributeSet } from '../../../../core/metrics/attribute-set.ts';
import type { Scraper } from '../../../../core/scrape.ts';
import { PAGING } from '../catalogue/paging.ts';
import type { PlainConfig } from '../config.ts';
import { type Host, Remembered, unexpectedLine } from '../host.ts';

/** Upstream multiplies every number of /proc/vmstat by this, faults too, and takes KiB for pages. */
const VMSTAT_SCALE = 4096;

const VMSTAT = ['pgpgin', 'pgpgout', 'pswpin', 'pswpout', 'pgfault', 'pgmajfault'] as const;

export function makePagingScraper(config: PlainConfig, host: Host): Scraper {
  const builder = host.builder(PAGING, config.metrics);
  const usage = builder.stream('system.paging.usage');
  const utilization = builder.stream('system.paging.utilization');
  const operations = builder.stream('system.paging.operations');
  const faults = builder.stream('system.paging.faults');
  const operation = (direction: string, type: string): AttributeSet => attributeSet({ direction, type });
  const sets = {
    pswpin: operation('page_in', 'major'),
    pswpout: operation('page_out', 'major'),
    pgpgin: operation('page_in', 'minor'),
    pgpgout: operation('page_out', 'minor'),
  };
  const major = attributeSet({ type: 'major' });
  const minor = attributeSet({ type: 'minor' });
  const devices = new Remembered<string, { readonly used: AttributeSet; readonly free: AttributeSet }>();
  const swaps = host.proc('swaps');
  const vmstat = host.proc('vmstat');

  function recordSwaps(): void {
    const line = host.reader.lines(swaps);
    // Headings.
    line.next();
    while (line.next()) {
      if (!line.more()) continue;
      const text = line.rest();
      const device = line.word();
      line.skip();
      const total = line.number() * 1024;
      const used = line.number() * 1024;
      if (!(total >= 0 && used >= 0)) throw new Error(unexpectedLine(swaps, text));
      const d = devices.get(device, () => ({
        used: attributeSet({ device, state: 'used' }),
        free: attributeSet({ device, state: 'free' }),
      }));
      usage.point(used, d.used);
      usage.point(total - used, d.free);
      if (total > 0) {
        utilization.point(used / total, d.used);
        utilization.point((total - used) / total, d.free);
      }
    }
    devices.forgetOthers();
  }

  function recordVmstat(): void {
    const line = host.reader.lines(vmstat);
    const found: Partial<Record<(typeof VMSTAT)[number], number>> = {};
    while (line.next()) {
      const start = line.pos;
      for (const name of VMSTAT) {
        if (line.take(name) && line.take(' ')) {
          const n = line.number();
          if (Number.isNaN(n)) {
            line.pos = start;
            throw new Error(unexpectedLine(vmstat, line.rest()));
          }
          found[name] = n * VMSTAT_SCALE;
          break;
        }
        line.pos = start;
      }
    }
    for (const [name, set] of Object.entries(sets)) operations.point(found[name as keyof typeof sets] ?? 0, set);
    const majorFaults = found.pgmajfault ?? 0;
    faults.point(majorFaults, major);
    faults.point((found.pgfault ?? 0) - majorFaults, minor);
  }

  return host.scraper('paging', builder, (problems) => {
    if (usage.enabled || utilization.enabled) problems.try(2, recordSwaps);
    if (operations.enabled || faults.enabled) problems.try(6, recordVmstat);
  });
}
