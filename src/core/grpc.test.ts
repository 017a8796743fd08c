import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decompress } from './compress.ts';
import { decodeMessage, encodeMessage, formatTimeout, parseTimeout, retryInfo, statusDetails } from './grpc.ts';
import { crc32c, snappyFramed } from './grpc-snappy.ts';

test('the framed snappy format has the checksums of its specification', async () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  const body = Buffer.concat([Buffer.alloc(100_000, 'abc'), Buffer.from(Array.from({ length: 256 }, (_, i) => i))]);
  const framed = snappyFramed(body);
  assert.ok((await decompress('snappy', framed, 200_000)).equals(body));
  let sum = 0;
  for (let at = 10, from = 0; at < framed.length; at += 4 + framed.readUIntLE(at + 1, 3), from += 65_536) {
    const c = crc32c(body.subarray(from, from + 65_536));
    assert.equal(framed.readUInt32LE(at + 4), (((c >>> 15) | (c << 17)) + 0xa282ead8) >>> 0);
    sum++;
  }
  assert.equal(sum, 2);
});

test('timeouts, messages and waits keep their value through their encodings', () => {
  for (const ms of [1, 999, 5000, 99_999_999]) assert.equal(parseTimeout(formatTimeout(ms)), ms);
  assert.equal(parseTimeout(formatTimeout(200_000_000)), 200_000_000);
  for (const [text, ms] of [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['4m', 4],
    ['5u', 0.005],
    ['6n', 0.000006],
  ] as const)
    assert.equal(parseTimeout(text), ms);
  for (const text of ['', '5', 'm', '123456789m', '-1m', '5x']) assert.equal(parseTimeout(text), undefined);
  for (const text of ['', 'plain', '100 %', 'ä\n\u0000€😀', '%41'])
    assert.equal(decodeMessage(encodeMessage(text)), text);
  assert.match(encodeMessage('ä\n'), /^%C3%A4%0A$/);
  for (const ms of [0, 1, 1500, 60_000]) assert.equal(retryInfo(statusDetails(8, 'x', ms)), ms);
  for (const garbage of ['', '////', 'CAgSA', Buffer.from([26, 200]).toString('base64')])
    assert.equal(retryInfo(garbage), undefined);
});
