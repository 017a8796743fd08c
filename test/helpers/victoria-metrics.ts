/** The real VictoriaMetrics for tests: that of PATH, or Debian's package, unpacked once below node_modules. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { Agent, createServer, request, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { defer, tempDir, until } from './agent.ts';
import { ROOT } from './paths.ts';

const NAME = 'victoria-metrics';
/** Newest downloads are some 60 MB. */
const FETCH_LIMIT_MS = 280_000;

/**
 * Unpacking instead of installing: the package would start a service of its own. `flock` lets test files that run at
 * the same time share one download.
 */
const FETCH = `
test -x "$0" && exit 0
dir=$(mktemp -d "$0.XXXXXX") && trap 'rm -rf "$dir"' EXIT && cd "$dir" || exit 1
get() { apt-get -q download ${NAME}; }
get || { test "$(id -u)" = 0 && apt-get -q update && get; } || exit 1
dpkg-deb --fsys-tarfile ./*.deb | tar -x "./usr/bin/$1" && mv "usr/bin/$1" "$0"
`;

export type Program = { readonly path: string; readonly missing?: undefined } | { readonly missing: string };

/** Where the program is, or why there is none. SLUICE_VICTORIA_METRICS=path takes that of another version. */
export async function victoriaMetricsProgram(): Promise<Program> {
  const chosen = process.env['SLUICE_VICTORIA_METRICS'];
  return chosen ? { path: chosen } : programOfPackage(NAME);
}

/** It is in the same package. */
export const vmalertProgram = (): Promise<Program> => programOfPackage('vmalert');

async function programOfPackage(name: string): Promise<Program> {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = folders.map((f) => join(f, name)).find((p) => existsSync(p));
  if (found) return { path: found };
  for (const tool of ['apt-get', 'dpkg-deb', 'flock'])
    if (!folders.some((f) => existsSync(join(f, tool))))
      return { missing: `there is no ${name} on PATH and no ${tool} to get it with` };
  const cache = join(ROOT, 'node_modules', '.cache');
  const path = join(cache, `${name}-${process.arch}`);
  mkdirSync(cache, { recursive: true });
  try {
    await promisify(execFile)('flock', [`${path}.lock`, 'sh', '-c', FETCH, path, name], { timeout: FETCH_LIMIT_MS });
    return { path };
  } catch (e) {
    const { stderr, message } = e as { stderr?: string; message: string };
    return { missing: `apt-get brought no ${NAME}: ${(stderr?.trim().split('\n').at(-1) || message).slice(0, 300)}` };
  }
}

export type Labels = Readonly<Record<string, string>>;

export interface StoredSeries {
  /** With `__name__`. */
  readonly labels: Labels;
  /** In order of time, in milliseconds. */
  readonly samples: readonly (readonly [timeMs: number, value: number])[];
}

