/** Queries about volumes that dashboards and alerts share. */

/** What tells volumes apart. The claim is only known when the agent asks the kubelet for pods. */
export const VOLUME = 'k8s_namespace_name, k8s_pod_name, k8s_volume_name, k8s_persistentvolumeclaim_name';

/** Volumes on the disk of the node have its capacity; they are not full before the node is. */
const onOwnDisk = (selection: string): string =>
  `and on (k8s_node_name, k8s_namespace_name, k8s_pod_name, k8s_volume_name) (k8s_volume_capacity_bytes${selection} != on (k8s_cluster_name, k8s_node_name) group_left () k8s_node_filesystem_capacity_bytes)`;

const braced = (selection: string): string => (selection === '' ? '' : `{${selection}}`);

/** `{}` stands for the selection. */
function perVolume(expr: string, selection: string): string {
  const s = braced(selection);
  return `max by (${VOLUME}) (${expr.replaceAll('{}', s)} ${onOwnDisk(s)})`;
}

export const volumeCapacity = (selection: string): string => perVolume('k8s_volume_capacity_bytes{}', selection);
export const volumeFree = (selection: string): string => perVolume('k8s_volume_available_bytes{}', selection);
export const volumeUsed = (selection: string): string =>
  perVolume('(1 - k8s_volume_available_bytes{} / k8s_volume_capacity_bytes{})', selection);
export const inodesUsed = (selection: string): string =>
  perVolume('(k8s_volume_inodes_used_ratio{} / k8s_volume_inodes_ratio{})', selection);
/** Bytes per second, by the last six hours. */
export const volumeGrowth = (selection: string): string =>
  perVolume('(0 - deriv(k8s_volume_available_bytes{}[6h]))', selection);
/** Free bytes in 24 hours, by the last six. */
export const volumeFreeInADay = (selection: string): string =>
  perVolume('predict_linear(k8s_volume_available_bytes{}[6h], 86400)', selection);
