/** Specs whose configurations stand in configs/: what most people run, and every option once. */
import type { Spec } from '../spec.ts';

export const SPECS: Readonly<Record<string, Spec>> = {
  defaults: {},
  contrib: { engine: 'otelcol-contrib' },
  'contrib-0.149': { engine: 'otelcol-contrib', collectorVersion: '0.149.0' },
  talos: {
    clusterName: 'home',
    platform: 'talos',
    agent: {
      presets: { kubeletMetrics: { tls: 'skip' }, falco: true, talos: { excludeServices: ['etcd'], audit: true } },
    },
  },
  logs: {
    agent: {
      presets: {
        logsCollection: {
          include: { namespaces: ['shop', 'team-*'], labels: { logs: 'yes' } },
          exclude: { pods: ['noisy-*'], containers: ['istio-proxy'], labels: { tier: '*', 'example.com/quiet': 'true' } },
          startAt: 'end',
          pollInterval: '1s',
          maxRecordSize: '2MiB',
          excludeOlderThan: '24h',
          rules: [
            {
              name: 'java',
              match: { namespace: 'shop', container: 'api' },
              multiline: { firstLine: '^\\d{4}-\\d{2}-\\d{2}', flushAfter: '2s', maxSize: '128KiB' },
            },
            { name: 'json', match: { namespace: 'team-a' }, json: { time: 'ts', timeLayout: '%Y-%m-%dT%H:%M:%S' } },
            {
              name: 'nginx',
              match: { container: 'nginx' },
              operators: [{ type: 'regex_parser', regex: '^(?P<client>\\S+)', on_error: 'send_quiet' }],
            },
          ],
          redaction: { patterns: ['password=\\S+$'], keys: ['.*token.*'], detectors: ['jwt', 'card'] },
          operators: [{ type: 'remove', field: 'attributes.logtag' }],
        },
        kubeletMetrics: false,
        hostMetrics: false,
      },
    },
    gateway: false,
  },
  annotations: {
    agent: { presets: { logsCollection: { byAnnotation: 'opt-out' }, falco: true, hostMetrics: false } },
    gateway: false,
  },
  metrics: {
    agent: {
      presets: {
        logsCollection: false,
        kubeletMetrics: {
          interval: '15s',
          tls: { caFile: '/etc/kubelet-ca/ca.crt' },
          groups: ['pod', 'container'],
          extraMetadata: ['container.id', 'k8s.volume.type'],
          metrics: { 'k8s.pod.uptime': true, 'k8s.pod.cpu.node.utilization': true },
          allNetworkInterfaces: { pod: true },
        },
        hostMetrics: {
          interval: '30s',
          scrapers: { load: false, paging: true, process: { mute_process_all_errors: true } },
          metrics: { 'system.cpu.utilization': true, 'system.uptime': true },
          excludeMountPoints: ['^/mnt/backup$'],
          excludeFilesystems: ['nfs4'],
        },
        kubernetesAttributes: {
          labels: [
            { key: 'app.kubernetes.io/name', name: 'app' },
            { keyRegex: 'team-(.*)', name: 'team.$1' },
          ],
          annotations: [{ key: 'owner', from: 'namespace' }],
          extraMetadata: ['k8s.node.uid'],
        },
      },
      memoryLimiter: { limitPercentage: 70, checkInterval: '1s' },
      batch: { timeout: '5s', sendBatchMaxSize: 20_000 },
      logLevel: 'warn',
    },
    gateway: {
      replicas: 2,
      presets: {
        clusterMetrics: { interval: '30s', namespaces: ['shop'], metrics: { 'k8s.pod.status_reason': true } },
        kubernetesEvents: { excludeNamespaces: ['ci', 'pr-.*'], fieldSelector: 'type=Warning', foldInterval: '5m', storage: true },
      },
    },
    destinations: {
      metrics: {
        url: 'https://metrics.example.com/api/v1/write',
        compression: 'zstd',
        persistentQueue: true,
        externalLabels: { dc: 'fra1' },
        authentication: { basic: { secret: 'metrics-credentials' } },
        tls: { serverName: 'metrics.internal' },
        timeout: '10s',
      },
      logs: {
        url: 'https://logs.example.com/insert/opentelemetry',
        tenant: { account: 7 },
        ignoreFields: ['k8s.pod.start_time'],
        extraFields: { env: 'prod' },
        headers: { 'X-Cost': '$5', 'X-Team': '${env:TEAM}' },
        authentication: { bearer: { secret: 'logs-credentials' } },
      },
    },
  },
  own: {
    agent: {
      presets: {
        logsCollection: { autoParse: true, includeCollectorLogs: true, dockerRuntime: true },
        falco: { anywhere: true, minimumPriority: 'notice', namespaces: ['security'] },
        kubeletMetrics: false,
        hostMetrics: false,
      },
    },
    gateway: {
      namespace: 'otel-gateway',
      presets: { clusterMetrics: { distribution: 'openshift' }, kubernetesEvents: { details: false } },
    },
    destinations: { logs: { url: 'http://loki.logging:3100/otlp', persistentQueue: false } },
  },
  self: {
    agent: { presets: { selfMonitoring: true } },
    gateway: { presets: { selfMonitoring: { interval: '10s', level: 'detailed' } } },
  },
  edited: {
    agent: {
      presets: { hostMetrics: { mount: 'proc' }, logsCollection: { checkpoints: false } },
      config: {
        receivers: {
          filelog: {
            exclude: { $append: ['/var/log/pods/kube-system_*/*/*.log'] },
            operators: { $insertAfter: { match: { id: 'container-parser' }, items: [{ type: 'noop' }] } },
          },
          otlp: { protocols: { http: { endpoint: '0.0.0.0:4318' } } },
        },
        processors: { k8sattributes: { $remove: true }, batch: { timeout: '3s' } },
        exporters: { otlphttp: { endpoint: 'http://tempo.tracing:4318' } },
        service: {
          pipelines: {
            traces: { receivers: ['otlp'], processors: ['memory_limiter', 'batch'], exporters: ['otlphttp'] },
          },
        },
      },
    },
    gateway: false,
  },
};
