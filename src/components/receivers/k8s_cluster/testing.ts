/** For tests: objects in short, and what becomes of them. */
import type { Batch, Group } from '../../../core/batch.ts';
import { scopeOf } from '../../../core/resource.ts';
import type { KubernetesObject } from '../../../kubernetes/object.ts';
import type { Value } from '../../../wire/otlp.ts';
import { logRecords } from '../../../wire/otlp-logs.ts';
import { metricsOf } from '../../../wire/otlp-metrics.ts';
import type { K8sClusterConfig } from './index.ts';
import definition from './index.ts';
import { groupOf } from './items.ts';
import type { ObjectKind } from './object-kind.ts';
import { ObjectRecorder } from './recorder.ts';

export const configOf = (config: object = {}): K8sClusterConfig =>
  definition.schema.parse({ auth_type: 'none', ...config }) as K8sClusterConfig;

export const object = (name: string, fields: object = {}, metadata: object = {}): KubernetesObject => ({
  metadata: {
    name,
    namespace: 'shop',
    uid: `uid-of-${name}`,
    resourceVersion: '7',
    creationTimestamp: '2026-11-22T12:00:00Z',
    ...metadata,
  },
  ...fields,
});

export interface Point {
  /** `name`, or `name{attribute values}` */
  readonly metric: string;
  readonly value: number;
  readonly time: bigint;
  readonly start: bigint;
  readonly resource: Readonly<Record<string, Value>>;
}

export function pointsOf(groups: readonly Group[]): Point[] {
  const points: Point[] = [];
  for (const g of groups)
    for (const m of metricsOf(g.items)) {
      if (m.data.type !== 'gauge' && m.data.type !== 'sum') throw new Error(`${m.name} is a ${m.data.type}`);
      for (const p of m.data.points) {
        const values = [...p.attributes.values()];
        points.push({
          metric: values.length > 0 ? `${m.name}{${values.join(',')}}` : m.name,
          value: Number(p.value),
          time: p.time,
          start: p.startTime,
          resource: Object.fromEntries(g.resource.attributes),
        });
      }
    }
  return points;
}

export const pointsOfBatches = (batches: readonly Batch[]): Point[] => pointsOf(batches.flatMap((b) => b.groups));

/** Values by metric, and the resources they stand at. */
export function measure(kind: ObjectKind, o: KubernetesObject, config: object = {}) {
  const recorder = new ObjectRecorder(configOf(config), scopeOf('test'), 5n);
  recorder.begin();
  kind.measure?.(o, recorder);
  const groups = recorder.end().map((m) => groupOf(m, scopeOf('test'), 9n, 1));
  const points = pointsOf(groups);
  return {
    points,
    values: Object.fromEntries(points.map((p) => [p.metric, p.value])),
    resources: groups.map((g) => Object.fromEntries(g.resource.attributes)),
  };
}

/** `entity_state k8s.pod uid {attributes}` */
export function eventsOf(batches: readonly Batch[]) {
  return batches.flatMap((b) =>
    b.groups.flatMap((g) =>
      [...logRecords(g.items)].map(({ attributes: a, time }) => ({
        event: a.get('otel.entity.event.type'),
        type: a.get('otel.entity.type'),
        id: Object.fromEntries(a.get('otel.entity.id') as Map<string, Value>),
        interval: a.get('otel.entity.interval'),
        attributes: Object.fromEntries((a.get('otel.entity.attributes') as Map<string, Value> | undefined) ?? []),
        time,
      })),
    ),
  );
}
