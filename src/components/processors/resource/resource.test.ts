/** The resource processor: results, and that it works per resource. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collector, componentContext, TestSource } from '../../../../test/helpers/component.ts';
import { makeBatch } from '../../../core/batch.ts';
import type { Processor, ProcessorDefinition } from '../../../core/component.ts';
import { resourceOf } from '../../../core/resource.ts';
import definition from './index.ts';

const { schema, create } = definition as ProcessorDefinition;

async function processor(attributes: object[], next: ReturnType<typeof collector>): Promise<Processor> {
  const { context } = componentContext('resource', 'processor');
  return create(schema.parse({ attributes }), { ...context, signal: 'logs', pipelineId: 'logs', next: next.consumer });
}

test('equal resources become one object, and items and parts are handed on untouched', async () => {
  const next = collector();
  const p = await processor([{ key: 'cluster', value: 'c', action: 'upsert' }], next);
  const source = new TestSource(true);
  const resource = resourceOf(new Map([['service.name', 'a']]), 'http://schema');
  const groups = [source.group(['one'], resource), source.group(['two', 'three'], resource)];
  await p.consume(makeBatch('logs', groups));
  const out = next.batches[0]!;
  assert.equal(out.groups[0]!.resource, out.groups[1]!.resource);
  assert.deepEqual(
    [...out.groups[0]!.resource.attributes],
    [
      ['service.name', 'a'],
      ['cluster', 'c'],
    ],
  );
  assert.equal(out.groups[0]!.resource.schemaUrl, 'http://schema');
  for (const [i, g] of groups.entries()) {
    assert.equal(out.groups[i]!.items, g.items);
    assert.equal(out.groups[i]!.parts, g.parts);
  }
  assert.deepEqual([out.count, out.patient], [3, true]);
});

test('a resource that needs no change stays the same group', async () => {
  const next = collector();
  const p = await processor([{ key: 'service.name', value: 'x', action: 'insert' }], next);
  const batch = new TestSource(false).logs(['a']);
  await p.consume(batch);
  assert.equal(next.batches[0]!.groups[0], batch.groups[0]);
});

test('client metadata is looked at for every batch', async () => {
  const next = collector();
  const p = await processor([{ key: 'tenant', from_context: 'metadata.tenant', action: 'upsert' }], next);
  const source = new TestSource(false);
  for (const tenant of ['a', 'b']) await p.consume(source.logs(['x'], new Map([['tenant', [tenant]]])));
  assert.deepEqual(
    next.batches.map((b) => [b.groups[0]!.resource.attributes.get('tenant'), b.metadata?.get('tenant')]),
    [
      ['a', ['a']],
      ['b', ['b']],
    ],
  );
});
