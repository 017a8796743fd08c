import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import type { Ack } from './batch.ts';
import type { Exporter } from './component.ts';
import { type DeliveryError, messageOf, permanent, retryable } from './errors.ts';
import { createDelivery } from './queue.ts';
import type { Prepare } from './queue-sender.ts';

import {
  batchOf,
  context,
  GENEROUS,
  MemoryStorage,
  namesOf,
  queue,
  retry,
  scripted,
  TestAck,
  until,
} from './testing.ts';

test('data is delivered after retryable errors, and counted and settled once', async () => {
  const { ctx, lines, value } = context();
  const d = scripted((_names, n) => (n < 3 ? retryable('try later') : undefined));
  const e = createDelivery({ ctx, queue: queue(), retry: retry(), prepare: d.prepare });
  await e.start?.();
  const ack = new TestAck(false);
  await e.consume(batchOf(['a', 'b'], ack));
  await until(() => ack.records === 2);
  assert.deepEqual([...ack.told], [['delivered', 2]]);
  assert.equal(d.calls.length, 3);
  assert.equal(value('otelcol_exporter_sent_log_records'), 2);
  assert.equal(value('otelcol_exporter_queue_capacity'), 1000);
  // The second line of the same outage within the interval is held back.
  assert.equal(lines.filter((l) => l.message === 'Exporting failed. Will retry the request after interval.').length, 1);
  await until(() => value('otelcol_exporter_queue_size') === 0);
  await e.stop?.(GENEROUS);
});

test('final failures are told with their reason, logged and counted', async () => {
  for (const [error, reason, more] of [
    [permanent('no', { status: 400 }), 'lost: rejected: 400', {}],
    [permanent('no'), 'lost: rejected', {}],
    [retryable('down'), 'lost: retries exhausted', { max_elapsed_time: '5ms' }],
    [retryable('down'), 'lost: retries exhausted', { enabled: false }],
    [new Error('bug'), 'lost: retries exhausted', { enabled: false }],
  ] as const) {
    const { ctx, lines, value } = context();
    const d = scripted(() => error);
    const e = createDelivery({ ctx, queue: queue(), retry: retry(more), prepare: d.prepare });
    await e.start?.();
    const ack = new TestAck(false);
    await e.consume(batchOf(['a'], ack));
    await until(() => ack.records === 1);
    assert.deepEqual([...ack.told], [[reason, 1]]);
    assert.equal(value('otelcol_exporter_send_failed_log_records'), 1);
    const line = lines.find((l) => l.message === 'Exporting failed. Dropping data.');
    assert.equal(line?.level, 'error');
    assert.equal(line?.fields['dropped_items'], 1);
    await e.stop?.(GENEROUS);
  }
});

test('what a destination rejected of a request it took is lost, the rest delivered', async () => {
  const { ctx } = context();
  const e = createDelivery({ ctx, queue: queue(), retry: retry(), prepare: scripted(() => 2).prepare });
  const ack = new TestAck(true);
  await e.start?.();
  await e.consume(batchOf(['a', 'b', 'c'], ack));
  await until(() => ack.records === 3);
  assert.deepEqual(Object.fromEntries(ack.told), { delivered: 1, 'lost: rejected by destination': 2 });
  assert.equal(ack.bytes, 30);
  await e.stop?.(GENEROUS);
});

test('a full queue refuses who cannot wait, and holds who can', async () => {
  const { ctx, lines, value } = context();
  let open = () => {};
  const gate = new Promise<void>((r) => (open = r));
  const d = scripted(() => gate);
  const e = createDelivery({
    ctx,
    queue: queue({ queue_size: 1, num_consumers: 1 }),
    retry: retry(),
    prepare: d.prepare,
  });
  await e.start?.();
  await e.consume(batchOf(['a']));
  const refused = new TestAck(false);
  await assert.rejects(e.consume(batchOf(['b'], refused)), { message: 'sending queue is full', permanent: false });
  assert.equal(refused.records, 0);
  assert.equal(value('otelcol_exporter_enqueue_failed_log_records'), 1);
  assert.equal(lines.find((l) => l.message === 'Exporting failed. Rejecting data.')?.fields['rejected_items'], 1);
  const patient = new TestAck(true);
  let accepted = false;
  const waiting = e.consume(batchOf(['c'], patient)).then(() => (accepted = true));
  await new Promise((r) => setTimeout(r, 5));
  assert.equal(accepted, false);
  open();
  await waiting;
  await until(() => patient.records === 1);
  assert.deepEqual(d.calls, [['a'], ['c']]);
  await e.stop?.(GENEROUS);
});

