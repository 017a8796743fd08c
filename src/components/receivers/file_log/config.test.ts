import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ZodError } from 'zod';
import definition from './index.ts';

const ok = { include: ['/x/*.log'] };
const messages = (config: Record<string, unknown>): string[] => {
  const r = definition.schema.safeParse(config);
  return r.success ? [] : (r.error as ZodError).issues.map((i) => i.message);
};

const cases: [Record<string, unknown>, string][] = [
  [{}, "'include' must be specified"],
  [{ ...ok, fingerprint_size: 15 }, "'fingerprint_size' must be at least 16 bytes"],
  [{ ...ok, max_log_size: 0 }, "'max_log_size' must be positive"],
  [{ ...ok, max_concurrent_files: 0 }, "'max_concurrent_files' must be positive"],
  [{ ...ok, max_batches: -1 }, "'max_batches' must not be negative"],
  [{ ...ok, start_at: 'middle' }, "invalid start_at location 'middle'"],
  [{ ...ok, delete_after_read: true }, "'delete_after_read' cannot be used with 'start_at: end'"],
  [{ ...ok, header: { pattern: '^#', metadata_operators: [] } }, "'header' cannot be specified with 'start_at: end'"],
  [
    { ...ok, multiline: { line_start_pattern: 'a', line_end_pattern: 'b' } },
    'only one of line_start_pattern or line_end_pattern can be set',
  ],
  [{ ...ok, acquire_fs_lock: true }, "'acquire_fs_lock' is not supported: there is no flock here; leave it out"],
  [{ ...ok, encoding: 'klingon' }, "unsupported encoding 'klingon'"],
  [{ include: ['/x/[a'] }, 'parse include glob "/x/[a": missing ] in "[a"'],
];
for (const [config, message] of cases)
  test(`config: ${message}`, () => {
    assert.deepEqual(messages(config), [message]);
  });

test('config: defaults are upstream\u2019s', () => {
  const c = definition.schema.parse(ok) as Record<string, unknown>;
  assert.equal(c['poll_interval'], 200);
  assert.equal(c['max_log_size'], 1 << 20);
  assert.equal(c['start_at'], 'end');
  assert.equal(c['force_flush_period'], 500);
  assert.equal(c['max_concurrent_files'], 1024);
});

test('config: every key has a description', () => {
  const shape = (
    definition.schema as unknown as { def: { out: { def: { shape: Record<string, { description?: string }> } } } }
  ).def.out.def.shape;
  assert.deepEqual(
    Object.entries(shape)
      .filter(([key, s]) => !s.description && !['operators'].includes(key))
      .map(([key]) => key),
    [],
  );
});
