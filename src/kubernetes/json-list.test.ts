import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { readList } from './json-list.ts';

function read(text: string) {
  const elements: unknown[] = [];
  const rest = readList(Buffer.from(text), 'items', '{"id":', (e) => elements.push(e));
  return { rest, elements };
}

describe('lists in JSON', () => {
  it('are read element by element, whatever stands in them and around them', () => {
    const tricky = fc.oneof(fc.constant('},{"id":'), fc.constant('"items":[{"id":'), fc.constant(']}'), fc.string());
    const element = fc.record({ id: fc.oneof(fc.integer(), tricky), x: fc.oneof(tricky, fc.jsonValue()) });
    const nested = fc.record({ id: fc.integer(), inside: fc.array(element, { maxLength: 3 }) });
    fc.assert(
      fc.property(
        fc.array(fc.oneof(element, nested, fc.jsonValue()), { maxLength: 6 }),
        fc.dictionary(fc.constantFrom('kind', 'node', 'z'), fc.oneof(tricky, fc.jsonValue(), fc.array(element))),
        fc.boolean(),
        fc.constantFrom(undefined, 1),
        (items, around, isFirst, indent) => {
          const whole = isFirst ? { items, ...around } : { ...around, items };
          const got = read(JSON.stringify(whole, undefined, indent));
          assert.deepEqual(got.elements, JSON.parse(JSON.stringify(items)));
          assert.deepEqual(got.rest, JSON.parse(JSON.stringify({ ...whole, items: [] })));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('of text that is cut off are an error, not half a list', () => {
    const text = JSON.stringify({
      kind: 'List',
      items: [
        { id: 1, a: [1] },
        { id: 2, a: [2] },
        { id: 3, a: [3] },
      ],
    });
    for (let end = 0; end < text.length; end++) assert.throws(() => read(text.slice(0, end)), SyntaxError, `${end}`);
  });

  it('that are missing or null are empty', () => {
    for (const text of ['{}', '{"items":null}', 'null', '[]', '{"items":[]}', '{"items":{"id":1}}'])
      assert.deepEqual(read(text), { rest: JSON.parse(text), elements: [] }, text);
  });
});
