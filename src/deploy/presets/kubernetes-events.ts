/** kubernetesEvents: events of the cluster as log records. */
import type { JsonMap } from '../config.ts';
import { type Draft, escapeDollar } from '../draft.ts';
import { elected, electedOfSeveral } from './cluster-metrics.ts';
import type { KubernetesEventsOptions } from './options.ts';

export function kubernetesEvents(draft: Draft, options: KubernetesEventsOptions): void {
  const events: JsonMap = {
    name: 'events',
    group: 'events.k8s.io',
    mode: 'watch',
    // An event that is deleted is one that became old.
    exclude_watch_type: ['DELETED'],
    ...(options.namespaces?.length ? { namespaces: options.namespaces } : {}),
    ...(options.excludeNamespaces?.length ? { exclude_namespaces: options.excludeNamespaces.map(nameOrRegex) } : {}),
    ...(options.fieldSelector === undefined ? {} : { field_selector: options.fieldSelector }),
    ...(draft.isSluice && (options.details ?? true)
      ? { event_details: { enabled: true, fold_interval: options.foldInterval ?? '1m' } }
      : {}),
  };
  draft.receiver('logs', 'k8s_objects', {
    auth_type: 'serviceAccount',
    ...(options.storage ? { storage: draft.storage() } : {}),
    // The Lease hands on how far events were read, from one gateway to the next; a volume does that too.
    ...(draft.isSluice && !options.storage ? elected(draft) : electedOfSeveral(draft)),
    objects: [events],
  });
}

const nameOrRegex = (text: string): JsonMap =>
  /^[a-z0-9-]+$/.test(text) ? { strict: text } : { regexp: escapeDollar(`^(?:${text})$`) };
