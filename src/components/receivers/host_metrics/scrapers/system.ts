/** Uptime. */
import type { Scraper } from '../../../../core/scrape.ts';
import { SYSTEM } from '../catalogue/system.ts';
import type { PlainConfig } from '../config.ts';
import { type Host, unexpectedLine } from '../host.ts';

export function makeSystemScraper(config: PlainConfig, host: Host): Scraper {
  const builder = host.builder(SYSTEM, config.metrics);
  const uptime = builder.stream('system.uptime');
  const path = host.proc('uptime');
  return host.scraper('system', builder, () => {
    if (!uptime.enabled) return;
    const line = host.reader.lines(path);
    line.next();
    const text = line.rest();
    const seconds = Number.parseFloat(text);
    if (!(seconds >= 0 && Number.isFinite(seconds))) throw new Error(unexpectedLine(path, text));
    uptime.point(seconds);
  });
}
