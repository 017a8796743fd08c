/** The rules of docs/architecture.md that a machine can check: who imports whom, and what no file may do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';
import { registry } from '../src/components/index.ts';
import { describeSchema } from '../src/service/config/describe-schema.ts';
import { ROOT } from './helpers/paths.ts';

/** Folder of src/ → folders it may import from, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  cli: ['service', 'deploy', 'console', 'doctor', 'local', 'components', 'kubernetes', 'core'],
  local: ['deploy', 'console', 'kubernetes', 'core', 'wire'],
  deploy: ['core'],
  console: ['kubernetes', 'core', 'wire'],
  doctor: ['deploy', 'components', 'stanza', 'kubernetes', 'core', 'wire'],
  service: ['components', 'core', 'wire'],
  components: ['stanza', 'core', 'kubernetes', 'wire'],
  stanza: ['core', 'wire'],
  kubernetes: ['core'],
  core: ['wire'],
  wire: [],
};
const PACKAGES = ['yaml', 'zod'];
/** Only behind `await import()`, so that they cost nothing until they are used. */
const LAZY_PACKAGES: readonly string[] = ['re2js'];

interface Import {
  readonly target: string;
  readonly dynamic: boolean;
  /** Gone when types are stripped. */
  readonly typeOnly: boolean;
}
interface Source {
  /** From src/: `core/batch.ts`. */
  readonly file: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const filesUnder = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath, e.name))
    .sort();

/** Text without whole-line comments and without comments behind code. */
const code = (text: string): string =>
  text
    .split('\n')
    .filter((l) => !/^\s*(\/\/|\/?\*)/.test(l))
    .map((l) => l.replace(/\s\/\/ .*$/, ''))
    .join('\n');

