/** The process as a user or a kubelet meets it: start, signals, reload, exit codes, ways to call it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { freePort, lastLedger, READY, startAgent, startWith, tempDir, until } from './helpers/agent.ts';
import { filesToOtlp } from './helpers/config.ts';
import { SLUICE } from './helpers/paths.ts';
import { startSink } from './helpers/sink.ts';

const lines = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `line ${from + i}`);
const text = (from: number, to: number): string => `${lines(from, to).join('\n')}\n`;

test('--version says the version and exits 0', async (t) => {
  const agent = startAgent(t, ['--version']);
  assert.deepEqual(await agent.exited, { code: 0, signal: null });
  assert.match(agent.output, /^sluice version \d+\.\d+\.\d+/);
});

test('long output into a pipe is whole, and a reader that goes away is no error', () => {
  for (let i = 0; i < 3; i++) {
    const { stdout } = spawnSync('sh', ['-c', '"$0" schema | cat', SLUICE], { maxBuffer: 1 << 26 });
    assert.ok(stdout.length > 100_000);
    JSON.parse(stdout.toString());
  }
  const { stderr } = spawnSync('sh', ['-c', '"$0" schema | head -c 1', SLUICE]);
  assert.equal(stderr.toString(), '');
});

test('runs from another directory and through symbolic links, absolute and relative', async (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'bin'));
  symlinkSync(SLUICE, join(dir, 'bin', 'absolute'));
  symlinkSync('bin/absolute', join(dir, 'relative'));
  symlinkSync(relative(join(dir, 'bin'), SLUICE), join(dir, 'bin', 'direct'));
  for (const command of [SLUICE, join(dir, 'bin', 'absolute'), join(dir, 'relative'), join(dir, 'bin', 'direct')]) {
    const agent = startAgent(t, ['--version'], { command, cwd: '/' });
    assert.deepEqual(await agent.exited, { code: 0, signal: null }, `${command}: ${agent.output}`);
    assert.match(agent.output, /version/);
  }
});

test('a relative --config is looked for where the command was called', async (t) => {
  const dir = tempDir(t);
  writeFileSync(join(dir, 'mine.yaml'), filesToOtlp({ include: '/nowhere/*.log', endpoint: 'http://127.0.0.1:1' }));
  const agent = startAgent(t, ['validate', '--config', 'mine.yaml'], { cwd: dir });
  assert.equal((await agent.exited).code, 0, agent.output);
});

const refused: readonly [string, string[], RegExp][] = [
  ['no configuration at all', [], /config/],
  ['a file that is not there', ['--config', '/nowhere/agent.yaml'], /\/nowhere\/agent\.yaml/],
  ['an unknown flag', ['--confg', 'x.yaml'], /unknown flag: --confg/],
  ['an unknown command', ['rnu'], /unknown command "rnu"/],
  ['an empty configuration', ['--config', 'yaml:{}'], /invalid configuration|receiver/],
];
for (const [what, args, message] of refused)
  test(`${what}: one "Error:" on stderr, no stack, exit code 1`, async (t) => {
    const agent = startAgent(t, args, { cwd: tempDir(t) });
    assert.deepEqual(await agent.exited, { code: 1, signal: null });
    assert.match(agent.stderr, /^Error: /);
    assert.match(agent.stderr, message);
    assert.doesNotMatch(agent.stderr, /^\s+at /m);
  });

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  test(`${signal}: what the batch processor holds is sent, offsets are stored, the ledger is balanced, exit code 0`, async (t) => {
    const dir = tempDir(t);
    const sink = await startSink(t);
    const port = await freePort();
    const config = filesToOtlp({
      include: join(dir, '*.log'),
      endpoint: sink.url,
      storage: join(dir, 'state'),
      processors: 'batch: {timeout: 10m, send_batch_size: 1000000}',
      service: `telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${port}}}}}]}}`,
    });
    writeFileSync(join(dir, 'a.log'), text(1, 500));
    const first = startWith(t, dir, config);
    await first.says(READY);
    const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    await until(
      async () => /otelcol_receiver_accepted_log_records\S* 500\b/.test(await metrics()),
      'all lines to be read',
    );
    assert.equal(sink.requests, 0);
    first.signal(signal);
    assert.deepEqual(await first.exited, { code: 0, signal: null }, first.output);
    assert.deepEqual(sink.bodies, lines(1, 500));
    for (const said of ['Received signal from OS', 'Starting shutdown...', 'Shutdown complete.'])
      assert.ok(first.output.includes(said), `${said} in ${first.output}`);
    const ledger = lastLedger(first.output);
    assert.ok(ledger, first.output);
    const { records } = ledger;
    assert.ok(records);
    assert.deepEqual([records['read'], records['delivered'], records['in_flight'], records['lost']], [500, 500, 0, 0]);

    appendFileSync(join(dir, 'a.log'), text(501, 510));
    const second = startWith(t, dir, config);
    await second.says(READY);
    await until(
      async () => /otelcol_receiver_accepted_log_records\S* 10\b/.test(await metrics()),
      'the new lines to be read',
    );
    await second.stop();
    assert.deepEqual(sink.bodies, lines(1, 510));
  });

test('a second signal ends a shutdown that hangs', async (t) => {
  const dir = tempDir(t);
  const sink = await startSink(t);
  sink.answer = 'endless';
  writeFileSync(join(dir, 'a.log'), text(1, 10));
  const config = filesToOtlp({ include: join(dir, '*.log'), endpoint: sink.url, exporter: 'timeout: 10m' });
  const agent = startWith(t, dir, config);
  await agent.says(READY);
  await until(() => sink.requests > 0, 'a request');
  agent.signal('SIGTERM');
  await agent.says('Starting shutdown...');
  const asked = performance.now();
  agent.signal('SIGTERM');
  await agent.exited;
  // Without the second signal it would take the whole 30 s.
  assert.ok(performance.now() - asked < 20_000, `took ${performance.now() - asked} ms`);
  assert.equal(sink.records.length, 0);
});

test('SIGHUP takes the new configuration, and nothing is lost or repeated over it', async (t) => {
  const dir = tempDir(t);
  const sink = await startSink(t);
  const config = (include: string): string =>
    filesToOtlp({ include: join(dir, include), endpoint: sink.url, storage: join(dir, 'state') });
  writeFileSync(join(dir, 'a.log'), text(1, 3));
  writeFileSync(join(dir, 'b.txt'), 'from b\n');
  const agent = startWith(t, dir, config('*.log'));
  await until(() => sink.records.length >= 3, 'the first lines');
  writeFileSync(join(dir, 'agent.yaml'), config('*.[lt]*'));
  const from = agent.output.length;
  agent.signal('SIGHUP');
  await agent.says('Config updated, restart service', from);
  await agent.says(READY, from);
  appendFileSync(join(dir, 'a.log'), text(4, 5));
  await until(() => sink.records.length >= 6, 'lines of both files');
  assert.equal((await agent.stop()).code, 0);
  assert.deepEqual([...sink.bodies].sort(), ['from b', ...lines(1, 5)]);
});

const broken: readonly [string, (good: string) => string, RegExp][] = [
  ['that is not YAML', () => 'receivers: [', /agent\.yaml/],
  ['with an unknown key', (good) => good.replace('start_at:', 'start_att:'), /start_att/],
  ['with an unknown component', (good) => good.replaceAll('otlp_http', 'otlp_htp'), /unknown type: \\?"otlp_htp/],
];
for (const [what, breakIt, message] of broken)
  test(`SIGHUP with a configuration ${what}: the old one keeps running and the error is logged`, async (t) => {
    const dir = tempDir(t);
    const sink = await startSink(t);
    const good = filesToOtlp({ include: join(dir, '*.log'), endpoint: sink.url });
    writeFileSync(join(dir, 'a.log'), text(1, 1));
    const agent = startWith(t, dir, good);
    await until(() => sink.records.length >= 1, 'the first line');
    writeFileSync(join(dir, 'agent.yaml'), breakIt(good));
    const from = agent.output.length;
    agent.signal('SIGHUP');
    await agent.says('the old one keeps running', from);
    await agent.says(message, from);
    appendFileSync(join(dir, 'a.log'), text(2, 2));
    await until(() => sink.records.length >= 2, 'the line after the failed reload');
    assert.equal((await agent.stop()).code, 0);
    assert.deepEqual(sink.bodies, lines(1, 2));
  });
