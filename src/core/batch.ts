/**
 * What flows through a pipeline: groups of encoded OTLP items, and the acknowledgements that travel with them.
 *
 * A batch is immutable: whoever changes data makes a new batch that takes over the parts of the old one. The bytes of
 * a batch are valid until its parts are settled (slabs are reused after that), so nobody may keep a view for longer.
 */
import type { Resource, Scope } from './resource.ts';

export type Signal = 'logs' | 'metrics' | 'traces';

/** What became of some records. `queued`: a durable queue has them on disk and answers for them from now on. */
export type Outcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'queued' }
  | { readonly kind: 'filtered'; readonly reason: string }
  | { readonly kind: 'lost'; readonly reason: string };

export const DELIVERED: Outcome = { kind: 'delivered' };
export const QUEUED: Outcome = { kind: 'queued' };
export const filtered = (reason: string): Outcome => ({ kind: 'filtered', reason });
export const lost = (reason: string): Outcome => ({ kind: 'lost', reason });

/**
 * The source's end of an acknowledgement. It is told exactly once about each of the records (and source bytes) that
 * it handed out; when all are told, the range of the source behind it is settled.
 */
export interface Ack {
  /**
   * The source can wait and read again (a file, a watch). Then nobody on the way gives up on retryable errors: queues
   * block instead of refusing, memory_limiter holds the call instead of refusing, retries go on without time limit.
   */
  readonly patient: boolean;
  /** Nobody behind it cares for the outcome: settling only frees the memory that the records stand in. */
  readonly isMemory?: boolean | undefined;
  settle(records: number, bytes: number, outcome: Outcome): void;
}

/** A run of consecutive records of one group that belong to one acknowledgement. */
export interface Part {
  readonly ack: Ack;
  readonly records: number;
  /** Bytes that these records had at the source (not encoded size). */
  readonly bytes: number;
}

/**
 * Items of one resource and scope. `items` holds them as they stand inside ScopeLogs, ScopeSpans or ScopeMetrics:
 * each with its tag (field 2, length-delimited) and length, back to back.
 */
export interface Group {
  readonly resource: Resource;
  readonly scope: Scope;
  readonly items: Uint8Array;
  /** Messages in `items`: log records, spans, or Metric messages. */
  readonly messages: number;
  /** What limits and counters go by: log records, spans, data points. */
  readonly count: number;
  /** In the order of the records; empty when nobody waits for the outcome (a push sender without end-to-end promise). */
  readonly parts: readonly Part[];
}

export interface Batch {
  readonly signal: Signal;
  readonly groups: readonly Group[];
  /** Sum of the groups' counts. */
  readonly count: number;
  /** Sum of the groups' items bytes: what it weighs in memory. */
  readonly sizeBytes: number;
  /** Some source behind it can wait, see Ack.patient. */
  readonly patient: boolean;
  /** Client metadata of a push receiver with include_metadata: lower-case keys. */
  readonly metadata?: ReadonlyMap<string, readonly string[]>;
  /** Address (without port) that a push receiver got it from; gone where batches of several senders are put together. */
  readonly peer?: string;
}

/** Takes batches. Resolves when the next stage has accepted the batch; then that stage owes the settling of all parts. */
export interface Consumer {
  consume(batch: Batch): Promise<void>;
}

export function makeBatch(
  signal: Signal,
  groups: readonly Group[],
  metadata?: Batch['metadata'],
  peer?: string,
): Batch {
  let count = 0;
  let sizeBytes = 0;
  let patient = false;
  for (const g of groups) {
    count += g.count;
    sizeBytes += g.items.length;
    for (const p of g.parts) if (p.ack.patient) patient = true;
  }
  if (peer)
    return metadata
      ? { signal, groups, count, sizeBytes, patient, metadata, peer }
      : { signal, groups, count, sizeBytes, patient, peer };
  return metadata
    ? { signal, groups, count, sizeBytes, patient, metadata }
    : { signal, groups, count, sizeBytes, patient };
}

export function settleGroup(group: Group, outcome: Outcome): void {
  for (const p of group.parts) p.ack.settle(p.records, p.bytes, outcome);
}

export function settleBatch(batch: Batch, outcome: Outcome): void {
  for (const g of batch.groups) settleGroup(g, outcome);
}

/** The first `records` records of `parts`, and the rest. Source bytes are divided in proportion; sums stay exact. */
export function splitParts(parts: readonly Part[], records: number): [Part[], Part[]] {
  const head: Part[] = [];
  const tail: Part[] = [];
  let left = records;
  for (const p of parts) {
    if (left >= p.records) {
      head.push(p);
      left -= p.records;
    } else if (left > 0) {
      const bytes = Math.floor((p.bytes * left) / p.records);
      head.push({ ack: p.ack, records: left, bytes });
      tail.push({ ack: p.ack, records: p.records - left, bytes: p.bytes - bytes });
      left = 0;
    } else tail.push(p);
  }
  return [head, tail];
}
