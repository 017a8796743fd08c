// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references as configurations write them
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import * as z from 'zod';
import type { RegistryEntry } from '../../components/index.ts';
import {
  type AnyDefinition,
  defineConnector,
  defineExporter,
  defineExtension,
  defineProcessor,
  defineReceiver,
} from '../../core/component.ts';
import { ConfigError } from '../../core/errors.ts';
import { byteSize, duration, headers, section, stringList } from '../../core/schema.ts';
import { zodWords } from '../../core/zod-words.ts';
import type { LoadedConfig } from './config.ts';
import { formatConfigError, inComponent } from './diagnostics.ts';
import { selectGates } from './gates.ts';
import { type Environment, type LoadOptions, loadConfig } from './load.ts';

const never = async (): Promise<never> => {
  throw new Error('not created here');
};
const common = { summary: 's', stability: 'beta', create: never } as const;
const entry = (definition: AnyDefinition): RegistryEntry => ({
  kind: definition.kind,
  id: definition.id,
  aliases: definition.aliases ?? [],
  load: async () => ({ default: definition }),
});

const files = z
  .strictObject({
    include: stringList().default([]),
    more: stringList().default([]),
    start_at: z.enum(['beginning', 'end']).default('end'),
    poll_interval: duration().prefault('200ms'),
    max_concurrent_files: z.int().min(1).default(1024),
    include_file_path: z.boolean().default(false),
    fingerprint_size: byteSize().prefault('1kb'),
    attributes: z.record(z.string(), z.string()).default({}),
    anything: z.unknown().optional(),
    // Parses inside a parse, as the operators of file_log do.
    nested: z
      .unknown()
      .optional()
      .superRefine((v, ctx) => {
        const inner = z.strictObject({ text: z.string().default(''), n: z.int().default(0) });
        const result = inner.safeParse(v ?? {}, { error: zodWords });
        for (const issue of result.error?.issues ?? []) ctx.addIssue({ ...issue, path: issue.path });
      }),
    thrower: z
      .string()
      .optional()
      .transform((v) => {
        if (v === 'config') throw new ConfigError([{ path: ['thrower'], message: 'no such thing' }]);
        if (v === 'bug') throw new TypeError('oops');
        return v;
      }),
    operators: z.array(z.looseObject({ type: z.enum(['json_parser', 'regex_parser']) })).default([]),
    retry: section(
      z.strictObject({ enabled: z.boolean().default(true), multiplier: z.number().default(1.5) }),
    ).prefault({}),
  })
  .superRefine((c, ctx) => {
    if (c.include.length === 0) ctx.addIssue({ code: 'custom', message: "'include' must be specified" });
  });

const ENTRIES: readonly RegistryEntry[] = [
  entry(defineReceiver({ ...common, id: 'file_log', aliases: ['filelog'], signals: ['logs'], schema: files })),
  entry(
    defineReceiver({
      ...common,
      id: 'otlp',
      signals: ['logs', 'metrics', 'traces'],
      schema: z.strictObject({ endpoint: z.string().default('localhost:4318') }),
    }),
  ),
  entry(
    defineProcessor({
      ...common,
      id: 'batch',
      signals: ['logs', 'metrics', 'traces'],
      schema: z.strictObject({ timeout: duration().prefault('200ms') }),
    }),
  ),
  entry(
    defineExporter({
      ...common,
      id: 'otlp_http',
      aliases: ['otlphttp'],
      signals: ['logs', 'metrics', 'traces'],
      schema: z.strictObject({ endpoint: z.string().optional(), headers: headers() }),
    }),
  ),
  entry(defineExporter({ ...common, id: 'remote', signals: ['metrics'], schema: z.strictObject({}) })),
  entry(
    defineConnector({ ...common, id: 'forward', signals: [{ from: 'logs', to: 'logs' }], schema: z.strictObject({}) }),
  ),
  entry(defineExtension({ ...common, id: 'health_check', schema: z.strictObject({}) })),
];

const folder = mkdtempSync(join(tmpdir(), 'sluice-config-'));
after(() => rmSync(folder, { recursive: true }));
let written = 0;
const file = (text: string): string => {
  const path = join(folder, `${++written}.yaml`);
  writeFileSync(path, text);
  return path;
};

const load = (text: string, env: Environment = {}, options: LoadOptions = {}): Promise<LoadedConfig> =>
  loadConfig({ configs: [file(text)] }, env, { entries: ENTRIES, ...options });

