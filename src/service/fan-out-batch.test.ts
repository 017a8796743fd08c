import assert from 'node:assert/strict';
import { test } from 'node:test';
import { componentContext, TestSource } from '../../test/helpers/component.ts';
import fc from '../../test/helpers/property.ts';
import batchDefinition from '../components/processors/batch/index.ts';
import {
  type Batch,
  type Consumer,
  DELIVERED,
  filtered,
  lost,
  type Outcome,
  QUEUED,
  splitParts,
} from '../core/batch.ts';
import type { Processor, ProcessorDefinition } from '../core/component.ts';
import { SILENT } from '../core/log.ts';
import { fanOut } from './fan-out.ts';

const { schema, create } = batchDefinition as ProcessorDefinition;
const never = new AbortController().signal;

async function batcher(id: string, size: number, next: Consumer): Promise<Processor> {
  const { context } = componentContext(id, 'processor');
  const config = schema.parse({ timeout: '1h', send_batch_size: size, send_batch_max_size: size });
  return (await create(config, { ...context, signal: 'logs', pipelineId: 'logs', next })) as Processor;
}

test('batches merged and divided differently on each branch settle every source exactly', async () => {
  const outcome: fc.Arbitrary<Outcome> = fc.constantFrom(DELIVERED, QUEUED, filtered('rule'), lost('rejected'));
  const branch = fc.record({
    size: fc.integer({ min: 1, max: 9 }),
    cut: fc.integer({ min: 0, max: 9 }),
    outcomes: fc.array(outcome, { minLength: 1, maxLength: 5 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 4 }), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.array(branch, { minLength: 2, maxLength: 3 }),
      async (arrivals, branches) => {
        const held: (() => void)[] = [];
        const seen: number[] = [];
        const batchers = await Promise.all(
          branches.map((b, i) => {
            let n = 0;
            seen[i] = 0;
            // Each group is told in two pieces with outcomes of their own, after everything has been sent.
            const sink: Consumer = {
              async consume(batch: Batch) {
                assert.ok(batch.count <= b.size);
                seen[i]! += batch.count;
                for (const g of batch.groups) {
                  for (const parts of splitParts(g.parts, b.cut)) {
                    const told = b.outcomes[n++ % b.outcomes.length]!;
                    for (const p of parts) held.push(() => p.ack.settle(p.records, p.bytes, told));
                  }
                }
              },
            };
            return batcher(`batch/${i}`, b.size, sink);
          }),
        );
        const node = fanOut(batchers, { log: SILENT, stopping: never });
        const sources = arrivals.map((_, i) => new TestSource(i % 2 === 0));
        const rounds = Math.max(...arrivals.map((a) => a.length));
        for (let round = 0; round < rounds; round++)
          for (const [i, sizes] of arrivals.entries()) {
            const size = sizes[round];
            if (size !== undefined)
              await node.consume(sources[i]!.logs(Array.from({ length: size }, (_, k) => 'x'.repeat(k))));
          }
        await Promise.all(batchers.map((b) => b.stop!(never)));
        for (const settle of held) settle();
        const total = arrivals.flat().reduce((a, b) => a + b, 0);
        assert.deepEqual(
          seen,
          branches.map(() => total),
        );
        for (const [i, s] of sources.entries()) {
          const snapshot = s.ledger.snapshot();
          assert.deepEqual(snapshot.inFlight, { records: 0, bytes: 0 });
          assert.equal(
            snapshot.read.records,
            arrivals[i]!.reduce((a, b) => a + b, 0),
          );
        }
      },
    ),
    { numRuns: 100 },
  );
});
