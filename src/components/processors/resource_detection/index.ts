/** resource_detection processor: adds what is known about the host, the node and the environment to resources. */
import * as z from 'zod';
import { defineProcessor } from '../../../core/component.ts';
import { duration, retryOnFailure, section, stringList } from '../../../core/schema.ts';

export const DETECTORS = ['env', 'system', 'k8s_api'] as const;
export type DetectorName = (typeof DETECTORS)[number];

/** Upstream has these too; they ask services that are not asked here. */
const NOT_BUILT = [
  'aks',
  'akamai',
  'alibaba_ecs',
  'aws_ec2',
  'azure',
  'azure_appservice',
  'azure_container_apps',
  'azure_functions',
  'cloudfoundry',
  'consul',
  'digitalocean',
  'docker',
  'dynatrace',
  'ec2',
  'ecs',
  'eks',
  'elasticbeanstalk',
  'gcp',
  'gce',
  'gke',
  'heroku',
  'hetzner',
  'ibmcloud_classic',
  'ibmcloud_vpc',
  'kubeadm',
  'lambda',
  'nova',
  'openshift',
  'openstack_nova',
  'oraclecloud',
  'scaleway',
  'tencent_cvm',
  'upcloud',
  'vultr',
];

const detector = z.string().transform((name, ctx): DetectorName => {
  if (name === 'k8snode') return 'k8s_api';
  const known = DETECTORS.find((d) => d === name);
  if (known) return known;
  const supported = `supported: ${DETECTORS.join(', ')}`;
  ctx.addIssue({
    code: 'custom',
    message: NOT_BUILT.includes(name)
      ? `detector "${name}" is not supported; ${supported}`
      : `invalid detector key: ${name}; ${supported}`,
  });
  return z.NEVER;
});

/** Attribute → whether it is detected by default. */
const attributeSwitches = <K extends string>(defaults: Readonly<Record<K, boolean>>) =>
  section(
    z.strictObject(
      Object.fromEntries(
        Object.entries(defaults).map(([name, on]) => [
          name,
          section(
            z.strictObject({
              enabled: z
                .boolean()
                .default(on as boolean)
                .describe(`Detect ${name}`),
            }),
          )
            .prefault({})
            .describe(`The resource attribute ${name}`),
        ]),
      ) as unknown as Record<K, z.ZodType<{ enabled: boolean }>>,
    ),
  )
    .prefault({})
    .describe('Which attributes are detected');

export const SYSTEM_ATTRIBUTES = {
  'host.arch': false,
  'host.cpu.cache.l2.size': false,
  'host.cpu.family': false,
  'host.cpu.model.id': false,
  'host.cpu.model.name': false,
  'host.cpu.stepping': false,
  'host.cpu.vendor.id': false,
  'host.id': false,
  'host.interface': false,
  'host.ip': false,
  'host.mac': false,
  'host.name': true,
  'os.build.id': false,
  'os.description': false,
  'os.name': false,
  'os.type': true,
  'os.version': false,
} as const;

const K8S_ATTRIBUTES = { 'k8s.cluster.uid': true, 'k8s.node.name': true, 'k8s.node.uid': true } as const;

const k8sApi = () =>
  section(
    z.strictObject({
      auth_type: z
        .enum(['none', 'serviceAccount', 'kubeConfig'], {
          error: (i) => `invalid authType for kubernetes: ${String(i.input)}; use none, serviceAccount or kubeConfig`,
        })
        .default('serviceAccount')
        .describe('How the API server knows us'),
      context: z.string().default('').describe('Context of the kubeconfig; empty: its current one'),
      node_from_env_var: z
        .string()
        .default('K8S_NODE_NAME')
        .describe('Environment variable with the name of the node (downward API)'),
      resource_attributes: attributeSwitches(K8S_ATTRIBUTES),
    }),
  );

const schema = z
  .preprocess(
    (v) => v ?? {},
    z.strictObject({
      detectors: z
        .preprocess((v) => (typeof v === 'string' ? v.split(',') : v), z.array(detector))
        .default(['env'])
        .describe(`Which detectors run: ${DETECTORS.join(', ')}; the first that knows an attribute decides`),
      override: z.boolean().default(true).describe('Replace attributes that the resource has already'),
      timeout: duration().prefault('5s').describe('Longest time for all detectors together'),
      refresh_interval: duration().prefault(0).describe('Detect again this often; 0: only at the start'),
      fail_on_missing_metadata: z.boolean().default(false).describe('Do not start when a detector fails'),
      retry: retryOnFailure('1s', false).describe('Try a detector that failed again, within the timeout'),
      env: section(
        z.strictObject({
          attributes: section(
            z.strictObject({
              included: stringList().default([]).describe('Only these, `*` and `?` as wildcards; empty: all'),
              excluded: stringList().default([]).describe('Not these, `*` and `?` as wildcards'),
            }),
          )
            .prefault({})
            .describe('Which attributes are taken'),
        }),
      )
        .prefault({})
        .describe('Detector env: OTEL_RESOURCE_ATTRIBUTES, or OTEL_RESOURCE'),
      system: section(
        z.strictObject({
          hostname_sources: z
            .preprocess(
              (v) => (typeof v === 'string' ? v.split(',') : v),
              z.array(
                z.enum(['dns', 'os', 'cname', 'lookup'], {
                  error: (i) => `invalid hostname source ${JSON.stringify(i.input)}; use dns, os, cname or lookup`,
                }),
              ),
            )
            .default(['dns', 'os'])
            .describe('Where host.name comes from; the first that answers'),
          resource_attributes: attributeSwitches(SYSTEM_ATTRIBUTES),
        }),
      )
        .prefault({})
        .describe('Detector system: this host'),
      k8s_api: k8sApi().prefault({}).describe('Detector k8s_api: the Kubernetes node'),
      k8snode: k8sApi().optional().describe('Former name of k8s_api'),
    }),
  )
  .transform(({ k8snode, ...c }) => (k8snode ? { ...c, k8s_api: k8snode } : c));
export type ResourceDetectionConfig = z.output<typeof schema>;

export default defineProcessor({
  id: 'resource_detection',
  aliases: ['resourcedetection'],
  summary: 'Adds attributes of the environment, the host and the Kubernetes node to resources.',
  stability: 'beta',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  create: async (config, ctx) => {
    const { makeResourceDetection } = await import('./processor.ts');
    return makeResourceDetection(config, ctx);
  },
});
