// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references as configurations write them
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import { nodeAt, toData } from './tree.ts';
import { parseYaml, plainScalar, YamlError } from './yaml.ts';

const data = (text: string): unknown => toData(parseYaml(text, 'a.yaml'));
const refusal = (text: string): YamlError => {
  try {
    parseYaml(text, 'a.yaml');
  } catch (error) {
    assert.ok(error instanceof YamlError, String(error));
    return error;
  }
  return assert.fail(`parsed: ${text.slice(0, 60)}`);
};

test('plain scalars mean what they mean to Go', () => {
  const table: [string, unknown][] = [
    ['', null],
    ['~', null],
    ['null', null],
    ['nUll', 'nUll'],
    ['true', true],
    ['TRUE', true],
    ['tRUE', 'tRUE'],
    ['yes', 'yes'],
    ['on', 'on'],
    ['off', 'off'],
    ['y', 'y'],
    ['0', 0],
    ['-0', 0],
    ['7', 7],
    ['+7', 7],
    ['0123', 83],
    ['-0123', -83],
    ['0o17', 15],
    ['089', 89],
    ['08', 8],
    ['0x1F', 31],
    ['-0x1f', -31],
    ['0b101', 5],
    ['1_000', 1000],
    ['1e3', 1000],
    ['1.50', 1.5],
    ['.5', 0.5],
    ['5.', 5],
    ['-.5', -0.5],
    ['.inf', Number.POSITIVE_INFINITY],
    ['-.Inf', Number.NEGATIVE_INFINITY],
    ['1.2.3', '1.2.3'],
    ['10s', '10s'],
    ['-', '-'],
    ['+', '+'],
    ['.', '.'],
    ['0x', '0x'],
    ['0b2', '0b2'],
    ['2026-11-22', '2026-11-22'],
    ['1e', '1e'],
    ['constructor', 'constructor'],
    ['__proto__', '__proto__'],
  ];
  for (const [text, want] of table) assert.equal(plainScalar(text), want, text);
  assert.ok(Number.isNaN(plainScalar('.NaN')));
});

test('documents become plain data', () => {
  const table: [string, unknown][] = [
    ['a: "0123"\nb: 0123', { a: '0123', b: 83 }],
    ["a: '7'\nb: !!str 7\nc: !!int '7'\nd: !!float 7", { a: '7', b: '7', c: 7, d: 7 }],
    ['a: |\n  x\n  y\nb: >-\n  x\n  y', { a: 'x\ny\n', b: 'x y' }],
    ['1: a\ntrue: b', { '1': 'a', true: 'b' }],
    ['a: &x {b: 1}\nc: *x', { a: { b: 1 }, c: { b: 1 } }],
    ['a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3', { a: { b: 1, c: 2 }, d: { b: 1, c: 3 } }],
    ['d:\n  <<: [{a: 1}, {a: 2, b: 2}]', { d: { a: 1, b: 2 } }],
    ['a:\nb: [x, ~, 1]', { a: null, b: ['x', null, 1] }],
    ['a: 1\n---\na: 2', { a: 1 }],
    ['%YAML 1.1\n---\na: 1', { a: 1 }],
    ['# only a comment', null],
    ['', null],
  ];
  for (const [text, want] of table) assert.deepEqual(data(text), want, text);
});

test('a key named __proto__ is a key like others', () => {
  const out = data('__proto__: {polluted: true}') as Record<string, unknown>;
  assert.deepEqual(Object.keys(out), ['__proto__']);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('every value knows its place', () => {
  const root = parseYaml('a:\n  - b: 1\n    c:\n', 'x.yaml');
  assert.deepEqual(nodeAt(root, ['a', 0, 'b'])?.at, { file: 'x.yaml', line: 2, column: 8 });
  assert.deepEqual(nodeAt(root, ['a', 0, 'c'])?.at, { file: 'x.yaml', line: 3, column: 5 });
});

test('what cannot be read is refused with its place', () => {
  const table: [string, RegExp, number][] = [
    ['r:\n  f:\n    include: [a]\n    include: [b]\n', /mapping key "include" already defined at line 3/, 4],
    ['a: *nope', /unknown anchor 'nope' referenced/, 1],
    ['a: &a [*a]', /anchor 'a' value contains itself/, 1],
    ['a: 1\n\tb: 2', /yaml: line 2: /, 2],
    ['a: b: c', /yaml: line 1: /, 1],
    ['{a: 1', /yaml: line 1: /, 1],
    ['a: !!int x', /cannot decode/, 1],
    ['[a]: 1', /invalid map key/, 1],
    ['a: 1\n<<: 5', /map merge requires/, 2],
    ['a: \u0000', /control characters/, 1],
    ['%abc', /yaml: /, 1],
  ];
  for (const [text, message, line] of table) {
    const error = refusal(text);
    assert.match(error.message, message, text);
    assert.equal(error.at.line, line, text);
  }
});

test('bombs end in an error and not in a crash', () => {
  const aliases = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
  for (let i = 1; i < 12; i++) aliases.push(`a${i}: &a${i} [${`*a${i - 1},`.repeat(10)}]`);
  assert.match(refusal(aliases.join('\n')).message, /excessive aliasing/);
  for (const deep of [
    '['.repeat(50_000),
    '{a: '.repeat(20_000),
    '- '.repeat(20_000),
    '? '.repeat(20_000),
    Array.from({ length: 3000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
  ])
    refusal(deep);
  assert.match(refusal('['.repeat(600) + ']'.repeat(600)).message, /max depth/);
});

test('any text gives a tree or a YamlError', () => {
  const fragment = fc.constantFrom(
    'a',
    'b:',
    ': ',
    '\n',
    '  ',
    '- ',
    '[',
    ']',
    '{',
    '}',
    ',',
    '&x ',
    '*x ',
    '!!int ',
    '!t ',
    '|',
    '>',
    '"',
    "'",
    '#',
    '<<: ',
    '? ',
    '---\n',
    '%',
    '\t',
    '0x1',
    '${env:A}',
    '\u0085',
    '\u{1f600}',
    '\\',
  );
  const yamlish = fc.array(fragment, { maxLength: 40 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(yamlish, fc.string({ unit: 'binary' }), fc.string()), (text) => {
      try {
        toData(parseYaml(text, 'x'));
      } catch (error) {
        assert.ok(error instanceof YamlError, `${JSON.stringify(text)}: ${String((error as Error).stack)}`);
        assert.ok(error.at.line >= 1 && error.at.column >= 1);
      }
    }),
    { numRuns: 3000 },
  );
});

test('data written as JSON is read back', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual(data(text), JSON.parse(text));
    }),
    { numRuns: 500 },
  );
});
