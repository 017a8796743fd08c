import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { collector, componentContext, settled, TestSource } from '../../../../test/helpers/component.ts';
import fc from '../../../../test/helpers/property.ts';
import { type Batch, DELIVERED, settleBatch } from '../../../core/batch.ts';
import { type Processor, type ProcessorDefinition, STOPPING } from '../../../core/component.ts';
import { DeliveryError, permanent, retryable } from '../../../core/errors.ts';
import definition from './index.ts';

const { schema, create } = definition as ProcessorDefinition;

async function start(t: TestContext, config: unknown, answer?: (batch: Batch, call: number) => void | Promise<void>) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const around = componentContext('batch', 'processor');
  const sink = collector(answer);
  const processor = (await create(schema.parse(config), {
    ...around.context,
    signal: 'logs',
    pipelineId: 'logs',
    next: sink.consumer,
  })) as Processor;
  await processor.start?.();
  const pass = async (ms: number): Promise<void> => {
    around.clock.ms += ms;
    t.mock.timers.tick(ms);
    await settled();
  };
  const stop = (): Promise<void> => processor.stop!(new AbortController().signal);
  return { ...around, sink, processor, pass, stop };
}

const bodies = (n: number): string[] => Array.from({ length: n }, (_, i) => `m${i}`);
const source = new TestSource(false);

const cases: { name: string; config: object; arrivals: number[]; atOnce: number[]; later: number[] }[] = [
  { name: 'waits for the timer below the size', config: {}, arrivals: [3, 4], atOnce: [], later: [7] },
  {
    name: 'the size is a trigger and not a limit',
    config: { send_batch_size: 7 },
    arrivals: [4, 4, 4],
    atOnce: [8],
    later: [4],
  },
  {
    name: 'a maximum divides one large arrival',
    config: { send_batch_size: 10, send_batch_max_size: 10 },
    arrivals: [25],
    atOnce: [10, 10],
    later: [5],
  },
  {
    name: 'below the size the rest of a division waits',
    config: { send_batch_size: 4, send_batch_max_size: 10 },
    arrivals: [13],
    atOnce: [10],
    later: [3],
  },
  {
    name: 'a size of 0 sends every arrival',
    config: { send_batch_size: 0 },
    arrivals: [1, 2],
    atOnce: [1, 2],
    later: [],
  },
  {
    name: 'a timeout of 0 sends every arrival',
    config: { timeout: '0s' },
    arrivals: [1, 2],
    atOnce: [1, 2],
    later: [],
  },
  {
    name: 'a timeout of 0 still divides',
    config: { timeout: '0s', send_batch_size: 2, send_batch_max_size: 2 },
    arrivals: [5],
    atOnce: [2, 2, 1],
    later: [],
  },
];
for (const c of cases)
  test(`batch: ${c.name}`, async (t) => {
    const { processor, sink, pass, stop } = await start(t, c.config);
    for (const n of c.arrivals) await processor.consume(source.logs(bodies(n)));
    await settled();
    assert.deepEqual(sink.counts(), c.atOnce);
    await pass(200);
    assert.deepEqual(sink.counts().slice(c.atOnce.length), c.later);
    await stop();
  });

test('the timer runs freely: the first record does not start it, a batch sent by size does', async (t) => {
  const { processor, sink, pass, stop } = await start(t, { timeout: '1s', send_batch_size: 3 });
  await pass(700);
  await processor.consume(source.logs(bodies(1)));
  await pass(299);
  assert.deepEqual(sink.counts(), []);
  await pass(1);
  assert.deepEqual(sink.counts(), [1]);
  await pass(500);
  await processor.consume(source.logs(bodies(3)));
  await processor.consume(source.logs(bodies(1)));
  await pass(999);
  assert.deepEqual(sink.counts(), [1, 3]);
  await pass(1);
  assert.deepEqual(sink.counts(), [1, 3, 1]);
  await stop();
});

