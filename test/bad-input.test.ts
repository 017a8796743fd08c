/**
 * What a user sees when the world is bad: one test for each row of docs/bad-input.md, against the process as a user
 * starts it. In every case the process does not crash, says what is wrong, and goes on with the rest.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type AgentOptions, defer, READY, startWith, tempDir, until } from './helpers/agent.ts';
import { type FilesToOtlp, filesToOtlp } from './helpers/config.ts';
import { ROOT } from './helpers/paths.ts';
import { startSink } from './helpers/sink.ts';

const linesWith = (text: string, part: string): number => text.split('\n').filter((l) => l.includes(part)).length;

/** root may read everything: as root, the collector runs as nobody. Undefined, with a reason, where that cannot be. */
function unprivileged(t: TestContext, dir: string): AgentOptions | undefined {
  if (process.getuid!() !== 0) return {};
  const nobody = 65534;
  const probe = spawnSync(join(ROOT, 'bin/sluice'), ['--version'], { uid: nobody, gid: nobody });
  if (probe.status !== 0) {
    t.skip('this is root, and nobody may not run the program here');
    return undefined;
  }
  chownSync(dir, nobody, nobody);
  return { uid: nobody, gid: nobody };
}

/** A file system of its own, so that it can be full; undefined, with a reason, where mounting is not allowed. */
function smallDisk(t: TestContext, dir: string, sizeBytes: number): boolean {
  mkdirSync(dir, { recursive: true });
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes},mode=0777`, 'tmpfs', dir]);
  if (status !== 0) {
    t.skip(`cannot mount a small file system here: ${stderr ?? 'no mount'}`);
    return false;
  }
  defer(t, () => void spawnSync('umount', ['-l', dir]));
  return true;
}

test('unreadable file: said once, the others are read, and it is read when it becomes readable', async (t) => {
  const dir = tempDir(t);
  const as = unprivileged(t, dir);
  if (!as) return;
  const sink = await startSink(t);
  writeFileSync(join(dir, 'open.log'), 'readable\n');
  writeFileSync(join(dir, 'secret.log'), 'unreadable at first\n', { mode: 0 });
  const agent = startWith(t, dir, filesToOtlp({ include: join(dir, '*.log'), endpoint: sink.url }), as);
  await until(() => sink.bodies.includes('readable'), 'the readable file');
  await agent.says(/secret\.log/);
  assert.match(agent.output, /permission denied|EACCES/i);
  for (let i = 0; i < 5; i++) {
    appendFileSync(join(dir, 'open.log'), `more ${i}\n`);
    await until(() => sink.bodies.includes(`more ${i}`), 'another poll');
  }
  assert.equal(linesWith(agent.output, 'secret.log'), 1, agent.output);
  chmodSync(join(dir, 'secret.log'), 0o644);
  await until(() => sink.bodies.includes('unreadable at first'), 'the file that has become readable');
  assert.equal((await agent.stop()).code, 0);
});

test('vanishing directory: the collector goes on, and reads what comes back', async (t) => {
  const dir = tempDir(t);
  const sink = await startSink(t);
  mkdirSync(join(dir, 'pod/app'), { recursive: true });
  mkdirSync(join(dir, 'other/app'), { recursive: true });
  writeFileSync(join(dir, 'pod/app/0.log'), 'before\n');
  const agent = startWith(t, dir, filesToOtlp({ include: join(dir, '*/*/*.log'), endpoint: sink.url }));
  await until(() => sink.bodies.includes('before'), 'the first line');
  rmSync(join(dir, 'pod'), { recursive: true });
  writeFileSync(join(dir, 'other/app/0.log'), 'from another directory\n');
  await until(() => sink.bodies.includes('from another directory'), 'the other directory');
  mkdirSync(join(dir, 'pod/app'), { recursive: true });
  writeFileSync(join(dir, 'pod/app/0.log'), 'after\n');
  await until(() => sink.bodies.includes('after'), 'the directory that came back');
  assert.equal((await agent.stop()).code, 0);
  assert.deepEqual([...sink.bodies].sort(), ['after', 'before', 'from another directory']);
});

test('a line of 100 MB: cut at max_log_size, nothing missing, memory bounded, the next line intact', async (t) => {
  const dir = tempDir(t);
  const sink = await startSink(t);
  const MIB = 1 << 20;
  const piece = Buffer.alloc(MIB, 'x');
  const file = openSync(join(dir, 'a.log'), 'w');
  for (let i = 0; i < 100; i++) writeSync(file, piece);
  writeSync(file, '\nnext\n');
  closeSync(file);
  const agent = startWith(t, dir, filesToOtlp({ include: join(dir, '*.log'), endpoint: sink.url }));
  await until(() => sink.bodies.includes('next'), 'the line behind the long one');
  if (process.platform === 'linux') {
    const peakMib = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1]) / 1024;
    assert.ok(peakMib < 320, `peak memory ${peakMib} MiB`);
  }
  assert.equal((await agent.stop()).code, 0);
  assert.equal(sink.records.length, 101);
  assert.equal(
    sink.bodies.filter((b) => b !== 'next').reduce((n, b) => n + b.length, 0),
    100 * MIB,
  );
});

test('NUL bytes: delivered as they are', async (t) => {
  const dir = tempDir(t);
  const sink = await startSink(t);
  writeFileSync(join(dir, 'a.log'), 'a\0b\n\0\0\0\nend\n');
  const agent = startWith(t, dir, filesToOtlp({ include: join(dir, '*.log'), endpoint: sink.url }));
  await until(() => sink.bodies.includes('end'), 'the last line');
  assert.equal((await agent.stop()).code, 0);
  assert.deepEqual(sink.bodies, ['a\0b', '\0\0\0', 'end']);
});

test('clock going back: lines, unfinished lines and batches still come', async (t) => {
  const dir = tempDir(t);
  const sink = await startSink(t);
  writeFileSync(join(dir, 'a.log'), 'before\n');
  const config = filesToOtlp({
    include: join(dir, '*.log'),
    endpoint: sink.url,
    processors: 'batch: {timeout: 100ms}',
  });
  const agent = startWith(t, dir, config, {
    env: {
      CLOCK_FILE: join(dir, 'clock'),
      NODE_OPTIONS: `--import=${pathToFileURL(join(ROOT, 'test/testdata/shifting-clock.mjs')).href}`,
    },
  });
  await until(() => sink.bodies.includes('before'), 'the first line');
  writeFileSync(join(dir, 'clock'), String(-6 * 3_600_000));
  const observedMs = (): number => Number(sink.records.at(-1)!.observedTime / 1_000_000n);
  let n = 0;
  await until(async () => {
    appendFileSync(join(dir, 'a.log'), `after ${++n}\n`);
    const body = `after ${n}`;
    await until(() => sink.bodies.includes(body), body);
    return observedMs() < Date.now() - 3_600_000;
  }, 'the clock to have gone back');
  appendFileSync(join(dir, 'a.log'), 'without an end');
  await until(() => sink.bodies.includes('without an end'), 'the unfinished line');
  assert.equal((await agent.stop()).code, 0);
});

test('storage directory that may not be written: the start fails and names it', async (t) => {
  const dir = tempDir(t);
  const as = unprivileged(t, dir);
  if (!as) return;
  const state = join(dir, 'state');
  mkdirSync(state, { mode: 0o555 });
  const agent = startWith(
    t,
    dir,
    filesToOtlp({ include: join(dir, '*.log'), endpoint: 'http://127.0.0.1:1', storage: state }),
    as,
  );
  assert.equal((await agent.exited).code, 1, agent.output);
  assert.match(agent.stderr, /^Error: /m);
  assert.ok(agent.stderr.includes(state), agent.stderr);
  assert.match(agent.stderr, /permission|read-only|readonly|EACCES|not writable/i);
});

test('storage directory full: said, and logs still flow', async (t) => {
  const dir = tempDir(t);
  const state = join(dir, 'state');
  if (!smallDisk(t, state, 512 * 1024)) return;
  const sink = await startSink(t);
  writeFileSync(join(dir, 'a.log'), 'before\n');
  const config: FilesToOtlp = { include: join(dir, '*.log'), endpoint: sink.url, storage: state };
  const agent = startWith(t, dir, filesToOtlp(config));
  await until(() => sink.bodies.includes('before'), 'the first line');
  const filler = openSync(join(state, 'filler'), 'w');
  try {
    for (;;) writeSync(filler, Buffer.alloc(4096));
  } catch (e) {
    assert.equal((e as NodeJS.ErrnoException).code, 'ENOSPC');
  }
  closeSync(filler);
  // New files make the stored value grow until it no longer fits.
  let n = 0;
  await until(async () => {
    writeFileSync(join(dir, `f${++n}.log`), `${n} ${'x'.repeat(1000)}\n`);
    const start = `${n} `;
    await until(() => sink.bodies.some((b) => b.startsWith(start)), `the line of file ${n}`);
    return /disk is full|no space left|ENOSPC/i.test(agent.output);
  }, 'the full disk to be said');
  appendFileSync(join(dir, 'a.log'), 'after\n');
  await until(() => sink.bodies.includes('after'), 'the line after the disk was full');
  assert.ok(agent.running);
  await agent.stop();
});

test('port in use: the start fails and names the address and the component', async (t) => {
  const dir = tempDir(t);
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  defer(t, () => taken.close());
  const address = `127.0.0.1:${(taken.address() as { port: number }).port}`;
  const config = `receivers:
  otlp: {protocols: {http: {endpoint: "${address}"}}}
