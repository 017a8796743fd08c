/** selfMonitoring: the collector scrapes its own /metrics and sends it where all metrics go. */
import type { Draft } from '../draft.ts';
import type { SelfMonitoringOptions } from './options.ts';

export const SELF_METRICS_PORT = 8888;

export function selfMonitoring(draft: Draft, options: SelfMonitoringOptions): void {
  draft.receiver('metrics', 'prometheus/self', {
    config: {
      scrape_configs: [
        {
          job_name: `otel-${draft.tier}`,
          scrape_interval: options.interval ?? '30s',
          static_configs: [
            {
              // By the address of the pod, which becomes the label instance. Both engines take one of IPv6 without
              // brackets; otelcol takes none of IPv4 with them.
              targets: [`\${env:MY_POD_IP}:${SELF_METRICS_PORT}`],
              labels: {
                k8s_namespace_name: '${env:OTEL_K8S_NAMESPACE}',
                k8s_pod_name: '${env:OTEL_K8S_POD_NAME}',
              },
            },
          ],
        },
      ],
    },
  });
}
