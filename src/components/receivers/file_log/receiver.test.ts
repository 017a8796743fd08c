import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { SYSTEM_CLOCK } from '../../../core/clock.ts';
import { permanent, retryable } from '../../../core/errors.ts';
import { MemoryStore, type Rig, startRig, temporaryFolder } from './testing.ts';

const lines = (from: number, to: number, text = 'event'): string =>
  Array.from({ length: to - from + 1 }, (_, i) => `${text} ${String(from + i).padStart(4, '0')}\n`).join('');
const numbers = (rig: Rig): number[] =>
  rig
    .bodies()
    .map((b) => Number(b.split(' ')[1]))
    .sort((a, b) => a - b);
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

type Start = (config?: Record<string, unknown>, options?: Parameters<typeof startRig>[1]) => Promise<Rig>;

/** Runs `body` with a fresh folder and stops what it started; the ledger must be even at the end. */
function scene(
  name: string,
  body: (folder: string, start: Start) => Promise<void>,
  options: { skip?: boolean } = {},
): void {
  test(name, options, async () => {
    const folder = temporaryFolder();
    const rigs: Rig[] = [];
    try {
      await body(folder, async (config, o) => {
        const rig = await startRig({ include: [join(folder, '*.log')], ...config }, o);
        rigs.push(rig);
        return rig;
      });
      for (const rig of rigs) {
        await rig.stop();
        const { inFlight } = rig.ledger();
        assert.ok(inFlight.records >= 0 && inFlight.bytes >= 0);
      }
    } finally {
      for (const rig of rigs) rig.abandon();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

scene('every byte that is read is accounted for', async (d, start) => {
  writeFileSync(join(d, 'a.log'), 'one\n\n  \ntwo\nhalf');
  const rig = await start({ force_flush_period: '30ms' });
  await rig.until(() => rig.lines.length === 3, 'three records');
  await rig.until(() => rig.ledger().inFlight.bytes === 0, 'settlement');
  const l = rig.ledger();
  assert.deepEqual(l.read, { records: 3, bytes: 16 });
  assert.deepEqual(l.delivered, { records: 3, bytes: 12 });
  assert.deepEqual(l.filteredBy.get('blank line'), { records: 0, bytes: 4 });
});

scene('offsets are stored over settled records only', async (d, start) => {
  const store = new MemoryStore();
  writeFileSync(join(d, 'a.log'), lines(1, 3));
  const first = await start({}, { store, start: (r) => (r.settle = false) });
  await first.until(() => first.lines.length === 3, 'three records');
  first.abandon();
  const second = await start({}, { store });
  await second.until(() => second.lines.length === 3, 'the same records again');
  await second.stop();
  const third = await start({}, { store });
  appendFileSync(join(d, 'a.log'), lines(4, 5));
  await third.until(() => third.lines.length === 2, 'what came since');
  assert.deepEqual(numbers(third), [4, 5]);
});

scene('what settles while the pipeline stops is stored too', async (d, start) => {
  const store = new MemoryStore();
  writeFileSync(join(d, 'a.log'), lines(1, 3));
  const first = await start({}, { store, start: (r) => (r.settle = false) });
  await first.until(() => first.lines.length === 3, 'three records');
  await first.stop();
  first.settleAll();
  await first.until(() => first.receiver.isStored, 'storing');
  const second = await start({}, { store });
  appendFileSync(join(d, 'a.log'), lines(4, 4));
  await second.until(() => second.lines.length > 0, 'a record');
  assert.deepEqual(numbers(second), [4]);
});

scene('a refused batch is tried again until it is taken; a rejected one is lost and counted', async (d, start) => {
  writeFileSync(join(d, 'a.log'), lines(1, 2));
  let attempts = 0;
  const rig = await start(
    { retry_on_failure: { initial_interval: '1ms', max_interval: '2ms' } },
    { start: (r) => (r.answer = () => (++attempts < 4 ? retryable('busy') : undefined)) },
  );
  await rig.until(() => rig.lines.length === 2, 'delivery');
  rig.answer = () => permanent('no');
  appendFileSync(join(d, 'a.log'), lines(3, 5));
  await rig.until(() => rig.ledger().lost.records === 3, 'loss');
  assert.deepEqual([...rig.ledger().lostBy.keys()], ['rejected: no']);
});

scene('reading waits while too much is unsettled, and goes on', async (d, start) => {
  writeFileSync(join(d, 'a.log'), lines(1, 200_000));
  const rig = await start({ unsettled_window: '2MiB' }, { start: (r) => (r.settle = false) });
  await rig.until(() => rig.lines.length > 0, 'first records');
  let last = -1;
  await rig.until(() => {
    const same = rig.lines.length === last;
    last = rig.lines.length;
    return same;
  }, 'standstill');
  assert.ok(rig.lines.length < 150_000, `${rig.lines.length} records were given out`);
  rig.settle = true;
  rig.settleAll();
  await rig.until(() => rig.lines.length === 200_000, 'the rest');
  await rig.until(() => rig.ledger().inFlight.bytes === 0, 'settlement');
});

scene('a rename keeps the offset and takes the new name', async (d, start) => {
  writeFileSync(join(d, 'a.log'), lines(1, 2));
  const rig = await start();
  await rig.until(() => rig.lines.length === 2, 'records');
  renameSync(join(d, 'a.log'), join(d, 'b.log'));
  appendFileSync(join(d, 'b.log'), lines(3, 3));
  await rig.until(() => rig.lines.length === 3, 'record after the rename');
  assert.deepEqual(numbers(rig), [1, 2, 3]);
  assert.equal(rig.lines[2]!.record.attributes.get('log.file.name'), 'b.log');
});

scene('the tail of a file that left the globs or was deleted is read, under its old name', async (d, start) => {
  const a = join(d, 'a.log');
  writeFileSync(a, lines(1, 2));
  const rig = await start({ retry_on_failure: { initial_interval: '5ms', max_interval: '5ms' } });
  await rig.until(() => rig.lines.length === 2, 'records');
  rig.answer = () => retryable('later');
  for (let i = 0; i < 5; i++) {
    appendFileSync(a, lines(3 + i * 10, 12 + i * 10));
    if (i % 2) unlinkSync(a);
    else renameSync(a, join(d, `old-${i}`));
    writeFileSync(a, `new ${i}\n`);
    await rig.until(() => rig.receiver.tracks(a), 'new file');
  }
  rig.answer = () => undefined;
  await rig.until(() => rig.lines.length === 57, 'all of it');
  assert.deepEqual(
    numbers(rig).filter((n) => n > 4),
    range(5, 52),
  );
  assert.ok(rig.lines.every((l) => l.record.attributes.get('log.file.name') === 'a.log'));
  assert.deepEqual(rig.ledger().lost, { records: 0, bytes: 0 });
});

scene('a copy that is made before the original is truncated is not read twice', async (d, start) => {
  writeFileSync(join(d, 'a.log'), lines(1, 5));
  const rig = await start();
  await rig.until(() => rig.lines.length === 5, 'records');
  copyFileSync(join(d, 'a.log'), join(d, 'copy.log'));
  appendFileSync(join(d, 'copy.log'), '');
  await rig.until(() => rig.receiver.tracks(join(d, 'a.log')), 'poll');
  truncateSync(join(d, 'a.log'), 0);
  await rig.until(() => rig.receiver.tracks(join(d, 'copy.log')), 'judgement');
  appendFileSync(join(d, 'a.log'), lines(6, 7));
  await rig.until(() => rig.lines.length >= 7, 'new records');
  assert.deepEqual(numbers(rig), range(1, 7));
});

scene('a copy is not read twice when the truncated original has outgrown its old content already', async (d, start) => {
  writeFileSync(join(d, 'a.log'), lines(1, 5));
  const rig = await start();
  await rig.until(() => rig.lines.length === 5, 'records');
  copyFileSync(join(d, 'a.log'), join(d, 'copy.log'));
  truncateSync(join(d, 'a.log'), 0);
  appendFileSync(join(d, 'a.log'), lines(6, 20));
  await rig.until(() => rig.receiver.tracks(join(d, 'copy.log')), 'judgement');
  appendFileSync(join(d, 'copy.log'), lines(21, 21));
  await rig.until(() => rig.bodies().includes('event 0020') && rig.bodies().includes('event 0021'), 'new records');
  assert.deepEqual(numbers(rig), range(1, 21));
  assert.deepEqual(rig.ledger().lost, { records: 0, bytes: 0 });
});

scene('of a copy and its packed form only one goes on where the original was left', async (d, start) => {
  const a = join(d, 'a.log');
  writeFileSync(a, lines(1, 200));
  const rig = await start({ include: [join(d, '*')], compression: 'auto' });
  await rig.until(() => rig.lines.length === 200, 'records');
  // All between two looks: more lines, a copy of them, its packed form, the truncation.
  appendFileSync(a, lines(201, 210));
  copyFileSync(a, join(d, 'a.log.1'));
  truncateSync(a, 0);
  writeFileSync(join(d, 'a.log.1.gz'), gzipSync(lines(1, 210)));
  await rig.until(() => rig.bodies().includes('event 0210'), 'the rest');
  unlinkSync(join(d, 'a.log.1'));
  appendFileSync(a, lines(211, 220));
  await rig.until(() => rig.bodies().includes('event 0220'), 'new records');
  await rig.until(() => rig.receiver.tracks(join(d, 'a.log.1.gz')), 'the packed copy');
  writeFileSync(join(d, 'z.log'), lines(221, 221));
  await rig.until(() => rig.bodies().includes('event 0221'), 'another look');
  assert.deepEqual(numbers(rig), range(1, 221));
  assert.deepEqual(rig.ledger().lost, { records: 0, bytes: 0 });
});

scene('a kept copy of a long file is not read', async (d, start) => {
  writeFileSync(join(d, 'a.log'), lines(1, 200));
  const rig = await start();
  await rig.until(() => rig.lines.length === 200, 'records');
  copyFileSync(join(d, 'a.log'), join(d, 'copy.log'));
  await rig.until(() => rig.receiver.tracks(join(d, 'copy.log')), 'judgement');
  appendFileSync(join(d, 'copy.log'), lines(201, 201));
  await rig.until(() => rig.lines.length > 200, 'what the copy has of its own');
  assert.deepEqual(numbers(rig), range(1, 201));
});

scene('two files with the same beginning are two files', async (d, start) => {
  for (const f of ['a', 'b', 'c']) writeFileSync(join(d, `${f}.log`), 'starting up 1\n');
  const rig = await start();
  await rig.until(() => rig.lines.length === 3, 'three records');
  writeFileSync(join(d, 'd.log'), 'starting up 1\n');
  await rig.until(() => rig.lines.length === 4, 'the record of a later one');
});

scene('content that is replaced by longer content is read from its start', async (d, start) => {
  writeFileSync(join(d, 'a.log'), 'old 1\nold 2\n');
  const rig = await start();
  await rig.until(() => rig.lines.length === 2, 'records');
  writeFileSync(join(d, 'a.log'), 'new 3\nnew 4\nnew 5\n');
  await rig.until(() => rig.lines.length === 5, 'new records');
  writeFileSync(join(d, 'a.log'), 'neu 6\nneu 7\nneu 8\n');
  await rig.until(() => rig.lines.length === 8, 'content of the same length');
  assert.deepEqual(numbers(rig), range(1, 8));
});

for (const [rule, expected] of [
  ['ignore', [1, 2, 3]],
  ['read_whole_file', [1, 1, 2, 3]],
  ['read_new', [1, 2, 3, 4]],
] as const)
  scene(`on_truncate: ${rule}`, async (d, start) => {
    const a = join(d, 'a.log');
    writeFileSync(a, `${lines(1, 3)}`);
    const rig = await start({ on_truncate: rule, fingerprint_size: 16, force_flush_period: 0 });
    await rig.until(() => rig.lines.length === 3, 'records');
    // 11 bytes a line: two of them hold the fingerprint.
    truncateSync(a, 22);
    const seen = rig.logged.length;
    await rig.until(() => rig.logged.length > seen, 'truncation to be seen');
    if (rule === 'read_new') appendFileSync(a, lines(4, 4));
    if (rule === 'read_whole_file') await rig.until(() => rig.lines.length === 5, 'all of it again');
    if (rule === 'read_new') await rig.until(() => rig.lines.length === 4, 'the new record');
    const want = rule === 'read_whole_file' ? [1, 1, 2, 2, 3] : expected;
    assert.deepEqual(numbers(rig), [...want]);
  });

scene('after a restart the tail of a file renamed out of the globs is read', async (d, start) => {
  const store = new MemoryStore();
  mkdirSync(join(d, 'pod'));
  const a = join(d, 'pod/0.log');
  const config = { include: [join(d, 'pod/0.log')], include_file_path: true };
  writeFileSync(a, lines(1, 3));
  const first = await start(config, { store });
  await first.until(() => first.lines.length === 3, 'records');
  await first.stop();
  appendFileSync(a, lines(4, 5));
  renameSync(a, `${a}.20260102-030405`);
  writeFileSync(a, lines(6, 7));
  const second = await start(config, { store });
  await second.until(() => second.lines.length === 4, 'tail and new file');
  assert.deepEqual(numbers(second), [4, 5, 6, 7]);
  assert.ok(second.lines.every((l) => l.record.attributes.get('log.file.path') === a));
});

scene('a file that was rotated is read to its end before its successor', async (d, start) => {
  const app = join(d, 'app.log');
  const cri = (tag: string, text: string): string => `2026-01-02T03:04:05.678901234Z stdout ${tag} ${text}\n`;
  const rig = await start({
    include: [join(d, '*')],
    include_file_name: false,
    retry_on_failure: { initial_interval: '1ms', max_interval: '2ms' },
    operators: [{ type: 'container', format: 'containerd', add_metadata_from_filepath: false }],
  });
  writeFileSync(app, cri('F', 'first'));
  await rig.until(() => rig.lines.length === 1, 'a record');
  let attempts = 0;
  rig.answer = () => retryable(`later ${attempts++}`);
  writeFileSync(join(d, 'stuck'), cri('F', 'stuck'));
  await rig.until(() => attempts > 0, 'an attempt');
  // As many as go into a batch: the turn of the next file ends after its first line.
  writeFileSync(join(d, 'full'), cri('F', 'x').repeat(8192));
  await rig.until(() => rig.receiver.tracks(join(d, 'full')), 'the full batch');
  appendFileSync(app, cri('P', 'one') + cri('F', 'line') + cri('F', 'another'));
  await rig.until(() => rig.receiver.sizeOf(app) > 100, 'growth to be seen');
  renameSync(app, `${app}.1`);
  writeFileSync(app, cri('F', 'successor'));
  await rig.until(() => rig.receiver.tracks(app), 'the successor');
  rig.answer = () => undefined;
  await rig.until(() => rig.bodies().includes('successor') && rig.bodies().includes('another'), 'all');
  assert.deepEqual(
    rig.bodies().filter((b) => b !== 'x'),
    ['first', 'stuck', 'oneline', 'another', 'successor'],
  );
});

scene('bytes truncated away before they were read are lost and counted', async (d, start) => {
  const a = join(d, 'a.log');
  writeFileSync(a, lines(1, 3));
  const rig = await start({ unsettled_window: 1 }, { start: (r) => (r.settle = false) });
  await rig.until(() => rig.lines.length === 3, 'records');
  appendFileSync(a, lines(4, 6));
  const before = rig.receiver.sizeOf(a);
  await rig.until(() => rig.receiver.sizeOf(a) > before, 'growth to be seen');
  truncateSync(a, 0);
  await rig.until(() => rig.logged.some((l) => l.message === 'File was truncated'), 'truncation to be seen');
  rig.settle = true;
  rig.settleAll();
  await rig.stop();
  assert.deepEqual(rig.ledger().lost, { records: 0, bytes: 33 });
});

scene('bytes deleted while nobody ran are lost and counted', async (d, start) => {
  const store = new MemoryStore();
  const a = join(d, 'a.log');
  writeFileSync(a, lines(1, 3));
  const first = await start({}, { store, start: (r) => (r.settle = false) });
  await first.until(() => first.lines.length === 3 && first.receiver.isStored, 'records');
  await first.stop();
  unlinkSync(a);
  const second = await start({}, { store });
  await second.until(() => second.ledger().lost.bytes > 0, 'loss');
  assert.equal(second.ledger().lostBy.get('deleted before it was read')?.bytes, 33);
});

scene(
  'after a restart, a file that the first look did not find is not lost when a later one does',
  async (d, start) => {
    const store = new MemoryStore();
    const config = { include: [join(d, '*')], compression: 'auto' };
    for (const name of ['a', 'b', 'c']) writeFileSync(join(d, `${name}.log`), lines(1, 300, name));
    const first = await start(config, { store });
    await first.until(() => first.lines.length === 900, 'records');
    await first.until(() => first.ledger().inFlight.bytes === 0 && first.receiver.isStored, 'storing');
    first.settle = false;
    for (const name of ['a', 'b', 'c']) appendFileSync(join(d, `${name}.log`), lines(301, 310, name));
    await first.until(() => first.lines.length === 930 && first.receiver.isStored, 'records under way');
    first.abandon();
    for (const name of ['a', 'b', 'c']) unlinkSync(join(d, `${name}.log`));
    const second = await start(config, { store });
    // In one life, and in the next one if this one ends too soon.
    writeFileSync(join(d, 'a.log.1'), lines(1, 310, 'a'));
    await second.until(() => second.lines.length === 10, 'the rest of the copy');
    writeFileSync(join(d, 'b.tmp'), '');
    renameSync(join(d, 'b.tmp'), join(d, 'b.log.1.gz'));
    writeFileSync(join(d, 'b.log.1.gz'), gzipSync(lines(1, 310, 'b')));
    await second.until(() => second.lines.length === 20, 'the rest of the packed file');
    await second.stop();
    writeFileSync(join(d, 'c.log.1.gz'), gzipSync(lines(1, 310, 'c')));
    const third = await start(config, { store });
    await third.until(() => third.lines.length === 10, 'the rest of the other one');
    assert.deepEqual(
      numbers(second),
      [...range(301, 310), ...range(301, 310)].sort((a, b) => a - b),
    );
    assert.deepEqual(numbers(third), range(301, 310));
    await third.stop();
    const fourth = await start(config, { store });
    appendFileSync(join(d, 'a.log.1'), lines(311, 311, 'a'));
    await fourth.until(() => fourth.lines.length === 1, 'a new record');
    for (const rig of [second, third, fourth]) assert.deepEqual(rig.ledger().lost, { records: 0, bytes: 0 });
  },
);

scene('a loss is told once, not again after the next restart', async (d, start) => {
  const store = new MemoryStore();
  const a = join(d, 'a.log');
  writeFileSync(a, lines(1, 3));
  const first = await start({}, { store, start: (r) => (r.settle = false) });
  await first.until(() => first.lines.length === 3 && first.receiver.isStored, 'records');
  first.abandon();
  unlinkSync(a);
  const second = await start({}, { store });
  await second.until(() => second.ledger().lost.bytes === 33 && second.receiver.isStored, 'loss');
  second.abandon();
  let behindMs = 0;
  const clock = { ...SYSTEM_CLOCK, monotonicMs: () => performance.now() + behindMs };
  const third = await start({}, { store, clock });
  behindMs = 60_000;
  writeFileSync(a, lines(4, 4));
  await third.until(() => third.lines.length === 1, 'a record');
  assert.equal(third.ledger().lost.bytes, 0);
});

scene(
  'a renamed file that was closed while its records were under way is read again after a kill',
  async (d, start) => {
    const store = new MemoryStore();
    const a = join(d, 'a.log');
    writeFileSync(a, lines(1, 3));
    let aheadMs = 0;
    const clock = { ...SYSTEM_CLOCK, monotonicMs: () => performance.now() + aheadMs };
    const first = await start({}, { store, clock, start: (r) => (r.settle = false) });
    await first.until(() => first.lines.length === 3, 'records');
    renameSync(a, `${a}.1`);
    writeFileSync(a, '');
    await first.until(() => first.receiver.tracks(a), 'the new file');
    aheadMs = 120_000;
    await first.until(() => first.receiver.openFiles === 1, 'the renamed file to be closed');
    // Writes the whole list.
    await first.stop();
    const second = await start({}, { store });
    await second.until(() => second.lines.length === 3, 'the same records again');
    assert.deepEqual(numbers(second), [1, 2, 3]);
  },
);

for (const end of ['kill', 'stop'] as const)
  for (const copy of ['found', 'gone'] as const)
    scene(`truncated, then a ${end}: the next run asks for a copy, which is ${copy}`, async (d, start) => {
      const store = new MemoryStore();
      const a = join(d, 'a.log');
      writeFileSync(a, lines(1, 300));
      const first = await start({}, { store });
      await first.until(() => first.ledger().delivered.records === 300, 'records');
      first.settle = false;
      appendFileSync(a, lines(301, 310));
      await first.until(() => first.lines.length === 310, 'records under way');
      copyFileSync(a, join(d, 'copy'));
      truncateSync(a, 0);
      await first.until(() => first.logged.some((l) => l.message === 'File was truncated'), 'truncation to be seen');
      appendFileSync(a, lines(311, 320));
      await first.until(() => first.lines.length === 320 && first.receiver.isStored, 'new records');
      if (end === 'stop') await first.stop();
      else first.abandon();
      if (copy === 'found') renameSync(join(d, 'copy'), join(d, 'copy.log'));
      const second = await start({}, { store });
      const expected = copy === 'found' ? range(301, 320) : range(311, 320);
      await second.until(() => second.lines.length >= expected.length, 'what was under way');
      if (copy === 'gone') await second.until(() => second.ledger().lost.bytes > 0, 'loss');
      assert.deepEqual(numbers(second), expected);
      assert.equal(second.ledger().lost.bytes, copy === 'found' ? 0 : lines(301, 310).length);
      assert.equal(first.ledger().lost.bytes, 0);
    });

scene('what was under way of a deleted file when the process was killed is lost and counted', async (d, start) => {
  const store = new MemoryStore();
  const a = join(d, 'a.log');
  writeFileSync(a, lines(1, 3));
  let aheadMs = 0;
  const clock = { ...SYSTEM_CLOCK, monotonicMs: () => performance.now() + aheadMs };
  const first = await start({}, { store, clock, start: (r) => (r.settle = false) });
  await first.until(() => first.lines.length === 3, 'records');
  unlinkSync(a);
  writeFileSync(a, '');
  await first.until(() => first.receiver.tracks(a), 'the new file');
  aheadMs = 120_000;
  await first.until(() => first.receiver.openFiles === 1, 'the deleted file to be closed');
  await first.stop();
  const second = await start({}, { store });
  await second.until(() => second.ledger().lost.bytes > 0, 'loss');
  assert.equal(second.ledger().lost.bytes, 33);
});

scene('a packed rotated file goes on where the plain one was left', async (d, start) => {
  const store = new MemoryStore();
  const a = join(d, 'a.log');
  const config = { include: [join(d, 'a.log*')], compression: 'auto' };
  writeFileSync(a, lines(1, 300));
  const first = await start(config, { store });
  await first.until(() => first.lines.length === 300, 'records');
  await first.stop();
  appendFileSync(a, lines(301, 310));
  writeFileSync(`${a}.1.gz`, gzipSync(lines(1, 310)));
  unlinkSync(a);
  const second = await start(config, { store });
  await second.until(() => second.lines.length === 10, 'the rest');
  assert.deepEqual(numbers(second), range(301, 310));
});

scene('a packed file that is cut off is read as far as it goes, and on when the rest comes', async (d, start) => {
  const packed = gzipSync(lines(1, 20_000, 'packed line'));
  const z = join(d, 'z.log');
  writeFileSync(z, packed.subarray(0, packed.length - 200));
  const rig = await start({ compression: 'gzip' });
  await rig.until(() => rig.lines.length > 0, 'some records');
  appendFileSync(z, packed.subarray(packed.length - 200));
  await rig.until(() => rig.lines.length >= 20_000, 'all records');
  assert.equal(new Set(rig.bodies()).size, 20_000);
  assert.equal(rig.lines.length, 20_000);
});

scene('start_at: end skips what was there at the first poll only', async (d, start) => {
  writeFileSync(join(d, 'a.log'), lines(1, 3));
  const rig = await start({ start_at: 'end' });
  await rig.until(() => rig.receiver.tracks(join(d, 'a.log')), 'the file');
  appendFileSync(join(d, 'a.log'), lines(4, 4));
  writeFileSync(join(d, 'b.log'), lines(5, 6));
  await rig.until(() => rig.lines.length === 3, 'records');
  assert.deepEqual(numbers(rig), [4, 5, 6]);
});

scene('delete_after_read waits for settlement', async (d, start) => {
  const a = join(d, 'a.log');
  writeFileSync(a, lines(1, 3));
  const rig = await start({ delete_after_read: true }, { start: (r) => (r.settle = false) });
  await rig.until(() => rig.lines.length === 3, 'records');
  await rig.until(() => rig.unsettled.length > 0, 'a batch');
  assert.ok(existsSync(a));
  rig.settleAll();
  await rig.until(() => !existsSync(a), 'deletion');
});

scene('header lines become attributes', async (d, start) => {
  writeFileSync(join(d, 'a.log'), '#x\n#y\nbody\n#no header\n');
  const rig = await start({
    header: { pattern: '^#', metadata_operators: [{ type: 'add', field: 'attributes.seen', value: 'yes' }] },
  });
  await rig.until(() => rig.lines.length === 2, 'records');
  assert.deepEqual(rig.bodies(), ['body', '#no header']);
  assert.equal(rig.lines[0]!.record.attributes.get('seen'), 'yes');
  assert.deepEqual(rig.ledger().filteredBy.get('header'), { records: 0, bytes: 6 });
});

scene('records over max_log_size are split, or cut and the rest counted', async (d, start) => {
  writeFileSync(join(d, 'a.log'), `${'x'.repeat(25)}\nshort\n`);
  const split = await start({ max_log_size: 10 });
  await split.until(() => split.lines.length === 4, 'pieces');
  assert.deepEqual(split.bodies(), ['x'.repeat(10), 'x'.repeat(10), 'xxxxx', 'short']);
  const cut = await start({ max_log_size: 10, max_log_size_behavior: 'truncate' });
  await cut.until(() => cut.lines.length === 2, 'cut record');
  assert.deepEqual(cut.bodies(), ['x'.repeat(10), 'short']);
  assert.equal(cut.ledger().filteredBy.get('over max_log_size')?.bytes, 16);
});

scene('a line of 100 MB is split, and memory stays bounded', async (d, start) => {
  const a = join(d, 'a.log');
  const piece = Buffer.alloc(1 << 20, 'x');
  for (let i = 0; i < 100; i++) appendFileSync(a, piece);
  appendFileSync(a, '\nend\n');
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  let pieces = 0;
  let most = 0;
  const before = process.memoryUsage().arrayBuffers;
  const rig = await start(
    {},
    {
      start: (r) => {
        r.answer = (b) => {
          pieces += b.count;
          if (pieces % 10 === 0) {
            gc();
            most = Math.max(most, process.memoryUsage().arrayBuffers - before);
          }
          return undefined;
        };
      },
    },
  );
  await rig.until(() => rig.ledger().delivered.bytes === 100 * (1 << 20) + 5, 'delivery');
  assert.equal(pieces, 101);
  assert.ok(most < 64 << 20, `${most} bytes of buffers`);
  assert.equal(rig.lines.at(-1)?.body, 'end');
});

scene('more files than descriptors are all read, also when they grow later', async (d, start) => {
  for (let i = 0; i < 12; i++) writeFileSync(join(d, `f${i}.log`), `first ${i}\n`);
  const rig = await start({ max_concurrent_files: 3, poll_mode: 'poll' });
  await rig.until(() => rig.lines.length === 12, 'first records');
  for (let i = 0; i < 12; i++) appendFileSync(join(d, `f${i}.log`), `second ${100 + i}\n`);
  await rig.until(() => rig.lines.length === 24, 'second records');
  assert.ok(rig.receiver.openFiles <= 3);
});

scene('polling finds what watching finds', async (d, start) => {
  const rig = await start({ poll_mode: 'poll', include: [join(d, '**/*.log')] });
  mkdirSync(join(d, 'x/y'), { recursive: true });
  writeFileSync(join(d, 'x/y/a.log'), lines(1, 1));
  await rig.until(() => rig.lines.length === 1, 'a record');
  appendFileSync(join(d, 'x/y/a.log'), lines(2, 2));
  await rig.until(() => rig.lines.length === 2, 'another');
});

scene('directories that come, go and come again are watched', async (d, start) => {
  const rig = await start({ include: [join(d, 'p/*/*.log')] });
  for (let i = 1; i <= 3; i++) {
    mkdirSync(join(d, 'p/q'), { recursive: true });
    writeFileSync(join(d, 'p/q/a.log'), lines(i, i));
    await rig.until(() => rig.lines.length === i, `record ${i}`);
    rmSync(join(d, 'p'), { recursive: true });
  }
  assert.deepEqual(numbers(rig), [1, 2, 3]);
});

scene('a path that becomes a directory, a dangling link and a loop of links do no harm', async (d, start) => {
  const a = join(d, 'a.log');
  writeFileSync(a, lines(1, 1));
  symlinkSync(join(d, 'nowhere'), join(d, 'dangling.log'));
  symlinkSync(d, join(d, 'loop'));
  const rig = await start({ include: [join(d, '**/*.log')] });
  await rig.until(() => rig.lines.length === 1, 'a record');
  unlinkSync(a);
  mkdirSync(a);
  writeFileSync(join(a, 'b.log'), lines(2, 2));
  await rig.until(() => rig.lines.length === 2, 'the file in the directory');
});

scene(
  'a file that may not be read is told of once',
  async (d, start) => {
    const a = join(d, 'a.log');
    writeFileSync(a, lines(1, 1));
    chmodSync(a, 0);
    const rig = await start({ poll_mode: 'poll' });
    writeFileSync(join(d, 'b.log'), lines(2, 2));
    await rig.until(() => rig.lines.length === 1, 'the other file');
    chmodSync(a, 0o600);
    await rig.until(() => rig.lines.length === 2, 'the file');
    assert.equal(rig.logged.filter((l) => l.level === 'error').length, 1);
  },
  { skip: process.getuid?.() === 0 },
);

scene('a store that fails is told of, and offsets are stored when it works again', async (d, start) => {
  const store = new MemoryStore();
  store.broken = new Error('disk full');
  writeFileSync(join(d, 'a.log'), lines(1, 2));
  const rig = await start({}, { store });
  await rig.until(() => rig.lines.length === 2, 'records');
  await rig.until(() => rig.logged.some((l) => l.message.startsWith('Failed to store offsets')), 'a log line');
  store.broken = undefined;
  await rig.until(() => store.data.size > 0 && rig.receiver.isStored, 'the store');
  await rig.stop();
  const second = await start({}, { store });
  appendFileSync(join(d, 'a.log'), lines(3, 3));
  await second.until(() => second.lines.length > 0, 'a record');
  assert.deepEqual(numbers(second), [3]);
});

scene('damaged offsets are told of; files are read from the start', async (d, start) => {
  const store = new MemoryStore();
  store.data.set('file_input.knownFiles', Buffer.from([0x0a, 0xff, 0x01]));
  writeFileSync(join(d, 'a.log'), lines(1, 2));
  const rig = await start({}, { store });
  await rig.until(() => rig.lines.length === 2, 'records');
  assert.ok(rig.logged.some((l) => l.level === 'warn' && l.message.includes('damaged')));
});

test('an extension that is not there is named', async () => {
  await assert.rejects(startRig({ include: ['/nowhere/*.log'], storage: 'file_storage' }), {
    message: "storage client: storage extension 'file_storage' not found",
  });
});

scene('a clock that goes back changes nothing', async (d, start) => {
  let now = 2_000_000_000_000;
  const clock = { ...SYSTEM_CLOCK, nowMs: () => (now -= 1000), nowUnixNano: () => BigInt((now -= 1000)) * 1_000_000n };
  writeFileSync(join(d, 'a.log'), 'one 1\nhalf');
  const rig = await start({ force_flush_period: '20ms' }, { clock });
  await rig.until(() => rig.lines.length === 2, 'records');
  utimesSync(join(d, 'a.log'), 1, 1);
  appendFileSync(join(d, 'a.log'), '\nthree 3\n');
  await rig.until(() => rig.lines.length === 3, 'a third');
});

scene('files are counted while open', async (d, start) => {
  writeFileSync(join(d, 'a.log'), lines(1, 1));
  const rig = await start();
  await rig.until(() => rig.lines.length === 1, 'a record');
  const series = [...rig.telemetry.families.get('otelcol_fileconsumer_open_files')!.series.values()];
  assert.equal(series[0]!.read!(), 1);
  const accepted = [...rig.telemetry.families.get('otelcol_receiver_accepted_log_records')!.series.values()];
  assert.equal(accepted[0]!.value, 1);
});