exporters: {nop: {}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {logs: {receivers: [otlp], exporters: [nop]}}
`;
  const agent = startWith(t, dir, config);
  assert.equal((await agent.exited).code, 1, agent.output);
  assert.match(agent.stderr, /^Error: .*otlp/m);
  assert.ok(agent.stderr.includes(address), agent.stderr);
  assert.match(agent.stderr, /address already in use/);
});

/** Starts with a destination that fails, and waits for what is said about it. */
async function failing(t: TestContext, endpoint: string, said: RegExp, exporter = ''): Promise<string> {
  const dir = tempDir(t);
  writeFileSync(join(dir, 'a.log'), 'a line\n');
  const agent = startWith(t, dir, filesToOtlp({ include: join(dir, '*.log'), endpoint, exporter }));
  await agent.says(READY);
  await agent.says(/Exporting failed/);
  await agent.says(said);
  assert.ok(agent.running);
  return agent.output;
}

test('destination with a certificate of an unknown issuer: said so, kept, tried again', async (t) => {
  const cert = readFileSync(join(ROOT, 'test/testdata/wrong-host.crt'), 'utf8');
  const key = readFileSync(join(ROOT, 'test/testdata/wrong-host.key'), 'utf8');
  const sink = await startSink(t, { cert, key });
  const output = await failing(t, sink.url, /certificate/i);
  assert.match(output, /self.signed|unknown authority|unable to verify/i);
  assert.equal(sink.records.length, 0);
});

test('destination with the certificate of another host: both names are said', async (t) => {
  const cert = readFileSync(join(ROOT, 'test/testdata/wrong-host.crt'), 'utf8');
  const key = readFileSync(join(ROOT, 'test/testdata/wrong-host.key'), 'utf8');
  const sink = await startSink(t, { cert, key });
  const ca = `tls: {ca_file: ${JSON.stringify(join(ROOT, 'test/testdata/wrong-host.crt'))}}`;
  const output = await failing(t, sink.url, /certificate/i, ca);
  assert.match(output, /somebody-else\.invalid/);
  assert.match(output, /127\.0\.0\.1/);
  assert.equal(sink.records.length, 0);
});

test('unknown host: the name is said', async (t) => {
  await failing(t, 'http://no-such-host.invalid:4318', /no-such-host\.invalid/);
});

test('an answer that never ends: the attempt times out, and the line arrives when the destination is well again', async (t) => {
  const dir = tempDir(t);
  const sink = await startSink(t);
  sink.answer = 'endless';
  writeFileSync(join(dir, 'a.log'), 'a line\n');
  const config = filesToOtlp({ include: join(dir, '*.log'), endpoint: sink.url, exporter: 'timeout: 500ms' });
  const agent = startWith(t, dir, config);
  await agent.says(/Exporting failed/);
  assert.match(agent.output, /timeout|timed out|deadline exceeded/i);
  sink.answer = 200;
  await until(() => sink.bodies.includes('a line'), 'the line');
  assert.equal((await agent.stop()).code, 0);
});

test('every row of docs/bad-input.md names a test that exists', () => {
  const rows = readFileSync(join(ROOT, 'docs/bad-input.md'), 'utf8')
    .split('\n')
    .filter((l) => l.startsWith('|') && !/^\| (---|what)/.test(l));
  assert.ok(rows.length >= 12, `${rows.length} rows`);
  const here = readFileSync(import.meta.filename, 'utf8');
  for (const row of rows) {
    const named = /`([^`]+)`\s*\|\s*$/.exec(row)?.[1];
    assert.ok(named, row);
    const [file, name] = named.includes('.test.ts: ') ? named.split(': ', 2) : [undefined, named];
    if (file) accessSync(join(ROOT, file), constants.R_OK);
    assert.ok((file ? readFileSync(join(ROOT, file), 'utf8') : here).includes(name!), `no test "${name}"`);
  }
});
