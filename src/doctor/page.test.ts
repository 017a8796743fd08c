/** docs/doctor.md names every check and every rule, and nothing else in code type that looks like one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LOG_RULES } from './logs/rules.ts';
import { CHECKS } from './run.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/doctor.md'), 'utf8');
const sectionOf = (title: string): string => PAGE.split(`\n## ${title}\n`)[1]!.split('\n## ')[0]!;

test('the table of checks has every check', () => {
  const ids = [...sectionOf('Checks').matchAll(/^\| `([\w-]+)` \|/gm)].map((m) => m[1]);
  assert.deepEqual(
    ids,
    CHECKS.map((c) => c.id),
  );
});

test('the table of troubles in logs has every rule once', () => {
  const rows = sectionOf('Saved logs').split('| about | ids |')[1]!;
  const ids = [...rows.matchAll(/`([\w-]+)`/g)].map((m) => m[1]!).filter((id) => !id.includes('src'));
  assert.deepEqual(ids.sort(), LOG_RULES.map((r) => r.id).sort());
});
