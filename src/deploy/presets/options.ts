/** Options of every preset, with the texts that editors and docs/deploy.md show. */

/** A duration as the collector writes it: `10s`, `1m30s`. */
export type Duration = string;

/** Names and shell patterns (`*`, `?`) of Kubernetes objects. */
export interface PodSelection {
  /** Namespaces, e.g. `shop` or `team-*`. */
  namespaces?: string[];
  /** Pods, e.g. `checkout-*`. */
  pods?: string[];
  /** Containers. */
  containers?: string[];
  /** Labels that a pod has, all of them: `{app: checkout}`; `*` as value: the label is there. */
  labels?: Record<string, string>;
}

/** Names and shell patterns (`*`, `?`); all that are given must fit. */
export interface RuleMatch {
  /** Its namespace. */
  namespace?: string;
  /** Its name. */
  pod?: string;
  /** Name of the container. */
  container?: string;
}

/** Joins lines of one record, e.g. of a stack trace. One of the two patterns. */
export interface Multiline {
  /** Regular expression (RE2) that the first line of a record matches. */
  firstLine?: string;
  /** Regular expression (RE2) that the last line of a record matches. */
  lastLine?: string;
  /** A record is given out after so long without a further line. Default `5s`. */
  flushAfter?: Duration;
  /** Largest record, e.g. `256KiB`; more becomes a record of its own. Default `1MiB`. */
  maxSize?: string;
}

/** JSON objects in the lines of an application. Lines that are none stay as they are. */
export interface JsonParsing {
  /** Where the members go. `attributes` (default) keeps the line as the body. */
  to?: 'attributes' | 'body';
  /** Member with the level. Default `level`. */
  level?: string;
  /** Member with the time; without it the container runtime's time stays. */
  time?: string;
  /** How the time is written, as strptime: `%d/%b/%Y %H:%M:%S`. Default: RFC 3339. */
  timeLayout?: string;
}

/** How the logs of some containers are read: they get a receiver of their own. The first rule that fits a container counts. */
export interface LogRule {
  /** Name of the rule, which becomes that of its receiver: `file_log/<name>`. */
  name: string;
  /** Containers that the rule is for; all of the given criteria must fit. Labels cannot stand here: files do not tell them. */
  match: RuleMatch;
  /** Joins lines of one record. */
  multiline?: Multiline;
  /** Parses JSON objects. `true`: with all defaults. */
  json?: boolean | JsonParsing;
  /** Operators of the `file_log` receiver, in order, after those above. */
  operators?: Record<string, unknown>[];
}

export type Detector =
  | 'card'
  | 'jwt'
  | 'aws_key'
  | 'gcp_key'
  | 'azure_key'
  | 'github_token'
  | 'bearer'
  | 'email'
  | 'iban';

/** Masks secrets and personal data in bodies and attributes of logs. */
export interface Redaction {
  /** What is found without a pattern of yours. */
  detectors?: Detector[];
  /** Regular expressions (RE2); what they match is masked. */
  patterns?: string[];
  /** Regular expressions for keys of attributes whose values are masked. */
  keys?: string[];
}

/** Logs of all containers of the node, from /var/log/pods. */
export interface LogsCollectionOptions {
  /** Only what fits all of these criteria. Default: all. Labels need the preset kubernetesAttributes. */
  include?: PodSelection;
  /** Not what fits one of these criteria. */
  exclude?: PodSelection;
  /**
   * Annotations of pods and namespaces decide, and take effect at once: `io.opentelemetry.discovery.logs/enabled`, or for one
   * container `io.opentelemetry.discovery.logs.<container>/enabled`; `"true"` collects, another value does not. A pod's go before
   * those of its namespace, and of each the one for the container before the one for all. Where there is none, `opt-out` collects
   * and `opt-in` does not. `include` and `exclude` hold all the same. Default: no annotation decides. Needs the preset
   * kubernetesAttributes.
   */
  byAnnotation?: 'opt-in' | 'opt-out';
  /** Also the logs of agents and gateway. Default false: an error that is logged per record would feed itself. */
  includeCollectorLogs?: boolean;
  /** Where to begin in files that are there at the first start. Default `beginning` with checkpoints, else `end`. */
  startAt?: 'beginning' | 'end';
  /** Keep on the node how far files were read. Default true. */
  checkpoints?: boolean;
  /** How often files are looked at. Default `200ms`. */
  pollInterval?: Duration;
  /** Longest record after joining the parts of the container runtime, e.g. `1MiB`. Default `1MiB`. */
  maxRecordSize?: string | number;
  /** Leave out files that were not written to for so long. Default: none. */
  excludeOlderThan?: Duration;
  /**
   * Recognise JSON, logfmt and klog and join stack traces in all containers without a rule of their own. Default false.
   * Needs `engine: sluice`.
   */
  autoParse?: boolean;
  /** Multiline, JSON and operators per application. */
  rules?: LogRule[];
  /** Masks secrets and personal data. */
  redaction?: Redaction;
  /** Operators of the `file_log` receiver for all containers, in order, after the container parser and the rules. */
  operators?: Record<string, unknown>[];
  /** Also mount /var/lib/docker/containers, for nodes whose container runtime is Docker. Default false. */
  dockerRuntime?: boolean;
}

