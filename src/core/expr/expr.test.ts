import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import { compileExpr, ExprSyntaxError, type ExprValue, Instant, type Kind } from './expr.ts';

type Env = Record<string, ExprValue>;
const NAMES = ['body', 'attributes', 'resource', 'timestamp'];
const variables = new Map(NAMES.map((n) => [n, (e: Env) => e[n]] as const));
const compile = (text: string, expect?: Kind) => compileExpr<Env>(text, { variables, expect });
const run = (text: string, env: Env = {}) => compile(text)(env);
/** Maps as objects, for comparing. */
const plain = (v: ExprValue): unknown =>
  v instanceof Map ? Object.fromEntries([...v].map(([k, x]) => [k, plain(x)])) : Array.isArray(v) ? v.map(plain) : v;

const ENV: Env = {
  body: 'GET /health 200',
  attributes: new Map<string, ExprValue>([
    ['level', 'info'],
    ['n', 5],
    ['i', 41n],
    ['yes', true],
    ['nothing', null],
    ['o', new Map<string, ExprValue>([['k', 1]])],
    ['list', ['a', 'b', 'c']],
    ['log.file.name', 'x.log'],
  ]),
  resource: new Map(),
  timestamp: new Instant(1_767_323_045_000_000_000n),
};

const TABLE: [text: string, value: unknown][] = [
  ['1 + 2 * 3', 7n],
  ['(1 + 2) * 3', 9n],
  ['2 ** 3 ** 2', 512],
  ['-2 ** 2', -4],
  ['7 / 2', 3.5],
  ['7 % 3', 1n],
  ['1 + 0.5', 1.5],
  ['0x1F + 1_000', 1031n],
  ['"a" + \'b\' + `c\\`', 'abc\\'],
  ['"\\u00e9\\n\\x41\\101"', 'é\nAA'],
  ['1 == 1.0', true],
  ['attributes.n == 5', true],
  ['attributes.i + 1', 42n],
  ['attributes.n + 1', 6],
  ['attributes.missing', undefined],
  ['attributes.missing == nil', true],
  ['attributes.nothing == nil', true],
  ['nil == ""', false],
  ['attributes["log.file.name"]', 'x.log'],
  ['attributes.o.k', 1],
  ['attributes.missing?.k.deep == nil', true],
  ['attributes?.o?.k', 1],
  ['attributes.missing ?? 3', 3n],
  ['(attributes.missing ?? 0) == 0', true],
  ['undefinedName == nil', true],
  ['attributes.missing matches "x"', false],
  ['attributes.missing contains "x"', false],
  ['attributes.missing startsWith "x"', false],
  ['body matches "^GET /(health|ready)"', true],
  ['body matches "(?i)HEALTH"', true],
  ['body not matches "POST"', true],
  ['body contains "health" and body endsWith "200"', true],
  ['body startsWith "POST" || body == "x"', false],
  ['not attributes.yes', false],
  ['!attributes.yes or true', true],
  ['not (1 == 2)', true],
  ['attributes.level in ["debug", "info"]', true],
  ['attributes.level not in ["debug"]', true],
  ['5 in [1, 5.0]', true],
  ['"level" in attributes', true],
  ['"gone" in attributes', false],
  ['attributes.n > 3 && attributes.n <= 5', true],
  ['"a" < "b"', true],
  ['attributes.n > 3 ? "big" : "small"', 'big'],
  ['attributes.list[0] + attributes.list[-1]', 'ac'],
  ['attributes.list[1:]', ['b', 'c']],
  ['body[0:3]', 'GET'],
  ['len(attributes.list)', 3n],
  ['len("é☃")', 2n],
  ['upper("a") + lower("B") + trim("  c ")', 'Abc'],
  ['split(body, " ")[2]', '200'],
  ['int("42") + int(1.9)', 43n],
  ['float("1.5")', 1.5],
  ['string(1.0)', '1'],
  ['string(42) + string(true)', '42true'],
  ['type(attributes.missing)', 'nil'],
  ['type(attributes.n)', 'float'],
  ['type(attributes.i)', 'int'],
  ['type(attributes.list)', 'array'],
  ['type(attributes.o)', 'map'],
  ['hasPrefix(body, "GET") and hasSuffix(body, "200")', true],
  ['replace(body, "GET", "PUT")', 'PUT /health 200'],
  ['indexOf(body, "/")', 4n],
  ['join(attributes.list, "-")', 'a-b-c'],
  ['any(attributes.list, # == "b")', true],
  ['all(attributes.list, {len(#) == 1})', true],
  ['none(attributes.list, # == "z")', true],
  ['filter(attributes.list, # != "b")', ['a', 'c']],
  ['map(attributes.list, upper(#))', ['A', 'B', 'C']],
  ['map(1..3, # * #index)', [0n, 2n, 6n]],
  ['count([1, 2, 3], # > 1)', 2n],
  ['sum([1, 2, 3])', 6n],
  ['find([1, 2, 3], # > 1)', 2n],
  ['findIndex(attributes.list, # == "c")', 2n],
  ['reduce([1, 2, 3], #acc + #, 10)', 16n],
  ['map([{"a": 1}, {"a": 2}], .a)', [1n, 2n]],
  ['any(attributes.list, any(attributes.list, # == "c"))', true],
  ['sortBy([3, 1, 2], #)', [1n, 2n, 3n]],
  ['groupBy([1, 2, 3], # > 1 ? "b" : "a")', { a: [1n], b: [2n, 3n] }],
  ['body | lower() | split(" ") | first()', 'get'],
  ['let x = attributes.n; x + x', 10],
  ['let x = 2; map([1, 2], # * x)', [2n, 4n]],
  ['{"a": 1, b: [2]}', { a: 1n, b: [2n] }],
  ['keys({"a": 1})', ['a']],
  ['max(1, 2.5, [3])', 3n],
  ['abs(-2)', 2n],
  ['toJSON({"b": 1, "a": [nil, "x"]})', '{"a":[null,"x"],"b":1}'],
  ['fromJSON("{\\"a\\": [1]}").a[0]', 1],
  ['timestamp.Year()', 2026n],
  ['timestamp == timestamp and timestamp > timestamp', false],
  ['1 /* one */ + 2 // two', 3n],
];

