/** The groups of one kind of entity each: what of the summary they measure, and how it becomes a group. */
import type { Group } from '../../../core/batch.ts';
import { type AttributeSet, attributeSet } from '../../../core/metrics/attribute-set.ts';
import type { MetricStream, MetricsBuilder } from '../../../core/metrics/builder.ts';
import type { Scope } from '../../../core/resource.ts';
import type { Entity } from './entities.ts';
import {
  cpuRecorder,
  fsRecorder,
  type Interfaces,
  memoryRecorder,
  NO_SHARES,
  networkRecorder,
  put,
  type Shares,
} from './measure.ts';
import { type ContainerStats, type NodeStats, type PodStats, type VolumeStats, type Whole, whole } from './summary.ts';

interface Now {
  readonly nano: bigint;
  readonly ms: number;
}

/** Collects the points of one entity after the other into the groups of a scrape. */
abstract class Writer {
  readonly builder: MetricsBuilder;
  #groups: Group[] = [];
  #scope: Scope | undefined;
  now: Now = { nano: 0n, ms: 0 };

  constructor(builder: MetricsBuilder) {
    this.builder = builder;
  }

  begin(groups: Group[], scope: Scope, now: Now): void {
    this.#groups = groups;
    this.#scope = scope;
    this.now = now;
  }

  /** All points since the last call become the entity's group. */
  protected emit(entity: Entity, start: bigint, record: () => void): void {
    if (!entity.resource) return;
    this.builder.at(start, this.now.nano);
    record();
    const group = this.builder.group(entity.resource, this.#scope!);
    if (group) this.#groups.push(group);
  }

  protected putUptime(stream: MetricStream, entity: Entity): void {
    if (!stream.enabled) return;
    const seconds = entity.uptime(this.now.ms);
    if (seconds !== undefined) stream.point(seconds);
  }
}

export class NodeWriter extends Writer {
  readonly #record: (node: NodeStats, entity: Entity) => void;

  constructor(b: MetricsBuilder, interfaces: Interfaces, allInterfaces: boolean, isUsageComputed: boolean) {
    super(b);
    const cpu = cpuRecorder(b, 'k8s.node', undefined, isUsageComputed);
    const memory = memoryRecorder(b, 'k8s.node', undefined);
    const fs = fsRecorder(b, 'k8s.node');
    const network = networkRecorder(b, 'k8s.node', interfaces, allInterfaces);
    const uptime = b.stream('k8s.node.uptime');
    const inodes = b.stream('k8s.node.filesystem.inode.count');
    const inodesFree = b.stream('k8s.node.filesystem.inode.free');
    const pidLimit = b.stream('k8s.node.pid.limit');
    const pidUsage = b.stream('k8s.node.pid.usage');
    this.#record = (node, entity) => {
      this.putUptime(uptime, entity);
      cpu(node.cpu, entity, NO_SHARES);
      memory(node.memory, entity, NO_SHARES);
      fs(node.fs);
      put(inodes, node.fs?.inodes);
      put(inodesFree, node.fs?.inodesFree);
      network(node.network);
      put(pidLimit, node.rlimit?.maxpid);
      put(pidUsage, node.rlimit?.curproc);
    };
  }

  write(node: NodeStats, entity: Entity): void {
    entity.startedAt(node.startTime);
    this.emit(entity, entity.start, () => this.#record(node, entity));
  }
}

export class SystemWriter extends Writer {
  readonly enabled: boolean;
  readonly #record: (container: ContainerStats, entity: Entity) => void;

  constructor(b: MetricsBuilder, isUsageComputed: boolean) {
    super(b);
    const prefix = 'k8s.node.system_container';
    const cpu = cpuRecorder(b, prefix, undefined, isUsageComputed);
    const usage = b.stream(`${prefix}.memory.usage`);
    const workingSet = b.stream(`${prefix}.memory.working_set`);
    this.enabled =
      [`${prefix}.cpu.time`, `${prefix}.cpu.usage`].some((n) => b.stream(n).enabled) ||
      usage.enabled ||
      workingSet.enabled;
    this.#record = (container, entity) => {
      cpu(container.cpu, entity, NO_SHARES);
      put(usage, container.memory?.usageBytes);
      put(workingSet, container.memory?.workingSetBytes);
    };
  }

