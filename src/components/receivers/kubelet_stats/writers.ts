/** The groups of one kind of entity each: what of the summary they measure, and how it becomes a group. */
import type { Group } from '../../../core/batch.ts';
import { type AttributeSet, attributeSet } from '../../../core/metrics/attribute-set.ts';
import type { MetricStream, MetricsBuilder } from '../../../core/metrics/builder.ts';
import type { Scope } from '../../../core/resource.ts';
import type { Entity } from './entities.ts';
import {
  type CpuRecorder,
  cpuRecorder,
  type FsRecorder,
  fsRecorder,
  type Interfaces,
  type MemoryRecorder,
  memoryRecorder,
  type NetworkRecorder,
  NO_SHARES,
  networkRecorder,
  type Shares,
} from './measure.ts';
import type { ContainerStats, NodeStats, PodStats, VolumeStats } from './summary.ts';

interface Now {
  readonly nano: bigint;
  readonly ms: number;
}

/** Collects the points of one entity after the other into the groups of a scrape. */
abstract class Writer {
  readonly builder: MetricsBuilder;
  #groups: Group[] = [];
  #scope: Scope | undefined;
  #now: Now = { nano: 0n, ms: 0 };

  constructor(builder: MetricsBuilder) {
    this.builder = builder;
  }

  begin(groups: Group[], scope: Scope, now: Now): void {
    this.builder.discard();
    this.#groups = groups;
    this.#scope = scope;
    this.#now = now;
  }

