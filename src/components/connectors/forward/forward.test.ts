import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collector, componentContext, TestSource } from '../../../../test/helpers/component.ts';
import type { ConnectorContext } from '../../../core/component.ts';
import { retryable } from '../../../core/errors.ts';
import definition from './index.ts';

const make = (outputs: ConnectorContext['outputs']) =>
  definition.create({}, { ...componentContext('forward', 'connector').context, signal: 'logs', outputs });

test('a batch goes on as it is', async () => {
  const out = collector();
  const batch = new TestSource(true).logs(['a']);
  await (await make({ logs: out.consumer })).consume(batch);
  assert.deepEqual(out.batches, [batch]);
});

test('a refusal goes back', async () => {
  const connector = await make({
    logs: collector(() => {
      throw retryable('full');
    }).consumer,
  });
  await assert.rejects(connector.consume(new TestSource(false).logs(['a'])), /full/);
});

test('it has no keys', () => {
  assert.equal(definition.schema.safeParse(null).success, true);
  assert.equal(definition.schema.safeParse({ a: 1 }).success, false);
});