export function importsOf(text: string): Import[] {
  const imports: Import[] = [];
  for (const m of code(text).matchAll(/^(?:import|export)\s+(type\s)?(?:[^;'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm))
    imports.push({ target: m[2]!, dynamic: false, typeOnly: m[1] !== undefined });
  for (const m of code(text).matchAll(/(typeof\s+)?\bimport\(\s*(?:['"]([^'"]+)['"]|([^)]*))/g))
    imports.push({ target: m[2] ?? `<${m[3]}>`, dynamic: true, typeOnly: m[1] !== undefined });
  return imports;
}

const SRC = join(ROOT, 'src');
const sources: readonly Source[] = filesUnder(SRC)
  // testing.ts is what tests beside it share.
  .filter((f) => /\.tsx?$/.test(f) && !/(\.test|\/testing)\.tsx?$/.test(f) && !f.includes('/testdata/'))
  .map((f) => {
    const text = readFileSync(f, 'utf8');
    return { file: relative(SRC, f), text, imports: importsOf(text) };
  });

const layerOf = (file: string): string => file.split('/')[0]!;
/** `components/receivers/file_log` of anything below it; undefined elsewhere. */
const componentOf = (file: string): string | undefined => /^components\/\w+\/[^/]+(?=\/)/.exec(file)?.[0];
const resolve = (from: string, target: string): string => normalize(join(dirname(from), target));

test('the reader of imports sees every form', () => {
  const text = `
import a from './a.ts';
import { b, type B } from './b.ts';
import type { C } from "./c.ts";
import {
  d,
} from './d.ts';
import './e.ts';
export { f } from './f.ts';
export type { G } from './g.ts';
const h = await import('./h.ts');
const i: typeof import('./i.ts') = x;
const j = import(path);
// import k from './k.ts';
export const l = 'from "./l.ts"';
`;
  assert.deepEqual(
    importsOf(text).map((i) => [i.target, i.dynamic, i.typeOnly]),
    [
      ['./a.ts', false, false],
      ['./b.ts', false, false],
      ['./c.ts', false, true],
      ['./d.ts', false, false],
      ['./e.ts', false, false],
      ['./f.ts', false, false],
      ['./g.ts', false, true],
      ['./h.ts', true, false],
      ['./i.ts', true, true],
      ['<path>', true, false],
    ],
  );
});

test('folders import one way', () => {
  const wrong: string[] = [];
  for (const { file, imports } of sources) {
    const from = layerOf(file);
    assert.ok(MAY_IMPORT[from], `src/${from} is not in the picture; add it to docs/architecture.md and here`);
    for (const { target } of imports) {
      if (!target.startsWith('.') || target === '../../package.json') continue;
      const to = layerOf(resolve(file, target));
      if (to !== from && !MAY_IMPORT[from].includes(to)) wrong.push(`${file} → ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('a component imports no other component', () => {
  const wrong = sources.flatMap(({ file, imports }) => {
    const own = componentOf(file);
    if (!own) return [];
    return imports
      .map((i) => i.target)
      .filter((t) => t.startsWith('.'))
      .filter((t) => {
        const to = resolve(file, t);
        return to.startsWith('components/') && componentOf(to) !== own;
      })
      .map((t) => `${file} → ${t}`);
  });
  assert.deepEqual(wrong, []);
});

test('imports name files that exist, with their extension', () => {
  const wrong = sources.flatMap(({ file, imports }) =>
    imports
      .map((i) => i.target)
      .filter((t) => t.startsWith('.') && !existsSync(join(SRC, resolve(file, t))))
      .map((t) => `${file} → ${t}`),
  );
  assert.deepEqual(wrong, []);
});

test('nothing that runs imports what is there for tests', () => {
  const wrong = sources.flatMap(({ file, imports }) =>
    imports.filter((i) => /(\.test|\/testing)\.ts$|\/testdata\//.test(i.target)).map((i) => `${file} → ${i.target}`),
  );
  assert.deepEqual(wrong, []);
});

test('no files import each other in a circle', () => {
  const edges = new Map(
    sources.map(({ file, imports }) => [
      file,
      imports.filter((i) => !i.dynamic && !i.typeOnly && i.target.startsWith('.')).map((i) => resolve(file, i.target)),
    ]),
  );
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const to of edges.get(file) ?? []) {
      const circle = visit(to, [...path, file]);
      if (circle) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of edges.keys()) assert.equal(visit(file, [])?.join(' → '), undefined);
});

test('besides node: only the few packages that package.json says, the heavy ones lazily', () => {
  const wrong: string[] = [];
  for (const { file, imports } of sources)
    for (const { target, dynamic, typeOnly } of imports) {
      if (target.startsWith('.') || target.startsWith('node:') || target.startsWith('<')) continue;
      const name = target
        .split('/')
        .slice(0, target.startsWith('@') ? 2 : 1)
        .join('/');
      if (!PACKAGES.includes(name) && !(LAZY_PACKAGES.includes(name) && (dynamic || typeOnly)))
        wrong.push(`${file} → ${target}`);
    }
  assert.deepEqual(wrong, []);
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies)) assert.ok([...PACKAGES, ...LAZY_PACKAGES].includes(name), name);
});

test('no file does what only another place may do', () => {
  const rules: readonly [string, RegExp, (file: string) => boolean][] = [
    ['process.exit only in cli/main.ts', /\bprocess\.exit\(/, (f) => f === 'cli/main.ts'],
    ['process.exitCode only in cli/ and local/', /\bprocess\.exitCode\b/, (f) => /^(cli|local)\//.test(f)],
    ['console only in cli/ and local/', /\bconsole\.\w+\(/, (f) => /^(cli|local)\//.test(f) || f.includes('/web/')],
    ['no eval', /\beval\(/, () => false],
    ['no new Function', /\bnew Function\b/, () => false],
    ['no enum', /^\s*(?:export )?(?:const )?enum\s/m, () => false],
    ['the clock comes from the context in components', /\bDate\.now\(/, (f) => !/^(components|stanza)\//.test(f)],
    ['the environment is not read by components', /\bprocess\.env\b/, (f) => !/^(components|stanza|wire)\//.test(f)],
    [
      'imports of computed names only for plugins and specs',
      /\bimport\(\s*[^'"\s)]/,
      (f) => f.startsWith('service/') || f === 'cli/spec-file.ts',
    ],
  ];
  const wrong = sources.flatMap(({ file, text }) =>
    rules.filter(([, bad, allowed]) => !allowed(file) && bad.test(code(text))).map(([rule]) => `${file}: ${rule}`),
  );
  assert.deepEqual(wrong, []);
});

test('the registry, the folders and the documentation name the same components', async () => {
  const folders = ['receivers', 'processors', 'exporters', 'connectors', 'extensions']
    .filter((k) => existsSync(join(SRC, 'components', k)))
    .flatMap((k) => readdirSync(join(SRC, 'components', k)).map((id) => `${k}/${id}`))
    .sort();
  assert.deepEqual(registry.map((e) => `${e.kind}s/${e.id}`).sort(), folders);
  for (const entry of registry) {
    const { default: definition } = await entry.load();
    assert.equal(definition.id, entry.id);
    assert.equal(definition.kind, entry.kind);
    assert.deepEqual(definition.aliases ?? [], entry.aliases, `aliases of ${entry.id}`);
    assert.match(definition.summary, /^[A-Z].*\.$/, `summary of ${entry.id} is a sentence`);
  }
  const pages = readdirSync(join(ROOT, 'docs/components')).filter((f) => f !== 'README.md');
  assert.deepEqual(pages.sort(), [...new Set(registry.map((e) => `${e.id}.md`))].sort());
});

for (const entry of registry)
  test(`every key of the ${entry.kind} ${entry.id} has a description`, async () => {
    const { default: definition } = await entry.load();
    const bare = describeSchema(definition.schema)
      .filter((k) => k.description === '')
      .map((k) => k.key);
    assert.deepEqual(bare, []);
  });

/** Files of the repository as git sees them; all files where there is no git. */
function repositoryFiles(): string[] {
  const git = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT });
  const list =
    git.status === 0
      ? git.stdout.toString().split('\0').filter(Boolean)
      : filesUnder(ROOT).map((f) => relative(ROOT, f));
  return list.filter(
    (f) => !/^(node_modules|dist|\.git|test\/conformance\/cases)\//.test(f) && existsSync(join(ROOT, f)),
  );
}

test('the repository stands alone: nothing in it names a place on one machine or a package registry', () => {
  // Spelled in pieces, so that this file does not name them either.
  const places = [
    /\/(?:home|work)\/[a-z]/,
    new RegExp(`\\.\\./${'shared'}\\b`),
    new RegExp(`registry\\.${'npm'}`),
    new RegExp(`"${'resolved'}": "`),
  ];
  const wrong: string[] = [];
  for (const file of repositoryFiles()) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const place of places) {
      const found = place.exec(text);
      if (found) wrong.push(`${file}: ${found[0]}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the lock file has every package that it asks for, so that npm ci works on any machine', () => {
  // Where a registry lacks the package of some platform, npm leaves it out of the file without a word.
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const locked = new Set(Object.keys(packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 13)));
  const missing = Object.values<Record<string, object>>(packages).flatMap((p) =>
    Object.keys({ ...p['dependencies'], ...p['optionalDependencies'] }).filter((name) => !locked.has(name)),
  );
  assert.deepEqual(missing, []);
});

test('what the documents name is there: links, files and folders', () => {
  const wrong: string[] = [];
  const documents = ['README.md', 'AGENTS.md', ...readdirSync(join(ROOT, 'docs')).map((f) => `docs/${f}`)];
  for (const document of documents.filter((f) => f.endsWith('.md'))) {
    const text = readFileSync(join(ROOT, document), 'utf8');
    for (const [, target] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      if (!existsSync(join(ROOT, dirname(document), target!))) wrong.push(`${document}: link ${target}`);
    for (const [, path] of text.matchAll(/`((?:src|test|bench|tools|docs|bin)\/[\w./-]+)`/g))
      if (!existsSync(join(ROOT, path!))) wrong.push(`${document}: \`${path}\``);
  }
  assert.deepEqual(wrong, []);
});
