import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import type { ValueMap } from '../wire/otlp.ts';
import type { Entry } from './entry.ts';
import { Field, parseField } from './field.ts';
import { plain, plainMap } from './testing.ts';

const field = (text: string): Field => {
  const f = parseField(text, true);
  assert.ok(f instanceof Field, JSON.stringify(f));
  return f;
};
const entry = (body: Entry['body'] = 'text'): Entry =>
  ({ body, attributes: new Map([['a', new Map([['b', 'x']])]]) as ValueMap, resource: new Map() }) as unknown as Entry;

test('paths are split at dots and brackets', () => {
  const table: [string, string[]][] = [
    ['body', []],
    ['body.a.b', ['a', 'b']],
    ['attributes["log.file.path"]', ['log.file.path']],
    ["body['a.b'].c", ['a.b', 'c']],
    ['resource.x["y"][\'z"\']', ['x', 'y', 'z"']],
  ];
  for (const [text, keys] of table) assert.deepEqual(field(text).keys, keys, text);
});

test('what is not a path is refused', () => {
  for (const text of [
    '',
    'x',
    '$body',
    'body.',
    'body..a',
    'body[a]',
    'body["a"',
    'body["a"]b',
    'body[""]',
    '.body',
    'body]',
    'Attributes.a',
  ])
    assert.ok(!(parseField(text, true) instanceof Field), text);
  assert.ok(!(parseField('attributes') instanceof Field));
  assert.ok(parseField('body') instanceof Field);
});

test('get walks maps only; null is a value', () => {
  const e = entry(
    new Map<string, null | string[]>([
      ['n', null],
      ['list', ['x']],
    ]),
  );
  assert.equal(field('body.n').get(e), null);
  assert.equal(field('body.list.0').get(e), undefined);
  assert.equal(field('attributes.a.b').get(e), 'x');
  assert.equal(field('attributes.a.b.c').get(e), undefined);
});

test('set makes maps on the way, and merges maps', () => {
  const e = entry();
  assert.equal(field('body.p.q').set(e, 'v'), undefined);
  assert.deepEqual(plain(e.body), { p: { q: 'v' } });
  field('attributes.a').set(e, new Map([['c', 'y']]));
  field('attributes').set(e, new Map([['top', 1n]]));
  field('attributes.a.b.deep').set(e, true);
  assert.deepEqual(plainMap(e.attributes), { a: { b: { deep: true }, c: 'y' }, top: 1n });
  assert.equal(field('resource').set(e, 'no'), 'cannot set resource root');
});

test('delete gives what was there', () => {
  const e = entry();
  assert.equal(field('attributes.a.b').delete(e), 'x');
  assert.equal(field('attributes.a.b').delete(e), undefined);
  assert.equal(field('attributes.x.y').delete(e), undefined);
  assert.equal(field('body').delete(e), 'text');
  assert.equal(e.body, null);
  assert.deepEqual(plain(field('attributes').delete(e)!), { a: {} });
  assert.equal(e.attributes.size, 0);
});

test('any text is a field or a message', () => {
  const piece = fc.constantFrom('body', 'attributes', '.', '[', ']', '"', "'", 'a', '0');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 9 }).map((p) => p.join('')),
      ),
      (text) => {
        const f = parseField(text, true);
        if (f instanceof Field) f.set(entry(), 'x');
        else assert.equal(typeof f.error, 'string');
      },
    ),
  );
});
