/**
 * One batch to several consumers. Each branch gets the same bytes with acknowledgements of its own; the source hears
 * about a part once, when all branches have told what became of it.
 */
import { type Ack, type Batch, type Consumer, lost, type Outcome, type Part, settleBatch } from '../core/batch.ts';
import { DeliveryError, isPermanent, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { wait } from '../core/wait.ts';

interface Amount {
  records: number;
  bytes: number;
}

/** What one branch has told so far about one part. */
interface Told {
  records: number;
  bytes: number;
  readonly delivered: Amount;
  readonly queued: Amount;
  readonly filtered: Amount;
  readonly filteredBy: Map<string, Amount>;
  readonly lost: Amount;
  readonly lostBy: Map<string, Amount>;
}

const none = (): Amount => ({ records: 0, bytes: 0 });

function add(to: Amount, records: number, bytes: number): void {
  to.records += records;
  to.bytes += bytes;
}

function addBy(map: Map<string, Amount>, reason: string, records: number, bytes: number): void {
  const known = map.get(reason);
  if (known) add(known, records, bytes);
  else map.set(reason, { records, bytes });
}

/** Shared by the parts of one batch: after a refusal the caller owes the settling, so nothing is passed on. */
interface Ownership {
  disowned: boolean;
}

/**
 * Joins the branches' outcomes of one part. A record that one branch lost is lost; else, one that some branch
 * delivered is delivered; then queued; what is left was filtered everywhere.
 */
class JoinedPart {
  readonly #part: Part;
  readonly #ownership: Ownership;
  readonly #told: Told[] = [];
  #open: number;

  constructor(part: Part, branches: number, ownership: Ownership) {
    this.#part = part;
    this.#ownership = ownership;
    this.#open = branches;
  }

  branch(): Part {
    const told: Told = {
      ...none(),
      delivered: none(),
      queued: none(),
      filtered: none(),
      filteredBy: new Map(),
      lost: none(),
      lostBy: new Map(),
    };
    this.#told.push(told);
    const { records, bytes, ack } = this.#part;
    const branchAck: Ack = {
      patient: ack.patient,
      isMemory: ack.isMemory,
      settle: (n, size, outcome) => this.#settle(told, n, size, outcome),
    };
    return { ack: branchAck, records, bytes };
  }

  #settle(told: Told, records: number, bytes: number, outcome: Outcome): void {
    const { records: allRecords, bytes: allBytes } = this.#part;
    const isComplete = told.records >= allRecords && told.bytes >= allBytes;
    if (isComplete || (records === 0 && bytes === 0)) return;
    add(told, records, bytes);
    add(told[outcome.kind], records, bytes);
    if (outcome.kind === 'filtered') addBy(told.filteredBy, outcome.reason, records, bytes);
    else if (outcome.kind === 'lost') addBy(told.lostBy, outcome.reason, records, bytes);
    if (told.records < allRecords || told.bytes < allBytes) return;
    if (--this.#open === 0 && !this.#ownership.disowned) this.#pass();
  }

  #pass(): void {
    const left = { records: this.#part.records, bytes: this.#part.bytes };
    const { ack } = this.#part;
    const take = (wanted: Amount, outcome: Outcome): void => {
      if (wanted.records === 0 && wanted.bytes === 0) return;
      const records = Math.min(left.records, wanted.records);
      // Bytes follow the records: whoever takes the last record takes the bytes that are left.
      const bytes = records === left.records ? left.bytes : Math.min(left.bytes, wanted.bytes);
      if (records === 0 && bytes === 0) return;
      add(left, -records, -bytes);
      ack.settle(records, bytes, outcome);
    };
    const most = (kind: Outcome['kind']): Told =>
      this.#told.reduce((a, b) =>
        b[kind].records > a[kind].records || (b[kind].records === a[kind].records && b[kind].bytes > a[kind].bytes)
          ? b
          : a,
      );
    for (const [reason, amount] of most('lost').lostBy) take(amount, lost(reason));
    take(most('delivered').delivered, { kind: 'delivered' });
    take(most('queued').queued, { kind: 'queued' });
    for (const [reason, amount] of most('filtered').filteredBy) take(amount, { kind: 'filtered', reason });
  }
}

