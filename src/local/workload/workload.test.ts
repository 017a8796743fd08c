import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { APPS, seeded } from './apps.ts';
import { ContainerLog, criLines } from './container-log.ts';
import { Workload } from './workload.ts';

const root = mkdtempSync(join(tmpdir(), 'workload-'));
after(() => rmSync(root, { recursive: true, force: true }));

const CRI = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) ([PF]) (.*)$/;

const read = (path: string): string => {
  const data = readFileSync(path);
  return (path.endsWith('.gz') ? gunzipSync(data) : data).toString();
};

/** Records of a container over all its files, in order, put together from their pieces. */
function records(directory: string): string[] {
  const files = readdirSync(directory).sort();
  // `0.log` sorts first and is the newest.
  const text = [...files.slice(1), files[0]!].map((f) => read(join(directory, f))).join('');
  const found: string[] = [];
  let partial = '';
  for (const line of text.split('\n').slice(0, -1)) {
    const m = CRI.exec(line);
    assert.ok(m, `not CRI: ${line.slice(0, 100)}`);
    partial += m[3];
    if (m[2] === 'P') continue;
    found.push(partial);
    partial = '';
  }
  assert.equal(partial, '');
  return found;
}

test('lines longer than 16 KiB are cut into pieces, the last one full', () => {
  const pieces = criLines('2026-01-02T03:04:05.000000006Z', { text: 'x'.repeat(40_000), stream: 'stdout' }).map(String);
  assert.deepEqual(
    pieces.map((p) => [p.slice(0, 40), p.length - 41]),
    [
      ['2026-01-02T03:04:05.000000006Z stdout P ', 16_384],
      ['2026-01-02T03:04:05.000000006Z stdout P ', 16_384],
      ['2026-01-02T03:04:05.000000006Z stdout F ', 7_232],
    ],
  );
  assert.deepEqual(criLines('t', { text: '', stream: 'stderr' }).map(String), ['t stderr F \n']);
});

test('a container log rotates as the kubelet does it, and no record is lost on the way', async () => {
  const directory = join(root, 'rotation');
  const written = { records: 0, bytes: 0, rotations: 0 };
  const log = new ContainerLog(directory, { maxBytes: 1000, maxFiles: 4 }, written);
  const expected: string[] = [];
  for (let i = 0; i < 50; i++) {
    expected.push(`record ${i} ${'.'.repeat(30)}`);
    log.write([{ text: expected[i]!, stream: 'stdout' }], Date.UTC(2026, 0, 1) + i * 1000);
  }
  await log.close();
  assert.equal(written.records, 50);
  assert.equal(written.rotations, 3);
  const files = readdirSync(directory).sort();
  assert.equal(files.length, 4);
  assert.deepEqual(
    files.map((f) => f.replace(/\d{8}-\d{6}/, 'TIME')),
    ['0.log', '0.log.TIME.gz', '0.log.TIME.gz', '0.log.TIME'],
  );
  assert.deepEqual(records(directory), expected);
});

test('old files go when there are too many', async () => {
  const directory = join(root, 'bounded');
  const log = new ContainerLog(directory, { maxBytes: 100, maxFiles: 3 }, { records: 0, bytes: 0, rotations: 0 });
  for (let i = 0; i < 40; i++) log.write([{ text: 'x'.repeat(50), stream: 'stdout' }], Date.UTC(2026, 0, 1) + i * 1000);
  await log.close();
  assert.equal(readdirSync(directory).length, 3);
});

test('the workload writes at its rate, counts what it wrote, and its paths are those of a kubelet', async () => {
  let ms = Date.UTC(2026, 0, 1);
  const clock = { nowMs: () => ms, monotonicMs: () => ms, nowUnixNano: () => BigInt(ms) * 1_000_000n };
  const directory = join(root, 'pods');
  const workload = new Workload({
    directory,
    linesPerSecond: 1000,
    clock,
    seed: 7,
    onError: (e) => assert.fail(String(e)),
    // Every file is kept, so that all records can be counted.
    rotation: { maxBytes: 20_000, maxFiles: 1000 },
  });
  workload.start();
  for (let i = 0; i < 100; i++) {
    ms += 100;
    workload.tick();
  }
  await workload.stop();
  assert.ok(Math.abs(workload.written.records - 10_000) < 30, `${workload.written.records}`);
  assert.ok(workload.written.rotations > 10);
  let found = 0;
  let long = 0;
  const pods = readdirSync(directory);
  assert.equal(pods.length, workload.containers);
  assert.deepEqual(
    workload.apps.flatMap((a) => a.pods.map((p) => `${a.app.namespace}_${p.name}_${p.uid}`)).sort(),
    pods.toSorted(),
  );
  for (const pod of pods) {
    assert.match(pod, /^[a-z-]+_[a-z]+(-[a-z0-9]{10})?-[a-z0-9]{5}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    for (const container of readdirSync(join(directory, pod))) {
      const all = records(join(directory, pod, container));
      found += all.length;
      long += all.filter((r) => r.length > 16_384).length;
    }
  }
  assert.equal(found, workload.written.records);
  assert.ok(long > 0, 'some lines are in pieces');
  assert.deepEqual(
    [...new Set(pods.map((p) => basename(p).split('_')[0]))].sort(),
    [...new Set(APPS.map((a) => a.namespace))].sort(),
  );
});

test('the same seed gives the same lines', () => {
  for (const app of APPS) {
    const [a, b] = [seeded(1), seeded(1)];
    for (let i = 0; i < 100; i++) assert.deepEqual(app.next(a, 1e12 + i, i), app.next(b, 1e12 + i, i));
  }
});
