/** Turns parts of a summary into points: which number of the kubelet goes to which metric. */
import { type AttributeSet, attributeSet } from '../../../core/metrics/attribute-set.ts';
import type { MetricStream, MetricsBuilder } from '../../../core/metrics/builder.ts';
import type { Entity } from './entities.ts';
import type { Resources } from './pods.ts';
import type { CpuStats, FsStats, InterfaceStats, MemoryStats, NetworkStats } from './summary.ts';
import { list, whole } from './summary.ts';

const NANOS = 1e9;

/** What the usage of an entity is set against; 0: unknown. */
export interface Shares {
  readonly resources: Resources | undefined;
  readonly nodeCpus: number;
  readonly nodeMemoryBytes: number;
}
export const NO_SHARES: Shares = { resources: undefined, nodeCpus: 0, nodeMemoryBytes: 0 };

export type CpuRecorder = (cpu: CpuStats | null | undefined, entity: Entity, shares: Shares) => void;
export type MemoryRecorder = (memory: MemoryStats | null | undefined, shares: Shares) => void;
export type FsRecorder = (fs: FsStats | null | undefined) => void;
export type NetworkRecorder = (network: NetworkStats | null | undefined) => void;

interface ShareStreams {
  readonly node: MetricStream;
  readonly limit: MetricStream;
  readonly request: MetricStream;
}

/** `prefix` of the shares: `k8s.container.cpu`. Nodes have none; undefined also when none is on. */
function shareStreams(b: MetricsBuilder, prefix: string | undefined): ShareStreams | undefined {
  if (prefix === undefined) return undefined;
  const node = b.stream(`${prefix}.node.utilization`);
  const limit = b.stream(`${prefix}_limit_utilization`);
  const request = b.stream(`${prefix}_request_utilization`);
  return node.enabled || limit.enabled || request.enabled ? { node, limit, request } : undefined;
}

function putShares(streams: ShareStreams, used: number, node: number, limit = 0, request = 0): void {
  if (node > 0) streams.node.point(used / node);
  if (limit > 0) streams.limit.point(used / limit);
  if (request > 0) streams.request.point(used / request);
}

export function cpuRecorder(
  b: MetricsBuilder,
  prefix: string,
  sharePrefix: string | undefined,
  isUsageComputed: boolean,
): CpuRecorder {
  const time = b.stream(`${prefix}.cpu.time`);
  const usage = b.stream(`${prefix}.cpu.usage`);
  const streams = shareStreams(b, sharePrefix === undefined ? undefined : `${sharePrefix}.cpu`);
  const coresOf = (cpu: CpuStats): number | undefined => {
    const nanoCores = whole(cpu.usageNanoCores);
    return nanoCores === undefined ? undefined : Number(nanoCores) / NANOS;
  };
  return (cpu, entity, { resources, nodeCpus }) => {
    if (!cpu) return;
    const cores = isUsageComputed ? entity.usedCores(cpu) : coresOf(cpu);
    if (cores !== undefined) {
      usage.point(cores);
      if (streams) putShares(streams, cores, nodeCpus, resources?.cpuLimit, resources?.cpuRequest);
    }
    const total = whole(cpu.usageCoreNanoSeconds);
    // Upstream makes a float64 of the counter before it divides, so a number is as exact as its result.
    if (total !== undefined) time.point(Number(total) / NANOS);
  };
}

export function memoryRecorder(b: MetricsBuilder, prefix: string, sharePrefix: string | undefined): MemoryRecorder {
  const available = b.stream(`${prefix}.memory.available`);
  const usage = b.stream(`${prefix}.memory.usage`);
  const rss = b.stream(`${prefix}.memory.rss`);
  const workingSet = b.stream(`${prefix}.memory.working_set`);
  const faults = b.stream(`${prefix}.memory.page_faults`);
  const majorFaults = b.stream(`${prefix}.memory.major_page_faults`);
  const streams = shareStreams(b, sharePrefix === undefined ? undefined : `${sharePrefix}.memory`);
  return (memory, { resources, nodeMemoryBytes }) => {
    if (!memory) return;
    available.point(memory.availableBytes);
    usage.point(memory.usageBytes);
    rss.point(memory.rssBytes);
    workingSet.point(memory.workingSetBytes);
    faults.point(memory.pageFaults);
    majorFaults.point(memory.majorPageFaults);
    const used = streams && whole(memory.usageBytes);
    if (streams && used !== undefined)
      putShares(streams, Number(used), nodeMemoryBytes, resources?.memoryLimit, resources?.memoryRequest);
  };
}

export function fsRecorder(b: MetricsBuilder, prefix: string): FsRecorder {
  const available = b.stream(`${prefix}.filesystem.available`);
  const capacity = b.stream(`${prefix}.filesystem.capacity`);
  const usage = b.stream(`${prefix}.filesystem.usage`);
  return (fs) => {
    if (!fs) return;
    available.point(fs.availableBytes);
    capacity.point(fs.capacityBytes);
    usage.point(fs.usedBytes);
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
): NetworkRecorder {
  const io = b.stream(`${prefix}.network.io`);
  const errors = b.stream(`${prefix}.network.errors`);
  const record = (i: InterfaceStats): void => {
    const { receive, transmit } = interfaces.get(typeof i.name === 'string' ? i.name : '');
    io.point(i.rxBytes, receive);
    io.point(i.txBytes, transmit);
    errors.point(i.rxErrors, receive);
    errors.point(i.txErrors, transmit);
  };
  return (network) => {
    if (!network || !(io.enabled || errors.enabled)) return;
    // The list of all interfaces holds the default one too.
    if (all) for (const i of list(network.interfaces)) i && record(i);
    else record(network);
  };
}
