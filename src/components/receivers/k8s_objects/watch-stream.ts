/** A watch of k8s_objects: what is left out, and what the records of changes are. */
import type { KubernetesClient } from '../../../kubernetes/client.ts';
import { isEvent } from '../../../kubernetes/event.ts';
import { type RecordStreamOptions, streamRecords } from '../../../kubernetes/record-stream.ts';
import { eventDetails } from './event-details.ts';
import type { PlannedStream } from './plan.ts';
import { encodeRecord, resourceFor, watchAttributes } from './record.ts';

export type WatchStreamOptions = Pick<
  RecordStreamOptions,
  'clock' | 'log' | 'ledger' | 'delivery' | 'store' | 'ended' | 'withInitialState' | 'backoff'
> & { readonly plan: PlannedStream; readonly client: KubernetesClient };

export function runWatch({ plan, ...common }: WatchStreamOptions, signal: AbortSignal): Promise<void> {
  const { object: config, type, selection, key } = plan;
  const { enabled: hasDetails, fold_interval: foldMs } = config.event_details;
  const excluded: readonly string[] = config.exclude_watch_type;
  const version = config.resource_version;
  const hasVersion = version !== '' && version !== '0';
  return streamRecords(
    {
      ...common,
      // A version that is configured is where every watch begins, as upstream.
      store: hasVersion ? undefined : common.store,
      ended: hasVersion ? undefined : common.ended,
      type,
      selection,
      key,
      version: hasVersion ? version : undefined,
      isExcluded: (change) => excluded.includes(change.type),
      foldMs: hasDetails ? foldMs : 0,
      encode({ object, bytes }, folded) {
        const details = hasDetails && isEvent(object) ? eventDetails(object, folded) : undefined;
        const attributes = watchAttributes(config.name, object.metadata);
        const item = encodeRecord(bytes, common.clock.nowUnixNano(), attributes, details);
        return { resource: resourceFor(object.metadata.namespace), item };
      },
    },
    signal,
  );
}
