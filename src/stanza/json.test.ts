import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { JsonParser } from './json.ts';
import { plain } from './testing.ts';

const parse = (text: string, ints = false): unknown => {
  const v = new JsonParser(ints).parse(text);
  return v === undefined ? undefined : plain(v);
};

test('whatever JSON.parse takes is parsed alike, and nothing else', () => {
  const noise = fc
    .array(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        '"a"',
        '"',
        ':',
        ',',
        '1',
        '-',
        '.',
        'e',
        '0',
        'true',
        'nul',
        'null',
        ' ',
        '\n',
        '\\',
        '\\u00',
        '\t',
      ),
      { maxLength: 14 },
    )
    .map((p) => p.join(''));
  fc.assert(
    fc.property(fc.oneof(fc.json({ maxDepth: 4 }), noise, fc.string()), (text) => {
      let expected: unknown;
      try {
        expected = JSON.parse(text, (_k, v) => (v && typeof v === 'object' && !Array.isArray(v) ? { ...v } : v));
      } catch {
        const p = new JsonParser(false);
        assert.equal(p.parse(text), undefined, text);
        assert.notEqual(p.error, '');
        return;
      }
      if (text.includes('__proto__')) return;
      assert.deepEqual(parse(text), expected, text);
    }),
    { numRuns: 3000 },
  );
});

test('numbers are doubles, or integers where they fit when asked', () => {
  assert.equal(parse('9007199254740993'), 9007199254740992);
  assert.equal(parse('9007199254740993', true), 9007199254740993n);
  assert.equal(parse('-7', true), -7n);
  assert.equal(parse('9223372036854775808', true), 2 ** 63);
  assert.equal(parse('1.0', true), 1);
  assert.equal(parse('1e3', true), 1000);
  assert.equal(parse('1e999'), undefined);
});

test('keys that come twice keep the last value; depth is bounded', () => {
  assert.deepEqual(parse('{"dup":1,"dup":2}'), { dup: 2 });
  assert.notEqual(parse(`${'['.repeat(64)}${']'.repeat(64)}`), undefined);
  const p = new JsonParser(false);
  assert.equal(p.parse(`${'['.repeat(100_000)}`), undefined);
  assert.match(p.error, /max depth/);
});
