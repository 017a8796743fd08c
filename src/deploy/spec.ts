/** What a user writes, in TypeScript or YAML, and the same with all defaults filled in. docs/deploy.md is made from the texts here. */
import type { CollectorConfig, TierName } from './config.ts';
import type { ConfigEdits } from './edit.ts';
import type { AgentPresets, GatewayPresets } from './presets/options.ts';

export type Platform = 'generic' | 'talos' | 'k3s' | 'openshift' | 'gke-autopilot';
export type Engine = 'sluice' | 'otelcol-contrib';

export interface Image {
  /** Where the image is. Default `localhost/sluice`, or `otel/opentelemetry-collector-contrib`. */
  repository?: string;
  /** Default: the version of sluice, or collectorVersion. */
  tag?: string;
  /** `sha256:…`; wins over tag. */
  digest?: string;
  /** When the node fetches it. Default IfNotPresent. */
  pullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  /** Names of Secrets with credentials of the registry. */
  pullSecrets?: string[];
}

/** Credentials, from a Secret in the namespace of the collector; they become environment variables, never text in a ConfigMap. */
export interface Authentication {
  /** User name and password of HTTP Basic, as keys of the Secret. Defaults `username`, `password`. */
  basic?: { secret: string; usernameKey?: string; passwordKey?: string };
  /** Bearer token, as key of the Secret. Default `token`. */
  bearer?: { secret: string; key?: string };
}

export interface DestinationTls {
  /** Path of the CA certificate in the container; empty: the CAs of the image. */
  caFile?: string;
  /** Do not check the certificate. Default false. */
  insecureSkipVerify?: boolean;
  /** Name to expect in the certificate. */
  serverName?: string;
}

interface Destination {
  /** Extra request headers. */
  headers?: Record<string, string>;
  /** Certificates, for https. */
  tls?: DestinationTls;
  /** Credentials. */
  authentication?: Authentication;
  /** Longest time for one attempt. Default: that of the exporter. */
  timeout?: string;
  /** Keep what cannot be sent on the disk of the node (agent). Default true for logs, false for metrics. */
  persistentQueue?: boolean;
}

/** Where metrics go: Prometheus remote write. */
export interface MetricsDestination extends Destination {
  /** URL that takes remote write. Default: vminsert of a VictoriaMetrics cluster in the namespace victoria-metrics. */
  url?: string;
  /** `zstd` is VictoriaMetrics' variant: smaller (`engine: sluice`). Default snappy. */
  compression?: 'snappy' | 'zstd';
  /**
   * Resource attributes that become labels of every series; replaces the default list. Every attribute more is more series.
   * otelcol-contrib cannot choose: there, all resource attributes become labels.
   */
  labels?: string[];
  /** Labels for every series. */
  externalLabels?: Record<string, string>;
}

/** Where logs go: OTLP over HTTP. */
export interface LogsDestination extends Destination {
  /** Base URL; v1/logs is appended. Default: VictoriaLogs (single server) in the namespace victoria-logs. */
  url?: string;
  /** What the destination is. Default: by the URL; `/insert/opentelemetry` is VictoriaLogs. */
  kind?: 'victorialogs' | 'otlp';
  /** Default zstd for VictoriaLogs, gzip for others. */
  compression?: 'zstd' | 'gzip' | 'none';
  /** VictoriaLogs: fields that make a stream. Default namespace, pod and container (and cluster when it has a name). */
  streamFields?: string[];
  /** VictoriaLogs: fields that become the message of records without text, the first that is there. */
  messageFields?: string[];
  /** VictoriaLogs: fields that are not stored; `*` at the end stands for any text. */
  ignoreFields?: string[];
  /** VictoriaLogs: fields that are added to every record. */
  extraFields?: Record<string, string>;
  /** VictoriaLogs: tenant. */
  tenant?: { account: number; project?: number };
}

export interface Destinations {
  metrics?: MetricsDestination;
  logs?: LogsDestination;
}

export interface Resources {
  requests?: Record<string, string | number>;
  limits?: Record<string, string | number>;
}