test('a batch is also sent when its bytes reach 4 MiB', async (t) => {
  const { processor, sink, stop } = await start(t, {});
  for (let i = 0; i < 4; i++) await processor.consume(source.logs(['x'.repeat(1 << 20)]));
  await settled();
  assert.deepEqual(sink.counts(), [4]);
  await stop();
});

test('callers wait while 16 MiB are held, and go on when the destination does', async (t) => {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const { processor, sink, stop } = await start(t, {}, () => gate);
  let accepted = 0;
  const all = Array.from({ length: 24 }, () =>
    processor.consume(source.logs(['x'.repeat(1 << 20)])).then(() => accepted++),
  );
  await settled();
  assert.ok(accepted >= 12 && accepted <= 16, `accepted ${accepted}`);
  open();
  await Promise.all(all);
  await stop();
  assert.equal(
    sink.counts().reduce((a, b) => a + b, 0),
    24,
  );
});

test('combinations of metadata that fill the processor are sent before any of them is due', async (t) => {
  const { processor, sink, stop } = await start(t, { timeout: '1h', metadata_keys: ['tenant'] });
  for (let i = 0; i < 20; i++)
    await processor.consume(source.logs(['x'.repeat(1 << 20)], new Map([['tenant', [`t${i}`]]])));
  assert.ok(sink.batches.length >= 4);
  await stop();
  assert.equal(sink.batches.length, 20);
});

test('callers that wait are turned away when the service stops', async (t) => {
  const { processor, host, stop } = await start(t, {}, () => new Promise(() => {}));
  const all = Array.from({ length: 24 }, () => processor.consume(source.logs(['x'.repeat(1 << 20)])));
  await settled();
  host.shared(STOPPING, () => new AbortController()).abort();
  const results = await Promise.allSettled(all);
  const errors = results.flatMap((r) => (r.status === 'rejected' ? [r.reason] : []));
  assert.ok(errors.length > 0);
  for (const e of errors) assert.ok(e instanceof DeliveryError && !e.permanent);
  const deadline = new AbortController();
  const stopped = processor.stop!(deadline.signal);
  deadline.abort();
  await stopped;
  await stop();
});

test('an impatient batch that is refused is dropped, logged, counted and settled as lost', async (t) => {
  const from = new TestSource(false);
  const { processor, lines, value, stop } = await start(t, { timeout: '0s' }, () => {
    throw retryable('queue is full');
  });
  await processor.consume(from.logs(bodies(2)));
  await settled();
  assert.deepEqual([...from.ledger.snapshot().lostBy.keys()], ['refused']);
  assert.equal(from.ledger.snapshot().lost.records, 2);
  assert.deepEqual(
    lines.map((l) => [l.level, l.message]),
    [['error', 'Sender failed']],
  );
  assert.equal(value('sluice_processor_batch_dropped_items', 'processor=batch'), 2);
  await stop();
});

test('a patient batch that is refused is sent again until it is taken', async (t) => {
  const from = new TestSource(true);
  const { processor, sink, pass, stop } = await start(t, { timeout: '0s' }, (b, call) => {
    if (call < 3) throw retryable('busy');
    settleBatch(b, DELIVERED);
  });
  await processor.consume(from.logs(bodies(2)));
  for (let i = 0; i < 5; i++) {
    await settled();
    await pass(5000);
  }
  assert.equal(sink.calls, 4);
  assert.equal(from.ledger.snapshot().delivered.records, 2);
  await stop();
});

test('a patient batch that must not be retried is lost', async (t) => {
  const from = new TestSource(true);
  const { processor, stop } = await start(t, { timeout: '0s' }, () => {
    throw permanent('bad');
  });
  await processor.consume(from.logs(bodies(2)));
  await settled();
  assert.deepEqual([...from.ledger.snapshot().lostBy.keys()], ['rejected']);
  await stop();
});

