/** The programs that are measured: Sluice, built when it has to be, and the peer that OTELCOL names. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Contestant } from './measure.ts';

const ROOT = join(import.meta.dirname, '..');

export function oursContestant(options: { readonly source: boolean; readonly dist: boolean }): Contestant {
  if (options.source && options.dist) throw new Error('--source and --dist exclude each other');
  const program = options.source ? join(ROOT, 'bin', 'sluice') : join(ROOT, 'dist', 'bin', 'sluice');
  if (!options.source) build(program);
  return { name: 'sluice', command: [program, 'run'], version: versionOf(program) };
}

export function peerContestant(): Contestant | undefined {
  const program = process.env['OTELCOL'];
  if (!program) return undefined;
  return { name: 'otelcol', command: [program], version: versionOf(program) };
}

function versionOf(program: string): string {
  return execFileSync(program, ['--version'], { encoding: 'utf8' }).trim();
}

/** Runs `npm run build` when dist/ is missing or older than a source file. */
function build(program: string): void {
  if (existsSync(program) && newestMs(join(ROOT, 'src')) <= newestMs(join(ROOT, 'dist'))) return;
  console.log('building dist/ …');
  const done = spawnSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
  if (done.status !== 0) throw new Error('npm run build failed; --source measures without a build');
}

function newestMs(dir: string): number {
  let newest = 0;
  for (const e of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (e.isFile()) newest = Math.max(newest, statSync(join(e.parentPath, e.name)).mtimeMs);
  }
  return newest;
}
