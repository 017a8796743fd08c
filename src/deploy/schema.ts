/** What a spec may hold, for specs from YAML and for TypeScript that went around the types. Texts for people stand at the types. */
import * as z from 'zod';
import { parseDuration } from '../core/schema.ts';
import { HINT } from '../core/zod-words.ts';
import type { Edit } from './edit.ts';
import {
  annotations,
  imageRepository,
  imageTag,
  labelKeys,
  labels,
  namespaceName,
  objectName,
  secretKey,
} from './kubernetes-names.ts';
import { environment, resources, tolerations, volumes } from './pod-schema.ts';

const duration = () =>
  z
    .string({
      error: ({ input }) => (typeof input === 'number' ? `a duration has a unit${HINT}write ${input}s` : undefined),
    })
    .superRefine((text, ctx) => {
      const ms = parseDuration(text);
      if (typeof ms !== 'number') ctx.addIssue({ code: 'custom', message: ms.error });
      else if (ms < 0) ctx.addIssue({ code: 'custom', message: 'must not be negative' });
    });

/** Names of namespaces, pods and containers, with `*` and `?`. */
const pattern = () =>
  z.string().regex(/^[a-z0-9*?]([-a-z0-9.*?]*[a-z0-9*?])?$/, {
    error: (issue) =>
      `${JSON.stringify(issue.input)} is no name or pattern (lower-case letters, digits, -, ., * and ?)`,
  });
const regex = () =>
  z.string().superRefine((text, ctx) => {
    try {
      // RE2's own flags in front are not known to RegExp.
      new RegExp(text.replace(/^\(\?[imsU]+\)/, '').replaceAll('(?P<', '(?<'));
    } catch (error) {
      ctx.addIssue({ code: 'custom', message: `not a regular expression: ${(error as Error).message}` });
    }
  });
const text = () => z.string().min(1);
const url = () =>
  z.string().refine((v) => /^(https?:\/\/[^\s/]|\$\{env:)/.test(v), { error: 'must be an http:// or https:// URL' });
const percent = () => z.int().min(1).max(100);
const switches = () => z.record(z.string(), z.boolean());
const strings = () => z.record(z.string(), z.string());
const anything = () => z.record(z.string(), z.unknown());
const off = () => z.literal(false, { error: 'must be a map of options, or false' });
const secretName = () => objectName('a Secret');
const on = <S extends z.ZodType>(options: S) => z.union([z.boolean(), options]);

const selection = z.strictObject({
  namespaces: z.array(pattern()).optional(),
  pods: z.array(pattern()).optional(),
  containers: z.array(pattern()).optional(),
  labels: labelKeys().optional(),
});

const rule = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][\w.-]*$/, { error: 'must be letters, digits, _, - and .' }),
  match: z
    .strictObject({ namespace: pattern().optional(), pod: pattern().optional(), container: pattern().optional() })
    .refine((m) => Object.keys(m).length > 0, { error: 'must say a namespace, pod or container' }),
  multiline: z
    .strictObject({
      firstLine: regex().optional(),
      lastLine: regex().optional(),
      flushAfter: duration().optional(),
      maxSize: text().optional(),
    })
    .refine((m) => (m.firstLine === undefined) !== (m.lastLine === undefined), {
      error: 'must have either firstLine or lastLine',
    })
    .optional(),
  json: on(
    z.strictObject({
      to: z.enum(['attributes', 'body']).optional(),
      level: text().optional(),
      time: text().optional(),
      timeLayout: text().optional(),
    }),
  ).optional(),
  operators: z.array(anything()).optional(),
});

const logsCollection = z.strictObject({
  include: selection.optional(),
  exclude: selection.optional(),
  byAnnotation: z.enum(['opt-in', 'opt-out']).optional(),
  includeCollectorLogs: z.boolean().optional(),
  startAt: z.enum(['beginning', 'end']).optional(),
  checkpoints: z.boolean().optional(),
  pollInterval: duration().optional(),
  maxRecordSize: z.union([text(), z.int().min(0)]).optional(),
  excludeOlderThan: duration().optional(),
  autoParse: z.boolean().optional(),
  rules: z.array(rule).optional(),
  redaction: z
    .strictObject({
      detectors: z
        .array(z.enum(['card', 'jwt', 'aws_key', 'gcp_key', 'azure_key', 'github_token', 'bearer', 'email', 'iban']))
        .optional(),
      patterns: z.array(regex()).optional(),
      keys: z.array(regex()).optional(),
    })
    .optional(),
  operators: z.array(anything()).optional(),
  dockerRuntime: z.boolean().optional(),
});

