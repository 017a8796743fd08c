/** Shapes of the objects that checks look into, as far as they look, and readers that take anything. */
import type { KubernetesObject } from '../kubernetes/object.ts';

export type Fields = Readonly<Record<string, unknown>>;

export const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
export const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : []);
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
export const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((v) => typeof v === 'string') : [];
export const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0);
export const mapOf = (value: unknown): Readonly<Record<string, string>> => fieldsOf(value) as Record<string, string>;

export type WorkloadKind = 'DaemonSet' | 'Deployment' | 'StatefulSet';

/** What runs collectors: its own object and the specification of its pods. */
export interface Workload {
  readonly kind: WorkloadKind;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly selector: string;
  readonly spec: Fields;
  /** spec.template.spec */
  readonly pod: Fields;
  readonly object: KubernetesObject;
}

export function workloadOf(kind: WorkloadKind, object: KubernetesObject): Workload {
  const spec = fieldsOf(object['spec']);
  const { name, namespace = '', labels = {} } = object.metadata;
  const match = mapOf(fieldsOf(spec['selector'])['matchLabels']);
  const selector = Object.entries(match)
    .map(([k, v]) => `${k}=${v}`)
    .join(',');
  return { kind, name, namespace, labels, selector, spec, pod: fieldsOf(fieldsOf(spec['template'])['spec']), object };
}

export const containersOf = (pod: Fields): readonly Fields[] => listOf(pod['containers']);
export const imagesOf = (w: Workload): readonly string[] => containersOf(w.pod).map((c) => textOf(c['image']));

export const engineOf = (w: Workload | undefined): 'sluice' | 'otelcol-contrib' =>
  w && imagesOf(w).some((i) => /otelcol|opentelemetry-collector/.test(i)) ? 'otelcol-contrib' : 'sluice';

/** Volumes that are directories of the node: name → path. */
export function hostPathsOf(pod: Fields): ReadonlyMap<string, string> {
  return new Map(
    listOf(pod['volumes'])
      .map((v) => [textOf(v['name']), textOf(fieldsOf(v['hostPath'])['path'])] as const)
      .filter(([, path]) => path !== ''),
  );
}

export const isRunning = (pod: KubernetesObject): boolean => {
  const status = fieldsOf(pod['status']);
  return status['phase'] === 'Running' && listOf(status['containerStatuses']).every((c) => c['ready'] === true);
};
export const nodeOf = (pod: KubernetesObject): string => textOf(fieldsOf(pod['spec'])['nodeName']);
