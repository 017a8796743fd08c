/**
 * The loop of receivers that measure at intervals: all scrapers of a receiver one after the other, their groups as one
 * batch, with otelcol's counters and log lines.
 */
import * as z from 'zod';
import { type Batch, type Consumer, type Group, makeBatch, type Signal } from './batch.ts';
import type { Component, ReceiverContext } from './component.ts';
import { messageOf } from './errors.ts';
import { RateLimit } from './log.ts';
import { receiverCounters } from './receiver-telemetry.ts';
import { duration } from './schema.ts';
import type { Instrument } from './telemetry.ts';

const SCRAPED: Instrument = {
  name: 'otelcol_scraper_scraped_metric_points',
  kind: 'counter',
  unit: '{datapoint}',
  help: 'Number of metric points successfully scraped.',
};
const ERRORED: Instrument = {
  name: 'otelcol_scraper_errored_metric_points',
  kind: 'counter',
  unit: '{datapoint}',
  help: 'Number of metric points that were unable to be scraped.',
};
export const SCRAPER_INSTRUMENTS: readonly Instrument[] = [SCRAPED, ERRORED];

export interface ScrapeError {
  readonly text: string;
  /** What makes two errors the same one, so that it is not told again; without it the text does. */
  readonly key?: string;
}

export interface ScrapeResult {
  readonly groups: readonly Group[];
  /** What could not be measured; the groups are sent all the same. */
  readonly errors?: readonly (string | ScrapeError)[];
  /** Points that are missing because of the errors. */
  readonly failedPoints?: number;
}

export interface Scraper {
  /** As in `scraper` of self telemetry: `cpu`, or the receiver's id when it has only one. */
  readonly name: string;
  start?(): Promise<void>;
  /** A rejection means that this scraper has nothing this time; the others go on. */
  scrape(signal: AbortSignal): Promise<ScrapeResult>;
  stop?(): Promise<void>;
}

export interface ScrapeTimes {
  readonly collection_interval: number;
  readonly initial_delay: number;
  /** 0: none. */
  readonly timeout: number;
}

/** The keys that every scraping receiver has, with upstream's defaults. */
export const scrapeShape = (interval: string) => ({
  collection_interval: duration()
    .pipe(z.number().positive({ error: '"collection_interval": requires positive value' }))
    .prefault(interval)
    .meta({ description: 'Time between two scrapes.' }),
  initial_delay: duration().prefault('1s').meta({ description: 'Time from the start to the first scrape.' }),
  timeout: duration()
    .pipe(z.number().nonnegative({ error: '"timeout": requires positive value' }))
    .prefault('0s')
    .meta({ description: 'Longest time of one scrape; 0 is without limit.' }),
});

/** A message that stays the same is told again after this time. */
const REPEAT_MS = 3_600_000;

/** Starts and stops the scrapers and calls them in turn; a tick that comes while a scrape runs is left out. */
export function scrapeLoop(ctx: ReceiverContext, times: ScrapeTimes, scrapers: readonly Scraper[]): Component {
  const signal: Signal = 'metrics';
  const output: Consumer | undefined = ctx.outputs[signal];
  const counters = receiverCounters(ctx.telemetry, ctx.id, '', signal);
  const told = new RateLimit(REPEAT_MS, () => ctx.clock.nowMs());
  const perScraper = scrapers.map((s) => {
    const labels = { receiver: ctx.id, scraper: s.name };
    return { scraped: ctx.telemetry.counter(SCRAPED, labels), errored: ctx.telemetry.counter(ERRORED, labels) };
  });
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  function tell(scraper: Scraper, problem: string | ScrapeError): void {
    const { text, key = text } = typeof problem === 'string' ? { text: problem } : problem;
    const held = told.pass(`${scraper.name}\n${key}`);
    if (held === undefined) return;
    ctx.log.error('Error scraping metrics', {
      error: text,
      scraper: scraper.name,
      ...(held > 0 ? { repeated: held } : {}),
    });
  }

  async function scrape(): Promise<void> {
    const limit =
      times.timeout > 0
        ? AbortSignal.any([stopping.signal, AbortSignal.timeout(Math.max(1, times.timeout))])
        : stopping.signal;
    const groups: Group[] = [];
    for (const [i, scraper] of scrapers.entries()) {
      const { scraped, errored } = perScraper[i]!;
      try {
        const result = await scraper.scrape(limit);
        let count = 0;
        for (const g of result.groups) {
          groups.push(g);
          count += g.count;
        }
        scraped.add(count);
        errored.add(result.failedPoints ?? 0);
        for (const error of result.errors ?? []) tell(scraper, error);
      } catch (error) {
        if (stopping.signal.aborted) return;
        tell(scraper, messageOf(error));
      }
    }
    if (!output || groups.length === 0 || stopping.signal.aborted) return;
    const batch: Batch = makeBatch(signal, groups);
    try {
      await output.consume(batch);
      counters.accepted(batch.count);
    } catch (error) {
      counters.refused(batch.count);
      const held = told.pass(messageOf(error));
      if (held !== undefined)
        ctx.log.error('Scraped metrics were refused', { error: messageOf(error), repeated: held });
    }
  }

  /** `dueMs` on the monotonic clock, so that the time a scrape takes does not shift the next. */
  function plan(dueMs: number): void {
    timer = setTimeout(
      () => {
        running = scrape().then(() => {
          if (stopping.signal.aborted) return;
          const missed = Math.floor(Math.max(0, ctx.clock.monotonicMs() - dueMs) / times.collection_interval);
          plan(dueMs + (missed + 1) * times.collection_interval);
        });
      },
      Math.max(0, dueMs - ctx.clock.monotonicMs()),
    );
  }

  return {
    async start() {
      for (const s of scrapers) await s.start?.();
      plan(ctx.clock.monotonicMs() + Math.max(0, times.initial_delay));
    },
    async stop(deadline) {
      clearTimeout(timer);
      stopping.abort();
      const ended = new Promise<void>((resolve) => {
        if (deadline.aborted) resolve();
        else deadline.addEventListener('abort', () => resolve(), { once: true });
      });
      await Promise.race([running, ended]);
      clearTimeout(timer);
      for (const s of scrapers) await s.stop?.();
    },
  };
}
