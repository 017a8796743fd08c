/** What queries of several dashboards have in common: selections, variables, links. */
import { LOGS_VARIABLE, labelVariable, METRICS_VARIABLE, type Variable } from './variables.ts';

/** Of the chosen cluster; series without a cluster name are there when all are chosen. */
export const CLUSTER = 'k8s_cluster_name=~"$cluster"';
export const NAMESPACE = `${CLUSTER},k8s_namespace_name=~"$namespace"`;
export const POD = `${NAMESPACE},k8s_pod_name=~"$pod"`;
export const NODE = `${CLUSTER},k8s_node_name=~"$node"`;
export const COLLECTOR = `${CLUSTER},k8s_pod_name=~"$collector"`;

/** Of the kernel, of virtual switches and of pods: their traffic is that of others once more. */
export const REAL_INTERFACE =
  'device!~"lo|veth.*|cali.*|cilium.*|lxc.*|cni.*|flannel.*|docker.*|br-.*|kube-.*|dummy.*"';
export const REAL_DISK = 'device!~"loop.*|ram.*|zram.*|dm-.*|sr.*"';

export const CLUSTER_VARIABLE = labelVariable('cluster', 'Cluster', 'label_values(k8s_cluster_name)', false);
export const NAMESPACE_VARIABLE = labelVariable(
  'namespace',
  'Namespace',
  'label_values(k8s_pod_phase{k8s_cluster_name=~"$cluster"}, k8s_namespace_name)',
);
export const POD_VARIABLE = labelVariable(
  'pod',
  'Pod',
  'label_values(k8s_pod_phase{k8s_cluster_name=~"$cluster",k8s_namespace_name=~"$namespace"}, k8s_pod_name)',
);
export const NODE_VARIABLE = labelVariable(
  'node',
  'Node',
  'label_values(k8s_node_condition_ready{k8s_cluster_name=~"$cluster"}, k8s_node_name)',
);

export const variables = (...more: readonly Variable[]): Variable[] => [METRICS_VARIABLE, CLUSTER_VARIABLE, ...more];
export const variablesWithLogs = (...more: readonly Variable[]): Variable[] => [
  METRICS_VARIABLE,
  LOGS_VARIABLE,
  CLUSTER_VARIABLE,
  ...more,
];

/** The time range, the data source and the cluster stay as they are. */
const KEPT = '${__url_time_range}&var-metrics=${metrics}&${cluster:queryparam}';
const field = (label: string): string => `\${__data.fields["${label}"]}`;

/** From the row of a table to another dashboard; `fields` are titles of columns by variable. */
export const linkTo = (
  uid: string,
  title: string,
  fields: Readonly<Record<string, string>>,
): { title: string; url: string } => ({
  title,
  url: `/d/${uid}?${KEPT}${Object.entries(fields)
    .map(([variable, title]) => `&var-${variable}=${field(title)}`)
    .join('')}`,
});
