/** Whatever the files hold, a scrape ends, and gives numbers that are numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../../test/helpers/property.ts';
import { makeScrapers } from './receiver.ts';
import { hostOf, parse, put, scrapeOnce } from './testing.ts';

const FILES = [
  'proc/stat',
  'proc/uptime',
  'proc/loadavg',
  'proc/meminfo',
  'proc/cpuinfo',
  'proc/diskstats',
  'proc/net/dev',
  'proc/net/tcp',
  'proc/net/rpc/nfs',
  'proc/net/rpc/nfsd',
  'proc/swaps',
  'proc/vmstat',
  'proc/filesystems',
  'proc/1/mountinfo',
  'proc/1/stat',
  'proc/1/statm',
  'proc/1/status',
  'proc/1/io',
  'proc/1/cmdline',
  'etc/passwd',
];

/** Words of these files, put together anyhow. */
const WORDS = [
  ...['cpu', 'cpu0', 'cpu1', 'btime ', 'processes ', 'procs_running 1', 'procs_blocked 0', 'intr'],
  ...[
    'MemTotal:',
    'MemFree:',
    'HugePages_Total:',
    'kB',
    'pgpgin ',
    'pswpin ',
    'pgmajfault ',
    'sda',
    'eth0:',
    ':',
    'lo',
  ],
  ...['1 (a) S', '(', ')', ') R', 'Uid:', 'SigQ:', 'rchar: 1', 'wchar: 2', 'syscr: 3', 'syscw: 4', 'root:x:0:'],
  ...['/', '/dev/root', '/dev/mapper/x', 'ext4', 'nodev', ' - ', 'rw', 'proc3', 'proc4ops', 'net', 'rpc', 'th', '0A'],
  ...[' ', '\t', '\n', '\n', '\0', '\\040', '0', '1', '7', '-1', '18446744073709551615', '1e309', 'é', '0.5', 'NaN'],
];
const content = fc.oneof(
  fc.array(fc.constantFrom(...WORDS), { maxLength: 60 }).map((words) => words.join(' ')),
  fc.string({ unit: 'binary', maxLength: 200 }),
);

test('arbitrary files: a scrape ends, its values are numbers, and what is wrong is told', async (t) => {
  const { root, ctx } = hostOf(t, {});
  const on = (...names: readonly string[]): object => ({
    metrics: Object.fromEntries(names.map((n) => [n, { enabled: true }])),
  });
  const config = parse(
    {
      cpu: on(
        'system.cpu.utilization',
        'system.cpu.frequency',
        'system.cpu.logical.count',
        'system.cpu.physical.count',
      ),
      load: { cpu_average: true },
      memory: on('system.memory.utilization', 'system.memory.linux.hugepages.utilization'),
      disk: null,
      filesystem: { include_virtual_filesystems: true },
      network: null,
      nfs: null,
      paging: on('system.paging.utilization'),
      processes: null,
      process: on('process.cpu.utilization', 'process.memory.utilization', 'process.signals_pending', 'process.uptime'),
      system: null,
    },
    { root_path: root },
  );
  const scrapers = await makeScrapers(config, ctx);
  await fc.assert(
    fc.asyncProperty(fc.array(content, { minLength: FILES.length, maxLength: FILES.length }), async (contents) => {
      for (const [i, path] of FILES.entries()) put(root, path, contents[i]!);
      for (const scraper of scrapers) {
        const { points, errors } = await scrapeOnce(scraper);
        for (const p of points) {
          const value = Number(p.slice(p.lastIndexOf(' ') + 1));
          assert.ok(Number.isFinite(value), `${scraper.name}: ${p}`);
        }
        for (const e of errors) assert.ok(e.length > 0 && e.length < 1000, e);
      }
    }),
    { numRuns: 200 },
  );
});
