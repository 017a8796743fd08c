import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { RegistryEntry } from '../../components/index.ts';
import { ConfigError } from '../../core/errors.ts';
import { formatConfigError, inComponent } from './diagnostics.ts';
import { loadConfig } from './load.ts';
import { ENTRIES, file, folder, load, refusal, withReceiver, yaml } from './testing.ts';

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
