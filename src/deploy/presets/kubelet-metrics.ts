/** kubeletMetrics: usage of node, pods, containers and volumes, from the kubelet of the node. */
import type { JsonMap } from '../config.ts';
import type { Draft } from '../draft.ts';
import type { KubeletMetricsOptions, MetricSwitches } from './options.ts';

export const switches = (metrics: MetricSwitches | undefined): JsonMap =>
  metrics && Object.keys(metrics).length > 0
    ? { metrics: Object.fromEntries(Object.entries(metrics).map(([name, enabled]) => [name, { enabled }])) }
    : {};

export const kubeletTls = (tls: KubeletMetricsOptions['tls'] = 'verify'): JsonMap =>
  tls === 'skip' ? { insecure_skip_verify: true } : tls === 'verify' ? {} : { ca_file: tls.caFile };

export function kubeletMetrics(draft: Draft, options: KubeletMetricsOptions): void {
  const wantsNode = Object.entries(options.metrics ?? {}).some(([n, on]) => on && n.endsWith('.node.utilization'));
  const wantsApi = wantsNode || options.extraMetadata?.includes('k8s.volume.type') === true;
  draft.receiver('metrics', 'kubelet_stats', {
    collection_interval: options.interval ?? '20s',
    auth_type: 'serviceAccount',
    endpoint: options.endpoint ?? '${env:K8S_NODE_IP}:10250',
    ...kubeletTls(options.tls),
    metric_groups: options.groups ?? ['container', 'pod', 'node', 'volume'],
    ...(options.extraMetadata?.length ? { extra_metadata_labels: options.extraMetadata } : {}),
    // Capacities of the node, and the claims behind volumes, are known to the API server only.
    ...(wantsApi ? { k8s_api_config: { auth_type: 'serviceAccount' } } : {}),
    ...(wantsNode ? { node: '${env:K8S_NODE_NAME}' } : {}),
    ...(options.allNetworkInterfaces
      ? {
          collect_all_network_interfaces: {
            pod: options.allNetworkInterfaces.pod ?? false,
            node: options.allNetworkInterfaces.node ?? false,
          },
        }
      : {}),
    ...switches(options.metrics),
  });
}
