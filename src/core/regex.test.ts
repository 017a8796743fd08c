import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuMs } from '../../test/helpers/cpu.ts';
import fc from '../../test/helpers/property.ts';
import { compileRegex, Regex, RegexSyntaxError, tryRegex } from './regex.ts';
import { LinearRegex } from './regex-linear.ts';
import { parseRegex } from './regex-syntax.ts';

const groups = (pattern: string, text: string) => {
  const r = compileRegex(pattern);
  const m = r.exec(text);
  return m && r.groupNames.map((_, i) => m[i] ?? null);
};

/** The same through the linear engine, whatever the expression. */
const linearGroups = (pattern: string, text: string) => {
  const tree = parseRegex(pattern);
  const slots = new LinearRegex(tree).match(text, 0);
  return slots && tree.names.map((_, i) => (slots[i * 2]! < 0 ? null : text.slice(slots[i * 2], slots[i * 2 + 1])));
};

// Expected values are what Go's regexp package gives.
const MATCHES: [pattern: string, text: string, groups: (string | null)[] | undefined][] = [
  ['a|ab', 'ab', ['a']],
  ['(a|ab)(c|bcd)(d*)', 'abcd', ['abcd', 'a', 'bcd', '']],
  ['(a+)(b+)?', 'aac', ['aa', 'aa', null]],
  ['(?:(a)|b)*', 'ab', ['ab', 'a']],
  ['(a*)*', 'b', ['', '']],
  ['(a*)+', 'b', ['', '']],
  ['(a*?)(a*)', 'aa', ['aa', '', 'aa']],
  ['(?U)(a+)(a*)', 'aa', ['a', 'a', '']],
  ['^abc$', 'abc\n', undefined],
  ['(?m)^b$', 'a\nb\nc', ['b']],
  ['a.c', 'a\nc', undefined],
  ['(?s)a.c', 'a\nc', ['a\nc']],
  ['(?i)grüße', 'GRÜßE', ['GRÜßE']],
  ['(?i)k', '\u212a', ['\u212a']],
  ['(?i:a)b', 'Ab', ['Ab']],
  ['(?i:a)b', 'AB', undefined],
  ['\\Aab\\z', 'ab', ['ab']],
  ['\\Qa.b*\\E+', 'a.b***', ['a.b***']],
  ['[[:alpha:]_]+', '1ab_2', ['ab_']],
  ['[[:^digit:]]+', '12ab3', ['ab']],
  ['[^\\d\\s]+', '1 ab', ['ab']],
  ['[]a]+', 'x]a', [']a']],
  ['[a-]+', 'x-a', ['-a']],
  ['\\pL+', '1é☃', ['é']],
  ['\\p{Greek}+', 'abΩψ', ['Ωψ']],
  ['\\P{L}', 'é1', ['1']],
  ['\\x41\\x{1F600}', 'A😀', ['A😀']],
  ['\\101', 'A', ['A']],
  ['.', '😀', ['😀']],
  ['\\bfoo\\b', 'xfoo foo', ['foo']],
  ['\\bé', 'é', undefined],
  ['\\Boo', 'foo', ['oo']],
  ['x{2,3}', 'xxxx', ['xxx']],
  ['x{,2}', 'x{,2}', ['x{,2}']],
  ['a{0}b', 'ab', ['b']],
  ['(?P<y>\\d{4})-(?P<m>\\d\\d)', 'on 2026-01', ['2026-01', '2026', '01']],
  ['(?<a>x)(?<b>y)?', 'x', ['x', 'x', null]],
  ['', 'abc', ['']],
  ['()|a', 'a', ['', '']],
  ['.*b', 'a\nxb', ['xb']],
  ['(.*?)(b)', 'a\nxbb', ['xb', 'x', 'b']],
  ['(?s).*b', 'a\nxb', ['a\nxb']],
  ['.*\\bb', 'xb b', ['xb b']],
];

test('expressions mean what they mean to Go, on both engines', () => {
  for (const [pattern, text, expected] of MATCHES) {
    assert.deepEqual(groups(pattern, text), expected, pattern);
    assert.deepEqual(linearGroups(pattern, text), expected, `linear ${pattern}`);
    assert.equal(compileRegex(pattern).test(text), expected !== undefined, `test ${pattern}`);
    assert.equal(new LinearRegex(parseRegex(pattern)).test(text), expected !== undefined, `linear test ${pattern}`);
  }
});

test('invalid expressions are refused with the words of Go', () => {
  const table: [string, string][] = [
    ['(?P<a>[', 'missing closing ]: `[`'],
    ['a**', 'invalid nested repetition operator: `**`'],
    ['*a', 'missing argument to repetition operator: `*`'],
    ['(?=a)', 'invalid or unsupported Perl syntax: `(?=`'],
    ['(?<!a)', 'invalid or unsupported Perl syntax: `(?<`'],
    ['\\1', 'invalid escape sequence: `\\1`'],
    ['\\y', 'invalid escape sequence: `\\y`'],
    ['\\x{110000}', 'invalid escape sequence: `\\x{110000}`'],
    ['a{1001}', 'invalid repeat count: `{1001}`'],
    ['a{3,2}', 'invalid repeat count: `{3,2}`'],
    ['(a', 'missing closing ): `(a`'],
    ['a)', 'unexpected ): `a)`'],
    ['[z-a]', 'invalid character class range: `z-a`'],
    ['[[:nope:]]', 'invalid character class range: `[:nope:]`'],
    ['\\p{Nope}', 'invalid character class range: `\\p{Nope}`'],
    ['(?P<a b>x)', 'invalid named capture: `(?P<a b>`'],
    ['\\', 'trailing backslash at end of expression: ``'],
  ];
  for (const [pattern, message] of table) {
    const r = tryRegex(pattern);
    assert.ok(!(r instanceof Regex), pattern);
    assert.equal(r.error, `compiling regex: error parsing regexp: ${message}`);
  }
});

