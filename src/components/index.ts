/** The registry: one line per component, sorted by kind and id. A component's code is loaded when a config names it. */
import type { AnyDefinition, ComponentKind } from '../core/component.ts';

export interface RegistryEntry {
  readonly kind: ComponentKind;
  readonly id: string;
  readonly aliases: readonly string[];
  /** The component's index.ts. */
  readonly load: () => Promise<{ default: AnyDefinition }>;
}

const entry = (
  kind: ComponentKind,
  id: string,
  aliases: readonly string[],
  load: RegistryEntry['load'],
): RegistryEntry => ({
  kind,
  id,
  aliases,
  load,
});

export const registry: readonly RegistryEntry[] = [
  entry('receiver', 'file_log', ['filelog'], () => import('./receivers/file_log/index.ts')),
  entry('receiver', 'kubelet_stats', ['kubeletstats'], () => import('./receivers/kubelet_stats/index.ts')),
  entry('receiver', 'host_metrics', ['hostmetrics'], () => import('./receivers/host_metrics/index.ts')),
  entry('receiver', 'k8s_cluster', [], () => import('./receivers/k8s_cluster/index.ts')),
  entry('receiver', 'k8s_events', [], () => import('./receivers/k8s_events/index.ts')),
  entry('receiver', 'k8s_objects', ['k8sobjects'], () => import('./receivers/k8s_objects/index.ts')),
  entry('receiver', 'otlp', [], () => import('./receivers/otlp/index.ts')),
  entry('receiver', 'prometheus', [], () => import('./receivers/prometheus/index.ts')),
  entry('processor', 'attributes', [], () => import('./processors/attributes/index.ts')),
  entry('processor', 'batch', [], () => import('./processors/batch/index.ts')),
  entry('processor', 'filter', [], () => import('./processors/filter/index.ts')),
  entry('processor', 'k8s_attributes', ['k8sattributes'], () => import('./processors/k8s_attributes/index.ts')),
  entry('processor', 'memory_limiter', [], () => import('./processors/memory_limiter/index.ts')),
  entry('processor', 'redaction', [], () => import('./processors/redaction/index.ts')),
  entry('processor', 'resource', [], () => import('./processors/resource/index.ts')),
  entry(
    'processor',
    'resource_detection',
    ['resourcedetection'],
    () => import('./processors/resource_detection/index.ts'),
  ),
  entry('processor', 'transform', [], () => import('./processors/transform/index.ts')),
  entry('exporter', 'debug', [], () => import('./exporters/debug/index.ts')),
  entry('exporter', 'file', [], () => import('./exporters/file/index.ts')),
  entry('exporter', 'nop', [], () => import('./exporters/nop/index.ts')),
  entry('exporter', 'otlp_grpc', ['otlp'], () => import('./exporters/otlp_grpc/index.ts')),
  entry('exporter', 'otlp_http', ['otlphttp'], () => import('./exporters/otlp_http/index.ts')),
  entry(
    'exporter',
    'prometheus_remote_write',
    ['prometheusremotewrite'],
    () => import('./exporters/prometheus_remote_write/index.ts'),
  ),
  entry('connector', 'count', [], () => import('./connectors/count/index.ts')),
  entry('connector', 'forward', [], () => import('./connectors/forward/index.ts')),
  entry('extension', 'basicauth', [], () => import('./extensions/basicauth/index.ts')),
  entry('extension', 'bearertokenauth', [], () => import('./extensions/bearertokenauth/index.ts')),
  entry('extension', 'file_storage', [], () => import('./extensions/file_storage/index.ts')),
  entry('extension', 'health_check', [], () => import('./extensions/health_check/index.ts')),
  entry('extension', 'k8s_leader_elector', [], () => import('./extensions/k8s_leader_elector/index.ts')),
  entry('extension', 'zpages', [], () => import('./extensions/zpages/index.ts')),
];

/** By type as a user writes it, old spelling or new. */
export const findComponent = (kind: ComponentKind, type: string): RegistryEntry | undefined =>
  registry.find((e) => e.kind === kind && (e.id === type || e.aliases.includes(type)));
