/** The counters of otelcol for what is watched: of pods, and of the kinds of objects around them. */
import type { Instrument, Telemetry } from '../../../core/telemetry.ts';
import type { CacheListener } from '../../../kubernetes/cache.ts';
import type { ResourceType } from '../../../kubernetes/object.ts';

const KINDS = [
  'cronjob',
  'daemonset',
  'deployment',
  'job',
  'namespace',
  'node',
  'pod',
  'replicaset',
  'statefulset',
] as const;
const CHANGES = ['added', 'updated', 'deleted'] as const;

const counterOf = (kind: string, change: string): Instrument => ({
  name: `otelcol_k8s_watcher_${kind}_${change}`,
  kind: 'counter',
  unit: '1',
  help: `Objects of kind ${kind} that were ${change}, as far as that matters here.`,
});

const CACHE_SIZE: Instrument = {
  name: 'otelcol_k8s_watcher_pod_cache_size',
  kind: 'gauge',
  unit: '1',
  help: 'Identities of pods that are known.',
};

export const WATCHER_INSTRUMENTS: readonly Instrument[] = [
  ...KINDS.flatMap((kind) => CHANGES.map((change) => counterOf(kind, change))),
  CACHE_SIZE,
];

/** The listener, counted. */
export function counted<T>(
  telemetry: Telemetry,
  { resource }: ResourceType,
  listener: Required<CacheListener<T>>,
): CacheListener<T> {
  const kind = resource.replace(/s$/, '');
  const [added, updated, deleted] = CHANGES.map((change) => telemetry.counter(counterOf(kind, change)));
  return {
    added(object) {
      added!.add(1);
      listener.added(object);
    },
    updated(object, before) {
      updated!.add(1);
      listener.updated(object, before);
    },
    deleted(object) {
      deleted!.add(1);
      listener.deleted(object);
    },
  };
}

/** Called with the number after each change; several that count are added up. */
export function cacheSize(telemetry: Telemetry): (size: number) => void {
  const gauge = telemetry.gauge(CACHE_SIZE);
  let told = 0;
  return (size) => {
    gauge.add(size - told);
    told = size;
  };
}
