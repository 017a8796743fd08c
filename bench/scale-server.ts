/**
 * A simulated cluster as a process of its own, so that its CPU time is not the collector's: the API server, with churn,
 * and the kubelet of one node whose containers write logs. Talks with its parent over IPC.
 */
import { fork } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { SimulatedApiServer } from '../src/kubernetes/simulated/api-server.ts';
import { SimulatedCluster } from '../src/kubernetes/simulated/cluster.ts';
import { SimulatedKubelet } from '../src/kubernetes/simulated/kubelet.ts';
import { seededRandom } from './generate.ts';

export interface ClusterSize {
  readonly nodes: number;
  /** Its workloads are there also without pods. */
  readonly pods: number;
  readonly hasPods: boolean;
  /** Pods that are replaced each second; a replacement is six changes. */
  readonly replacedPerSecond: number;
  /** The containers of the first node write here, laid out as /var/log/pods. */
  readonly logs?: string;
}

export interface ServerCounts {
  /** Sent by the API server. */
  readonly bytes: number;
  /** Requests for all objects of a kind: lists, and watches that begin with what exists. */
  readonly lists: number;
  readonly watches: number;
  readonly openWatches: number;
  readonly changes: number;
  readonly kubeletAnswers: number;
  readonly lines: number;
}

export interface ClusterServer {
  readonly url: string;
  readonly kubeletUrl: string;
  /** The node with the kubelet. */
  readonly node: string;
  readonly localPods: number;
  counts(): Promise<ServerCounts>;
  /** Ends the watches, as servers do when their time is over. */
  endWatches(): Promise<ServerCounts>;
  close(): void;
}

type Ask = { readonly id: number; readonly ask: 'counts' | 'end watches' };
interface Ready {
  readonly url: string;
  readonly kubeletUrl: string;
  readonly node: string;
  readonly localPods: number;
}
type Answer = { readonly id: number; readonly counts: ServerCounts } | Ready;

const SERVER = 'sluice-bench-cluster';
const PODS_PER_APP = 10;
const APPS_PER_NAMESPACE = 20;
const HEARTBEAT_S = 300;
const LINE = `${'{"level":"info","msg":"order placed","service":"checkout","amount":"12.40"} '.repeat(3).slice(0, 180)}\n`;

export async function startClusterServer(size: ClusterSize): Promise<ClusterServer> {
  const child = fork(import.meta.filename, [SERVER, JSON.stringify(size)], { execArgv: ['--max-old-space-size=8192'] });
  const waiting = new Map<number, (counts: ServerCounts) => void>();
  let next = 0;
  const ready = await new Promise<Ready>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the simulated cluster ended with ${code}`)));
    child.on('message', (m: Answer) => {
      if ('url' in m) resolve(m);
      else {
        waiting.get(m.id)?.(m.counts);
        waiting.delete(m.id);
      }
    });
  });
  const ask = (what: Ask['ask']): Promise<ServerCounts> =>
    new Promise((resolve) => {
      waiting.set(++next, resolve);
      child.send({ id: next, ask: what } satisfies Ask);
    });
  return { ...ready, counts: () => ask('counts'), endWatches: () => ask('end watches'), close: () => child.kill() };
}

/** Apps of ten pods; every third has a sidecar. */
export function clusterOf({ nodes, pods, hasPods }: ClusterSize): SimulatedCluster {
  const names = Array.from({ length: nodes }, (_, i) => `node-${String(i).padStart(4, '0')}`);
  const draw = seededRandom(11);
  const random = (): number => draw(1 << 24) / (1 << 24);
  const cluster = new SimulatedCluster({ nowMs: () => Date.now(), random, nodes: names });
  for (let i = 0; i < pods / PODS_PER_APP; i++) {
    const image = `registry.example/team-${i % 7}/app-${i}:1.${i % 40}.0`;
    cluster.deploy(
      {
        kind: 'Deployment',
        namespace: `team-${Math.floor(i / APPS_PER_NAMESPACE)}`,
        name: `app-${i}`,
        replicas: PODS_PER_APP,
        version: `1.${i % 40}.0`,
        containers: [
          { name: 'app', image },
          ...(i % 3 === 0 ? [{ name: 'proxy', image: 'registry.example/mesh/proxy:2.4.1' }] : []),
        ],
      },
      hasPods ? undefined : [],
    );
  }
  return cluster;
}

async function serve(size: ClusterSize): Promise<void> {
  const cluster = clusterOf(size);
  const api = new SimulatedApiServer(cluster.population);
  const node = cluster.nodes[0]!;
  const local = cluster.podsOf(node);
  const kubelet = new SimulatedKubelet({ node, pods: () => local, nowMs: () => Date.now() });
  const bytes = { gone: 0, open: new Set<Socket>() };
  const url = await listen(api.handle, (s) => {
    bytes.open.add(s);
    s.on('error', () => {});
    s.on('close', () => {
      bytes.open.delete(s);
      bytes.gone += s.bytesWritten;
    });
  });
  const kubeletUrl = await listen(kubelet.handle);
  let changes = 0;
  let lines = 0;
  cluster.population.onChange(() => changes++);
  const logs = size.logs === undefined ? [] : containerLogs(size.logs, local);
  let seconds = 0;
  let beats = 0;
  const perTick = size.replacedPerSecond / 10;
  let due = 0;
  setInterval(() => {
    for (due += perTick; due >= 1; due--) cluster.replacePod();
    for (; beats < (seconds * size.nodes) / HEARTBEAT_S; beats++) cluster.heartbeat(beats);
    seconds += 0.1;
  }, 100);
  setInterval(() => api.bookmark(), 30_000);
  setInterval(() => {
    const time = new Date().toISOString().replace('Z', '000001Z');
    for (const fd of logs) writeSync(fd, `${time} stdout F ${LINE}`);
    lines += logs.length;
  }, 1000);
  const counts = (): ServerCounts => {
    const lists = api.requests.filter(
      ({ path, query }) =>
        query['sendInitialEvents'] === 'true' ||
        (query['watch'] === undefined && query['continue'] === undefined && /\/v\d\/.*[^/]s$/.test(path)),
    ).length;
    return {
      bytes: [...bytes.open].reduce((sum, s) => sum + s.bytesWritten, bytes.gone),
      lists,
      watches: api.requests.filter((r) => r.query['watch'] !== undefined).length,
      openWatches: api.openWatches,
      changes,
      kubeletAnswers: kubelet.answers,
      lines,
    };
  };
  process.on('message', (m: Ask) => {
    if (m.ask === 'end watches') api.closeWatches();
    process.send?.({ id: m.id, counts: counts() } satisfies Answer);
  });
  process.on('disconnect', () => {
    for (const fd of logs) closeSync(fd);
    process.exit(0);
  });
  process.send?.({ url, kubeletUrl, node, localPods: local.length } satisfies Answer);
}

function containerLogs(directory: string, pods: ReturnType<SimulatedCluster['podsOf']>): number[] {
  return pods.flatMap(({ metadata: { namespace, name, uid }, spec }) =>
    (spec as { containers: readonly { name: string }[] }).containers.map((c) => {
      const path = join(directory, `${namespace}_${name}_${uid}`, c.name);
      mkdirSync(path, { recursive: true });
      return openSync(join(path, '0.log'), 'a');
    }),
  );
}

function listen(handle: RequestListener, onConnection: (socket: Socket) => void = () => {}): Promise<string> {
  const server = createServer(handle);
  server.keepAliveTimeout = 120_000;
  server.on('connection', onConnection);
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)),
  );
}

if (process.argv[2] === SERVER) await serve(JSON.parse(process.argv[3]!) as ClusterSize);
