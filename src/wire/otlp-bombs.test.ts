/** Requests that are small as bytes and would be large as objects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRequest } from './otlp-request.ts';
import { ProtoError, ProtoWriter } from './proto.ts';

/** `content` in the fields given, the innermost last. */
function wrapped(content: Uint8Array, ...fields: number[]): Uint8Array {
  let inner = content;
  for (const f of fields.reverse()) {
    const w = new ProtoWriter(inner.length + 16);
    w.bytes(f, inner);
    inner = w.finish();
  }
  return inner;
}
const repeated = (n: number, ...bytes: number[]): Buffer => Buffer.alloc(n * bytes.length, Buffer.from(bytes));

const refused: readonly [string, Uint8Array, RegExp][] = [
  ['resources of one empty record each', repeated(1_000_000, 0x0a, 4, 0x12, 2, 0x12, 0), /too many/],
  ['scopes without anything', wrapped(repeated(1_000_000, 0x12, 0), 1), /too many/],
  ['a resource in many pieces', wrapped(repeated(1_000_000, 0x0a, 2, 0x10, 1), 1), /too many pieces/],
  ['a scope in many pieces', wrapped(repeated(1_000_000, 0x0a, 2, 0x20, 1), 1, 2), /too many pieces/],
];
for (const [what, body, message] of refused)
  test(`${what}: refused`, () => {
    for (const signal of ['logs', 'metrics', 'traces'] as const)
      assert.throws(
        () => decodeRequest(signal, body),
        (e) => e instanceof ProtoError && message.test(e.message),
      );
  });

test('ten thousand resources are fine, however short, and any number of usual length', () => {
  assert.equal(decodeRequest('logs', repeated(10_000, 0x0a, 4, 0x12, 2, 0x12, 0)).length, 10_000);
  const name = Buffer.from('service.instance.id: 2b4c1f9e');
  const one = Buffer.concat([wrapped(wrapped(wrapped(name, 1), 1), 1), wrapped(wrapped(wrapped(name, 3), 2), 2)]);
  const body = Buffer.alloc(40_000 * (one.length + 2), Buffer.from(wrapped(one, 1)));
  assert.equal(decodeRequest('logs', body).length, 40_000);
});

test('records with overlong tags are put together without an object for each', () => {
  const [g] = decodeRequest('logs', wrapped(repeated(300_000, 0x12, 0x80, 0), 1, 2));
  assert.equal(g!.messages, 300_000);
  assert.equal(g!.items.length, 600_000);
});

test('values nested in values are walked to a depth that a stack has, not further', () => {
  const nested = (depth: number): Uint8Array => {
    // From the inside out, so that each length is known: AnyValue.array_value.values.
    const heads: Buffer[] = [];
    let size = 0;
    for (let i = 0; i < depth; i++)
      for (const f of [1, 5]) {
        const w = new ProtoWriter(16);
        w.tag(f, 2);
        w.varint(size);
        const head = Buffer.from(w.finish());
        heads.push(head);
        size += head.length;
      }
    return wrapped(Buffer.concat(heads.reverse()), 1, 2, 2, 5);
  };
  assert.equal(decodeRequest('logs', nested(90))[0]!.messages, 1);
  for (const depth of [120, 10_000, 300_000])
    assert.throws(() => decodeRequest('logs', nested(depth)), /nested too deep/, `${depth}`);
});
