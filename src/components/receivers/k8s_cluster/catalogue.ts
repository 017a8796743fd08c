/** Everything that the receiver can emit, sorted by name; of nodes also what only a configuration names. */
import type { MetricDeclaration } from '../../../core/metrics/catalogue.ts';
import type { ResourceAttributeDeclaration } from '../../../core/metrics/resource-attributes.ts';

type Attributes = MetricDeclaration['attributes'] & {};
const RESOURCE: Attributes = [{ name: 'resource' }];
const RESOURCE_IN_NAMESPACE: Attributes = [{ name: 'k8s.namespace.name' }, { name: 'resource' }];
const ENDPOINT: Attributes = [
  { name: 'k8s.service.endpoint.address_type' },
  { name: 'k8s.service.endpoint.condition' },
  { name: 'k8s.service.endpoint.zone' },
];

const gauge = (name: string, unit: string, description: string, attributes?: Attributes): MetricDeclaration => ({
  name,
  description,
  unit,
  type: 'gauge',
  valueType: 'int',
  enabled: true,
  ...(attributes ? { attributes } : {}),
});
const double = (metric: MetricDeclaration): MetricDeclaration => ({ ...metric, valueType: 'double' });
const sum = (metric: MetricDeclaration): MetricDeclaration => ({ ...metric, type: 'sum', isMonotonic: false });
/** Not emitted unless it is asked for. */
const off = (metric: MetricDeclaration): MetricDeclaration => ({ ...metric, enabled: false });

const SEE =
  'See https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.23/#resourcerequirements-v1-core for details';
const LIMIT = `Maximum resource limit set for the container. ${SEE}`;
const REQUEST = `Resource requested for the container. ${SEE}`;
const RESTARTS =
  'How many times the container has restarted in the recent past. This value is pulled directly from the K8s API and ' +
  'the value can go indefinitely high and be reset to 0 at any time depending on how your kubelet is configured to ' +
  'prune dead containers. It is best to not depend too much on the exact value but rather look at it as either == 0, ' +
  'in which case you can conclude there were no restarts in the recent past, or > 0, in which case you can conclude ' +
  'there were restarts in the recent past, and not try and analyze the value beyond that.';
const EXPERIMENTAL = 'Experimental metric, may experience breaking changes.';
const available = (of: string): string =>
  `Total number of available pods (ready for at least minReadySeconds) targeted by this ${of}`;
const desired = (of: string): string => `Number of desired pods in this ${of}`;
const IN_NAMESPACE = 'The upper limit for a particular resource in a specific namespace.';

