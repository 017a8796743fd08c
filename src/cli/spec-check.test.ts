import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collection, type Spec } from '../deploy/index.ts';
import { SPECS } from '../deploy/testdata/specs.ts';
import { VARIANTS } from '../deploy/testing.ts';
import { engineProblems } from './spec-check.ts';

test('nothing is held against what the presets make', async () => {
  const specs: [string, Spec][] = [
    ...Object.entries(SPECS),
    ...VARIANTS.map((v): [string, Spec] => [v.name, v.spec('a', 'b')]),
    ['helm by sluice', { compat: 'helm' }],
  ];
  for (const [name, spec] of specs) assert.deepEqual(await engineProblems(collection(spec)), [], name);
});

test('rules of the engine hold, but for what only the pod knows', async () => {
  const problems = async (batch: Record<string, string | number>): Promise<string[]> => {
    const made = collection({
      agent: { env: [{ name: 'COUNT', valueFrom: {} }], config: { processors: { batch } } },
      gateway: false,
    });
    return (await engineProblems(made)).map((p) => `${p.path.join('.')}: ${p.message}`);
  };
  assert.deepEqual(await problems({ timeout: '${env:COUNT}', send_batch_size: '${env:COUNT}' }), []);
  assert.match(
    (await problems({ send_batch_size: 9, send_batch_max_size: 3 })).join(),
    /^agent\.config\.processors\.batch/,
  );
  assert.match((await problems({ send_batch_size: '${env:COUNT}', timeout: 'soon' })).join(), /timeout: .*soon/);
});
