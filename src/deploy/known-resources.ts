/** Resources of Kubernetes by name, for a rule about one whose group nobody wrote; and what k8s_cluster looks at. */

export interface KnownResource {
  readonly group: string;
  readonly isClusterWide: boolean;
}

/** API groups with their resources; those of the whole cluster behind a `!`. */
const GROUPS: Readonly<Record<string, string>> = {
  '':
    'bindings configmaps endpoints events limitranges persistentvolumeclaims pods podtemplates replicationcontrollers ' +
    'resourcequotas secrets serviceaccounts services !componentstatuses !namespaces !nodes !persistentvolumes',
  apps: 'controllerrevisions daemonsets deployments replicasets statefulsets',
  batch: 'cronjobs jobs',
  autoscaling: 'horizontalpodautoscalers',
  policy: 'poddisruptionbudgets',
  'networking.k8s.io': 'ingresses networkpolicies !ingressclasses !ipaddresses !servicecidrs',
  'rbac.authorization.k8s.io': 'rolebindings roles !clusterrolebindings !clusterroles',
  'storage.k8s.io':
    'csistoragecapacities !csidrivers !csinodes !storageclasses !volumeattachments !volumeattributesclasses',
  'coordination.k8s.io': 'leases leasecandidates',
  'discovery.k8s.io': 'endpointslices',
  'events.k8s.io': 'events',
  'node.k8s.io': '!runtimeclasses',
  'scheduling.k8s.io': '!priorityclasses',
  'resource.k8s.io': 'resourceclaims resourceclaimtemplates !deviceclasses !resourceslices',
  'apiextensions.k8s.io': '!customresourcedefinitions',
  'apiregistration.k8s.io': '!apiservices',
  'admissionregistration.k8s.io':
    '!mutatingwebhookconfigurations !validatingadmissionpolicies !validatingadmissionpolicybindings !validatingwebhookconfigurations',
  'certificates.k8s.io': '!certificatesigningrequests !clustertrustbundles',
  'flowcontrol.apiserver.k8s.io': '!flowschemas !prioritylevelconfigurations',
  'autoscaling.k8s.io': 'verticalpodautoscalers verticalpodautoscalercheckpoints',
  'gateway.networking.k8s.io': 'gateways grpcroutes httproutes referencegrants !gatewayclasses',
  'cert-manager.io': 'certificaterequests certificates issuers !clusterissuers',
  'quota.openshift.io': '!clusterresourcequotas',
};

/** In the order of discovery: the core group before others. */
export const KNOWN_RESOURCES: ReadonlyMap<string, readonly KnownResource[]> = (() => {
  const known = new Map<string, KnownResource[]>();
  for (const [group, names] of Object.entries(GROUPS))
    for (const word of names.split(' ')) {
      const isClusterWide = word.startsWith('!');
      const name = isClusterWide ? word.slice(1) : word;
      known.set(name, [...(known.get(name) ?? []), { group, isClusterWide }]);
    }
  return known;
})();

export interface ClusterKind {
  readonly group: string;
  readonly resource: string;
  readonly isClusterWide?: boolean;
  /** Has entity events in a pipeline of logs. */
  readonly hasEntity?: boolean;
  /** Metrics begin with one of these. */
  readonly prefixes: readonly string[];
  /** Those that are on unless they are turned off, without their prefix. */
  readonly on: readonly string[];
}

const PODS = ['k8s.pod.phase', 'k8s.container.cpu_limit', 'k8s.container.cpu_request'];
const CONTAINERS = [
  'ephemeralstorage_limit',
  'ephemeralstorage_request',
  'memory_limit',
  'memory_request',
  'ready',
  'restarts',
  'storage_limit',
  'storage_request',
].map((n) => `k8s.container.${n}`);

const kind = (group: string, resource: string, prefix: string, on: string): ClusterKind => ({
  group,
  resource,
  hasEntity: true,
  prefixes: [prefix],
  on: on === '' ? [] : on.split(' ').map((n) => prefix + n),
});

/** What k8s_cluster looks at, and for which of its metrics; a test holds it against the receiver. */
export const CLUSTER_KINDS: readonly ClusterKind[] = [
  { ...kind('', 'pods', 'k8s.pod.', ''), prefixes: ['k8s.pod.', 'k8s.container.'], on: [...PODS, ...CONTAINERS] },
  { ...kind('', 'nodes', 'k8s.node.', ''), isClusterWide: true },
  { ...kind('', 'namespaces', 'k8s.namespace.', 'phase'), isClusterWide: true },
  { ...kind('', 'resourcequotas', 'k8s.resource_quota.', 'hard_limit used'), hasEntity: false },
  kind('', 'services', 'k8s.service.', ''),
  { ...kind('discovery.k8s.io', 'endpointslices', 'k8s.service.endpoint.count', ''), hasEntity: false },
  kind('apps', 'deployments', 'k8s.deployment.', 'available desired'),
  kind('apps', 'replicasets', 'k8s.replicaset.', 'available desired'),
  kind('', 'replicationcontrollers', 'k8s.replication_controller.', 'available desired'),
  kind('apps', 'statefulsets', 'k8s.statefulset.', 'current_pods desired_pods ready_pods updated_pods'),
  kind(
    'apps',
    'daemonsets',
    'k8s.daemonset.',
    'current_scheduled_nodes desired_scheduled_nodes misscheduled_nodes ready_nodes',
  ),
  kind(
    'batch',
    'jobs',
    'k8s.job.',
    'active_pods desired_successful_pods failed_pods max_parallel_pods successful_pods',
  ),
  kind('batch', 'cronjobs', 'k8s.cronjob.', 'active_jobs'),
  kind(
    'autoscaling',
    'horizontalpodautoscalers',
    'k8s.hpa.',
    'current_replicas desired_replicas max_replicas min_replicas',
  ),
];

export const OPENSHIFT_QUOTAS: ClusterKind = {
  group: 'quota.openshift.io',
  resource: 'clusterresourcequotas',
  isClusterWide: true,
  prefixes: ['openshift.'],
  on: ['clusterquota.limit', 'clusterquota.used', 'appliedclusterquota.limit', 'appliedclusterquota.used'].map(
    (n) => `openshift.${n}`,
  ),
};
