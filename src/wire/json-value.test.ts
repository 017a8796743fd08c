import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { JsonError, JsonScanner } from './json-scanner.ts';
import { writeJsonValue } from './json-value.ts';
import { readAnyValue, type Value } from './otlp.ts';
import { ProtoReader, ProtoWriter } from './proto.ts';

function read(text: string): Value {
  const w = new ProtoWriter();
  const s = new JsonScanner(text);
  writeJsonValue(w, s);
  s.finish();
  return readAnyValue(new ProtoReader(w.finish()));
}

const integer = (exact: bigint, rounded: number): bigint | number =>
  BigInt.asIntN(64, exact) === exact ? exact : rounded;

test('JSON becomes the same value as through JSON.parse', () => {
  const json = fc.jsonValue({ maxDepth: 6 }).map((v) => JSON.stringify(v).replace(/-0(?![.\d])/g, '0'));
  fc.assert(
    fc.property(json, (text) => {
      // Only plain digits are integers; JSON.parse would round those beyond 2^53.
      const number = (_: string, v: unknown, context?: { source: string }): unknown =>
        typeof v !== 'number' || !/^-?\d+$/.test(context!.source) ? v : integer(BigInt(context!.source), v);
      const value = (v: unknown): Value =>
        Array.isArray(v)
          ? v.map(value)
          : v !== null && typeof v === 'object'
            ? new Map(Object.entries(v).map(([k, x]) => [k, value(x)]))
            : (v as Value);
      assert.deepEqual(read(text), value(JSON.parse(text, number)));
    }),
  );
});

test('numbers are what their text says', () => {
  const rows: readonly [string, Value][] = [
    ['9223372036854775807', 9223372036854775807n],
    ['-9223372036854775808', -9223372036854775808n],
    ['9223372036854775808', 2 ** 63],
    ['9007199254740993', 9007199254740993n],
    ['1.0', 1],
    ['1e2', 100],
    ['-0', 0n],
    ['null', null],
    ['{"a":[null,true,"\\u00e9"]}', new Map([['a', [null, true, 'é']]])],
  ];
  for (const [text, value] of rows) assert.deepEqual(read(text), value, text);
});

test('what is nested too deep is text', () => {
  let value = read('['.repeat(2000) + ']'.repeat(2000));
  let depth = 0;
  for (; Array.isArray(value); depth++) value = value[0]!;
  assert.equal(depth, 90);
  assert.equal(value, '['.repeat(1910) + ']'.repeat(1910));
});

test('what is no JSON throws', () => {
  for (const text of ['', '{', '[1,', '{"a"}', 'tru', '01', '"\u0001"', '{} {}'])
    assert.throws(() => read(text), JsonError, text);
});
