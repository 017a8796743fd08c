/** Labels of what is rendered, and of the metrics that come of it. */

/** What all objects of a render have; what an earlier one left is found by them. */
export const PART_OF = { 'app.kubernetes.io/part-of': 'sluice', 'app.kubernetes.io/managed-by': 'sluice' };

/** Resource attributes that become labels of metrics unless a spec says otherwise: what tells series apart, and what is asked for. */
export const DEFAULT_LABELS: readonly string[] = [
  'k8s.cluster.name',
  'k8s.namespace.name',
  'k8s.node.name',
  'k8s.pod.name',
  'k8s.container.name',
  'k8s.deployment.name',
  'k8s.replicaset.name',
  'k8s.statefulset.name',
  'k8s.daemonset.name',
  'k8s.cronjob.name',
  'k8s.job.name',
  'k8s.hpa.name',
  'k8s.replicationcontroller.name',
  'k8s.resourcequota.name',
  'k8s.volume.name',
  'k8s.volume.type',
  'k8s.persistentvolumeclaim.name',
  'openshift.clusterquota.name',
  'process.pid',
  'process.executable.name',
];
