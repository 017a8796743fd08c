import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import {
  type Ack,
  type Batch,
  type Consumer,
  DELIVERED,
  filtered,
  lost,
  makeBatch,
  type Outcome,
  type Part,
  QUEUED,
  settleBatch,
  splitParts,
} from '../core/batch.ts';
import { DeliveryError, permanent, retryable } from '../core/errors.ts';
import { Ledger } from '../core/ledger.ts';
import { SILENT } from '../core/log.ts';
import { EMPTY_RESOURCE, EMPTY_SCOPE } from '../core/resource.ts';
import { fanOut } from './fan-out.ts';

const options = { log: SILENT, stopping: new AbortController().signal, minBackoffMs: 1, maxBackoffMs: 2 };

function source(records: number, bytes: number, patient: boolean) {
  const ledger = new Ledger();
  ledger.read(records, bytes);
  const ack: Ack = { patient, settle: (r, b, o) => ledger.settle(r, b, o) };
  const parts: Part[] = [{ ack, records, bytes }];
  const items = new Uint8Array(records * 2);
  const batch = makeBatch('logs', [
    { resource: EMPTY_RESOURCE, scope: EMPTY_SCOPE, items, messages: records, count: records, parts },
  ]);
  return { ledger, batch };
}

const outcome: fc.Arbitrary<Outcome> = fc.constantFrom(
  DELIVERED,
  QUEUED,
  filtered('rule'),
  lost('rejected'),
  lost('expired'),
);

test('however branches split, merge and settle, the source hears about every record and byte exactly once', async () => {
  const piece = fc.record({ share: fc.integer({ min: 1, max: 10 }), outcome });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 50 }),
      fc.integer({ min: 0, max: 1000 }),
      fc.array(fc.array(piece, { minLength: 1, maxLength: 6 }), { minLength: 2, maxLength: 4 }),
      fc.boolean(),
      async (records, bytes, branches, patient) => {
        const { ledger, batch } = source(records, bytes, patient);
        const later: (() => void)[] = [];
        const lostPerBranch: number[] = [];
        const deliveredPerBranch: number[] = [];
        const consumers = branches.map(
          (pieces, b): Consumer => ({
            async consume(got) {
              lostPerBranch[b] = 0;
              deliveredPerBranch[b] = 0;
              let rest: readonly Part[] = got.groups[0]!.parts;
              for (const [i, p] of pieces.entries()) {
                const isLast = i === pieces.length - 1;
                const [head, tail] = isLast ? [rest, []] : splitParts(rest, p.share);
                rest = tail;
                for (const part of head) {
                  if (p.outcome.kind === 'lost') lostPerBranch[b] += part.records;
                  if (p.outcome.kind === 'delivered') deliveredPerBranch[b] += part.records;
                  later.push(() => part.ack.settle(part.records, part.bytes, p.outcome));
                }
              }
            },
          }),
        );
        await fanOut(consumers, options).consume(batch);
        for (const settle of later) settle();
        const s = ledger.snapshot();
        assert.deepEqual(s.inFlight, { records: 0, bytes: 0 });
        const mostLost = Math.max(...lostPerBranch);
        assert.equal(s.lost.records, mostLost);
        assert.equal(s.delivered.records, Math.min(records - mostLost, Math.max(...deliveredPerBranch)));
        for (const a of [s.delivered, s.queued, s.filtered, s.lost]) assert.ok(a.records >= 0 && a.bytes >= 0);
      },
    ),
  );
});

test('nothing is told before the last branch has settled', async () => {
  const { ledger, batch } = source(3, 30, false);
  const got: Batch[] = [];
  const keep: Consumer = { consume: async (b) => void got.push(b) };
  await fanOut([keep, keep], options).consume(batch);
  settleBatch(got[0]!, DELIVERED);
  assert.equal(ledger.snapshot().inFlight.records, 3);
  settleBatch(got[1]!, filtered('rule'));
  assert.deepEqual(ledger.snapshot().delivered, { records: 3, bytes: 30 });
});

test('a branch that accepted a patient batch is never sent it again while another one refuses', async () => {
  const { ledger, batch } = source(2, 20, true);
  const calls = [0, 0];
  const good: Consumer = {
    async consume(b) {
      calls[0]!++;
      settleBatch(b, DELIVERED);
    },
  };
  const moody: Consumer = {
    async consume(b) {
      if (++calls[1]! < 4) throw retryable('busy');
      settleBatch(b, DELIVERED);
    },
  };
  await fanOut([good, moody], options).consume(batch);
  assert.deepEqual(calls, [1, 4]);
  assert.deepEqual(ledger.snapshot().delivered, { records: 2, bytes: 20 });
});

test('a permanent refusal of one branch of a patient batch is a loss, not an endless retry', async () => {
  const { ledger, batch } = source(2, 20, true);
  const good: Consumer = { consume: async (b) => settleBatch(b, DELIVERED) };
  const never: Consumer = {
    consume: async () => {
      throw permanent('bad data');
    },
  };
  await fanOut([good, never], options).consume(batch);
  assert.deepEqual([...ledger.snapshot().lostBy], [['rejected', { records: 2, bytes: 20 }]]);
});

test('a patient batch is given back when the service stops while a branch refuses', async () => {
  const { ledger, batch } = source(2, 20, true);
  const stop = new AbortController();
  let accepted: Batch | undefined;
  const good: Consumer = { consume: async (b) => void (accepted = b) };
  const full: Consumer = {
    consume: async () => {
      setImmediate(() => stop.abort());
      throw retryable('full');
    },
  };
  const node = fanOut([good, full], { ...options, stopping: stop.signal, minBackoffMs: 60_000, maxBackoffMs: 60_000 });
  await assert.rejects(node.consume(batch), /full/);
  settleBatch(accepted!, DELIVERED);
  assert.equal(ledger.snapshot().inFlight.records, 2);
});

const refusals: { name: string; errors: (Error | undefined)[]; permanent: boolean | undefined; message?: RegExp }[] = [
  { name: 'all accept', errors: [undefined, undefined], permanent: undefined },
  { name: 'one retryable', errors: [retryable('busy'), undefined], permanent: false, message: /^busy$/ },
  { name: 'one permanent', errors: [undefined, permanent('bad')], permanent: true, message: /^bad$/ },
  { name: 'both kinds', errors: [retryable('busy'), permanent('bad')], permanent: false, message: /busy; bad/ },
  { name: 'all permanent', errors: [permanent('worse'), permanent('bad')], permanent: true, message: /worse; bad/ },
];
for (const c of refusals) {
  test(`an impatient batch goes to every branch once and errors are joined: ${c.name}`, async () => {
    const { ledger, batch } = source(2, 20, false);
    let calls = 0;
    const accepted: Batch[] = [];
    const consumers = c.errors.map(
      (e): Consumer => ({
        async consume(b) {
          calls++;
          if (e) throw e;
          accepted.push(b);
        },
      }),
    );
    const result = fanOut(consumers, options).consume(batch);
    if (c.permanent === undefined) await result;
    else {
      await assert.rejects(result, (e) => {
        assert.ok(e instanceof DeliveryError);
        assert.equal(e.permanent, c.permanent);
        assert.match(e.message, c.message!);
        return true;
      });
    }
    for (const b of accepted) settleBatch(b, DELIVERED);
    assert.equal(calls, c.errors.length);
    // After a refusal the caller keeps the batch, so the branches' outcomes must not reach the source.
    assert.equal(ledger.snapshot().delivered.records, c.permanent === undefined ? 2 : 0);
  });
}
