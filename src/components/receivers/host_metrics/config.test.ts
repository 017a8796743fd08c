import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { componentContext } from '../../../../test/helpers/component.ts';
import { ConfigError } from '../../../core/errors.ts';
import { zodWords } from '../../../core/zod-words.ts';
import { hostMetricsSchema } from './config.ts';
import { makeScrapers } from './receiver.ts';
import { parse } from './testing.ts';

const problems = (raw: unknown): string[] => {
  const result = hostMetricsSchema.safeParse(raw, { error: zodWords });
  return result.success ? [] : result.error.issues.map((i) => `${i.path.join('::')}: ${i.message.split('\0')[0]}`);
};

describe('configuration of host_metrics', () => {
  const rows: readonly [string, unknown, readonly string[]][] = [
    ['no scraper', {}, ['scrapers: must specify at least one scraper when using hostmetrics receiver']],
    [
      'no scraper below the key',
      { scrapers: null },
      ['scrapers: must specify at least one scraper when using hostmetrics receiver'],
    ],
    ['an unknown scraper', { scrapers: { cpu: null, gpu: null } }, ['scrapers: invalid scraper key: gpu']],
    [
      'an unknown metric',
      { scrapers: { cpu: { metrics: { 'system.cpu.temp': null } } } },
      ['scrapers::cpu::metrics: has invalid keys: '],
    ],
    [
      'a filter without match type',
      { scrapers: { disk: { include: { devices: ['sda'] } } } },
      ["scrapers::disk::include::match_type: unrecognized match_type: '', valid types are: [regexp strict]"],
    ],
    [
      'an unknown match type',
      { scrapers: { filesystem: { exclude_fs_types: { fs_types: ['tmpfs'], match_type: 'glob' } } } },
      [
        "scrapers::filesystem::exclude_fs_types::match_type: unrecognized match_type: 'glob', valid types are: [regexp strict]",
      ],
    ],
    [
      'a broken expression',
      { scrapers: { process: { exclude: { names: ['ok', '('], match_type: 'regexp' } } } },
      ['scrapers::process::exclude::names::1: compiling regex: error parsing regexp: missing closing ): `(`'],
    ],
    [
      'an interval of nothing',
      { collection_interval: '0s', scrapers: { cpu: null } },
      ['collection_interval: "collection_interval": requires positive value'],
    ],
    [
      'everything at once',
      { root_path: 1, scrapers: { load: { cpu_average: 'x' } } },
      [
        "root_path: expected type 'string', got unconvertible type 'int'",
        "scrapers::load::cpu_average: expected type 'bool', got unconvertible type 'string'",
      ],
    ],
  ];
  for (const [what, raw, want] of rows)
    it(`refuses ${what}`, () => {
      assert.deepEqual(problems(raw), want);
    });

  it('takes all that upstream takes, null for defaults', () => {
    assert.deepEqual(
      problems({
        collection_interval: '10s',
        initial_delay: '0s',
        timeout: '5s',
        root_path: '/hostfs',
        metadata_collection_interval: '1m',
        scrapers: {
          cpu: null,
          load: {},
          memory: { metrics: null },
          disk: { include: { devices: 'sda,sdb', match_type: 'strict', regexp: { cacheenabled: true } } },
          filesystem: null,
          network: { metrics: { 'system.network.io': null } },
          nfs: null,
          paging: null,
          processes: null,
          process: {
            resource_attributes: { 'process.cgroup': { enabled: true } },
            mute_process_all_errors: true,
            scrape_process_delay: '10s',
          },
          system: null,
        },
      }),
      [],
    );
  });

  it('makes only the scrapers that are named', async () => {
    const { context } = componentContext('host_metrics', 'receiver');
    const scrapers = await makeScrapers(parse({ system: null, cpu: null }), { ...context, outputs: {} });
    assert.deepEqual(
      scrapers.map((s) => s.name),
      ['cpu', 'system'],
    );
  });

  it('says that the gate for new names of process metrics has no effect', async () => {
    const { context, lines } = componentContext('host_metrics', 'receiver');
    const gates = new Map([['receiver.hostmetrics.EmitV1SystemConventions', true]]);
    await makeScrapers(parse({ process: null }), { ...context, outputs: {}, gates });
    assert.deepEqual(
      lines.map((l) => l.level),
      ['warn'],
    );
  });

  it('refuses a root that is not there', async () => {
    const { context } = componentContext('host_metrics/a', 'receiver');
    const config = parse({ cpu: null }, { root_path: '/no/such/root' });
    await assert.rejects(makeScrapers(config, { ...context, outputs: {} }), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.diagnostics, [
        {
          path: ['receivers', 'host_metrics/a', 'root_path'],
          message: 'invalid root_path: stat /no/such/root: no such file or directory',
        },
      ]);
      return true;
    });
  });
});