const kubeletMetrics = z.strictObject({
  interval: duration().optional(),
  tls: z.union([z.enum(['verify', 'skip']), z.strictObject({ caFile: text() })]).optional(),
  endpoint: text().optional(),
  groups: z.array(z.enum(['container', 'pod', 'node', 'volume'])).optional(),
  extraMetadata: z.array(z.enum(['container.id', 'k8s.volume.type'])).optional(),
  metrics: switches().optional(),
  allNetworkInterfaces: z.strictObject({ pod: z.boolean().optional(), node: z.boolean().optional() }).optional(),
});

const scraper = on(anything()).optional();
const hostMetrics = z.strictObject({
  interval: duration().optional(),
  scrapers: z
    .strictObject({
      cpu: scraper,
      disk: scraper,
      filesystem: scraper,
      load: scraper,
      memory: scraper,
      network: scraper,
      paging: scraper,
      processes: scraper,
      process: scraper,
      system: scraper,
    })
    .optional(),
  metrics: switches().optional(),
  excludeMountPoints: z.array(regex()).optional(),
  excludeFilesystems: z.array(text()).optional(),
  mount: z
    .union([
      z.enum(['root', 'proc']),
      z.array(z.string().regex(/^\/[^\s*?]*$/, { error: 'a mount point begins with / and is no pattern' })).min(1),
    ])
    .optional(),
});

const extractRule = z
  .strictObject({
    key: text().optional(),
    keyRegex: regex().optional(),
    name: text().optional(),
    from: z.enum(['pod', 'namespace', 'node', 'deployment', 'statefulset', 'daemonset', 'job']).optional(),
  })
  .refine((r) => (r.key === undefined) !== (r.keyRegex === undefined), { error: 'must have either key or keyRegex' });
const kubernetesAttributes = z.strictObject({
  metadata: z.array(text()).optional(),
  extraMetadata: z.array(text()).optional(),
  labels: z.array(extractRule).optional(),
  annotations: z.array(extractRule).optional(),
  allPodLabels: z.boolean().optional(),
  allPodAnnotations: z.boolean().optional(),
  otelAnnotations: z.boolean().optional(),
  podSource: z.enum(['api', 'kubelet']).optional(),
  waitForMetadata: z.union([z.literal(false), duration()]).optional(),
});

