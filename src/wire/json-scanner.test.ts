/** What is JSON is decided as JSON.parse decides it, and OTLP/JSON means the same in any order, spelling and width. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { JsonError, JsonScanner } from './json-scanner.ts';
import { OtlpJsonError, requestFromJson, requestToJson } from './otlp-json.ts';

const isJson = (text: string | Uint8Array): boolean => {
  try {
    const s = new JsonScanner(text);
    s.skip();
    s.finish();
    return true;
  } catch (e) {
    assert.ok(e instanceof JsonError, String(e));
    return false;
  }
};
const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

test('a text is JSON when JSON.parse says so, whole, cut or changed', () => {
  const piece = fc.constantFrom(
    ...['{', '}', '[', ']', ',', ':', '"', '"a"', '"\\u00e9"', '"\\u12"', '"\\x"', '\\', ' ', '\n', '\t', '\u00a0'],
    ...['1', '-1', '01', '1.', '1.5', '.5', '1e5', '1E+5', '1e', '-', 'true', 'false', 'null', 'nul', 'NaN', '\u0001'],
  );
  const edited = fc.tuple(fc.json(), fc.nat(), fc.nat(3), piece).map(([text, at, drop, put]) => {
    const i = at % (text.length + 1);
    return text.slice(0, i) + put + text.slice(i + drop);
  });
  const text = fc.oneof(
    fc.json(),
    edited,
    fc.array(piece, { maxLength: 9 }).map((p) => p.join('')),
  );
  fc.assert(
    fc.property(text, (t) => {
      assert.equal(isJson(t), parses(t), JSON.stringify(t));
    }),
    { numRuns: 5000 },
  );
});

test('strings are those of JSON.parse', () => {
  const unit = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 3 }).map((s) => JSON.stringify(s).slice(1, -1)),
    fc.constantFrom('\\u0041', '\\ud83d\\ude00', '\\ud800', '\\/', '\\b\\f\\n\\r\\t', 'é', '😀', '\u007f'),
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 10 }), (units) => {
      const text = `"${units.join('')}"`;
      const s = new JsonScanner(text);
      s.string();
      // Not in UTF-16: a lone surrogate cannot be in bytes.
      assert.equal(Buffer.from(s.text).toString(), Buffer.from(JSON.parse(text) as string).toString());
    }),
  );
});

test('bytes that are not UTF-8 become U+FFFD in values', () => {
  const [head, tail] = ['{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"', '"}]}]}]}'];
  const text = Buffer.concat([Buffer.from(head), Buffer.from([0x61, 0xff, 0xc3]), Buffer.from(tail)]);
  assert.equal(requestToJson('logs', requestFromJson('logs', text)), `${head}a\ufffd\ufffd${tail}`);
});

test('numbers of any length and form are exact or refused', () => {
  const body = (value: string): string => `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{${value}}}]}]}]}`;
  for (const [given, expected] of [
    ['"intValue":9223372036854775807', '"intValue":"9223372036854775807"'],
    ['"intValue":-9223372036854775808', '"intValue":"-9223372036854775808"'],
    ['"intValue":1e3', '"intValue":"1000"'],
    ['"doubleValue":12345678901234567890', '"doubleValue":12345678901234567000'],
    [`"doubleValue":1${'0'.repeat(50)}`, '"doubleValue":1e+50'],
    [`"doubleValue":0.${'3'.repeat(60)}`, '"doubleValue":0.3333333333333333'],
  ] as const)
    assert.equal(requestToJson('logs', requestFromJson('logs', body(given))), body(expected), given);
  for (const bad of [
    '"intValue":9223372036854775808',
    '"intValue":1e20',
    '"intValue":1.5',
    `"intValue":"${'9'.repeat(1000)}"`,
    `"doubleValue":${'1'.repeat(5000)}`,
    '"stringValue":12345678901234567890',
  ])
    assert.throws(() => requestFromJson('logs', body(bad)), OtlpJsonError, bad.slice(0, 40));
});

test('what is not wanted is walked, not built: nesting and width have a bound, and cost no stack', () => {
  const nested = (n: number): string => `{"x":${'[{"y":'.repeat(n)}1${'}]'.repeat(n)}}`;
  assert.equal(requestFromJson('logs', nested(4000)).length, 0);
  assert.throws(() => requestFromJson('logs', nested(200_000)), /nested too deep/);
  assert.throws(() => requestFromJson('logs', `{"x":${'['.repeat(1_000_000)}`), /nested too deep/);
  assert.equal(requestFromJson('logs', `{"x":[${'{},'.repeat(1_000_000)}1]}`).length, 0);
});