/** As Kubernetes writes it: `{operator: Exists}`. */
export interface Toleration {
  key?: string;
  operator?: 'Exists' | 'Equal';
  value?: string;
  effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
  tolerationSeconds?: number;
}

/** As Kubernetes writes it: `{name, value}` or `{name, valueFrom}`. */
export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: Record<string, unknown>;
}

/** One of the sources of a volume, as Kubernetes writes it, and where it is mounted. */
export interface Volume {
  name: string;
  /** Path in the container. */
  mountPath: string;
  /** Default true. */
  readOnly?: boolean;
  configMap?: Record<string, unknown>;
  secret?: Record<string, unknown>;
  projected?: Record<string, unknown>;
  csi?: Record<string, unknown>;
  emptyDir?: Record<string, unknown>;
  persistentVolumeClaim?: Record<string, unknown>;
  /** Of the node (agent). */
  hostPath?: Record<string, unknown>;
}

/** What both tiers can be told. */
export interface TierCommon {
  /** Changes to the configuration that the presets make, in its own shape; see the list operators. */
  config?: ConfigEdits;
  /** Lowest level of the collector's own log. Default info. */
  logLevel?: 'debug' | 'info' | 'warn' | 'error';
  /** Limits of memory_limiter, in percent of the memory limit, and how often it looks. Defaults 80, 25, 5s. */
  memoryLimiter?: { limitPercentage?: number; spikeLimitPercentage?: number; checkInterval?: string };
  /** When batches are sent. Default timeout 10s. */
  batch?: { timeout?: string; sendBatchSize?: number; sendBatchMaxSize?: number };
  /** Requests and limits of the container, in place of the default ones: requests of 50m and 128Mi, a limit of 512Mi. */
  resources?: Resources;
  /** E.g. `system-node-critical`. */
  priorityClassName?: string;
  /** Default for the agent: `[{operator: Exists}]`, so that it runs on every node. */
  tolerations?: Toleration[];
  /** Labels that a node must have. */
  nodeSelector?: Record<string, string>;
  /** As Kubernetes writes it. Default: several gateways are spread over nodes, as far as there are enough. */
  affinity?: Record<string, unknown>;
  /** Labels of all objects of the tier. */
  labels?: Record<string, string>;
  /** Annotations of the pods. */
  annotations?: Record<string, string>;
  /** Environment variables of the container. */
  env?: EnvVar[];
  /** Volumes besides those that the configuration needs, e.g. the CA of a destination. */
  volumes?: Volume[];
  /** A NetworkPolicy: nothing comes in but probes, scrapes and what receivers listen for. Default false. */
  networkPolicy?: boolean;
  /**
   * Lets an operator scrape the collector's own metrics: true or `PodMonitor` for Prometheus' (VictoriaMetrics' converts it
   * where its CRD is there), `VMPodScrape` for VictoriaMetrics' alone. Default false.
   */
  podMonitor?: boolean | 'PodMonitor' | 'VMPodScrape';
}

export interface AgentSpec extends TierCommon {
  /** What is collected on every node. */
  presets?: AgentPresets;
  /** Agents that may be away at a time during an update: a number or a share. Default 10%. */
  maxUnavailable?: number | string;
}

export interface GatewaySpec extends TierCommon {
  /** What is collected once in the cluster. */
  presets?: GatewayPresets;
  /** A namespace of its own, with Pod Security `restricted`; the Lease is there too. Default: that of the agent. */
  namespace?: string;
  /** More than one: a leader is elected, the others wait. Default 1. */
  replicas?: number;
  /** A PodDisruptionBudget. Default false. */
  podDisruptionBudget?: boolean;
}

/**
 * Grafana's dashboards and alert rules beside the collectors, for what the spec collects; those of the collectors themselves
 * need selfMonitoring or podMonitor.
 */
