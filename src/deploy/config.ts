/** The configuration of one collector as data, and how it comes from a spec: presets, then destinations, then the user's edits. */
import { helmConfig } from './compat-helm.ts';
import { LOGS, logsExporter, METRICS, metricsExporter } from './destinations.ts';
import { Draft, type Signal } from './draft.ts';
import { editConfig } from './edit-config.ts';
import { clusterMetrics } from './presets/cluster-metrics.ts';
import { hostMetrics } from './presets/host-metrics.ts';
import { kubeletMetrics } from './presets/kubelet-metrics.ts';
import { kubernetesAttributes } from './presets/kubernetes-attributes.ts';
import { kubernetesEvents } from './presets/kubernetes-events.ts';
import { logsCollection } from './presets/logs-collection.ts';
import { redaction } from './presets/redaction.ts';
import { SELF_METRICS_PORT, selfMonitoring } from './presets/self-monitoring.ts';
import { talos } from './presets/talos.ts';
import type { NormalAgent, NormalGateway, NormalSpec } from './spec.ts';
import { spelledFor } from './spelling.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonMap = { [key: string]: Json };

/** Keys are component ids, `type` or `type/name`. null as the configuration of a component: all its defaults. */
export type Components = Record<string, Json>;

export interface Pipeline {
  receivers: string[];
  processors?: string[];
  exporters: string[];
}

/** The YAML of otelcol as data. */
export interface CollectorConfig {
  extensions?: Components;
  receivers?: Components;
  processors?: Components;
  exporters?: Components;
  connectors?: Components;
  service: {
    extensions?: string[];
    telemetry?: Json;
    pipelines: Record<string, Pipeline>;
  };
}

export type TierName = 'agent' | 'gateway';

/** Where probes ask. All addresses of the pod, localhost included, so that port-forward works; whatever the family. */
export const HEALTH_PORT = 13133;

/** What the collector of this tier runs with. */
export function tierConfig(spec: NormalSpec, tier: TierName): CollectorConfig {
  const options = spec[tier];
  if (!options) throw new Error(`the spec has no ${tier}`);
  const made = spec.compat === 'helm' ? helmConfig(spec, tier) : recommended(spec, tier, options);
  const edited = editConfig(made, options.config, [tier, 'config']);
  return spec.compat === 'helm' ? edited : spelledFor(spec.collectorVersion, edited);
}

function recommended(spec: NormalSpec, tier: TierName, options: NormalAgent | NormalGateway): CollectorConfig {
  const draft = new Draft(spec, tier);
  draft.extension('health_check', { endpoint: `0.0.0.0:${HEALTH_PORT}` });
  const { memoryLimiter: limiter, batch } = options;
  draft.processors['memory_limiter'] = {
    check_interval: limiter.checkInterval ?? '5s',
    limit_percentage: limiter.limitPercentage ?? 80,
    spike_limit_percentage: limiter.spikeLimitPercentage ?? 25,
  };
  if (tier === 'agent') agentPresets(draft, options as NormalAgent);
  else gatewayPresets(draft, options as NormalGateway);
  if (options.presets.selfMonitoring) selfMonitoring(draft, options.presets.selfMonitoring);
  if (spec.clusterName !== undefined)
    draft.processor(['logs', 'metrics'], 'change', 'resource/cluster', {
      attributes: [{ key: 'k8s.cluster.name', value: spec.clusterName, action: 'upsert' }],
    });
  draft.processors['batch'] = {
    timeout: batch.timeout ?? '10s',
    ...(batch.sendBatchSize === undefined ? {} : { send_batch_size: batch.sendBatchSize }),
    ...(batch.sendBatchMaxSize === undefined ? {} : { send_batch_max_size: batch.sendBatchMaxSize }),
  };

  const pipelines: CollectorConfig['service']['pipelines'] = {};
  const pipeline = (signal: Signal, exporter: string): void => {
    pipelines[signal] = { ...draft.pipeline(signal), exporters: [exporter] };
  };
  if (draft.has('logs')) {
    logsExporter(draft, spec.destinations.logs);
    pipeline('logs', LOGS);
  }
  if (draft.has('metrics')) {
    metricsExporter(draft, spec.destinations.metrics);
    pipeline('metrics', METRICS);
  }
  const used = new Set(Object.values(pipelines).flatMap((p) => p.processors ?? []));
  return {
    extensions: draft.extensions,
    receivers: draft.receivers,
    processors: Object.fromEntries(Object.entries(draft.processors).filter(([id]) => used.has(id))),
    exporters: draft.exporters,
    service: {
      extensions: Object.keys(draft.extensions),
      telemetry: {
        logs: { level: options.logLevel },
        metrics: {
          level: options.presets.selfMonitoring?.level ?? 'normal',
          readers: [{ pull: { exporter: { prometheus: { host: '0.0.0.0', port: SELF_METRICS_PORT } } } }],
        },
      },
      pipelines,
    },
  };
}

function agentPresets(draft: Draft, { presets }: NormalAgent): void {
  if (presets.logsCollection) logsCollection(draft, presets.logsCollection);
  if (presets.talos) talos(draft, presets.talos);
  if (presets.kubeletMetrics) kubeletMetrics(draft, presets.kubeletMetrics);
  if (presets.hostMetrics) hostMetrics(draft, presets.hostMetrics);
  if (presets.kubernetesAttributes) kubernetesAttributes(draft, presets.kubernetesAttributes);
  const masked = presets.logsCollection?.redaction;
  if (masked) draft.processor(['logs'], 'change', 'redaction', redaction(masked));
}

function gatewayPresets(draft: Draft, { presets }: NormalGateway): void {
  if (presets.clusterMetrics) clusterMetrics(draft, presets.clusterMetrics);
  if (presets.kubernetesEvents) kubernetesEvents(draft, presets.kubernetesEvents);
  if (presets.kubernetesAttributes) kubernetesAttributes(draft, presets.kubernetesAttributes);
}