test('expressions give what expr-lang gives', () => {
  for (const [text, expected] of TABLE) assert.deepEqual(plain(run(text, ENV)), expected, text);
});

test('what cannot be computed throws when it runs', () => {
  const table: [string, RegExp][] = [
    ['attributes.missing < 1', /invalid operation: <nil> < int/],
    ['attributes.level > 1', /invalid operation: string > int/],
    ['attributes.missing.x', /cannot fetch x from <nil>/],
    ['body.x', /cannot fetch x from string/],
    ['attributes.list[9]', /index out of range: 9/],
    ['attributes.n and true', /not bool/],
    ['attributes.n contains "x"', /not string/],
    ['len(attributes.n)', /invalid argument for len/],
    ['1 % 0', /divide by zero/],
    ['int("x")', /int\("x"\)/],
    ['repeat(body, 1000000000)', /too large/],
    ['1..100000000', /too large/],
    ['filter(attributes.list, 1)', /predicate should return boolean/],
    ['attributes.level matches body + "("', /missing closing|missing argument|unexpected/],
  ];
  for (const [text, message] of table) assert.throws(() => run(text, ENV), message, text);
});

test('mistakes are found when compiling, with their position', () => {
  const table: [string, RegExp][] = [
    ['', /unexpected token EOF \(1:1\)/],
    ['1 +', /unexpected token EOF \(1:4\)/],
    ['body ==\n  = 2', /unexpected token = \(2:3\)/],
    ['(1', /unexpected token EOF \(1:3\)/],
    ['"open', /literal not terminated \(1:1\)/],
    ['"\\q"', /invalid char escape \\q \(1:2\)/],
    ['body ~ 1', /unrecognized character: "~" \(1:6\)/],
    ['nope(1)', /unknown name nope \(1:1\)/],
    ['body matches "("', /missing closing \): `\(` \(1:14\)/],
    ['1 == "a"', /mismatched types int and string/],
    ['"a" - 1', /mismatched types string and int/],
    ['not 1', /non-bool expression/],
    ['map(attributes.list)', /map takes a list and a predicate/],
    ['# == 1', /unexpected token # \(1:1\)/],
    ['99999999999999999999', /integer literal is too large/],
  ];
  for (const [text, message] of table)
    assert.throws(
      () => compile(text),
      (e: Error) => e instanceof ExprSyntaxError && message.test(e.message),
      text,
    );
  assert.throws(() => compile('len(body)', 'bool'), /expected bool, but got int/);
  assert.throws(() => compile('attributes.n', 'bool')(ENV), /expected bool, but got float64/);
});

test('depth is bounded', () => {
  assert.throws(() => compile(`${'('.repeat(100_0)}1${')'.repeat(100_0)}`), /nested too deep/);
  assert.throws(() => compile(`${'-'.repeat(5000)}x`), /nested too deep/);
  assert.throws(() => compile(`${'['.repeat(5000)}`), /nested too deep/);
  assert.equal(compile(Array(500).fill('1').join(' + '))({}), 500n);
  assert.throws(() => compile(Array(5000).fill('1').join(' + ')), /nested too deep/);
  assert.throws(() => compile(`body${'.a'.repeat(5000)}`), /nested too deep/);
});

test('any text is an expression or an ExprSyntaxError', () => {
  const token = fc.constantFrom(
    'body',
    'attributes',
    '.',
    '?.',
    '[',
    ']',
    '(',
    ')',
    '{',
    '}',
    '"a"',
    '1',
    '2.5',
    '+',
    '-',
    '*',
    '==',
    'in',
    'not',
    'matches',
    'and',
    '?',
    ':',
    '??',
    ',',
    '#',
    'any',
    'len',
    '..',
    'let',
    '=',
    ';',
    '|',
    'nil',
    'true',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(token, { maxLength: 12 }).map((t) => t.join(' ')),
      ),
      (text) => {
        let f: (e: Env) => ExprValue;
        try {
          f = compile(text);
        } catch (error) {
          assert.ok(error instanceof ExprSyntaxError, `${text}: ${error}`);
          return;
        }
        try {
          f(ENV);
        } catch (error) {
          assert.ok(!(error instanceof TypeError) && !(error instanceof RangeError), `${text}: ${error}`);
        }
      },
    ),
    { numRuns: 5000 },
  );
});
