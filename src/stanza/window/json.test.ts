import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import { readKeyValue, type Value, type ValueMap } from '../../wire/otlp.ts';
import { logRecords } from '../../wire/otlp-logs.ts';
import { ProtoReader } from '../../wire/proto.ts';
import { JSON_GROWTH, JsonAttributes } from './json.ts';
import { JsonTail } from './json-tail.ts';

function encode(json: JsonAttributes, text: string | Buffer): ValueMap | undefined {
  const body = Buffer.from(text);
  // What stands behind the text in a read buffer must not matter.
  const src = Buffer.concat([Buffer.from('"{'), body, Buffer.from('\n}"e5, 1')]);
  const out = Buffer.alloc(body.length * JSON_GROWTH + 64);
  const end = json.encode(src, 2, 2 + body.length, out, 0);
  if (end < 0) return undefined;
  assert.ok(end <= out.length);
  const map: ValueMap = new Map();
  const r = new ProtoReader(out, 0, end);
  while (r.next()) {
    assert.equal(r.field, 6);
    readKeyValue(r.message(), map);
  }
  return map;
}

const toMaps = (v: unknown): Value =>
  v !== null && typeof v === 'object'
    ? Array.isArray(v)
      ? v.map(toMaps)
      : new Map(Object.entries(v).map(([k, x]) => [k, toMaps(x)] as const))
    : (v as Value);

test('whatever object JSON.stringify makes, the members come out as JSON.parse would give them, or not at all', () => {
  const json = new JsonAttributes([], false);
  let taken = 0;
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'binary', maxLength: 10 }), fc.jsonValue({ maxDepth: 3 })),
      fc.constantFrom(undefined, 1, '\t'),
      (object, space) => {
        const text = JSON.stringify(object, null, space);
        const got = encode(json, text);
        if (!got) return;
        taken++;
        assert.deepEqual(got, toMaps(JSON.parse(text)));
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(taken > 100, `only ${taken} were taken`);
});

test('text that is no JSON object is never taken', () => {
  const json = new JsonAttributes([], false);
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(
          '{',
          '}',
          '"a"',
          ':',
          ',',
          '1',
          '-',
          '0',
          '.5',
          'e',
          'true',
          'tru',
          'null',
          '[',
          ']',
          ' ',
          '"',
          '\\',
          '\\u00e9',
          '\n',
          '\u0001',
        ),
        { maxLength: 14 },
      ),
      (tokens) => {
        const text = tokens.join('');
        const got = encode(json, text);
        if (got) assert.deepEqual(got, toMaps(JSON.parse(text)));
      },
    ),
    { numRuns: 3000 },
  );
});

test('numbers are the nearest doubles', () => {
  const json = new JsonAttributes([], false);
  fc.assert(
    fc.property(
      fc.oneof(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.integer().map((n) => n / 1000),
        fc.maxSafeInteger(),
      ),
      (n) => {
        const text = JSON.stringify({ n });
        assert.deepEqual(encode(json, text)?.get('n'), JSON.parse(text).n);
      },
    ),
  );
  assert.equal(encode(json, '{"n":0.1}')?.get('n'), 0.1);
  assert.equal(encode(json, '{"n":01}'), undefined);
  assert.equal(encode(json, '{"n":1e999}'), undefined);
});

test('with parse_ints whole numbers become integers', () => {
  const json = new JsonAttributes([], true);
  assert.deepEqual(
    encode(json, '{"a":0,"b":200,"c":123456789012345,"d":1.5}'),
    new Map<string, Value>([
      ['a', 0n],
      ['b', 200n],
      ['c', 123456789012345n],
      ['d', 1.5],
    ]),
  );
});

test('keys that come twice or are attributes already are left to the general way', () => {
  const json = new JsonAttributes([], false);
  json.avoid(new Set(['logtag']));
  assert.equal(encode(json, '{"a":1,"a":2}'), undefined);
  assert.equal(encode(json, '{"logtag":1}'), undefined);
  assert.deepEqual(
    encode(json, '{"a":1,"b":2}'),
    new Map([
      ['a', 1],
      ['b', 2],
    ]),
  );
  assert.deepEqual(
    encode(json, '{"b":1,"a":2}'),
    new Map([
      ['b', 1],
      ['a', 2],
    ]),
  );
});

test('time and severity of the object are those of the record', () => {
  const tail = new JsonTail({
    parseInts: false,
    time: { key: 'time', layout: { type: 'gotime', layout: '2006-01-02T15:04:05.999Z07:00', location: '' } },
    severity: { key: 'level', of: (v) => ({ number: v === 'warn' ? 13 : 0, text: v }) },
    removed: new Set(),
    nowMs: () => 0,
  });
  const put = (body: string) => {
    const text = Buffer.from(`${body}\n`);
    const mem = Buffer.alloc(100_000);
    const end = tail.put(mem, 7, 1, 2, text, 0, text.length - 1, Buffer.from('59000032b491d4b318', 'hex'));
    return end < 0 ? undefined : [...logRecords(mem.subarray(7, end))][0];
  };
  for (const pad of ['', 'x'.repeat(80), 'y'.repeat(20_000)]) {
    const body = `{"level":"warn","time":"2026-11-22T12:00:00.25+02:00","pad":"${pad}"}`;
    const r = put(body)!;
    assert.equal(r.time, BigInt(Date.UTC(2026, 10, 22, 10)) * 1_000_000n + 250_000_000n);
    assert.equal(r.severityNumber, 13);
    assert.equal(r.severityText, 'warn');
    assert.equal(r.body, body);
    assert.equal(r.observedTime, 1_780_000_000_000_000_000n);
    assert.equal(r.attributes.get('pad'), pad);
  }
  for (const odd of [
    '{"level":"warn"}',
    '{"level":"warn","time":"yesterday"}',
    '{"level":3,"time":"2026-11-22T12:00:00Z"}',
    '{"time":"2026-11-22T12:00:00Z"}',
    'text',
    '{"level":"warn","time":"2026-11-22T12:00:00Z"',
  ])
    assert.equal(put(odd), undefined, odd);
});