test('an element larger than the queue is refused, unless its source can wait: then it goes alone', async () => {
  const { ctx } = context();
  const d = scripted(() => undefined);
  const e = createDelivery({
    ctx,
    queue: queue({ queue_size: 2, sizer: 'items' }),
    retry: retry(),
    prepare: d.prepare,
  });
  await e.start?.();
  await assert.rejects(e.consume(batchOf(['a', 'b', 'c'])), { message: 'sending queue is full' });
  const ack = new TestAck(true);
  await e.consume(batchOf(['a', 'b', 'c'], ack));
  await until(() => ack.records === 3);
  await e.stop?.(GENEROUS);
});

test('patient data is tried beyond max_elapsed_time and without retry_on_failure', async () => {
  for (const more of [{ max_elapsed_time: '3ms' }, { enabled: false }]) {
    const { ctx } = context();
    const d = scripted((_names, n) => (n < 20 ? retryable('down') : undefined));
    const e = createDelivery({ ctx, queue: queue(), retry: retry(more), prepare: d.prepare });
    await e.start?.();
    const ack = new TestAck(true);
    await e.consume(batchOf(['a'], ack));
    await until(() => ack.records === 1);
    assert.deepEqual([...ack.told], [['delivered', 1]]);
    await e.stop?.(GENEROUS);
  }
});

test('without a queue, and with wait_for_result, the caller gets the error and still owns the data', async () => {
  for (const q of [{ enabled: false }, { wait_for_result: true }]) {
    const { ctx, lines } = context();
    const d = scripted((names) => (names[0] === 'bad' ? permanent('no', { status: 400, grpcCode: 3 }) : undefined));
    const e = createDelivery({ ctx, queue: queue(q), retry: retry({ enabled: false }), prepare: d.prepare });
    await e.start?.();
    await assert.rejects(
      e.consume(batchOf(['bad'])),
      (error: DeliveryError) => error.permanent && error.grpcCode === 3,
    );
    await e.consume(batchOf(['good']));
    assert.deepEqual(d.calls, [['bad'], ['good']]);
    assert.ok(lines.some((l) => l.message.startsWith('Exporting failed.')));
    await e.stop?.(GENEROUS);
  }
});

test('with wait_for_result an error is also told where settling only frees memory', async () => {
  const { ctx } = context();
  const d = scripted(() => permanent('no'));
  const e = createDelivery({
    ctx,
    queue: queue({ wait_for_result: true }),
    retry: retry({ enabled: false }),
    prepare: d.prepare,
  });
  await e.start?.();
  const batch = batchOf(['bad']);
  let freed = 0;
  const ack: Ack = { patient: false, isMemory: true, settle: (records) => void (freed += records) };
  const groups = batch.groups.map((g) => ({ ...g, parts: [{ ack, records: g.count, bytes: 0 }] }));
  await assert.rejects(e.consume({ ...batch, groups }), /no/);
  assert.equal(freed, 1);
  await e.stop?.(GENEROUS);
});

test('Retry-After is waited for when it is longer than the interval', async () => {
  const { ctx, lines } = context();
  const d = scripted((_n, n) => (n === 1 ? retryable('later', { retryAfterMs: 30 }) : undefined));
  const e = createDelivery({ ctx, queue: queue(), retry: retry(), prepare: d.prepare });
  await e.start?.();
  const start = performance.now();
  const ack = new TestAck(false);
  await e.consume(batchOf(['a'], ack));
  await until(() => ack.records === 1);
  assert.ok(performance.now() - start >= 29);
  assert.equal(lines[0]?.fields['interval'], '30ms');
  await e.stop?.(GENEROUS);
});

test('stopping gives every element of the memory queue one attempt; patient data that fails stays unsettled', async () => {
  const { ctx } = context();
  let failing = true;
  const d = scripted((names) => (failing || names[0] === 'x' ? retryable('down') : undefined));
  const e = createDelivery({
    ctx,
    queue: queue({ num_consumers: 1 }),
    retry: retry({ initial_interval: '1h', max_interval: '1h', max_elapsed_time: 0 }),
    prepare: d.prepare,
  });
  await e.start?.();
  const [first, second, third, fourth] = [new TestAck(false), new TestAck(true), new TestAck(false), new TestAck(true)];
  await e.consume(batchOf(['a'], first));
  await e.consume(batchOf(['x'], second));
  await e.consume(batchOf(['x'], third));
  await e.consume(batchOf(['b'], fourth));
  await until(() => d.calls.length === 1);
  failing = false;
  await e.stop?.(GENEROUS);
  assert.deepEqual(d.calls, [['a'], ['x'], ['x'], ['b']]);
  assert.deepEqual(
    [first, second, third, fourth].map((a) => [...a.told]),
    [[['lost: shutdown', 1]], [], [['lost: shutdown', 1]], [['delivered', 1]]],
  );
  await assert.rejects(e.consume(batchOf(['c'])));
});