export interface FanOutOptions {
  readonly log: Logger;
  /** Aborted when the service begins to stop: nobody waits for a branch that refuses any longer. */
  readonly stopping: AbortSignal;
  /** First wait before a refused branch is asked again; doubles up to `maxBackoffMs`. */
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
}

/** A node in front of `consumers`; with only one of them no node is needed. */
export function fanOut(consumers: readonly Consumer[], options: FanOutOptions): Consumer {
  if (consumers.length === 1) return consumers[0]!;
  return new FanOut(consumers, options);
}

class FanOut implements Consumer {
  readonly #consumers: readonly Consumer[];
  readonly #log: Logger;
  readonly #stopping: AbortSignal;
  readonly #minBackoffMs: number;
  readonly #maxBackoffMs: number;

  constructor(consumers: readonly Consumer[], options: FanOutOptions) {
    this.#consumers = consumers;
    this.#log = options.log;
    this.#stopping = options.stopping;
    this.#minBackoffMs = options.minBackoffMs ?? 100;
    this.#maxBackoffMs = options.maxBackoffMs ?? 5000;
  }

  async consume(batch: Batch): Promise<void> {
    const ownership: Ownership = { disowned: false };
    const branches = this.#branches(batch, ownership);
    const results = await Promise.allSettled(
      branches.map(async (branch, i) =>
        batch.patient ? this.#offer(this.#consumers[i]!, branch) : this.#consumers[i]!.consume(branch),
      ),
    );
    const errors = results.flatMap((r) => (r.status === 'rejected' ? [r.reason as unknown] : []));
    if (errors.length === 0) return;
    ownership.disowned = true;
    throw joinErrors(errors);
  }

  #branches(batch: Batch, ownership: Ownership): Batch[] {
    const joined = batch.groups.map((g) => g.parts.map((p) => new JoinedPart(p, this.#consumers.length, ownership)));
    return this.#consumers.map(() => ({
      ...batch,
      groups: batch.groups.map((g, i) => ({ ...g, parts: joined[i]!.map((p) => p.branch()) })),
    }));
  }

  /** Asks one branch until it accepts, so that those that did accept never see the batch again. */
  async #offer(consumer: Consumer, branch: Batch): Promise<void> {
    let backoffMs = this.#minBackoffMs;
    for (;;) {
      try {
        return await consumer.consume(branch);
      } catch (error) {
        if (isPermanent(error)) {
          this.#log.error('Sender failed', { error, dropped_items: branch.count });
          settleBatch(branch, lost('rejected'));
          return;
        }
        if (this.#stopping.aborted) throw error;
        const askedMs = error instanceof DeliveryError ? (error.retryAfterMs ?? 0) : 0;
        await wait(Math.max(backoffMs, askedMs), this.#stopping);
        if (this.#stopping.aborted) throw error;
        backoffMs = Math.min(backoffMs * 2, this.#maxBackoffMs);
      }
    }
  }
}

/** One error out of several: permanent only when a retry can help none of them. */
function joinErrors(errors: readonly unknown[]): unknown {
  if (errors.length === 1) return errors[0];
  const delivery = errors.filter((e) => e instanceof DeliveryError);
  const code = delivery.find((e) => e.grpcCode !== undefined)?.grpcCode;
  const wait = Math.max(...delivery.map((e) => e.retryAfterMs ?? 0));
  return new DeliveryError(errors.map(messageOf).join('; '), errors.every(isPermanent), {
    cause: errors[0],
    ...(code !== undefined && errors.every((e) => e instanceof DeliveryError && e.grpcCode === code)
      ? { grpcCode: code }
      : {}),
    ...(wait > 0 ? { retryAfterMs: wait } : {}),
  });
}
