/** Everything that the receiver can emit, by the resource that it belongs to, sorted by name. */
import type { MetricDeclaration } from '../../../core/metrics/catalogue.ts';
import type { ResourceAttributeDeclaration } from '../../../core/metrics/resource-attributes.ts';

type Attributes = MetricDeclaration['attributes'] & {};
const NETWORK: Attributes = [{ name: 'interface' }, { name: 'direction' }];
const FS_TYPE: Attributes = [{ name: 'fs.type' }];

const declare =
  (type: 'gauge' | 'sum', valueType: 'int' | 'double', isMonotonic: boolean) =>
  (name: string, unit: string, description: string, attributes?: Attributes): MetricDeclaration => ({
    name,
    description,
    unit,
    type,
    valueType,
    isMonotonic,
    enabled: true,
    ...(attributes ? { attributes } : {}),
  });
const gauge = declare('gauge', 'int', false);
const gaugeDouble = declare('gauge', 'double', false);
const sum = declare('sum', 'int', false);
const counter = declare('sum', 'int', true);
const counterDouble = declare('sum', 'double', true);
/** Not emitted unless it is asked for. */
const off = (metric: MetricDeclaration): MetricDeclaration => ({ ...metric, enabled: false });

const CPU_TIME = 'Total cumulative CPU time (sum of all cores) spent by the container/pod/node since its creation';
const CPU_USAGE = 'Total CPU usage (sum of all cores per second) averaged over the sample window';
const podShare = (what: string, of: string): string =>
  `Pod ${what} utilization as a ratio of the pod's total container ${of}s. ` +
  `If any container is missing a ${of} the metric is not emitted.`;

export const NODE_METRICS: readonly MetricDeclaration[] = [
  counterDouble('k8s.node.cpu.time', 's', CPU_TIME),
  gaugeDouble('k8s.node.cpu.usage', '{cpu}', CPU_USAGE),
  gauge('k8s.node.filesystem.available', 'By', 'Node filesystem available'),
  gauge('k8s.node.filesystem.capacity', 'By', 'Node filesystem capacity'),
  off(sum('k8s.node.filesystem.inode.count', '{inode}', 'The total inodes in the filesystem of the node.')),
  off(sum('k8s.node.filesystem.inode.free', '{inode}', 'The free inodes in the filesystem of the node.')),
  gauge('k8s.node.filesystem.usage', 'By', 'Node filesystem usage'),
  gauge('k8s.node.memory.available', 'By', 'Node memory available'),
  gauge('k8s.node.memory.major_page_faults', '1', 'Node memory major_page_faults'),
  gauge('k8s.node.memory.page_faults', '1', 'Node memory page_faults'),
  gauge('k8s.node.memory.rss', 'By', 'Node memory rss'),
  gauge('k8s.node.memory.usage', 'By', 'Node memory usage'),
  gauge('k8s.node.memory.working_set', 'By', 'Node memory working_set'),
  counter('k8s.node.network.errors', '1', 'Node network errors', NETWORK),
  counter('k8s.node.network.io', 'By', 'Node network IO', NETWORK),
  off(sum('k8s.node.pid.limit', '{thread}', 'The maximum number of process identifiers on the node.')),
  off(sum('k8s.node.pid.usage', '{thread}', 'The number of process identifiers in use on the node.')),
  off(counter('k8s.node.uptime', 's', 'The time since the node started')),
];

export const SYSTEM_METRICS: readonly MetricDeclaration[] = [
  off(
    counterDouble(
      'k8s.node.system_container.cpu.time',
      's',
      'Total cumulative CPU time (sum of all cores) spent by the system container since its creation',
    ),
  ),
  off(gaugeDouble('k8s.node.system_container.cpu.usage', '{cpu}', CPU_USAGE)),
  off(gauge('k8s.node.system_container.memory.usage', 'By', 'System container memory usage')),
  off(gauge('k8s.node.system_container.memory.working_set', 'By', 'System container memory working_set')),
];

export const POD_METRICS: readonly MetricDeclaration[] = [
  off(gaugeDouble('k8s.pod.cpu.node.utilization', '1', "Pod cpu utilization as a ratio of the node's capacity")),
  counterDouble('k8s.pod.cpu.time', 's', CPU_TIME),
  gaugeDouble('k8s.pod.cpu.usage', '{cpu}', CPU_USAGE),
  off(gaugeDouble('k8s.pod.cpu_limit_utilization', '1', podShare('cpu', 'limit'))),
  off(gaugeDouble('k8s.pod.cpu_request_utilization', '1', podShare('cpu', 'request'))),
  gauge('k8s.pod.filesystem.available', 'By', 'Pod filesystem available'),
  gauge('k8s.pod.filesystem.capacity', 'By', 'Pod filesystem capacity'),
  gauge('k8s.pod.filesystem.usage', 'By', 'Pod filesystem usage'),
  gauge('k8s.pod.memory.available', 'By', 'Pod memory available'),
  gauge('k8s.pod.memory.major_page_faults', '1', 'Pod memory major_page_faults'),
  off(gaugeDouble('k8s.pod.memory.node.utilization', '1', "Pod memory utilization as a ratio of the node's capacity")),
  gauge('k8s.pod.memory.page_faults', '1', 'Pod memory page_faults'),
  gauge('k8s.pod.memory.rss', 'By', 'Pod memory rss'),
  gauge('k8s.pod.memory.usage', 'By', 'Pod memory usage'),
  gauge('k8s.pod.memory.working_set', 'By', 'Pod memory working_set'),
  off(gaugeDouble('k8s.pod.memory_limit_utilization', '1', podShare('memory', 'limit'))),
  off(gaugeDouble('k8s.pod.memory_request_utilization', '1', podShare('memory', 'request'))),
  counter('k8s.pod.network.errors', '1', 'Pod network errors', NETWORK),
  counter('k8s.pod.network.io', 'By', 'Pod network IO', NETWORK),
  off(counter('k8s.pod.uptime', 's', 'The time since the pod started')),
];

