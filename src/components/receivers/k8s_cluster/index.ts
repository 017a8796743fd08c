/** k8s_cluster: what the API server knows about a cluster, as metrics, and its objects as entity events. */
import * as z from 'zod';
import { defineReceiver } from '../../../core/component.ts';
import { metricSwitches } from '../../../core/metrics/catalogue.ts';
import { resourceAttributeSwitches } from '../../../core/metrics/resource-attributes.ts';
import { RECEIVER_INSTRUMENTS } from '../../../core/receiver-telemetry.ts';
import { duration, section, stringList } from '../../../core/schema.ts';
import { apiShape } from '../../../kubernetes/api-server.ts';
import { CACHE_INSTRUMENTS } from '../../../kubernetes/cache-telemetry.ts';
import { METRICS, RESOURCE_ATTRIBUTES } from './catalogue.ts';

const DISTRIBUTIONS = ['kubernetes', 'openshift'] as const;

const schema = section(
  z.strictObject({
    ...apiShape,
    collection_interval: duration()
      .pipe(z.number().positive({ error: '"collection_interval": requires positive value' }))
      .prefault('10s')
      .meta({ description: 'Time between two collections' }),
    node_conditions_to_report: stringList().default(['Ready']).describe('Conditions of nodes that become metrics'),
    allocatable_types_to_report: stringList()
      .default([])
      .describe('Resources of nodes that become metrics: cpu, memory, ephemeral-storage, storage, pods'),
    distribution: z
      .enum(DISTRIBUTIONS, {
        error: (i) =>
          `${JSON.stringify(i.input ?? '')} is not a supported distribution. ` +
          'Must be one of: "openshift", "kubernetes"',
      })
      .default('kubernetes')
      .describe('openshift: also ClusterResourceQuotas'),
    metadata_collection_interval: duration()
      .prefault('5m')
      .meta({ description: 'How often the state of every entity is sent anew; 0: only when it changes' }),
    metadata_exporters: stringList()
      .default([])
      .refine((list) => list.length === 0, {
        error: 'no exporter takes metadata; use a logs pipeline for entity events',
      })
      .describe('Not supported: a logs pipeline gets the entity events'),
    namespace: z.string().default('').describe('Deprecated: use namespaces'),
    namespaces: stringList()
      .default([])
      .describe('Only these namespaces; nodes and namespaces themselves are not looked at then'),
    k8s_leader_elector: z
      .string()
      .default('')
      .describe('Id of an extension; the receiver works only while it is the leader'),
    metrics: metricSwitches(METRICS),
    resource_attributes: resourceAttributeSwitches(RESOURCE_ATTRIBUTES),
  }),
);
export type K8sClusterConfig = z.output<typeof schema>;

export default defineReceiver({
  id: 'k8s_cluster',
  summary: 'Turns the objects of a Kubernetes cluster into metrics and entity events.',
  stability: 'beta',
  signals: ['metrics', 'logs'],
  schema,
  telemetry: [...RECEIVER_INSTRUMENTS, ...CACHE_INSTRUMENTS],
  create: async (config, ctx) => (await import('./receiver.ts')).createK8sCluster(config, ctx),
});
