import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settled } from '../../test/helpers/component.ts';
import fc from '../../test/helpers/property.ts';
import { DELIVERED } from '../core/batch.ts';
import { Ledger } from '../core/ledger.ts';
import { SILENT } from '../core/log.ts';
import type { StorageClient } from '../core/storage.ts';
import { Position } from './position.ts';
import { PositionStore, positionKey } from './position-store.ts';

describe('a position', () => {
  it('never moves over a record without an outcome, and ends at the last version', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ records: fc.integer({ min: 0, max: 3 }), isPassed: fc.boolean(), rank: fc.nat() }), {
          minLength: 1,
        }),
        (steps) => {
          const stored: number[] = [];
          const ledger = new Ledger();
          const position = new Position(ledger, (v) => stored.push(Number(v)));
          const open: { version: number; rank: number; settle: () => void }[] = [];
          for (const [i, { records, isPassed, rank }] of steps.entries()) {
            const version = i + 1;
            if (isPassed) {
              position.pass(String(version));
              continue;
            }
            const range = position.begin();
            range.add(records, records);
            range.close(String(version));
            for (let r = 0; r < records; r++)
              open.push({ version, rank: rank + r, settle: () => range.settle(1, 1, DELIVERED) });
          }
          open.sort((a, b) => a.rank - b.rank);
          while (open.length > 0) {
            open.shift()!.settle();
            const lowest = Math.min(...open.map((o) => o.version), Number.POSITIVE_INFINITY);
            assert.ok((stored.at(-1) ?? 0) < lowest);
          }
          assert.equal(stored.at(-1), steps.length);
          assert.deepEqual(
            stored,
            [...stored].sort((a, b) => a - b),
          );
          assert.equal(ledger.snapshot().inFlight.records, 0);
          assert.ok(position.isSettled);
        },
      ),
    );
  });

  it('has the version of a list when all of it is settled, not before it is complete', () => {
    const stored: string[] = [];
    const position = new Position(new Ledger(), (v) => stored.push(v));
    const list = position.begin();
    list.add(1, 1);
    list.settle(1, 1, DELIVERED);
    assert.deepEqual(stored, []);
    list.close('10');
    assert.deepEqual(stored, ['10']);
  });
});

describe('stored positions', () => {
  const rig = () => {
    const content = new Map<string, string>();
    let writes = 0;
    const client = {
      get: (k: string) => (content.has(k) ? Buffer.from(content.get(k)!) : undefined),
      batch: (ops: readonly { op: string; key: string; value?: Uint8Array }[]) => {
        writes++;
        for (const o of ops)
          if (o.op === 'set') content.set(o.key, Buffer.from(o.value!).toString());
          else content.delete(o.key);
      },
      close: () => {},
    } as unknown as StorageClient;
    const store = new PositionStore(client, SILENT, () => 0);
    return { content, store, client, writes: () => writes };
  };

  it('have the keys of otelcol', () => {
    assert.equal(positionKey('pods', ''), 'latestResourceVersion/pods');
    assert.equal(positionKey('pods', 'shop'), 'latestResourceVersion/pods.shop');
  });

  it('are written together, and at once when the receiver has stopped', async () => {
    const { content, store, writes } = rig();
    for (let i = 1; i <= 100; i++) store.set('a', String(i));
    store.set('b', '7');
    assert.equal(writes(), 0);
    store.finish();
    assert.deepEqual(
      [...content],
      [
        ['a', '100'],
        ['b', '7'],
      ],
    );
    store.set('a', '101');
    store.set('b', '8');
    await settled();
    assert.equal(writes(), 2);
    assert.equal(content.get('a'), '101');
  });

  it('are there at once for who asks, and written at once when none was written just before', async () => {
    const { content, store, writes } = rig();
    store.set('a', '5');
    assert.equal(store.get('a'), '5');
    await settled();
    assert.equal(content.get('a'), '5');
    store.set('a', '6');
    await settled();
    assert.equal(writes(), 1);
    assert.equal(store.get('a'), '6');
    store.flush();
    assert.equal(content.get('a'), '6');
  });

  it('that are no versions count as none', () => {
    const { content, store } = rig();
    for (const text of ['', '0', 'x', '-1', '12x', '1.5']) {
      content.set('a', text);
      assert.equal(store.get('a'), undefined, text);
    }
    content.set('a', '1627');
    assert.equal(store.get('a'), '1627');
  });
});
