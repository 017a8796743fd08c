/** This machine: what is measured agrees with /proc, read before and after by other means. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { test } from 'node:test';
import { collector, componentContext, until } from '../../../../test/helpers/component.ts';
import { metricsOf } from '../../../wire/otlp-metrics.ts';
import definition from './index.ts';
import { makeScrapers } from './receiver.ts';
import { parse, type Scraped, scrapeOnce } from './testing.ts';

const isHere = existsSync('/proc/self/stat') ? {} : { skip: 'there is no /proc' };
const read = (path: string): string => readFileSync(path, 'utf8');

async function scrape(name: string, config: unknown = null): Promise<Scraped> {
  const { context } = componentContext('host_metrics', 'receiver');
  const [scraper] = await makeScrapers(parse({ [name]: config }), { ...context, outputs: {} });
  return scrapeOnce(scraper!);
}

/** Every value of `before` ≤ measured ≤ `after`; points come and go with devices, so only those in all three count. */
function between(measured: readonly string[], before: Map<string, number>, after: Map<string, number>): void {
  let compared = 0;
  for (const point of measured) {
    const space = point.lastIndexOf(' ');
    const key = point.slice(0, space);
    const [low, high] = [before.get(key), after.get(key)];
    if (low === undefined || high === undefined) continue;
    const value = Number(point.slice(space + 1));
    assert.ok(value >= low && value <= high, `${key}: ${low} ≤ ${value} ≤ ${high}`);
    compared++;
  }
  assert.ok(compared > 0, `nothing to compare in\n${measured.join('\n')}`);
}

test('CPU times are those of /proc/stat', isHere, async () => {
  const times = (): Map<string, number> =>
    new Map(
      [...read('/proc/stat').matchAll(/^cpu(\d+) (\d+) \d+ (\d+) (\d+)/gm)].flatMap(([, n, user, system, idle]) => [
        [`system.cpu.time{cpu=cpu${n} state=user}`, Number(user) / 100],
        [`system.cpu.time{cpu=cpu${n} state=system}`, Number(system) / 100],
        // Idle time may be taken back.
        [`system.cpu.time{cpu=cpu${n} state=idle}`, Number(idle) / 100],
      ]),
    );
  const before = times();
  const { points, errors } = await scrape('cpu');
  const after = times();
  assert.deepEqual(errors, []);
  between(
    points.filter((p) => !p.includes('state=idle')),
    before,
    after,
  );
});

test('memory is that of /proc/meminfo', isHere, async () => {
  const total = /^MemTotal:\s+(\d+) kB/m.exec(read('/proc/meminfo'))![1];
  const metrics = { 'system.memory.limit': { enabled: true }, 'system.memory.page_size': { enabled: true } };
  const { points, errors } = await scrape('memory', { metrics });
  assert.deepEqual(errors, []);
  assert.ok(points.includes(`system.memory.limit ${Number(total) * 1024}`));
  const of = (state: string): number =>
    Number(
      points
        .find((p) => p.startsWith(`system.memory.usage{state=${state}}`))!
        .split(' ')
        .at(-1),
    );
  assert.ok(of('used') > 0 && of('used') < Number(total) * 1024);
  assert.ok(of('free') > 0 && of('free') < Number(total) * 1024);
  const pageSize = Number(
    points
      .find((p) => p.startsWith('system.memory.page_size'))!
      .split(' ')
      .at(-1),
  );
  assert.ok(pageSize >= 4096 && Number.isInteger(Math.log2(pageSize)), `${pageSize}`);
});

test('network counters are those of /proc/net/dev', isHere, async () => {
  const counters = (): Map<string, number> =>
    new Map(
      read('/proc/net/dev')
        .split('\n')
        .slice(2)
        .filter((l) => l.includes(':'))
        .flatMap((l): [string, number][] => {
          const [name, rest] = l.split(/:(?=[^:]*$)/) as [string, string];
          const fields = rest.trim().split(/\s+/).map(Number);
          return [
            [`system.network.io{device=${name.trim()} direction=receive}`, fields[0]!],
            [`system.network.io{device=${name.trim()} direction=transmit}`, fields[8]!],
            [`system.network.packets{device=${name.trim()} direction=receive}`, fields[1]!],
          ];
        }),
    );
  const before = counters();
  const { points } = await scrape('network', { metrics: { 'system.network.connections': { enabled: false } } });
  between(points, before, counters());
});

