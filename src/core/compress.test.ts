import assert from 'node:assert/strict';
import { test } from 'node:test';
import zlib from 'node:zlib';
import fc from '../../test/helpers/property.ts';
import { type Compression, compressor, DecompressError, decompress } from './compress.ts';

const PACKED: readonly Compression[] = ['gzip', 'zlib', 'deflate', 'zstd', 'snappy'];

test('what is packed is unpacked, whatever the kind and level', async () => {
  const levels: Record<string, readonly (number | undefined)[]> = { zstd: [undefined, -5, 3, 40], snappy: [undefined] };
  for (const kind of PACKED)
    for (const level of levels[kind] ?? [undefined, -2, -1, 0, 1, 9])
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (data) => {
          const packed = await compressor(kind, level)!(data);
          assert.ok((await decompress(kind, packed, 5000)).equals(data));
        }),
        { numRuns: 10 },
      );
  assert.equal(compressor('none', undefined), undefined);
  assert.equal(compressor('', undefined), undefined);
});

test('bodies too large for the main thread are packed too', async () => {
  const body = Buffer.alloc(9 * 1024 * 1024, 'a line of a log\n');
  for (const kind of PACKED)
    assert.ok((await decompress(kind, await compressor(kind, undefined)!(body), body.length)).equals(body), kind);
});

test('a result never shares memory with its input, which is used again', async () => {
  for (const kind of PACKED) {
    const input = Buffer.from('x'.repeat(1000));
    const packed = await compressor(kind, 0 + 1)!(input);
    input.fill(0);
    assert.equal((await decompress(kind, packed, 1000)).toString(), 'x'.repeat(1000));
  }
});

test('a small body that unpacks to more than is allowed is refused', async () => {
  const bomb = Buffer.alloc(5_000_000);
  for (const kind of PACKED)
    await assert.rejects(
      async () => decompress(kind, await compressor(kind, undefined)!(bomb), 1_000_000),
      (e) => e instanceof DecompressError && e.message === 'http: request body too large',
      kind,
    );
});

test('cut off, damaged and unknown bodies are refused', async () => {
  for (const kind of PACKED) {
    const packed = await compressor(kind, undefined)!(
      Buffer.from('some text that is long enough to be cut '.repeat(20)),
    );
    await assert.rejects(decompress(kind, packed.subarray(0, packed.length - 8), 10_000), DecompressError, kind);
    await assert.rejects(decompress(kind, Buffer.from('rubbish that is no such thing'), 10_000), DecompressError, kind);
  }
  await assert.rejects(decompress('br', zlib.brotliCompressSync('x'), 100), {
    message: 'unsupported Content-Encoding: br',
  });
});

test('framed snappy is read, under both names', async () => {
  const chunk = (kind: number, data: Uint8Array) =>
    Buffer.from([kind, data.length & 255, data.length >> 8, 0, ...data]);
  const packed = await compressor('snappy', undefined)!(Buffer.from('hello '.repeat(10)));
  const stream = Buffer.concat([
    chunk(0xff, Buffer.from('sNaPpY')),
    chunk(0, Buffer.concat([Buffer.alloc(4), packed])),
    chunk(0xfe, Buffer.from('padding')),
    chunk(1, Buffer.concat([Buffer.alloc(4), Buffer.from('world')])),
  ]);
  for (const kind of ['snappy', 'x-snappy-framed'])
    assert.equal((await decompress(kind, stream, 100)).toString(), `${'hello '.repeat(10)}world`);
  await assert.rejects(decompress('snappy', stream, 40), { message: 'http: request body too large' });
});

test('an engine that is kept packs each body as if it were the first', async () => {
  for (const kind of ['gzip', 'zlib', 'deflate'] as const) {
    const pack = compressor(kind, undefined)!;
    for (const size of [70_000, 3_000_000, 65_536, 200_000, 10]) {
      const body = Buffer.alloc(size, `a line of ${size} bytes\n`);
      // Noise does not pack: the output buffer has to grow.
      for (let i = 0; i < size / 2; i++) body[i] = (i * 2654435761) >>> 13;
      const packed = await pack(body);
      assert.ok(zlib.unzipSync(packed).equals(body), `${kind} ${size}`);
    }
  }
});
