/** Turns parts of a summary into points: which number of the kubelet goes to which metric. */
import { type AttributeSet, attributeSet } from '../../../core/metrics/attribute-set.ts';
import type { MetricStream, MetricsBuilder } from '../../../core/metrics/builder.ts';
import type { Entity } from './entities.ts';
import type { Resources } from './pods.ts';
import type { CpuStats, FsStats, InterfaceStats, MemoryStats, NetworkStats, Whole } from './summary.ts';
import { list, whole } from './summary.ts';

const NANOS = 1e9;

/** What the usage of an entity is set against; 0: unknown. */
export interface Shares {
  readonly resources: Resources | undefined;
  readonly nodeCpus: number;
  readonly nodeMemoryBytes: number;
}
export const NO_SHARES: Shares = { resources: undefined, nodeCpus: 0, nodeMemoryBytes: 0 };

export function put(stream: MetricStream, value: Whole | null | undefined): void {
  const n = whole(value);
  if (n !== undefined) stream.point(n);
}

type Recorder<Stats> = (stats: Stats | null | undefined, entity: Entity, shares: Shares) => void;

interface ShareStreams {
  readonly node: MetricStream;
  readonly limit: MetricStream;
  readonly request: MetricStream;
}

/** `prefix` of the shares: `k8s.container.cpu`. Nodes have none. */
const shareStreams = (b: MetricsBuilder, prefix: string | undefined): ShareStreams | undefined =>
  prefix === undefined
    ? undefined
    : {
        node: b.stream(`${prefix}.node.utilization`),
        limit: b.stream(`${prefix}_limit_utilization`),
        request: b.stream(`${prefix}_request_utilization`),
      };

function putShares(streams: ShareStreams | undefined, used: number, node: number, limit = 0, request = 0): void {
  if (!streams) return;
  if (node > 0) streams.node.point(used / node);
  if (limit > 0) streams.limit.point(used / limit);
  if (request > 0) streams.request.point(used / request);
}

export function cpuRecorder(
  b: MetricsBuilder,
  prefix: string,
  sharePrefix: string | undefined,
  isUsageComputed: boolean,
): Recorder<CpuStats> {
  const time = b.stream(`${prefix}.cpu.time`);
  const usage = b.stream(`${prefix}.cpu.usage`);
  const streams = shareStreams(b, sharePrefix === undefined ? undefined : `${sharePrefix}.cpu`);
  return (cpu, entity, { resources, nodeCpus }) => {
    if (!cpu) return;
    const nanoCores = whole(cpu.usageNanoCores);
    const cores = isUsageComputed
      ? entity.usedCores(cpu)
      : nanoCores === undefined
        ? undefined
        : Number(nanoCores) / NANOS;
    if (cores !== undefined) {
      usage.point(cores);
      putShares(streams, cores, nodeCpus, resources?.cpuLimit, resources?.cpuRequest);
    }
    const total = whole(cpu.usageCoreNanoSeconds);
    // Upstream makes a float64 of the counter before it divides, so a number is as exact as its result.
    if (total !== undefined) time.point(Number(total) / NANOS);
  };
}

export function memoryRecorder(
  b: MetricsBuilder,
  prefix: string,
  sharePrefix: string | undefined,
): Recorder<MemoryStats> {
  const available = b.stream(`${prefix}.memory.available`);
  const usage = b.stream(`${prefix}.memory.usage`);
  const rss = b.stream(`${prefix}.memory.rss`);
  const workingSet = b.stream(`${prefix}.memory.working_set`);
  const faults = b.stream(`${prefix}.memory.page_faults`);
  const majorFaults = b.stream(`${prefix}.memory.major_page_faults`);
  const streams = shareStreams(b, sharePrefix === undefined ? undefined : `${sharePrefix}.memory`);
  return (memory, _entity, { resources, nodeMemoryBytes }) => {
    if (!memory) return;
    put(available, memory.availableBytes);
    put(usage, memory.usageBytes);
    put(rss, memory.rssBytes);
    put(workingSet, memory.workingSetBytes);
    put(faults, memory.pageFaults);
    put(majorFaults, memory.majorPageFaults);
    const used = whole(memory.usageBytes);
    if (used !== undefined)
      putShares(streams, Number(used), nodeMemoryBytes, resources?.memoryLimit, resources?.memoryRequest);
  };
}

export function fsRecorder(b: MetricsBuilder, prefix: string): (fs: FsStats | null | undefined) => void {
  const available = b.stream(`${prefix}.filesystem.available`);
  const capacity = b.stream(`${prefix}.filesystem.capacity`);
  const usage = b.stream(`${prefix}.filesystem.usage`);
  return (fs) => {
    if (!fs) return;
    put(available, fs.availableBytes);
    put(capacity, fs.capacityBytes);
    put(usage, fs.usedBytes);
  };
}

interface Directions {
  readonly receive: AttributeSet;
  readonly transmit: AttributeSet;
}

/** Nodes with many pods have as many interfaces, and their names change with the pods. */
const MAX_INTERFACES = 2000;

/** Attribute sets of interfaces, shared by all entities. */
export class Interfaces {
  readonly #byName = new Map<string, Directions>();

  get(name: string): Directions {
    let found = this.#byName.get(name);
    if (!found) {
      if (this.#byName.size >= MAX_INTERFACES) this.#byName.clear();
      found = {
        receive: attributeSet({ interface: name, direction: 'receive' }),
        transmit: attributeSet({ interface: name, direction: 'transmit' }),
      };
      this.#byName.set(name, found);
    }
    return found;
  }
}

export function networkRecorder(
  b: MetricsBuilder,
  prefix: string,
  interfaces: Interfaces,
  all: boolean,
): (network: NetworkStats | null | undefined) => void {
  const io = b.stream(`${prefix}.network.io`);
  const errors = b.stream(`${prefix}.network.errors`);
  const record = (i: InterfaceStats): void => {
    const { receive, transmit } = interfaces.get(typeof i.name === 'string' ? i.name : '');
    const to = (stream: MetricStream, value: Whole | null | undefined, set: AttributeSet): void => {
      const n = whole(value);
      if (n !== undefined) stream.point(n, set);
    };
    to(io, i.rxBytes, receive);
    to(io, i.txBytes, transmit);
    to(errors, i.rxErrors, receive);
    to(errors, i.txErrors, transmit);
  };
  return (network) => {
    if (!network || !(io.enabled || errors.enabled)) return;
    // The list of all interfaces holds the default one too.
    if (all) for (const i of list(network.interfaces)) i && record(i);
    else record(network);
  };
}
