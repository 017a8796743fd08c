/**
 * `npm run image`: an OCI image without a daemon, of Debian's packages, Node's program and the bundle; the same bytes
 * each time. docs/image.md says what is in it and how to use it.
 *
 *   --arch amd64|arm64   only this one; default: both, below one index
 *   --name NAME:TAG      default localhost/sluice:<version>
 *   --output FOLDER      default image/
 *   --newest             of Debian's packages the newest versions, whatever the lock says
 *   --update             first look up the newest versions of Debian's packages, into tools/image/debian.lock.json
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { resolve as absolute, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { partsOf, spdx, type Version } from './image/contents.ts';
import { ARCHITECTURES, type Architecture, readLock, resolve, writeLock } from './image/debian.ts';
import { debianLayer, ENTRYPOINT, missingLibraries, NODE, nodeLayer, sluiceLayer, USER } from './image/layers.ts';
import { nodePackage } from './image/node.ts';
import { digestOf, type Image, type Layer, layoutOf } from './image/oci.ts';
import { run } from './image/run.ts';
import { tarOf } from './image/tar.ts';
import type { Tree } from './image/tree.ts';

const ROOT = join(import.meta.dirname, '..');
const CACHE = join(ROOT, '.cache', 'image');
/** All files of Node's packages on npm have this time. */
const NPM_SECONDS = Date.parse('1985-10-26T08:15:00Z') / 1000;

const { values: options } = parseArgs({
  options: {
    arch: { type: 'string', multiple: true },
    name: { type: 'string' },
    output: { type: 'string', default: join(ROOT, 'image') },
    newest: { type: 'boolean', default: false },
    update: { type: 'boolean', default: false },
  },
});
const isArchitecture = (a: string): a is Architecture => (ARCHITECTURES as readonly string[]).includes(a);
const architectures = [...new Set(options.arch ?? ARCHITECTURES)].map((a) => {
  if (!isArchitecture(a)) throw new Error(`--arch ${a}: it is made for ${ARCHITECTURES.join(' and ')}`);
  return a;
});
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const name = options.name ?? `localhost/sluice:${manifest.version}`;
if (!/^[a-z0-9.:/_-]+:[\w.-]+$/.test(name)) throw new Error(`--name ${name}: a name and a tag, such as a/sluice:1`);

const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** Time of the sources: that of the last commit, unless SOURCE_DATE_EPOCH says another. */
function sourceSeconds(): number {
  const given = process.env['SOURCE_DATE_EPOCH'];
  const seconds = Number(given ?? run('git', ['log', '-1', '--format=%ct'], { cwd: ROOT }));
  if (!Number.isSafeInteger(seconds) || seconds < 0) throw new Error(`SOURCE_DATE_EPOCH=${given} is no time`);
  return seconds;
}

/** Compression takes most of the time, and the larger layers hardly ever change. */
function layerOf(about: string, tree: Tree, seconds: number): Layer {
  const tar = tarOf(tree, seconds);
  const diffId = digestOf(tar);
  const path = join(CACHE, `layer-${diffId.slice(7)}.tar.gz`);
  if (!existsSync(path)) {
    const compressed = gzipSync(tar, { level: 9 });
    // Bytes of the header that name the time and the system: none.
    compressed.fill(0, 4, 8);
    compressed[9] = 255;
    mkdirSync(CACHE, { recursive: true });
    writeFileSync(`${path}.${process.pid}`, compressed);
    renameSync(`${path}.${process.pid}`, path);
  }
  const compressed = readFileSync(path);
  console.log(`  ${about.padEnd(32)} ${mib(compressed.length).padStart(9)}, unpacked ${mib(tar.length).padStart(9)}`);
  return { about, compressed, diffId };
}

const versionOf = (dependency: string): Version => {
  const path = join(ROOT, 'node_modules', dependency, 'package.json');
  const { version, license } = JSON.parse(readFileSync(path, 'utf8'));
  return { name: dependency, version, license };
};

const lock = readLock();
if (options.update || options.newest) {
  for (const a of options.update ? ARCHITECTURES : architectures) lock.packages[a] = resolve(a, CACHE);
  if (options.update) writeLock({ ...lock, date: new Date().toISOString().slice(0, 10) });
}
const seconds = sourceSeconds();
const dist = join(CACHE, 'dist');
run(process.execPath, [join(import.meta.dirname, 'build.ts'), dist]);

const images = architectures.map((architecture): Image => {
  const node = nodePackage(architecture);
  console.log(`${name} for linux/${architecture}`);
  const trees = [debianLayer(architecture, lock, CACHE), nodeLayer(architecture, CACHE), sluiceLayer(dist)] as const;
  const missing = missingLibraries(architecture, trees);
  if (missing.length > 0) throw new Error(`the image is not complete:\n${missing.join('\n')}`);
  const layers = [
    layerOf(`debian ${lock.suite} of ${lock.date}`, trees[0], Date.parse(lock.date) / 1000),
    layerOf(`node ${node.version}`, trees[1], NPM_SECONDS),
    layerOf(`sluice ${manifest.version}`, trees[2], seconds),
  ];
  console.log(`  ${'together'.padEnd(32)} ${mib(layers.reduce((n, l) => n + l.compressed.length, 0)).padStart(9)}`);
  const labels = {
    'org.opencontainers.image.title': 'sluice',
    'org.opencontainers.image.version': manifest.version,
    'org.opencontainers.image.description': manifest.description,
    'org.opencontainers.image.licenses': manifest.license,
    'org.opencontainers.image.base.name': `debian:${lock.suite}`,
  };
  return {
    layers,
    config: {
      architecture,
      user: `${USER.uid}:${USER.gid}`,
      env: [
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        `SLUICE_NODE=${NODE}`,
        // Of the container's memory limit; the rest is for buffers and code. Node's own choice is half of it, but 259 MiB
        // even where the container has 128.
        'NODE_OPTIONS=--max-old-space-size-percentage=65',
      ],
      entrypoint: [ENTRYPOINT],
      args: ['--config=/conf/relay.yaml'],
      labels,
      createdSeconds: seconds,
    },
  };
});

const { tree, digest } = layoutOf(name, images);
const output = absolute(options.output);
mkdirSync(output, { recursive: true });
const suffix = architectures.length === 1 ? `-${architectures[0]}` : '';
const archive = join(output, `sluice-${manifest.version}${suffix}.tar`);
const tar = tarOf(tree, seconds);
writeFileSync(archive, tar);
for (const architecture of architectures) {
  const bundled = Object.keys(manifest.dependencies).map(versionOf);
  const parts = partsOf(architecture, lock, nodePackage(architecture), manifest, bundled);
  const path = join(output, `sluice-${manifest.version}-${architecture}.spdx.json`);
  writeFileSync(path, spdx(`${name} linux/${architecture}`, digest, seconds, parts));
  console.log(`${relative(process.cwd(), path)}: its ${parts.length} parts`);
}
console.log(`${relative(process.cwd(), archive)}: ${mib(tar.length)}, image ${digest}`);
console.log(`  sha256 ${createHash('sha256').update(tar).digest('hex')}`);