async function refusal(loading: Promise<LoadedConfig>): Promise<ConfigError> {
  try {
    await loading;
  } catch (error) {
    assert.ok(error instanceof ConfigError, String((error as Error).stack));
    return error;
  }
  return assert.fail('the configuration was accepted');
}

interface Parts {
  readonly receivers?: string;
  readonly processors?: string;
  readonly exporters?: string;
  readonly service?: string;
}
const yaml = ({
  receivers = '  filelog: {include: [a]}',
  processors = '',
  exporters = '  otlphttp: {}',
  service = '  pipelines: {logs: {receivers: [filelog], exporters: [otlphttp]}}',
}: Parts): string =>
  `receivers:\n${receivers}\nexporters:\n${exporters}\nservice:\n${service}\n${processors && `processors:\n${processors}\n`}`;
const withReceiver = (body: string): string => yaml({ receivers: `  filelog:\n    include: [a]\n    ${body}` });

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

test('problems carry the words of otelcol, the path and the place', async () => {
  const list: [string, string, RegExp, string, string?][] = [
    // [what, configuration, message, line:column, hint]
    [
      'unknown key',
      withReceiver('includes: [x]'),
      /^receivers::filelog: has invalid keys: includes$/,
      '4:5',
      'did you mean "include"?',
    ],
    [
      'quoted number',
      withReceiver('max_concurrent_files: "7"'),
      /max_concurrent_files: expected type 'int', got unconvertible type 'string'/,
      '4:27',
    ],
    [
      'quoted bool',
      withReceiver('include_file_path: "true"'),
      /include_file_path: expected type 'bool', got unconvertible type 'string'/,
      '4:24',
    ],
    [
      'number for text',
      withReceiver('attributes: {a: 1}'),
      /attributes::a: expected type 'string', got unconvertible type 'int'/,
      '4:21',
    ],
    [
      'map for a list',
      yaml({ receivers: '  filelog: {include: {a: b}}' }),
      /include: source data must be an array or slice, got map/,
      '2:13',
    ],
    ['list for a duration', withReceiver('poll_interval: [1]'), /poll_interval: expected a duration/, '4:5'],
    ['bad unit', withReceiver('poll_interval: 5 minutes'), /poll_interval: time: unknown unit/, '4:20'],
    [
      'bad choice',
      withReceiver('start_at: begining'),
      /start_at: unsupported value "begining" \(valid values: \[beginning end\]\)/,
      '4:15',
      'did you mean "beginning"?',
    ],
    ['below the minimum', withReceiver('max_concurrent_files: 0'), /max_concurrent_files: must be at least 1/, '4:27'],
    [
      'in a list',
      withReceiver('operators: [{type: regex_parsr}]'),
      /operators\[0\]::type: unsupported value/,
      '4:24',
      'did you mean "regex_parser"?',
    ],
    ['list for a map', withReceiver('retry: [1]'), /retry: expected a map or struct, got "slice"/, '4:5'],
    [
      'inside a union',
      yaml({ exporters: '  otlphttp: {headers: {a: 1}}' }),
      /headers::a: expected type 'string', got unconvertible type 'int'/,
      '4:27',
    ],
    ['rule', yaml({ receivers: '  filelog:' }), /receivers::filelog: 'include' must be specified/, '2:3'],
    ['thrown by a schema', withReceiver('thrower: config'), /^receivers::filelog::thrower: no such thing$/, '4:14'],
    [
      'in a parse inside',
      withReceiver('nested: {n: x}'),
      /^receivers::filelog::nested::n: expected type 'int', got/,
      '4:17',
    ],
    [
      'unknown key inside',
      withReceiver('nested: {txt: x}'),
      /nested: has invalid keys: txt$/,
      '4:14',
      'did you mean "text"?',
    ],
    ['thrown by mistake', withReceiver('thrower: bug'), /^receivers::filelog: oops$/, '2:3'],
    [
      'unknown component',
      yaml({ receivers: '  filelog: {include: [a]}\n  magic/x:' }),
      /'receivers' unknown type: "magic" for id: "magic\/x" \(valid values: \[file_log filelog otlp\]\)/,
      '3:3',
    ],
    [
      'mistyped component',
      yaml({ receivers: '  filelog: {include: [a]}\n  fielog:' }),
      /unknown type: "fielog"/,
      '3:3',
      'did you mean "filelog"?',
    ],
    [
      'wrong section',
      yaml({ receivers: '  filelog: {include: [a]}\n  batch:' }),
      /unknown type: "batch"/,
      '3:3',
      '"batch" is a type of processor; write it below processors',
    ],
    [
      'removed exporter',
      yaml({ exporters: '  otlphttp:\n  logging:' }),
      /unknown type: "logging"/,
      '5:3',
      'the logging exporter was removed; use the debug exporter',
    ],
    ['bad id', yaml({ processors: '  batch/a b:' }), /in "batch\/a b" id: invalid character\(s\) in name "a b"/, '8:3'],
    [
      'same id twice',
      yaml({ processors: '  batch/a:\n  "batch/ a":' }),
      /duplicate name "batch\/ a" after unmarshaling batch\/a/,
      '9:3',
    ],
    [
      'bad signal',
      yaml({ service: '  pipelines: {events: {receivers: [filelog], exporters: [otlphttp]}}' }),
      /in "events" id: unknown pipeline signal: "events"/,
      '6:15',
    ],
    ['top level', `${yaml({})}pipelines: {}\n`, /has invalid keys: pipelines/, '7:1'],
    [
      'undefined processor',
      yaml({ service: '  pipelines: {logs: {receivers: [filelog], processors: [batch], exporters: [otlphttp]}}' }),
      /service::pipelines::logs: references processor "batch" which is not configured/,
      '6:57',
    ],
    [
      'undefined receiver',
      yaml({ service: '  pipelines: {logs: {receivers: [filelog/2], exporters: [otlphttp]}}' }),
      /service::pipelines::logs: references receiver "filelog\/2" which is not configured/,
      '6:34',
      'did you mean "filelog"?',
    ],
    [
      'undefined extension',
      yaml({
        service: '  extensions: [health_check]\n  pipelines: {logs: {receivers: [filelog], exporters: [otlphttp]}}',
      }),
      /service::extensions: references extension "health_check" which is not configured/,
      '6:16',
    ],
    [
      'processor twice',
      yaml({
        processors: '  batch:',
        service: '  pipelines: {logs: {receivers: [filelog], processors: [batch, batch], exporters: [otlphttp]}}',
      }),
      /service::pipelines::logs: references processor "batch" multiple times/,
      '6:64',
    ],
    [
      'no exporter',
      yaml({ service: '  pipelines: {logs: {receivers: [filelog]}}' }),
      /service::pipelines::logs: must have at least one exporter/,
      '6:15',
    ],
    [
      'no receiver',
      yaml({ service: '  pipelines: {logs: {exporters: [otlphttp]}}' }),
      /service::pipelines::logs: must have at least one receiver/,
      '6:15',
    ],
    [
      'no pipelines',
      yaml({ service: '  extensions: []' }),
      /service::pipelines: service must have at least one pipeline/,
      '5:1',
    ],
    [
      'signal that is not supported',
      yaml({
        exporters: '  otlphttp:\n  remote:',
        service: '  pipelines: {logs: {receivers: [filelog], exporters: [remote]}}',
      }),
      /"remote" exporter for data type "logs": telemetry type is not supported/,
      '7:56',
    ],
    [
      'self telemetry',
      yaml({
        service:
          '  telemetry: {metrics: {address: x}}\n  pipelines: {logs: {receivers: [filelog], exporters: [otlphttp]}}',
      }),
      /service::telemetry::metrics: has invalid keys: address/,
      '6:25',
    ],
    [
      'no readers',
      yaml({
        service:
          '  telemetry: {metrics: {readers: []}}\n  pipelines: {logs: {receivers: [filelog], exporters: [otlphttp]}}',
      }),
      /collector telemetry metrics reader should exist when metric level is not none/,
      '6:15',
    ],
  ];
  for (const [what, text, message, place, hint] of list) {
    const error = await refusal(load(text));
    assert.equal(error.diagnostics.length, 1, `${what}: ${formatConfigError(error)}`);
    const [d] = error.diagnostics;
    const [, told = ''] = formatConfigError(error).split('\n');
    const [, where = '', rest = ''] = /^\S+?\.yaml:(\d+:\d+): (.*)$/.exec(told) ?? [];
    assert.match(rest, message, what);
    assert.equal(where, place, `${what}: place`);
    if (hint !== undefined) assert.equal(d?.hint, hint, what);
  }
});

