import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Batch } from './batch.ts';
import { SYSTEM_CLOCK } from './clock.ts';
import type { ReceiverContext } from './component.ts';
import { retryable } from './errors.ts';
import { type LogFields, type Logger, SILENT } from './log.ts';
import { EMPTY_RESOURCE, EMPTY_SCOPE } from './resource.ts';
import { type Scraper, scrapeLoop } from './scrape.ts';
import { TelemetryRegistry } from './telemetry.ts';

const group = (count: number) => ({
  resource: EMPTY_RESOURCE,
  scope: EMPTY_SCOPE,
  items: new Uint8Array(0),
  messages: 1,
  count,
  parts: [],
});

function rig(consume: (b: Batch) => Promise<void>) {
  const lines: { message: string; fields: LogFields | undefined }[] = [];
  const log: Logger = { ...SILENT, error: (message, fields) => void lines.push({ message, fields }) };
  const telemetry = new TelemetryRegistry();
  const ctx: ReceiverContext = {
    id: 'host_metrics',
    kind: 'receiver',
    log,
    telemetry,
    clock: SYSTEM_CLOCK,
    host: { extension: () => undefined, fatal() {}, shared: (_, make) => make(), addLedger() {} },
    build: { command: 'sluice', description: '', version: '0' },
    outputs: { metrics: { consume } },
  };
  const value = (name: string, label: string): number | undefined =>
    [...(telemetry.families.get(name)?.series.values() ?? [])].find((s) => Object.values(s.labels).includes(label))
      ?.value;
  return { ctx, lines, value };
}

const TIMES = { collection_interval: 5, initial_delay: 0, timeout: 0 };
const STOP = AbortSignal.timeout(120_000);

describe('scrape loop', () => {
  it('sends what all scrapers measured as one batch, again at every interval, and tells a lasting error once', async () => {
    const batches: Batch[] = [];
    const { promise: third, resolve } = Promise.withResolvers<void>();
    const { ctx, lines, value } = rig(async (b) => {
      batches.push(b);
      if (batches.length === 3) resolve();
    });
    let stopped = 0;
    const scrapers: Scraper[] = [
      { name: 'cpu', scrape: async () => ({ groups: [group(2)] }), stop: async () => void stopped++ },
      {
        name: 'disk',
        scrape: async () => {
          throw new Error('no such file');
        },
      },
      {
        name: 'load',
        scrape: async () => ({ groups: [group(1), group(3)], errors: ['half of it'], failedPoints: 4 }),
      },
    ];
    const loop = scrapeLoop(ctx, TIMES, scrapers);
    await loop.start!();
    await third;
    await loop.stop!(STOP);
    assert.deepEqual(
      batches[0]!.groups.map((g) => g.count),
      [2, 1, 3],
    );
    const ticks = batches.length;
    assert.equal(value('otelcol_scraper_scraped_metric_points', 'cpu'), 2 * ticks);
    assert.equal(value('otelcol_scraper_errored_metric_points', 'load'), 4 * ticks);
    assert.equal(value('otelcol_receiver_accepted_metric_points', 'host_metrics'), 6 * ticks);
    assert.deepEqual(
      lines.map((l) => [l.message, l.fields?.scraper, l.fields?.error]),
      [
        ['Error scraping metrics', 'disk', 'no such file'],
        ['Error scraping metrics', 'load', 'half of it'],
      ],
    );
    assert.equal(stopped, 1);
  });

  it('tells errors of the same key once, however their texts differ', async () => {
    let ticks = 0;
    const { promise: third, resolve } = Promise.withResolvers<void>();
    const { ctx, lines } = rig(async () => {});
    const loop = scrapeLoop(ctx, TIMES, [
      {
        name: 'process',
        scrape: async () => {
          if (++ticks === 3) resolve();
          return {
            groups: [],
            errors: [
              { key: 'io', text: `process ${ticks}` },
              { key: 'exe', text: 'link' },
            ],
          };
        },
      },
    ]);
    await loop.start!();
    await third;
    await loop.stop!(STOP);
    assert.deepEqual(
      lines.map((l) => l.fields?.error),
      ['process 1', 'link'],
    );
  });

  it('counts a refused batch as refused and goes on', async () => {
    let calls = 0;
    const { promise: second, resolve } = Promise.withResolvers<void>();
    const { ctx, lines, value } = rig(async () => {
      if (++calls === 2) resolve();
      throw retryable('queue is full');
    });
    const loop = scrapeLoop(ctx, TIMES, [{ name: 'cpu', scrape: async () => ({ groups: [group(5)] }) }]);
    await loop.start!();
    await second;
    await loop.stop!(STOP);
    assert.equal(value('otelcol_receiver_refused_metric_points', 'host_metrics'), 5 * calls);
    assert.equal(lines.length, 1);
    assert.match(String(lines[0]!.fields!.error), /queue is full/);
  });

  it('ends a scrape that hangs when it is stopped, and sends nothing more', async () => {
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const sent: Batch[] = [];
    const { ctx } = rig(async (b) => void sent.push(b));
    const loop = scrapeLoop(ctx, TIMES, [
      {
        name: 'slow',
        scrape: (signal) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
            resolve();
          }),
      },
    ]);
    await loop.start!();
    await begun;
    await loop.stop!(STOP);
    assert.deepEqual(sent, []);
  });
});
