import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { CheckpointStore, type KnownFile } from '../../components/receivers/file_log/checkpoint.ts';
import { Store } from '../../core/sqlite-store.ts';
import { contextFor, told } from '../testing.ts';
import { storePath } from './offsets.ts';
import { ask, config, file, line, section, storage, write } from './testing.ts';

test('the last delivery: stored offsets while another process holds the store', async (t) => {
  write('app', ['x'.repeat(100_000)]);
  const ctx = await contextFor(undefined, { config: config({ storage: true }) });
  const where = storePath(ctx.tiers[0]!.config!, ctx.tiers[0]!.config!.receivers.get('file_log')!);
  assert.ok('path' in where);
  mkdirSync(storage, { recursive: true });
  const store = new Store(where.path, new DatabaseSync(where.path), {
    fsync: false,
    maxSizeBytes: 0,
    onDamage: () => {},
  });
  t.after(() => store.close());
  const checkpoints = new CheckpointStore(store, 'file_input');
  const save = (offset: number): void => {
    const known: KnownFile = {
      id: 1,
      identity: undefined,
      path: file('app'),
      fingerprint: Buffer.from('2026'),
      tail: Buffer.alloc(0),
      offset,
      recordNumber: 0,
      sizeBytes: 0,
      headerDone: false,
      headerAttributes: '{}',
      skipping: false,
      packed: false,
      packedEndSize: -1,
      replaced: false,
    };
    checkpoints.saveAll([known]);
  };
  const size = line('x'.repeat(100_000)).length;
  const first = async (meanwhile?: () => void, nowMs = Date.now() + 3_600_000) =>
    section((await ask(t, { config: config({ storage: true }), meanwhile, nowMs })).results, 'delivery')[0]!;
  save(size);
  const done = await first();
  assert.equal(told([done])[0], 'ok: app is delivered up to its last byte');
  assert.match(done.how, new RegExp(`offset ${size} of ${size} bytes`));
  const queued = config({ storage: true }).replace(
    'otlp_http/logs: {',
    'otlp_http/logs: {sending_queue: {storage: file_storage}, ',
  );
  assert.match(
    told(section((await ask(t, { config: queued })).results, 'delivery'))[0]!,
    /^ok: app is delivered, or in the durable queue of otlp_http\/logs, up to its last byte$/,
  );
  save(10);
  assert.equal(told([await first()])[0], `warning: app is ${size - 10} bytes behind, and does not get on`);
  // Between two looks some is delivered, and more is written.
  const goesOn = await first(() => save(20_000));
  assert.equal(told([goesOn])[0], `ok: app is delivered up to ${size - 20_000} bytes before its end, and goes on`);
  assert.match(goesOn.how, /; 19990 bytes were delivered in 12 s$/);
  save(10);
  const grown = await first(() => {
    save(20);
    appendFileSync(file('app'), line('y'.repeat(100_000)));
  });
  assert.match(told([grown])[0]!, /^warning: app is \d+ bytes behind, and falls further behind$/);
  // The offset is of another file of that name.
  save(1e9);
  assert.equal(told([await first()])[0], 'warning: nothing of app is known as delivered yet');
  assert.match(
    told([await first(undefined, Date.now())])[0]!,
    /^unknown: app was rotated \d+ s ago, and nothing of the new/,
  );
  checkpoints.saveAll([]);
  assert.equal(told([await first()])[0], 'warning: nothing of app is known as delivered yet');
  assert.match(told([await first(undefined, Date.now())])[0]!, /^unknown: app began to write \d+ s ago, and nothing/);
  const without = section((await ask(t, { config: config() })).results, 'delivery')[0]!;
  assert.match(without.how, /file_log has no storage/);
});
