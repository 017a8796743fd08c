/** The tests run on the Node that the package brings, not on whatever the machine has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

test('npm test runs on Node 26 or newer', () => {
  const major = Number(process.versions.node.split('.')[0]);
  assert.ok(
    major >= 26,
    `this is Node ${process.versions.node}: run through npm, or put node_modules/.bin first in PATH`,
  );
});
