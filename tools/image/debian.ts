/**
 * The Debian packages of the image: which ones (debian.lock.json), how they are fetched with the machine's apt-get but
 * without its package lists, and how they are unpacked. Every architecture works on every machine: nothing is installed.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { run } from './run.ts';

export type Architecture = 'amd64' | 'arm64';
export const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];

/** With everything that they depend on: what Node links, curl, and one program for a shell and the usual commands. */
const ROOTS = ['libstdc++6', 'libgcc-s1', 'libatomic1', 'curl', 'busybox-static'];
/** For their files only; what they depend on is for their installation. */
const ALONE = ['base-files', 'ca-certificates'];
/** awk for the installation of base-files, and a store for passwords that SASL servers have. */
const NOT_NEEDED = new Set(['mawk', 'libsasl2-modules-db', 'libdb5.3']);

const SUITE = 'bookworm';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Source package, which licences and security notices go by. */
  readonly source: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}
export interface DebianLock {
  readonly suite: string;
  /** When the versions were looked up; files of the layer have this time. */
  readonly date: string;
  packages: Record<Architecture, readonly DebianPackage[]>;
}

const LOCK = join(import.meta.dirname, 'debian.lock.json');

export const readLock = (): DebianLock => JSON.parse(readFileSync(LOCK, 'utf8')) as DebianLock;
export const writeLock = (lock: DebianLock): void => writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`);

export interface Repository {
  readonly uri: string;
  readonly suite: string;
}

const PARTS = ['', '-updates', '-security'];

/**
 * Where a machine with these targets of apt (`URI RELEASE COMPONENT ORIGIN` on each line) gets the suite and its updates
 * from: as it says itself, or, when it is of another release of Debian, from where it has that.
 */
export function repositoriesIn(targets: string): Repository[] {
  const known = targets
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([uri, , component]) => uri && component === 'main');
  const found = (suiteOf: (release: string, origin: string) => string | undefined): Repository[] => {
    const all = known.map(([uri = '', release = '', , origin = '']) => ({
      uri,
      suite: suiteOf(release, origin) ?? '',
    }));
    const uris = new Map(all.filter((r) => r.suite !== '').map((r) => [`${r.suite} ${r.uri}`, r]));
    return [...uris.values()].some((r) => r.suite === SUITE) ? [...uris.values()] : [];
  };
  const own = found((release) => (PARTS.includes(release.replace(SUITE, '')) ? release : undefined));
  if (own.length > 0) return own;
  return found((release, origin) => {
    const part = /^[a-z]+(|-updates|-security)$/.exec(release)?.[1];
    return origin === 'Debian' && part !== undefined ? `${SUITE}${part}` : undefined;
  });
}

/** Of this machine, unless SLUICE_DEBIAN_MIRROR names a mirror. */
function repositories(): Repository[] {
  if (!existsSync(KEYRING))
    throw new Error(`there is no ${KEYRING} to check Debian's signatures with: apt-get install debian-archive-keyring`);
  const mirror = process.env['SLUICE_DEBIAN_MIRROR'];
  if (mirror)
    return PARTS.map((part) => ({
      uri: `${mirror}/debian${part === '-security' ? part : ''}`,
      suite: `${SUITE}${part}`,
    }));
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)';
  const known = repositoriesIn(run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']));
  if (known.length === 0)
    throw new Error(`apt of this machine has no sources of Debian: set SLUICE_DEBIAN_MIRROR to a mirror's URL`);
  return known;
}

