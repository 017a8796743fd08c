/** The generated pages are what the code says, and `npm run check` fails when they are not. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { registry } from '../src/components/index.ts';
import { describeSchema } from '../src/service/config/describe-schema.ts';
import { refusalOf } from '../tools/refusals.ts';
import { tempDir } from './helpers/agent.ts';
import { ROOT } from './helpers/paths.ts';

function docs(...args: string[]): { readonly status: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'tools', 'docs.ts'), ...args]);
  return { status, text: `${stdout}${stderr}` };
}

test('the pages are up to date', () => {
  assert.deepEqual(docs('--check'), { status: 0, text: 'docs are up to date\n' });
});

test('a page that differs, is missing or has no component fails the check, and is mended by writing', (t) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.match(scripts.check, /node tools\/docs\.ts --check/);
  const root = tempDir(t);
  cpSync(join(ROOT, 'docs'), join(root, 'docs'), { recursive: true });
  assert.notEqual(docs('--root', root).status, 1);
  const page = (name: string): string => join(root, 'docs', 'components', name);
  const before = readFileSync(page('otlp.md'), 'utf8');
  writeFileSync(page('otlp.md'), before.replace('| `protocols.http.endpoint` |', '| `protocols.http.address` |'));
  appendFileSync(join(root, 'docs', 'compat.md'), 'a line more\n');
  rmSync(page('batch.md'));
  writeFileSync(page('no_such_component.md'), '# x\n');
  const stale = docs('--check', '--root', root);
  assert.equal(stale.status, 1);
  for (const name of ['components/otlp.md', 'compat.md', 'components/batch.md', 'components/no_such_component.md'])
    assert.ok(stale.text.includes(`docs/${name}`), stale.text);
  assert.equal(docs('--root', root).status, 0);
  assert.equal(readFileSync(page('otlp.md'), 'utf8'), before);
  assert.equal(docs('--check', '--root', root).status, 0);
});

test('every key of every component is on its page, and what is refused is there with its error', async () => {
  let refused = 0;
  for (const entry of registry) {
    const { default: d } = await entry.load();
    const page = readFileSync(join(ROOT, 'docs', 'components', `${d.id}.md`), 'utf8');
    for (const row of describeSchema(d.schema)) {
      assert.ok(page.includes(`\`${row.key}\``), `${d.id}: ${row.key}`);
      if (!/^not supported\b/i.test(row.description)) continue;
      const error = refusalOf(d.schema, row.key);
      assert.ok(error, `${d.id}: ${row.key} says that it is not supported, and is taken`);
      assert.ok(page.includes(`Refused: \`${error}\``), `${d.id}: ${row.key}`);
      refused++;
    }
  }
  assert.ok(refused > 10);
});
