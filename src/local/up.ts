/** `sluice up` and `npm start`: a demo workload, the agent as its own process, the embedded store and its page. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { agentConfig, MARK } from './agent-config.ts';
import { AgentProcess } from './agent-process.ts';
import { HELP, parseOptions, type UpOptions, UsageError } from './options.ts';
import { panel, plainLine, Screen, type View } from './panel.ts';
import { MetricStore } from './store/metric-store.ts';
import { startStoreServer } from './store/server.ts';
import { LogStore } from './store/store.ts';
import { type Account, verdict } from './verdict.ts';
import { Workload } from './workload/workload.ts';

const REAL_PODS = '/var/log/pods';
const MAX_ROWS = 500_000;
const MAX_SAMPLES = 1_000_000;
const MAX_SERIES = 50_000;
const MAX_AGE_MS = 6 * 3_600_000;
/** Only there are files in /proc to measure by. */
const HAS_HOST_METRICS = process.platform === 'linux';
const LOOK_MS = 1000;
/** Between plain lines, when the output is no terminal. */
const PLAIN_MS = 5000;
/** Rates are means over the last so many milliseconds, so that batches of a second do not make them jump. */
const RATE_MS = 5000;
/** How long the agent may take to deliver the rest once nothing more is written. */
const DRAIN_MS = 30_000;

/** Where this writes; a terminal gets the panel. */
const out = process.stdout;

/** Exit code: 0 when all that was written was delivered, 1 when not, 2 for a wrong command line. */
export async function up(args: readonly string[]): Promise<number> {
  let options: UpOptions | 'help';
  try {
    options = parseOptions(args);
    if (options !== 'help' && options.isReal && !existsSync(REAL_PODS))
      throw new UsageError(`--real reads ${REAL_PODS}, which is not there: this machine is no Kubernetes node`);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`sluice up: ${error.message}\nsluice up --help tells more\n`);
    return 2;
  }
  if (options === 'help') {
    out.write(HELP);
    return 0;
  }
  const state = options.state === undefined ? mkdtempSync(join(tmpdir(), 'sluice-up-')) : resolve(options.state);
  try {
    return await run(options, state);
  } finally {
    if (options.state === undefined) rmSync(state, { recursive: true, force: true });
  }
}

async function run(options: UpOptions, state: string): Promise<number> {
  const clock = SYSTEM_CLOCK;
  const configPath = join(state, 'agent.yaml');
  const pods = options.isReal ? REAL_PODS : join(state, 'pods');
  const storage = join(state, 'storage');
  prepare(state, configPath, options);

  const store = new LogStore({ path: join(state, 'store.db'), maxRows: MAX_ROWS, maxAgeMs: MAX_AGE_MS });
  const metrics = new MetricStore({
    path: join(state, 'metrics.db'),
    maxSamples: MAX_SAMPLES,
    maxSeries: MAX_SERIES,
    maxAgeMs: MAX_AGE_MS,
  });
  let view: View | undefined;
  const server = await startStoreServer({
    store,
    metrics,
    clock,
    port: options.port,
    status: () => ({ view: view && forPage(view), config: configPath }),
  });
  const [metricsPort, healthPort] = await Promise.all([freePort(), freePort()]);
  writeFileSync(
    configPath,
    agentConfig({
      path: configPath,
      pods,
      storage,
      storeUrl: server.url,
      metricsPort,
      healthPort,
      startAt: options.isReal ? 'end' : 'beginning',
      hasHostMetrics: HAS_HOST_METRICS,
    }),
    { mode: 0o600 },
  );

  const screen = out.isTTY ? new Screen(out) : undefined;
  const say = (text: string): void => (screen ? screen.say(text) : void out.write(`${text}\n`));
  say(
    `page     ${server.url}/\ncharts   ${server.url}/charts\nconfig   ${configPath}\nlogs     ${pods}\nagent    its own log is ${join(state, 'agent.log')}\n`,
  );

  const stop = new AbortController();
  const agent = new AgentProcess({
    command: [...engine(), '--config', configPath],
    logPath: join(state, 'agent.log'),
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    clock,
    say,
    onGivenUp: () => stop.abort(),
  });
  const workload = options.isReal
    ? undefined
    : new Workload({
        directory: pods,
        linesPerSecond: options.linesPerSecond,
        clock,
        seed: clock.nowMs() >>> 0,
        onError: (error) => {
          say(`the workload cannot write: ${messageOf(error)}`);
          stop.abort();
        },
      });
  let signals = 0;
  const onSignal = (): void => {
    if (++signals > 1) agent.kill();
    stop.abort();
  };
  const onExit = (): void => agent.kill();
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal).on('exit', onExit);

  const stores: Stores = { store, metrics };
  const startedMs = clock.monotonicMs();
  const rates = new Rates();
  let plainAtMs = 0;
  const show = async (): Promise<void> => {
    await agent.look();
    const elapsedMs = clock.monotonicMs() - startedMs;
    view = makeView(server.url, elapsedMs, agent, workload, stores, rates.at(elapsedMs, agent, workload, stores));
    if (screen) screen.draw(panel(view, { columns: out.columns || 80, isColoured: out.hasColors?.() ?? false }));
    else if (elapsedMs - plainAtMs >= PLAIN_MS) {
      plainAtMs = elapsedMs;
      out.write(`${plainLine(view)}\n`);
    }
  };

  try {
    agent.start();
    workload?.start();
    const end = options.forMs === undefined ? Number.POSITIVE_INFINITY : startedMs + options.forMs;
    while (!stop.signal.aborted && clock.monotonicMs() < end) {
      await sleep(Math.max(1, Math.min(LOOK_MS, end - clock.monotonicMs())), undefined, { signal: stop.signal }).catch(
        () => {},
      );
      if (!stop.signal.aborted) await show();
    }
    await workload?.stop();
    let measured = measuredSoFar(agent, metrics);
    const isDone = (): boolean =>
      agent.metrics !== undefined &&
      agent.ledger.inFlight === 0 &&
      (workload === undefined ||
        store.accepted + agent.ledger.filtered + agent.ledger.lost >= workload.written.records) &&
      (!HAS_HOST_METRICS || agent.restarts > 0 || isSettled(measured));
    const drainUntil = clock.monotonicMs() + DRAIN_MS;
    // Two looks in a row: a last line may be read between the end of the workload and the first one.
    for (let done = 0; done < 2 && signals < 2 && agent.state !== 'stopped' && clock.monotonicMs() < drainUntil; ) {
      await show();
      measured = measuredSoFar(agent, metrics);
      done = isDone() ? done + 1 : 0;
      await sleep(200);
    }
    const { ledger } = agent;
    const wentWell = await agent.stop();
    const result = verdict({
      written: workload?.written.records,
      ledger,
      restarts: agent.restarts,
      store: { accepted: store.accepted, kept: store.kept, repeated: store.repeated() },
      ...(HAS_HOST_METRICS ? { metrics: measured } : {}),
    });
    say(['', ...result.lines, ...(wentWell ? [] : ['PROBLEM  the agent did not stop cleanly'])].join('\n'));
    return result.isBalanced && wentWell ? 0 : 1;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('SIGHUP', onSignal).off('exit', onExit);
    agent.kill();
    await server.close();
    store.close();
    metrics.close();
  }
}

