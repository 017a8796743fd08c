/** Sends one batch to its end: prepare once, try and retry, count, log, and tell the batch's parts what became of them. */
import { type Batch, DELIVERED, lost, type Outcome, type Part, settleBatch, splitParts } from './batch.ts';
import type { Clock } from './clock.ts';
import { DeliveryError, isPermanent, messageOf, permanent } from './errors.ts';
import { type Logger, RateLimit } from './log.ts';
import type { ExporterCounters } from './queue-telemetry.ts';
import { type Attempt, InterruptedError, LOG_INTERVAL_MS, type LossRun, type Retry } from './retry.ts';

/**
 * Makes the request for a batch (encode, compress); the result is called once per attempt. `patient`: nobody gives up
 * on it for retryable errors.
 */
export type Prepare = (batch: Batch, patient: boolean) => Attempt | Promise<Attempt>;

export interface SenderOptions {
  readonly prepare: Prepare;
  readonly retry: Retry;
  readonly counters: ExporterCounters;
  readonly clock: Clock;
  readonly log: Logger;
  /** Appended to the log line about refused data, when there is a setting that would have helped. */
  readonly hint?: string;
}

export interface Sender {
  /** Resolves when the batch is delivered and settled; throws with nothing settled. */
  send(batch: Batch, patient: boolean): Promise<void>;
  /** One attempt for data that can wait: false when it may be tried again; throws when it may not. Nothing is settled then. */
  sendOnce(batch: Batch, deadline: AbortSignal): Promise<boolean>;
  /** The batch is given up: counted as lost and logged. Interrupted data of patient sources stays unsettled instead. */
  drop(batch: Batch, patient: boolean, error: unknown): void;
  /** The batch goes back to the caller, who still owns it: logged. */
  reject(batch: Batch, error: unknown): void;
}

/** Long answers of a destination would fill the log. */
const excerpt = (error: unknown): string => {
  const text = messageOf(error);
  return text.length > 1000 ? `${text.slice(0, 1000)}…` : text;
};

/** Why, for the ledger: few distinct words, so that they can be counted by. */
export function lossReason(error: unknown): string {
  if (error instanceof InterruptedError) return 'shutdown';
  if (!isPermanent(error)) return 'retries exhausted';
  const status = error instanceof DeliveryError ? error.status : undefined;
  return status === undefined ? 'rejected' : `rejected: ${status}`;
}

/** Nobody says which records a destination did not keep; the last ones are taken for it. */
function settlePartly(batch: Batch, rejected: number): void {
  const parts: Part[] = batch.groups.flatMap((g) => g.parts);
  const records = parts.reduce((n, p) => n + p.records, 0);
  const [kept, refused] = splitParts(parts, Math.max(0, records - rejected));
  for (const p of kept) p.ack.settle(p.records, p.bytes, DELIVERED);
  const outcome = lost('rejected by destination');
  for (const p of refused) p.ack.settle(p.records, p.bytes, outcome);
}

/** Tells every part what became of its records; those in `losses` are lost, the others delivered. */
function settleRuns(batch: Batch, losses: readonly LossRun[]): void {
  let start = 0;
  let next = 0;
  for (const group of batch.groups) {
    const end = start + group.count;
    let left: readonly Part[] = group.parts;
    let at = start;
    const upTo = (position: number, outcome: Outcome) => {
      const [head, tail] = splitParts(left, position - at);
      for (const p of head) p.ack.settle(p.records, p.bytes, outcome);
      left = tail;
      at = position;
    };
    for (let run = losses[next]; run && run.from < end; run = losses[++next]) {
      if (run.from > at) upTo(run.from, DELIVERED);
      upTo(Math.min(run.from + run.count, end), lost(run.reason));
      // The rest of the run is the next group's.
      if (run.from + run.count > end) break;
    }
    upTo(Number.POSITIVE_INFINITY, DELIVERED);
    start = end;
  }
}

/** What cannot be encoded now cannot be encoded later either. */
async function prepared(prepare: Prepare, batch: Batch, patient: boolean): Promise<Attempt> {
  try {
    return await prepare(batch, patient);
  } catch (e) {
    throw e instanceof DeliveryError ? e : permanent(messageOf(e), { cause: e });
  }
}

export function createSender(options: SenderOptions): Sender {
  const { counters, log } = options;
  const limit = new RateLimit(LOG_INTERVAL_MS, () => options.clock.monotonicMs());
  let heldItems = 0;
  const report = (message: string, error: unknown, field: string, items: number) => {
    const held = limit.pass(`${message} ${messageOf(error).slice(0, 200)}`);
    if (held === undefined) {
      heldItems += items;
      return;
    }
    log.error(message, {
      error: excerpt(error),
      [field]: items,
      ...(held > 0 ? { held_back: held, held_back_items: heldItems } : {}),
    });
    if (held > 0) heldItems = 0;
  };
  const deliver = async (batch: Batch, patient: boolean, attempts: Retry): Promise<void> => {
    counters.inFlight(1);
    try {
      const attempt = await prepared(options.prepare, batch, patient);
      const { rejected, losses, failed } = await attempts(attempt, patient);
      if (losses) {
        counters.sent(batch.count - rejected);
        if (failed) counters.sendFailed(failed);
        settleRuns(batch, losses);
        return;
      }
      counters.sent(batch.count);
      if (rejected > 0) settlePartly(batch, rejected);
      else settleBatch(batch, DELIVERED);
    } finally {
      counters.inFlight(-1);
    }
  };
  return {
    async send(batch, patient) {
      try {
        await deliver(batch, patient, options.retry);
      } catch (e) {
        counters.sendFailed(batch.count);
        throw e;
      }
    },
    async sendOnce(batch, deadline) {
      try {
        await deliver(batch, true, (attempt) => attempt(deadline));
        return true;
      } catch (e) {
        if (!isPermanent(e)) return false;
        counters.sendFailed(batch.count);
        throw e;
      }
    },
    drop(batch, patient, error) {
      if (patient && !isPermanent(error)) return;
      report('Exporting failed. Dropping data.', error, 'dropped_items', batch.count);
      settleBatch(batch, lost(lossReason(error)));
    },
    reject(batch, error) {
      report(`Exporting failed. Rejecting data.${options.hint ?? ''}`, error, 'rejected_items', batch.count);
    },
  };
}
