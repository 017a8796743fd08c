/**
 * `npm run test:examples`: the examples with the package as it ships, in a copy with their own packages. Those are 140 MB,
 * which is why they are no devDependencies of this repository.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const COPY = join(ROOT, '.cache', 'examples');

function run(command: string, args: readonly string[], cwd = COPY): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status !== 0) {
    console.error(`${command} ${args.join(' ')} ended with ${status ?? error}`);
    process.exit(1);
  }
}

mkdirSync(COPY, { recursive: true });
const lock = readFileSync(join(ROOT, 'examples', 'package-lock.json'), 'utf8');
const stamp = join(COPY, 'node_modules', '.installed');
cpSync(join(ROOT, 'examples'), COPY, { recursive: true });
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  // Their install scripts fetch programs that nothing here runs.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, lock);
}
run(process.execPath, [join(ROOT, 'tools', 'build.ts'), join(COPY, 'sluice')], ROOT);
const link = join(COPY, 'node_modules', 'sluice');
rmSync(link, { force: true });
symlinkSync(join('..', 'sluice'), link);
run(process.execPath, [
  join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'),
  ...['--project', COPY, '--typeRoots', join(ROOT, 'node_modules', '@types')],
]);
run(process.execPath, ['--test', '--test-timeout=120000', join(COPY, 'examples.test.ts')]);
