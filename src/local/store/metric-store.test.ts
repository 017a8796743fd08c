import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import { ProtoWriter } from '../../wire/proto.ts';
import { encodeHistogram, encodeMetadata } from '../../wire/remote-write.ts';
import { TooManySeriesError } from './metric-store.ts';
import { metricStore, metricStoreWith, type SentSeries, writeRequest } from './metric-testing.ts';
import { decodeWriteRequest, RemoteWriteError } from './remote-write.ts';

const NOW = Date.UTC(2026, 10, 1, 12);
const samplesOf = (store: ReturnType<typeof metricStore>, id: number) => [...store.samples(id, 0, NOW + 1e9)];

test('a request is read into series with sorted labels; values keep their kind', () => {
  const body = Buffer.concat([
    encodeMetadata({ type: 2, family: 'up', help: 'Is it?', unit: '' }),
    writeRequest([
      {
        name: 'up',
        labels: { z: '1', a: '', b: 'ü"' },
        samples: [
          [NOW, 1.5],
          [NOW + 1, Number.NaN],
          [NOW + 2, 'end'],
        ],
      },
      { name: 'none', samples: [] },
      { name: 'big', samples: [[NOW, Number.NEGATIVE_INFINITY]] },
    ]),
  ]);
  assert.deepEqual(decodeWriteRequest(body), [
    {
      name: 'up',
      labels: '[["__name__","up"],["b","ü\\""],["z","1"]]',
      samples: [
        { timeMs: NOW, value: 1.5 },
        { timeMs: NOW + 1, value: Number.NaN },
        { timeMs: NOW + 2, value: undefined },
      ],
    },
    {
      name: 'big',
      labels: '[["__name__","big"]]',
      samples: [{ timeMs: NOW, value: Number.NEGATIVE_INFINITY }],
    },
  ]);
  const store = metricStore();
  store.insert(decodeWriteRequest(body), NOW);
  const ids = [...store.series()].map((s) => s.id);
  assert.deepEqual(
    ids.map((id) => samplesOf(store, id).map((s) => s.value)),
    [[1.5, Number.NaN, undefined], [Number.NEGATIVE_INFINITY]],
  );
  assert.deepEqual(store.names(), ['big', 'up']);
  assert.equal(store.accepted, 4);
  store.close();
});

test('what has no place is refused, and then nothing of the request is kept', () => {
  const good: SentSeries = { name: 'good', samples: [[NOW, 1]] };
  const table: [string, SentSeries, RegExp][] = [
    ['no name', { labels: { a: 'b' }, samples: [[NOW, 1]] }, /no __name__/],
    ['an empty name', { name: '', samples: [[NOW, 1]] }, /no __name__/],
    ['a label without a name', { name: 'x', labels: { '': 'y' }, samples: [[NOW, 1]] }, /label has no name/],
    ['long labels', { name: 'x', labels: { a: 'y'.repeat(9000) }, samples: [[NOW, 1]] }, /longer than 8192/],
    ['old samples', { name: 'x', samples: [[NOW - 3_600_001, 1]] }, /out of bounds: x has a sample of 2026-11-01T10/],
    ['samples of the future', { name: 'x', samples: [[NOW + 3_600_000, 1]] }, /out of bounds/],
    ['samples of before time', { name: 'x', samples: [[-1e17, 1]] }, /out of bounds: x has a sample of -1\d+ ms/],
  ];
  const store = metricStore();
  const insert = (list: SentSeries[]) => store.insert(decodeWriteRequest(writeRequest(list)), NOW);
  for (const [name, bad, words] of table) {
    assert.throws(
      () => insert([good, bad]),
      (e: Error) => e instanceof RemoteWriteError && words.test(e.message),
      name,
    );
    assert.deepEqual([store.accepted, store.kept, store.seriesCount, store.names()], [0, 0, 0, []], name);
  }
  // The content of a series, behind its tag and length.
  const content = writeRequest([good]).subarray(2);
  const none = { spans: [], deltas: [] };
  const histogram = encodeHistogram(
    {
      ...{ count: 0n, sumBits: 0n, schema: 0, zeroThreshold: 0, zeroCount: 0n, negative: none, positive: none },
      ...{ customValues: [], timeMs: NOW, startMs: 0 },
    },
    1,
  );
  for (const [bytes, words] of [
    [Buffer.concat([content, histogram]), /native histograms are not supported/],
    [Buffer.concat([content, content]), /label "__name__" is there twice/],
  ] as const) {
    const w = new ProtoWriter(64);
    w.bytes(1, bytes);
    assert.throws(() => decodeWriteRequest(w.finish()), words);
  }
  insert([good]);
  assert.equal(store.kept, 1);
  store.close();
});

