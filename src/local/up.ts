/** `sluice up` and `npm start`: a demo workload in a simulated cluster, agent and gateway as processes, the embedded store and its page. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Clock, SYSTEM_CLOCK } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { agentConfig, gatewayConfig, MARK } from './agent-config.ts';
import { AgentProcess } from './agent-process.ts';
import { DemoCluster } from './demo-cluster.ts';
import { HELP, parseOptions, type UpOptions, UsageError } from './options.ts';
import { panel, plainLine, Screen, type View } from './panel.ts';
import { MetricStore } from './store/metric-store.ts';
import { startStoreServer } from './store/server.ts';
import { LogStore } from './store/store.ts';
import { type Account, verdict } from './verdict.ts';
import { type Demo, forPage, makeView, pointsOf, Rates, type Stores, type Tiers } from './view.ts';
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
/** How long agent and gateway may take to deliver the rest once nothing more is written. */
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
  const screen = out.isTTY ? new Screen(out) : undefined;
  const say = (text: string): void => (screen ? screen.say(text) : void out.write(`${text}\n`));
  const stop = new AbortController();
  const demo = options.isReal
    ? undefined
    : await startDemo(options, pods, clock, (error) => {
        say(`the workload cannot write: ${messageOf(error)}`);
        stop.abort();
      });
  const hasMetrics = HAS_HOST_METRICS || demo !== undefined;
  const kubeconfig = join(state, 'kubeconfig');
  if (demo) writeFileSync(kubeconfig, demo.cluster.kubeconfig(), { mode: 0o600 });
  const tier = async (name: 'agent' | 'gateway'): Promise<AgentProcess> => {
    const path = join(state, `${name}.yaml`);
    const storage = join(state, name === 'agent' ? 'storage' : 'gateway-storage');
    const [metricsPort, healthPort] = [await freePort(), await freePort()];
    const common = { path, storage, storeUrl: server.url, metricsPort, healthPort };
    const config =
      name === 'gateway'
        ? gatewayConfig({ ...common, kubeconfig })
        : agentConfig({
            ...common,
            pods,
            startAt: options.isReal ? 'end' : 'beginning',
            hasHostMetrics: HAS_HOST_METRICS,
            ...(demo ? { cluster: demo.cluster } : {}),
          });
    writeFileSync(path, config, { mode: 0o600 });
    return new AgentProcess({
      name,
      command: [...engine(), '--config', path],
      ...(demo ? { env: { KUBECONFIG: kubeconfig } } : {}),
      logPath: join(state, `${name}.log`),
      metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
      clock,
      say,
      onGivenUp: () => stop.abort(),
    });
  };
  const agent = await tier('agent');
  const gateway = demo && (await tier('gateway'));
  const tiers: Tiers = { agent, gateway };
  const both = gateway ? [agent, gateway] : [agent];
  say(
    `${[
      `page     ${server.url}/`,
      `charts   ${server.url}/charts`,
      `config   ${configPath}${gateway ? ' and gateway.yaml beside it' : ''}`,
      `logs     ${pods}`,
      ...(demo ? [`cluster  KUBECONFIG=${kubeconfig}: a simulated one, its API server on ${demo.cluster.apiUrl}`] : []),
      `agent    its own log is ${join(state, 'agent.log')}${gateway ? ", the gateway's gateway.log" : ''}`,
    ].join('\n')}\n`,
  );

  let signals = 0;
  const onSignal = (): void => {
    if (++signals > 1) for (const t of both) t.kill();
    stop.abort();
  };
  const onExit = (): void => {
    for (const t of both) t.kill();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal).on('exit', onExit);

  const stores: Stores = { store, metrics };
  const startedMs = clock.monotonicMs();
  const rates = new Rates();
  let plainAtMs = 0;
  const show = async (): Promise<void> => {
    await Promise.all(both.map((t) => t.look()));
    const elapsedMs = clock.monotonicMs() - startedMs;
    const rate = rates.at(elapsedMs, tiers, demo, stores);
    view = makeView(server.url, elapsedMs, tiers, demo, stores, rate, hasMetrics);
    if (screen) screen.draw(panel(view, { columns: out.columns || 80, isColoured: out.hasColors?.() ?? false }));
    else if (elapsedMs - plainAtMs >= PLAIN_MS) {
      plainAtMs = elapsedMs;
      out.write(`${plainLine(view)}\n`);
    }
  };

  try {
    for (const t of both) t.start();
    demo?.workload.start();
    const end = options.forMs === undefined ? Number.POSITIVE_INFINITY : startedMs + options.forMs;
    while (!stop.signal.aborted && clock.monotonicMs() < end) {
      await sleep(Math.max(1, Math.min(LOOK_MS, end - clock.monotonicMs())), undefined, { signal: stop.signal }).catch(
        () => {},
      );
      if (!stop.signal.aborted) await show();
    }
    demo?.cluster.pause();
    await demo?.workload.stop();
    let measured = measuredSoFar(tiers, metrics);
    const isDone = (): boolean => {
      const given = demo ? demo.workload.written.records + demo.cluster.events : 0;
      const gone = both.reduce((sum, { ledger }) => sum + ledger.filtered + ledger.lost, 0);
      return (
        both.every((t) => t.metrics !== undefined && t.ledger.inFlight === 0) &&
        store.accepted + gone >= given &&
        (!hasMetrics || both.some((t) => t.restarts > 0) || isSettled(measured))
      );
    };
    const drainUntil = clock.monotonicMs() + DRAIN_MS;
    const isRunning = (): boolean => signals < 2 && both.every((t) => t.state !== 'stopped');
    // Two looks in a row: a last line may be read between the end of the workload and the first one.
    for (let done = 0; done < 2 && isRunning() && clock.monotonicMs() < drainUntil; ) {
      await show();
      measured = measuredSoFar(tiers, metrics);
      done = isDone() ? done + 1 : 0;
      await sleep(200);
    }
    const ledger = agent.ledger;
    const events = gateway && demo && { ledger: gateway.ledger, events: demo.cluster.events };
    const ends = await Promise.all(both.map((t) => t.stop()));
    const result = verdict({
      written: demo?.workload.written.records,
      ledger,
      restarts: agent.restarts,
      ...(events ? { gateway: { ...events, restarts: gateway.restarts } } : {}),
      store: { accepted: store.accepted, kept: store.kept, repeated: store.repeated() },
      ...(hasMetrics ? { metrics: measured } : {}),
    });
    const unclean = both.filter((_, i) => !ends[i]);
    say(['', ...result.lines, ...unclean.map((t) => `PROBLEM  the ${t.name} did not stop cleanly`)].join('\n'));
    return result.isBalanced && unclean.length === 0 ? 0 : 1;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('SIGHUP', onSignal).off('exit', onExit);
    for (const t of both) t.kill();
    await demo?.cluster.close();
    await server.close();
    store.close();
    metrics.close();
  }
}

type Measured = NonNullable<Account['metrics']>;

const measuredSoFar = (tiers: Tiers, metrics: MetricStore): Measured => ({
  points: pointsOf(tiers),
  stored: metrics.accepted,
  repeated: metrics.repeated,
});

/** Nothing is on its way; measuring goes on, so that this is so only between two rounds of it. */
const isSettled = ({ points, stored }: Measured): boolean =>
  points.accepted > 0 && points.accepted === points.sent + points.failed && points.sent === stored;

async function startDemo(
  options: UpOptions,
  directory: string,
  clock: Clock,
  onError: (error: unknown) => void,
): Promise<Demo> {
  const seed = clock.nowMs() >>> 0;
  const workload = new Workload({ directory, linesPerSecond: options.linesPerSecond, clock, seed, onError });
  const cluster = new DemoCluster({ clock, seed, workload });
  await cluster.start();
  return { workload, cluster };
}

/** Logs and offsets of an earlier demo belong together and are of no use to this one. */
function prepare(state: string, configPath: string, options: UpOptions): void {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  if (options.isReal) return;
  const isOurs = existsSync(configPath) && readFileSync(configPath, 'utf8').startsWith(MARK);
  for (const name of ['pods', 'storage', 'gateway-storage']) {
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