const falco = z.strictObject({
  namespaces: z.array(pattern()).optional(),
  pods: z.array(pattern()).optional(),
  containers: z.array(pattern()).optional(),
  anywhere: z.boolean().optional(),
  minimumPriority: z
    .enum(['debug', 'informational', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'])
    .optional(),
  attributeToPod: z.boolean().optional(),
  alertsOnly: z.boolean().optional(),
});

const talos = z.strictObject({
  from: z.enum(['files', 'tcp']).optional(),
  services: z.array(pattern()).optional(),
  excludeServices: z.array(pattern()).optional(),
  audit: z.boolean().optional(),
  port: z.int().min(1).max(65_535).optional(),
});

const selfMonitoring = z.strictObject({
  interval: duration().optional(),
  level: z.enum(['basic', 'normal', 'detailed']).optional(),
});

const clusterMetrics = z.strictObject({
  interval: duration().optional(),
  nodeConditions: z.array(text()).optional(),
  allocatable: z.array(text()).optional(),
  metrics: switches().optional(),
  namespaces: z.array(namespaceName()).optional(),
  distribution: z.enum(['kubernetes', 'openshift']).optional(),
});

const kubernetesEvents = z.strictObject({
  namespaces: z.array(namespaceName()).optional(),
  excludeNamespaces: z.array(regex()).optional(),
  fieldSelector: text().optional(),
  details: z.boolean().optional(),
  foldInterval: duration().optional(),
  storage: z.boolean().optional(),
});

const agentPresets = z.strictObject({
  logsCollection: on(logsCollection).optional(),
  kubeletMetrics: on(kubeletMetrics).optional(),
  hostMetrics: on(hostMetrics).optional(),
  kubernetesAttributes: on(kubernetesAttributes).optional(),
  falco: on(falco).optional(),
  talos: on(talos).optional(),
  selfMonitoring: on(selfMonitoring).optional(),
});
const gatewayPresets = z.strictObject({
  clusterMetrics: on(clusterMetrics).optional(),
  kubernetesEvents: on(kubernetesEvents).optional(),
  kubernetesAttributes: on(kubernetesAttributes).optional(),
  selfMonitoring: on(selfMonitoring).optional(),
});
export const PRESETS = {
  agent: Object.keys(agentPresets.shape),
  gateway: Object.keys(gatewayPresets.shape),
} as const;

/** Looked at when it is applied. */
const section = () => z.record(z.string(), z.custom<Edit>()).optional();
const edits = z.strictObject({
  extensions: section(),
  receivers: section(),
  processors: section(),
  exporters: section(),
  connectors: section(),
  service: section(),
});

const tier = {
  config: edits.optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).optional(),
  memoryLimiter: z
    .strictObject({
      limitPercentage: percent().optional(),
      spikeLimitPercentage: percent().optional(),
      checkInterval: duration().optional(),
    })
    .optional(),
  batch: z
    .strictObject({
      timeout: duration().optional(),
      sendBatchSize: z.int().min(0).optional(),
      sendBatchMaxSize: z.int().min(0).optional(),
    })
    .optional(),
  resources: resources().optional(),
  priorityClassName: objectName('a priority class').optional(),
  tolerations: tolerations().optional(),
  nodeSelector: labels().optional(),
  affinity: anything().optional(),
  labels: labels().optional(),
  annotations: annotations().optional(),
  env: environment().optional(),
  volumes: volumes().optional(),
  networkPolicy: z.boolean().optional(),
  podMonitor: z.union([z.boolean(), z.enum(['PodMonitor', 'VMPodScrape'])]).optional(),
};

const agent = z.strictObject({
  presets: agentPresets.optional(),
  ...tier,
  maxUnavailable: z
    .union([
      z.int().min(1),
      z
        .string()
        .regex(/^([1-9]\d?|100)%$/, { error: `must be a share such as 10%, not 0${HINT}or a number of agents` }),
    ])
    .optional(),
});
const gateway = z.strictObject({
  presets: gatewayPresets.optional(),
  ...tier,
  namespace: namespaceName().optional(),
  replicas: z.int().min(1).optional(),
  podDisruptionBudget: z.boolean().optional(),
});

const destination = {
  url: url().optional(),
  headers: strings().optional(),
  tls: z
    .strictObject({
      caFile: text().optional(),
      insecureSkipVerify: z.boolean().optional(),
      serverName: text().optional(),
    })
    .optional(),
  authentication: z
    .strictObject({
      basic: z
        .strictObject({
          secret: secretName(),
          usernameKey: secretKey().optional(),
          passwordKey: secretKey().optional(),
        })
        .optional(),
      bearer: z.strictObject({ secret: secretName(), key: secretKey().optional() }).optional(),
    })
    .refine((a) => Object.keys(a).length === 1, { error: 'must have either basic or bearer' })
    .optional(),
  timeout: duration().optional(),
  persistentQueue: z.boolean().optional(),
};

export const specSchema = z.strictObject({
  namespace: namespaceName().optional(),
  clusterName: text().optional(),
  engine: z.enum(['sluice', 'otelcol-contrib']).optional(),
  collectorVersion: z
    .string()
    .regex(/^v?\d+\.\d+(\.\d+)?$/, { error: 'must be a version such as 0.158.0' })
    .optional(),
  kubernetesVersion: z
    .string()
    .regex(/^v?\d+\.\d+/, { error: 'must be a version such as 1.34' })
    .optional(),
  compat: z.enum(['recommended', 'helm']).optional(),
  platform: z.enum(['generic', 'talos', 'k3s', 'openshift', 'gke-autopilot']).optional(),
  image: z
    .strictObject({
      repository: imageRepository().optional(),
      tag: imageTag().optional(),
      digest: z
        .string()
        .regex(/^sha256:[0-9a-f]{64}$/, { error: 'must be sha256: and 64 hexadecimal digits' })
        .optional(),
      pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
      pullSecrets: z.array(secretName()).optional(),
    })
    .optional(),
  destinations: z
    .strictObject({
      metrics: z
        .strictObject({
          ...destination,
          compression: z.enum(['snappy', 'zstd']).optional(),
          labels: z.array(text()).optional(),
          externalLabels: strings().optional(),
        })
        .optional(),
      logs: z
        .strictObject({
          ...destination,
          kind: z.enum(['victorialogs', 'otlp']).optional(),
          compression: z.enum(['zstd', 'gzip', 'none']).optional(),
          streamFields: z.array(text()).optional(),
          messageFields: z.array(text()).optional(),
          ignoreFields: z.array(text()).optional(),
          extraFields: strings().optional(),
          tenant: z.strictObject({ account: z.int().min(0), project: z.int().min(0).optional() }).optional(),
        })
        .optional(),
    })
    .optional(),
  agent: z.union([off(), agent]).optional(),
  gateway: z.union([off(), gateway]).optional(),
  dashboards: on(
    z.strictObject({
      namespace: namespaceName().optional(),
      sidecarLabel: labels().optional(),
      folder: text().optional(),
      rules: z.array(z.enum(['VMRule', 'PrometheusRule'])).optional(),
    }),
  ).optional(),
});
