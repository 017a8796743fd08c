/**
 * compat: helm: the configuration that the chart opentelemetry-collector 0.170 (collector 0.158) makes of the same presets,
 * one release in mode daemonset for the agent, one in mode deployment for the gateway. Order, names and defaults are the
 * chart's, also where the recommended ones are better.
 */
import type { Diagnostic } from '../core/errors.ts';
import type { CollectorConfig, Components, Json, JsonMap, TierName } from './config.ts';
import { LOGS, logsExporter, METRICS, metricsExporter } from './destinations.ts';
import { Draft, STORAGE_DIRECTORY } from './draft.ts';
import { globText } from './pod-globs.ts';
import { below, CHART_FILESYSTEMS, CHART_MOUNT_POINTS, filesystemScraper, ROOT_PATH } from './presets/host-metrics.ts';
import { CHART_METADATA } from './presets/kubernetes-attributes.ts';
import type { NormalSpec, Spec } from './spec.ts';

const POD_IP = '${env:MY_POD_IP}';
type Signal = 'logs' | 'metrics' | 'traces';

/** Options that the chart has a counterpart for, by preset. */
const HAS: Readonly<Record<string, readonly string[]>> = {
  logsCollection: ['includeCollectorLogs', 'checkpoints', 'maxRecordSize'],
  kubeletMetrics: [],
  hostMetrics: [],
  kubernetesAttributes: ['allPodLabels', 'allPodAnnotations'],
  clusterMetrics: [],
  kubernetesEvents: [],
};

export function helmProblems(spec: NormalSpec, written: Spec): Diagnostic[] {
  const out: Diagnostic[] = [];
  for (const tier of ['agent', 'gateway'] as const)
    for (const [preset, options] of Object.entries(spec[tier]?.presets ?? {})) {
      const path = [tier, 'presets', preset];
      const known = HAS[preset];
      if (!known) out.push({ path, message: `the chart has no preset ${preset}`, hint: 'leave compat: helm out' });
      for (const option of known ? Object.keys(options as object) : [])
        if (!known!.includes(option))
          out.push({
            path: [...path, option],
            message: `the chart has no option ${option} for this preset`,
            hint: `leave compat: helm out, or make the change under ${tier}.config`,
          });
    }
  for (const tier of ['agent', 'gateway'] as const)
    for (const key of ['memoryLimiter', 'batch', 'logLevel'] as const) {
      const options = written[tier] || undefined;
      if (options?.[key] !== undefined)
        out.push({
          path: [tier, key],
          message: `the chart has no option ${key}`,
          hint: `leave compat: helm out, or make the change under ${tier}.config`,
        });
    }
  if (written.clusterName !== undefined)
    out.push({
      path: ['clusterName'],
      message: 'the chart knows no name of the cluster',
      hint: 'leave compat: helm out',
    });
  return out;
}

/** Receivers that the chart puts into every configuration and that Sluice does not have. */
const NOT_IN_SLUICE = ['jaeger', 'zipkin'];

export function helmConfig(spec: NormalSpec, tier: TierName): CollectorConfig {
  const draft = new Draft(spec, tier);
  const lists: Record<Signal, { receivers: string[]; processors: string[] }> = {
    logs: { receivers: ['otlp'], processors: ['memory_limiter', 'batch'] },
    metrics: { receivers: ['otlp', 'prometheus'], processors: ['memory_limiter', 'batch'] },
    traces: { receivers: ['otlp', 'jaeger', 'zipkin'], processors: ['memory_limiter', 'batch'] },
  };
  const receivers: Components = baseReceivers();
  const processors: Components = {
    batch: {},
    memory_limiter: { check_interval: '5s', limit_percentage: 80, spike_limit_percentage: 25 },
  };
  const extensions: Components = { health_check: { endpoint: `${POD_IP}:13133` } };
  const receive = (signal: Signal, id: string, config: Json): void => {
    receivers[id] = config;
    lists[signal].receivers.push(id);
  };

  const { presets } = (tier === 'agent' ? spec.agent : spec.gateway)!;
  if ('logsCollection' in presets && presets.logsCollection) {
    const { checkpoints = false } = presets.logsCollection;
    if (checkpoints) extensions['file_storage'] = { directory: STORAGE_DIRECTORY };
    receive('logs', 'file_log', fileLog(spec, checkpoints));
  }
  if ('hostMetrics' in presets && presets.hostMetrics) receive('metrics', 'hostmetrics', hostMetrics());
  if ('kubeletMetrics' in presets && presets.kubeletMetrics)
    receive('metrics', 'kubeletstats', {
      auth_type: 'serviceAccount',
      collection_interval: '20s',
      endpoint: '${env:K8S_NODE_IP}:10250',
    });
  if (presets.kubernetesAttributes) {
    processors['k8s_attributes'] = k8sAttributes(spec, tier);
    for (const list of Object.values(lists)) list.processors.unshift('k8s_attributes');
  }
  if ('kubernetesEvents' in presets && presets.kubernetesEvents)
    receive('logs', 'k8sobjects', {
      objects: [{ name: 'events', mode: 'watch', group: 'events.k8s.io', exclude_watch_type: ['DELETED'] }],
    });
  if ('clusterMetrics' in presets && presets.clusterMetrics) {
    const isElected = (spec.gateway?.replicas ?? 1) > 1;
    const elector = 'k8s_leader_elector/k8s_cluster';
    if (isElected)
      extensions[elector] = {
        auth_type: 'serviceAccount',
        lease_name: 'k8s.cluster.receiver.opentelemetry.io',
        lease_namespace: spec.gateway?.namespace ?? spec.namespace,
      };
    receive('metrics', 'k8s_cluster', {
      collection_interval: '10s',
      ...(isElected ? { k8s_leader_elector: elector } : {}),
    });
  }

  const exporters = helmExporters(draft);
  Object.assign(extensions, draft.extensions);
  if (draft.isSluice)
    for (const id of NOT_IN_SLUICE) {
      delete receivers[id];
      for (const list of Object.values(lists)) list.receivers = list.receivers.filter((r) => r !== id);
    }
  return {
    exporters: exporters.components,
    extensions,
    processors,
    receivers,
    service: {
      extensions: Object.keys(extensions),
      pipelines: Object.fromEntries(
        Object.entries(lists).map(([signal, l]) => [
          signal,
          { exporters: exporters.of[signal as Signal], processors: l.processors, receivers: l.receivers },
        ]),
      ),
      telemetry: telemetry(),
    },
  };
}

