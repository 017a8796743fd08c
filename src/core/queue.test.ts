import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeRequest } from '../wire/otlp-request.ts';
import { ProtoWriter } from '../wire/proto.ts';
import { type Ack, type Batch, makeBatch, type Outcome } from './batch.ts';
import { SYSTEM_CLOCK } from './clock.ts';
import type { Exporter, ExporterContext } from './component.ts';
import { ConfigError, type DeliveryError, messageOf, permanent, retryable } from './errors.ts';
import type { Logger } from './log.ts';
import { createDelivery } from './queue.ts';
import { decodeMetadata, encodeMetadata } from './queue-persistent.ts';
import type { Prepare } from './queue-sender.ts';
import { EMPTY_RESOURCE, EMPTY_SCOPE } from './resource.ts';
import { retryOnFailure, sendingQueue } from './schema.ts';
import { type StorageClient, StorageFullError, type StorageOp } from './storage.ts';
import { TelemetryRegistry } from './telemetry.ts';

/** Keeps everything in a map; `maxBytes` makes it full. */
class MemoryStorage implements StorageClient {
  readonly entries = new Map<string, Uint8Array>();
  maxBytes = Number.POSITIVE_INFINITY;
  get(key: string) {
    return this.entries.get(key);
  }
  set(key: string, value: Uint8Array) {
    this.batch([{ op: 'set', key, value }]);
  }
  delete(key: string) {
    this.entries.delete(key);
  }
  batch(ops: readonly StorageOp[]) {
    let size = 0;
    for (const v of this.entries.values()) size += v.length;
    for (const op of ops) if (op.op === 'set') size += op.value.length;
    if (size > this.maxBytes && ops.some((o) => o.op === 'set' && o.key !== 'qmv0'))
      throw new StorageFullError('database is full');
    for (const op of ops) op.op === 'set' ? this.entries.set(op.key, op.value.slice()) : this.entries.delete(op.key);
  }
  walk() {}
  close() {}
}

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

function context(storage?: StorageClient, lines: Line[] = []) {
  const telemetry = new TelemetryRegistry();
  const at =
    (level: string) =>
    (message: string, fields = {}) =>
      void lines.push({ level, message, fields });
  const log: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    enabled: () => true,
    with: () => log,
  };
  const ctx: ExporterContext = {
    id: 'otlp_http/x',
    kind: 'exporter',
    signal: 'logs',
    log,
    telemetry,
    clock: SYSTEM_CLOCK,
    host: {
      extension: (id) =>
        id === 'file_storage' && storage ? { client: async () => storage } : id === 'other' ? {} : undefined,
      fatal() {},
      shared: (_k, make) => make(),
      addLedger() {},
    },
    build: { command: 'sluice', description: 'Sluice', version: '0' },
  };
  const value = (name: string) =>
    [...(telemetry.families.get(name)?.series.values() ?? [])].reduce((n, s) => n + (s.read?.() ?? s.value), 0);
  return { ctx, lines, value };
}

/** Counts what it is told, by kind and reason. */
class TestAck implements Ack {
  readonly patient: boolean;
  readonly told = new Map<string, number>();
  records = 0;
  bytes = 0;
  constructor(patient: boolean) {
    this.patient = patient;
  }
  settle(records: number, bytes: number, outcome: Outcome) {
    this.records += records;
    this.bytes += bytes;
    const key = 'reason' in outcome ? `${outcome.kind}: ${outcome.reason}` : outcome.kind;
    this.told.set(key, (this.told.get(key) ?? 0) + records);
  }
}

/** Records whose bodies are the names, all of one acknowledgement. */
function batchOf(names: readonly string[], ack?: Ack): Batch {
  const w = new ProtoWriter();
  for (const n of names) {
    const at = w.open(2);
    w.string(3, n);
    w.close(at);
  }
  const parts = ack ? [{ ack, records: names.length, bytes: names.length * 10 }] : [];
  return makeBatch('logs', [
    {
      resource: EMPTY_RESOURCE,
      scope: EMPTY_SCOPE,
      items: w.finish(),
      messages: names.length,
      count: names.length,
      parts,
    },
  ]);
}

const namesOf = (batch: Batch): string[] =>
  batch.groups.flatMap((g) => {
    const names: string[] = [];
    for (let at = 0; at < g.items.length; at += 2 + g.items[at + 1]!)
      names.push(Buffer.from(g.items.subarray(at + 4, at + 2 + g.items[at + 1]!)).toString());
    return names;
  });

const FAST = { initial_interval: '1ms', max_interval: '2ms' };
const retry = (more: object = {}) => retryOnFailure().parse({ ...FAST, ...more });
const queue = (more: object = {}) => sendingQueue().parse(more);

/** A deadline that never comes. */
const GENEROUS = new AbortController().signal;

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 5000) throw new Error('waited in vain');
    await new Promise((r) => setTimeout(r, 2));
  }
}

/** A destination whose answers a test decides, one call at a time. */
function scripted(answer: (names: string[], n: number) => unknown) {
  const calls: string[][] = [];
  const prepare: Prepare = (batch) => {
    const names = namesOf(batch);
    return async () => {
      calls.push(names);
      const r = await answer(names, calls.length);
      if (r instanceof Error) throw r;
      return { rejected: typeof r === 'number' ? r : 0 };
    };
  };
  return { calls, prepare };
}

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
  const ack = new TestAck(true);
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

test('a full store refuses who cannot wait, and holds who can until there is space', async () => {
  const storage = new MemoryStorage();
  storage.maxBytes = 5;
  const { ctx } = context(storage);
  const d = scripted(() => undefined);
  const e = createDelivery({ ctx, queue: queue({ storage: 'file_storage' }), retry: retry(), prepare: d.prepare });
  await e.start?.();
  await assert.rejects(e.consume(batchOf(['a'])), /sending queue storage is full/);
  const ack = new TestAck(true);
  const waiting = e.consume(batchOf(['b'], ack));
  storage.maxBytes = 1e6;
  await waiting;
  assert.deepEqual([...ack.told], [['queued', 1]]);
  await until(() => d.calls.length === 1);
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
          else if (config.storage) assert.deepEqual([...ack.told], [['queued', b.n]]);
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
          if ((await results[i]) === 'accepted')
            for (let k = 0; k < b.n; k++) assert.ok(known.has(`${i}.${k}`), `${i}.${k} was queued and never sent`);
      },
    ),
    { numRuns: 300, endOnFailure: true },
  );
});
