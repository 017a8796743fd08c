/** Alert rules about the cluster and about the collectors, as data and in the forms that vmalert, Prometheus and operators take. */
import type { Json } from '../config.ts';
import { SIGNALS } from './collectors.ts';
import { hasData, type Sources } from './sources.ts';
import { inodesUsed, volumeFreeInADay, volumeUsed } from './volume-queries.ts';

export type Severity = 'critical' | 'warning';

export interface Alert {
  readonly name: string;
  readonly group: 'kubernetes' | 'collectors';
  /** What is measured; it has an answer also when all is well, unless `isRare`. */
  readonly value: string;
  /** When it is too much: ` > 0.9`. */
  readonly limit: string;
  /** Series that are made with the first failure. */
  readonly isRare?: boolean;
  readonly for: string;
  readonly severity: Severity;
  readonly summary: string;
  readonly description: string;
  /** The dashboard that shows more, and labels that choose in it, by variable. */
  readonly dashboard: string;
}

export const expressionOf = (a: Alert): string => `${a.value}${a.limit}`;

const CLUSTER = 'k8s_cluster_name';
const NODE = `${CLUSTER}, k8s_node_name`;
const POD = `${CLUSTER}, k8s_namespace_name, k8s_pod_name`;
const CONTAINER = `${POD}, k8s_container_name`;
const COLLECTOR = `${CLUSTER}, k8s_node_name, k8s_pod_name`;

const missing = (wanted: string, ready: string, label: string): string => {
  const by = `by (${CLUSTER}, k8s_namespace_name, ${label})`;
  return `max ${by} (${wanted}) - max ${by} (${ready})`;
};

const workload = (kind: string, wanted: string, ready: string): Alert => {
  const label = `k8s_${kind.toLowerCase()}_name`;
  return {
    name: `Kubernetes${kind}Incomplete`,
    group: 'kubernetes',
    value: missing(wanted, ready, label),
    limit: ' > 0',
    for: '15m',
    severity: 'warning',
    summary: `${kind} {{ $labels.k8s_namespace_name }}/{{ $labels.${label} }} misses pods`,
    description: '{{ $value }} of the wanted pods have not been ready for fifteen minutes.',
    dashboard: 'sluice-workloads',
  };
};