test('what could backtrack without end runs on the linear engine, the usual does not', () => {
  for (const evil of ['(a+)+$', '(a|a)*b', '(\\w+\\s*)+:', '(.*)*x', '(a?){50}a{50}', '(?:a|ab|b)*c', '(x*)*y'])
    assert.ok(compileRegex(evil).isLinear, evil);
  for (const usual of [
    '^(?P<ip>\\d+(?:\\.\\d+){3}) (?P<user>\\S+)(?: (?P<opt>x\\w*))? "(?P<req>[^"]*)" (?P<code>\\d{3})',
    '^(?P<time>[^ ]+) (?P<level>\\w+) +(?P<msg>.*)$',
    '(?:,\\w+)*',
    '^\\[(?P<ts>[^\\]]*)\\] (?P<rest>.*)$',
    '"(?:[^"\\\\]|\\\\.)*"',
    '\\bERROR\\b',
  ])
    assert.ok(!compileRegex(usual).isLinear, usual);
});

test('evil expressions and long texts are matched at once', () => {
  const limit = 5000;
  const started = cpuMs();
  assert.equal(compileRegex('(a+)+$').test(`${'a'.repeat(50_000)}b`), false);
  assert.equal(compileRegex('^.*.*.*.*=$').test('x'.repeat(20_000)), false);
  assert.equal(compileRegex('\\d+x').test('1'.repeat(200_000)), false);
  assert.equal(compileRegex('.*x').replaceAll('1'.repeat(200_000), '-').length, 200_000);
  assert.equal(compileRegex('(?:\\s*\\w+\\s*)*;').test('word '.repeat(10_000)), false);
  // Generous: backtracking would take hours.
  assert.ok(cpuMs() - started < limit);
});

test('replaceAll knows groups by number and name, and skips empty matches behind matches', () => {
  const table: [string, string, string, string][] = [
    ['\\d+', '/x/12/y/3', '#', '/x/#/y/#'],
    ['a*', 'baac', '-', '-b-c-'],
    ['(\\w)(?P<n>\\w)', 'abcd', '${n}$1$$', 'ba$dc$'],
    ['(a)', 'a', '$1x', ''],
    ['(a)', 'a', '${1}x$', 'ax$'],
    ['', '😀', '.', '.😀.'],
  ];
  for (const [pattern, text, replacement, expected] of table)
    assert.equal(compileRegex(pattern).replaceAll(text, replacement), expected, pattern);
});

test('any text is an expression or a RegexSyntaxError', () => {
  const piece = fc.constantFrom(
    'a',
    'b',
    '(',
    ')',
    '(?:',
    '(?P<x>',
    '[',
    ']',
    '^',
    '$',
    '*',
    '+',
    '?',
    '{2}',
    '{1,}',
    '|',
    '\\d',
    '\\b',
    '.',
    '-',
    '\\',
    '(?i)',
    '(?s-m:',
    '[[:alpha:]',
    '\\pL',
    '\\Q',
    '\\E',
    '\\x{41}',
    'é',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 12 }).map((p) => p.join('')),
      ),
      fc.string({ maxLength: 30 }),
      (pattern, text) => {
        let regex: Regex;
        try {
          regex = compileRegex(pattern);
        } catch (error) {
          assert.ok(error instanceof RegexSyntaxError, `${pattern}: ${error}`);
          return;
        }
        regex.test(text);
      },
    ),
    { numRuns: 3000 },
  );
});

test('both engines agree wherever the built-in one may be used', () => {
  const node: fc.Arbitrary<string> = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('a', 'b', 'c', '.', '.*', '[ab]', '[^a]', '\\b', '^', '$', '\\w'),
      fc.tuple(tie('node'), tie('node')).map(([a, b]) => `${a}${b}`),
      fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
      fc
        .tuple(tie('node'), fc.constantFrom('*', '+', '?', '*?', '+?', '??', '{2}', '{1,3}'))
        .map(([a, q]) => `(?:${a})${q}`),
      tie('node').map((a) => `(${a})`),
    ),
  })).node as fc.Arbitrary<string>;
  const text = fc.array(fc.constantFrom('a', 'b', 'c', ' ', '\n'), { maxLength: 12 }).map((c) => c.join(''));
  fc.assert(
    fc.property(node, text, (pattern, t) => {
      const expected = groups(pattern, t);
      assert.deepEqual(linearGroups(pattern, t), expected, pattern);
      assert.equal(new LinearRegex(parseRegex(pattern)).test(t), expected !== undefined, pattern);
    }),
    { numRuns: 3000 },
  );
});