export const CONTAINER_METRICS: readonly MetricDeclaration[] = [
  counterDouble('container.cpu.time', 's', CPU_TIME),
  gaugeDouble('container.cpu.usage', '{cpu}', CPU_USAGE),
  gauge('container.filesystem.available', 'By', 'Container filesystem available'),
  gauge('container.filesystem.capacity', 'By', 'Container filesystem capacity'),
  gauge('container.filesystem.usage', 'By', 'Container filesystem usage'),
  gauge('container.memory.available', 'By', 'Container memory available'),
  gauge('container.memory.major_page_faults', '1', 'Container memory major_page_faults'),
  gauge('container.memory.page_faults', '1', 'Container memory page_faults'),
  gauge('container.memory.rss', 'By', 'Container memory rss'),
  gauge('container.memory.usage', 'By', 'Container memory usage'),
  gauge('container.memory.working_set', 'By', 'Container memory working_set'),
  off(counter('container.uptime', 's', 'The time since the container started')),
  off(
    gaugeDouble(
      'k8s.container.cpu.node.utilization',
      '1',
      "Container cpu utilization as a ratio of the node's capacity",
    ),
  ),
  off(
    gaugeDouble(
      'k8s.container.cpu_limit_utilization',
      '1',
      "Container cpu utilization as a ratio of the container's limits",
    ),
  ),
  off(
    gaugeDouble(
      'k8s.container.cpu_request_utilization',
      '1',
      "Container cpu utilization as a ratio of the container's requests",
    ),
  ),
  off(sum('k8s.container.ephemeral_storage.usage', 'By', 'Ephemeral storage used by the container.', FS_TYPE)),
  off(
    gaugeDouble(
      'k8s.container.memory.node.utilization',
      '1',
      "Container memory utilization as a ratio of the node's capacity",
    ),
  ),
  off(
    gaugeDouble(
      'k8s.container.memory_limit_utilization',
      '1',
      "Container memory utilization as a ratio of the container's limits",
    ),
  ),
  off(
    gaugeDouble(
      'k8s.container.memory_request_utilization',
      '1',
      "Container memory utilization as a ratio of the container's requests",
    ),
  ),
];

export const VOLUME_METRICS: readonly MetricDeclaration[] = [
  off(sum('k8s.pod.volume.usage', 'By', 'The number of used bytes in the pod volume.')),
  gauge('k8s.volume.available', 'By', 'The number of available bytes in the volume.'),
  gauge('k8s.volume.capacity', 'By', 'The total capacity in bytes of the volume.'),
  gauge('k8s.volume.inodes', '1', 'The total inodes in the filesystem.'),
  gauge('k8s.volume.inodes.free', '1', 'The free inodes in the filesystem.'),
  gauge(
    'k8s.volume.inodes.used',
    '1',
    'The inodes used by the filesystem. This may not equal inodes - free because filesystem may share inodes with other filesystems.',
  ),
];

export const METRICS: readonly MetricDeclaration[] = [
  ...NODE_METRICS,
  ...SYSTEM_METRICS,
  ...POD_METRICS,
  ...CONTAINER_METRICS,
  ...VOLUME_METRICS,
].sort((a, b) => (a.name < b.name ? -1 : 1));

const attribute = (name: string, description: string): ResourceAttributeDeclaration => ({
  name,
  description,
  enabled: true,
});

export const RESOURCE_ATTRIBUTES: readonly ResourceAttributeDeclaration[] = [
  attribute('aws.volume.id', 'The id of the AWS volume'),
  attribute('container.id', 'Container id used to identify container'),
  attribute('fs.type', 'The filesystem type of the volume'),
  attribute('gce.pd.name', 'The name of the persistent disk in GCE'),
  attribute('glusterfs.endpoints.name', 'The endpoint name that details Glusterfs topology'),
  attribute('glusterfs.path', 'Glusterfs volume path'),
  attribute('k8s.container.name', 'Container name used by container runtime'),
  attribute('k8s.namespace.name', 'The name of the namespace that the pod is running in'),
  attribute('k8s.node.name', 'The name of the node'),
  attribute('k8s.node.system_container.name', 'The name of the system container'),
  attribute('k8s.persistentvolumeclaim.name', 'The name of the persistent volume claim'),
  attribute('k8s.pod.name', 'The name of the pod'),
  attribute('k8s.pod.uid', 'The UID of the pod'),
  attribute('k8s.volume.name', 'The name of the volume'),
  attribute('k8s.volume.type', 'The type of the volume'),
  attribute('partition', 'The partition in the volume'),
];