const KUBERNETES: readonly Alert[] = [
  {
    name: 'KubernetesNodeNotReady',
    group: 'kubernetes',
    value: `max by (${NODE}) (k8s_node_condition_ready)`,
    limit: ' != 1',
    for: '5m',
    severity: 'critical',
    summary: 'Node {{ $labels.k8s_node_name }} is not ready',
    description: 'Its condition Ready is False (0) or Unknown (-1): {{ $value }}. Pods on it are moved away soon.',
    dashboard: 'sluice-nodes',
  },
  {
    name: 'KubernetesNodeSilent',
    group: 'kubernetes',
    value: `max by (${NODE}) (k8s_node_condition_ready) unless on (${NODE}) max by (${NODE}) (k8s_node_cpu_time_seconds_total)`,
    limit: '',
    isRare: true,
    for: '10m',
    severity: 'warning',
    summary: 'Nothing comes from node {{ $labels.k8s_node_name }}',
    description: 'The cluster has this node, but no agent sends metrics of its kubelet: `sluice doctor` says why.',
    dashboard: 'sluice-nodes',
  },
  {
    name: 'KubernetesNodeUnderPressure',
    group: 'kubernetes',
    value: ['memory', 'disk', 'pid'].map((p) => `max by (${NODE}) (k8s_node_condition_${p}_pressure)`).join(' + '),
    limit: ' > 0',
    for: '5m',
    severity: 'warning',
    summary: 'Node {{ $labels.k8s_node_name }} is under pressure',
    description: 'It tells of too little memory, disk or process ids, and evicts pods.',
    dashboard: 'sluice-nodes',
  },
  {
    name: 'KubernetesNodeDiskFilling',
    group: 'kubernetes',
    value: `max by (${NODE}) (1 - k8s_node_filesystem_available_bytes / k8s_node_filesystem_capacity_bytes)`,
    limit: ' > 0.85',
    for: '10m',
    severity: 'warning',
    summary: 'The disk of node {{ $labels.k8s_node_name }} is {{ $value | humanizePercentage }} full',
    description: 'It holds the logs, images and local volumes of pods; at 90 % the kubelet evicts pods.',
    dashboard: 'sluice-nodes',
  },
  {
    name: 'KubernetesFileSystemFilling',
    group: 'kubernetes',
    value: `sum by (${NODE}, mountpoint) (system_filesystem_usage_bytes{state="used",mode="rw"}) / sum by (${NODE}, mountpoint) (system_filesystem_usage_bytes{state=~"used|free",mode="rw"})`,
    limit: ' > 0.9',
    for: '10m',
    severity: 'warning',
    summary: '{{ $labels.mountpoint }} of node {{ $labels.k8s_node_name }} is {{ $value | humanizePercentage }} full',
    description: 'Make room, or make it larger.',
    dashboard: 'sluice-nodes',
  },
  {
    name: 'KubernetesPodCrashLooping',
    group: 'kubernetes',
    value: `sum by (${CONTAINER}) (increase(k8s_container_restarts[15m]))`,
    limit: ' > 2',
    for: '5m',
    severity: 'warning',
    summary:
      'Container {{ $labels.k8s_container_name }} of {{ $labels.k8s_namespace_name }}/{{ $labels.k8s_pod_name }} restarts over and over',
    description: '{{ $value | humanize }} times in fifteen minutes. Its last logs say why, most often.',
    dashboard: 'sluice-pods',
  },
  {
    name: 'KubernetesPodPending',
    group: 'kubernetes',
    value: `max by (${POD}) (k8s_pod_phase)`,
    limit: ' == 1',
    for: '15m',
    severity: 'warning',
    summary: 'Pod {{ $labels.k8s_namespace_name }}/{{ $labels.k8s_pod_name }} has been pending for fifteen minutes',
    description: 'No node fits, a volume is missing, or an image cannot be pulled: see its events.',
    dashboard: 'sluice-events',
  },
  {
    name: 'KubernetesJobFailed',
    group: 'kubernetes',
    value: `max by (${CLUSTER}, k8s_namespace_name, k8s_job_name) (k8s_job_failed_pods)`,
    limit: ' > 0',
    for: '1m',
    severity: 'warning',
    summary: 'Job {{ $labels.k8s_namespace_name }}/{{ $labels.k8s_job_name }} has failed pods',
    description: '{{ $value }} pods of it failed. The alert ends when the job is deleted.',
    dashboard: 'sluice-workloads',
  },
  workload('Deployment', 'k8s_deployment_desired', 'k8s_deployment_available'),
  workload('StatefulSet', 'k8s_statefulset_desired_pods', 'k8s_statefulset_ready_pods'),
  workload('DaemonSet', 'k8s_daemonset_desired_scheduled_nodes', 'k8s_daemonset_ready_nodes'),
  {
    name: 'KubernetesQuotaUsedUp',
    group: 'kubernetes',
    value: `max by (${CLUSTER}, k8s_namespace_name, k8s_resourcequota_name, resource) (k8s_resource_quota_used) / max by (${CLUSTER}, k8s_namespace_name, k8s_resourcequota_name, resource) (k8s_resource_quota_hard_limit > 0)`,
    limit: ' >= 0.95',
    for: '15m',
    severity: 'warning',
    summary:
      'Quota {{ $labels.k8s_resourcequota_name }} of {{ $labels.k8s_namespace_name }} is used up: {{ $labels.resource }}',
    description: '{{ $value | humanizePercentage }} of it; new pods are refused beyond it.',
    dashboard: 'sluice-workloads',
  },
  {
    name: 'KubernetesVolumeFilling',
    group: 'kubernetes',
    value: volumeUsed(''),
    limit: ' > 0.9',
    for: '10m',
    severity: 'critical',
    summary:
      'Volume {{ $labels.k8s_volume_name }} of {{ $labels.k8s_namespace_name }}/{{ $labels.k8s_pod_name }} is {{ $value | humanizePercentage }} full',
    description: 'Claim: {{ $labels.k8s_persistentvolumeclaim_name }}. Make room, or make the claim larger.',
    dashboard: 'sluice-volumes',
  },
  {
    name: 'KubernetesVolumeInodesUsedUp',
    group: 'kubernetes',
    value: inodesUsed(''),
    limit: ' > 0.9',
    for: '10m',
    severity: 'warning',
    summary:
      'Volume {{ $labels.k8s_volume_name }} of {{ $labels.k8s_namespace_name }}/{{ $labels.k8s_pod_name }} has few inodes left',
    description: '{{ $value | humanizePercentage }} are used: too many small files.',
    dashboard: 'sluice-volumes',
  },
  {
    name: 'KubernetesVolumeFullSoon',
    group: 'kubernetes',
    value: `(${volumeFreeInADay('')} and ${volumeUsed('')} > 0.5)`,
    limit: ' < 0',
    isRare: true,
    for: '1h',
    severity: 'warning',
    summary:
      'Volume {{ $labels.k8s_volume_name }} of {{ $labels.k8s_namespace_name }}/{{ $labels.k8s_pod_name }} is full within a day',
    description: 'It is more than half full, and goes on growing as in the last six hours.',
    dashboard: 'sluice-volumes',
  },
];