test('stopping sends what is left; a patient batch that is refused then stays unsettled', async (t) => {
  const from = new TestSource(true);
  const { processor, sink, stop } = await start(t, { timeout: '1h' }, (b) => {
    if (b.count === 1) throw retryable('busy');
    settleBatch(b, DELIVERED);
  });
  await processor.consume(from.logs(bodies(3)));
  await stop();
  assert.deepEqual(sink.counts(), [3]);
  await assert.rejects(processor.consume(from.logs(bodies(1))), /shut down/);
  assert.equal(from.ledger.snapshot().inFlight.records, 1);
});

test('metadata_keys keep combinations apart, up to a limit', async (t) => {
  const { processor, sink, pass, value, stop } = await start(t, {
    metadata_keys: ['Tenant'],
    metadata_cardinality_limit: 2,
  });
  const of = (tenant: string): Batch['metadata'] =>
    new Map([
      ['tenant', [tenant]],
      ['other', ['x']],
    ]);
  await processor.consume(source.logs(bodies(1), of('a')));
  await processor.consume(source.logs(bodies(2), of('b')));
  await processor.consume(source.logs(bodies(3), of('a')));
  await assert.rejects(processor.consume(source.logs(bodies(1), of('c'))), (e) => {
    assert.ok(e instanceof DeliveryError && e.permanent);
    assert.equal(e.message, 'too many batcher metadata-value combinations');
    return true;
  });
  assert.equal(value('otelcol_processor_batch_metadata_cardinality'), 2);
  await pass(200);
  assert.deepEqual(
    sink.batches.map((b) => [b.count, b.metadata]),
    [
      [4, new Map([['tenant', ['a']]])],
      [2, new Map([['tenant', ['b']]])],
    ],
  );
  await stop();
});

test('sends are counted by what triggered them', async (t) => {
  const { processor, pass, value, stop } = await start(t, { send_batch_size: 5 });
  await processor.consume(source.logs(bodies(5)));
  await processor.consume(source.logs(bodies(1)));
  await pass(200);
  assert.equal(value('otelcol_processor_batch_batch_size_trigger_send', 'processor=batch'), 1);
  assert.equal(value('otelcol_processor_batch_timeout_trigger_send'), 1);
  assert.equal(value('otelcol_processor_batch_batch_send_size'), 2);
  await stop();
});

test('whatever arrives in whatever pieces leaves once, in order, within the maximum', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 0, max: 10 }),
      async (arrivals, size, extra) => {
        const from = new TestSource(true);
        const around = componentContext('batch', 'processor');
        const max = extra === 0 ? 0 : size + extra;
        const sink = collector((b) => settleBatch(b, DELIVERED));
        const processor = (await create(schema.parse({ send_batch_size: size, send_batch_max_size: max }), {
          ...around.context,
          signal: 'logs',
          pipelineId: 'logs',
          next: sink.consumer,
        })) as Processor;
        for (const n of arrivals) await processor.consume(from.logs(bodies(n)));
        await processor.stop!(new AbortController().signal);
        const total = arrivals.reduce((a, b) => a + b, 0);
        assert.equal(from.ledger.snapshot().delivered.records, total);
        assert.equal(
          sink.counts().reduce((a, b) => a + b, 0),
          total,
        );
        if (max > 0) for (const n of sink.counts()) assert.ok(n <= max);
        assert.deepEqual(from.ledger.snapshot().inFlight, { records: 0, bytes: 0 });
      },
    ),
    { numRuns: 50 },
  );
});

const refused: [object, RegExp][] = [
  [
    { send_batch_size: 100, send_batch_max_size: 10 },
    /send_batch_max_size must be greater or equal to send_batch_size/,
  ],
  [{ timeout: '-1s' }, /timeout must be greater or equal to 0/],
  [{ metadata_keys: ['a', 'A'] }, /duplicate entry in metadata_keys: "a" \(case-insensitive\)/],
  [{ nope: 1 }, /nope/],
];
for (const [config, message] of refused)
  test(`configuration ${JSON.stringify(config)} is refused`, () => {
    const result = schema.safeParse(config);
    assert.ok(!result.success);
    assert.match(result.error.issues.map((i) => i.message).join('\n'), message);
  });
