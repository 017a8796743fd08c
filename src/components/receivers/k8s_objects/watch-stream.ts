/** One watch: its changes become records, and its position follows what was settled. */
import type { Clock } from '../../../core/clock.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Ledger } from '../../../core/ledger.ts';
import { type Logger, RateLimit } from '../../../core/log.ts';
import type { BackoffOptions } from '../../../kubernetes/backoff.ts';
import type { KubernetesClient } from '../../../kubernetes/client.ts';
import { type ObjectChange, streamObjects } from '../../../kubernetes/object-stream.ts';
import { Position, type Range } from '../../../kubernetes/position.ts';
import type { PositionStore } from '../../../kubernetes/position-store.ts';
import type { RecordDelivery } from '../../../kubernetes/record-delivery.ts';
import { eventDetails, isEvent } from './event-details.ts';
import { Folding } from './folding.ts';
import type { PlannedStream } from './plan.ts';
import { encodeRecord, resourceFor, watchAttributes } from './record.ts';

export interface WatchStreamOptions {
  readonly plan: PlannedStream;
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly delivery: RecordDelivery;
  readonly store: PositionStore | undefined;
  readonly withInitialState: boolean;
  readonly backoff?: BackoffOptions | undefined;
}

export async function runWatch(o: WatchStreamOptions, signal: AbortSignal): Promise<void> {
  const { plan, clock, log, delivery, store, ledger } = o;
  const { object: config, key } = plan;
  const { enabled: hasDetails, fold_interval: foldMs } = config.event_details;
  const position = new Position(ledger, (version) => store?.set(key, version));
  const unreadable = new RateLimit(10_000, () => clock.monotonicMs());
  const excluded: readonly string[] = config.exclude_watch_type;
  const configured = config.resource_version === '0' ? '' : config.resource_version;

  function send(change: ObjectChange, range: Range, folded = 0): void {
    const { metadata } = change.object;
    const bytes = change.bytes.length;
    try {
      const details = hasDetails && isEvent(change.object) ? eventDetails(change.object, folded) : undefined;
      const attributes = watchAttributes(config.name, metadata);
      const item = encodeRecord(change.bytes, clock.nowUnixNano(), attributes, details);
      delivery.add(resourceFor(metadata.namespace), item, range, bytes);
    } catch (e) {
      range.settle(1, bytes, { kind: 'lost', reason: 'unreadable object' });
      const suppressed = unreadable.pass('record');
      if (suppressed !== undefined)
        log.error('error converting objects to log data', { error: messageOf(e), object: metadata.name, suppressed });
    }
  }

  const folding =
    hasDetails && foldMs > 0 ? new Folding(foldMs, (held, folded) => send(held, held.range, folded)) : undefined;
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
    }, foldMs);
  };

  await streamObjects(
    {
      client: o.client,
      type: plan.type,
      selection: plan.selection,
      log,
      monotonicMs: () => clock.monotonicMs(),
      version: store?.get(key) ?? (configured || undefined),
      withInitialState: o.withInitialState,
      ...(o.backoff ? { backoff: o.backoff } : {}),
    },
    {
      changed(change) {
        const version = change.object.metadata.resourceVersion;
        if (excluded.includes(change.type)) {
          position.pass(version);
          return;
        }
        const range = position.begin();
        range.add(1, change.bytes.length);
        range.close(version);
        if (folding && change.type !== 'DELETED' && isEvent(change.object)) {
          const { object } = change;
          folding.take({ object, bytes: Buffer.from(change.bytes), range, type: change.type }, clock.monotonicMs());
          planFolding();
        } else send(change, range);
      },
      listing() {
        // The version of a list is that of all its objects together.
        const range = position.begin();
        return {
          found(change) {
            // What is there at the begin is no change; what came while we were away is.
            if (!o.withInitialState && excluded.includes(change.type)) return;
            range.add(1, change.bytes.length);
            send(change, range);
          },
          done: (version) => range.close(version),
          abandoned: () => position.drop(range),
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
}