/** `true`/`false`: switches the metric with all its defaults. */
export type MetricSwitches = Record<string, boolean>;

/** Node, pod, container and volume usage from the kubelet of the node. */
export interface KubeletMetricsOptions {
  /** Time between two scrapes. Default `20s`. */
  interval?: Duration;
  /**
   * How the certificate of the kubelet is checked. `verify` (default): against the CA of the cluster. `skip`: not at all, for
   * kubelets that signed their own (kubeadm, kind, Talos unless it rotates server certificates). `{caFile}`: against this CA.
   */
  tls?: 'verify' | 'skip' | { caFile: string };
  /** Address of the kubelet. Default `${env:K8S_NODE_IP}:10250`. */
  endpoint?: string;
  /** What is measured. Default container, pod, node, volume. */
  groups?: ('container' | 'pod' | 'node' | 'volume')[];
  /** Attributes that need the list of pods from the kubelet, hence the right nodes/pods. Default none. */
  extraMetadata?: ('container.id' | 'k8s.volume.type')[];
  /** Metrics to switch on or off, by name. */
  metrics?: MetricSwitches;
  /** Network metrics of all interfaces instead of the default one. */
  allNetworkInterfaces?: { pod?: boolean; node?: boolean };
}

export type HostScraper =
  | 'cpu'
  | 'disk'
  | 'filesystem'
  | 'load'
  | 'memory'
  | 'network'
  | 'paging'
  | 'processes'
  | 'process'
  | 'system';

/** CPU, memory, disks, file systems and network of the node, from /proc and /sys. */
export interface HostMetricsOptions {
  /** Time between two scrapes. Default `10s`. */
  interval?: Duration;
  /** Scrapers to add, change (their options, as the `host_metrics` receiver takes them) or, with false, remove. */
  scrapers?: Partial<Record<HostScraper, boolean | Record<string, unknown>>>;
  /** Metrics to switch on or off, by name, e.g. `system.cpu.utilization`. */
  metrics?: MetricSwitches;
  /** Mount points to leave out: regular expressions, besides the default ones. */
  excludeMountPoints?: string[];
  /** Types of file systems to leave out, besides the default ones. */
  excludeFilesystems?: string[];
  /**
   * What of the node is mounted, read-only: `root` (default) its whole root, so that file systems are measured wherever they
   * are; `['/var', '/data']` only these mount points, which alone are then measured, with /proc and /sys; `proc` only these
   * two, without the filesystem scraper.
   */
  mount?: 'root' | 'proc' | string[];
}

/** A label or annotation that becomes an attribute. */
export interface ExtractRule {
  /** Its key. */
  key?: string;
  /** Instead of key: regular expression on whole keys. */
  keyRegex?: string;
  /** Name of the attribute. Default: made from the key; with keyRegex `$1` stands for its first group. */
  name?: string;
  /** The object that has it. Default pod. */
  from?: 'pod' | 'namespace' | 'node' | 'deployment' | 'statefulset' | 'daemonset' | 'job';
}

/** Adds metadata of pods, their owners and namespaces to logs and metrics. */
export interface KubernetesAttributesOptions {
  /** Attributes to set; replaces the default list. */
  metadata?: string[];
  /** Attributes besides the default list. */
  extraMetadata?: string[];
  /** Labels that become attributes. */
  labels?: ExtractRule[];
  /** Annotations that become attributes. */
  annotations?: ExtractRule[];
  /** All labels of pods become attributes of their names. Default false. */
  allPodLabels?: boolean;
  /** All annotations of pods become attributes of their names. Default false. */
  allPodAnnotations?: boolean;
  /** Annotations `resource.opentelemetry.io/<name>` of pods become attributes. Default true. */
  otelAnnotations?: boolean;
  /** Where pods are learned from (agent): the API server, or the kubelet of the node (`engine: sluice`). Default `api`. */
  podSource?: 'api' | 'kubelet';
  /**
   * Start only when all pods of the node are known, and fail when that takes longer than this. Default: `45s` with
   * otelcol-contrib and where `byAnnotation` of logsCollection decides; none otherwise with sluice, whose records wait for their
   * own pod instead.
   */
  waitForMetadata?: Duration | false;
}

