/** Runs the programs that the image is made with: apt-get, dpkg-deb, tar, npm, git. */
import { spawnSync } from 'node:child_process';

export interface RunOptions {
  readonly cwd?: string;
}

/** What it prints; an error with its last lines when it fails or is not there. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): string {
  const r = spawnSync(program, args, {
    ...options,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (r.error) throw new Error(`${program}: ${r.error.message}`);
  if (r.status !== 0) {
    const said = `${r.stdout}\n${r.stderr}`.trim().split('\n').slice(-40).join('\n');
    throw new Error(`${program} ${args.slice(-3).join(' ')} failed:\n${said}`);
  }
  return r.stdout;
}
