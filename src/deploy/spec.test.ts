/** What the types refuse and what they allow; `tsc` is the judge of the first part, and the run-time check agrees. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type * as z from 'zod';
import { ConfigError } from '../core/errors.ts';
import { append, collection, remove, type Spec } from './index.ts';
import type { specSchema } from './schema.ts';

const refused: (() => unknown)[] = [
  // @ts-expect-error a preset of the gateway
  () => collection({ agent: { presets: { clusterMetrics: true } } }),
  // @ts-expect-error a preset of the agent
  () => collection({ gateway: { presets: { logsCollection: true } } }),
  // @ts-expect-error no such option
  () => collection({ agent: { presets: { kubeletMetrics: { tls: 'none' } } } }),
  // @ts-expect-error the agent has no replicas
  () => collection({ agent: { replicas: 2 } }),
  // @ts-expect-error misspelled
  () => collection({ cluster: 'x' }),
];

test('what the types refuse is refused at run time too', () => {
  for (const make of refused) assert.throws(make, ConfigError);
});

/** All keys of objects demanded, at every depth. */
type Deep<T> = T extends (infer Item)[]
  ? Deep<Item>[]
  : T extends object
    ? string extends keyof T
      ? T
      : { [K in keyof T]-?: Deep<Exclude<T[K], undefined>> }
    : T;

test('the types and the schema know the same', () => {
  // Both directions; with every key demanded, one that the other side lacks does not compile.
  const fromSchema = (spec: Deep<z.input<typeof specSchema>>): Deep<Spec> => spec;
  const toSchema = (spec: Deep<Spec>): Deep<z.input<typeof specSchema>> => spec;
  assert.equal(typeof fromSchema, typeof toSchema);
});

test('edits are written with functions', () => {
  const { tiers } = collection({
    agent: {
      config: { receivers: { file_log: { exclude: append('/x') } }, processors: { batch: remove() } },
    },
    gateway: false,
  });
  assert.equal(JSON.stringify(tiers[0]!.config.receivers!['file_log']).includes('"/x"'), true);
  assert.deepEqual(tiers[0]!.config.service.pipelines['logs']!.processors, ['memory_limiter', 'k8s_attributes']);
});
