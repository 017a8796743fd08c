/** A real container registry for tests, and the skopeo that pushes into it: Debian's, unpacked once below node_modules. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { defer, tempDir, until } from './agent.ts';
import { ROOT } from './paths.ts';
import { portForLong } from './victoria-metrics.ts';

const PACKAGES = ['docker-registry', 'skopeo'];
/** Some 10 MB. */
const FETCH_LIMIT_MS = 120_000;

/**
 * Unpacking instead of installing: the registry would start as a service. apt knows which of the libraries that they need
 * are not on this machine. `flock` lets test files that run at the same time share one download.
 */
const FETCH = `
test -d "$0" && exit 0
dir=$(mktemp -d "$0.XXXXXX") && trap 'rm -rf "$dir"' EXIT && cd "$dir" && mkdir all || exit 1
get() {
  plan=$(apt-get -s install --no-install-recommends ${PACKAGES.join(' ')}) || return 1
  apt-get -q download $(printf '%s\\n' "$plan" | sed -n 's/^Inst \\([^ ]*\\).*/\\1/p')
}
get || { test "$(id -u)" = 0 && apt-get -q update && get; } || exit 1
for deb in ./*.deb; do dpkg-deb -x "$deb" all || exit 1; done
mv all "$0"
`;

export interface RegistryPrograms {
  readonly registry: string;
  readonly skopeo: string;
  /** Where their libraries are, besides the machine's. */
  readonly libraries: readonly string[];
  readonly missing?: undefined;
}

/** Where the two programs are, or why they are not. */
export async function registryPrograms(): Promise<RegistryPrograms | { readonly missing: string }> {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const onPath = (name: string) => folders.map((f) => join(f, name)).find((p) => existsSync(p));
  const [registry, skopeo] = [onPath('docker-registry'), onPath('skopeo')];
  if (registry && skopeo) return { registry, skopeo, libraries: [] };
  for (const tool of ['apt-get', 'dpkg-deb', 'flock'])
    if (!onPath(tool))
      return { missing: `there is no ${PACKAGES.join(' and ')} on PATH and no ${tool} to get them with` };
  const cache = join(ROOT, 'node_modules', '.cache');
  const root = join(cache, `registry-${process.arch}`);
  mkdirSync(cache, { recursive: true });
  try {
    await promisify(execFile)('flock', [`${root}.lock`, 'sh', '-c', FETCH, root], { timeout: FETCH_LIMIT_MS });
  } catch (e) {
    const { stderr, message } = e as { stderr?: string; message: string };
    const why = (stderr?.trim().split('\n').at(-1) || message).slice(0, 300);
    return { missing: `apt-get brought no ${PACKAGES.join(' and ')}: ${why}` };
  }
  const libraries = ['lib', 'usr/lib']
    .map((lib) => join(root, lib))
    .filter((lib) => existsSync(lib))
    .flatMap((lib) =>
      readdirSync(lib)
        .filter((f) => f.includes('-linux-'))
        .map((f) => join(lib, f)),
    );
  const program = (name: string) => onPath(name) ?? join(root, 'usr/bin', name);
  return { registry: program('docker-registry'), skopeo: program('skopeo'), libraries };
}

export interface Registry {
  /** `localhost:PORT`: clients and container runtimes speak plain HTTP with that name. */
  readonly host: string;
  /** A folder with a `skopeo` that takes it as it is; for PATH. */
  readonly bin: string;
  /** Its access log. */
  readonly log: string;
}

/** Runs it empty, on a port of its own; ends when the test does. */
export async function startRegistry(t: TestContext, programs: RegistryPrograms): Promise<Registry> {
  const dir = tempDir(t);
  const host = `localhost:${await portForLong()}`;
  const address = host.replace('localhost', '127.0.0.1');
  const config = join(dir, 'config.yml');
  const storage = { filesystem: { rootdirectory: join(dir, 'data') } };
  writeFileSync(config, JSON.stringify({ version: '0.1', log: { level: 'info' }, storage, http: { addr: address } }));

  // What a machine says of a registry without TLS; and whose signatures count: Debian's default.
  const home = join(dir, 'home');
  const containers = join(home, '.config', 'containers');
  mkdirSync(containers, { recursive: true });
  writeFileSync(join(containers, 'registries.conf'), `[[registry]]\nlocation = "${host}"\ninsecure = true\n`);
  writeFileSync(join(containers, 'policy.json'), '{"default": [{"type": "insecureAcceptAnything"}]}');
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  const libraries = programs.libraries.join(':');
  const wrapper = `#!/bin/sh\nexport HOME='${home}' LD_LIBRARY_PATH='${libraries}'\nexec '${programs.skopeo}' "$@"\n`;
  writeFileSync(join(bin, 'skopeo'), wrapper);
  chmodSync(join(bin, 'skopeo'), 0o755);

  let log = '';
  const env = { ...process.env, LD_LIBRARY_PATH: libraries };
  const child = spawn(programs.registry, ['serve', config], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const keep = (d: Buffer): void => void (log += d);
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.on('error', (e) => keep(Buffer.from(e.message)));
  const isEnded = (): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  defer(t, async () => {
    if (isEnded()) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const answers = async (): Promise<boolean> => {
    try {
      return (await fetch(`http://${address}/v2/`)).ok;
    } catch {
      return false;
    }
  };
  await until(async () => isEnded() || (await answers()), 'the registry to answer');
  assert.ok(!isEnded(), `the registry ended: ${log}`);
  return {
    host,
    bin,
    get log() {
      return log;
    },
  };
}