test('disk counters are those of /proc/diskstats', isHere, async (t) => {
  const counters = (): Map<string, number> =>
    new Map(
      read('/proc/diskstats')
        .split('\n')
        .filter((l) => l !== '')
        .flatMap((l): [string, number][] => {
          const [, , device, ...c] = l.trim().split(/\s+/);
          return [
            [`system.disk.operations{device=${device} direction=read}`, Number(c[0])],
            [`system.disk.io{device=${device} direction=write}`, Number(c[6]) * 512],
          ];
        }),
    );
  const before = counters();
  if (before.size === 0) return t.skip('no block devices here');
  const { points, errors } = await scrape('disk');
  assert.deepEqual(errors, []);
  between(points, before, counters());
});

test('the size of the root file system is what statfs says', isHere, async () => {
  const { points } = await scrape('filesystem', {
    include_virtual_filesystems: true,
    include_mount_points: { mount_points: ['/'], match_type: 'strict' },
  });
  const { blocks, bsize } = statfsSync('/');
  const usage = points.filter((p) => p.startsWith('system.filesystem.usage'));
  assert.equal(usage.length % 3, 0);
  assert.ok(usage.length > 0);
  const sum = usage.slice(0, 3).reduce((n, p) => n + Number(p.split(' ').at(-1)), 0);
  assert.equal(sum, blocks * bsize);
});

test('this very process is among the processes', isHere, async () => {
  const before = process.memoryUsage.rss();
  const { resources, points } = await scrape('process', {
    resource_attributes: { 'process.pid': { metrics_include: [{ strict: String(process.pid) }] } },
    metrics: { 'process.open_file_descriptors': { enabled: true }, 'process.threads': { enabled: true } },
  });
  assert.equal(resources.length, 1);
  assert.equal(resources[0]!['process.pid'], BigInt(process.pid));
  assert.equal(resources[0]!['process.parent_pid'], BigInt(process.ppid));
  assert.equal(resources[0]!['process.executable.path'], process.execPath);
  const of = (name: string): number =>
    Number(
      points
        .find((p) => p.startsWith(name))!
        .split(' ')
        .at(-1),
    );
  assert.ok(of('process.memory.usage') > before / 2 && of('process.memory.usage') < before * 2);
  assert.ok(of('process.threads') > 1);
  assert.ok(of('process.open_file_descriptors') > 3);
});

test('the receiver sends one batch per interval, a group per scraper, until it is stopped', isHere, async () => {
  const { context, value } = componentContext('host_metrics', 'receiver');
  const sink = collector();
  const config = definition.schema.parse({
    initial_delay: '0s',
    collection_interval: '5ms',
    scrapers: { cpu: null, memory: null, system: null },
  });
  const receiver = await definition.create(config, { ...context, outputs: { metrics: sink.consumer } });
  await receiver.start!();
  await until(() => sink.batches.length >= 2, 'two batches');
  await receiver.stop!(AbortSignal.timeout(10_000));
  for (const batch of sink.batches) {
    assert.equal(batch.signal, 'metrics');
    assert.deepEqual(
      batch.groups.map((g) => g.scope.fields.name.split('/').at(-1)),
      ['cpuscraper', 'memoryscraper', 'systemscraper'],
    );
    for (const g of batch.groups) {
      assert.equal(g.resource.schemaUrl, 'https://opentelemetry.io/schemas/1.9.0');
      assert.equal([...metricsOf(g.items)].length, g.messages);
    }
  }
  assert.ok(value('otelcol_scraper_scraped_metric_points', 'scraper=memory')! >= 12);
});
