/** What the panel and the page show, from processes, stores and the demo around them. */
import { addPoints, type PointTotals } from './agent-metrics.ts';
import type { AgentProcess } from './agent-process.ts';
import type { DemoCluster } from './demo-cluster.ts';
import type { View } from './panel.ts';
import type { MetricStore } from './store/metric-store.ts';
import type { LogStore } from './store/store.ts';
import type { Workload } from './workload/workload.ts';

/** Rates are means over the last so many milliseconds, so that batches of a second do not make them jump. */
const RATE_MS = 5000;

/** The processes; the gateway belongs to the cluster. */
export interface Tiers {
  readonly agent: AgentProcess;
  readonly gateway: AgentProcess | undefined;
}

/** The demo; nothing with --real. */
export interface Demo {
  readonly workload: Workload;
  readonly cluster: DemoCluster;
}

export const pointsOf = ({ agent, gateway }: Tiers): PointTotals =>
  gateway ? addPoints(agent.points, gateway.points) : agent.points;

export interface Stores {
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

export class Rates {
  readonly #samples: (Rate & { readonly atMs: number })[] = [
    { atMs: 0, written: 0, read: 0, bytes: 0, stored: 0, samples: 0 },
  ];

  at(atMs: number, { agent }: Tiers, demo: Demo | undefined, stores: Stores): Rate {
    const now = {
      atMs,
      written: demo?.workload.written.records ?? 0,
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

export const makeView = (
  url: string,
  elapsedMs: number,
  { agent, gateway }: Tiers,
  demo: Demo | undefined,
  { store, metrics }: Stores,
  rate: Rate,
  hasMetrics: boolean,
): View => ({
  url: `${url}/`,
  elapsedMs,
  ...(demo
    ? {
        workload: {
          perSecond: rate.written,
          records: demo.workload.written.records,
          containers: demo.workload.containers,
          rotations: demo.workload.written.rotations,
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
  ...(gateway && demo
    ? {
        gateway: {
          state: gateway.state,
          restarts: gateway.restarts,
          rssBytes: gateway.metrics?.rssBytes ?? 0,
          cpuShare: gateway.cpuShare,
          ledger: gateway.ledger,
          cluster: { nodes: demo.cluster.nodes, pods: demo.cluster.pods, events: demo.cluster.events },
        },
      }
    : {}),
  ledger: agent.ledger,
  readPerSecond: rate.read,
  deliveredPerSecond: rate.stored,
  stored: store.kept,
  ...(hasMetrics
    ? {
        metrics: {
          points: pointsOf({ agent, gateway }),
          stored: metrics.accepted,
          series: metrics.seriesCount,
          perSecond: rate.samples,
        },
      }
    : {}),
});

/** Maps do not survive JSON. */
export const forPage = ({ gateway, ...view }: View): unknown => ({
  ...view,
  ledger: { ...view.ledger, lostBy: Object.fromEntries(view.ledger.lostBy) },
  ...(gateway
    ? { gateway: { ...gateway, ledger: { ...gateway.ledger, lostBy: Object.fromEntries(gateway.ledger.lostBy) } } }
    : {}),
});
