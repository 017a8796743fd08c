/** Memory, from /proc/meminfo. */
import { attributeSet } from '../../../../core/metrics/attribute-set.ts';
import type { MetricStream } from '../../../../core/metrics/builder.ts';
import type { Scraper } from '../../../../core/scrape.ts';
import { MEMORY } from '../catalogue/memory.ts';
import type { PlainConfig } from '../config.ts';
import type { Host } from '../host.ts';
import { readMeminfo } from '../meminfo.ts';

const STATES = ['buffered', 'cached', 'free', 'slab_reclaimable', 'slab_unreclaimable', 'used'] as const;

export function makeMemoryScraper(config: PlainConfig, host: Host): Scraper {
  const builder = host.builder(MEMORY, config.metrics);
  const usage = builder.stream('system.memory.usage');
  const utilization = builder.stream('system.memory.utilization');
  const limit = builder.stream('system.memory.limit');
  const pageSize = builder.stream('system.memory.page_size');
  const available = builder.stream('system.linux.memory.available');
  const dirty = builder.stream('system.linux.memory.dirty');
  const shared = builder.stream('system.memory.linux.shared');
  const hugepages = (name: string): MetricStream => builder.stream(`system.memory.linux.hugepages.${name}`);
  const hugeLimit = hugepages('limit');
  const hugeSize = hugepages('page_size');
  const hugeReserved = hugepages('reserved');
  const hugeSurplus = hugepages('surplus');
  const hugeUsage = hugepages('usage');
  const hugeUtilization = hugepages('utilization');
  const sets = STATES.map((state) => attributeSet({ state }));
  const hugeFree = attributeSet({ 'system.memory.linux.hugepages.state': 'free' });
  const hugeUsed = attributeSet({ 'system.memory.linux.hugepages.state': 'used' });
  const usesAvailable = host.isOn('receiver.hostmetricsreceiver.UseLinuxMemAvailable', true);

  return host.scraper('memory', builder, () => {
    const m = readMeminfo(host);
    const total = m.MemTotal;
    const cached = m.Cached + m.SReclaimable;
    const withoutCaches = total - m.MemFree - m.Buffers - cached;
    // Kernels before 3.14 do not tell what is available.
    const used = usesAvailable && m.MemAvailable > 0 ? total - m.MemAvailable : withoutCaches;
    const bytes = [m.Buffers, cached, m.MemFree, m.SReclaimable, m.SUnreclaim, used];
    // As many decimals as the total has digits, as upstream.
    const scale = 10 ** String(total).length;
    for (const [i, n] of bytes.entries()) {
      usage.point(n, sets[i]!);
      if (utilization.enabled) utilization.point(Math.round((n / total) * scale) / scale, sets[i]!);
    }
    limit.point(total);
    pageSize.point(host.pageSize);
    available.point(m.MemAvailable);
    dirty.point(m.Dirty);
    shared.point(m.Shmem);
    const pages = m.HugePages_Total;
    hugeLimit.point(pages);
    hugeSize.point(m.Hugepagesize);
    hugeReserved.point(m.HugePages_Rsvd);
    hugeSurplus.point(m.HugePages_Surp);
    hugeUsage.point(m.HugePages_Free, hugeFree);
    hugeUsage.point(pages - m.HugePages_Free, hugeUsed);
    if (pages > 0) {
      hugeUtilization.point(m.HugePages_Free / pages, hugeFree);
      hugeUtilization.point((pages - m.HugePages_Free) / pages, hugeUsed);
    }
  });
}
