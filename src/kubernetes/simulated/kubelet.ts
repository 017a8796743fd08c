/**
 * What a kubelet tells: /stats/summary and /pods of the pods that a simulated cluster has on its node. Usage is a steady
 * rate per pod, so that counters grow with the time.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KubernetesObject } from '../object.ts';

const pressure = () => {
  const line = { total: 0, avg10: 0, avg60: 0, avg300: 0 };
  return { full: { ...line }, some: { ...line } };
};
const cpu = (at: string, nanoCores: number, seconds: number) => ({
  time: at,
  usageNanoCores: nanoCores,
  usageCoreNanoSeconds: nanoCores * seconds,
  psi: pressure(),
});
const memory = (at: string, bytes: number) => ({
  time: at,
  availableBytes: 134217728 - bytes,
  usageBytes: bytes,
  workingSetBytes: bytes - 4096,
  rssBytes: Math.floor(bytes / 2),
  pageFaults: 900 + (bytes % 1000),
  majorPageFaults: bytes % 3,
  psi: pressure(),
});
const io = (at: string) => ({ time: at, psi: pressure() });
const fs = (at: string, usedBytes: number) => ({
  time: at,
  availableBytes: 69447487488,
  capacityBytes: 270553174016,
  usedBytes,
  inodesFree: 16034013,
  inodes: 16777216,
  inodesUsed: 18,
});
const network = (at: string, names: readonly string[], bytes: number) => {
  const of = (name: string) => ({ name, rxBytes: bytes, rxErrors: 0, txBytes: bytes * 2, txErrors: 1 });
  return { time: at, ...of(names[0]!), interfaces: names.map(of) };
};

/** A pod as the statistics of its kubelet see it. */
export interface MeasuredPod {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly startTime: string;
  readonly containers: readonly { readonly name: string; readonly startTime: string }[];
  readonly volumes: readonly string[];
  /** Makes the figures of one pod differ from those of another. */
  readonly number: number;
}

export interface Summary {
  readonly node: string;
  readonly nodeStartTime: string;
  readonly podsStartTime: string;
  /** Of the samples. */
  readonly at: string;
  /** That the counters have run. */
  readonly seconds: number;
  readonly pods: readonly MeasuredPod[];
}

/** /stats/summary */
export function statsSummary({ node, nodeStartTime, podsStartTime, at, seconds, pods }: Summary) {
  return {
    node: {
      nodeName: node,
      systemContainers: [
        {
          name: 'kubelet',
          startTime: nodeStartTime,
          cpu: cpu(at, 30_000_000, seconds),
          memory: memory(at, 90_000_000),
        },
        { name: 'pods', startTime: podsStartTime, cpu: cpu(at, 40_000_000, seconds), memory: memory(at, 80_000_000) },
      ],
      startTime: nodeStartTime,
      cpu: cpu(at, 250_000_000, seconds),
      memory: memory(at, 100_000_000),
      io: io(at),
      network: network(at, ['eth0', 'ifb0'], 6_520_825 + seconds),
      fs: fs(at, 28345806848),
      runtime: { imageFs: fs(at, 4780032), containerFs: fs(at, 4780032) },
      rlimit: { time: at, maxpid: 32768, curproc: 585 },
      swap: { time: at, swapAvailableBytes: 0, swapUsageBytes: 0 },
    },
    pods: pods.map(({ podRef, startTime, containers, volumes, number: i }) => ({
      podRef,
      startTime,
      containers: containers.map(({ name, startTime: since }, c) => ({
        name,
        startTime: since,
        cpu: cpu(at, 600_000 + i + c, seconds),
        memory: memory(at, 20_000_000 + i * 4096),
        io: io(at),
        rootfs: fs(at, 61440),
        logs: fs(at, 24576 + i),
        swap: { time: at, swapAvailableBytes: 134217728, swapUsageBytes: 0 },
      })),
      cpu: cpu(at, 700_000 + i, seconds),
      memory: memory(at, 30_000_000 + i * 4096),
      io: io(at),
      network: network(at, ['eth0'], 446 * seconds + i),
      volume: volumes.map((name, v) => ({ ...fs(at, 4096 + v * 8192), name })),
      'ephemeral-storage': fs(at, 151552),
      process_stats: { process_count: 2 },
      swap: { time: at, swapUsageBytes: 0 },
    })),
  };
}

interface RunningPod extends KubernetesObject {
  readonly spec?: {
    readonly containers?: readonly { readonly name: string }[];
    readonly volumes?: readonly { readonly name: string }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly startTime?: string;
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly state?: { readonly running?: { readonly startedAt: string } };
    }[];
  };
}

export interface SimulatedKubeletOptions {
  readonly node: string;
  /** That are placed on the node, as the API server has them. */
  readonly pods: () => readonly KubernetesObject[];
  readonly nowMs: () => number;
}

/** Memory of the figures stays within what nodes have: pods are told apart by this many numbers. */
const FIGURES = 1000;

export class SimulatedKubelet {
  /** Answers that were given. */
  answers = 0;
  readonly #options: SimulatedKubeletOptions;
  readonly #startedMs: number;

  constructor(options: SimulatedKubeletOptions) {
    this.#options = options;
    this.#startedMs = options.nowMs() - 3_600_000;
  }

  readonly handle = (req: IncomingMessage, res: ServerResponse): void => {
    const path = (req.url ?? '').split('?')[0];
    const answer = path === '/stats/summary' ? this.summary() : path === '/pods' ? this.pods() : undefined;
    if (answer === undefined) {
      res.writeHead(path === '/healthz' ? 200 : 404, { 'content-type': 'text/plain' });
      res.end(path === '/healthz' ? 'ok' : '404 page not found\n');
      return;
    }
    this.answers++;
    const body = JSON.stringify(answer);
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    res.end(body);
  };

  summary() {
    const { node, pods, nowMs } = this.#options;
    const started = timeText(this.#startedMs);
    const measured = (pods() as readonly RunningPod[]).filter((p) => p.status?.phase === 'Running');
    return statsSummary({
      node,
      nodeStartTime: started,
      podsStartTime: started,
      at: timeText(nowMs()),
      seconds: Math.floor((nowMs() - this.#startedMs) / 1000),
      pods: measured.map(({ metadata: { name, namespace = '', uid }, spec, status }) => ({
        podRef: { name, namespace, uid },
        startTime: status?.startTime ?? started,
        containers: (spec?.containers ?? []).map((c) => ({
          name: c.name,
          startTime: status?.containerStatuses?.find((s) => s.name === c.name)?.state?.running?.startedAt ?? started,
        })),
        volumes: (spec?.volumes ?? []).map((v) => v.name),
        number: Number.parseInt(uid.slice(-6), 16) % FIGURES,
      })),
    });
  }

  /** Without kind and version of the items, as in lists. */
  pods() {
    const items = this.#options.pods().map(({ kind: _, apiVersion: __, ...pod }) => pod);
    return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
  }
}

const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
