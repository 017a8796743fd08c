/** One round: gateway and agent as processes, an API server in trouble, and then the account. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CollectorProcess, startCollector, stopCollector, waitFor } from '../../../bench/process.ts';
import type { KubernetesObject } from '../../../src/kubernetes/object.ts';
import { ledgerLines, ledgerProblems } from '../ledger.ts';
import { eventProblems, isCurrent, lineProblems, missingEvents, pointProblems, type WrittenLine } from './judge.ts';
import { agentConfig, gatewayConfig, type KubernetesPlan } from './plan.ts';
import { KubernetesSink } from './sink.ts';
import { NODES, World } from './world.ts';

export interface KubernetesResult {
  readonly problems: readonly string[];
  readonly events: number;
  readonly repeated: number;
  readonly lines: number;
  readonly lists: number;
  readonly gones: number;
  readonly kills: number;
  readonly requests: number;
  /** From the end of the last fault until everything was as at the server. */
  readonly caughtUpMs: number;
}

const START_MS = 30_000;
/** Waits between attempts grow to 15 s while the server is away; a list that fails then is tried once more. */
const CATCH_UP_MS = 40_000;
const STOP_GRACE_MS = 15_000;
const LINES_MS = 100;
const ROLLOUT_MS = 700;
const MAX_LOG_LINES = 1500;

class PodLogs {
  readonly written: WrittenLine[] = [];
  readonly #dir: string;
  readonly #world: World;
  #count = 0;

  constructor(dir: string, world: World) {
    this.#dir = dir;
    this.#world = world;
  }

  pods(): KubernetesObject[] {
    return this.#world.cluster
      .podsOf(NODES[0]!)
      .filter((p) => (p['status'] as { phase?: string } | undefined)?.phase === 'Running');
  }

