/**
 * What lasts from scrape to scrape: the resource of each node, pod, container and volume, its start, and its CPU
 * counter. What was not seen in a scrape is forgotten, so this is never larger than one answer of the kubelet.
 */
import type { Resource } from '../../../core/resource.ts';
import type { CpuStats } from './summary.ts';
import { whole } from './summary.ts';

const NANOS = 1e9;

export class Entity {
  /** Undefined when by its attributes it is not to be sent. */
  readonly resource: Resource | undefined;
  /** What the resource was made of, besides the key. */
  readonly detail: string;
  seenAt = -1;
  /** Of a pod, or the system containers of a node. */
  readonly containers = new Entities();
  readonly volumes = new Entities();
  #startText: string | null | undefined;
  #start = 0n;
  #startMs = Number.NaN;
  #sampleText = '';
  #sampleMs = Number.NaN;
  #sampleNanos = 0;
  #usedAt = -1;
  #used: number | undefined;

  constructor(resource: Resource | undefined, detail: string) {
    this.resource = resource;
    this.detail = detail;
  }

  /** Notes the start time and returns it, nanoseconds since 1970; one that is missing or cannot be read is 0. */
  startedAt(text: string | null | undefined): bigint {
    if (text === this.#startText) return this.#start;
    this.#startText = text;
    this.#startMs = timeMs(text);
    this.#start = Number.isNaN(this.#startMs) ? 0n : BigInt(this.#startMs) * 1_000_000n;
    return this.#start;
  }

  /** Whole seconds since the start; undefined without one. */
  uptime(nowMs: number): number | undefined {
    return Number.isNaN(this.#startMs) ? undefined : Math.trunc((nowMs - this.#startMs) / 1000);
  }

  /**
   * Cores used between the last sample and this one. Undefined for the first sample, while the kubelet repeats a sample,
   * and after a counter that went back. The times are the kubelet's own, not those of the scrapes. Asked again in the
   * same scrape, it says the same.
   */
  usedCores(cpu: CpuStats): number | undefined {
    if (this.#usedAt !== this.seenAt) {
      this.#usedAt = this.seenAt;
      this.#used = this.#compute(cpu);
    }
    return this.#used;
  }

  #compute(cpu: CpuStats): number | undefined {
    const total = whole(cpu.usageCoreNanoSeconds);
    if (total === undefined || typeof cpu.time !== 'string' || cpu.time === this.#sampleText) return undefined;
    const ms = timeMs(cpu.time);
    const nanos = Number(total);
    const elapsedSeconds = (ms - this.#sampleMs) / 1000;
    const used = nanos - this.#sampleNanos;
    const isFirst = this.#sampleText === '';
    if (Number.isNaN(ms) || elapsedSeconds <= 0) return undefined;
    this.#sampleText = cpu.time;
    this.#sampleMs = ms;
    this.#sampleNanos = nanos;
    return isFirst || used < 0 ? undefined : used / NANOS / elapsedSeconds;
  }
}

/** Milliseconds since 1970; NaN for anything that is no time. Go's zero time counts as none. */
function timeMs(text: string | null | undefined): number {
  const ms = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return ms > 0 ? ms : Number.NaN;
}

export class Entities {
  readonly #byKey = new Map<string, Entity>();

  /** The entity of this key, seen in the scrape `at`; undefined when there is none with this `detail`. */
  find(key: string, detail: string, at: number): Entity | undefined {
    const entity = this.#byKey.get(key);
    if (!entity || entity.detail !== detail) return undefined;
    entity.seenAt = at;
    return entity;
  }

  add(key: string, detail: string, at: number, resource: Resource | undefined): Entity {
    const entity = new Entity(resource, detail);
    entity.seenAt = at;
    this.#byKey.set(key, entity);
    return entity;
  }

  /** Forgets what was not seen in the scrape `at`. */
  sweep(at: number): void {
    for (const [key, entity] of this.#byKey) if (entity.seenAt !== at) this.#byKey.delete(key);
  }

  get size(): number {
    return this.#byKey.size;
  }
}
