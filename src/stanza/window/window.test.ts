import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import { DELIVERED, settleBatch } from '../../core/batch.ts';
import type { Clock } from '../../core/clock.ts';
import { Ledger } from '../../core/ledger.ts';
import { putNanos, putSeconds } from '../../wire/nanos.ts';
import { type LogRecord, logRecords } from '../../wire/otlp-logs.ts';
import type { Token } from '../program.ts';
import { LogsSink } from '../sink.ts';
import { Holds, Range, type Source } from '../source.ts';
import { containerWindow } from './container.ts';
import { plainWindow } from './plain.ts';
import type { Window } from './record.ts';

const PATH = '/var/log/pods/shop_cart-7d9c_0b1c2d3e-aaaa-bbbb-cccc-0123456789ab/cart/2.log';

class FakeClock implements Clock {
  ms = 1_780_000_000_123;
  nowMs = () => this.ms;
  nowUnixNano = () => BigInt(this.ms) * 1_000_000n;
  monotonicMs = () => this.ms;
}

function sourceAt(path = PATH): Source {
  const ledger = new Ledger();
  return {
    path,
    attributes: new Map([['log.file.path', path]]),
    resource: new Map(),
    ledger,
    holds: new Holds(),
    range: new Range(0, ledger, () => {}),
    memo: undefined,
  };
}

/** Feeds `data` in pieces of the given sizes, as a reader does, and returns the records in order. */
function feed(window: Window, sink: LogsSink, source: Source, data: Buffer, sizes: readonly number[]): LogRecord[] {
  const out: LogRecord[] = [];
  const drain = () => {
    sink.seal();
    for (const b of sink.takeReady()) {
      for (const g of b.groups) out.push(...logRecords(g.items));
      settleBatch(b, DELIVERED);
    }
  };
  let from = 0;
  let to = 0;
  let i = 0;
  while (to < data.length) {
    to = Math.min(data.length, to + (sizes[i++ % sizes.length] ?? 1));
    for (;;) {
      const took = window(source, data, from, to, from);
      source.ledger.read(0, took);
      from += took;
      if (!sink.hasReady) break;
      drain();
    }
  }
  drain();
  return out;
}

function container(options: Partial<Parameters<typeof containerWindow>[0]> = {}) {
  const sink = new LogsSink();
  const clock = new FakeClock();
  const odd: Token[] = [];
  const made = containerWindow(
    { format: '', addMetadataFromFilepath: true, maxLogSize: 1 << 20, flushAfterMs: 5000, ...options },
    {
      sink,
      clock,
      fallback: (source, token) => {
        odd.push(token);
        source.range.add(1);
        source.range.settle(1, token.bytes, { kind: 'filtered', reason: 'test' });
      },
    },
  );
  return { sink, clock, odd, ...made };
}

test('times are written exactly, before 1970 and far after', () => {
  const buf = Buffer.alloc(8);
  fc.assert(
    fc.property(
      fc.integer({ min: -62135596800, max: 253402300799 }),
      fc.integer({ min: 0, max: 999_999_999 }),
      (s, n) => {
        putSeconds(buf, 0, s, n);
        assert.equal(buf.readBigInt64LE(0), BigInt.asIntN(64, BigInt(s) * 1_000_000_000n + BigInt(n)));
      },
    ),
  );
  putNanos(buf, 0, 1_780_000_000_123);
  assert.equal(buf.readBigUInt64LE(0), 1_780_000_000_123_000_000n);
});

test('a container line becomes a record with time, stream, tag and the resource of its path', () => {
  const c = container();
  const source = sourceAt();
  const [r] = feed(c.window, c.sink, source, Buffer.from('2026-11-01T10:00:00.123456789Z stderr F  hello \n'), [1000]);
  assert.equal(r!.time, BigInt(Date.UTC(2026, 10, 1, 10)) * 1_000_000n + 123456789n);
  assert.equal(r!.body, ' hello');
  assert.deepEqual(Object.fromEntries(r!.attributes), { 'log.file.path': PATH, 'log.iostream': 'stderr', logtag: 'F' });
  assert.equal(r!.observedTime, 1_780_000_000_123_000_000n);
});