/** The chart sends nowhere (debug) until its user configures exporters; destinations that a spec names are that. */
function helmExporters(draft: Draft): { components: Components; of: Record<Signal, string[]> } {
  const of: Record<Signal, string[]> = { logs: ['debug'], metrics: ['debug'], traces: ['debug'] };
  const { metrics, logs } = draft.spec.destinations;
  if (metrics.isNamed) {
    metricsExporter(draft, metrics);
    of.metrics = [METRICS];
  }
  if (logs.isNamed) {
    logsExporter(draft, logs);
    of.logs = [LOGS];
  }
  return { components: { debug: {}, ...draft.exporters }, of };
}

const baseReceivers = (): Components => ({
  jaeger: {
    protocols: {
      grpc: { endpoint: `${POD_IP}:14250` },
      thrift_compact: { endpoint: `${POD_IP}:6831` },
      thrift_http: { endpoint: `${POD_IP}:14268` },
    },
  },
  otlp: { protocols: { grpc: { endpoint: `${POD_IP}:4317` }, http: { endpoint: `${POD_IP}:4318` } } },
  prometheus: {
    config: {
      scrape_configs: [
        {
          job_name: 'opentelemetry-collector',
          scrape_interval: '10s',
          static_configs: [{ targets: [`${POD_IP}:8888`] }],
        },
      ],
    },
  },
  zipkin: { endpoint: `${POD_IP}:9411` },
});

function fileLog(spec: NormalSpec, checkpoints: boolean): JsonMap {
  const { includeCollectorLogs = false, maxRecordSize = 102_400 } = spec.agent?.presets.logsCollection ?? {};
  // The chart leaves out the pods of its own release; here, they are those of the agent.
  const own = globText({ namespace: spec.namespace, pod: 'otel-agent*', container: '*' });
  return {
    exclude: includeCollectorLogs ? [] : [own],
    include: ['/var/log/pods/*/*/*.log'],
    include_file_name: false,
    include_file_path: true,
    operators: [{ id: 'container-parser', max_log_size: maxRecordSize, type: 'container' }],
    retry_on_failure: { enabled: true },
    start_at: 'end',
    ...(checkpoints ? { storage: 'file_storage' } : {}),
  };
}

const hostMetrics = (): JsonMap => ({
  collection_interval: '10s',
  root_path: ROOT_PATH,
  scrapers: {
    cpu: null,
    disk: null,
    filesystem: filesystemScraper(CHART_MOUNT_POINTS.map(below), [...CHART_FILESYSTEMS]),
    load: null,
    memory: null,
    network: null,
  },
});

function k8sAttributes(spec: NormalSpec, tier: TierName): JsonMap {
  const { allPodLabels = false, allPodAnnotations = false } = spec[tier]?.presets.kubernetesAttributes ?? {};
  const everything = [{ from: 'pod', key_regex: '(.*)', tag_name: '$$1' }];
  const attribute = (name: string): JsonMap => ({ sources: [{ from: 'resource_attribute', name }] });
  return {
    extract: {
      ...(allPodAnnotations ? { annotations: everything } : {}),
      ...(allPodLabels ? { labels: everything } : {}),
      metadata: [...CHART_METADATA],
      otel_annotations: true,
    },
    ...(tier === 'agent' ? { filter: { node_from_env_var: 'K8S_NODE_NAME' } } : {}),
    passthrough: false,
    pod_association: [attribute('k8s.pod.ip'), attribute('k8s.pod.uid'), { sources: [{ from: 'connection' }] }],
  };
}

const telemetry = (): JsonMap => ({
  metrics: { readers: [{ pull: { exporter: { prometheus: { host: POD_IP, port: 8888 } } } }] },
  resource: {
    'host.name': '${env:OTEL_K8S_NODE_NAME}',
    'k8s.namespace.name': '${env:OTEL_K8S_NAMESPACE}',
    'k8s.node.ip': '${env:OTEL_K8S_NODE_IP}',
    'k8s.node.name': '${env:OTEL_K8S_NODE_NAME}',
    'k8s.pod.ip': '${env:OTEL_K8S_POD_IP}',
    'k8s.pod.name': '${env:OTEL_K8S_POD_NAME}',
  },
});
