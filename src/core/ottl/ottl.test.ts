/** The language: syntax and its errors, paths, comparison, arithmetic. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import type { Value } from '../../wire/otlp.ts';
import { CONVERTERS, type ContextName, compileProgram, OttlTextError, STANDARD_FUNCTIONS } from './ottl.ts';
import { evaluate, holds, runStatements } from './testing.ts';

const LOGS = ['log', 'scope', 'resource'] as const;

const conditions: [string, boolean | RegExp][] = [
  ['true', true],
  ['not true', false],
  ['not not true', true],
  ['false or true and false', false],
  ['(false or true) and true', true],
  ['attributes["s"] == "text"', true],
  ['attributes["s"] != "text"', false],
  ['attributes["i"] == 5', true],
  ['attributes["i"] == 5.0', true],
  ['attributes["i"] < 5.5', true],
  ['attributes["d"] > 2', true],
  ['attributes["d"] <= 2.5', true],
  ['attributes["i"] == "5"', false],
  ['attributes["i"] != "5"', true],
  ['attributes["i"] < "6"', false],
  ['attributes["missing"] == nil', true],
  ['attributes["missing"] != nil', false],
  ['attributes["nil"] == nil', true],
  ['attributes["missing"] == ""', false],
  ['attributes["missing"] != "x"', true],
  ['attributes["missing"] > 1', false],
  ['nil == nil', true],
  ['nil <= nil', false],
  ['attributes["b"] == true', true],
  ['attributes["b"] > false', true],
  ['"a" < "b" and "b" < "ba"', true],
  ['"\\uffff" < "\\U0001F600"', true],
  ['attributes["list"][1] == "y"', true],
  ['attributes["map"]["k"] == "v"', true],
  ['attributes["map"]["no"] == nil', true],
  ['attributes["list"] == ["x", "y", "z"]', true],
  ['attributes["map"] == {"n": 1, "k": "v"}', true],
  ['attributes["map"] == {"n": 1}', false],
  ['attributes["bytes"] == 0x01ff', true],
  ['attributes[Concat(["", "s"], "")] == "text"', true],
  ['attributes["list"][Int("2")] == "z"', true],
  ['trace_id == TraceID(0xabababababababababababababababab)', true],
  ['trace_id.string == "abababababababababababababababab"', true],
  ['span_id == SpanID(0x0000000000000000)', true],
  ['span_id.string == ""', true],
  ['severity_number >= SEVERITY_NUMBER_ERROR', true],
  ['log.severity_number == 17 and severity_text == "Error"', true],
  ['body == "GET /a 200" and log.body.string == body', true],
  ['time_unix_nano == 1767323045123456789', true],
  ['observed_time > time', true],
  ['flags == 1 and event_name == "e"', true],
  ['resource.attributes["service.name"] == "shop"', true],
  ['resource.schema_url == "http://schema"', true],
  ['instrumentation_scope.name == "lib" and scope.version == "1.0"', true],
  ['(1 + 2) * 3 == 9', true],
  ['1 + 2 * 3 == 7 and 10 / 4 == 2 and 10.0 / 4.0 == 2.5 and -7 / 2 == -3', true],
  ['2-1 == 1 and 2 - -1 == 3', true],
  ['attributes["i"] * 2 - 1 == 9', true],
  ['observed_time - time == Duration("876543211ns")', true],
  ['time + Duration("1s") > time', true],
  ['IsMatch(body, "^GET") and not IsMatch(body, "^POST")', true],
  ['attributes["i"] + 1.5 == 6.5', /unsupported operation int64 \+ float64/],
  ['attributes["i"] / 0 == 1', /divide by 0/],
  ['attributes["missing"] + 1 == 1', /unsupported operation <nil> \+ int64/],
  ['attributes["s"]["x"] == 1', /does not support indexing/],
  ['attributes["list"][7] == 1', /out of bounds/],
  ['HasPrefix(attributes["i"], "x")', /expected string but got int64/],
];
for (const [text, expected] of conditions)
  test(`condition ${text}`, () => {
    const got = holds(text);
    if (expected instanceof RegExp) assert.match(got instanceof Error ? got.message : String(got), expected);
    else assert.equal(got instanceof Error ? got.message : got, expected);
  });

const refused: [string, string, ContextName?][] = [
  ['attributes["a"] ===', 'condition has invalid syntax: 1:19: unexpected token "=" (expected a value)'],
  ['attributes["a"]', 'condition has invalid syntax: 1:16: unexpected token "<EOF>" (expected a comparison'],
  ['attributes["a"] == ', 'condition has invalid syntax: 1:20: unexpected token "<EOF>" (expected a value)'],
  ['attributes["a" == 1', 'condition has invalid syntax: 1:16: unexpected token "==" (expected "]")'],
  ['(true', 'condition has invalid syntax: 1:6: unexpected token "<EOF>"'],
  ['true true', 'condition has invalid syntax: 1:6: unexpected token "true"'],
  ['body == "\\d"', 'condition has invalid syntax: 1:10: invalid quoted string'],
  ['body == #', 'condition has invalid syntax: 1:9: invalid input text'],
  ['body == 99999999999999999999', 'does not fit into 64 bits'],
  ['isMatch(body, "x")', 'converter names must start with an uppercase letter'],
  ['IsMtach(body, "x")', '1:1: undefined function "IsMtach"; did you mean "IsMatch"?'],
  ['IsMatch(body)', 'incorrect number of arguments for function "IsMatch". Expected: 2 Received: 1'],
  ['IsMatch(body, "x", 1)', 'incorrect number of arguments for function "IsMatch". Expected: 2 Received: 3'],
  ['IsMatch(body, 1)', 'invalid argument at position 1: expected string but got int64'],
  ['IsMatch(body, "(")', 'couldn\'t create function "IsMatch"'],
  ['IsMatch(pattern = "x", body)', 'unnamed argument used after named argument'],
  ['IsMatch(body, patern = "x")', 'no such parameter: patern'],
  ['Len(body)', 'converter "Len" gives int64, not a boolean'],
  ['set(attributes["a"], 1)', 'converter names must start with an uppercase letter'],
  [
    'bodi == "x"',
    'segment "bodi" from path "bodi" is not a valid path nor a valid OTTL keyword for the log context; did you mean "body"?',
  ],
  ['span.name == "x"', 'path "span.name" cannot be used in context log'],
  ['severity_text["a"] == "x"', 'path "severity_text[\\"a\\"]" cannot be indexed'],
  [
    'severity_number > SEVERITY_NUMBER_EROR',
    'enum symbol not found: SEVERITY_NUMBER_EROR; did you mean "SEVERITY_NUMBER_ERROR"?',
  ],
  ['attributes[true] == 1', 'unsupported key type bool'],
  ['1 / 0 == 1', 'divide by 0'],
  ['resource.cache["a"] == 1', "access to cache must be performed using the same statement's context log"],
  ['attributes["a"] == 1', 'missing context name for path', 'resource'],
];
for (const [text, message, context] of refused)
  test(`refused: ${text}`, () => {
    assert.throws(
      () =>
        compileProgram(
          { statements: [], conditions: ['true', text] },
          { context: context ? undefined : 'log', contexts: LOGS, functions: CONVERTERS },
        ),
      (e) => {
        assert.ok(e instanceof OttlTextError);
        assert.ok(e.message.startsWith(`unable to parse OTTL condition ${JSON.stringify(text)}: `), e.message);
        assert.ok(e.message.includes(message), e.message);
        assert.deepEqual([e.kind, e.index], ['condition', 1]);
        return true;
      },
    );
  });

test('positions count lines', () => {
  assert.throws(
    () =>
      compileProgram(
        { statements: ['set(attributes["a"],\n  Foo())'], conditions: [] },
        { context: 'log', contexts: LOGS, functions: STANDARD_FUNCTIONS },
      ),
    /unable to parse OTTL statement ".*": 2:3: undefined function "Foo"/,
  );
});

test('a statement needs an editor', () => {
  for (const [text, message] of [
    ['Concat(["a"], "")', /editor names must start with a lowercase letter/],
    ['sett(attributes["a"], 1)', /undefined function "sett"; did you mean "set"\?/],
    ['set(attributes["a"], 1) when true', /invalid syntax: 1:25: unexpected token "when"/],
    ['set("a", 1)', /must be a path/],
    ['', /unexpected token "<EOF>" \(expected an editor\)/],
  ] as const)
    assert.throws(
      () =>
        compileProgram(
          { statements: [text], conditions: [] },
          { context: 'log', contexts: LOGS, functions: STANDARD_FUNCTIONS },
        ),
      message,
    );
});

const contexts: [string[], ContextName][] = [
  [['set(resource.attributes["a"], 1)'], 'resource'],
  [['set(scope.name, "x")'], 'scope'],
  [['set(instrumentation_scope.name, resource.attributes["a"])'], 'scope'],
  [['set(log.body, resource.attributes["a"])'], 'log'],
  [['set(resource.attributes["a"], 1) where log.body == "x"'], 'log'],
  [['set(resource.attributes["a"], 1)', 'set(log.body, 1)'], 'log'],
];
for (const [statements, expected] of contexts)
  test(`${statements.join('; ')} runs in context ${expected}`, () => {
    const program = compileProgram(
      { statements, conditions: [] },
      { context: undefined, contexts: LOGS, functions: STANDARD_FUNCTIONS },
    );
    assert.equal(program.context, expected);
  });

test('it is known whether statements change what stands above their records', () => {
  for (const [statement, expected] of [
    ['set(attributes["a"], resource.attributes["b"])', false],
    ['set(resource.attributes["a"], 1)', true],
    ['merge_maps(attributes, resource.attributes, "insert")', false],
    ['delete_key(scope.attributes, "a")', true],
  ] as const) {
    const program = compileProgram(
      { statements: [statement], conditions: [] },
      { context: 'log', contexts: LOGS, functions: STANDARD_FUNCTIONS },
    );
    assert.equal(program.writesShared, expected, statement);
  }
});

test('whatever the text is, it compiles or is refused with a position', () => {
  const piece = fc.constantFrom(
    'attributes',
    '["a"]',
    '[0]',
    'body',
    '.',
    '==',
    '<',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '"x"',
    ':',
    ',',
    '1',
    '1.5',
    '0xab',
    'nil',
    'true',
    'not',
    'and',
    'or',
    'where',
    'set',
    'IsMatch',
    'Concat',
    'SEVERITY_NUMBER_INFO',
    '+',
    '-',
    '*',
    '/',
    '=',
    ' ',
    '"',
    '\\',
    'ä',
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((p) => p.join(' ')),
    fc.array(piece, { maxLength: 12 }).map((p) => p.join('')),
    fc.string(),
  );
  fc.assert(
    fc.property(text, fc.boolean(), (t, isStatement) => {
      try {
        compileProgram(isStatement ? { statements: [t], conditions: [] } : { statements: [], conditions: [t] }, {
          context: 'log',
          contexts: LOGS,
          functions: STANDARD_FUNCTIONS,
        });
      } catch (e) {
        assert.ok(e instanceof OttlTextError, String(e));
        assert.match(e.message, /: \d+:\d+: /);
      }
    }),
    { numRuns: 3000 },
  );
});

test('deep nesting is refused, not a stack overflow, and takes no exponential time', () => {
  for (const n of [90, 200, 20_000]) {
    const text = `${'('.repeat(n)}1 == 1${')'.repeat(n)}`;
    const compile = () =>
      compileProgram({ statements: [], conditions: [text] }, { context: 'log', contexts: LOGS, functions: CONVERTERS });
    if (n > 100) assert.throws(compile, /nested too deep/);
    else compile();
  }
});

test('integers wrap at 64 bits', () => {
  assert.equal(evaluate('9223372036854775807 + 1'), -9223372036854775808n);
});

const sets: [string, (r: ReturnType<typeof runStatements>) => unknown, unknown][] = [
  ['set(body, "x")', (r) => r.record.body, 'x'],
  [
    'set(body, attributes["map"])',
    (r) => r.record.body,
    new Map<string, Value>([
      ['k', 'v'],
      ['n', 1n],
    ]),
  ],
  ['set(body["a"], 1)', (r) => r.errors[0], 'type string does not support indexing'],
  ['set(body.string, "x")', (r) => r.record.body, 'x'],
  ['set(severity_text, "W")', (r) => r.record.severityText, 'W'],
  ['set(severity_number, SEVERITY_NUMBER_WARN)', (r) => r.record.severityNumber, 13],
  ['set(severity_number, "x")', (r) => r.errors[0], 'expects int64 but got string'],
  ['set(time_unix_nano, 7)', (r) => r.record.time, 7n],
  ['set(time, observed_time)', (r) => r.record.time, 1_767_323_046_000_000_000n],
  ['set(time, Now())', (r) => r.record.time, 1_767_323_045_000_000_000n],
  ['set(trace_id, TraceID("000102030405060708090a0b0c0d0e0f"))', (r) => r.record.traceId[15], 15],
  ['set(span_id.string, "0102030405060708")', (r) => [...r.record.spanId], [1, 2, 3, 4, 5, 6, 7, 8]],
  ['set(event_name, "n")', (r) => r.record.eventName, 'n'],
  ['set(flags, 3)', (r) => r.record.flags, 3],
  [
    'set(attributes["new"]["a"]["b"], 1)',
    (r) => r.record.attributes.get('new'),
    new Map([['a', new Map([['b', 1n]])]]),
  ],
  [
    'set(attributes["map"]["k"], 2)',
    (r) => r.record.attributes.get('map'),
    new Map([
      ['k', 2n],
      ['n', 1n],
    ]),
  ],
  ['set(attributes["list"][1], 2)', (r) => r.record.attributes.get('list'), ['x', 2n, 'z']],
  ['set(attributes["s"], attributes["missing"])', (r) => r.record.attributes.get('s'), 'text'],
  ['set(attributes["t"], time)', (r) => r.errors[0], 'unsupported type time.Time for a value'],
  ['set(attributes, {"only": 1})', (r) => [...r.record.attributes], [['only', 1n]]],
  ['set(attributes, resource.attributes)', (r) => [...r.record.attributes], [['service.name', 'shop']]],
  ['set(resource.attributes["a"], body)', (r) => r.resource, { 'service.name': 'shop', a: 'GET /a 200' }],
  ['set(dropped_attributes_count, 3)', (r) => r.record.droppedAttributesCount, 3],
];
for (const [statement, look, expected] of sets)
  test(statement, () => {
    const r = runStatements([statement]);
    assert.deepEqual(look(r), expected, r.errors.join());
  });

test('what was set does not share memory with where it came from', () => {
  const { record } = runStatements([
    'set(attributes["copy"], attributes["map"])',
    'set(attributes["copy"]["k"], "changed")',
    'set(cache["all"], attributes)',
    'delete_key(cache["all"], "s")',
  ]);
  assert.equal((record.attributes.get('map') as Map<string, Value>).get('k'), 'v');
  assert.equal(record.attributes.get('s'), 'text');
});

test('the cache carries values from one statement to the next', () => {
  const { record } = runStatements(['set(cache["a"]["b"], body)', 'set(attributes["out"], cache["a"]["b"])']);
  assert.equal(record.attributes.get('out'), 'GET /a 200');
});

test('a statement that fails does not keep the next one from running', () => {
  const { record, errors } = runStatements(['set(attributes["a"], ParseJSON(body))', 'set(attributes["b"], 1)']);
  assert.equal(errors.length, 1);
  assert.equal(record.attributes.get('b'), 1n);
});
