import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import { DELIVERED, type Part } from '../batch.ts';
import { SlabWriter } from './slab-writer.ts';

interface Taken {
  readonly items: Uint8Array;
  readonly content: Buffer;
  readonly parts: readonly Part[];
  settled: number;
}

test('what was taken keeps its bytes until its last record is settled, in whatever order that happens', () => {
  const large = fc.integer({ min: 300_000, max: 2_500_000 });
  const step = fc.oneof(
    fc.record({ size: fc.oneof(fc.nat(5000), large), records: fc.array(fc.nat(3), { maxLength: 3 }) }),
    fc.record({ settle: fc.nat(), records: fc.integer({ min: 1, max: 4 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const w = new SlabWriter();
      let told = 0;
      let owed = 0;
      let made = 0;
      const ack = { patient: true, settle: (records: number) => void (told += records) };
      const open: Taken[] = [];
      for (const s of steps) {
        if ('size' in s) {
          w.reset();
          const content = Buffer.alloc(s.size, ++made % 251);
          w.raw(content);
          const parts = s.records.map((records) => ({ ack, records, bytes: 1 }));
          const taken = w.take(parts);
          assert.deepEqual(
            taken.parts.map((p) => [p.records, p.bytes, p.ack.patient]),
            parts.map((p) => [p.records, p.bytes, true]),
          );
          owed += s.records.reduce((a, b) => a + b, 0);
          open.push({ ...taken, content, settled: 0 });
        } else if (open.length > 0) {
          const i = s.settle % open.length;
          const t = open[i]!;
          const part = t.parts[t.settled];
          if (part) part.ack.settle(part.records, part.bytes, DELIVERED);
          if (++t.settled >= t.parts.length) open.splice(i, 1);
        }
        for (const { parts, settled, content, items } of open) {
          const isOwed = parts.slice(settled).some((p) => p.records > 0);
          if (isOwed || parts.every((p) => p.records === 0)) assert.ok(content.equals(items));
        }
      }
      for (const t of open) for (const p of t.parts.slice(t.settled)) p.ack.settle(p.records, p.bytes, DELIVERED);
      assert.equal(told, owed);
    }),
    { numRuns: 60 },
  );
});

test('bytes of settled records are written over', () => {
  const w = new SlabWriter();
  const ack = { patient: true, settle: () => {} };
  const memory = new Set<ArrayBufferLike>();
  for (let i = 0; i < 50; i++) {
    w.reset();
    w.raw(Buffer.alloc(1_500_000));
    const { items, parts } = w.take([{ ack, records: 1, bytes: 1 }]);
    memory.add(items.buffer);
    parts[0]!.ack.settle(1, 1, DELIVERED);
  }
  assert.ok(memory.size <= 2, `${memory.size} slabs`);
});