export interface VictoriaMetrics {
  readonly url: string;
  /** Where remote write goes to. */
  readonly writeUrl: string;
  /** Starts it (again) on what it has stored. */
  start(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Puts all that it has answered for onto disk, so that it is there after a kill. */
  sync(): Promise<void>;
  /** An instant query now, or at that time. */
  query(expression: string, timeMs?: number): Promise<{ labels: Labels; value: number }[]>;
  /** All stored samples of the series that match. */
  stored(match: string): Promise<StoredSeries[]>;
}

function seriesOf(lines: string): StoredSeries[] {
  const byLabels = new Map<string, { labels: Labels; samples: [number, number][] }>();
  for (const line of lines.split('\n').filter((l) => l !== '')) {
    const { metric, values, timestamps } = JSON.parse(line) as {
      metric: Labels;
      values: (number | null)[];
      timestamps: number[];
    };
    const key = JSON.stringify(Object.entries(metric).sort());
    let series = byLabels.get(key);
    if (!series) byLabels.set(key, (series = { labels: metric, samples: [] }));
    for (const [i, time] of timestamps.entries()) series.samples.push([time, values[i] ?? Number.NaN]);
  }
  for (const s of byLabels.values()) s.samples.sort((a, b) => a[0] - b[0]);
  return [...byLabels.values()];
}

/**
 * Runs it on a port and in a folder of its own, on one address (the node's when pods are to reach it); killed when the
 * test ends. With the prefix `/insert/0/prometheus` it takes what a vminsert takes.
 */
export async function startVictoriaMetrics(
  t: TestContext,
  program: Program,
  host = '127.0.0.1',
  pathPrefix = '',
): Promise<VictoriaMetrics> {
  assert.ok(program.missing === undefined);
  const { path } = program;
  const storage = tempDir(t);
  let url = '';
  let child: ChildProcess | undefined;
  let output = '';

  const ask = async (what: string, parameters?: Record<string, string>): Promise<string> => {
    const r = await fetch(url + what, parameters && { method: 'POST', body: new URLSearchParams(parameters) });
    const text = await r.text();
    assert.equal(r.status, 200, `${what}: ${text}`);
    return text;
  };
  const answers = async (): Promise<boolean> => {
    try {
      return (await fetch(`${url}/health`)).ok;
    } catch {
      return false;
    }
  };
  const kill = async (): Promise<void> => {
    const one = child;
    child = undefined;
    if (!one) return;
    const gone = one.exitCode === null && one.signalCode === null ? once(one, 'exit') : undefined;
    one.kill('SIGKILL');
    await gone;
  };
  defer(t, kill);

  const vm: VictoriaMetrics = {
    get url() {
      return url;
    },
    get writeUrl() {
      return `${url}/api/v1/write`;
    },
    async start() {
      await kill();
      const port = await portForLong(host);
      url = `http://${host}:${port}${pathPrefix}`;
      const one = spawn(
        path,
        [
          `-storageDataPath=${storage}`,
          `-httpListenAddr=${host}:${port}`,
          ...(pathPrefix === '' ? [] : [`-http.pathPrefix=${pathPrefix}`]),
          '-retentionPeriod=100y',
          // Samples of this very moment are found.
          '-search.latencyOffset=0s',
          '-search.disableCache',
          // It would take most of the memory otherwise.
          '-memory.allowedBytes=200MiB',
        ],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      child = one;
      output = '';
      const keep = (d: Buffer): void => {
        output = (output + d).slice(-5000);
      };
      one.stdout!.on('data', keep);
      one.stderr!.on('data', keep);
      one.on('error', (e) => keep(Buffer.from(e.message)));
      const ended = (): boolean => one.pid === undefined || one.exitCode !== null || one.signalCode !== null;
      await until(async () => ended() || (await answers()), 'VictoriaMetrics to answer');
      assert.ok(!ended(), `VictoriaMetrics ended: ${output}`);
    },
    kill,
    sync: async () => void (await ask('/snapshot/create')),
    async query(expression, timeMs = Date.now()) {
      await ask('/internal/force_flush');
      const text = await ask('/api/v1/query', { query: expression, time: String(timeMs / 1000), nocache: '1' });
      const { data } = JSON.parse(text) as { data: { result: { metric: Labels; value: [number, string] }[] } };
      return data.result.map((r) => ({ labels: r.metric, value: Number(r.value[1]) }));
    },
    async stored(match) {
      // Without an end the last second may be left out.
      await ask('/internal/force_flush');
      return seriesOf(await ask('/api/v1/export', { 'match[]': match, end: String(Date.now() / 1000 + 60) }));
    },
  };
  await vm.start();
  return vm;
}

/** Stands between a sender and a server, so that a test decides between which requests the server goes away. */
export interface Gate {
  readonly url: string;
  /** Requests that the server has answered, by status and content encoding: `204 snappy`. */
  readonly answered: ReadonlyMap<string, number>;
  /** Requests that wait since `hold`. */
  readonly waiting: number;
  /** From now on requests wait; resolves when the server has answered all before. */
  hold(): Promise<void>;
  /** Cuts all connections, those of waiting requests too, and refuses new ones. */
  close(): Promise<void>;
  /** To that server, from now on. */
  open(target: string): Promise<void>;
}

/** Below the ports that the system gives to connections: so it stays free while its server is away for a time. */
export async function portForLong(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = 16_000 + Math.floor(Math.random() * 16_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, host, () => resolve(true));
    });
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

export async function startGate(t: TestContext): Promise<Gate> {
  const port = await portForLong();
  const answered = new Map<string, number>();
  const sockets = new Set<Socket>();
  const connections = new Agent({ keepAlive: false });
  let target = '';
  let isHeld = false;
  let waiting = 0;
  let underWay = 0;
  let server: Server | undefined;

  const listen = (): Promise<void> => {
    server = createServer((req, res) => {
      if (isHeld) {
        waiting++;
        return;
      }
      underWay++;
      const out = request(target + req.url, { method: req.method, headers: req.headers, agent: connections });
      out.on('close', () => underWay--);
      out.on('error', () => req.socket.destroy());
      out.on('response', (answer) => {
        const what = `${answer.statusCode} ${req.headers['content-encoding']}`;
        answered.set(what, (answered.get(what) ?? 0) + 1);
        res.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(res);
      });
      req.pipe(out);
    });
    server.on('connection', (s: Socket) => {
      sockets.add(s);
      s.on('error', () => s.destroy());
      s.on('close', () => sockets.delete(s));
    });
    return new Promise((resolve, reject) => {
      server!.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
  };
  const gate: Gate = {
    url: `http://127.0.0.1:${port}`,
    answered,
    get waiting() {
      return waiting;
    },
    async hold() {
      waiting = 0;
      isHeld = true;
      await until(() => underWay === 0, 'answers to requests that are under way');
    },
    async close() {
      if (!server) return;
      const closed = once(server, 'close');
      server.close();
      server = undefined;
      for (const s of sockets) s.destroy();
      await closed;
    },
    async open(to) {
      target = to;
      isHeld = false;
      if (!server) await listen();
    },
  };
  defer(t, () => gate.close());
  return gate;
}