export interface DashboardOptions {
  /** Where their ConfigMaps are, which must be there: that of Grafana, or any that its sidecar looks at. Default: the agent's. */
  namespace?: string;
  /** Labels that the sidecar looks for. Default `{grafana_dashboard: '1'}`. */
  sidecarLabel?: Record<string, string>;
  /** Folder in Grafana, for sidecars that look at the annotation `grafana_folder`. Default `Kubernetes`. */
  folder?: string;
  /** Alert rules, for the operators that are there. Default none. */
  rules?: ('VMRule' | 'PrometheusRule')[];
}

/** One agent on every node and one gateway in the cluster. */
export interface Spec {
  /** Default `opentelemetry`. */
  namespace?: string;
  /** Becomes `k8s.cluster.name` on everything. */
  clusterName?: string;
  /** Which collector runs; both take the same configuration. Default sluice. */
  engine?: Engine;
  /** Version of otelcol-contrib that the configuration is for: it decides how components are spelled. Default 0.158.0. */
  collectorVersion?: string;
  /** `helm`: the configuration that the chart opentelemetry-collector 0.170 makes of the same presets. Default recommended. */
  compat?: 'recommended' | 'helm';
  /** Where it runs. Default generic. */
  platform?: Platform;
  /** Of the cluster, `1.32`: before 1.33, kubelets want the right nodes/proxy where nodes/pods is enough since. Default: 1.33 or later. */
  kubernetesVersion?: string;
  /** Which image runs. */
  image?: Image;
  /** Where metrics and logs go. */
  destinations?: Destinations;
  /** The agents, or false for none. */
  agent?: AgentSpec | false;
  /** The gateway, or false for none. */
  gateway?: GatewaySpec | false;
  /** Dashboards and alert rules, rendered with the rest. Default false. */
  dashboards?: boolean | DashboardOptions;
}

/** T with the keys K there. */
type With<T, K extends keyof T> = Omit<T, K> & { [P in K]-?: Exclude<T[P], undefined> };

export type NormalImage = With<Image, 'repository' | 'pullPolicy' | 'pullSecrets'>;
export type NormalMetricsDestination = With<
  MetricsDestination,
  'url' | 'compression' | 'labels' | 'headers' | 'externalLabels' | 'persistentQueue'
> & {
  /** The spec says where to; else it is the default. */
  isNamed: boolean;
};
export type NormalLogsDestination = With<
  LogsDestination,
  | 'url'
  | 'kind'
  | 'compression'
  | 'headers'
  | 'streamFields'
  | 'messageFields'
  | 'ignoreFields'
  | 'extraFields'
  | 'persistentQueue'
> & {
  isNamed: boolean;
};

type TierDefaults = 'config' | 'logLevel' | 'memoryLimiter' | 'batch' | 'resources' | 'tolerations';
type TierMaps = 'nodeSelector' | 'labels' | 'annotations' | 'env' | 'volumes' | 'networkPolicy' | 'podMonitor';

/** Options of the presets that are on; the others are absent. */
export type On<Presets> = { [K in keyof Presets]?: Exclude<Presets[K], boolean | undefined> };

export interface NormalAgent extends Omit<With<AgentSpec, TierDefaults | TierMaps | 'maxUnavailable'>, 'presets'> {
  presets: On<AgentPresets>;
}
export interface NormalGateway
  extends Omit<
    With<GatewaySpec, TierDefaults | TierMaps | 'namespace' | 'replicas' | 'podDisruptionBudget'>,
    'presets'
  > {
  presets: On<GatewayPresets>;
}

/** A spec with all defaults filled in. `agent`, `gateway` or `dashboards` is absent when there is none. */
export interface NormalSpec {
  namespace: string;
  clusterName?: string;
  engine: Engine;
  collectorVersion: string;
  compat: 'recommended' | 'helm';
  platform: Platform;
  kubernetesVersion?: string;
  image: NormalImage;
  destinations: { metrics: NormalMetricsDestination; logs: NormalLogsDestination };
  agent?: NormalAgent;
  gateway?: NormalGateway;
  dashboards?: DashboardOptions;
}

/** What everything else is made from. */
export interface Collection {
  spec: NormalSpec;
  tiers: { name: TierName; config: CollectorConfig }[];
}
