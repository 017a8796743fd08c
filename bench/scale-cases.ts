/** Gateway and agent on simulated clusters: sizes, figures and aims. */
import type { Figure } from './cases.ts';
import type { ClusterSize } from './scale-server.ts';

export interface ScaleCase {
  readonly name: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly tier: 'gateway' | 'agent';
  /** Its configuration is cases/NAME/config.yaml. */
  readonly config: string;
  readonly size: ClusterSize;
  /** At most this, by figure. */
  readonly aims: Readonly<Record<string, number>>;
  /** The peer runs it too; with 100,000 pods it takes gigabytes and minutes. */
  readonly hasPeer: boolean;
  /** Also run without pods, for what one pod adds. */
  readonly hasBase: boolean;
}

const GATEWAY: readonly Figure[] = [
  { key: 'rssMb', label: 'RSS, median', unit: 'MB', better: 'less' },
  { key: 'peakRssMb', label: 'peak RSS', unit: 'MB', better: 'less' },
  { key: 'collectionSeconds', label: 'CPU time of a collection, churn included', unit: 's', better: 'less' },
  { key: 'syncSeconds', label: 'CPU time until all is known and sent once', unit: 's', better: 'less' },
  { key: 'initialMb', label: 'read from the API server until then', unit: 'MB', better: 'less' },
  { key: 'steadyKbPerSecond', label: 'read from it afterwards', unit: 'kB/s', better: 'less' },
];
const HEAP: readonly Figure[] = [
  { key: 'heapBytesPerPod', label: 'heap of a pod', unit: 'B', better: 'less' },
  { key: 'bufferBytesPerPod', label: 'buffers of a pod', unit: 'B', better: 'less' },
];

const AGENT: readonly Figure[] = [
  { key: 'rssMb', label: 'RSS, median', unit: 'MB', better: 'less' },
  { key: 'peakRssMb', label: 'peak RSS', unit: 'MB', better: 'less' },
  { key: 'cpuPercent', label: 'share of one core', unit: '%', better: 'less' },
];

const agent = (pods: number, aims: ScaleCase['aims']): ScaleCase => ({
  name: `scale-agent-${pods}`,
  title: `agent with logs, kubelet and host metrics of a node with ${pods} pods that write a line each second`,
  figures: AGENT,
  tier: 'agent',
  config: 'scale-agent',
  size: { nodes: 10, pods: pods * 10, hasPods: true, replacedPerSecond: 0 },
  aims,
  hasPeer: true,
  hasBase: false,
});

const SMALL = { nodes: 50, pods: 5000, hasPods: true, replacedPerSecond: 1 };
const LARGE = { nodes: 5000, pods: 100_000, hasPods: true, replacedPerSecond: 20 };
const ALL = { tier: 'gateway', config: 'scale-gateway', hasPeer: true, hasBase: false } as const;

export const SCALE_CASES: readonly ScaleCase[] = [
  {
    ...ALL,
    name: 'scale-gateway-5000',
    title: 'gateway with k8s_cluster and k8s_attributes, 5,000 pods on 50 nodes, one pod replaced each second',
    figures: GATEWAY,
    size: SMALL,
    aims: { rssMb: 130, collectionSeconds: 0.15 },
  },
  {
    ...ALL,
    name: 'scale-presets-5000',
    title: 'the same as the presets make it: 23 attributes, by remote write as labels',
    config: 'scale-presets',
    figures: GATEWAY,
    size: SMALL,
    aims: {},
  },
  {
    ...ALL,
    name: 'scale-gateway-100000',
    title: 'gateway over OTLP with 100,000 pods on 5,000 nodes, 20 pods replaced each second',
    figures: [...GATEWAY, ...HEAP],
    size: LARGE,
    aims: { heapBytesPerPod: 1024 },
    hasPeer: false,
    hasBase: true,
  },
  agent(110, { rssMb: 90 }),
  agent(500, {}),
];

/** Pods in the name: what `--pods` chooses by. */
export const podsOfCase = (c: ScaleCase): number => Number(/\d+$/.exec(c.name)![0]);
