import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../../test/helpers/property.ts';
import { encodingOf } from './encoding.ts';
import { bytePattern } from './pattern.ts';
import { makeSplitter, windowChanged } from './splitter.ts';

const utf8 = encodingOf('utf-8')!;
const base = { encoding: utf8, lineStartPattern: '', lineEndPattern: '', omitPattern: false };

/** Records of the text, then the unfinished rest in angle brackets. */
function split(options: Partial<Parameters<typeof makeSplitter>[0]>, text: string | Buffer, more = false): string[] {
  const s = makeSplitter({ ...base, ...options });
  const buf = Buffer.from(text as string);
  const out: string[] = [];
  let p = 0;
  windowChanged(s);
  while (p < buf.length && s.next(buf, p, buf.length, more)) {
    out.push(buf.toString('latin1', s.tokenStart, s.tokenEnd));
    assert.ok(s.after > p, 'a record takes bytes');
    p = s.after;
  }
  if (p < buf.length) out.push(`<${buf.toString('latin1', p)}>`);
  return out;
}

const cases: [string, Partial<Parameters<typeof makeSplitter>[0]>, string, string[]][] = [
  ['lines end at \\n, with one \\r before it', {}, 'a\r\nb\r\r\n\nc', ['a', 'b\r', '', '<c>']],
  [
    'a record runs from one start to the next',
    { lineStartPattern: '^#' },
    'x\n#1 a\nb\n#2\n',
    ['x\n', '#1 a\nb\n', '<#2\n>'],
  ],
  ['a start can be left out', { lineStartPattern: '^#', omitPattern: true }, '#1\n#2\n#3', ['1\n', '2\n', '<#3>']],
  ['the next start begins behind the end of the first', { lineStartPattern: 'aa' }, 'aaaaab', ['aa', '<aaab>']],
  ['a record ends with the end pattern', { lineEndPattern: ';' }, 'a;b;c', ['a;', 'b;', '<c>']],
  ['an end can be left out', { lineEndPattern: ';', omitPattern: true }, 'a;b;c', ['a', 'b', '<c>']],
  ['bytes beyond ASCII in a pattern', { lineStartPattern: '^é' }, '\u00e91\n\u00e92\n', ['Ã©1\n', '<Ã©2\n>']],
];
for (const [name, options, text, expected] of cases)
  test(`splitter: ${name}`, () => {
    assert.deepEqual(split(options, text), expected);
  });

test('splitter: an end at the edge of the window waits when there is more', () => {
  assert.deepEqual(split({ lineEndPattern: ';\n?' }, 'a;', true), ['<a;>']);
  assert.deepEqual(split({ lineEndPattern: ';\n?' }, 'a;\nbc', true), ['a;\n', '<bc>']);
});

test('splitter: nop takes everything at the end of the file', () => {
  assert.deepEqual(split({ encoding: encodingOf('nop')! }, 'a\nb'), ['a\nb']);
  assert.deepEqual(split({ encoding: encodingOf('nop')! }, 'a\nb', true), ['<a\nb>']);
});

test('splitter: lines of UTF-16 end at whole units only', () => {
  for (const [name, big] of [
    ['utf-16le', false],
    ['utf-16be', true],
  ] as const) {
    // U+0A0A and U+010A hold the byte of a line feed.
    const text = Buffer.from('a\u0a0a\u010ab\r\nc\n', 'utf16le');
    if (big) text.swap16();
    const encoding = encodingOf(name)!;
    const s = makeSplitter({ ...base, encoding });
    const out: string[] = [];
    for (let p = 0; p < text.length && s.next(text, p, text.length, false); p = s.after)
      out.push(encoding.decode(text, s.tokenStart, s.tokenEnd)!.toString());
    assert.deepEqual(out, ['a\u0a0a\u010ab', 'c']);
  }
});

test('splitter: what it cuts puts together to the whole text', () => {
  const options = fc.constantFrom({}, { lineStartPattern: '^a' }, { lineEndPattern: 'b' }, { lineStartPattern: 'a|b' });
  fc.assert(
    fc.property(
      options,
      fc.array(fc.constantFrom('a', 'b', '\n', 'é', ' ')).map((a) => a.join('')),
      (o, text) => {
        const s = makeSplitter({ ...base, ...o });
        const buf = Buffer.from(text);
        let p = 0;
        windowChanged(s);
        while (p < buf.length && s.next(buf, p, buf.length, false)) {
          assert.ok(s.tokenStart >= p && s.tokenEnd <= s.after && s.after <= buf.length && s.after > p);
          p = s.after;
        }
      },
    ),
  );
});

test('patterns of Go are read as Go reads them', () => {
  const all: [string, string, string[]][] = [
    ['(?P<x>a)', 'ba', ['a']],
    ['(?i)abc', 'xABC', ['ABC']],
    ['[[:digit:]]+', 'a12', ['12']],
    ['\\Qa.b\\E', 'axb a.b', ['a.b']],
    ['^\\d{2}$', 'x\n12\n', ['12']],
    ['[]a]', 'x]', [']']],
  ];
  for (const [pattern, text, expected] of all) assert.deepEqual(text.match(bytePattern(pattern)), expected, pattern);
});
