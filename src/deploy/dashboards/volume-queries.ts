/** Queries about volumes that dashboards and alerts share. */

/** What tells volumes apart. The claim is only known when the agent asks the kubelet for pods. */
export const VOLUME = 'k8s_namespace_name, k8s_pod_name, k8s_volume_name, k8s_persistentvolumeclaim_name';

/** Volumes on the disk of the node have its capacity; they are not full before the node is. */
const OWN_DISK = (selection: string): string =>
  `and on (k8s_node_name, k8s_namespace_name, k8s_pod_name, k8s_volume_name) (k8s_volume_capacity_bytes{${selection}} != on (k8s_cluster_name, k8s_node_name) group_left () max by (k8s_cluster_name, k8s_node_name) (k8s_node_filesystem_capacity_bytes))`;

const of = (metric: string, selection: string): string =>
  `max by (${VOLUME}) (${metric}{${selection}} ${OWN_DISK(selection)})`;

export const volumeCapacity = (selection: string): string => of('k8s_volume_capacity_bytes', selection);
export const volumeFree = (selection: string): string => of('k8s_volume_available_bytes', selection);
export const volumeUsed = (selection: string): string => `1 - ${volumeFree(selection)} / ${volumeCapacity(selection)}`;
export const inodesUsed = (selection: string): string =>
  `${of('k8s_volume_inodes_used_ratio', selection)} / ${of('k8s_volume_inodes_ratio', selection)}`;
/** Bytes per second. */
export const volumeGrowth = (selection: string): string =>
  `(0 - max by (${VOLUME}) (deriv(k8s_volume_available_bytes{${selection}}[6h])) and on (k8s_namespace_name, k8s_pod_name, k8s_volume_name) ${volumeFree(selection)})`;
