import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { LineScanner, ListScanner, MAX_OBJECT_BYTES } from './json-stream.ts';

/** Divides bytes at the given places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...[...new Set(cuts.map((c) => c % (bytes.length + 1)))].sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

function readList(chunks: readonly Buffer[]) {
  const items: unknown[] = [];
  const scanner = new ListScanner((item) => items.push(JSON.parse(item.toString())));
  for (const c of chunks) scanner.push(c);
  return { items, rest: scanner.end() };
}

const tricky = fc.oneof(fc.constantFrom('"items":[{', '}]', '\\', '\\"', '{"items":[', 'é"ü', '\u2028'), fc.string());
const element = fc.record({ id: fc.integer(), x: fc.oneof(tricky, fc.jsonValue()), items: fc.array(fc.jsonValue()) });

describe('lists that arrive in pieces', () => {
  it('are the elements and what is around them, wherever they are cut', () => {
    fc.assert(
      fc.property(
        fc.array(element, { maxLength: 5 }),
        fc.dictionary(
          fc.constantFrom('kind', 'metadata', 'z', 'item'),
          fc.oneof(tricky, fc.jsonValue(), fc.array(element)),
        ),
        fc.boolean(),
        fc.constantFrom(undefined, 1),
        fc.array(fc.nat(), { maxLength: 12 }),
        (items, around, isFirst, indent, cuts) => {
          const whole = isFirst ? { items, ...around } : { ...around, items };
          const got = readList(pieces(Buffer.from(JSON.stringify(whole, undefined, indent)), cuts));
          assert.deepEqual(got.items, JSON.parse(JSON.stringify(items)));
          assert.deepEqual(got.rest, JSON.parse(JSON.stringify({ ...whole, items: [] })));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('that are cut off are an error, not half a list', () => {
    const text = JSON.stringify({ kind: 'List', items: [{ id: 1, a: [1] }, { id: 2 }], metadata: { continue: 'x' } });
    for (let end = 0; end < text.length; end++)
      assert.throws(() => readList([Buffer.from(text.slice(0, end))]), SyntaxError, `${end}`);
  });

  it('without items are empty', () => {
    for (const text of [
      '{}',
      '{"items":null}',
      '{"items":[]}',
      '{"a":{"items":[{"b":1}]}}',
      '{"kind":"items","x":[{}]}',
    ])
      assert.deepEqual(readList([Buffer.from(text)]), { items: [], rest: JSON.parse(text) }, text);
  });

  it('tell what stands before the items while they arrive', () => {
    const heads: unknown[] = [];
    const scanner = new ListScanner(() => heads.push(scanner.head));
    scanner.push(Buffer.from('{"kind":"PodList","metadata":{"resourceVersion":"5"},"items":[{"a":1}'));
    assert.deepEqual(heads, [{ kind: 'PodList', metadata: { resourceVersion: '5' }, items: [] }]);
  });

  it('with an object that never ends are refused', () => {
    const scanner = new ListScanner(() => {});
    const megabyte = Buffer.alloc(1024 * 1024, 'x');
    scanner.push(Buffer.from('{"items":[{"a":"'));
    assert.throws(() => {
      for (let size = 0; size <= MAX_OBJECT_BYTES; size += megabyte.length) scanner.push(megabyte);
    }, /longer than/);
  });
});

describe('lines that arrive in pieces', () => {
  it('are whole, wherever they are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 2 }).filter((s) => !s.includes('\n'))),
        fc.array(fc.nat()),
        (texts, cuts) => {
          const scanner = new LineScanner();
          const got: string[] = [];
          for (const piece of pieces(Buffer.from(texts.map((t) => `${t}\n`).join('')), cuts)) {
            scanner.push(piece);
            for (let line = scanner.next(); line; line = scanner.next()) got.push(line.toString());
          }
          assert.deepEqual(got, texts);
          assert.equal(scanner.rest, 0);
        },
      ),
    );
  });

  it('that are too long are refused, whether they end or not', () => {
    for (const text of ['x'.repeat(101), `${'x'.repeat(101)}\n`]) {
      const scanner = new LineScanner(100);
      scanner.push(Buffer.from(text));
      assert.throws(() => scanner.next(), /longer than 100 bytes/);
    }
  });

  it('that are not over are told', () => {
    const scanner = new LineScanner();
    scanner.push(Buffer.from('{"a":1}\n{"b'));
    assert.equal(scanner.next()?.toString(), '{"a":1}');
    assert.equal(scanner.next(), undefined);
    assert.equal(scanner.rest, 3);
  });
});