test('all problems are told at once, in the order of the file', async () => {
  const error = await refusal(
    load(
      'receivers:\n  filelog: {max_concurrent_files: x, start_at: 7}\n  magic:\nexporters:\n  otlphttp: {nope: 1}\nservice:\n  telemetry: {nope: 1}\n  pipelines:\n    logs: {receivers: [other], exporters: [otlphttp]}\n',
    ),
  );
  assert.deepEqual(
    formatConfigError(error)
      .split('\n')
      .filter((l) => /^\S/.test(l))
      .map((l) => /yaml:(\d+)/.exec(l)?.[1]),
    [undefined, '2', '2', '3', '5', '7', '9'],
  );
  assert.match(formatConfigError(error), /^failed to get config: cannot unmarshal the configuration: decoding failed/);
});

test('rules alone are an invalid configuration', async () => {
  const error = await refusal(load(yaml({ receivers: '  filelog: {include: []}' })));
  assert.match(formatConfigError(error), /^invalid configuration:\n.*'include' must be specified$/);
});

test('nothing and almost nothing are refused', async () => {
  for (const [text, message] of [
    ['', 'empty configuration file'],
    ['service:', 'no receiver configuration specified in config'],
    ['receivers: {filelog: {include: [a]}}', 'no exporter configuration specified in config'],
    ['receivers: [a]', 'expected a map or struct, got "slice"'],
    ['- a', 'retrieved value (type=[]interface {}) cannot be used as a Conf'],
    ['just text', 'retrieved value (type=string) cannot be used as a Conf'],
  ] as const)
    assert.ok(formatConfigError(await refusal(load(text))).includes(message), text);
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

test('a problem points into the source that brought it', async () => {
  const first = file(yaml({}));
  const second = file('# comment\nreceivers:\n  filelog:\n    nope: 1\n');
  const error = await refusal(
    loadConfig({ configs: [first, second], sets: ['exporters.otlphttp.endpoint=5'] }, {}, { entries: ENTRIES }),
  );
  assert.deepEqual(
    error.diagnostics.map((d) => [d.file, d.line]),
    [
      [second, 4],
      ['--set exporters.otlphttp.endpoint', 1],
    ],
  );
});

test('sources that cannot be read are refused', async () => {
  const missing = join(folder, 'missing.yaml');
  const table: [readonly string[], readonly string[], string][] = [
    [[], [], 'at least one config flag must be provided'],
    [
      [missing],
      [],
      `cannot resolve the configuration: cannot retrieve the configuration: unable to read the file file:${missing}: open ${missing}: no such file or directory`,
    ],
    [[folder], [], 'is a directory'],
    [['http:foo'], [], 'unsupported scheme on URI "http:foo"'],
    [['env:1'], [], 'has invalid name'],
    [['yaml:a: b: c'], [], 'yaml: line 1'],
    [['yaml:receivers:'], ['a.b'], 'missing equal sign'],
    [['yaml:receivers:'], ['a.b=[1'], 'yaml: line 1'],
    [
      [file('receivers:\n  filelog:\n    include: [a]\n    include: [b]\n')],
      [],
      'mapping key "include" already defined at line 3',
    ],
  ];
  for (const [configs, sets, message] of table) {
    const text = formatConfigError(await refusal(loadConfig({ configs, sets }, {}, { entries: ENTRIES })));
    assert.ok(text.includes(message), `${message}: ${text}`);
  }
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

test('what a component says later is placed too', async () => {
  const config = await load(withReceiver('attributes: {a: b}'));
  const said = new ConfigError([{ path: ['attributes', 'a'], message: 'must be c' }]);
  const text = formatConfigError(inComponent(config, 'receiver', 'filelog', said));
  assert.match(text, /^invalid configuration:\n\S+:4:21: receivers::filelog::attributes::a: must be c$/);
});

test('a component whose code is missing is a problem like others', async () => {
  const broken: RegistryEntry = {
    kind: 'exporter',
    id: 'broken',
    aliases: [],
    load: () => Promise.reject(new Error('no code')),
  };
  const error = await refusal(
    load(yaml({ exporters: '  otlphttp:\n  broken:' }), {}, { entries: [...ENTRIES, broken] }),
  );
  assert.match(formatConfigError(error), /exporters::broken: the component could not be loaded: no code/);
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
