/** The three layers of the image: Debian, Node and Sluice, the rarely changing ones first. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Architecture, controlOf, type DebianLock, fetchPackages, unpack } from './debian.ts';
import { machineOf, neededOf, stripped } from './elf.ts';
import { fetchNode, nodePackage } from './node.ts';
import { Tree } from './tree.ts';

export const USER = { uid: 10001, gid: 10001 };
export const NODE = '/usr/local/bin/node';
const ENTRY = '/opt/sluice/bin/sluice';
export const ENTRYPOINT = '/usr/local/bin/sluice';

/** What operators type in a container. Links to one program, which Debian builds with all of these. */
export const COMMANDS = (
  'sh ash cat ls head tail grep egrep find ps top df du wc sort uniq less more stat id whoami env date sleep ' +
  'uname hostname nslookup nc wget ping traceroute netstat ip ifconfig route tee cut awk sed tr xargs kill killall pidof ' +
  'readlink realpath dirname basename mkdir rmdir touch cp mv rm ln chmod chown gzip gunzip zcat tar md5sum sha256sum ' +
  'od hexdump strings seq test true false echo printf expr free uptime mount umount dmesg watch timeout time which vi ' +
  'diff cmp base64 pwd sync dd'
).split(' ');

/** Manuals, translations, character sets of iconv, and what only helps to install or to debug libraries. */
const LEFT_OUT =
  /^(usr\/share\/(man|info|locale|lintian|bug|doc-base|perl5|zsh|gdb|base-files|dict|initramfs-tools)|usr\/share\/gcc|usr\/lib\/[^/]+\/(gconv|audit|perl-base)|etc\/(update-motd\.d|skel|profile\.d|kernel|initramfs-tools))\//;
/** Of these packages only some files are wanted. */
const KEPT: Readonly<Record<string, RegExp>> = {
  'base-files': /^(etc\/(os-release|debian_version)|usr\/lib\/os-release|usr\/share\/(common-licenses|doc)\/.*)$/,
  'ca-certificates': /^usr\/share\/doc\//,
  'busybox-static': /^(usr\/bin\/busybox|usr\/share\/doc\/.*)$/,
};
/** Licences stay, change logs do not. A folder of documents may be a link to that of another package. */
const isDocument = (path: string): boolean => /^usr\/share\/doc\/(?![^/]+$|[^/]+\/copyright$)/.test(path);

const lines = (...text: string[]): string => `${text.join('\n')}\n`;

/** Every certificate that Debian's package trusts at its installation, in one file, which curl and OpenSSL read. */
function certificates(folder: string): string {
  const from = join(folder, 'usr/share/ca-certificates');
  const files = readdirSync(from, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.crt'));
  if (files.length < 50) throw new Error(`ca-certificates has only ${files.length} certificates`);
  return files
    .sort()
    .map((f) => `${readFileSync(join(from, f), 'latin1').trimEnd()}\n`)
    .join('');
}

export function debianLayer(architecture: Architecture, lock: DebianLock, cache: string): Tree {
  const tree = new Tree();
  for (const d of ['bin', 'sbin', 'lib', ...(architecture === 'amd64' ? ['lib64'] : [])]) {
    tree.folder(`usr/${d}`);
    tree.link(d, `usr/${d}`);
  }
  for (const d of ['dev', 'proc', 'sys', 'run', 'etc', 'var/log', 'conf', 'opt', 'usr/local/sbin']) tree.folder(d);
  tree.folder('root', 0o700);
  tree.folder('tmp', 0o1777);
  tree.folder('var/tmp', 0o1777);
  tree.link('var/run', '/run');
  // Written by the collector's own user, and by any user of group 0, as OpenShift gives them.
  tree.folder('var/lib/otelcol', 0o770, { uid: USER.uid, gid: 0 });

  const packages = lock.packages[architecture];
  const files = fetchPackages(architecture, packages, cache);
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'unpack-'));
  try {
    for (const { name } of packages) {
      const folder = join(work, name);
      unpack(files.get(name)!, folder);
      const kept = KEPT[name] ?? /./;
      tree.add(folder, '', (p) => kept.test(p) && !LEFT_OUT.test(p) && !isDocument(p));
      // Where scanners of images look for packages that no dpkg has installed.
      tree.file(`var/lib/dpkg/status.d/${name}`, controlOf(files.get(name)!));
      if (name === 'ca-certificates') tree.file('etc/ssl/certs/ca-certificates.crt', certificates(folder));
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  // OpenSSL's own name of the file.
  tree.link('usr/lib/ssl/cert.pem', '/etc/ssl/certs/ca-certificates.crt');
  tree.link('usr/lib/ssl/certs', '/etc/ssl/certs');
  for (const c of COMMANDS) tree.link(`usr/bin/${c}`, 'busybox');
  tree.file(
    'etc/passwd',
    lines(
      'root:x:0:0:root:/root:/bin/sh',
      'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
      `sluice:x:${USER.uid}:${USER.gid}:Sluice:/var/lib/otelcol:/usr/sbin/nologin`,
    ),
  );
  tree.file('etc/group', lines('root:x:0:', 'tty:x:5:', 'nogroup:x:65534:', `sluice:x:${USER.gid}:`));
  tree.file('etc/nsswitch.conf', lines('passwd: files', 'group: files', 'hosts: files dns', 'services: files'));
  return tree;
}

export function nodeLayer(architecture: Architecture, cache: string): Tree {
  const tree = new Tree();
  const from = fetchNode(nodePackage(architecture), join(cache, 'node'));
  tree.file(NODE.slice(1), stripped(readFileSync(join(from, 'bin/node'))), 0o755);
  tree.file('usr/local/share/doc/node/LICENSE', readFileSync(join(from, 'LICENSE')));
  return tree;
}

/** `dist` is what `npm run build` makes; the same for every architecture. */
export function sluiceLayer(dist: string): Tree {
  const tree = new Tree();
  // Types are for programs that render manifests, which do not run here.
  tree.add(dist, 'opt/sluice', (p) => !p.startsWith('opt/sluice/types/'));
  tree.link(ENTRYPOINT.slice(1), ENTRY);
  // Commands of upstream's images, so that a chart or manifest made for them runs this image unchanged.
  for (const name of ['sluice', 'otelcol', 'otelcol-contrib', 'otelcol-k8s']) tree.link(name, ENTRY);
  return tree;
}

/** What is missing in the layers so that their programs load: the packages of the lock must be a closed set. */
export function missingLibraries(architecture: Architecture, layers: readonly Tree[]): string[] {
  const entries = layers.flatMap((l) => l.entries);
  const libraries = new Set(
    entries.filter(([p]) => /\.so(\.|$)/.test(p)).map(([p]) => p.slice(p.lastIndexOf('/') + 1)),
  );
  const missing: string[] = [];
  for (const [path, e] of entries) {
    if (e.type !== 'file') continue;
    const data = Buffer.from(e.data.buffer, e.data.byteOffset, e.data.byteLength);
    const machine = machineOf(data);
    if (!machine) continue;
    if (machine !== architecture) missing.push(`${path} is for ${machine}`);
    for (const name of neededOf(data)) if (!libraries.has(name)) missing.push(`${path} needs ${name}`);
  }
  return missing;
}