test('any bytes are a request or an error of the sender', () => {
  const whole = writeRequest([
    {
      name: 'x',
      labels: { a: 'b' },
      samples: [
        [NOW, 1],
        [NOW + 1, 2],
      ],
    },
  ]);
  const broken = fc
    .tuple(fc.nat(whole.length), fc.uint8Array({ maxLength: 8 }), fc.nat(whole.length))
    .map(([at, put, to]) => Buffer.concat([whole.subarray(0, at), put, whole.subarray(to)]));
  const store = metricStore();
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), broken), (body) => {
      try {
        store.insert(decodeWriteRequest(body), NOW);
      } catch (e) {
        assert.match((e as Error).constructor.name, /^(ProtoError|RemoteWriteError)$/, String(e));
      }
      assert.equal(
        [...store.series()].reduce((n, s) => n + samplesOf(store, s.id).length, 0),
        store.kept,
      );
    }),
    { numRuns: 500 },
  );
  store.close();
});

test('a sample that comes again is counted, and the later value stays', () => {
  const store = metricStoreWith(
    [
      {
        name: 'x',
        samples: [
          [NOW, 1],
          [NOW, 2],
        ],
      },
    ],
    NOW,
  );
  store.insert(decodeWriteRequest(writeRequest([{ name: 'x', samples: [[NOW, 3]] }])), NOW);
  assert.deepEqual([store.accepted, store.repeated, store.kept, store.seriesCount], [3, 2, 1, 1]);
  assert.deepEqual(samplesOf(store, 1), [{ timeMs: NOW, value: 3 }]);
  store.close();
});

test('series, samples and age are bounded, and what is gone makes room', () => {
  const store = metricStore({ maxSamples: 1000, maxSeries: 3, maxAgeMs: 600_000 });
  const insert = (name: string, timeMs: number) =>
    store.insert(decodeWriteRequest(writeRequest([{ name, samples: [[timeMs, 1]] }])), timeMs);
  for (const name of ['a', 'b', 'c']) insert(name, NOW - 400_000);
  assert.throws(() => insert('d', NOW), TooManySeriesError);
  for (let i = 0; i < 3000; i++) insert('a', NOW - 300_000 + i * 100);
  assert.ok(store.kept <= 1000 && store.kept >= 850, `${store.kept}`);
  assert.deepEqual([store.seriesCount, store.names()], [1, ['a']]);
  const left = samplesOf(store, 1);
  assert.equal(left.length, store.kept);
  assert.equal(left.at(-1)!.timeMs, NOW - 100);
  insert('d', NOW);
  store.expire(NOW + 590_000);
  assert.ok(samplesOf(store, 1).every((s) => s.timeMs >= NOW - 10_000));
  store.expire(NOW + 700_000);
  assert.deepEqual([store.kept, store.seriesCount, [...store.series()]], [0, 0, []]);
  assert.equal(store.accepted, 3004);
  // One burst, larger than all there is room for, does not stay either.
  const burst: SentSeries = { name: 'a', samples: Array.from({ length: 2500 }, (_, i) => [NOW + i, i] as const) };
  store.insert(decodeWriteRequest(writeRequest([burst])), NOW);
  assert.ok(store.kept <= 1000, `${store.kept}`);
  store.close();
});
