// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references as configurations write them
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type * as z from 'zod';
import fc from '../../../test/helpers/property.ts';
import { ConfigError } from '../../core/errors.ts';
import { formatConfigError } from './diagnostics.ts';
import { selectGates } from './gates.ts';
import { loadConfig } from './load.ts';
import { ENTRIES, file, type files, load, refusal, yaml } from './testing.ts';

test('a plain configuration is typed', async () => {
  const config = await load(
    yaml({
      receivers: '  filelog/app: {include: "a,b", poll_interval: 1m}',
      service: '  extensions: []\n  pipelines: {logs/main: {receivers: [filelog/app], exporters: otlphttp}}',
    }),
  );
  const receiver = config.receivers.get('filelog/app');
  assert.deepEqual(
    [receiver?.id, receiver?.type, receiver?.name, receiver?.entry.id],
    ['filelog/app', 'filelog', 'app', 'file_log'],
  );
  const value = receiver?.value as z.output<typeof files>;
  assert.deepEqual([value.include, value.poll_interval, value.fingerprint_size], [['a', 'b'], 60_000, 1000]);
  assert.deepEqual(receiver?.raw, { include: 'a,b', poll_interval: '1m' });
  assert.deepEqual(config.service.pipelines, [
    {
      id: 'logs/main',
      signal: 'logs',
      name: 'main',
      receivers: ['filelog/app'],
      processors: [],
      exporters: ['otlphttp'],
    },
  ]);
  assert.equal(config.service.telemetry.metrics.level, 'normal');
});

test('old names work and are warned of, once per component that is used', async () => {
  const config = await load(
    yaml({
      receivers: '  filelog: {include: [a]}\n  filelog/unused: {include: [a]}\n  file_log: {include: [a]}',
      service:
        '  pipelines: {logs: {receivers: [filelog, file_log], exporters: [otlphttp]}, logs/2: {receivers: [filelog], exporters: [otlphttp]}}',
    }),
  );
  assert.deepEqual(
    config.warnings.map((w) => [w.message, w.component?.id]),
    [
      ['"filelog" alias is deprecated; use "file_log" instead', 'filelog'],
      ['"otlphttp" alias is deprecated; use "otlp_http" instead', 'otlphttp'],
    ],
  );
});

test('a reference gives a string field its text and others its value', async () => {
  const env = { NUM: '007', FLAG: 'true', LIST: '[x, y]', WAIT: '3s', HEAD: '12', EMPTY: '' };
  const config = await load(
    yaml({
      receivers:
        '  filelog:\n    include: ${env:LIST}\n    more: ${env:NUM}\n    nested: {text: "${env:NUM}", n: "${env:NUM}"}\n    poll_interval: ${env:WAIT}\n    max_concurrent_files: ${env:NUM}\n    include_file_path: ${env:FLAG}\n    attributes: {a: "${env:NUM}", b: "${env:EMPTY}", c: "${env:UNSET}", d: "${env:LIST}"}\n    anything: ${env:NUM}\n    start_at: ${env:UNSET}\n',
      exporters: '  otlphttp: {headers: {h: "${env:HEAD}"}, endpoint: "${env:NUM}"}',
    }),
    env,
  );
  const value = config.receivers.get('filelog')?.value as z.output<typeof files>;
  assert.deepEqual(value.include, ['x', 'y']);
  assert.deepEqual(value.more, ['007']);
  assert.deepEqual(value.nested, { text: '007', n: 7 });
  assert.equal(value.poll_interval, 3000);
  assert.equal(value.max_concurrent_files, 7);
  assert.equal(value.include_file_path, true);
  assert.deepEqual(value.attributes, { a: '007', b: '', c: '', d: '[x, y]' });
  assert.equal(value.anything, 7);
  assert.equal(value.start_at, 'end');
  assert.deepEqual(config.exporters.get('otlphttp')?.value, { headers: { h: '12' }, endpoint: '007' });
  assert.deepEqual(
    config.warnings.filter((w) => !w.component).map((w) => w.fields['name']),
    ['EMPTY', 'UNSET'],
  );
});

test('null means the default', async () => {
  const config = await load(
    yaml({
      receivers:
        '  filelog:\n    include: [a]\n    start_at:\n    poll_interval: ~\n    retry: {multiplier: }\n    operators:\n',
    }),
  );
  const value = config.receivers.get('filelog')?.value as z.output<typeof files>;
  assert.deepEqual(
    [value.start_at, value.poll_interval, value.retry, value.operators],
    ['end', 200, { enabled: true, multiplier: 1.5 }, []],
  );
});