export const METRICS: readonly MetricDeclaration[] = [
  double(gauge('k8s.container.cpu_limit', '{cpu}', LIMIT)),
  double(gauge('k8s.container.cpu_request', '{cpu}', REQUEST)),
  gauge('k8s.container.ephemeralstorage_limit', 'By', LIMIT),
  gauge('k8s.container.ephemeralstorage_request', 'By', REQUEST),
  gauge('k8s.container.memory_limit', 'By', LIMIT),
  gauge('k8s.container.memory_request', 'By', REQUEST),
  gauge('k8s.container.ready', '', 'Whether a container has passed its readiness probe (0 for no, 1 for yes)'),
  gauge('k8s.container.restarts', '{restart}', RESTARTS),
  off(
    sum(
      gauge(
        'k8s.container.status.reason',
        '{container}',
        `${EXPERIMENTAL} Describes the number of K8s containers that are currently in a state for a given reason. ` +
          'All possible container state reasons will be reported at each time interval to avoid missing metrics. ' +
          'Only the value corresponding to the current state reason will be non-zero.',
        [{ name: 'k8s.container.status.reason' }],
      ),
    ),
  ),
  off(
    sum(
      gauge(
        'k8s.container.status.state',
        '{container}',
        `${EXPERIMENTAL} Describes the number of K8s containers that are currently in a given state. ` +
          'All possible container states will be reported at each time interval to avoid missing metrics. ' +
          'Only the value corresponding to the current state will be non-zero.',
        [{ name: 'k8s.container.status.state' }],
      ),
    ),
  ),
  gauge('k8s.container.storage_limit', 'By', LIMIT),
  gauge('k8s.container.storage_request', 'By', REQUEST),
  gauge('k8s.cronjob.active_jobs', '{job}', 'The number of actively running jobs for a cronjob'),
  gauge(
    'k8s.daemonset.current_scheduled_nodes',
    '{node}',
    'Number of nodes that are running at least 1 daemon pod and are supposed to run the daemon pod',
  ),
  gauge(
    'k8s.daemonset.desired_scheduled_nodes',
    '{node}',
    'Number of nodes that should be running the daemon pod (including nodes currently running the daemon pod)',
  ),
  gauge(
    'k8s.daemonset.misscheduled_nodes',
    '{node}',
    'Number of nodes that are running the daemon pod, but are not supposed to run the daemon pod',
  ),
  gauge(
    'k8s.daemonset.ready_nodes',
    '{node}',
    'Number of nodes that should be running the daemon pod and have one or more of the daemon pod running and ready',
  ),
  gauge('k8s.deployment.available', '{pod}', available('deployment')),
  gauge('k8s.deployment.desired', '{pod}', desired('deployment')),
  gauge('k8s.hpa.current_replicas', '{pod}', 'Current number of pod replicas managed by this autoscaler.'),
  gauge('k8s.hpa.desired_replicas', '{pod}', 'Desired number of pod replicas managed by this autoscaler.'),
  gauge('k8s.hpa.max_replicas', '{pod}', 'Maximum number of replicas to which the autoscaler can scale up.'),
  gauge('k8s.hpa.min_replicas', '{pod}', 'Minimum number of replicas to which the autoscaler can scale up.'),
  gauge('k8s.job.active_pods', '{pod}', 'The number of actively running pods for a job'),
  gauge(
    'k8s.job.desired_successful_pods',
    '{pod}',
    'The desired number of successfully finished pods the job should be run with',
  ),
  gauge('k8s.job.failed_pods', '{pod}', 'The number of pods which reached phase Failed for a job'),
  gauge('k8s.job.max_parallel_pods', '{pod}', 'The max desired number of pods the job should run at any given time'),
  gauge('k8s.job.successful_pods', '{pod}', 'The number of pods which reached phase Succeeded for a job'),
  gauge('k8s.namespace.phase', '', 'The current phase of namespaces (1 for active and 0 for terminating)'),
  off(gauge('k8s.node.condition', '{condition}', 'The condition of a particular Node.', [{ name: 'condition' }])),
  gauge(
    'k8s.pod.phase',
    '',
    'Current phase of the pod (1 - Pending, 2 - Running, 3 - Succeeded, 4 - Failed, 5 - Unknown)',
  ),
  off(
    gauge(
      'k8s.pod.status_reason',
      '',
      'Current status reason of the pod (1 - Evicted, 2 - NodeAffinity, 3 - NodeLost, 4 - Shutdown, ' +
        '5 - UnexpectedAdmissionError, 6 - Unknown)',
    ),
  ),
  gauge('k8s.replicaset.available', '{pod}', available('replicaset')),
  gauge('k8s.replicaset.desired', '{pod}', desired('replicaset')),
  gauge('k8s.replication_controller.available', '{pod}', available('replication_controller')),
  gauge('k8s.replication_controller.desired', '{pod}', desired('replication_controller')),
  gauge(
    'k8s.resource_quota.hard_limit',
    '{resource}',
    `${IN_NAMESPACE} Will only be sent if a quota is specified. CPU requests/limits will be sent as millicores`,
    RESOURCE,
  ),
  gauge(
    'k8s.resource_quota.used',
    '{resource}',
    'The usage for a particular resource in a specific namespace. ' +
      'Will only be sent if a quota is specified. CPU requests/limits will be sent as millicores',
    RESOURCE,
  ),
  off(
    gauge(
      'k8s.service.endpoint.count',
      '{endpoint}',
      'The number of endpoints for a service, broken down by condition, address type, and zone.',
      ENDPOINT,
    ),
  ),
  off(
    gauge(
      'k8s.service.load_balancer.ingress.count',
      '{ingress}',
      'The number of load balancer ingress points (external IPs/hostnames) assigned to the service.',
    ),
  ),
  gauge(
    'k8s.statefulset.current_pods',
    '{pod}',
    'The number of pods created by the StatefulSet controller from the StatefulSet version',
  ),
  gauge(
    'k8s.statefulset.desired_pods',
    '{pod}',
    'Number of desired pods in the stateful set (the `spec.replicas` field)',
  ),
  gauge(
    'k8s.statefulset.ready_pods',
    '{pod}',
    'Number of pods created by the stateful set that have the `Ready` condition',
  ),
  gauge(
    'k8s.statefulset.updated_pods',
    '{pod}',
    'Number of pods created by the StatefulSet controller from the StatefulSet version',
  ),
  gauge('openshift.appliedclusterquota.limit', '{resource}', IN_NAMESPACE, RESOURCE_IN_NAMESPACE),
  gauge(
    'openshift.appliedclusterquota.used',
    '{resource}',
    'The usage for a particular resource in a specific namespace.',
    RESOURCE_IN_NAMESPACE,
  ),
  gauge(
    'openshift.clusterquota.limit',
    '{resource}',
    'The configured upper limit for a particular resource.',
    RESOURCE,
  ),
  gauge(
    'openshift.clusterquota.used',
    '{resource}',
    'The usage for a particular resource with a configured limit.',
    RESOURCE,
  ),
];

/** `DiskPressure` → `disk_pressure`, `PIDPressure` → `pid_pressure`, `ephemeral-storage` → `ephemeral_storage`. */
export const snakeCase = (text: string): string =>
  text
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase();