test('zones, short fractions and no fraction are understood; anything odd goes the general way', () => {
  const c = container();
  const source = sourceAt();
  const good = [
    '2026-11-01T12:00:00.5+02:00 stdout F a',
    '2026-11-01T10:00:00.5Z stdout F a',
    '2026-11-01T04:30:00.500000000-05:30 stdout F a',
  ];
  const odd = [
    '{"log":"x\\n","stream":"stdout","time":"2026-11-01T10:00:00Z"}',
    '2026-13-01T10:00:00.5Z stdout F a',
    '2026-02-30T10:00:00.5Z stdout F a',
    '2026-11-01T10:00:00.1234567891Z stdout F a',
    '2026-11-01T10:00:00.Z stdout F a',
    '2026-11-01T10:00:00.5Z stdin F aaaaaa',
    '2026-11-01T10:00:00.5Z stdout F:x a',
    '2026-11-01T10:00:00.5 stdout F a aaaaa',
    'plain text that is long enough to be one',
    'short',
  ];
  const records = feed(c.window, c.sink, source, Buffer.from(`${[...good, ...odd].join('\n')}\n`), [1000]);
  assert.deepEqual(
    records.map((r) => r.time),
    [0, 1, 2].map(() => BigInt(Date.UTC(2026, 10, 1, 10)) * 1_000_000n + 500_000_000n),
  );
  assert.deepEqual(
    c.odd.map((t) => t.buf.toString('utf8', t.start, t.end)),
    odd,
  );
});

test('parts are joined per stream, trimmed like any line, and hold the offset back', () => {
  const c = container();
  const source = sourceAt();
  const text = [
    '2026-11-01T10:00:00.1Z stdout P one ',
    '2026-11-01T10:00:00.2Z stderr P err-',
    '2026-11-01T10:00:00.3Z stdout P  two',
    '2026-11-01T10:00:00.4Z stderr F end ',
    '2026-11-01T10:00:00.5Z stdout F ',
    '',
  ].join('\n');
  const lines = Buffer.from(text);
  const upToSeam = text.indexOf('2026-11-01T10:00:00.4');
  assert.deepEqual(feed(c.window, c.sink, source, lines.subarray(0, upToSeam), [1000]), []);
  assert.equal(source.holds.lowest, 0);
  const records = feed(c.window, c.sink, source, lines.subarray(upToSeam), [1000]);
  assert.deepEqual(
    records.map((r) => [
      r.body,
      r.attributes.get('logtag'),
      r.attributes.get('log.iostream'),
      Number(r.time % 1_000_000_000n),
    ]),
    [
      ['err-end', 'P', 'stderr', 200_000_000],
      ['one two', 'P', 'stdout', 100_000_000],
    ],
  );
  assert.equal(source.holds.size, 0);
  const s = source.ledger.snapshot();
  assert.deepEqual(
    [s.read, s.delivered],
    [
      { records: 2, bytes: lines.length },
      { records: 2, bytes: lines.length },
    ],
  );
});

test('an unfinished line is emitted after the flush period, and at once when it grows too long', () => {
  const c = container({ maxLogSize: 10 });
  const source = sourceAt();
  feed(c.window, c.sink, source, Buffer.from('2026-11-01T10:00:00.1Z stdout P abc\n'), [1000]);
  c.clock.ms += 4999;
  c.flush(false);
  c.sink.seal();
  assert.equal(c.sink.hasReady, false);
  c.clock.ms += 1;
  c.flush(false);
  c.sink.seal();
  const [b] = c.sink.takeReady();
  assert.deepEqual(
    [...logRecords(b!.groups[0]!.items)].map((r) => r.body),
    ['abc'],
  );
  settleBatch(b!, DELIVERED);
  const long = feed(c.window, c.sink, source, Buffer.from('2026-11-01T10:00:00.1Z stdout P 01234567890\n'), [1000]);
  assert.deepEqual(
    long.map((r) => r.body),
    ['01234567890'],
  );
  assert.equal(source.holds.size, 0);
});

