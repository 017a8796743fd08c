/** Runs the detectors and keeps what they found; shared by the processor's instances in all pipelines. */
import type { Clock } from '../../../core/clock.ts';
import type { Environment } from '../../../core/environment.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../../core/log.ts';
import { sleep } from '../../../core/retry.ts';
import type { ReadonlyValueMap, ValueMap } from '../../../wire/otlp.ts';
import { detectEnv } from './env.ts';
import type { DetectorName, ResourceDetectionConfig } from './index.ts';
import { type ApiGet, detectK8s, nodeName } from './k8s-api.ts';
import { detectSystem, type Machine } from './system.ts';

export interface DetectionOptions {
  readonly config: ResourceDetectionConfig;
  readonly env: Environment;
  readonly clock: Clock;
  readonly log: Logger;
  readonly machine?: Machine;
  readonly apiGet: ApiGet;
}

export class Detection {
  readonly #options: DetectionOptions;
  readonly #stopping = new AbortController();
  readonly #found = new Map<DetectorName, ReadonlyValueMap>();
  #attributes: ReadonlyValueMap = new Map();
  #users = 0;
  #first: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(options: DetectionOptions) {
    this.#options = options;
  }

  /** Another object whenever something changed. */
  get attributes(): ReadonlyValueMap {
    return this.#attributes;
  }

  /** Detects once for all users; resolves when that is done. */
  start(): Promise<void> {
    this.#users++;
    return (this.#first ??= this.#begin());
  }

  async stop(): Promise<void> {
    if (this.#users === 0 || --this.#users > 0) return;
    clearInterval(this.#timer);
    this.#stopping.abort();
    await this.#running;
  }

  async #begin(): Promise<void> {
    const { config, env, log } = this.#options;
    // Without its variable this detector can never work; everything else may come back.
    if (config.detectors.includes('k8s_api')) nodeName(config.k8s_api, env);
    log.info('began detecting resource information');
    const failed = await this.#detect();
    if (failed.length > 0 && config.fail_on_missing_metadata)
      throw new Error(`failed to detect resource: ${failed.join('; ')}`);
    log.info('detected resource information', { resource: Object.fromEntries(this.#attributes) });
    if (config.refresh_interval <= 0) return;
    this.#timer = setInterval(() => {
      this.#running ??= this.#detect().then(() => {
        this.#running = undefined;
      });
    }, config.refresh_interval);
    this.#timer.unref();
  }

  /** What failed; the last good result of a detector that fails stays. */
  async #detect(): Promise<string[]> {
    const { config, log } = this.#options;
    const timeout = config.timeout > 0 ? [AbortSignal.timeout(config.timeout)] : [];
    const signal = AbortSignal.any([this.#stopping.signal, ...timeout]);
    const failed: string[] = [];
    await Promise.all(
      config.detectors.map(async (name) => {
        try {
          this.#found.set(name, await this.#retried(name, signal));
        } catch (error) {
          if (this.#stopping.signal.aborted) return;
          failed.push(`${name}: ${messageOf(error)}`);
          log.warn('failed to detect resource', { detector: name, error: messageOf(error) });
        }
      }),
    );
    const merged: ValueMap = new Map();
    for (const name of config.detectors)
      for (const [k, v] of this.#found.get(name) ?? []) if (!merged.has(k)) merged.set(k, v);
    if (!sameAttributes(merged, this.#attributes)) this.#attributes = merged;
    return failed;
  }

  async #retried(name: DetectorName, signal: AbortSignal): Promise<ValueMap> {
    const { retry } = this.#options.config;
    const startMs = this.#options.clock.monotonicMs();
    let waitMs = retry.initial_interval;
    for (;;) {
      try {
        return await cut(this.#run(name, signal), signal);
      } catch (error) {
        const isOver =
          retry.max_elapsed_time > 0 && this.#options.clock.monotonicMs() - startMs + waitMs > retry.max_elapsed_time;
        if (!retry.enabled || isOver || !(await sleep(waitMs, signal))) throw error;
        waitMs = Math.min(waitMs * retry.multiplier, retry.max_interval);
      }
    }
  }

  async #run(name: DetectorName, signal: AbortSignal): Promise<ValueMap> {
    const { config, env, log, machine, apiGet } = this.#options;
    if (name === 'env') return detectEnv(config.env, env);
    if (name === 'system') return detectSystem(config.system, log, machine);
    return detectK8s(config.k8s_api, env, signal, apiGet);
  }
}

/** Name resolution cannot be cancelled; it is left alone when the time is over. */
function cut<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new Error('timed out'));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function sameAttributes(a: ReadonlyValueMap, b: ReadonlyValueMap): boolean {
  return a.size === b.size && [...a].every(([k, v]) => String(b.get(k)) === String(v) && b.has(k));
}