  write(pod: KubernetesObject): void {
    const { namespace, name, uid } = pod.metadata;
    const dir = join(this.#dir, `${namespace}_${name}_${uid}`, 'app');
    if (!existsSync(dir)) mkdirSync(dir, { recursive: true });
    const body = `line-${++this.#count}`;
    this.written.push({ pod, body });
    appendFileSync(join(dir, '0.log'), `${new Date().toISOString().replace('Z', '000000Z')} stdout F ${body}\n`);
  }

  writeAll(): void {
    for (const pod of this.pods()) this.write(pod);
  }
}

export async function runKubernetesRound(
  plan: KubernetesPlan,
  command: readonly string[],
  dir: string,
): Promise<KubernetesResult> {
  const problems: string[] = [];
  const paths = { pods: join(dir, 'pods') };
  mkdirSync(paths.pods);
  mkdirSync(join(dir, 'storage-0'));
  writeFileSync(join(dir, 'plan.json'), JSON.stringify(plan, undefined, 2));
  writeFileSync(join(dir, 'gateway.yaml'), gatewayConfig(plan));
  writeFileSync(join(dir, 'agent.yaml'), agentConfig());
  const world = new World(plan, dir);
  await world.listen();
  const sink = new KubernetesSink();
  sink.latencyMs = plan.latencyMs;
  const destination = await sink.listen();
  const logs = new PodLogs(paths.pods, world);
  const kills: { life: number; atMs: number }[] = [];
  let life = 0;
  /** Of the gateway; a rollout gives the next one an empty directory, as a new pod has. */
  let storage = join(dir, 'storage-0');
  if (plan.hasElector) world.requests.restless.add('gateway');

  const start = (client: 'gateway' | 'agent'): CollectorProcess => {
    world.requests.started(client);
    return startCollector({
      command,
      configPath: join(dir, `${client}.yaml`),
      env: {
        DESTINATION: `${destination}/${client === 'agent' ? client : `${client}-${life}`}`,
        KUBECONFIG: world.kubeconfig(client),
        STORAGE: storage,
        PODS: paths.pods,
        K8S_NODE_NAME: NODES[0]!,
      },
      logPath: join(dir, client === 'agent' ? 'agent.log' : `gateway-${life}.log`),
    });
  };
  let gateway = start('gateway');
  const agent = start('agent');
  const isAlive = (): boolean => gateway.alive() && agent.alive();
  const isWatching = (): boolean => [...world.requests.watches].some((w) => w.isEvents && w.client === 'gateway');
  let writing: NodeJS.Timeout | undefined;
  let caughtUpMs = 0;
  try {
    if (!(await waitFor(() => (isWatching() && sink.points.length > 0) || !isAlive(), START_MS)))
      problems.push('gateway and agent did not begin');
    world.stir();
    writing = setInterval(() => {
      const pods = logs.pods();
      const pod = pods[logs.written.length % Math.max(1, pods.length)];
      if (pod) logs.write(pod);
    }, LINES_MS);
    const begun = performance.now();
    const restart = async (): Promise<void> => {
      if (gateway.alive()) {
        world.requests.leaves('gateway');
        kills.push({ life, atMs: performance.now() });
        gateway.child.kill('SIGKILL');
      }
      await gateway.exited;
      life++;
      gateway = start('gateway');
    };
    /** The next one waits for the lease; without one there are never two. */
    const rollOut = async (): Promise<void> => {
      const before = gateway;
      // One that has hardly begun knows no signals yet.
      const log = join(dir, `gateway-${life}.log`);
      await waitFor(() => readFileSync(log, 'utf8').includes('Everything is ready') || !before.alive(), START_MS);
      life++;
      if (plan.hasElector) {
        mkdirSync((storage = join(dir, `storage-${life}`)));
        gateway = start('gateway');
        await sleep(ROLLOUT_MS);
      }
      world.requests.leaves('gateway');
      const ended = await stopCollector(before, STOP_GRACE_MS);
      if (ended !== 0) problems.push(`after SIGTERM the gateway ended with ${ended}`);
      if (!plan.hasElector) gateway = start('gateway');
    };
    /** One thing at a time is done to the processes. */
    let busy: Promise<void> = Promise.resolve();
    const inTrouble = plan.faults.map(async (fault) => {
      await sleep(Math.max(0, begun + fault.atMs - performance.now()));
      if (fault.kind === 'kill') await (busy = busy.then(restart));
      if (fault.kind === 'rollout') await (busy = busy.then(rollOut));
      await world.apply(fault);
    });
    await Promise.all([...inTrouble, sleep(plan.durationMs)]);
    clearInterval(writing);
    world.calm();
    const calmAt = performance.now();
    const late = await stragglers(world, sink, logs, isAlive);
    caughtUpMs = performance.now() - calmAt;
    if (late.length > 0) problems.push(`after ${Math.round(caughtUpMs / 1000)} s:`, ...late.slice(0, 10));
    // What is sent twice comes soon after.
    await sleep(500);
    for (const [name, running] of [
      ['gateway', gateway],
      ['agent', agent],
    ] as const)
      if (!running.alive()) problems.push(`the ${name} ended by itself with ${await running.exited}`);
    world.requests.leaves('gateway');
    const ended = await stopCollector(gateway, STOP_GRACE_MS);
    if (ended !== 0) problems.push(`after SIGTERM the gateway ended with ${ended}`);
    // After a clean stop with everything delivered, a start sends nothing again.
    const eventsBefore = sink.events.length;
    life++;
    sink.pointsTime = 0n;
    sink.points = [];
    gateway = start('gateway');
    await waitFor(() => (isWatching() && sink.points.length > 0) || !gateway.alive(), START_MS);
    await sleep(300);
    if (sink.events.length > eventsBefore)
      problems.push(`${sink.events.length - eventsBefore} events after a clean stop`);
    for (const client of ['gateway', 'agent']) world.requests.leaves(client);
    for (const running of [gateway, agent]) await stopCollector(running, STOP_GRACE_MS);
  } finally {
    clearInterval(writing);
    for (const running of [gateway, agent]) running.child.kill('SIGKILL');
    await world.close();
    sink.close();
  }
  const { requests, eventChanges } = world;
  const record = { changes: eventChanges, from: requests.eventsFrom ?? 0, gaps: requests.gaps, kills };
  problems.push(...eventProblems(record, sink.events).slice(0, 20));
  problems.push(...lineProblems(logs.written, sink.lines, world.revisions).slice(0, 20));
  problems.push(...requests.problems.slice(0, 20));
  const names = ['agent.log', ...Array.from({ length: life + 1 }, (_, i) => `gateway-${i}.log`)];
  problems.push(...names.flatMap((name) => logProblems(join(dir, name))));
  const distinct = new Set(sink.events.map((e) => `${e.uid} ${e.version}`)).size;
  return {
    problems,
    events: distinct,
    repeated: sink.events.length - distinct,
    lines: sink.lines.length,
    lists: requests.lists,
    gones: requests.gones,
    kills: kills.length,
    requests: world.server.requests.length,
    caughtUpMs,
  };
}

/** Waits until everything that is sent is as at the server; what is not in the end. */
async function stragglers(
  world: World,
  sink: KubernetesSink,
  logs: PodLogs,
  isAlive: () => boolean,
): Promise<string[]> {
  const { population } = world.cluster;
  const teamOf = (pod: KubernetesObject) =>
    population.get('namespaces', '', pod.metadata.namespace!)?.metadata.labels?.['team'];
  const look = (): string[] => {
    const newest = new Map(sink.lines.map((l) => [l.resource['k8s.pod.uid'], l]));
    const stale = logs.pods().filter((p) => !isCurrent(p, teamOf(p), newest.get(p.metadata.uid)));
    const record = {
      changes: world.eventChanges,
      from: world.requests.eventsFrom ?? 0,
      gaps: world.requests.gaps,
      kills: [],
    };
    return [
      ...missingEvents(record, sink.events).map(
        (c) => `event ${c.object.metadata.name} (${c.revision}) has not arrived`,
      ),
      ...pointProblems(population, sink.points),
      ...stale.map(
        (p) => `the agent's records of ${p.metadata.name} have ${JSON.stringify(newest.get(p.metadata.uid)?.resource)}`,
      ),
    ];
  };
  let late = ['nothing was looked at'];
  let looks = 0;
  await waitFor(
    () => {
      if (looks++ % 3 === 0) logs.writeAll();
      late = look();
      return late.length === 0 || !isAlive();
    },
    CATCH_UP_MS,
    250,
  );
  // Lines that are under way belong to the account.
  await waitFor(() => sink.lines.length >= logs.written.length || !isAlive(), 10_000);
  return late;
}

/** A process tells of trouble without an end in sight, of a crash, or of an account that does not balance. */
function logProblems(path: string): string[] {
  if (!existsSync(path)) return [];
  const log = readFileSync(path, 'utf8');
  const lines = log.split('\n');
  const problems = ledgerLines(log).flatMap((l) => [
    ...ledgerProblems(l),
    ...(l.records.lost > 0 ? [`ledger of ${l.component}: lost ${l.records.lost}: ${JSON.stringify(l.lostBy)}`] : []),
  ]);
  if (lines.length > MAX_LOG_LINES) problems.push(`${lines.length} lines of log`);
  const bad = lines.find((l) =>
    /uncaught|unhandled|\tfatal\t|\tpanic\t|TypeError|RangeError|a listener of Kubernetes objects failed|stream of objects ended|cache of Kubernetes objects stopped/i.test(
      l,
    ),
  );
  if (bad) problems.push(bad.slice(0, 500));
  return problems.map((p) => `${path.replace(/^.*\//, '')}: ${p}`);
}
