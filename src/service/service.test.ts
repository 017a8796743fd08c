import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../../test/helpers/component.ts';

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** The service of testdata in a process of its own; each argument is what one load gives. */
function run(t: TestContext, ...loads: string[]) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'testdata/run-service.ts'), ...loads], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let text = '';
  child.stderr.on('data', (chunk) => (text += chunk));
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve));
  const lines = (): Line[] =>
    text
      .split('\n')
      .filter((l) => l.startsWith('{'))
      .map((l) => JSON.parse(l) as Line);
  const messages = (): string[] => lines().map((l) => l.msg);
  const count = (message: string): number => messages().filter((m) => m === message).length;
  const logged = (message: string, times = 1): Promise<void> => until(() => count(message) >= times, message);
  return { child, exit, lines, messages, logged, text: () => text };
}

const READY = 'Everything is ready. Begin running and processing data.';

test('start and stop say what otelcol says, and the last lines are the ledgers', async (t) => {
  const s = run(t, 'one');
  await s.logged(READY);
  s.child.kill('SIGTERM');
  assert.equal(await s.exit, 0);
  assert.deepEqual(s.messages(), [
    'warning of one',
    'Starting sluice...',
    'Starting extensions...',
    'Extension is starting...',
    'Extension started.',
    'source of one started',
    READY,
    'Received signal from OS',
    'Starting shutdown...',
    'source of one stopped',
    'Stopping extensions...',
    'Ledger',
    'Shutdown complete.',
  ]);
  const find = (msg: string): Line => s.lines().find((l) => l.msg === msg)!;
  assert.equal(find('Starting sluice...')['Version'], '1.2.3');
  assert.ok(Number(find('Starting sluice...')['NumCPU']) >= 1);
  assert.equal(find('Received signal from OS')['signal'], 'terminated');
  assert.deepEqual(
    [find('source of one started')['otelcol.component.id'], find('source of one started')['otelcol.component.kind']],
    ['source', 'receiver'],
  );
  const { records, bytes, lost_by } = find('Ledger');
  assert.deepEqual(records, { read: 3, delivered: 2, filtered: 0, queued: 0, in_flight: 0, lost: 1 });
  assert.deepEqual(bytes, { read: 30, delivered: 20, filtered: 0, queued: 0, in_flight: 0, lost: 10 });
  assert.deepEqual(lost_by, { rotated: { records: 1, bytes: 10 } });
});

test('SIGINT stops it too', async (t) => {
  const s = run(t, 'one');
  await s.logged(READY);
  s.child.kill('SIGINT');
  assert.equal(await s.exit, 0);
});

for (const broken of ['unloadable', 'unbuildable'])
  test(`SIGHUP with a configuration that is ${broken} keeps the old one running`, async (t) => {
    const s = run(t, 'one', broken);
    await s.logged(READY);
    s.child.kill('SIGHUP');
    await s.logged('Configuration was not reloaded; the old one keeps running');
    assert.ok(!s.messages().includes('source of one stopped'));
    s.child.kill('SIGTERM');
    assert.equal(await s.exit, 0);
    assert.ok(s.messages().includes('source of one stopped'));
  });

test('SIGHUP stops the old configuration and starts the new one', async (t) => {
  const s = run(t, 'one', 'two');
  await s.logged(READY);
  s.child.kill('SIGHUP');
  await s.logged(READY, 2);
  s.child.kill('SIGTERM');
  assert.equal(await s.exit, 0);
  const own = s.messages().filter((m) => m.startsWith('source of') || m.startsWith('Config'));
  assert.deepEqual(own, [
    'source of one started',
    'Config updated, restart service',
    'source of one stopped',
    'source of two started',
    'source of two stopped',
  ]);
});

test('a new configuration that does not start gives way to the old one again', async (t) => {
  const s = run(t, 'one', 'unstartable');
  await s.logged(READY);
  s.child.kill('SIGHUP');
  await s.logged(READY, 2);
  s.child.kill('SIGTERM');
  assert.equal(await s.exit, 0);
  const own = s.messages().filter((m) => m.startsWith('source of'));
  assert.deepEqual(own, [
    'source of one started',
    'source of one stopped',
    'source of unstartable started',
    'source of unstartable stopped',
    'source of one started',
    'source of one stopped',
  ]);
});

test('a first configuration that does not start ends the process with an error that names the component', async (t) => {
  const s = run(t, 'unstartable');
  assert.equal(await s.exit, 1);
  assert.match(s.text(), /^Error: cannot start pipelines: failed to start "source" receiver: port is taken$/m);
  assert.ok(s.messages().includes('source of unstartable stopped'));
});

test('a signal during the start stops what was started', async (t) => {
  const s = run(t, 'slow-start');
  await s.logged('source of slow-start started');
  s.child.kill('SIGTERM');
  assert.equal(await s.exit, 0);
  assert.ok(!s.messages().includes(READY));
});

test('a component that cannot go on stops the service gracefully', async (t) => {
  const s = run(t, 'fatal');
  assert.equal(await s.exit, 0);
  const line = s.lines().find((l) => l.msg === 'Asynchronous error received, terminating process')!;
  assert.deepEqual([line.level, line['error']], ['error', 'source: listener died']);
  assert.ok(s.messages().includes('Shutdown complete.'));
});

test('errors that nobody handles are logged with their stack and do not end the process', async (t) => {
  const s = run(t, 'throws');
  await s.logged('Unhandled error', 2);
  await s.logged(READY);
  s.child.kill('SIGTERM');
  assert.equal(await s.exit, 0);
  const errors = s.lines().filter((l) => l.msg === 'Unhandled error');
  assert.deepEqual(errors.map((l) => l['error']).sort(), ['a bug', 'another bug']);
  for (const l of errors) assert.match(String(l['stacktrace']), /run-service\.ts/);
});

for (const name of ['hangs', 'ignores'])
  test(`a second signal shortens the wait for a component that ${name}`, async (t) => {
    const s = run(t, name);
    await s.logged(READY);
    s.child.kill('SIGTERM');
    await s.logged(`source of ${name} stopped`);
    s.child.kill('SIGTERM');
    assert.equal(await s.exit, name === 'hangs' ? 0 : 1);
    assert.ok(s.messages().includes('Shutdown complete.'));
  });
