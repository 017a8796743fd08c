/** A host made of files, and a scraper over it, for tests. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { tempDir } from '../../../../test/helpers/agent.ts';
import { componentContext } from '../../../../test/helpers/component.ts';
import type { ReceiverContext } from '../../../core/component.ts';
import type { ScrapeError, Scraper } from '../../../core/scrape.ts';
import { metricsOf } from '../../../wire/otlp-metrics.ts';
import { type HostMetricsConfig, hostMetricsSchema } from './config.ts';
import { Host } from './host.ts';
import { makeScrapers } from './receiver.ts';

export const parse = (scrapers: unknown, rest: object = {}): HostMetricsConfig =>
  hostMetricsSchema.parse({ ...rest, scrapers });

export function put(root: string, path: string, content: string): void {
  const at = join(root, path);
  mkdirSync(dirname(at), { recursive: true });
  writeFileSync(at, content);
}

export function link(root: string, path: string, target: string): void {
  const at = join(root, path);
  mkdirSync(dirname(at), { recursive: true });
  symlinkSync(target, at);
}

export const STAT = 'cpu  10 0 0 0\nbtime 1700000000\nprocesses 7\nprocs_running 1\nprocs_blocked 0\n';

export interface Scraped {
  /** `name{attributes} value`, in the order in which they were written. */
  readonly points: readonly string[];
  readonly errors: readonly string[];
  readonly failedPoints: number;
  readonly resources: readonly Readonly<Record<string, unknown>>[];
  readonly startTimes: readonly bigint[];
}

export async function scrapeOnce(scraper: Scraper, root = ''): Promise<Scraped> {
  const result = await scraper.scrape(AbortSignal.timeout(60_000));
  const points: string[] = [];
  const startTimes: bigint[] = [];
  for (const group of result.groups)
    for (const metric of metricsOf(group.items))
      for (const p of metric.data.points) {
        const attributes = [...p.attributes].map(([k, v]) => `${k}=${String(v)}`).join(' ');
        const value = 'value' in p ? p.value : undefined;
        points.push(`${metric.name}${attributes ? `{${attributes}}` : ''} ${String(value)}`);
        startTimes.push(p.startTime);
      }
  const textOf = (e: string | ScrapeError): string => (typeof e === 'string' ? e : e.text);
  return {
    points,
    startTimes,
    errors: (result.errors ?? []).map((e) => textOf(e).replaceAll(root || '\0', '<root>')),
    failedPoints: result.failedPoints ?? 0,
    resources: result.groups.map((g) => Object.fromEntries(g.resource.attributes)),
  };
}

/** A root directory with `files`; `/proc/stat` is there unless they say otherwise. */
export function hostOf(t: TestContext, files: Readonly<Record<string, string>>, gates?: ReadonlyMap<string, boolean>) {
  const root = tempDir(t);
  for (const [path, content] of Object.entries({ 'proc/stat': STAT, ...files })) put(root, path, content);
  const { context, lines, clock } = componentContext('host_metrics', 'receiver');
  const ctx: ReceiverContext = { ...context, outputs: {}, ...(gates ? { gates } : {}) };
  return { root, ctx, lines, clock, host: new Host(root, ctx) };
}

/** The one scraper that `scrapers` names. */
export async function rig(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  scrapers: unknown,
  gates?: ReadonlyMap<string, boolean>,
) {
  const made = hostOf(t, files, gates);
  const [scraper] = await makeScrapers(parse(scrapers, { root_path: made.root }), made.ctx);
  return { ...made, scrape: () => scrapeOnce(scraper!, made.root) };
}
