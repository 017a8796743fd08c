/**
 * The real VictoriaLogs: SLUICE_VICTORIA_LOGS=path, that of PATH, or, where Go is, built once below node_modules from
 * go.mod and go.sum beside this. v1.121.0 is the last release of that module with VictoriaLogs in it: later ones are a
 * project of their own that is not to be had as a Go module.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../paths.ts';
import type { Program } from '../victoria-metrics.ts';

const NAME = 'victoria-logs';
const PACKAGE = 'github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-logs';
/** With nothing in Go's caches it takes one minute on two busy cores. */
const BUILD_LIMIT_SECONDS = 200;
const WAIT_LIMIT_SECONDS = 240;

/** `flock` lets test files that run at the same time share one build; `timeout` ends the compilers too. */
const BUILD = `
test -x "$0" && exit 0
trap 'rm -f "$0.new"' EXIT
timeout --kill-after=5 ${BUILD_LIMIT_SECONDS} \\
  go build -mod=readonly -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o "$0.new" ${PACKAGE} && mv "$0.new" "$0"
`;

/** No other compiler is fetched, none for C is needed, and the result is the same bytes everywhere. */
const SETTINGS = { GOTOOLCHAIN: 'local', CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' };

/** Where the program is, or why there is none. SLUICE_VICTORIA_LOGS=model does without. */
export async function victoriaLogsProgram(): Promise<Program> {
  const chosen = process.env['SLUICE_VICTORIA_LOGS'];
  if (chosen === 'model') return { missing: 'SLUICE_VICTORIA_LOGS=model' };
  if (chosen) return { path: chosen };
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const onPath = folders.map((f) => join(f, NAME)).find((p) => existsSync(p));
  if (onPath) return { path: onPath };
  const here = import.meta.dirname;
  const pinned = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) pinned.update(readFileSync(join(here, file)));
  const cache = join(ROOT, 'node_modules', '.cache');
  const path = join(cache, `${NAME}-${process.arch}-${pinned.digest('hex').slice(0, 12)}`);
  if (existsSync(path)) return { path };
  for (const tool of ['go', 'flock', 'timeout'])
    if (!folders.some((f) => existsSync(join(f, tool))))
      return { missing: `there is no ${NAME} on PATH and no ${tool} to build it with` };
  mkdirSync(cache, { recursive: true });
  try {
    await promisify(execFile)('flock', ['-w', String(WAIT_LIMIT_SECONDS), `${path}.lock`, 'sh', '-c', BUILD, path], {
      cwd: here,
      env: { ...process.env, ...SETTINGS },
    });
    return { path };
  } catch (e) {
    const { stderr = '', message, code } = e as { stderr?: string; message: string; code?: number };
    const said = stderr.split('\n').find((l) => l.trim() !== '' && !l.startsWith('go: downloading'));
    const why = code === 124 ? `it took longer than ${BUILD_LIMIT_SECONDS} s` : (said ?? message);
    return { missing: `go build brought no ${NAME}: ${why.slice(0, 300)}` };
  }
}