test('a line goes on in the next file of the same path, and both files wait for it', () => {
  const c = container();
  const first = sourceAt();
  const second = sourceAt();
  const head = Buffer.from('2026-11-01T10:00:00.1Z stdout P one,\n');
  const tail = Buffer.from('2026-11-01T10:00:00.2Z stdout F two\n2026-11-01T10:00:00.3Z stdout F three\n');
  assert.deepEqual(feed(c.window, c.sink, first, head, [1000]), []);
  c.forget(first);
  assert.equal(first.holds.size, 1);
  const done: string[] = [];
  first.range = new Range(0, first.ledger, () => done.push('first'));
  second.range = new Range(0, second.ledger, () => done.push('second'));
  const took = c.window(second, tail, 0, tail.length, 0);
  second.ledger.read(0, took);
  first.range.close(head.length);
  second.range.close(tail.length);
  c.sink.seal();
  const [batch] = c.sink.takeReady();
  assert.deepEqual(
    batch!.groups.flatMap((g) => [...logRecords(g.items)].map((r) => r.body)),
    ['one,two', 'three'],
  );
  assert.deepEqual(done, []);
  settleBatch(batch!, DELIVERED);
  assert.deepEqual(done.sort(), ['first', 'second']);
  for (const source of [first, second]) assert.deepEqual(source.ledger.snapshot().inFlight, { records: 0, bytes: 0 });
  assert.equal(first.holds.size, 0);
});

test('lines of a path that names no pod all go the general way', () => {
  const c = container();
  feed(c.window, c.sink, sourceAt('/tmp/x.log'), Buffer.from('2026-11-01T10:00:00.1Z stdout F abc\n'), [1000]);
  assert.equal(c.odd.length, 1);
});

test('whatever the bytes and however they are cut: text as decoding gives it, every byte accounted for', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc
      .constantFrom(
        '2026-11-01T10:00:00.1Z stdout F ',
        '2026-11-01T10:00:00.1Z stderr P ',
        '\n',
        ' ',
        '\r\n',
        'é',
        '\u2028',
        'x'.repeat(300),
      )
      .map((s) => new Uint8Array(Buffer.from(s))),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 60 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 5 }),
      (pieces, sizes) => {
        const data = Buffer.concat([...pieces, Buffer.from('\n')]);
        const sink = new LogsSink();
        const plain = sourceAt();
        const got = feed(plainWindow({ sink, clock: new FakeClock() }), sink, plain, data, sizes);
        const want: string[] = [];
        let at = 0;
        for (let nl = data.indexOf(10); nl >= 0; nl = data.indexOf(10, at)) {
          let a = at;
          let b = nl;
          while (a < b && ' \t\r'.includes(String.fromCharCode(data[a]!))) a++;
          while (b > a && ' \t\r'.includes(String.fromCharCode(data[b - 1]!))) b--;
          if (a < b) want.push(new TextDecoder('utf-8', { ignoreBOM: true }).decode(data.subarray(a, b)));
          at = nl + 1;
        }
        assert.deepEqual(
          got.map((r) => r.body),
          want,
        );
        assert.deepEqual(plain.ledger.snapshot().inFlight, { records: 0, bytes: 0 });
        assert.equal(plain.ledger.snapshot().read.bytes, data.length);

        const c = container();
        const source = sourceAt();
        const first = feed(c.window, c.sink, source, data, sizes);
        c.flush(true);
        c.sink.seal();
        for (const b of c.sink.takeReady()) settleBatch(b, DELIVERED);
        assert.deepEqual(source.ledger.snapshot().inFlight, { records: 0, bytes: 0 });
        assert.equal(source.holds.size, 0);
        const other = container();
        assert.deepEqual(
          feed(other.window, other.sink, sourceAt(), data, [data.length]).map((r) => r.body),
          first.map((r) => r.body),
        );
      },
    ),
  );
});

test('records larger than a slab, and more than a slab holds, come out whole', () => {
  const sink = new LogsSink();
  const source = sourceAt();
  const window = plainWindow({ sink, clock: new FakeClock() });
  const bodies = [
    'x'.repeat(3_000_000),
    'small',
    ...Array.from({ length: 400 }, (_, i) => `${i}`.repeat(5000)),
    'y'.repeat(1_100_000),
  ];
  const data = Buffer.from(`${bodies.join('\n')}\n`);
  const got = feed(window, sink, source, data, [data.length]);
  assert.deepEqual(
    got.map((r) => r.body),
    bodies,
  );
  assert.equal(sink.unsettledBytes, 0);
});