export const conditionMetric = (type: string): string => `k8s.node.condition_${snakeCase(type)}`;
export const allocatableMetric = (resource: string): string => `k8s.node.allocatable_${snakeCase(resource)}`;

const ALLOCATABLE_UNITS: Readonly<Record<string, string>> = {
  cpu: '{cpu}',
  memory: 'By',
  'ephemeral-storage': 'By',
  storage: 'By',
  pods: '{pod}',
};

/** The metrics that node_conditions_to_report and allocatable_types_to_report ask for. */
export function nodeMetrics(conditions: readonly string[], allocatable: readonly string[]): MetricDeclaration[] {
  const found = [
    ...conditions.map((type) =>
      gauge(conditionMetric(type), '', `${type} condition status of the node (true=1, false=0, unknown=-1)`),
    ),
    ...allocatable.map((resource) => {
      const unit = Object.hasOwn(ALLOCATABLE_UNITS, resource) ? ALLOCATABLE_UNITS[resource]! : `{${resource}}`;
      const metric = gauge(allocatableMetric(resource), unit, `Amount of ${resource} allocatable on the node`);
      return resource === 'cpu' ? double(metric) : metric;
    }),
  ];
  return [...new Map(found.map((m) => [m.name, m])).values()];
}

const attribute = (name: string, description: string, enabled = true): ResourceAttributeDeclaration => ({
  name,
  description,
  enabled,
});

export const RESOURCE_ATTRIBUTES: readonly ResourceAttributeDeclaration[] = [
  attribute('container.id', 'The container id'),
  attribute('container.image.name', 'The container image name'),
  attribute('container.image.tag', 'The container image tag'),
  attribute('container.runtime', 'The container runtime of the node', false),
  attribute('container.runtime.version', 'The version of the container runtime of the node', false),
  attribute('k8s.container.name', 'The container name'),
  attribute('k8s.container.status.last_terminated_reason', 'Why the container ended the last time', false),
  attribute('k8s.cronjob.name', 'The CronJob name'),
  attribute('k8s.cronjob.uid', 'The CronJob uid'),
  attribute('k8s.daemonset.name', 'The DaemonSet name'),
  attribute('k8s.daemonset.uid', 'The DaemonSet uid'),
  attribute('k8s.deployment.name', 'The Deployment name'),
  attribute('k8s.deployment.uid', 'The Deployment uid'),
  attribute('k8s.hpa.name', 'The HorizontalPodAutoscaler name'),
  attribute('k8s.hpa.scaletargetref.apiversion', 'The API version of what the autoscaler scales', false),
  attribute('k8s.hpa.scaletargetref.kind', 'The kind of what the autoscaler scales', false),
  attribute('k8s.hpa.scaletargetref.name', 'The name of what the autoscaler scales', false),
  attribute('k8s.hpa.uid', 'The HorizontalPodAutoscaler uid'),
  attribute('k8s.job.name', 'The Job name'),
  attribute('k8s.job.uid', 'The Job uid'),
  attribute('k8s.kubelet.version', 'The version of the kubelet of the node', false),
  attribute('k8s.namespace.name', 'The namespace name'),
  attribute('k8s.namespace.uid', 'The namespace uid'),
  attribute('k8s.node.name', 'The node name'),
  attribute('k8s.node.uid', 'The node uid'),
  attribute('k8s.pod.name', 'The pod name'),
  attribute('k8s.pod.qos_class', 'Guaranteed, Burstable or BestEffort', false),
  attribute('k8s.pod.uid', 'The pod uid'),
  attribute('k8s.replicaset.name', 'The ReplicaSet name'),
  attribute('k8s.replicaset.uid', 'The ReplicaSet uid'),
  attribute('k8s.replicationcontroller.name', 'The ReplicationController name'),
  attribute('k8s.replicationcontroller.uid', 'The ReplicationController uid'),
  attribute('k8s.resourcequota.name', 'The ResourceQuota name'),
  attribute('k8s.resourcequota.uid', 'The ResourceQuota uid'),
  attribute('k8s.service.name', 'The Service name'),
  attribute('k8s.service.publish_not_ready_addresses', 'Whether endpoints that are not ready are published', false),
  attribute('k8s.service.traffic_distribution', 'How traffic is distributed (PreferClose)', false),
  attribute('k8s.service.type', 'The Service type'),
  attribute('k8s.service.uid', 'The Service uid'),
  attribute('k8s.statefulset.name', 'The StatefulSet name'),
  attribute('k8s.statefulset.uid', 'The StatefulSet uid'),
  attribute('openshift.clusterquota.name', 'The ClusterResourceQuota name'),
  attribute('openshift.clusterquota.uid', 'The ClusterResourceQuota uid'),
  attribute('os.description', 'The operating system of the node, in words', false),
  attribute('os.type', 'The kind of operating system of the node', false),
];
