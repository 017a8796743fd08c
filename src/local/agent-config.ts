/** The configuration that the local agent runs with: an ordinary file of otelcol's YAML, for people to open and change. */

/** First line of every file written here; tells a directory of ours from others. */
export const MARK = '# Written by `sluice up`.';

export interface AgentConfigOptions {
  readonly path: string;
  /** Directory laid out like /var/log/pods. */
  readonly pods: string;
  readonly storage: string;
  readonly storeUrl: string;
  readonly metricsPort: number;
  readonly healthPort: number;
  /** `end` for logs that were there before. */
  readonly startAt: 'beginning' | 'end';
  /** Also measure this machine, which must be a Linux. */
  readonly hasHostMetrics: boolean;
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

const RESOURCE_DETECTION = `  resource_detection:
    detectors: [system]
    system:
      hostname_sources: [os]
`;

const remoteWrite = (storeUrl: string): string => `  prometheus_remote_write:
    endpoint: ${storeUrl}/insert/0/prometheus/api/v1/write
    resource_to_telemetry_conversion:
      enabled: true
    disable_scope_info: true
`;

const METRICS_PIPELINE = `    metrics:
      receivers: [host_metrics]
      processors: [memory_limiter, resource_detection, batch]
      exporters: [prometheus_remote_write]
`;

export const agentConfig = (o: AgentConfigOptions): string => `${MARK}
# The same file runs with: sluice --config ${o.path}
# and with a newer otelcol-contrib (0.149): otelcol-contrib --config ${o.path}

extensions:
  health_check:
    endpoint: 127.0.0.1:${o.healthPort}
  file_storage:
    directory: ${quoted(o.storage)}
    create_directory: true

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
${o.hasHostMetrics ? HOST_METRICS : ''}
processors:
  memory_limiter:
    check_interval: 1s
    limit_mib: 256
    spike_limit_mib: 64
  batch:
    timeout: 1s
${o.hasHostMetrics ? RESOURCE_DETECTION : ''}
exporters:
  otlp_http:
    logs_endpoint: ${o.storeUrl}/insert/opentelemetry/v1/logs
    compression: gzip
${o.hasHostMetrics ? remoteWrite(o.storeUrl) : ''}
service:
  extensions: [health_check, file_storage]
  telemetry:
    metrics:
      readers:
        - pull:
            exporter:
              prometheus:
                host: 127.0.0.1
                port: ${o.metricsPort}
  pipelines:
    logs:
      receivers: [file_log]
      processors: [memory_limiter, batch]
      exporters: [otlp_http]
${o.hasHostMetrics ? METRICS_PIPELINE : ''}`;
