/** Sluice delivers what the real collector delivered, for every recorded case whose components exist. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCases, runCases } from './conformance/cases.ts';
import { SLUICE } from './helpers/paths.ts';

const cases = await readCases();
const ready = cases.filter((c) => !c.pending && c.missing.length === 0);

test('there are recorded cases for what we have', () => {
  assert.ok(cases.length >= 250, `${cases.length} cases`);
  assert.ok(ready.length >= 100, `${ready.length} of ${cases.length} cases can run`);
});

test('every recorded case that can run passes', { timeout: 1_200_000 }, async (t) => {
  const results = await runCases(
    ready.map((c) => c.name),
    { collector: `"${SLUICE}"`, jobs: 2, signal: t.signal },
  );
  for (const r of results) if (r.secondTry) t.diagnostic(`${r.name} passed only when run again, alone`);
  const failed = results.filter((r) => !r.ok);
  assert.equal(failed.length, 0, failed.map((r) => `${r.name}: ${r.detail}`).join('\n'));
  assert.equal(results.length, ready.length);
});