  protected open(start: bigint): void {
    this.builder.at(start, this.#now.nano);
  }

  /** All points since `open` become the entity's group. */
  protected close(entity: Entity): void {
    const group = this.builder.group(entity.resource!, this.#scope!);
    if (group) this.#groups.push(group);
  }

  protected putUptime(stream: MetricStream, entity: Entity): void {
    if (stream.enabled) stream.point(entity.uptime(this.#now.ms));
  }
}

export class NodeWriter extends Writer {
  readonly #uptime: MetricStream;
  readonly #cpu: CpuRecorder;
  readonly #memory: MemoryRecorder;
  readonly #fs: FsRecorder;
  readonly #inodes: MetricStream;
  readonly #inodesFree: MetricStream;
  readonly #network: NetworkRecorder;
  readonly #pidLimit: MetricStream;
  readonly #pidUsage: MetricStream;

  constructor(b: MetricsBuilder, interfaces: Interfaces, allInterfaces: boolean, isUsageComputed: boolean) {
    super(b);
    this.#uptime = b.stream('k8s.node.uptime');
    this.#cpu = cpuRecorder(b, 'k8s.node', undefined, isUsageComputed);
    this.#memory = memoryRecorder(b, 'k8s.node', undefined);
    this.#fs = fsRecorder(b, 'k8s.node');
    this.#inodes = b.stream('k8s.node.filesystem.inode.count');
    this.#inodesFree = b.stream('k8s.node.filesystem.inode.free');
    this.#network = networkRecorder(b, 'k8s.node', interfaces, allInterfaces);
    this.#pidLimit = b.stream('k8s.node.pid.limit');
    this.#pidUsage = b.stream('k8s.node.pid.usage');
  }

  write(node: NodeStats, entity: Entity): void {
    if (!entity.resource) return;
    this.open(entity.startedAt(node.startTime));
    this.putUptime(this.#uptime, entity);
    this.#cpu(node.cpu, entity, NO_SHARES);
    this.#memory(node.memory, NO_SHARES);
    this.#fs(node.fs);
    this.#inodes.point(node.fs?.inodes);
    this.#inodesFree.point(node.fs?.inodesFree);
    this.#network(node.network);
    this.#pidLimit.point(node.rlimit?.maxpid);
    this.#pidUsage.point(node.rlimit?.curproc);
    this.close(entity);
  }
}

export class SystemWriter extends Writer {
  readonly enabled: boolean;
  readonly #cpu: CpuRecorder;
  readonly #usage: MetricStream;
  readonly #workingSet: MetricStream;

  constructor(b: MetricsBuilder, isUsageComputed: boolean) {
    super(b);
    const prefix = 'k8s.node.system_container';
    this.#cpu = cpuRecorder(b, prefix, undefined, isUsageComputed);
    this.#usage = b.stream(`${prefix}.memory.usage`);
    this.#workingSet = b.stream(`${prefix}.memory.working_set`);
    this.enabled =
      b.stream(`${prefix}.cpu.time`).enabled ||
      b.stream(`${prefix}.cpu.usage`).enabled ||
      this.#usage.enabled ||
      this.#workingSet.enabled;
  }

  write(container: ContainerStats, entity: Entity): void {
    if (!entity.resource) return;
    this.open(entity.startedAt(container.startTime));
    this.#cpu(container.cpu, entity, NO_SHARES);
    this.#usage.point(container.memory?.usageBytes);
    this.#workingSet.point(container.memory?.workingSetBytes);
    this.close(entity);
  }
}

export class PodWriter extends Writer {
  readonly #uptime: MetricStream;
  readonly #cpu: CpuRecorder;
  readonly #memory: MemoryRecorder;
  readonly #fs: FsRecorder;
  readonly #network: NetworkRecorder;

  constructor(b: MetricsBuilder, interfaces: Interfaces, allInterfaces: boolean, isUsageComputed: boolean) {
    super(b);
    this.#uptime = b.stream('k8s.pod.uptime');
    this.#cpu = cpuRecorder(b, 'k8s.pod', 'k8s.pod', isUsageComputed);
    this.#memory = memoryRecorder(b, 'k8s.pod', 'k8s.pod');
    this.#fs = fsRecorder(b, 'k8s.pod');
    this.#network = networkRecorder(b, 'k8s.pod', interfaces, allInterfaces);
  }

  write(pod: PodStats, entity: Entity, shares: Shares): void {
    if (!entity.resource) return;
    this.open(entity.startedAt(pod.startTime));
    this.putUptime(this.#uptime, entity);
    this.#cpu(pod.cpu, entity, shares);
    this.#memory(pod.memory, shares);
    this.#fs(pod['ephemeral-storage']);
    this.#network(pod.network);
    this.close(entity);
  }
}

const ROOTFS: AttributeSet = attributeSet({ 'fs.type': 'rootfs' });
const LOGS: AttributeSet = attributeSet({ 'fs.type': 'logs' });

export class ContainerWriter extends Writer {
  readonly #uptime: MetricStream;
  readonly #cpu: CpuRecorder;
  readonly #memory: MemoryRecorder;
  readonly #fs: FsRecorder;
  readonly #ephemeral: MetricStream;

  constructor(b: MetricsBuilder, isUsageComputed: boolean) {
    super(b);
    this.#uptime = b.stream('container.uptime');
    this.#cpu = cpuRecorder(b, 'container', 'k8s.container', isUsageComputed);
    this.#memory = memoryRecorder(b, 'container', 'k8s.container');
    this.#fs = fsRecorder(b, 'container');
    this.#ephemeral = b.stream('k8s.container.ephemeral_storage.usage');
  }

  write(container: ContainerStats, entity: Entity, shares: Shares): void {
    if (!entity.resource) return;
    this.open(entity.startedAt(container.startTime));
    this.putUptime(this.#uptime, entity);
    this.#cpu(container.cpu, entity, shares);
    this.#memory(container.memory, shares);
    this.#fs(container.rootfs);
    this.#ephemeral.point(container.rootfs?.usedBytes, ROOTFS);
    this.#ephemeral.point(container.logs?.usedBytes, LOGS);
    this.close(entity);
  }
}

export class VolumeWriter extends Writer {
  readonly #usage: MetricStream;
  readonly #available: MetricStream;
  readonly #capacity: MetricStream;
  readonly #inodes: MetricStream;
  readonly #inodesFree: MetricStream;
  readonly #inodesUsed: MetricStream;

  constructor(b: MetricsBuilder) {
    super(b);
    this.#usage = b.stream('k8s.pod.volume.usage');
    this.#available = b.stream('k8s.volume.available');
    this.#capacity = b.stream('k8s.volume.capacity');
    this.#inodes = b.stream('k8s.volume.inodes');
    this.#inodesFree = b.stream('k8s.volume.inodes.free');
    this.#inodesUsed = b.stream('k8s.volume.inodes.used');
  }

  /** Volumes have no start of their own: `start` is when the receiver was made. */
  write(volume: VolumeStats, entity: Entity, start: bigint): void {
    if (!entity.resource) return;
    this.open(start);
    this.#usage.point(volume.usedBytes);
    this.#available.point(volume.availableBytes);
    this.#capacity.point(volume.capacityBytes);
    this.#inodes.point(volume.inodes);
    this.#inodesFree.point(volume.inodesFree);
    this.#inodesUsed.point(volume.inodesUsed);
    this.close(entity);
  }
}