/** State of all objects of the cluster: deployments, pods, nodes, jobs, volumes, quotas. */
export interface ClusterMetricsOptions {
  /** Time between two collections. Default `10s`. */
  interval?: Duration;
  /** Conditions of nodes that become metrics. Default Ready, MemoryPressure, DiskPressure, PIDPressure. */
  nodeConditions?: string[];
  /** Allocatable resources of nodes that become metrics. Default cpu, memory, ephemeral-storage, pods. */
  allocatable?: string[];
  /** Metrics to switch on or off, by name. */
  metrics?: MetricSwitches;
  /** Only these namespaces; metrics of nodes and namespaces are then left out. Default: all. */
  namespaces?: string[];
  /** `openshift` adds its quotas. Default by platform. */
  distribution?: 'kubernetes' | 'openshift';
}

/** Events of Kubernetes as logs. */
export interface KubernetesEventsOptions {
  /** Only these namespaces. Default: all. */
  namespaces?: string[];
  /** Not these namespaces (names or regular expressions on whole names). */
  excludeNamespaces?: string[];
  /** Only events with this field, as kubectl takes it: `type=Warning`. */
  fieldSelector?: string;
  /** Severity, the time of the event and attributes of its reason and object. Default true. Needs `engine: sluice`. */
  details?: boolean;
  /** Of an event that repeats, send the newest count this often. Default `1m`; `0s`: every one. Needs `engine: sluice`. */
  foldInterval?: Duration;
  /**
   * Keep how far events were read in a PersistentVolumeClaim. Default false: sluice hands it on in a Lease, so that the next
   * pod goes on where the last one stopped; otelcol-contrib does so with this alone.
   */
  storage?: boolean;
}

/** Alerts of Falco, recognised among the text that its pods log. Needs logsCollection. */
export interface FalcoOptions {
  /** Namespaces of Falco's pods. Default: all. */
  namespaces?: string[];
  /** Falco's pods. Default `falco*`. */
  pods?: string[];
  /** Containers of Falco. Default `falco`. */
  containers?: string[];
  /** Recognise alerts, by their shape, in the logs of all other pods too. Default false: it costs time on every line. */
  anywhere?: boolean;
  /** Alerts below this priority are dropped. Default: none. */
  minimumPriority?: 'debug' | 'informational' | 'notice' | 'warning' | 'error' | 'critical' | 'alert' | 'emergency';
  /** Alerts about a pod carry the namespace, name and metadata of that pod instead of Falco's own. Default true. */
  attributeToPod?: boolean;
  /** Drop the text that Falco logs besides its alerts. Default false. */
  alertsOnly?: boolean;
}

/** Logs of the services of Talos Linux (machined, kubelet, containerd, etcd …). */
export interface TalosOptions {
  /**
   * `files` (default): from /var/log of the node. `tcp`: from `machine.logging.destinations` of the machine configuration,
   * as JSON lines on a port of the node; needs `engine: otelcol-contrib`.
   */
  from?: 'files' | 'tcp';
  /** Only these services. Default: all. */
  services?: string[];
  /** Not these services. */
  excludeServices?: string[];
  /** Also the audit log of the API server, /var/log/audit/kube. Default false. */
  audit?: boolean;
  /** Port of `tcp`. Default 5140. */
  port?: number;
}

/** Metrics of the collectors themselves, into the destination of all metrics. */
export interface SelfMonitoringOptions {
  /** Time between two scrapes. Default `30s`. */
  interval?: Duration;
  /** How much is measured. Default `normal`. */
  level?: 'basic' | 'normal' | 'detailed';
}

/** An option set, true for all defaults, false to leave the preset out. */
export type PresetSwitch<Options> = boolean | Options;

/** What an agent, one on every node, can collect. The first four are on unless they are set to false. */
export interface AgentPresets {
  /** Logs of all containers of the node. On by default. */
  logsCollection?: PresetSwitch<LogsCollectionOptions>;
  /** Usage of nodes, pods, containers and volumes. On by default. */
  kubeletMetrics?: PresetSwitch<KubeletMetricsOptions>;
  /** CPU, memory, disks and network of the node. On by default. */
  hostMetrics?: PresetSwitch<HostMetricsOptions>;
  /** Metadata of pods on logs and metrics. On by default. */
  kubernetesAttributes?: PresetSwitch<KubernetesAttributesOptions>;
  /** Alerts of Falco. */
  falco?: PresetSwitch<FalcoOptions>;
  /** Logs of the services of Talos. */
  talos?: PresetSwitch<TalosOptions>;
  /** Metrics of the agents themselves. */
  selfMonitoring?: PresetSwitch<SelfMonitoringOptions>;
}

/** What the gateway, one in the cluster, can collect. The first three are on unless they are set to false. */
export interface GatewayPresets {
  /** State of all objects of the cluster. On by default. */
  clusterMetrics?: PresetSwitch<ClusterMetricsOptions>;
  /** Events of Kubernetes. On by default. */
  kubernetesEvents?: PresetSwitch<KubernetesEventsOptions>;
  /** Metadata of pods on metrics. On by default. */
  kubernetesAttributes?: PresetSwitch<KubernetesAttributesOptions>;
  /** Metrics of the gateway itself. */
  selfMonitoring?: PresetSwitch<SelfMonitoringOptions>;
}