const titleCase = (s: string): string => s.replace(/(^|[ _])(\w)/g, (_, __, c: string) => c.toUpperCase());

/** Those that the chart opentelemetry-collector has. */
const OF_THE_CHART: readonly Alert[] = [
  ...SIGNALS.map(
    (s): Alert => ({
      name: `CollectorRefuses${titleCase(s.suffix)}`,
      group: 'collectors',
      value: `sum by (${COLLECTOR}, receiver) (rate(otelcol_receiver_refused_${s.suffix}_total[5m]))`,
      limit: ' > 0',
      for: s.suffix === 'log_records' ? '5m' : '2m',
      severity: 'critical',
      isRare: true,
      summary: `Receiver {{ $labels.receiver }} of {{ $labels.k8s_pod_name }} refuses ${s.name}`,
      description: '{{ $value | humanize }} per second: what comes after it takes nothing, or memory is short.',
      dashboard: 'sluice-collectors',
    }),
  ),
  ...SIGNALS.map(
    (s): Alert => ({
      name: `CollectorCannotSend${titleCase(s.suffix)}`,
      group: 'collectors',
      value: `sum by (${COLLECTOR}, exporter) (rate(otelcol_exporter_send_failed_${s.suffix}_total[5m]))`,
      limit: ' > 0',
      for: s.suffix === 'log_records' ? '5m' : '2m',
      severity: 'critical',
      isRare: true,
      summary: `Exporter {{ $labels.exporter }} of {{ $labels.k8s_pod_name }} gives up ${s.name}`,
      description: '{{ $value | humanize }} per second: the destination refuses them, or was away for too long.',
      dashboard: 'sluice-collectors',
    }),
  ),
  {
    name: 'CollectorQueueFilling',
    group: 'collectors',
    value: `max by (${COLLECTOR}, exporter, data_type) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)`,
    limit: ' > 0.8',
    for: '1m',
    severity: 'warning',
    summary:
      'The queue of {{ $labels.exporter }} in {{ $labels.k8s_pod_name }} is {{ $value | humanizePercentage }} full',
    description: 'The destination is slow or away.',
    dashboard: 'sluice-collectors',
  },
  ...SIGNALS.map(
    (s): Alert => ({
      name: `CollectorQueueRefuses${titleCase(s.suffix)}`,
      group: 'collectors',
      value: `sum by (${COLLECTOR}, exporter) (rate(otelcol_exporter_enqueue_failed_${s.suffix}_total[5m]))`,
      limit: ' > 0',
      for: '1m',
      severity: 'warning',
      isRare: true,
      summary: `The queue of {{ $labels.exporter }} in {{ $labels.k8s_pod_name }} takes no more ${s.name}`,
      description: '{{ $value | humanize }} per second do not fit in.',
      dashboard: 'sluice-collectors',
    }),
  ),
];

