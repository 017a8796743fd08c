/** Load averages. */
import type { Scraper } from '../../../../core/scrape.ts';
import { LOAD } from '../catalogue/load.ts';
import type { LoadConfig } from '../config.ts';
import { countCpus } from '../cpu-info.ts';
import { type Host, unexpectedLine } from '../host.ts';

export function makeLoadScraper(config: LoadConfig, host: Host): Scraper {
  const builder = host.builder(LOAD, config.metrics);
  const streams = ['1m', '5m', '15m'].map((span) => builder.stream(`system.cpu.load_average.${span}`));
  const path = host.proc('loadavg');
  return host.scraper('load', builder, () => {
    const line = host.reader.lines(path);
    line.next();
    const text = line.rest();
    const averages = streams.map(() => Number.parseFloat(line.word()));
    if (averages.some((v) => !Number.isFinite(v))) throw new Error(unexpectedLine(path, text));
    const divisor = config.cpu_average ? Math.max(1, countCpus(host)) : 1;
    for (const [i, stream] of streams.entries()) stream.point(averages[i]! / divisor);
  });
}
