import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { compileGlob, GlobError, type Lister, matchesGlob, walkGlob } from './glob.ts';

const table: [string, string[], string[]][] = [
  ['/a/*.log', ['/a/x.log', '/a/.log', '/a/.x.log'], ['/a/b/x.log', '/a/x.txt']],
  ['/a/**/*.log', ['/a/x.log', '/a/b/x.log', '/a/b/c/x.log'], ['/b/x.log']],
  ['/a/**', ['/a/x', '/a/b/c'], ['/b/x']],
  ['/a/?.log', ['/a/x.log', '/a/é.log'], ['/a/xx.log', '/a/.log']],
  ['/a/[a-c]x', ['/a/bx'], ['/a/dx', '/a/x']],
  ['/a/[^a-c]x', ['/a/dx'], ['/a/bx']],
  ['/a/[!a-c]x', ['/a/dx'], ['/a/bx']],
  ['/a/{x,y{1,2}}.log', ['/a/x.log', '/a/y1.log', '/a/y2.log'], ['/a/y.log']],
  ['/a/\\*.log', ['/a/*.log'], ['/a/x.log']],
  ['/a/x+(1).log', ['/a/x+(1).log'], ['/a/xx1.log']],
  ['/a/[\\]-]x', ['/a/]x', '/a/-x'], ['/a/ax']],
  ['/**/skip/**', ['/a/skip/x', '/skip/b/c'], ['/a/x']],
];
for (const [pattern, yes, no] of table)
  test(`glob ${pattern}`, () => {
    const glob = compileGlob(pattern);
    for (const p of yes) assert.ok(matchesGlob(glob, p), `${p} matches`);
    for (const p of no) assert.ok(!matchesGlob(glob, p), `${p} does not match`);
  });

test('globs that are not well formed are refused', () => {
  for (const bad of ['/a/[b', '/a/{b', '/a/[b-a]']) assert.throws(() => compileGlob(bad), GlobError, bad);
});

const lister: Lister = {
  list: (d) => {
    try {
      return readdirSync(d).map((name) => {
        const s = statSync(join(d, name), { throwIfNoEntry: false });
        return {
          name,
          kind: s?.isFile() ? ('file' as const) : s?.isDirectory() ? ('directory' as const) : ('other' as const),
          link: false,
        };
      });
    } catch {
      return undefined;
    }
  },
  identity: (d) => {
    const s = statSync(d, { throwIfNoEntry: false });
    return s && `${s.dev}:${s.ino}`;
  },
};

test('the walk finds what the pattern matches, and ends in spite of a link to a directory above', () => {
  const root = mkdtempSync(join(tmpdir(), 'glob-'));
  for (const p of ['x.log', 'a/y.log', 'a/b/z.log', 'a/b/n.txt', '.h/v.log']) {
    mkdirSync(dirname(join(root, p)), { recursive: true });
    writeFileSync(join(root, p), '');
  }
  symlinkSync(root, join(root, 'a/loop'));
  symlinkSync(join(root, 'nowhere'), join(root, 'dangling.log'));
  const found = (pattern: string): string[] => {
    const out = new Set<string>();
    walkGlob(compileGlob(join(root, pattern)), lister, (p) => out.add(relative(root, p)));
    return [...out].sort();
  };
  assert.deepEqual(found('*.log'), ['x.log']);
  assert.deepEqual(found('a/*/z.log'), ['a/b/z.log']);
  assert.deepEqual(found('**/*.log'), ['.h/v.log', 'a/b/z.log', 'a/y.log', 'x.log']);
  assert.deepEqual(found('{a,.h}/*.log'), ['.h/v.log', 'a/y.log']);
  assert.deepEqual(found('missing/*.log'), []);
});
