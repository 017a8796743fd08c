/** The check: measures memory at an interval and decides whether data may pass. One per configuration id. */
import type { Clock } from '../../../core/clock.ts';
import type { Logger } from '../../../core/log.ts';
import type { MemoryLimiterConfig } from './index.ts';

export const MIB = 1024 * 1024;
/** Shortest time between collections that are forced between two checks; those that free nothing back off as all do. */
const EARLY_COLLECT_MS = 250;

export interface Limits {
  readonly hardBytes: number;
  readonly softBytes: number;
}

/** Fixed limits win over percentages; a spike limit that is not set is a fifth. */
export function limitsOf(config: MemoryLimiterConfig, totalBytes: () => number): Limits {
  if (config.limit_mib > 0) {
    const hard = config.limit_mib * MIB;
    return { hardBytes: hard, softBytes: hard - (config.spike_limit_mib * MIB || Math.floor(hard / 5)) };
  }
  const total = totalBytes();
  const hard = Math.floor((total * config.limit_percentage) / 100);
  const spike = Math.floor((total * config.spike_limit_percentage) / 100) || Math.floor(hard / 5);
  return { hardBytes: hard, softBytes: hard - spike };
}

export interface LimiterOptions {
  readonly config: MemoryLimiterConfig;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
  /** Bytes in use now. */
  readonly usage: () => number;
  /** Memory of the container or machine, and what the runtime takes of it besides what `usage` counts. */
  readonly room: () => { readonly totalBytes: number; readonly runtimeBytes: number };
  /** Forces a collection; undefined when the runtime does not let us. */
  readonly collect: (() => void) | undefined;
}

export class Limiter {
  readonly #options: LimiterOptions;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;
  #isRefusing = false;
  #waiting: (() => void)[] = [];
  #collectedAtMs: number;
  #backoffMs = 0;
  /** Bytes that may arrive until memory is measured again, however long the interval is. */
  #untilLookBytes = 0;

  constructor(options: LimiterOptions) {
    this.#options = options;
    this.#collectedAtMs = options.clock.monotonicMs();
  }

  get isRefusing(): boolean {
    return this.#isRefusing;
  }

  /** Processors of several pipelines share the check; it runs while at least one of them does. */
  start(): void {
    if (++this.#users > 1) return;
    const { config, limits, log } = this.#options;
    log.info('Memory limiter configured', {
      limit_mib: Math.floor(limits.hardBytes / MIB),
      spike_limit_mib: Math.floor((limits.hardBytes - limits.softBytes) / MIB),
      check_interval: config.check_interval / 1000,
    });
    const { totalBytes, runtimeBytes } = this.#options.room();
    if (limits.hardBytes + runtimeBytes > totalBytes)
      log.warn('The memory limit leaves too little room for the runtime itself; lower it or give the container more', {
        limit_mib: Math.floor(limits.hardBytes / MIB),
        runtime_mib: Math.ceil(runtimeBytes / MIB),
        total_mib: Math.floor(totalBytes / MIB),
      });
    this.#timer = setInterval(() => this.check(), config.check_interval);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#users === 0 || --this.#users > 0) return;
    clearInterval(this.#timer);
    this.#wake();
  }

  /** Resolves when data may pass again, or when `signal` aborts. */
  async passable(signal: AbortSignal): Promise<void> {
    while (this.#isRefusing && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.#waiting.push(done);
        signal.addEventListener('abort', done, { once: true });
      });
    }
  }

  /**
   * Told of everything that arrives: an interval of seconds is enough for a fast sender to fill a container of 256 MiB.
   * So memory is also measured when half of what is left below the soft limit has passed; and while data is refused,
   * what was refused is collected before it fills the room of a spike.
   */
  take(sizeBytes: number): void {
    this.#untilLookBytes -= sizeBytes;
    if (this.#untilLookBytes < 0 && this.#users > 0) this.check(true);
  }

  check(isEarly = false): void {
    const { limits, log } = this.#options;
    let usage = this.#options.usage();
    if (usage >= limits.softBytes) usage = this.#collect(usage, isEarly);
    const isOver = usage >= limits.softBytes;
    // Only the interval ends refusing, so that it does not begin and end with every collection.
    if (isOver !== this.#isRefusing && !(isEarly && this.#isRefusing)) {
      this.#isRefusing = isOver;
      const fields = { cur_mem_mib: Math.floor(usage / MIB) };
      if (isOver) log.warn('Memory usage is above soft limit. Refusing data.', fields);
      else {
        log.info('Memory usage back within limits. Resuming normal operation.', fields);
        this.#wake();
      }
    }
    this.#untilLookBytes = this.#isRefusing
      ? (limits.hardBytes - limits.softBytes) / 4
      : Math.max((limits.softBytes - usage) / 2, limits.hardBytes / 64);
  }

  #collect(usage: number, isEarly: boolean): number {
    const { config, limits, collect, clock, log } = this.#options;
    if (!collect || !config.garbage_collector.enabled) return usage;
    const isHard = usage >= limits.hardBytes;
    const minMs = isHard ? config.min_gc_interval_when_hard_limited : config.min_gc_interval_when_soft_limited;
    const maxMs = isHard ? config.max_gc_interval_when_hard_limited : config.max_gc_interval_when_soft_limited;
    const backoffMs = Math.min(this.#backoffMs, maxMs);
    const waitMs = isEarly ? Math.max(Math.min(minMs, EARLY_COLLECT_MS), backoffMs) : Math.max(minMs, backoffMs);
    // What was refused since the last look is garbage for certain.
    const isCertain = isEarly && this.#isRefusing;
    if (!isCertain && clock.monotonicMs() - this.#collectedAtMs <= waitMs) return usage;
    // Between two checks it is done to tell garbage from data, which nobody needs to read about.
    const say = (message: string, fields: object): void => log[isEarly ? 'debug' : 'info'](message, { ...fields });
    if (isHard && !isEarly)
      log.warn('Memory usage is above hard limit. Forcing a GC.', { cur_mem_mib: Math.floor(usage / MIB) });
    else say('Memory usage is above soft limit. Forcing a GC.', { cur_mem_mib: Math.floor(usage / MIB) });
    collect();
    this.#collectedAtMs = clock.monotonicMs();
    const after = this.#options.usage();
    say('Memory usage after GC.', { cur_mem_mib: Math.floor(after / MIB) });
    // Collections that free little cost more than they give, so they become rarer.
    const isIneffective = after >= limits.softBytes && after > usage * 0.95;
    this.#backoffMs = isIneffective
      ? Math.min(maxMs, Math.max(this.#backoffMs, minMs, config.check_interval * 0.95) * 2)
      : 0;
    return after;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
