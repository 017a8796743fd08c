import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findings, told } from '../testing.ts';
import { lookAtFiles, podLogs, rootOf } from './pod-logs.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-doctor-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('pod logs: inside, by reading them', async () => {
  const root = join(folder, 'pods');
  const file = join(root, 'shop_web-1_u', 'app', '0.log');
  mkdirSync(join(file, '..'), { recursive: true });
  const config = (glob: string): string =>
    `receivers: {file_log: {include: ["${glob}"]}}\nexporters: {debug: }\nservice: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [file_log], exporters: [debug]}}}`;
  const ask = async (glob = `${root}/*/*/*.log`) =>
    (await findings(podLogs, undefined, { isInside: true, config: config(glob) }))[0]!;
  assert.equal(told([await ask()])[0], 'ok: there is no file yet that file_log could read');
  writeFileSync(file, 'a line\n');
  assert.equal(told([await ask()])[0], 'ok: file_log can read 1 file');
  const none = await ask(`${root}/other_*/*/*.log`);
  assert.equal(told([none])[0], 'warning: file_log finds no file');
  assert.match(none.how, /^1 log file below .*shop_web-1_u\/app\/0\.log; include .*other_\*\/\*\/\*\.log takes none$/);
  const left = await ask(`${root}/*/*/*.log"], exclude: ["${root}/shop_*/*/*.log`);
  assert.equal(told([left])[0], 'warning: file_log finds no file');
  assert.match(left.how, /exclude .*shop_\*\/\*\/\*\.log leaves them out$/);
  symlinkSync('/var/lib/docker/containers/none/none-json.log', join(file, '../1.log'));
  const dangling = await ask();
  assert.equal(told([dangling])[0], 'failure: 1 log file of file_log is a link to what is not mounted');
  assert.match(dangling.how, /1\.log → \/var\/lib\/docker/);
  const missing = await ask('/no/such/directory/*/*.log');
  assert.equal(told([missing])[0], 'failure: /no/such/directory, where file_log is to read, is not there');
  assert.match(missing.fix!, /hostPath: \{path: \/no\/such\/directory\}/);
});

test('pod logs: what may not be read is told with the user', async () => {
  const closed = join(folder, 'closed');
  mkdirSync(closed);
  writeFileSync(join(closed, '0.log'), 'x');
  chmodSync(closed, 0);
  chmodSync(folder, 0o755);
  // Root reads everything, so for a moment it is nobody.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid!(65534);
  try {
    assert.deepEqual(lookAtFiles([`${closed}/*.log`], []).denied, [closed]);
    const config = `receivers: {file_log: {include: ["${closed}/*.log"]}}\nexporters: {debug: }\nservice: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [file_log], exporters: [debug]}}}`;
    const [found] = await findings(podLogs, undefined, { isInside: true, config });
    assert.match(told([found!])[0]!, /^failure: file_log may not read 1 file or directory below /);
    assert.match(found!.fix!, /runAsUser: 0/);
  } finally {
    if (isRoot) process.seteuid!(0);
    chmodSync(closed, 0o755);
  }
});

test('the root of a glob', () => {
  const table: [string, string][] = [
    ['/var/log/pods/*/*/*.log', '/var/log/pods'],
    ['/var/log/pods/a-*/*.log', '/var/log/pods'],
    ['/var/log/messages', '/var/log/messages'],
    ['/*.log', '/'],
  ];
  for (const [glob, root] of table) assert.equal(rootOf(glob), root);
});