const LOSS: readonly Alert[] = [
  {
    name: 'CollectorLosesLogs',
    group: 'collectors',
    value: `sum by (${COLLECTOR}, component, reason) (increase(sluice_ledger_bytes{outcome="lost"}[10m]))`,
    limit: ' > 0',
    for: '0m',
    severity: 'critical',
    isRare: true,
    summary: '{{ $labels.k8s_pod_name }} lost {{ $value | humanize1024 }}B of {{ $labels.component }}',
    description: 'Reason: {{ $labels.reason }}.',
    dashboard: 'sluice-collectors',
  },
  {
    name: 'CollectorAccountIsOff',
    group: 'collectors',
    value: `abs(sum by (${COLLECTOR}, component) (sluice_ledger_bytes{outcome="read"}) - sum by (${COLLECTOR}, component) (sluice_ledger_bytes{outcome!="read"}))`,
    limit: ' > 0',
    for: '5m',
    severity: 'critical',
    summary: '{{ $labels.k8s_pod_name }} cannot account for {{ $value | humanize1024 }}B of {{ $labels.component }}',
    description: 'Read is not delivered + queued + filtered + lost + in flight: please report it.',
    dashboard: 'sluice-collectors',
  },
  {
    name: 'CollectorRemoteWriteFails',
    group: 'collectors',
    value: `sum by (${COLLECTOR}, exporter) (rate(otelcol_exporter_send_failed_metric_points_total{exporter=~"prometheus_?remote_?write.*"}[5m]))`,
    limit: ' > 0',
    for: '5m',
    severity: 'critical',
    isRare: true,
    summary: '{{ $labels.k8s_pod_name }} cannot deliver metrics by remote write',
    description:
      '{{ $value | humanize }} points per second are given up. It is told in another destination than the one that is gone, or when that is back.',
    dashboard: 'sluice-collectors',
  },
  {
    name: 'CollectorScrapesFail',
    group: 'collectors',
    value: `sum by (${COLLECTOR}, receiver, scraper) (rate(otelcol_scraper_errored_metric_points_total[5m]))`,
    limit: ' > 0',
    for: '10m',
    severity: 'warning',
    summary: '{{ $labels.receiver }} ({{ $labels.scraper }}) of {{ $labels.k8s_pod_name }} cannot measure all',
    description: '{{ $value | humanize }} points per second are missing; the log of the collector says why.',
    dashboard: 'sluice-collectors',
  },
];

export const ALERTS: readonly Alert[] = [...KUBERNETES, ...OF_THE_CHART, ...LOSS];

const GROUPS = [
  { name: 'kubernetes', interval: '1m' },
  { name: 'collectors', interval: '30s' },
] as const;

/** What there is: sources of data, and ids of dashboards. */
export interface There {
  readonly sources: Sources;
  readonly dashboards: readonly string[];
}

/** What stands below `groups:` in a rule file of vmalert and Prometheus; the same in VMRule and PrometheusRule. */
export function alertGroups(there?: There): Json {
  const isThere = (a: Alert): boolean => !there || hasData({ expr: a.value }, there.sources);
  const dashboardOf = (a: Alert): { dashboard?: string } =>
    !there || there.dashboards.includes(a.dashboard) ? { dashboard: `/d/${a.dashboard}` } : {};
  return GROUPS.map((g) => ({
    name: `sluice.${g.name}`,
    interval: g.interval,
    rules: ALERTS.filter((a) => a.group === g.name && isThere(a)).map((a) => ({
      alert: a.name,
      expr: expressionOf(a),
      for: a.for,
      labels: { severity: a.severity },
      annotations: { summary: a.summary, description: a.description, ...dashboardOf(a) },
    })),
  })).filter((g) => g.rules.length > 0);
}
