/** The configurations that agent and gateway run with here: ordinary files of otelcol's YAML, for people to open and change. */

/** First line of every file written here; tells a directory of ours from others. */
export const MARK = '# Written by `sluice up`.';

interface CommonOptions {
  readonly path: string;
  readonly storage: string;
  readonly storeUrl: string;
  readonly metricsPort: number;
  readonly healthPort: number;
}

export interface AgentConfigOptions extends CommonOptions {
  /** Directory laid out like /var/log/pods. */
  readonly pods: string;
  /** `end` for logs that were there before. */
  readonly startAt: 'beginning' | 'end';
  /** Also measure this machine, which must be a Linux. */
  readonly hasHostMetrics: boolean;
  /** The node that the pods are of, and its kubelet; missing without a cluster. */
  readonly cluster?: { readonly node: string; readonly kubeletUrl: string };
}

export interface GatewayConfigOptions extends CommonOptions {
  readonly kubeconfig: string;
}

// JSON strings are YAML strings.
const quoted = (text: string): string => JSON.stringify(text);

const HOST_METRICS = `  host_metrics:
    collection_interval: 5s
    initial_delay: 500ms
    scrapers:
      cpu:
      load:
      memory:
      disk:
      filesystem:
      network:
      paging:
      processes:
`;

const kubeletStats = (url: string): string => `  kubelet_stats:
    collection_interval: 5s
    initial_delay: 500ms
    auth_type: none
    endpoint: ${quoted(url)}
`;

const RESOURCE_DETECTION = `  resource_detection:
    detectors: [system]
    system:
      hostname_sources: [os]
`;

const k8sAttributes = (node: string): string => `  k8s_attributes:
    auth_type: kubeConfig
${node === '' ? '' : `    filter:\n      node: ${node}\n`}    pod_association:
      - sources: [{ from: resource_attribute, name: k8s.pod.uid }]
    extract:
      metadata:
        - k8s.namespace.name
        - k8s.pod.name
        - k8s.pod.uid
        - k8s.pod.start_time
        - k8s.node.name
        - k8s.deployment.name
        - k8s.daemonset.name
        - container.image.name
        - container.image.tag
      labels:
        - { tag_name: app.version, key: app.kubernetes.io/version, from: pod }
`;

const MEMORY_LIMITER = `  memory_limiter:
    check_interval: 1s
    limit_mib: 256
    spike_limit_mib: 64
`;

const BATCH = `  batch:
    timeout: 1s
`;

const extensions = (o: CommonOptions): string => `extensions:
  health_check:
    endpoint: 127.0.0.1:${o.healthPort}
  file_storage:
    directory: ${quoted(o.storage)}
    create_directory: true
`;

const otlpHttp = (o: CommonOptions, headers = ''): string => `  otlp_http:
    logs_endpoint: ${o.storeUrl}/insert/opentelemetry/v1/logs
    compression: gzip
${headers}`;

const remoteWrite = (o: CommonOptions): string => `  prometheus_remote_write:
    endpoint: ${o.storeUrl}/insert/0/prometheus/api/v1/write
    resource_to_telemetry_conversion:
      enabled: true
    target_info:
      enabled: false
    disable_scope_info: true
`;

const service = (o: CommonOptions): string => `service:
  extensions: [health_check, file_storage]
  telemetry:
    metrics:
      readers:
        - pull:
            exporter:
              prometheus:
                host: 127.0.0.1
                port: ${o.metricsPort}
`;

const pipeline = (signal: string, receivers: readonly string[], processors: readonly string[], exporter: string) =>
  `    ${signal}:
      receivers: [${receivers.join(', ')}]
      processors: [${processors.join(', ')}]
      exporters: [${exporter}]
`;

/** Parts that are there when a condition holds. */
const given = (condition: unknown, ...parts: string[]): readonly string[] => (condition ? parts : []);

export function agentConfig(o: AgentConfigOptions): string {
  const { cluster, hasHostMetrics } = o;
  const measures = [...given(cluster, 'kubelet_stats'), ...given(hasHostMetrics, 'host_metrics')];
  const enrich = given(cluster, 'k8s_attributes');
  return `${MARK}
# The same file runs with: ${cluster ? 'KUBECONFIG=kubeconfig ' : ''}sluice --config ${o.path}
# and with a newer otelcol-contrib (0.149): ${cluster ? 'KUBECONFIG=kubeconfig ' : ''}otelcol-contrib --config ${o.path}

${extensions(o)}
receivers:
  file_log:
    include:
      - ${quoted(`${o.pods}/*/*/*.log`)}
      # What the kubelet renamed while nobody read it.
      - ${quoted(`${o.pods}/*/*/*.log.2*`)}
    exclude:
      - ${quoted(`${o.pods}/*/*/*.gz`)}
      - ${quoted(`${o.pods}/*/*/*.tmp`)}
    include_file_path: true
    start_at: ${o.startAt}
    poll_interval: 200ms
    storage: file_storage
    operators:
      - type: container
${cluster ? kubeletStats(cluster.kubeletUrl) : ''}${hasHostMetrics ? HOST_METRICS : ''}
processors:
${MEMORY_LIMITER}${cluster ? k8sAttributes(cluster.node) : ''}${BATCH}${hasHostMetrics ? RESOURCE_DETECTION : ''}
exporters:
${otlpHttp(o)}${measures.length > 0 ? remoteWrite(o) : ''}
${service(o)}  pipelines:
${pipeline('logs', ['file_log'], ['memory_limiter', ...enrich, 'batch'], 'otlp_http')}${
  measures.length > 0
    ? pipeline(
        'metrics',
        measures,
        ['memory_limiter', ...enrich, ...given(hasHostMetrics, 'resource_detection'), 'batch'],
        'prometheus_remote_write',
      )
    : ''
}`;
}

/** An event is a map: one of its fields is what people read. */
const EVENT_HEADERS = `    headers:
      VL-Msg-Field: object.message,object.note
`;

export const gatewayConfig = (o: GatewayConfigOptions): string => `${MARK}
# The same file runs with: KUBECONFIG=${o.kubeconfig} sluice --config ${o.path}
# and with a newer otelcol-contrib (0.149): KUBECONFIG=${o.kubeconfig} otelcol-contrib --config ${o.path}

${extensions(o)}
receivers:
  k8s_cluster:
    auth_type: kubeConfig
    collection_interval: 3s
  k8s_objects:
    auth_type: kubeConfig
    storage: file_storage
    include_initial_state: true
    objects:
      - name: events
        mode: watch

processors:
${MEMORY_LIMITER}${k8sAttributes('')}${BATCH}
exporters:
${otlpHttp(o, EVENT_HEADERS)}${remoteWrite(o)}
${service(o)}  pipelines:
${pipeline('logs', ['k8s_objects'], ['memory_limiter', 'batch'], 'otlp_http')}${pipeline(
  'metrics',
  ['k8s_cluster'],
  ['memory_limiter', 'k8s_attributes', 'batch'],
  'prometheus_remote_write',
)}`;
