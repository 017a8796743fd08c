/** Lists objects at intervals; every object is a record each time. */
import type { Clock } from '../../../core/clock.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Ledger } from '../../../core/ledger.ts';
import { type Logger, RateLimit } from '../../../core/log.ts';
import { wait } from '../../../core/wait.ts';
import type { KubernetesClient } from '../../../kubernetes/client.ts';
import { isEvent } from '../../../kubernetes/event.ts';
import { GoneError, type ListHead, list } from '../../../kubernetes/list.ts';
import { typed } from '../../../kubernetes/object-stream.ts';
import { Position, type Range } from '../../../kubernetes/position.ts';
import type { RecordDelivery } from '../../../kubernetes/record-delivery.ts';
import { Trouble } from '../../../kubernetes/trouble.ts';
import { eventDetails } from './event-details.ts';
import type { PlannedStream } from './plan.ts';
import { encodeRecord, pullAttributes, resourceFor } from './record.ts';

export interface PullStreamOptions {
  readonly plan: PlannedStream;
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly delivery: RecordDelivery;
  readonly intervalMs: number;
}

export async function runPull(o: PullStreamOptions, signal: AbortSignal): Promise<void> {
  const { plan, clock, log, delivery } = o;
  const { object: config } = plan;
  const trouble = new Trouble(log, 'error in pulling object');
  const unreadable = new RateLimit(10_000, () => clock.monotonicMs());
  const attributes = pullAttributes(config.name);

  function found(item: Buffer, head: ListHead, range: Range, observed: bigint): void {
    range.add(1, item.length);
    try {
      const { object, bytes } = typed(item, head);
      const details = config.event_details.enabled && isEvent(object) ? eventDetails(object) : undefined;
      const record = encodeRecord(bytes, observed, attributes, details);
      delivery.add(resourceFor(object.metadata.namespace), record, range, item.length);
    } catch (e) {
      range.settle(1, item.length, { kind: 'lost', reason: 'unreadable object' });
      const suppressed = unreadable.pass('record');
      if (suppressed !== undefined)
        log.error('error converting objects to log data', { error: messageOf(e), suppressed });
    }
  }

  async function pull(): Promise<void> {
    const range = new Position(o.ledger).begin();
    const observed = clock.nowUnixNano();
    const version = config.resource_version;
    await list(
      o.client,
      plan.type,
      plan.selection,
      {
        signal,
        ...(version === '' ? {} : { resourceVersion: version, resourceVersionMatch: 'Exact' as const }),
        pause: () => (delivery.isFull ? delivery.flush() : undefined),
      },
      (item, head) => found(item, head, range, observed),
    );
  }

  await wait(config.initial_delay, signal);
  for (let due = clock.monotonicMs(); !signal.aborted; ) {
    try {
      await pull();
      trouble.over();
    } catch (e) {
      if (!signal.aborted)
        trouble.tell(e, false, e instanceof GoneError ? { resource_version: config.resource_version } : {});
    }
    await delivery.flush();
    // The time that a list takes does not shift the next; those that were missed are left out.
    const late = Math.max(0, clock.monotonicMs() - due);
    due += (Math.floor(late / o.intervalMs) + 1) * o.intervalMs;
    await wait(due - clock.monotonicMs(), signal);
  }
}
