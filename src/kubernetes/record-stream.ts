/** One watch whose changes become log records, and whose position follows what was settled. */
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { Ledger } from '../core/ledger.ts';
import { type Logger, RateLimit } from '../core/log.ts';
import type { Resource } from '../core/resource.ts';
import type { BackoffOptions } from './backoff.ts';
import type { KubernetesClient } from './client.ts';
import { isEvent } from './event.ts';
import { Folding } from './folding.ts';
import { furthest } from './handover.ts';
import type { ResourceType, Selection } from './object.ts';
import { type ObjectChange, streamObjects } from './object-stream.ts';
import { Position, type Range } from './position.ts';
import type { PositionStore } from './position-store.ts';
import type { RecordDelivery } from './record-delivery.ts';

export interface EncodedRecord {
  readonly resource: Resource;
  /** With its tag and length; the stream may keep it. */
  readonly item: Uint8Array;
}

export interface RecordStreamOptions {
  readonly client: KubernetesClient;
  readonly type: ResourceType;
  readonly selection: Selection;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly delivery: RecordDelivery;
  readonly store: PositionStore | undefined;
  /** Of streams that ended while their records were on their way: who leads again in the same process goes on there. */
  readonly ended?: Map<string, Position> | undefined;
  /** Of the stored version. */
  readonly key: string;
  /** Where to begin when nothing is stored; undefined: now. */
  readonly version: string | undefined;
  readonly withInitialState: boolean;
  /** What is not sent, and not counted either. */
  readonly isExcluded: (change: ObjectChange) => boolean;
  /** Of an event that repeats, only the newest is sent, this often; 0: every one. */
  readonly foldMs: number;
  /** `folded`: how many changes the record stands for, besides its own. May throw for what cannot be read. */
  readonly encode: (change: ObjectChange, folded: number) => EncodedRecord;
  readonly backoff?: BackoffOptions | undefined;
}

/** Runs until the signal. */
export async function streamRecords(o: RecordStreamOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, delivery, store, ledger } = o;
  const before = o.ended?.get(o.key);
  o.ended?.delete(o.key);
  const position = before ?? new Position(ledger, (version) => store?.set(o.key, version));
  const known = store?.known(o.key) ?? new Set<string>();
  const lastKnown = Math.max(0, ...[...known].map(Number));
  store?.follow(o.key, (most) => position.beyond(most));
  const unreadable = new RateLimit(10_000, () => clock.monotonicMs());

  /** It was settled by the leader before, which held something back that was older. */
  function isKnown(version: string): boolean {
    if (known.size > 0 && Number(version) > lastKnown) known.clear();
    return known.delete(version);
  }

  function send(change: ObjectChange, range: Range, folded = 0): void {
    const bytes = change.bytes.length;
    try {
      const { resource, item } = o.encode(change, folded);
      delivery.add(resource, item, range, bytes);
    } catch (e) {
      range.settle(1, bytes, { kind: 'lost', reason: 'unreadable object' });
      const suppressed = unreadable.pass('record');
      const { name } = change.object.metadata;
      if (suppressed !== undefined)
        log.error('error converting objects to log data', { error: messageOf(e), object: name, suppressed });
    }
  }

  const folding = o.foldMs > 0 ? new Folding(o.foldMs, (held, folded) => send(held, held.range, folded)) : undefined;
  let timer: NodeJS.Timeout | undefined;
  /** One flush after the other, so that records keep their order. */
  let flushing: Promise<void> = Promise.resolve();
  const flush = (): Promise<void> => (flushing = flushing.then(() => delivery.flush()));
  const planFolding = (): void => {
    if (!folding || timer || folding.isEmpty) return;
    timer = setTimeout(() => {
      timer = undefined;
      folding.due(clock.monotonicMs());
      void flush().then(planFolding);
    }, o.foldMs);
  };

  await streamObjects(
    {
      client: o.client,
      type: o.type,
      selection: o.selection,
      log,
      monotonicMs: () => clock.monotonicMs(),
      version: furthest(store?.get(o.key), before?.handedOn) ?? o.version,
      withInitialState: o.withInitialState,
      ...(o.backoff ? { backoff: o.backoff } : {}),
    },
    {
      changed(change) {
        const version = change.object.metadata.resourceVersion;
        if (o.isExcluded(change)) {
          position.pass(version);
          return;
        }
        const range = position.begin(version);
        if (isKnown(version)) {
          range.close(version);
          return;
        }
        range.add(1, change.bytes.length);
        range.close(version);
        if (folding && change.type !== 'DELETED' && isEvent(change.object)) {
          const { object } = change;
          folding.take({ object, bytes: Buffer.from(change.bytes), range, type: change.type }, clock.monotonicMs());
          planFolding();
        } else send(change, range);
      },
      caughtUp(change) {
        const version = change.object.metadata.resourceVersion;
        if (!o.withInitialState && o.isExcluded(change)) {
          position.pass(version);
          return;
        }
        const range = position.begin(version);
        if (isKnown(version)) {
          range.close(version);
          return;
        }
        range.add(1, change.bytes.length);
        range.close(version);
        send(change, range);
      },
      listing() {
        // The version of a list is that of all its objects together.
        const range = position.begin();
        return {
          found(change) {
            // What is there at the begin is no change; what came while we were away is.
            if (!o.withInitialState && o.isExcluded(change)) return;
            if (known.has(change.object.metadata.resourceVersion)) return;
            range.add(1, change.bytes.length);
            send(change, range);
          },
          done: (version) => range.close(version),
        };
      },
      passed: (version) => position.pass(version),
      flush,
    },
    signal,
  );
  clearTimeout(timer);
  folding?.due(0, true);
  await flush();
  if (position.handedOn !== undefined && !delivery.hasLeft) o.ended?.set(o.key, position);
}