test('when the time for stopping is over, requests under way are cut', async () => {
  const { ctx } = context();
  const prepare: Prepare = () => (signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('cut'))));
  const e = createDelivery({ ctx, queue: queue({ num_consumers: 1 }), retry: retry(), prepare });
  await e.start?.();
  const acks = [new TestAck(false), new TestAck(false), new TestAck(true)];
  for (const a of acks) await e.consume(batchOf(['a'], a));
  const deadline = new AbortController();
  const stopped = e.stop!(deadline.signal);
  deadline.abort();
  await stopped;
  assert.deepEqual(
    acks.map((a) => [...a.told]),
    [[['lost: shutdown', 1]], [['lost: shutdown', 1]], []],
  );
});

test('batching merges elements up to min_size and cuts at max_size', async () => {
  const { ctx } = context();
  const d = scripted(() => undefined);
  const e = createDelivery({
    ctx,
    queue: queue({ batch: { min_size: 4, max_size: 5, flush_timeout: '1h' } }),
    retry: retry(),
    prepare: d.prepare,
  });
  await e.start?.();
  const ack = new TestAck(true);
  await e.consume(batchOf(['a', 'b', 'c'], ack));
  await e.consume(batchOf(['d'], ack));
  await until(() => d.calls.length === 1);
  await e.consume(batchOf([...'efghijklmnopq'], ack));
  await until(() => d.calls.length === 3);
  await e.stop?.(GENEROUS);
  assert.deepEqual(
    d.calls.map((c) => c.join('')),
    ['abcd', 'efghi', 'jklmn', 'opq'],
  );
  assert.deepEqual([...ack.told], [['delivered', 17]]);
});

test('batching flushes after flush_timeout, keeps partitions apart, and cuts by bytes', async () => {
  const { ctx } = context();
  const d = scripted(() => undefined);
  const e = createDelivery({
    ctx,
    queue: queue({ batch: { flush_timeout: '10ms', partition: { metadata_keys: ['Tenant'] } } }),
    retry: retry(),
    prepare: d.prepare,
  });
  await e.start?.();
  for (const [name, tenant] of [
    ['a', 'x'],
    ['b', 'y'],
    ['c', 'x'],
  ] as const)
    await e.consume({ ...batchOf([name]), metadata: new Map([['tenant', [tenant]]]) });
  await until(() => d.calls.length === 2);
  assert.deepEqual(d.calls.map((c) => c.join('')).sort(), ['ac', 'b']);
  await e.stop?.(GENEROUS);

  const bytes = scripted(() => undefined);
  const b = createDelivery({
    ctx,
    queue: queue({ batch: { sizer: 'bytes', min_size: 80, max_size: 80 } }),
    retry: retry(),
    prepare: bytes.prepare,
  });
  await b.start?.();
  await b.consume(batchOf([...'abcdefghijklmnopqrstuvwxyz']));
  await b.stop?.(GENEROUS);
  assert.equal(bytes.calls.flat().join(''), 'abcdefghijklmnopqrstuvwxyz');
  assert.ok(bytes.calls.length > 1 && bytes.calls.every((c) => c.length * 5 + 14 <= 80), JSON.stringify(bytes.calls));
});

const answers = fc.constantFrom('ok', 'ok', 'ok', 'retry', 'permanent', 'partial');