test('several sources merge; --set comes last', async () => {
  const first = file(
    yaml({
      receivers: '  filelog: {include: [a, b], attributes: {a: first, b: kept}}',
      processors: '  batch: {timeout: 1s}',
    }),
  );
  const second = file('receivers: {filelog: {include: [c], attributes: {a: second, d: new}}}\nprocessors: {batch: }\n');
  const config = await loadConfig(
    {
      configs: [first, `file:${second}`, 'yaml:receivers::filelog::attributes::c: inline', 'env:MORE'],
      sets: [
        'receivers.filelog.attributes.e="5"',
        'receivers::filelog::attributes::f=colons',
        'receivers.filelog.max_concurrent_files=3',
      ],
    },
    { MORE: 'receivers: {filelog: {start_at: beginning}}' },
    { entries: ENTRIES },
  );
  const value = config.receivers.get('filelog')?.value as z.output<typeof files>;
  assert.deepEqual(value.include, ['c']);
  assert.deepEqual(value.attributes, { a: 'second', b: 'kept', d: 'new', c: 'inline', e: '5', f: 'colons' });
  assert.deepEqual([value.max_concurrent_files, value.start_at], [3, 'beginning']);
  assert.deepEqual(config.processors.get('batch')?.value, { timeout: 200 });
  assert.equal(config.locate(['receivers', 'filelog', 'attributes', 'd'])?.file, second);
  assert.equal(config.locate(['receivers', 'filelog', 'attributes', 'b'])?.file, first);
});

test('connectors stand on both sides, and their ids are their own', async () => {
  const connected = (id: string): string =>
    `receivers: {filelog: {include: [a]}}\nexporters: {otlphttp: }\nconnectors: {${id}: }\nservice:\n  pipelines:\n    logs: {receivers: [filelog], exporters: [${id}]}\n    logs/2: {receivers: [${id}], exporters: [otlphttp]}\n`;
  assert.deepEqual([...(await load(connected('forward/x'))).connectors.keys()], ['forward/x']);
  const clash = connected('forward').replace('exporters: {otlphttp: }', 'exporters: {otlphttp: , forward: }');
  assert.ok(
    formatConfigError(await refusal(load(clash))).includes(
      'ambiguous ID: Found both "forward" exporter and "forward" connector',
    ),
  );
});

test('gates change what is refused and how lists merge', async () => {
  const gates = selectGates(['service.AllowNoPipelines,+confmap.enableMergeAppendOption']).enabled;
  assert.deepEqual((await load('service: {extensions: []}', {}, { gates })).service.pipelines, []);
  const configs = [
    file(yaml({ exporters: '  otlphttp:\n  otlphttp/2:' })),
    'yaml:service::pipelines::logs::exporters: [otlphttp/2, otlphttp]',
  ];
  const appended = await loadConfig({ configs }, {}, { entries: ENTRIES, gates });
  assert.deepEqual(appended.service.pipelines[0]?.exporters, ['otlphttp', 'otlphttp/2']);
});

test('any data is loaded or refused with problems that have text', async () => {
  const word = fc.constantFrom(
    'filelog',
    'otlp',
    'otlphttp',
    'batch',
    'forward',
    'health_check',
    'logs',
    'metrics/x',
    'include',
    'attributes',
    'operators',
    'type',
    'retry',
    'pipelines',
    'telemetry',
    'logs',
    'readers',
    'receivers',
    'processors',
    'exporters',
    'extensions',
    '__proto__',
    'constructor',
    'toString',
    '',
    'a b',
    'filelog/',
    '${env:A}',
    '$$',
    '0123',
    '10s',
  );
  const leaf = fc.oneof(word, fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.string());
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(word, tie('value'), { maxKeys: 4 }),
    ),
  }));
  const section = fc.oneof(fc.dictionary(word, value, { maxKeys: 3 }), value);
  const whole = fc.record(
    {
      receivers: section,
      processors: section,
      exporters: section,
      connectors: section,
      extensions: section,
      service: section,
      other: value,
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(whole, async (data) => {
      try {
        await loadConfig({ configs: [`yaml:${JSON.stringify(data)}`] }, { A: '[1, {a: b}]' }, { entries: ENTRIES });
      } catch (error) {
        assert.ok(error instanceof ConfigError, String((error as Error).stack));
        assert.ok(error.diagnostics.length > 0);
        for (const d of error.diagnostics) assert.match(d.message, /^[^\0\u0001]+$/, JSON.stringify(data));
      }
    }),
    { numRuns: 1500 },
  );
});
