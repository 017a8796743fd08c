/** The benchmarks: what each one feeds, and which figures it yields. Its collector configuration is cases/NAME/config.yaml. */
import type { BodyKind } from './generate.ts';

/** One measured figure of a case. */
export interface Figure {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  /** Which direction is good: the ratio is told so that more than 1 is in our favour. */
  readonly better: 'more' | 'less';
}

interface CommonCase {
  readonly name: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  /** Not measured on the peer, and only run when asked for by name. */
  readonly oursOnly?: boolean;
  readonly onRequest?: boolean;
}

/** Reads `lines` as fast as it can. The peer gets a share of the lines so that a run stays within minutes. */
export interface ThroughputCase extends CommonCase {
  readonly kind: 'throughput';
  readonly body: BodyKind;
  readonly lines: number;
  readonly peerShare: number;
}

/** Sends requests of trace spans to it, as fast as it takes them. */
export interface SpansCase extends CommonCase {
  readonly kind: 'spans';
  readonly spans: number;
  readonly spansPerRequest: number;
  readonly peerShare: number;
}

/** Watches `files` files in which nothing happens. */
export interface IdleCase extends CommonCase {
  readonly kind: 'idle';
  readonly files: number;
  readonly settleSeconds: number;
  readonly seconds: number;
}

/** Starts `starts` times. */
export interface StartCase extends CommonCase {
  readonly kind: 'start';
  readonly starts: number;
}

/** Scrapes a kubelet with so many pods again and again; one figure per number of pods. */
export interface KubeletCase extends CommonCase {
  readonly kind: 'kubelet';
  readonly pods: readonly number[];
  /** A scrape every `everyMs` and `everyMsPerPod` for each pod: often enough to be measured, seldom enough that neither collector misses a turn. */
  readonly everyMs: number;
  readonly everyMsPerPod: number;
  readonly settleSeconds: number;
  readonly seconds: number;
}

/** Takes `points` over OTLP/HTTP and sends them on. */
export interface PointsCase extends CommonCase {
  readonly kind: 'points';
  readonly points: number;
  readonly agents: number;
  readonly podsPerAgent: number;
  readonly metricsPerPod: number;
  readonly peerShare: number;
}

export type BenchCase = ThroughputCase | SpansCase | PointsCase | IdleCase | StartCase | KubeletCase;

const THROUGHPUT: readonly Figure[] = [
  { key: 'linesPerCpuSecond', label: 'lines per CPU-second', unit: '', better: 'more' },
  { key: 'peakRssMb', label: 'peak RSS', unit: 'MB', better: 'less' },
  { key: 'wireBytesPerLine', label: 'bytes on the wire per line', unit: 'B', better: 'less' },
];

const SPANS: readonly Figure[] = [
  { key: 'spansPerCpuSecond', label: 'spans per CPU-second', unit: '', better: 'more' },
  { key: 'peakRssMb', label: 'peak RSS', unit: 'MB', better: 'less' },
  { key: 'wireBytesPerSpan', label: 'bytes on the wire per span', unit: 'B', better: 'less' },
];

const POINTS: readonly Figure[] = [
  { key: 'pointsPerCpuSecond', label: 'points per CPU-second', unit: '', better: 'more' },
  { key: 'peakRssMb', label: 'peak RSS', unit: 'MB', better: 'less' },
  { key: 'wireBytesPerPoint', label: 'bytes on the wire per point', unit: 'B', better: 'less' },
];

const IDLE: readonly Figure[] = [
  { key: 'cpuPercent', label: 'share of one core', unit: '%', better: 'less' },
  { key: 'rssMb', label: 'RSS', unit: 'MB', better: 'less' },
  { key: 'anonMb', label: 'anonymous RSS', unit: 'MB', better: 'less' },
];

const START: readonly Figure[] = [
  { key: 'firstRecordMs', label: 'start to first record', unit: 'ms', better: 'less' },
  { key: 'cpuMs', label: 'CPU time until then', unit: 'ms', better: 'less' },
];

