import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRequest } from '../wire/otlp-request.ts';
import { ConfigError, permanent, retryable } from './errors.ts';
import { createDelivery } from './queue.ts';
import { decodeMetadata, encodeMetadata } from './queue-persistent.ts';
import type { Prepare } from './queue-sender.ts';

import { batchOf, context, GENEROUS, MemoryStorage, queue, retry, scripted, TestAck, until } from './testing.ts';

test('a persistent queue answers "queued" once the data is stored, and deletes it at its end', async () => {
  const storage = new MemoryStorage();
  const { ctx, value } = context(storage);
  let open = () => {};
  const gate = new Promise<void>((r) => (open = r));
  const d = scripted(() => gate);
  const e = createDelivery({
    ctx,
    queue: queue({ storage: 'file_storage', num_consumers: 1 }),
    retry: retry(),
    prepare: d.prepare,
  });
  await e.start?.();
  const ack = new TestAck(false);
  await e.consume(batchOf(['a'], ack));
  await e.consume(batchOf(['b', 'c'], ack));
  assert.deepEqual([...ack.told], [['queued', 3]]);
  assert.deepEqual([...storage.entries.keys()].sort(), ['0', '1', 'qmv0']);
  const meta = decodeMetadata(storage.get('qmv0')!);
  assert.deepEqual([meta.readIndex, meta.writeIndex, meta.itemsSize, meta.dispatched], [1, 2, 3, [0]]);
  assert.equal(decodeRequest('logs', storage.get('1')!)[0]?.messages, 2);
  assert.equal(value('otelcol_exporter_queue_size'), 2);
  open();
  await until(() => storage.entries.size === 1);
  assert.deepEqual(d.calls, [['a'], ['b', 'c']]);
  assert.deepEqual(decodeMetadata(storage.get('qmv0')!), {
    itemsSize: 0,
    bytesSize: 0,
    readIndex: 2,
    writeIndex: 2,
    dispatched: [],
  });
  await e.stop?.(GENEROUS);
});

test('what a restart interrupts is sent again, behind what waited, and patience survives', async () => {
  const storage = new MemoryStorage();
  const start = async (prepare: Prepare) => {
    const { ctx } = context(storage);
    const e = createDelivery({
      ctx,
      queue: queue({ storage: 'file_storage', num_consumers: 1 }),
      retry: retry({ max_elapsed_time: '2ms' }),
      prepare,
    });
    await e.start?.();
    return e;
  };
  const down = scripted(() => retryable('down'));
  const first = await start(down.prepare);
  for (const name of ['a', 'b']) await first.consume(batchOf([name], new TestAck(true)));
  await until(() => down.calls.length > 10);
  await first.stop?.(GENEROUS);
  assert.ok(down.calls.every((c) => c[0] === 'a'));
  const up = scripted(() => undefined);
  const second = await start(up.prepare);
  await until(() => storage.entries.size === 1);
  assert.deepEqual(up.calls, [['b'], ['a']]);
  await second.stop?.(GENEROUS);
});

test('a full store refuses who cannot wait; data that can is kept by its source until there is space', async () => {
  const storage = new MemoryStorage();
  storage.maxBytes = 5;
  const { ctx } = context(storage);
  let isDown = true;
  const d = scripted(() => (isDown ? retryable('down') : undefined));
  const e = createDelivery({ ctx, queue: queue({ storage: 'file_storage' }), retry: retry(), prepare: d.prepare });
  await e.start?.();
  await assert.rejects(e.consume(batchOf(['a'])), /sending queue storage is full/);
  const ack = new TestAck(true);
  await e.consume(batchOf(['b'], ack));
  await until(() => d.calls.length === 1);
  assert.deepEqual([...ack.told], []);
  storage.maxBytes = 1e6;
  await until(() => ack.records === 1);
  assert.deepEqual([...ack.told], [['queued', 1]]);
  isDown = false;
  await until(() => storage.entries.size === 1);
  await e.stop?.(GENEROUS);
});

test('the indexes of older collectors are taken over', async () => {
  const storage = new MemoryStorage();
  const u64 = (n: number) => {
    const b = Buffer.alloc(8);
    b.writeBigUInt64LE(BigInt(n));
    return b;
  };
  const request = (name: string) => Buffer.from(`\n\x0b\x12\x09\n\x00\x12\x05\x1a\x03${name}`, 'latin1');
  storage.entries.set('3', request('old'));
  storage.entries.set('4', request('new'));
  storage.entries.set('ri', u64(4));
  storage.entries.set('wi', u64(5));
  storage.entries.set('di', Buffer.concat([Buffer.from([1, 0, 0, 0]), u64(3)]));
  const { ctx } = context(storage);
  const d = scripted(() => undefined);
  const e = createDelivery({
    ctx,
    queue: queue({ storage: 'file_storage', num_consumers: 1 }),
    retry: retry(),
    prepare: d.prepare,
  });
  await e.start?.();
  await until(() => storage.entries.size === 1);
  assert.deepEqual(d.calls, [['new'], ['old']]);
  await e.stop?.(GENEROUS);
});

