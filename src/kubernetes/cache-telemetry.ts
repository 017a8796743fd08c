/** What caches say about themselves: objects kept, bytes read, changes and restarts, per resource. */
import type { Instrument, Telemetry } from '../core/telemetry.ts';

const OBJECTS: Instrument = {
  name: 'sluice_kubernetes_cache_objects',
  kind: 'gauge',
  unit: '{object}',
  help: 'Objects of Kubernetes that are kept.',
};
const READ_BYTES: Instrument = {
  name: 'sluice_kubernetes_cache_read_bytes',
  kind: 'counter',
  unit: 'By',
  help: 'Bytes of lists and watches that were read from the API server.',
};
const CHANGES: Instrument = {
  name: 'sluice_kubernetes_cache_changes',
  kind: 'counter',
  unit: '{change}',
  help: 'Objects that were added, updated or deleted.',
};
const LISTS: Instrument = {
  name: 'sluice_kubernetes_cache_lists',
  kind: 'counter',
  unit: '{list}',
  help: 'How often all objects were read; once, unless a watch was too old.',
};
const RESTARTS: Instrument = {
  name: 'sluice_kubernetes_cache_watch_restarts',
  kind: 'counter',
  unit: '{watch}',
  help: 'Watches that ended: as agreed, because their version was gone, or with an error.',
};
const UNREADABLE: Instrument = {
  name: 'sluice_kubernetes_cache_unreadable_objects',
  kind: 'counter',
  unit: '{object}',
  help: 'Objects that were not understood and left out.',
};

/** For the `telemetry` of every component that uses caches. */
export const CACHE_INSTRUMENTS: readonly Instrument[] = [OBJECTS, READ_BYTES, CHANGES, LISTS, RESTARTS, UNREADABLE];

export type CacheCounters = ReturnType<typeof cacheCounters>;

export function cacheCounters(telemetry: Telemetry, resource: string, namespace: string) {
  const labels = { resource, ...(namespace === '' ? {} : { namespace }) };
  const change = (type: string) => telemetry.counter(CHANGES, { ...labels, type });
  const [added, updated, deleted] = [change('added'), change('updated'), change('deleted')];
  const bytes = telemetry.counter(READ_BYTES, labels);
  const lists = telemetry.counter(LISTS, labels);
  const unreadable = telemetry.counter(UNREADABLE, labels);
  let forget: (() => void) | undefined;
  return {
    added: (n: number) => added.add(n),
    updated: (n: number) => updated.add(n),
    deleted: (n: number) => deleted.add(n),
    read: (n: number) => bytes.add(n),
    listed: () => lists.add(1),
    unreadable: () => unreadable.add(1),
    restarted: (reason: 'ended' | 'gone' | 'error') => telemetry.counter(RESTARTS, { ...labels, reason }).add(1),
    observeSize: (read: () => number) => {
      forget = telemetry.observe(OBJECTS, labels, read);
    },
    forgetSize: () => forget?.(),
  };
}
