// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references as configurations write them
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import { ConfigError } from '../../core/errors.ts';
import type { ConfigWarning } from './config.ts';
import { expandTree } from './expand.ts';
import { type Environment, retriever } from './sources.ts';
import { nodeAt, toData } from './tree.ts';
import { parseYaml } from './yaml.ts';

const ENV: Environment = {
  NUM: '100',
  OCT: '0123',
  EMPTY: '',
  LIST: '[1, 2]',
  NAME: 'NUM',
  ONE: '1.0',
  QUOTED: '"x"',
  REF: '${env:NUM}',
  PORT: '${env:HOST}:1',
  HOST: 'h',
  MAP: 'a: ${env:NUM}',
  NOT_YAML: 'a: b: c',
  DOLLAR: 'p$$w',
  BOOL: 'true',
  LOOP: '${env:LOOP}',
  GROW: '${env:GROW}${env:GROW}',
  LISTS: '[${env:LISTS}, ${env:LISTS}]',
};

const expandOne = (written: string, env = ENV, warnings: ConfigWarning[] = []) => {
  const tree = parseYaml(`k: ${JSON.stringify(written)}`, 'a.yaml');
  return nodeAt(expandTree(tree, retriever(env, warnings)), ['k'])!;
};

test('references give values and texts as otelcol gives them', () => {
  // [written, parsed value, text that a string field receives]
  const table: [string, unknown, string?][] = [
    ['${env:NUM}', 100, '100'],
    ['${NUM}', 100, '100'],
    ['x${env:NUM}y', 'x100y'],
    ['x${env:OCT}y', 'x0123y'],
    ['$$5 ${env:NUM}', '$5 100'],
    ['$${env:NUM} ${env:NUM}', '${env:NUM} 100'],
    ['$$${env:NUM}', '$100'],
    ['$$$${env:NUM}', '$${env:NUM}'],
    ['x $x ${env:UNSET}', 'x $x '],
    ['${env:NOPE:-5}', 5, '5'],
    ['${env:NUM} ${env:NOPE:-[1,2]}', '100 [1,2]'],
    ['${env:NOPE:-[1,2]}', [1, 2], '[1,2]'],
    ['${env:NOPE:-}', null, ''],
    ['${env:NOPE}', null, ''],
    ['${env:EMPTY:-x}', null, ''],
    ['${env:OCT}', 83, '0123'],
    ['${env:ONE}', 1, '1.0'],
    ['${env:BOOL}', true, 'true'],
    ['${env:LIST}', [1, 2], '[1, 2]'],
    ['${env:QUOTED}', '"x"'],
    ['${env:REF}', 100, '100'],
    ['${env:PORT}', 'h:1'],
    ['${env:${env:NAME}}', 100, '100'],
    ['${env:MAP}', { a: 100 }, 'a: 100'],
    ['${env:NOT_YAML}', 'a: b: c'],
    ['${env:DOLLAR}', 'p$w'],
    ['${yaml:[1, 2]}', [1, 2], '[1, 2]'],
    ['cost 5$$ and $$$$', 'cost 5$ and $$'],
    ['$$literal $${env:NUM} $', '$literal ${env:NUM} $'],
    ['no } braces ${', 'no } braces ${'],
  ];
  for (const [written, value, text] of table) {
    const node = expandOne(written);
    assert.deepEqual(toData(node), value, written);
    assert.equal(node.text, text, written);
  }
});

test('references that cannot be replaced are refused by place and reason', () => {
  const table: [string, string][] = [
    ['${env:N-X:-q}', 'environment variable "N-X" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$'],
    ['${env:1 BAD}', 'environment variable "1 BAD" has invalid name'],
    ['${NOPE:-q}', 'scheme "NOPE" is not supported for uri "NOPE:-q"'],
    ['${http:x}', 'scheme "http" is not supported for uri "http:x"'],
    ['${env:A$B}', `the uri "env:A$B" contains unsupported characters ('$')`],
    ['${g_c_s:VALUE}', 'invalid uri: "g_c_s:VALUE"'],
    ['${env:}', 'environment variable "" has invalid name'],
    ['${file:/does/not/exist}', 'open /does/not/exist: no such file or directory'],
    ['${env:LOOP}', 'too many recursive expansions'],
    ['${env:GROW}', 'too many recursive expansions'],
    ['${env:LISTS}', 'too many recursive expansions'],
  ];
  for (const [written, message] of table)
    assert.throws(
      () => expandOne(written),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError, written);
        const [d] = error.diagnostics;
        assert.ok(d?.message.includes(message), `${written}: ${d?.message}`);
        assert.deepEqual([d?.path[0], d?.line, d?.column], ['k', 1, 4]);
        return true;
      },
    );
});

test('all bad references are told at once, with a hint for defaults', () => {
  const tree = parseYaml('a: ${NOPE:-q}\nb:\n  - ${env:a b}\n', 'a.yaml');
  assert.throws(
    () => expandTree(tree, retriever({}, [])),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(
        error.diagnostics.map((d) => [d.path, d.line, d.hint]),
        [
          [['a'], 1, 'a default needs the scheme: write ${env:NOPE:-q}'],
          [['b', 0], 3, undefined],
        ],
      );
      return true;
    },
  );
});

test('unset and empty variables are told once each', () => {
  const warnings: ConfigWarning[] = [];
  expandOne('${env:UNSET} ${env:UNSET} ${env:EMPTY} ${env:OTHER:-x}', ENV, warnings);
  assert.deepEqual(
    warnings.map((w) => [w.level, w.message, w.fields['name']]),
    [
      ['warn', 'Configuration references unset environment variable', 'UNSET'],
      ['info', 'Configuration references empty environment variable', 'EMPTY'],
    ],
  );
});

test('keys are left as they are', () => {
  const tree = parseYaml('"${env:NUM}": 1', 'a.yaml');
  assert.deepEqual(toData(expandTree(tree, retriever(ENV, []))), { '${env:NUM}': 1 });
});

test('any text is expanded or refused, and text without braces only loses doubled dollars', () => {
  const fragment = fc.constantFrom(
    '$',
    '$$',
    '{',
    '}',
    '${',
    '${env:',
    'NUM',
    ':-',
    'x',
    ' ',
    '[',
    ']',
    'env',
    ':',
    '${REF}',
    '${LIST}',
  );
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 25 }), (parts) => {
      const text = parts.join('');
      let value: unknown;
      try {
        value = toData(expandOne(text));
      } catch (error) {
        assert.ok(error instanceof ConfigError, String((error as Error).stack));
        return;
      }
      if (!text.includes('}')) assert.equal(value, text.replaceAll('$$', '$'));
    }),
    { numRuns: 2000 },
  );
});
