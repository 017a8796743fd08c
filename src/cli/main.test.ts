import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';

const MAIN = join(import.meta.dirname, 'main.ts');
const folder = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
after(() => rmSync(folder, { recursive: true }));

const sluice = (args: readonly string[], env: Record<string, string> = {}) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', MAIN, ...args],
    {
      encoding: 'utf8',
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', ...env },
    },
  );
  return { status, stdout, stderr };
};
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return name;
};

const GOOD = `receivers:
  otlp:
    protocols: {http: {endpoint: "127.0.0.1:0"}}
exporters:
  otlp_http:
    endpoint: http://127.0.0.1:1
    headers: {authorization: "\${env:TOKEN}"}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {logs: {receivers: [otlp], exporters: [otlp_http]}}
`;

test('--version and --help end well', () => {
  const version = sluice(['--version']);
  assert.deepEqual([version.status, version.stderr], [0, '']);
  assert.match(version.stdout, /^sluice version \S+ \(otelcol [\d.]+ compatible\)\n$/);
  const help = sluice(['validate', '--help']);
  assert.deepEqual([help.status, help.stderr], [0, '']);
  assert.match(help.stdout, /--config URI/);
});

test('errors are one text on stderr, without a stack, and exit code 1', () => {
  const bad = file(
    'bad.yaml',
    'receivers:\n  otlp: {protocols: {http: }}\nexporters:\n  otlp_http: {endpont: x, endpoint: "http://x"}\nservice:\n  pipelines: {logs: {receivers: [otlp], exporters: [nope]}}\n',
  );
  const table: [string[], RegExp][] = [
    [[], /^Error: at least one config flag must be provided\n$/],
    [['run'], /^Error: at least one config flag must be provided\n$/],
    [['bogus'], /^Error: unknown command "bogus" for "sluice"\n/],
    [['--config', 'missing.yaml'], /^Error: .*open missing.yaml: no such file or directory\n$/],
    [['--feature-gates', 'nope', '--config', bad], /no such feature gate "nope"/],
    [
      ['validate', '--config', bad],
      /^Error: failed to get config: .*\nbad.yaml:4:15: exporters::otlp_http: has invalid keys: endpont\n {4}did you mean "endpoint"\?\nbad.yaml:6:53: service::pipelines::logs: references exporter "nope" which is not configured\n/,
    ],
    [['print-config', '--mode', 'x', '--config', bad], /invalid argument "x" for "--mode" flag/],
    [['featuregate', 'nope'], /feature "nope" not found/],
  ];
  for (const [args, message] of table) {
    const { status, stdout, stderr } = sluice(args);
    assert.equal(status, 1, args.join(' '));
    assert.equal(stdout, '', args.join(' '));
    assert.match(stderr, message, args.join(' '));
    assert.doesNotMatch(stderr, /^\s+at /m, args.join(' '));
  }
});

test('validate says nothing of a good configuration', () => {
  const { status, stdout, stderr } = sluice(['validate', '--config', file('good.yaml', GOOD)]);
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

test('print-config hides secrets unless told otherwise, and what it prints can be run', () => {
  const config = file('good.yaml', GOOD);
  const hidden = sluice(['print-config', '--config', config], { TOKEN: 'opensesame' });
  assert.deepEqual([hidden.status, hidden.stderr], [0, '']);
  assert.ok(!hidden.stdout.includes('opensesame'));
  assert.equal(parse(hidden.stdout).exporters.otlp_http.headers.authorization, '[REDACTED]');
  const open = sluice(['print-config', '--mode', 'unredacted', '--format', 'json', '--config', config], {
    TOKEN: 'opensesame',
  });
  assert.equal(JSON.parse(open.stdout).exporters.otlp_http.headers.authorization, 'opensesame');
  const again = sluice(['validate', '--config', file('printed.yaml', hidden.stdout)]);
  assert.deepEqual([again.status, again.stderr], [0, '']);
});

test('components, schema and featuregate print what is built in', () => {
  const components = parse(sluice(['components']).stdout) as {
    buildinfo: { command: string };
    receivers: { name: string; stability: object }[];
  };
  assert.equal(components.buildinfo.command, 'sluice');
  const names = components.receivers.map((r) => r.name);
  assert.ok(names.includes('otlp') && names.includes('file_log'));
  assert.deepEqual(names, [...names].sort());
  const schema = JSON.parse(sluice(['schema']).stdout) as { properties: Record<string, { patternProperties: object }> };
  assert.ok('^(file_log|filelog)(/.*)?$' in schema.properties['receivers']!.patternProperties);
  assert.match(
    sluice(['featuregate', 'filelog.mtimeSortType']).stdout,
    /^ID +Enabled +Stage +Description\nfilelog\.mtimeSortType +true +Beta /,
  );
});
