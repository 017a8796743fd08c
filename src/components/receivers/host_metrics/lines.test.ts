import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from '../../../../test/helpers/property.ts';
import { Lines } from './lines.ts';

const of = (text: string): Lines => new Lines(Buffer.from(text));

describe('lines of /proc files', () => {
  it('walks lines and fields, with or without a line end at the end', () => {
    const line = of('cpu0 1 22\n\n a\tb ');
    assert.ok(line.next() && line.take('cpu'));
    assert.deepEqual([line.number(), line.number(), line.number(), line.number()], [0, 1, 22, Number.NaN]);
    assert.ok(line.next() && !line.more());
    assert.ok(line.next());
    assert.deepEqual([line.word(), line.word(), line.word()], ['a', 'b', '']);
    assert.equal(line.next(), false);
  });

  const numbers: readonly [string, number][] = [
    ['7', 7],
    ['-1', -1],
    ['  42 x', 42],
    ['', Number.NaN],
    ['-', Number.NaN],
    ['x1', Number.NaN],
    ['12abc', Number.NaN],
    ['1.5', Number.NaN],
    ['9'.repeat(400), Number.NaN],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['18446744073709551615', 2 ** 64],
  ];
  for (const [text, want] of numbers)
    it(`reads ${JSON.stringify(text)} as ${want}`, () => {
      const line = of(text);
      line.next();
      assert.equal(line.number(), want);
    });

  it('goes on behind a field that is no number', () => {
    for (const bad of ['12abc', '9'.repeat(400)]) {
      const line = of(`${bad} 7`);
      line.next();
      assert.deepEqual([line.number(), line.number()], [Number.NaN, 7]);
    }
  });

  it('takes a prefix only when it is there', () => {
    const line = of('MemTotal: 5');
    line.next();
    assert.equal(line.take('MemTotal::'), false);
    assert.equal(line.take('MemTotal: 5 and more'), false);
    assert.equal(line.take('MemTotal:'), true);
    assert.equal(line.rest(), ' 5');
  });

  it('sees the same fields as splitting does, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '7', ' ', '\t', '\n', '-', 'é') }), (text) => {
        const seen: string[][] = [];
        const line = of(text);
        while (line.next()) {
          const words: string[] = [];
          for (let word = line.word(); word !== ''; word = line.word()) words.push(word);
          seen.push(words);
        }
        const want = text.split('\n').map((l) => l.split(/[ \t]+/).filter((w) => w !== ''));
        if (text === '' || text.endsWith('\n')) want.pop();
        assert.deepEqual(seen, want);
      }),
    );
  });
});
