import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { compileRegex } from './regex.ts';
import { byteRegex, GAVE_UP } from './regex-bytes.ts';

/** Groups as text, as Regex gives them; 'gave up', or undefined when nothing matches. */
function find(source: string, text: string): (string | undefined)[] | 'gave up' | undefined {
  const regex = byteRegex(source);
  if (!regex) return 'gave up';
  // What stands around the text in a read buffer must not matter.
  const buf = Buffer.from(`a"1${text}a" 1`);
  const size = Buffer.byteLength(text);
  const at = regex.find(buf, 3, 3 + size);
  if (at === GAVE_UP) return 'gave up';
  if (at < 0) return undefined;
  assert.equal(regex.spans[0], at);
  return regex.groupNames.map((_, i) => {
    const [from, to] = [regex.spans[2 * i]!, regex.spans[2 * i + 1]!];
    return from < 0 || to < 0 ? undefined : buf.toString('utf8', from, to);
  });
}

function expected(source: string, text: string): (string | undefined)[] | undefined {
  const regex = compileRegex(source);
  const m = regex.exec(text);
  return m && regex.groupNames.map((_, i) => m[i]);
}

const atom = fc.constantFrom(
  'a',
  'b',
  ' ',
  '"',
  '1',
  '.',
  '\\d',
  '\\w',
  '\\S',
  '\\s',
  '[^ ]',
  '[^"]',
  '[a-b1]',
  '(?i:AB)',
  '\\b',
  '\\B',
  '^',
  '$',
  '',
  'é',
);
const suffix = fc.constantFrom('', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{1,3}', '{2,}?');
const { pattern } = fc.letrec<{ pattern: string; part: string; item: string }>((tie) => ({
  pattern: fc.array(tie('item'), { minLength: 1, maxLength: 5 }).map((items) => items.join('')),
  item: fc.tuple(tie('part'), suffix).map(([p, s]) => (/^(|\^|\$|\\b|\\B)$/.test(p) ? p : p + s)),
  part: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    atom,
    tie('pattern').map((p) => `(${p})`),
    fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(?:${a}|${b})`),
  ),
}));

test('finds what the other engines find, or gives up', () => {
  let known = 0;
  fc.assert(
    fc.property(
      pattern,
      fc.string({ unit: fc.constantFrom('a', 'b', 'A', ' ', '"', '1', '-'), maxLength: 24 }),
      (source, text) => {
        const got = find(source, text);
        if (got === 'gave up') return;
        known++;
        assert.deepEqual(got, expected(source, text), source);
      },
    ),
    { numRuns: 4000 },
  );
  assert.ok(known > 500, `only ${known} were known`);
});

test('text that is not ASCII is right where the expression says so', () => {
  let known = 0;
  fc.assert(
    fc.property(
      pattern,
      fc.string({ unit: fc.constantFrom('a', ' ', '"', '1', 'é', '€', '𝄞'), maxLength: 16 }),
      (source, text) => {
        if (!byteRegex(source)?.isUtf8) return;
        const got = find(source, text);
        if (got === 'gave up') return;
        known++;
        assert.deepEqual(got, expected(source, text), source);
      },
    ),
    { numRuns: 4000 },
  );
  assert.ok(known > 200, `only ${known} were known`);
});

const NGINX =
  '^(?P<addr>\\S+) - (?P<user>\\S+) \\[(?P<time>[^\\]]+)\\] "(?P<method>\\S+) (?P<path>\\S+) (?P<protocol>[^"]+)" ' +
  '(?P<status>\\d{3}) (?P<size>\\d+) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"$';
const FLUENT =
  '^(?P<remote>[^ ]*) (?P<host>[^ ]*) (?P<user>[^ ]*) \\[(?P<time>[^\\]]*)\\] "(?P<method>\\S+)(?: +(?P<path>[^\\"]*?)' +
  '(?: +\\S*)?)?" (?P<code>[^ ]*) (?P<size>[^ ]*)(?: "(?P<referer>[^\\"]*)" "(?P<agent>[^\\"]*)"(?:\\s+(?P<for>[^ ]+))?)?$';
const SLOPPY =
  '^(?P<addr>[0-9\\.]+) - (?P<user>[^\\s]+) \\[(?P<time>.+)\\] "(?P<method>\\w+?) (?P<path>.+?) (?P<protocol>.+?)" ' +
  '(?P<status>[0-9]{3}) (?P<size>[0-9]+) "(?P<referer>.+?)" "(?P<agent>.+?)"$';
const JAVA =
  '^(?P<time>\\d{4}-\\d{2}-\\d{2} [\\d:,]+)\\s+(?P<level>INFO|WARN|ERROR)\\s+\\[(?P<thread>[^\\]]+)\\] (?P<message>(?s).*)$';

test('patterns that are in use are known, and find the same', () => {
  const access =
    '10.42.0.7 - bob [22/Nov/2026:10:00:01 +0000] "GET /a/b?c=d HTTP/1.1" 200 1234 "https://x/" "curl/8.14.1"';
  const texts = [access, `${access} `, access.slice(0, 60), access.replace('curl', 'cürl "x'), ''];
  const java = ['2026-11-22 10:00:00,123 ERROR [main] it broke', '2026-11-22 10:00:00,123 WARN  [a b] first\nsecond'];
  for (const source of [NGINX, FLUENT, SLOPPY, JAVA]) {
    for (const text of [...texts, ...java]) {
      if (/[^\0-\x7f]/.test(text) && !byteRegex(source)!.isUtf8) continue;
      assert.deepEqual(find(source, text), expected(source, text), `${source} on ${text}`);
    }
  }
  assert.equal(byteRegex(NGINX)!.isUtf8, true);
  assert.notEqual(find(SLOPPY, access), undefined);
  assert.notEqual(find(JAVA, java[1]!), undefined);
});

test('it gives up before it takes long', () => {
  for (const source of ['^(?:a|a)*b', '^(.*)a(.*)a(.*)a(.*)x$', '[^x]*x', '^(?:a+)+b'])
    assert.equal(find(source, 'a'.repeat(20_000)), 'gave up', source);
});

test('nothing is found inside of a character', () => {
  for (const source of ['\\Ba*', '\\B'])
    for (const text of ['a€a', '€', 'aé'])
      assert.deepEqual(find(source, text), expected(source, text), `${source} in ${text}`);
});
