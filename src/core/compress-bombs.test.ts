/** What unpacks to more than allowed is refused before it takes more than that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { DecompressError, decompress, UnpackBusyError } from './compress.ts';
import { snappyFramed } from './grpc-snappy.ts';

const MIB = 1 << 20;
const zeros = Buffer.alloc(64 * MIB);
/** A varint of 4 GiB - 1, and a few bytes that cannot yield it. */
const snappyClaim = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0x61, 0xfe, 1, 0]);
const bombs: readonly [encoding: string, data: Buffer][] = [
  ['gzip', zlib.gzipSync(zeros)],
  ['deflate', zlib.deflateSync(zeros)],
  ['zlib', zlib.deflateSync(zeros, { level: 9 })],
  ['zstd', zlib.zstdCompressSync(zeros)],
  ['snappy', snappyFramed(zeros)],
  ['x-snappy-framed', snappyFramed(zeros)],
  ['snappy', snappyClaim],
];

for (const [encoding, data] of bombs)
  test(`${encoding}, ${data.length} bytes that become 64 MiB or say so: refused`, async () => {
    await assert.rejects(decompress(encoding, data, MIB), (e) => {
      assert.ok(e instanceof DecompressError);
      assert.equal(e.message, 'http: request body too large');
      return true;
    });
  });

test('many at a time are unpacked in turn, and the good one among them comes through', async () => {
  const good = zlib.gzipSync(Buffer.alloc(MIB, 'good'), { level: 0 });
  assert.ok(good.length > 256 * 1024, 'large enough for a thread');
  const bomb = zlib.gzipSync(Buffer.alloc(8 * MIB), { level: 0 });
  const all = Array.from({ length: 30 }, (_, i) => decompress('gzip', i === 17 ? good : bomb, 2 * MIB));
  const results = await Promise.allSettled(all);
  assert.deepEqual(
    results.flatMap((r, i) => (r.status === 'fulfilled' ? [[i, r.value.length]] : [])),
    [[17, MIB]],
  );
  assert.equal((await decompress('gzip', good, 2 * MIB)).length, MIB);
});

test('bodies that wait to be unpacked have a bound; those beyond may be tried again', async () => {
  const body = zlib.gzipSync(Buffer.alloc(10 * MIB, 'x'), { level: 0 });
  const all = Array.from({ length: 20 }, () => decompress('gzip', body, 20 * MIB).then((b) => b.length));
  const results = await Promise.allSettled(all);
  const refused = results.filter((r) => r.status === 'rejected');
  // Two at once, and as many as fit into 128 MiB behind them.
  assert.equal(refused.length, 20 - 2 - Math.floor((128 * MIB) / body.length));
  for (const r of refused) assert.ok(r.reason instanceof UnpackBusyError);
  assert.equal(await decompress('gzip', body, 20 * MIB).then((b) => b.length), 10 * MIB);
});

test('a million chunks of framed snappy that hold nothing, or one byte, are no more than their content', async () => {
  const head = Buffer.from([0xff, 6, 0, 0, ...Buffer.from('sNaPpY')]);
  const empty = Buffer.alloc(8 * 1_000_000, Buffer.from([1, 4, 0, 0, 0, 0, 0, 0]));
  assert.equal((await decompress('snappy', Buffer.concat([head, empty]), MIB)).length, 0);
  const ones = Buffer.alloc(9 * 1_000_000, Buffer.from([1, 5, 0, 0, 0, 0, 0, 0, 0x61]));
  assert.equal((await decompress('snappy', Buffer.concat([head, ones]), MIB)).length, 1_000_000);
  const large = Buffer.from([0, 9, 0, 0, 0, 0, 0, 0, 0x81, 0x80, 4, 0, 0x61]);
  await assert.rejects(decompress('snappy', Buffer.concat([head, large]), MIB), /corrupt/);
});