type Measured = NonNullable<Account['metrics']>;

const measuredSoFar = (agent: AgentProcess, metrics: MetricStore): Measured => ({
  points: agent.points,
  stored: metrics.accepted,
  repeated: metrics.repeated,
});

/** Nothing is on its way; measuring goes on, so that this is so only between two rounds of it. */
const isSettled = ({ points, stored }: Measured): boolean =>
  points.accepted > 0 && points.accepted === points.sent + points.failed && points.sent === stored;

/** Logs and offsets of an earlier demo belong together and are of no use to this one. */
function prepare(state: string, configPath: string, options: UpOptions): void {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  if (options.isReal) return;
  const isOurs = existsSync(configPath) && readFileSync(configPath, 'utf8').startsWith(MARK);
  for (const name of ['pods', 'storage']) {
    const path = join(state, name);
    if (!existsSync(path)) continue;
    if (!isOurs) throw new Error(`${path} is there already and not from here; choose another --state`);
    rmSync(path, { recursive: true });
  }
}

/** The command that starts a collector like this one; in the bundle this file lies one folder higher. */
function engine(): string[] {
  const path = import.meta.url.endsWith('.ts') ? '../../bin/sluice' : '../bin/sluice';
  return [fileURLToPath(new URL(path, import.meta.url))];
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once('error', fail);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => done(port));
    });
  });
}

interface Stores {
  readonly store: LogStore;
  readonly metrics: MetricStore;
}

interface Rate {
  written: number;
  read: number;
  bytes: number;
  stored: number;
  samples: number;
}

class Rates {
  readonly #samples: (Rate & { readonly atMs: number })[] = [
    { atMs: 0, written: 0, read: 0, bytes: 0, stored: 0, samples: 0 },
  ];

  at(atMs: number, agent: AgentProcess, workload: Workload | undefined, stores: Stores): Rate {
    const now = {
      atMs,
      written: workload?.written.records ?? 0,
      read: agent.ledger.read,
      bytes: agent.ledger.readBytes,
      stored: stores.store.accepted,
      samples: stores.metrics.accepted,
    };
    this.#samples.push(now);
    while (this.#samples.length > 2 && atMs - this.#samples[1]!.atMs > RATE_MS) this.#samples.shift();
    const first = this.#samples[0]!;
    const seconds = Math.max((now.atMs - first.atMs) / 1000, 0.001);
    const per = (k: keyof Rate): number => Math.max(0, (now[k] - first[k]) / seconds);
    return {
      written: per('written'),
      read: per('read'),
      bytes: per('bytes'),
      stored: per('stored'),
      samples: per('samples'),
    };
  }
}

const makeView = (
  url: string,
  elapsedMs: number,
  agent: AgentProcess,
  workload: Workload | undefined,
  { store, metrics }: Stores,
  rate: Rate,
): View => ({
  url: `${url}/`,
  elapsedMs,
  ...(workload
    ? {
        workload: {
          perSecond: rate.written,
          records: workload.written.records,
          containers: workload.containers,
          rotations: workload.written.rotations,
        },
      }
    : {}),
  agent: {
    ...(agent.pid === undefined ? {} : { pid: agent.pid }),
    state: agent.state,
    restarts: agent.restarts,
    rssBytes: agent.metrics?.rssBytes ?? 0,
    cpuShare: agent.cpuShare,
    bytesPerSecond: rate.bytes,
  },
  ledger: agent.ledger,
  readPerSecond: rate.read,
  deliveredPerSecond: rate.stored,
  stored: store.kept,
  ...(HAS_HOST_METRICS
    ? {
        metrics: {
          points: agent.points,
          stored: metrics.accepted,
          series: metrics.seriesCount,
          perSecond: rate.samples,
        },
      }
    : {}),
});

/** Maps do not survive JSON. */
const forPage = (view: View): unknown => ({
  ...view,
  ledger: { ...view.ledger, lostBy: Object.fromEntries(view.ledger.lostBy) },
});