const KUBELET: readonly Figure[] = [
  { key: 'scrapeMs10', label: 'CPU time of a scrape of 10 pods', unit: 'ms', better: 'less' },
  { key: 'scrapeMs110', label: 'of 110 pods', unit: 'ms', better: 'less' },
  { key: 'scrapeMs500', label: 'of 500 pods', unit: 'ms', better: 'less' },
  { key: 'rssMb', label: 'peak RSS with 110 pods', unit: 'MB', better: 'less' },
];

const NODE: readonly Figure[] = [
  { key: 'scrapeMs110', label: 'CPU time of a scrape of everything', unit: 'ms', better: 'less' },
  { key: 'samplesPerScrape', label: 'samples sent of it', unit: '', better: 'more' },
  { key: 'rssMb', label: 'peak RSS', unit: 'MB', better: 'less' },
];

const throughput = {
  kind: 'throughput',
  body: 'mixed',
  lines: 4_000_000,
  peerShare: 0.1,
  figures: THROUGHPUT,
} as const;

const points = {
  kind: 'points',
  points: 8_000_000,
  podsPerAgent: 100,
  metricsPerPod: 100,
  peerShare: 0.125,
  figures: POINTS,
} as const;

export const CASES: readonly BenchCase[] = [
  {
    ...throughput,
    name: 'logs',
    title: 'container logs, each with its defaults',
    lines: 8_000_000,
    peerShare: 0.05,
  },
  {
    ...throughput,
    name: 'logs-durable',
    title: 'container logs, offsets and the queue on disk',
  },
  {
    ...throughput,
    name: 'logs-gzip6',
    title: 'container logs, gzip level 6 for both',
    lines: 2_000_000,
    peerShare: 0.15,
  },
  {
    ...throughput,
    name: 'logs-json',
    title: 'container logs parsed as JSON',
    body: 'json',
    lines: 4_000_000,
    peerShare: 0.075,
  },
  {
    ...throughput,
    name: 'logs-nginx',
    title: 'container logs of nginx, parsed with a regular expression',
    body: 'nginx',
    lines: 2_000_000,
    peerShare: 0.1,
  },
  {
    ...throughput,
    name: 'logs-java',
    title: 'container logs of Java, stack traces joined',
    body: 'java',
    lines: 3_200_000,
    peerShare: 0.1,
  },
  {
    ...throughput,
    name: 'logs-transform',
    title: 'container logs through three OTTL statements',
  },
  {
    kind: 'spans',
    name: 'otlp-spans',
    title: 'spans from OTLP/HTTP to OTLP/HTTP',
    spans: 6_000_000,
    spansPerRequest: 250,
    peerShare: 0.1,
    figures: SPANS,
  },
  { ...throughput, name: 'logs-zstd', title: 'container logs, zstd', oursOnly: true },
  {
    ...points,
    name: 'remote-write',
    title: 'metrics of a node (100 pods, 10,000 series) with resource attributes as labels, by remote write',
    agents: 1,
  },
  {
    ...points,
    name: 'remote-write-gateway',
    title: 'the same of ten nodes (100,000 series) through one collector',
    agents: 10,
  },
  {
    kind: 'idle',
    name: 'idle',
    title: '1,000 files, nothing happens',
    files: 1000,
    settleSeconds: 10,
    seconds: 30,
    figures: IDLE,
  },
  { kind: 'start', name: 'start', title: 'start without batching', starts: 10, figures: START },
  { kind: 'start', name: 'start-batch', title: 'start, batch timeout 200 ms', starts: 10, figures: START },
  {
    kind: 'kubelet',
    name: 'kubelet',
    title: 'metrics of the pods of a node',
    pods: [10, 110, 500],
    everyMs: 20,
    everyMsPerPod: 0.4,
    settleSeconds: 3,
    seconds: 10,
    figures: KUBELET,
  },
  {
    kind: 'kubelet',
    name: 'node-preset',
    title: 'a node as the presets scrape it: kubelet of 110 pods and host metrics',
    pods: [110],
    everyMs: 150,
    everyMsPerPod: 0,
    settleSeconds: 5,
    seconds: 15,
    figures: NODE,
  },
  {
    kind: 'kubelet',
    name: 'node-full',
    title: 'the same with every scraper of host metrics, processes too',
    pods: [110],
    everyMs: 300,
    everyMsPerPod: 0,
    settleSeconds: 5,
    seconds: 20,
    figures: NODE,
  },
];
