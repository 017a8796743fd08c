/** Runs the real VictoriaLogs on a port and in a folder of its own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { defer, tempDir, until } from '../agent.ts';
import { portForLong } from '../victoria-metrics.ts';

export interface RealServer {
  readonly url: string;
  /** Its own metrics, by series as it writes them: `vl_streams_created_total`. */
  metrics(): Promise<ReadonlyMap<string, number>>;
  /** What it has answered for is found from now on; otherwise that takes up to a second. */
  flush(): Promise<void>;
  /** Waits until all that it has answered for is on disk, so that it is there after a kill. */
  sync(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again on what it has stored. */
  start(): Promise<void>;
}

/** Killed when the test ends. */
export async function startRealVictoriaLogs(t: TestContext, program: string): Promise<RealServer> {
  const storage = tempDir(t);
  let url = '';
  let child: ChildProcess | undefined;
  const get = async (path: string): Promise<string> => {
    const r = await fetch(url + path);
    const text = await r.text();
    assert.equal(r.status, 200, `${path}: ${text}`);
    return text;
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
  const server: RealServer = {
    get url() {
      return url;
    },
    async metrics() {
      const lines = (await get('/metrics')).matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm);
      return new Map([...lines].map((m) => [m[1]!, Number(m[2])]));
    },
    flush: async () => void (await get('/internal/force_flush')),
    async sync() {
      await server.flush();
      const inMemory = async () => (await server.metrics()).get('vl_storage_rows{type="storage/inmemory"}');
      await until(async () => (await inMemory()) === 0, 'VictoriaLogs to write everything to disk');
    },
    kill,
    async start() {
      await kill();
      const port = await portForLong();
      url = `http://127.0.0.1:${port}`;
      const one = spawn(
        program,
        [
          `-storageDataPath=${storage}`,
          `-httpListenAddr=127.0.0.1:${port}`,
          '-retentionPeriod=100y',
          '-inmemoryDataFlushInterval=1s',
          // It would take most of the memory otherwise.
          '-memory.allowedBytes=200MiB',
        ],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      child = one;
      let output = '';
      const keep = (d: Buffer): void => {
        output = (output + d).slice(-5000);
      };
      one.stdout!.on('data', keep);
      one.stderr!.on('data', keep);
      one.on('error', (e) => keep(Buffer.from(e.message)));
      const ended = (): boolean => one.pid === undefined || one.exitCode !== null || one.signalCode !== null;
      const answers = () =>
        fetch(`${url}/health`).then(
          (r) => r.ok,
          () => false,
        );
      await until(async () => ended() || (await answers()), 'VictoriaLogs to answer');
      assert.ok(!ended(), `VictoriaLogs ended: ${output}`);
    },
  };
  await server.start();
  return server;
}