test('whatever happens, nobody is told twice, and what was accepted is told once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        queue: fc.record({
          enabled: fc.boolean(),
          num_consumers: fc.integer({ min: 1, max: 3 }),
          queue_size: fc.integer({ min: 1, max: 20 }),
          sizer: fc.constantFrom('requests', 'items', 'bytes'),
          block_on_overflow: fc.boolean(),
        }),
        durable: fc.boolean(),
        batch: fc.option(
          fc.record({ min_size: fc.nat(6), more: fc.nat(4), flush_timeout: fc.constantFrom('1ms', '1h') }),
        ),
        batches: fc.array(fc.record({ n: fc.integer({ min: 1, max: 6 }), patient: fc.boolean() }), {
          minLength: 1,
          maxLength: 12,
        }),
        answers: fc.array(answers, { minLength: 1, maxLength: 30 }),
        stopAfter: fc.nat(12),
        cut: fc.boolean(),
      }),
      async (c) => {
        const storage = new MemoryStorage();
        const { ctx } = context(storage);
        const sizes = c.batch
          ? { min_size: c.queue.sizer === 'items' ? Math.min(c.batch.min_size, c.queue.queue_size) : c.batch.min_size }
          : undefined;
        const batch = c.batch && {
          ...sizes,
          max_size: sizes!.min_size + c.batch.more,
          flush_timeout: c.batch.flush_timeout,
          sizer: 'items',
        };
        const config = queue({
          ...c.queue,
          ...(batch ? { batch } : {}),
          ...(c.durable && c.queue.enabled ? { storage: 'file_storage' } : {}),
        });
        let call = 0;
        const delivered: string[] = [];
        const refused: string[] = [];
        const prepare: Prepare = (b) => {
          const names = namesOf(b);
          return async () => {
            const a = c.answers[call++ % c.answers.length];
            await new Promise((r) => setImmediate(r));
            if (a === 'retry') throw retryable('later');
            if (a === 'permanent') {
              refused.push(...names);
              throw permanent('never', { status: 400 });
            }
            delivered.push(...names);
            return { rejected: a === 'partial' ? 1 : 0 };
          };
        };
        const start = async (): Promise<Exporter> => {
          const e = createDelivery({
            ctx,
            queue: config,
            retry: retry({ initial_interval: 0, max_interval: 0, max_elapsed_time: 0 }),
            prepare,
          });
          await e.start?.();
          return e;
        };
        const e = await start();
        const acks: TestAck[] = [];
        const results: Promise<string>[] = [];
        const stop = async (x: Exporter) => {
          const deadline = new AbortController();
          const stopped = x.stop!(deadline.signal);
          if (c.cut) deadline.abort();
          await stopped;
        };
        let stopped: Promise<void> | undefined;
        for (const [i, b] of c.batches.entries()) {
          const ack = new TestAck(b.patient);
          acks.push(ack);
          results.push(
            e
              .consume(
                batchOf(
                  Array.from({ length: b.n }, (_, k) => `${i}.${k}`),
                  ack,
                ),
              )
              .then(
                () => 'accepted',
                (x) => messageOf(x),
              ),
          );
          if (i % 2) await new Promise((r) => setImmediate(r));
          if (i === c.stopAfter) stopped = stop(e);
        }
        // Answers that never succeed would hold what is patient for ever, so stopping is part of every run.
        await new Promise((r) => setImmediate(r));
        await (stopped ?? stop(e));
        for (const [i, b] of c.batches.entries()) {
          const ack = acks[i]!;
          const result = await results[i]!;
          assert.ok(ack.records <= b.n, `told ${ack.records} of ${b.n}`);
          assert.ok(ack.bytes <= b.n * 10);
          if (result !== 'accepted') assert.equal(ack.records, 0, `rejected with ${result}, but told ${[...ack.told]}`);
          else if (config.storage && (batch || !b.patient)) assert.deepEqual([...ack.told], [['queued', b.n]]);
          // Sent around the disk; untold is what the stop interrupted and its source reads again.
          else if (config.storage) assert.ok(ack.records === b.n || ack.records === 0, `told ${[...ack.told]}`);
          else if (!b.patient && !(batch && c.batches.some((x) => x.patient)))
            assert.equal(ack.records, b.n, `accepted, but told ${[...ack.told]}`);
          if (ack.records === b.n) assert.equal(ack.bytes, b.n * 10);
        }
        // A batch that waits an hour is not sent here.
        if (
          !config.storage ||
          c.batch?.flush_timeout === '1h' ||
          !c.answers.some((a) => a === 'ok' || a === 'partial' || a === 'permanent')
        )
          return;
        const again = await start();
        await until(() => storage.entries.size <= 1);
        await again.stop?.(GENEROUS);
        const known = new Set([...delivered, ...refused]);
        for (const [i, b] of c.batches.entries())
          if ((await results[i]) === 'accepted' && acks[i]!.records > 0)
            for (let k = 0; k < b.n; k++) assert.ok(known.has(`${i}.${k}`), `${i}.${k} was queued and never sent`);
      },
    ),
    { numRuns: 300, endOnFailure: true },
  );
});
