import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from '../../../../test/helpers/property.ts';
import { PageError, parsePage } from './text.ts';

const read = (text: string) => parsePage(text, 1000);
const samples = (text: string) =>
  read(text).samples.map((s) => [s.name, Object.fromEntries(s.labels), s.value, s.timeMs] as const);

describe('text format of Prometheus', () => {
  it('has samples with labels, values and times', () => {
    assert.deepEqual(samples('a 1\nb{x="1",y="a b"} 2.5e3 1700000000000\n c { x = "1" , } +Inf\nd{} NaN\ne -Inf\r\n'), [
      ['a', {}, 1, undefined],
      ['b', { x: '1', y: 'a b' }, 2500, 1_700_000_000_000],
      ['c', { x: '1' }, Infinity, undefined],
      ['d', {}, Number.NaN, undefined],
      ['e', {}, -Infinity, undefined],
    ]);
  });
  it('unescapes values of labels', () => {
    assert.deepEqual(samples(String.raw`a{p="C:\\x",q="say \"hi\"",n="1\n2",c="}, {"} 1`), [
      ['a', { p: 'C:\\x', q: 'say "hi"', n: '1\n2', c: '}, {' }, 1, undefined],
    ]);
  });
  it('has names in quotes', () => {
    assert.deepEqual(samples('{"http.server.duration","k8s.pod"="a"} 1'), [
      ['http.server.duration', { 'k8s.pod': 'a' }, 1, undefined],
    ]);
  });
  it('keeps what is said of families', () => {
    const { families } = read(
      '# HELP a What \\\\ it\\n is\n# TYPE a counter\n# UNIT a seconds\n# a remark\n# TYPE b new_type\na 1',
    );
    assert.deepEqual(families.get('a'), { type: 'counter', help: 'What \\ it\n is', unit: 'seconds' });
    assert.equal(families.get('b'), undefined);
  });
  for (const line of [
    'a',
    'a{',
    'a{x} 1',
    'a{x="1" 1',
    'a{x=1} 1',
    'a one',
    'a 1 2 3',
    'a 1 soon',
    '{} 1',
    '!',
    'a{"x"} 1 1.5',
  ])
    it(`refuses ${JSON.stringify(line)}, with its number`, () => {
      assert.throws(
        () => read(`ok 1\n${line}\n`),
        (e) => e instanceof PageError && e.message.startsWith('line 2: '),
      );
    });
  it('refuses more samples than it may keep', () => {
    assert.throws(() => parsePage('a 1\nb 1\nc 1\n', 2), /more than 2 samples/);
  });
  it('reads back any labels and values', () => {
    const escaped = (v: string): string => v.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/),
          fc.string({ unit: 'grapheme' }).filter((v) => !v.includes('\r')),
        ),
        fc.double(),
        (labels, value) => {
          const text = Object.entries(labels)
            .map(([k, v]) => `${k}="${escaped(v)}"`)
            .join(',');
          const number = Number.isNaN(value)
            ? 'NaN'
            : value === Infinity
              ? '+Inf'
              : value === -Infinity
                ? '-Inf'
                : String(value);
          const [sample] = read(`m{${text}} ${number}\n`).samples;
          assert.deepEqual(Object.fromEntries(sample!.labels), { ...labels });
          assert.equal(sample!.value, Object.is(value, -0) ? 0 : value);
        },
      ),
    );
  });
  it('either reads a line or says why not', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          read(text);
        } catch (e) {
          assert.ok(e instanceof PageError, `${e}`);
        }
      }),
    );
  });
});
