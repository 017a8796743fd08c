/** retry_on_failure: repeats an attempt after retryable errors, with growing, jittered waits. */
import type { Clock } from './clock.ts';
import { DeliveryError, isPermanent, messageOf } from './errors.ts';
import { type Logger, RateLimit } from './log.ts';
import { formatDuration, type RetryConfig } from './schema.ts';

/** What a destination said to a request that it took. */
export interface Sent {
  /** Records that it did not keep (partial success); they are not sent again. */
  readonly rejected: number;
  /**
   * Which records were not kept, when the exporter knows: runs of positions in the batch, in order. They are not
   * counted as sent; those that the destination did not take (`failed`) are counted as such.
   */
  readonly losses?: readonly LossRun[];
  readonly failed?: number;
}

/** `count` records from position `from` on. */
export interface LossRun {
  readonly from: number;
  readonly count: number;
  readonly reason: string;
}

/** Sends one prepared request once. Throws a DeliveryError; errors of other kinds count as retryable. */
export type Attempt = (signal: AbortSignal) => Promise<Sent>;

/** The end of retries that shutdown brought: the data is neither delivered nor refused. */
export class InterruptedError extends DeliveryError {}

export interface RetryOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Aborts when the component stops: waits end, and nothing is tried twice any more. */
  readonly stopping: AbortSignal;
  /** Aborts when the time for stopping is over: what is under way is cut. */
  readonly deadline: AbortSignal;
  readonly random?: () => number;
}

/** How often the same line about an outage is written. */
export const LOG_INTERVAL_MS = 10_000;

function wrap(prefix: string, error: unknown): DeliveryError {
  const e = error instanceof DeliveryError ? error : undefined;
  const text = isPermanent(error) ? `Permanent error: ${messageOf(error)}` : messageOf(error);
  return new DeliveryError(`${prefix}: ${text}`, isPermanent(error), {
    cause: error,
    ...(e?.retryAfterMs === undefined ? {} : { retryAfterMs: e.retryAfterMs }),
    ...(e?.status === undefined ? {} : { status: e.status }),
    ...(e?.grpcCode === undefined ? {} : { grpcCode: e.grpcCode }),
  });
}

/** Runs attempts until one succeeds or the rules say that it is over. Throws a DeliveryError. */
export type Retry = (attempt: Attempt, patient: boolean) => Promise<Sent>;

export function createRetry(config: RetryConfig, options: RetryOptions): Retry {
  const { clock, log, stopping, deadline } = options;
  const random = options.random ?? Math.random;
  const limit = new RateLimit(LOG_INTERVAL_MS, () => clock.monotonicMs());
  return async (attempt, patient) => {
    const startMs = clock.monotonicMs();
    let intervalMs = Math.min(config.initial_interval, config.max_interval || Number.POSITIVE_INFINITY);
    for (;;) {
      let error: unknown;
      try {
        return await attempt(deadline);
      } catch (e) {
        error = e;
      }
      if (deadline.aborted)
        throw new InterruptedError(`interrupted due to shutdown: ${messageOf(error)}`, false, { cause: error });
      // Whoever can wait is never given up on for a retryable error, whatever the configuration says.
      const retrying = config.enabled || patient;
      if (isPermanent(error)) throw config.enabled ? wrap('not retryable error', error) : error;
      if (stopping.aborted)
        throw new InterruptedError(`interrupted due to shutdown: ${messageOf(error)}`, false, { cause: error });
      if (!retrying) throw error;
      const f = config.randomization_factor;
      const jittered = intervalMs * (1 - f + 2 * f * random());
      const waitMs = Math.max(jittered, (error instanceof DeliveryError && error.retryAfterMs) || 0);
      intervalMs = Math.min(intervalMs * config.multiplier, config.max_interval || Number.POSITIVE_INFINITY);
      const endMs = startMs + config.max_elapsed_time;
      if (!patient && config.max_elapsed_time > 0 && clock.monotonicMs() + waitMs > endMs)
        throw wrap('no more retries left', error);
      const held = limit.pass(messageOf(error));
      if (held !== undefined)
        log.info('Exporting failed. Will retry the request after interval.', {
          error: messageOf(error),
          interval: formatDuration(waitMs),
          ...(held > 0 ? { held_back: held } : {}),
        });
      if (!(await sleep(waitMs, stopping)))
        throw new InterruptedError(`interrupted due to shutdown: ${messageOf(error)}`, false, { cause: error });
    }
  };
}

/** False when `stop` aborted first. */
export function sleep(ms: number, stop: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (stop.aborted) {
      resolve(false);
      return;
    }
    const onStop = () => {
      clearTimeout(timer);
      resolve(false);
    };
    const timer = setTimeout(
      () => {
        stop.removeEventListener('abort', onStop);
        resolve(true);
      },
      // setTimeout takes 31 bits; a longer Retry-After is as good as this.
      Math.min(ms, 2_000_000_000),
    );
    stop.addEventListener('abort', onStop, { once: true });
  });
}
