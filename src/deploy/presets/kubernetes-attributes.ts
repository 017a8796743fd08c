/** kubernetesAttributes: metadata of pods, their owners and namespaces on logs and metrics. */
import type { Json, JsonMap } from '../config.ts';
import { type Draft, escapeDollar } from '../draft.ts';
import { ANNOTATION_FILTER, annotationConditions, annotationRules, forgetAnnotations } from './by-annotation.ts';
import { kubeletTls } from './kubelet-metrics.ts';
import type { ExtractRule, KubernetesAttributesOptions, PodSelection } from './options.ts';

/** What the chart extracts. */
export const CHART_METADATA: readonly string[] = [
  'k8s.namespace.name',
  'k8s.pod.name',
  'k8s.pod.uid',
  'k8s.node.name',
  'k8s.pod.start_time',
  'k8s.deployment.name',
  'k8s.replicaset.name',
  'k8s.replicaset.uid',
  'k8s.daemonset.name',
  'k8s.daemonset.uid',
  'k8s.job.name',
  'k8s.job.uid',
  'k8s.container.name',
  'k8s.cronjob.name',
  'k8s.statefulset.name',
  'k8s.statefulset.uid',
  'container.image.tag',
  'container.image.name',
  'k8s.cluster.uid',
  'service.namespace',
  'service.name',
  'service.version',
  'service.instance.id',
];

const from = (...names: string[]): Json => ({ sources: names.map((name) => ({ from: 'resource_attribute', name })) });

/** The attribute that a label gets which only selects pods. */
const labelAttribute = (key: string): string => `k8s.pod.label.${key}`;

export function kubernetesAttributes(draft: Draft, options: KubernetesAttributesOptions): void {
  const { spec, tier, isSluice } = draft;
  const logs = tier === 'agent' ? spec.agent?.presets.logsCollection : undefined;
  const selected = [
    ...new Set([...Object.keys(logs?.include?.labels ?? {}), ...Object.keys(logs?.exclude?.labels ?? {})]),
  ];
  const labels = [
    ...(options.labels ?? []).map(rule),
    ...selected.map((key) => ({ tag_name: labelAttribute(key), key, from: 'pod' })),
    ...(options.allPodLabels ? [everything] : []),
  ];
  const byAnnotation = logs?.byAnnotation;
  const annotations = [
    ...(options.annotations ?? []).map(rule),
    ...(byAnnotation ? annotationRules() : []),
    ...(options.allPodAnnotations ? [everything] : []),
  ];
  // What decides about records has to be known before they are read.
  const wait = options.waitForMetadata ?? (isSluice && !byAnnotation ? false : '45s');
  const config: JsonMap = {
    auth_type: 'serviceAccount',
    passthrough: false,
    ...(tier === 'agent' ? { filter: { node_from_env_var: 'K8S_NODE_NAME' } } : {}),
    ...(options.podSource === 'kubelet'
      ? // The kubelet is that of kubeletMetrics, so is its certificate.
        {
          kubelet: {
            enabled: true,
            endpoint: '${env:K8S_NODE_IP}:10250',
            ...kubeletTls(spec.agent?.presets.kubeletMetrics?.tls),
          },
        }
      : {}),
    extract: {
      metadata: [...(options.metadata ?? CHART_METADATA), ...(options.extraMetadata ?? [])],
      ...(labels.length > 0 ? { labels } : {}),
      ...(annotations.length > 0 ? { annotations } : {}),
      otel_annotations: options.otelAnnotations ?? true,
      // Without it otelcol watches all replica sets of the cluster, on every node.
      deployment_name_from_replicaset: true,
    },
    // By name for what tells no uid, as alerts of Falco. Never by connection: it would be the agent that sends to the gateway.
    pod_association: [from('k8s.pod.uid'), from('k8s.pod.name', 'k8s.namespace.name'), from('k8s.pod.ip')],
    ...(wait === false ? {} : { wait_for_metadata: true, wait_for_metadata_timeout: wait }),
  };
  // Events carry their object in the body; the pods that they are about are not their resource.
  draft.processor(tier === 'agent' ? ['logs', 'metrics'] : ['metrics'], 'enrich', 'k8s_attributes', config);
  // An alert is kept whatever pod it is about.
  const alert = spec.agent?.presets.falco ? 'attributes["falco.rule"] == nil' : '';
  if (selected.length > 0)
    draft.processor(['logs'], 'change', 'filter/labels', {
      error_mode: 'ignore',
      logs: { log_record: labelConditions(logs?.include, logs?.exclude, alert) },
    });
  if (!byAnnotation) return;
  draft.processor(['logs'], 'change', ANNOTATION_FILTER, {
    error_mode: 'ignore',
    logs: { log_record: annotationConditions(byAnnotation, alert) },
  });
  // Metrics go through the same k8s_attributes.
  draft.processor(['logs', 'metrics'], 'change', 'resource/annotations', forgetAnnotations());
}

const everything = { tag_name: '$$1', key_regex: '(.*)', from: 'pod' };

const rule = (r: ExtractRule): JsonMap => ({
  ...(r.name === undefined ? {} : { tag_name: escapeDollar(r.name) }),
  ...(r.key === undefined ? {} : { key: r.key }),
  ...(r.keyRegex === undefined ? {} : { key_regex: escapeDollar(r.keyRegex) }),
  from: r.from ?? 'pod',
});

/** Records of pods for which one of these holds are dropped. Only records of pods: the node's own have no labels. */
function labelConditions(
  include: PodSelection | undefined,
  exclude: PodSelection | undefined,
  unless: string,
): string[] {
  const attribute = (key: string): string => `resource.attributes[${JSON.stringify(labelAttribute(key))}]`;
  const compare = (key: string, value: string, is: boolean): string =>
    value === '*'
      ? `${attribute(key)} ${is ? '!=' : '=='} nil`
      : `${attribute(key)} ${is ? '==' : '!='} ${escapeDollar(JSON.stringify(value))}`;
  // What is about the record comes last, so that the resource alone decides about most.
  const condition = (...conjuncts: string[]): string =>
    ['resource.attributes["k8s.pod.name"] != nil', ...conjuncts, ...(unless === '' ? [] : [unless])].join(' and ');
  const excluded = Object.entries(exclude?.labels ?? {}).map(([key, value]) => compare(key, value, true));
  return [
    ...Object.entries(include?.labels ?? {}).map(([key, value]) => condition(compare(key, value, false))),
    ...(excluded.length > 0 ? [condition(...excluded)] : []),
  ];
}
