/** clusterMetrics: the state of all objects of the cluster, from the API server. */
import type { Draft } from '../draft.ts';
import { switches } from './kubelet-metrics.ts';
import type { ClusterMetricsOptions } from './options.ts';

/**
 * With more than one replica, the one that holds the Lease collects. Metrics of a single one do without: two gateways
 * at a time would write the same series, whereas waiting for the Lease of one that was killed would leave a gap.
 */
export const electedOfSeveral = (draft: Draft): { k8s_leader_elector?: string } =>
  draft.spec.gateway && draft.spec.gateway.replicas > 1 ? elected(draft) : {};

export function elected(draft: Draft): { k8s_leader_elector?: string } {
  const { gateway } = draft.spec;
  if (!gateway) return {};
  const id = draft.extension('k8s_leader_elector', {
    auth_type: 'serviceAccount',
    lease_name: 'otel-gateway',
    lease_namespace: gateway.namespace,
  });
  return { k8s_leader_elector: id };
}

export function clusterMetrics(draft: Draft, options: ClusterMetricsOptions): void {
  const distribution = options.distribution ?? (draft.spec.platform === 'openshift' ? 'openshift' : undefined);
  draft.receiver('metrics', 'k8s_cluster', {
    auth_type: 'serviceAccount',
    collection_interval: options.interval ?? '10s',
    node_conditions_to_report: options.nodeConditions ?? ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'],
    allocatable_types_to_report: options.allocatable ?? ['cpu', 'memory', 'ephemeral-storage', 'pods'],
    ...(distribution === undefined ? {} : { distribution }),
    ...(options.namespaces?.length ? { namespaces: options.namespaces } : {}),
    ...electedOfSeveral(draft),
    ...switches(options.metrics),
  });
}