/** A state of apt's own below `folder`: sources, lists and no installed packages. Proxies of the machine hold. */
function aptOptions(architecture: Architecture, folder: string): string[] {
  const home = join(folder, `apt-${architecture}`);
  for (const d of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(home, d), { recursive: true });
  const signed = `[arch=${architecture} signed-by=${KEYRING}]`;
  const lines = repositories().map(({ uri, suite }) => `deb ${signed} ${uri} ${suite} main\n`);
  writeFileSync(join(home, 'sources.list'), lines.join(''));
  writeFileSync(join(home, 'status'), '');
  return [
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    `Dir::State::lists=${home}/lists`,
    `Dir::State::status=${home}/status`,
    `Dir::Etc::sourcelist=${home}/sources.list`,
    'Dir::Etc::sourceparts=-',
    'Dir::Etc::preferences=-',
    'Dir::Etc::preferencesparts=-',
    `Dir::Cache=${home}/cache`,
    'Acquire::Languages=none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
    'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false',
    'Acquire::Retries=3',
    'APT::Sandbox::User=root',
  ].flatMap((o) => ['-o', o]);
}

/** The newest versions of the suite and its security updates. */
export function resolve(architecture: Architecture, folder: string): DebianPackage[] {
  const apt = aptOptions(architecture, folder);
  run('apt-get', [...apt, 'update']);
  const plan = run('apt-get', [...apt, '-s', 'install', '--no-install-recommends', ...ROOTS]);
  const named = [...plan.matchAll(/^Inst (\S+) \((\S+) /gm)].map((m) => ({ name: m[1]!, version: m[2]! }));
  for (const name of ALONE) {
    const version = /^ {2}Candidate: (\S+)$/m.exec(run('apt-cache', [...apt, 'policy', name]))?.[1];
    if (!version) throw new Error(`there is no package ${name}`);
    named.push({ name, version });
  }
  return named
    .filter((p) => !NOT_NEEDED.has(p.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, version }) => {
      const uri = run('apt-get', [...apt, 'download', '--print-uris', `${name}=${version}`]);
      const [, sizeBytes, sha256] = / (\d+) SHA256:([0-9a-f]{64})\s*$/.exec(uri) ?? [];
      if (!sha256) throw new Error(`apt-get has no checksum of ${name} ${version}: ${uri}`);
      const about = run('apt-cache', [...apt, 'show', `${name}=${version}`]);
      const source = /^Source: (\S+)/m.exec(about)?.[1] ?? name;
      return { name, version, source, sizeBytes: Number(sizeBytes), sha256 };
    });
}

const sha256Of = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** The packages as files of `folder`, by name: those that are not there yet are downloaded; all are verified. */
export function fetchPackages(
  architecture: Architecture,
  packages: readonly DebianPackage[],
  folder: string,
): ReadonlyMap<string, string> {
  const store = join(folder, 'debian');
  mkdirSync(store, { recursive: true });
  const pathOf = (p: DebianPackage): string => join(store, `${p.sha256}.deb`);
  const missing = packages.filter((p) => !existsSync(pathOf(p)));
  if (missing.length > 0) {
    const apt = aptOptions(architecture, folder);
    const download = mkdtempSync(join(store, 'download-'));
    try {
      run('apt-get', [...apt, 'update']);
      run('apt-get', [...apt, 'download', ...missing.map((p) => `${p.name}=${p.version}`)], { cwd: download });
      for (const file of readdirSync(download)) {
        const path = join(download, file);
        renameSync(path, join(store, `${sha256Of(path)}.deb`));
      }
    } catch (e) {
      throw new Error(
        `${(e as Error).message}\nIf Debian has replaced a version since ${readLock().date}: npm run image -- --update`,
      );
    } finally {
      rmSync(download, { recursive: true, force: true });
    }
  }
  return new Map(
    packages.map((p) => {
      const path = pathOf(p);
      if (!existsSync(path) || sha256Of(path) !== p.sha256)
        throw new Error(`${p.name} ${p.version} (${architecture}) is not the file of the lock: sha256 ${p.sha256}`);
      return [p.name, path];
    }),
  );
}

export const unpack = (path: string, folder: string): string => run('dpkg-deb', ['-x', path, folder]);
/** The package's own description, as dpkg keeps it of what is installed. */
export const controlOf = (path: string): string => run('dpkg-deb', ['-f', path]);
