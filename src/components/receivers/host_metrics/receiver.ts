/** Builds the scrapers that a configuration names, each loaded when it does, and runs them. */
import { statSync } from 'node:fs';
import type { Component, ReceiverContext } from '../../../core/component.ts';
import { ConfigError } from '../../../core/errors.ts';
import { type Scraper, scrapeLoop } from '../../../core/scrape.ts';
import type { HostMetricsConfig } from './config.ts';
import { Host } from './host.ts';
import { ProcError } from './proc-reader.ts';

type Config = HostMetricsConfig['scrapers'];
type Make<K extends keyof Config> = (config: NonNullable<Config[K]>, host: Host) => Scraper;

/** In the order in which they run. */
const SCRAPERS: { readonly [K in keyof Required<Config>]: () => Promise<Make<K>> } = {
  cpu: async () => (await import('./scrapers/cpu.ts')).makeCpuScraper,
  load: async () => (await import('./scrapers/load.ts')).makeLoadScraper,
  memory: async () => (await import('./scrapers/memory.ts')).makeMemoryScraper,
  disk: async () => (await import('./scrapers/disk.ts')).makeDiskScraper,
  filesystem: async () => (await import('./scrapers/filesystem.ts')).makeFilesystemScraper,
  network: async () => (await import('./scrapers/network.ts')).makeNetworkScraper,
  nfs: async () => (await import('./scrapers/nfs.ts')).makeNfsScraper,
  paging: async () => (await import('./scrapers/paging.ts')).makePagingScraper,
  processes: async () => (await import('./scrapers/processes.ts')).makeProcessesScraper,
  process: async () => (await import('./scrapers/process.ts')).makeProcessScraper,
  system: async () => (await import('./scrapers/system.ts')).makeSystemScraper,
};

const V1_GATE = 'receiver.hostmetrics.EmitV1SystemConventions';

function checkRoot(path: string, id: string): void {
  if (path === '') return;
  try {
    statSync(path);
  } catch (error) {
    const { message } = new ProcError('stat', path, error);
    throw new ConfigError([{ path: ['receivers', id, 'root_path'], message: `invalid root_path: ${message}` }]);
  }
}

export async function makeScrapers(config: HostMetricsConfig, ctx: ReceiverContext): Promise<Scraper[]> {
  checkRoot(config.root_path, ctx.id);
  const host = new Host(config.root_path, ctx);
  if (config.scrapers.process && host.isOn(V1_GATE, false))
    ctx.log.warn('Metrics of processes keep their names: the new conventions are not built', { gate: V1_GATE });
  const scrapers: Scraper[] = [];
  for (const [name, load] of Object.entries(SCRAPERS)) {
    const own = config.scrapers[name as keyof Config];
    if (own === undefined) continue;
    const make = (await load()) as (config: unknown, host: Host) => Scraper;
    scrapers.push(make(own, host));
  }
  return scrapers;
}

export const createHostMetricsReceiver = async (config: HostMetricsConfig, ctx: ReceiverContext): Promise<Component> =>
  scrapeLoop(ctx, config, await makeScrapers(config, ctx));
