import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type Batch, makeBatch } from './batch.ts';
import { MemoryQueue } from './queue-memory.ts';
import { EMPTY_RESOURCE, EMPTY_SCOPE } from './resource.ts';
import { sendingQueue } from './schema.ts';

const MB = 1024 * 1024;

function pushed(sizeBytes: number): Batch {
  const parts = [{ ack: { patient: false, isMemory: true, settle() {} }, records: 1, bytes: sizeBytes }];
  const items = new Uint8Array(sizeBytes);
  return makeBatch('logs', [{ resource: EMPTY_RESOURCE, scope: EMPTY_SCOPE, items, messages: 1, count: 1, parts }]);
}

function queue() {
  const config = sendingQueue().parse({});
  assert.ok(config.enabled);
  return new MemoryQueue({ config, onOffer() {}, onFull: () => assert.fail('refused') });
}

test('who pushes faster than the destination takes is slowed down, not refused', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const q = queue();
  for (let i = 0; i < 5; i++) await q.offer(pushed(8 * MB));
  const offered = q.offer(pushed(8 * MB)).then(() => 'accepted');
  await turn();
  assert.equal(q.size(), 5, 'more than the queue holds at ease');
  const sent = q.take()!;
  sent.finish(sent);
  assert.equal(await offered, 'accepted');
  assert.equal(q.size(), 5);
});

test('a destination that takes nothing slows nobody down for long: the queue fills to its size', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const q = queue();
  for (let i = 0; i < 5; i++) await q.offer(pushed(8 * MB));
  for (let i = 6; i < 10; i++) {
    const offered = q.offer(pushed(8 * MB));
    await turn();
    t.mock.timers.tick(50);
    await offered;
    assert.equal(q.size(), i);
  }
});

test('closing lets go who was slowed down, as the queue tells everybody then', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const q = queue();
  for (let i = 0; i < 5; i++) await q.offer(pushed(8 * MB));
  const offered = q.offer(pushed(8 * MB));
  await turn();
  q.close();
  await assert.rejects(offered, { message: 'sending queue is stopped' });
});
