/** Keys of the k8s_attributes processor, their defaults and checks. */
import * as z from 'zod';
import { tryRegex } from '../../../core/regex.ts';
import { byteSize, duration, section } from '../../../core/schema.ts';
import { apiShape } from '../../../kubernetes/api-server.ts';

export const OWNER_KINDS = ['deployment', 'replicaset', 'statefulset', 'daemonset', 'job', 'cronjob'] as const;
export type OwnerKind = (typeof OWNER_KINDS)[number];
export const ORIGINS = ['pod', 'namespace', 'node', ...OWNER_KINDS] as const;
export type Origin = (typeof ORIGINS)[number];

export const METADATA = [
  'container.id',
  'container.image.name',
  'container.image.repo_digests',
  'container.image.tag',
  'container.image.tags',
  'k8s.cluster.uid',
  'k8s.container.name',
  'k8s.cronjob.name',
  'k8s.cronjob.uid',
  'k8s.daemonset.name',
  'k8s.daemonset.uid',
  'k8s.deployment.name',
  'k8s.deployment.uid',
  'k8s.job.name',
  'k8s.job.uid',
  'k8s.namespace.name',
  'k8s.node.name',
  'k8s.node.uid',
  'k8s.pod.hostname',
  'k8s.pod.ip',
  'k8s.pod.name',
  'k8s.pod.start_time',
  'k8s.pod.uid',
  'k8s.replicaset.name',
  'k8s.replicaset.uid',
  'k8s.statefulset.name',
  'k8s.statefulset.uid',
  'service.instance.id',
  'service.name',
  'service.namespace',
  'service.version',
] as const;
export type MetadataName = (typeof METADATA)[number];

export const MAX_SOURCES = 4;

/** Why a list is not one, for every key that has several forms of trouble. */
const regex = () =>
  z.string().superRefine((source, ctx) => {
    const made = tryRegex(source);
    if ('error' in made) ctx.addIssue({ code: 'custom', message: made.error });
  });

const extractRules = (what: string) =>
  z
    .array(
      z
        .strictObject({
          tag_name: z.string().default('').describe(`Name of the attribute; empty: a name made from the ${what}'s key`),
          key: z.string().default('').describe(`Key of the ${what}`),
          key_regex: regex().default('').describe(`Regular expression on whole keys, instead of key`),
          from: z
            .enum(ORIGINS, {
              error: (i) =>
                `${JSON.stringify(i.input)} is not a valid choice for From. Must be one of: ${ORIGINS.join(', ')}`,
            })
            .default('pod')
            .describe(`The object whose ${what} it is`),
        })
        .superRefine((rule, ctx) => {
          if ((rule.key === '') === (rule.key_regex === ''))
            ctx.addIssue({
              code: 'custom',
              path: [rule.key === '' ? 'key' : 'key_regex'],
              message: 'Out of Key or KeyRegex only one option is expected to be configured at a time',
            });
        }),
    )
    .default([]);

const filterRules = <T extends string>(ops: readonly [T, ...T[]], what: string) =>
  z
    .array(
      z.strictObject({
        key: z.string().min(1, { error: 'key must not be empty' }).describe(`Name of the ${what}`),
        value: z.string().default('').describe('What it is compared with'),
        op: z
          .preprocess(
            (v) => (v === '' ? 'equals' : v),
            z.enum(ops, {
              error: (i) => `'${String(i.input)}' is not a valid ${what} filter operation; use ${ops.join(', ')}`,
            }),
          )
          .prefault('equals')
          .describe('How it is compared'),
      }),
    )
    .default([]);

const association = z.strictObject({
  sources: z
    .array(
      z
        .strictObject({
          from: z
            .enum(['resource_attribute', 'connection'], {
              error: 'from of a source is resource_attribute or connection',
            })
            .describe('An attribute of the resource, or the address of the sender'),
          name: z.string().default('').describe('Name of the attribute'),
        })
        .superRefine((s, ctx) => {
          if (s.from === 'resource_attribute' && s.name === '')
            ctx.addIssue({ code: 'custom', path: ['name'], message: 'name of the attribute is missing' });
        }),
    )
    .min(1, { error: 'pod_association needs at least one source' })
    .max(MAX_SOURCES, { error: `too many association sources. limit is ${MAX_SOURCES}` })
    .describe('All of them must be there'),
});