test('items that cannot be read are skipped', async () => {
  const storage = new MemoryStorage();
  storage.entries.set('0', Buffer.from([0xff, 0xff]));
  storage.entries.set(
    'qmv0',
    encodeMetadata({ itemsSize: 5, bytesSize: 2, readIndex: 0, writeIndex: 2, dispatched: [] }),
  );
  const { ctx, value } = context(storage);
  const d = scripted(() => undefined);
  const e = createDelivery({
    ctx,
    queue: queue({ storage: 'file_storage', sizer: 'items' }),
    retry: retry(),
    prepare: d.prepare,
  });
  await e.start?.();
  await e.consume(batchOf(['a']));
  await until(() => storage.entries.size === 1);
  assert.deepEqual(d.calls, [['a']]);
  assert.equal(value('otelcol_exporter_queue_size'), 0);
  await e.stop?.(GENEROUS);
});

test('a storage that is missing or no storage is an error of the configuration', async () => {
  for (const [storage, message] of [
    ['nope', /no storage extension found/],
    ['other', /not a storage extension/],
  ] as const) {
    const e = createDelivery({
      ctx: context().ctx,
      queue: queue({ storage }),
      retry: retry(),
      prepare: scripted(() => undefined).prepare,
    });
    await assert.rejects(e.start!(), (error) => error instanceof ConfigError && message.test(error.message));
  }
});

test('data that its source can read again goes around the disk while the destination takes it', async () => {
  const storage = new MemoryStorage();
  const { ctx } = context(storage);
  const d = scripted(() => assert.deepEqual([...storage.entries.keys()], []));
  const e = createDelivery({ ctx, queue: queue({ storage: 'file_storage' }), retry: retry(), prepare: d.prepare });
  await e.start?.();
  const ack = new TestAck(true);
  for (const name of ['a', 'b']) await e.consume(batchOf([name], ack));
  await until(() => ack.records === 2);
  assert.deepEqual([...ack.told], [['delivered', 2]]);
  assert.deepEqual(d.calls, [['a'], ['b']]);
  await e.stop?.(GENEROUS);
});

test('what the destination does not take goes to disk, and all after it until the disk is empty', async () => {
  const storage = new MemoryStorage();
  const { ctx, value } = context(storage);
  let isDown = true;
  const d = scripted(() => (isDown ? retryable('down') : undefined));
  const e = createDelivery({
    ctx,
    queue: queue({ storage: 'file_storage', num_consumers: 1 }),
    retry: retry(),
    prepare: d.prepare,
  });
  await e.start?.();
  const ack = new TestAck(true);
  await e.consume(batchOf(['a'], ack));
  await until(() => ack.records === 1);
  await e.consume(batchOf(['b'], ack));
  assert.deepEqual([...ack.told], [['queued', 2]]);
  assert.equal(value('otelcol_exporter_send_failed_log_records') ?? 0, 0);
  isDown = false;
  await until(() => storage.entries.size === 1);
  await e.consume(batchOf(['c'], ack));
  await until(() => ack.records === 3);
  assert.deepEqual(
    [...ack.told],
    [
      ['queued', 2],
      ['delivered', 1],
    ],
  );
  assert.deepEqual(
    d.calls.filter(([name], i) => name !== d.calls[i - 1]?.[0]),
    [['a'], ['b'], ['c']],
  );
  await e.stop?.(GENEROUS);
});

test('a destination that does not answer for a second fills the disk, not the memory', async () => {
  const storage = new MemoryStorage();
  const { ctx } = context(storage);
  let open = () => {};
  const gate = new Promise<void>((r) => (open = r));
  const d = scripted(() => gate);
  const e = createDelivery({
    ctx,
    queue: queue({ storage: 'file_storage', num_consumers: 1 }),
    retry: retry(),
    prepare: d.prepare,
  });
  await e.start?.();
  const [first, second] = [new TestAck(true), new TestAck(true)];
  await e.consume(batchOf(['a'], first));
  await e.consume(batchOf(['b'], second));
  assert.deepEqual([[...first.told], [...second.told]], [[], [['queued', 1]]]);
  open();
  await until(() => storage.entries.size === 1 && first.records === 1);
  assert.deepEqual([...first.told], [['delivered', 1]]);
  await e.stop?.(GENEROUS);
});

test('what is refused for good is lost at once and told so, on its way around the disk too', async () => {
  const storage = new MemoryStorage();
  const { ctx, value } = context(storage);
  const d = scripted(() => permanent('never', { status: 400 }));
  const e = createDelivery({ ctx, queue: queue({ storage: 'file_storage' }), retry: retry(), prepare: d.prepare });
  await e.start?.();
  const ack = new TestAck(true);
  await e.consume(batchOf(['a'], ack));
  await until(() => ack.records === 1);
  assert.deepEqual([...ack.told], [['lost: rejected: 400', 1]]);
  assert.equal(value('otelcol_exporter_send_failed_log_records'), 1);
  await e.stop?.(GENEROUS);
});
