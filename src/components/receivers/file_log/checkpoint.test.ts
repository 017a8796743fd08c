import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { CheckpointStore, decodeList, encodeList, type KnownFile } from './checkpoint.ts';
import { MemoryStore } from './testing.ts';

const upstream = protobuf
  .parse(
    `
  syntax = "proto3";
  message Fingerprint { bytes first_bytes = 1; }
  message Flush { int64 last_data_change = 1; int32 last_data_length = 2; }
  message Metadata {
    Fingerprint fingerprint = 1; int64 offset = 2; int64 record_num = 3; bytes file_attributes = 4;
    bool header_finalized = 5; Flush flush_state = 6; string file_type = 8;
  }
  message List { repeated Metadata files = 1; }`,
    { keepCase: true },
  )
  .root.lookupType('List');

const file = (id: number, offset: number, more: Partial<KnownFile> = {}): KnownFile => ({
  id,
  identity: { device: 66, inode: 1234567, bornMs: 1_790_000_000_123 },
  path: '/var/log/a.log',
  fingerprint: Buffer.from(`start of ${id}`),
  tail: Buffer.from('tail'),
  offset,
  recordNumber: 7,
  sizeBytes: offset + 5,
  headerDone: true,
  headerAttributes: '{"a":"b"}',
  skipping: false,
  packed: false,
  packedEndSize: -1,
  replaced: false,
  ...more,
});

test('what is stored is read back', () => {
  const files = [
    file(1, 10),
    file(2, 2 ** 40, { skipping: true, replaced: true }),
    file(3, 77, { packed: true, packedEndSize: 33 }),
    file(4, 0, { packed: true }),
  ];
  assert.deepEqual(decodeList(encodeList(files)), files);
});

test('a former collector reads offset and fingerprint of what is stored', () => {
  const list = upstream.toObject(upstream.decode(encodeList([file(1, 10)])), { longs: Number });
  const [m] = list['files'] as Record<string, unknown>[];
  assert.equal(m!['offset'], 10);
  assert.deepEqual(
    Buffer.from((m!['fingerprint'] as { first_bytes: Uint8Array }).first_bytes),
    Buffer.from('start of 1'),
  );
});

test('a former collector\u2019s list is read', () => {
  const bytes = upstream
    .encode({
      files: [
        {
          fingerprint: { first_bytes: Buffer.from('abc') },
          offset: 99,
          record_num: 3,
          file_attributes: Buffer.from('{"log.file.name":"a"}'),
          header_finalized: true,
          flush_state: { last_data_change: 5, last_data_length: 2 },
        },
        { fingerprint: { first_bytes: Buffer.from('zip') }, offset: 500, file_type: '.gz' },
      ],
    })
    .finish();
  const [plain, packed] = decodeList(bytes);
  assert.equal(plain!.offset, 99);
  assert.equal(plain!.identity, undefined);
  assert.equal(plain!.recordNumber, 3);
  assert.equal(packed!.packedEndSize, 500);
});

test('the former JSON list is read', () => {
  const first = Buffer.from('abc').toString('base64');
  const [f] = decodeList(
    Buffer.from(`1\n{"Fingerprint":{"first_bytes":"${first}"},"Offset":12,"RecordNum":4,"HeaderFinalized":true}\n`),
  );
  assert.deepEqual([f!.fingerprint.toString(), f!.offset, f!.recordNumber, f!.headerDone], ['abc', 12, 4, true]);
});

test('changes are put over the list, and damage spoils no more than itself', () => {
  const memory = new MemoryStore();
  const store = new CheckpointStore(memory, 'file_input');
  store.saveAll([file(1, 10), file(2, 20), file(3, 30)]);
  store.saveChanges([{ ...file(1, 15), fingerprint: undefined }, file(4, 40)], [2]);
  memory.data.set('file_input.knownFiles.change.9', Buffer.from([0xff]));
  const problems: unknown[] = [];
  const read = new CheckpointStore(memory, 'file_input').load((e) => problems.push(e));
  assert.deepEqual(
    read.map((f) => [f.id, f.offset, f.fingerprint.toString()]),
    [
      [1, 15, 'start of 1'],
      [3, 30, 'start of 3'],
      [4, 40, 'start of 4'],
    ],
  );
  assert.equal(problems.length, 1);
  store.saveAll([file(1, 16)]);
  assert.deepEqual([...memory.data.keys()].sort(), ['file_input.knownFiles', 'file_input.knownFiles.change.9']);
});