  write(container: ContainerStats, entity: Entity): void {
    entity.startedAt(container.startTime);
    this.emit(entity, entity.start, () => this.#record(container, entity));
  }
}

export class PodWriter extends Writer {
  readonly #record: (pod: PodStats, entity: Entity, shares: Shares) => void;

  constructor(b: MetricsBuilder, interfaces: Interfaces, allInterfaces: boolean, isUsageComputed: boolean) {
    super(b);
    const cpu = cpuRecorder(b, 'k8s.pod', 'k8s.pod', isUsageComputed);
    const memory = memoryRecorder(b, 'k8s.pod', 'k8s.pod');
    const fs = fsRecorder(b, 'k8s.pod');
    const network = networkRecorder(b, 'k8s.pod', interfaces, allInterfaces);
    const uptime = b.stream('k8s.pod.uptime');
    this.#record = (pod, entity, shares) => {
      this.putUptime(uptime, entity);
      cpu(pod.cpu, entity, shares);
      memory(pod.memory, entity, shares);
      fs(pod['ephemeral-storage']);
      network(pod.network);
    };
  }

  write(pod: PodStats, entity: Entity, shares: Shares): void {
    entity.startedAt(pod.startTime);
    this.emit(entity, entity.start, () => this.#record(pod, entity, shares));
  }
}

const ROOTFS: AttributeSet = attributeSet({ 'fs.type': 'rootfs' });
const LOGS: AttributeSet = attributeSet({ 'fs.type': 'logs' });

export class ContainerWriter extends Writer {
  readonly #record: (container: ContainerStats, entity: Entity, shares: Shares) => void;

  constructor(b: MetricsBuilder, isUsageComputed: boolean) {
    super(b);
    const cpu = cpuRecorder(b, 'container', 'k8s.container', isUsageComputed);
    const memory = memoryRecorder(b, 'container', 'k8s.container');
    const fs = fsRecorder(b, 'container');
    const uptime = b.stream('container.uptime');
    const ephemeral = b.stream('k8s.container.ephemeral_storage.usage');
    const putEphemeral = (used: Whole | null | undefined, set: AttributeSet): void => {
      const n = whole(used);
      if (n !== undefined) ephemeral.point(n, set);
    };
    this.#record = (container, entity, shares) => {
      this.putUptime(uptime, entity);
      cpu(container.cpu, entity, shares);
      memory(container.memory, entity, shares);
      fs(container.rootfs);
      putEphemeral(container.rootfs?.usedBytes, ROOTFS);
      putEphemeral(container.logs?.usedBytes, LOGS);
    };
  }

  write(container: ContainerStats, entity: Entity, shares: Shares): void {
    entity.startedAt(container.startTime);
    this.emit(entity, entity.start, () => this.#record(container, entity, shares));
  }
}

export class VolumeWriter extends Writer {
  readonly #record: (volume: VolumeStats) => void;

  constructor(b: MetricsBuilder) {
    super(b);
    const usage = b.stream('k8s.pod.volume.usage');
    const available = b.stream('k8s.volume.available');
    const capacity = b.stream('k8s.volume.capacity');
    const inodes = b.stream('k8s.volume.inodes');
    const inodesFree = b.stream('k8s.volume.inodes.free');
    const inodesUsed = b.stream('k8s.volume.inodes.used');
    this.#record = (volume) => {
      put(usage, volume.usedBytes);
      put(available, volume.availableBytes);
      put(capacity, volume.capacityBytes);
      put(inodes, volume.inodes);
      put(inodesFree, volume.inodesFree);
      put(inodesUsed, volume.inodesUsed);
    };
  }

  /** Volumes have no start of their own: `start` is when the receiver was made. */
  write(volume: VolumeStats, entity: Entity, start: bigint): void {
    this.emit(entity, start, () => this.#record(volume));
  }
}
