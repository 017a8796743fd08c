/** kubelet_stats (formerly kubeletstats): usage of node, pods, containers and volumes as the kubelet measures it. */
import * as z from 'zod';
import { defineReceiver } from '../../../core/component.ts';
import { metricSwitches } from '../../../core/metrics/catalogue.ts';
import { resourceAttributeSwitches } from '../../../core/metrics/resource-attributes.ts';
import { RECEIVER_INSTRUMENTS } from '../../../core/receiver-telemetry.ts';
import { section, stringList, tlsClient } from '../../../core/schema.ts';
import { SCRAPER_INSTRUMENTS, scrapeShape } from '../../../core/scrape.ts';
import { METRICS, RESOURCE_ATTRIBUTES } from './catalogue.ts';

export const METRIC_GROUPS = ['container', 'pod', 'node', 'volume'] as const;
export type MetricGroup = (typeof METRIC_GROUPS)[number];
export const METADATA_LABELS = ['container.id', 'k8s.volume.type'] as const;
export type MetadataLabel = (typeof METADATA_LABELS)[number];

const authType = <T extends string>(types: readonly [T, ...T[]]) =>
  z.enum(types, {
    error: (i) => `invalid authType for kubernetes: ${String(i.input ?? '')}; use one of ${types.join(', ')}`,
  });

const rateShape = {
  context: z.string().default('').describe('Context of the kubeconfig; empty: its current one'),
  kube_api_qps: z.number().default(0).describe('Accepted without effect: a scrape asks the API server for little'),
  kube_api_burst: z.number().default(0).describe('Accepted without effect, as kube_api_qps'),
};

const { insecure: _, ...tls } = tlsClient().shape;

const labels = stringList().superRefine((list, ctx) => {
  for (const [i, label] of list.entries()) {
    const message = !METADATA_LABELS.some((l) => l === label)
      ? `label ${JSON.stringify(label)} is not supported; use ${METADATA_LABELS.join(', ')}`
      : list.indexOf(label) < i
        ? `duplicate metadata label: ${JSON.stringify(label)}`
        : undefined;
    if (message !== undefined) ctx.addIssue({ code: 'custom', path: [i], message });
  }
});

const groups = stringList().superRefine((list, ctx) => {
  for (const [i, group] of list.entries())
    if (!METRIC_GROUPS.some((g) => g === group))
      ctx.addIssue({
        code: 'custom',
        path: [i],
        message: `invalid entry in metric_groups: ${JSON.stringify(group)}; use ${METRIC_GROUPS.join(', ')}`,
      });
});

const schema = section(
  z.strictObject({
    ...scrapeShape('10s'),
    endpoint: z
      .string()
      .default('')
      .describe('Address of the kubelet, `${env:K8S_NODE_IP}:10250`; empty: port 10250 of this host'),
    auth_type: authType(['none', 'tls', 'serviceAccount', 'kubeConfig'])
      .default('tls')
      .describe('How the kubelet knows us; kubeConfig goes through the API server, with the node as endpoint'),
    ...rateShape,
    ...tls,
    ca_file: tls.ca_file.describe("Path of the CA certificate (PEM); empty: with serviceAccount the cluster's"),
    include_system_ca_certs_pool: z.boolean().default(true).describe('Accepted without effect: they always count'),
    reload_interval: tls.reload_interval.describe('Accepted without effect: files are read again when they change'),
    metric_groups: groups
      .default(['container', 'pod', 'node'])
      .transform((list): readonly MetricGroup[] => list as MetricGroup[])
      .describe('What is measured: node, pod, container, volume'),
    extra_metadata_labels: labels
      .default([])
      .transform((list): readonly MetadataLabel[] => list as MetadataLabel[])
      .describe('Attributes from the pods of the kubelet: container.id, k8s.volume.type'),
    k8s_api_config: section(
      z.strictObject({
        auth_type: authType(['none', 'serviceAccount', 'kubeConfig']).describe('How the API server knows us'),
        ...rateShape,
      }),
    )
      .optional()
      .describe('Ask the API server for capacities of the node and for the volumes behind claims'),
    node: z.string().default('').describe('Name of the node, for *.node.utilization: `${env:K8S_NODE_NAME}`'),
    collect_all_network_interfaces: section(
      z.strictObject({
        pod: z.boolean().default(false).describe('All interfaces of pods'),
        node: z.boolean().default(false).describe('All interfaces of the node'),
      }),
    )
      .prefault({})
      .describe('Network metrics of all interfaces instead of the default one'),
    metrics: metricSwitches(METRICS),
    resource_attributes: resourceAttributeSwitches(RESOURCE_ATTRIBUTES),
  }),
).superRefine((c, ctx) => {
  const share = METRICS.find((m) => m.name.endsWith('.node.utilization') && c.metrics[m.name]?.enabled);
  if (!share) return;
  const issue = (message: string) => ctx.addIssue({ code: 'custom', path: ['metrics', share.name], message });
  if (c.node === '') issue(`for ${share.name} node setting is required: node: $\{env:K8S_NODE_NAME}`);
  if (!c.k8s_api_config)
    issue(`for ${share.name} k8s_api_config setting is required: k8s_api_config: {auth_type: serviceAccount}`);
});
export type KubeletStatsConfig = z.output<typeof schema>;

export default defineReceiver({
  id: 'kubelet_stats',
  aliases: ['kubeletstats'],
  summary: 'Reads what node, pods, containers and volumes use from the kubelet.',
  stability: 'beta',
  signals: ['metrics'],
  schema,
  telemetry: [...RECEIVER_INSTRUMENTS, ...SCRAPER_INSTRUMENTS],
  create: async (config, ctx) => (await import('./receiver.ts')).createKubeletStats(config, ctx),
});
