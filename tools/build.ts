/**
 * `npm run build`: dist/ (or the folder that is given), which is what ships: one bundle with a chunk per lazily loaded
 * part, no dependencies but node itself. dist/bin/sluice starts it from any directory; `sluice/deploy` is dist/deploy.js.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');
const DIST = resolve(process.argv[2] ?? join(ROOT, 'dist'));

/** yaml's build for node is CommonJS, which cannot be split or shaken; its other build is the same code as modules. */
const yamlAsModules: Plugin = {
  name: 'yaml-as-modules',
  setup(b) {
    b.onResolve({ filter: /^yaml$/ }, () => ({ path: join(ROOT, 'node_modules/yaml/browser/index.js') }));
  },
};

/** Exports behind getters that are used; a missing one fails the build. */
const GETTERS = new Set(['promises', 'BlockList']);

/**
 * Importing `node:http` as a module reads all its exports, the getters too, which loads undici, http2 and web streams:
 * 16 MB of RSS and 40 ms for nothing. The same object through getBuiltinModule costs only what is used.
 */
const builtinsOnDemand: Plugin = {
  name: 'builtins-on-demand',
  setup(b) {
    b.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin', sideEffects: false }));
    b.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => {
      const plain = Object.entries(Object.getOwnPropertyDescriptors(process.getBuiltinModule(path)!))
        .filter(([name, d]) => ('value' in d || GETTERS.has(name)) && /^[A-Za-z_]\w*$/.test(name) && name !== 'default')
        .map(([name]) => `export const ${name} = m.${name};`);
      return { contents: `const m = process.getBuiltinModule('${path}');\nexport default m;\n${plain.join('\n')}` };
    });
  },
};

rmSync(DIST, { recursive: true, force: true });
const result = await build({
  absWorkingDir: ROOT,
  entryPoints: { main: 'src/cli/main.ts', deploy: 'src/deploy/index.ts' },
  outdir: DIST,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  chunkNames: 'chunks/[name]-[hash]',
  plugins: [yamlAsModules, builtinsOnDemand],
  // Names of chunks depend on the paths of their sources: those below this folder, wherever node_modules links to.
  preserveSymlinks: true,
  loader: { '.html': 'text', '.css': 'text', '.svg': 'text' },
  // Identifiers stay, so that stack traces of users can be read.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'external',
  metafile: true,
  logLevel: 'warning',
});

mkdirSync(join(DIST, 'bin'), { recursive: true });
cpSync(join(ROOT, 'bin/sluice'), join(DIST, 'bin/sluice'));
chmodSync(join(DIST, 'bin/sluice'), 0o755);
// Beside chunks/, as it lies beside the folder of the store's server in the sources.
cpSync(join(ROOT, 'src/local/web'), join(DIST, 'web'), { recursive: true });
for (const file of ['LICENSE', 'README.md', 'CHANGELOG.md']) cpSync(join(ROOT, file), join(DIST, file));
const { name, version, description, license, type, bin, engines, dependencies } = JSON.parse(
  readFileSync(join(ROOT, 'package.json'), 'utf8'),
);
// Their code is in the bundle, so their licences go with it.
for (const dependency of Object.keys(dependencies))
  cpSync(join(ROOT, 'node_modules', dependency, 'LICENSE'), join(DIST, 'licenses', dependency, 'LICENSE'));
// What editors and tsc read of `sluice/deploy`.
const types = spawnSync(
  process.execPath,
  [
    join(ROOT, 'node_modules/typescript/bin/tsc'),
    ...['--project', join(ROOT, 'tools/declarations.json'), '--outDir', join(DIST, 'types')],
  ],
  { cwd: ROOT, encoding: 'utf8' },
);
if (types.status !== 0) throw new Error(`tsc: ${types.stdout}${types.stderr}`);
const exports = {
  './deploy': { types: './types/src/deploy/index.d.ts', default: './deploy.js' },
  './package.json': './package.json',
};
writeFileSync(
  join(DIST, 'package.json'),
  `${JSON.stringify({ name, version, description, license, type, bin, exports, engines }, null, 2)}\n`,
);

const outputs = Object.entries(result.metafile.outputs).sort((a, b) => b[1].bytes - a[1].bytes);
const kib = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KiB`;
const entry = outputs.find(([, o]) => o.entryPoint === 'src/cli/main.ts')!;
const total = outputs.reduce((n, [, o]) => n + o.bytes, 0);
console.log(`${relative(ROOT, DIST)}: ${kib(total)} in ${outputs.length} files, ${entry[0]} ${kib(entry[1].bytes)}`);