export const schema = z.preprocess(
  (v) => v ?? {},
  z
    .strictObject({
      ...apiShape,
      passthrough: z.boolean().default(false).describe('Only set k8s.pod.ip from the connection; nobody is asked'),
      extract: section(
        z.strictObject({
          metadata: z
            .array(z.enum(METADATA, { error: (i) => `${JSON.stringify(i.input)} is not a supported metadata field` }))
            .optional()
            .describe(
              'Attributes to set; a list replaces the default: container.image.name, container.image.tag, k8s.deployment.name, ' +
                'k8s.namespace.name, k8s.node.name, k8s.pod.name, k8s.pod.start_time, k8s.pod.uid',
            ),
          labels: extractRules('label').describe('Labels that become attributes'),
          annotations: extractRules('annotation').describe('Annotations that become attributes'),
          otel_annotations: z
            .boolean()
            .default(false)
            .describe('Annotations resource.opentelemetry.io/<name> of pods become attributes <name>'),
          deployment_name_from_replicaset: z
            .boolean()
            .default(false)
            .describe('Name of the deployment is that of the replica set without its last part, whatever labels say'),
        }),
      )
        .prefault({})
        .describe('What is added'),
      filter: section(
        z.strictObject({
          node: z.string().default('').describe('Only pods of this node'),
          node_from_env_var: z.string().default('').describe('Only pods of the node that this variable names'),
          namespace: z.string().default('').describe('Only this namespace'),
          fields: filterRules(['equals', 'not-equals'], 'field').describe('Field selectors of pods'),
          labels: filterRules(['equals', 'not-equals', 'exists', 'does-not-exist'], 'label').describe(
            'Label selectors of pods',
          ),
        }),
      )
        .prefault({})
        .describe('Which pods are known'),
      pod_association: z
        .array(association)
        .default([])
        .describe('How the pod of a resource is found; the first entry whose sources are all there decides'),
      exclude: section(
        z.strictObject({
          pods: z
            .array(z.strictObject({ name: regex().describe('Regular expression on names') }))
            .default([])
            .describe('Pods that are left alone; empty: jaeger-agent and jaeger-collector'),
        }),
      )
        .prefault({})
        .describe('Pods that are left alone'),
      wait_for_metadata: z.boolean().default(false).describe('Start only when all objects are known'),
      wait_for_metadata_timeout: duration().prefault('10s').describe('Longest wait for them; then the start fails'),
      watch_sync_period: duration().prefault('5m').describe('Accepted without effect: watches miss nothing'),
      pod_delete_grace_period: duration()
        .prefault('120s')
        .describe('How long deleted pods are known after their last record'),
      kubelet: section(
        z.strictObject({
          enabled: z
            .boolean()
            .default(false)
            .describe('Pods come from the kubelet of this node, without work for the API server'),
          endpoint: z
            .string()
            .default('')
            .describe(
              'Address of the kubelet, `${env:K8S_NODE_IP}:10250`; empty: port 10250 of the node that is filtered by',
            ),
          poll_interval: duration()
            .prefault('10s')
            .describe('How often it is asked; sooner when records wait for a pod'),
          request_timeout: duration().prefault('10s').describe('Longest time for an answer'),
          ca_file: z.string().default('').describe("Path of its CA certificate (PEM); empty: the cluster's"),
          insecure_skip_verify: z.boolean().default(false).describe('Do not check its certificate'),
          allow_insecure_http: z.boolean().default(false).describe('Allow an endpoint with http://'),
        }),
      )
        .prefault({})
        .describe('The kubelet as the source of pods; their owners and namespaces still come from the API server'),
      wait_for_pod: section(
        z.strictObject({
          timeout: duration()
            .prefault('5s')
            .describe('Longest wait, once for every pod and run of a container; 0: no wait'),
          max_bytes: byteSize().prefault('16MiB').describe('Most that waits; then senders wait too'),
        }),
      )
        .prefault({})
        .describe(
          'Not in otelcol: records with a k8s.pod.uid, or namespace and name of a pod, wait until the pod, and what is extracted of it, is known',
        ),
    })
    .superRefine((c, ctx) => {
      const { kubelet, filter } = c;
      const issue = (path: string[], message: string): void => ctx.addIssue({ code: 'custom', path, message });
      if (kubelet.enabled) {
        if (kubelet.endpoint === '' && filter.node === '' && filter.node_from_env_var === '')
          issue(['kubelet', 'endpoint'], 'kubelet needs an endpoint, or filter.node or filter.node_from_env_var');
        if (kubelet.endpoint.startsWith('http://') && !kubelet.allow_insecure_http)
          issue(['kubelet', 'endpoint'], 'an endpoint with http:// needs allow_insecure_http: true');
        if (filter.fields.length > 0) issue(['filter', 'fields'], 'the kubelet knows no field selectors');
        if (kubelet.poll_interval <= 0) issue(['kubelet', 'poll_interval'], 'poll_interval must be positive');
      }
      const seen = new Set<string>();
      for (const [i, rule] of c.pod_association.entries()) {
        const key = JSON.stringify(rule.sources.map((s) => `${s.from} ${s.name}`).sort());
        if (seen.has(key))
          ctx.addIssue({ code: 'custom', path: ['pod_association', i], message: 'duplicate pod association' });
        seen.add(key);
      }
    }),
);
export type K8sAttributesConfig = z.output<typeof schema>;
