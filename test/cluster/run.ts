/**
 * `npm run test:cluster`: brings up a one-node Kubernetes, runs the tests of this folder against it, and takes it down
 * again; one that was up before is left as it was. Arguments are names of test files, in part: `-- logs events`.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { script, stateDir } from './cluster.ts';

/** Of one file; some wait a minute for the kubelet to remove logs. */
const LIMIT_MS = 15 * 60_000;

const { values: options, positionals } = parseArgs({
  options: { keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
  allowPositionals: true,
});

const HELP = `npm run test:cluster -- [options] [NAME]…
  NAME      only test files whose name contains it
  --keep    leave the cluster up; the next run is then quick (test/cluster/kubernetes/down ends it)

It needs root, Linux with apt-get, and Go. The first run compiles Kubernetes, which takes some 15 minutes.
STATE=folder and PORT_OFFSET=n as in test/cluster/kubernetes/README.md.`;

async function main(): Promise<number> {
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const files = readdirSync(import.meta.dirname)
    .filter((f) => f.endsWith('.test.ts') && (positionals.length === 0 || positionals.some((p) => f.includes(p))))
    .map((f) => join(import.meta.dirname, f));
  if (files.length === 0) {
    console.error(`no test file is called like ${positionals.join(' or ')}`);
    return 2;
  }
  if (process.getuid?.() !== 0) {
    console.error('npm run test:cluster needs root: it starts a kubelet and containers');
    return 2;
  }
  const wasUp = existsSync(join(stateDir(), 'settings'));
  const folder = mkdtempSync(join(tmpdir(), 'sluice-cluster-run-'));
  try {
    await script('up', true);
    return await test(files, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    if (!wasUp && !options.keep) await script('down', true);
  }
}

/** One file after the other: some kill the API server. `folder` is for what the files of one run do only once. */
function test(files: readonly string[], folder: string): Promise<number> {
  const args = ['--test', '--test-concurrency=1', `--test-timeout=${LIMIT_MS}`, ...files];
  const env = { ...process.env, SLUICE_CLUSTER_RUN: folder };
  const child = spawn(process.execPath, args, { stdio: 'inherit', env });
  // It has the signal as well; the cluster is taken down when it has ended.
  const ignore = (): void => {};
  process.on('SIGINT', ignore);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

process.exitCode = await main();
