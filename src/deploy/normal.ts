/** Fills in defaults, and finds what contradicts itself. */
import manifest from '../../package.json' with { type: 'json' };
import { ConfigError, type Diagnostic } from '../core/errors.ts';
import { contradictions } from './contradictions.ts';
import { credentialVariables } from './destinations.ts';
import { DEFAULT_LABELS } from './labels.ts';
import { specWords, toDiagnostics } from './problems.ts';
import { specSchema } from './schema.ts';
import type {
  AgentSpec,
  Authentication,
  EnvVar,
  GatewaySpec,
  NormalAgent,
  NormalGateway,
  NormalLogsDestination,
  NormalMetricsDestination,
  NormalSpec,
  On,
  Spec,
  TierCommon,
} from './spec.ts';

export const DEFAULT_NAMESPACE = 'opentelemetry';
export const METRICS_URL =
  'http://victoria-metrics-victoria-metrics-cluster-vminsert.victoria-metrics.svc.cluster.local:8480/insert/0/prometheus/api/v1/write';
export const LOGS_URL =
  'http://victoria-logs-victoria-logs-single-server.victoria-logs.svc.cluster.local:9428/insert/opentelemetry';

/** The newest otelcol-contrib whose names of components are known here. */
export const COLLECTOR_VERSION = '0.158.0';

const AGENT_DEFAULTS = ['logsCollection', 'kubeletMetrics', 'hostMetrics', 'kubernetesAttributes'] as const;
const GATEWAY_DEFAULTS = ['clusterMetrics', 'kubernetesEvents', 'kubernetesAttributes'] as const;

const invalid = (problems: readonly Diagnostic[]): ConfigError =>
  new ConfigError(problems, { headline: 'invalid spec' });

export function normalSpec(input: Spec): NormalSpec {
  const parsed = specSchema.safeParse(input, { error: specWords });
  if (!parsed.success) throw invalid(toDiagnostics(parsed.error.issues));
  const spec = parsed.data as Spec;
  const engine = spec.engine ?? 'sluice';
  const collectorVersion = (spec.collectorVersion ?? COLLECTOR_VERSION).replace(/^v/, '');
  const namespace = spec.namespace ?? DEFAULT_NAMESPACE;
  const metrics = metricsDestination(spec);
  const logs = logsDestination(spec);
  const env = [...credentials('metrics', metrics.authentication), ...credentials('logs', logs.authentication)];
  const normal: NormalSpec = {
    namespace,
    ...(spec.clusterName === undefined ? {} : { clusterName: spec.clusterName }),
    engine,
    collectorVersion,
    compat: spec.compat ?? 'recommended',
    platform: spec.platform ?? 'generic',
    ...(spec.kubernetesVersion === undefined ? {} : { kubernetesVersion: spec.kubernetesVersion }),
    image: {
      ...(engine === 'sluice'
        ? { repository: 'localhost/sluice', tag: manifest.version }
        : { repository: 'otel/opentelemetry-collector-contrib', tag: collectorVersion }),
      pullPolicy: 'IfNotPresent',
      pullSecrets: [],
      ...defined(spec.image ?? {}),
    },
    destinations: { metrics, logs },
    ...(spec.agent === false ? {} : { agent: agent(spec.agent ?? {}, env) }),
    ...(spec.gateway === false ? {} : { gateway: gateway(spec.gateway ?? {}, env, namespace) }),
    ...(spec.dashboards ? { dashboards: spec.dashboards === true ? {} : spec.dashboards } : {}),
  };
  const problems = contradictions(normal, spec);
  if (problems.length > 0) throw invalid(problems);
  return normal;
}

const defined = <T extends object>(o: T): T =>
  Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)) as T;

function presets<P extends object>(written: P | undefined, defaults: readonly (keyof P)[]): On<P> {
  const all = { ...Object.fromEntries(defaults.map((k) => [k, true])), ...defined(written ?? {}) };
  const on = Object.entries(all).filter(([, v]) => v !== false);
  return Object.fromEntries(on.map(([k, v]) => [k, v === true ? {} : v])) as On<P>;
}

const common = (tier: TierCommon, env: EnvVar[]) => ({
  ...defined(tier),
  config: tier.config ?? {},
  logLevel: tier.logLevel ?? ('info' as const),
  memoryLimiter: tier.memoryLimiter ?? {},
  batch: tier.batch ?? {},
  nodeSelector: tier.nodeSelector ?? {},
  labels: tier.labels ?? {},
  annotations: tier.annotations ?? {},
  env: [...env, ...(tier.env ?? [])],
  volumes: tier.volumes ?? [],
  networkPolicy: tier.networkPolicy ?? false,
  podMonitor: tier.podMonitor ?? false,
});

const RESOURCES = { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } };

const agent = (spec: AgentSpec, env: EnvVar[]): NormalAgent => ({
  ...common(spec, env),
  presets: presets(spec.presets, AGENT_DEFAULTS),
  resources: spec.resources ?? RESOURCES,
  tolerations: spec.tolerations ?? [{ operator: 'Exists' }],
  maxUnavailable: spec.maxUnavailable ?? '10%',
});

const gateway = (spec: GatewaySpec, env: EnvVar[], namespace: string): NormalGateway => ({
  ...common(spec, env),
  presets: presets(spec.presets, GATEWAY_DEFAULTS),
  resources: spec.resources ?? RESOURCES,
  tolerations: spec.tolerations ?? [],
  namespace: spec.namespace ?? namespace,
  replicas: spec.replicas ?? 1,
  podDisruptionBudget: spec.podDisruptionBudget ?? false,
});

function metricsDestination({ destinations }: Spec): NormalMetricsDestination {
  const d = destinations?.metrics ?? {};
  return {
    ...defined(d),
    isNamed: d.url !== undefined,
    url: d.url ?? METRICS_URL,
    compression: d.compression ?? 'snappy',
    headers: d.headers ?? {},
    labels: d.labels ?? [...DEFAULT_LABELS],
    externalLabels: d.externalLabels ?? {},
    persistentQueue: d.persistentQueue ?? false,
  };
}

function logsDestination({ destinations, clusterName, agent: a }: Spec): NormalLogsDestination {
  const d = destinations?.logs ?? {};
  const url = d.url ?? LOGS_URL;
  const kind = d.kind ?? (/\/insert\/opentelemetry\/?$/.test(url) ? 'victorialogs' : 'otlp');
  const presets = a === false ? undefined : a?.presets;
  const hasTalos = presets?.talos !== undefined && presets.talos !== false;
  const logs = presets?.logsCollection;
  const hasCheckpoints = typeof logs !== 'object' || logs.checkpoints !== false;
  return {
    ...defined(d),
    isNamed: d.url !== undefined,
    url,
    kind,
    compression: d.compression ?? (kind === 'victorialogs' ? 'zstd' : 'gzip'),
    headers: d.headers ?? {},
    streamFields: d.streamFields ?? [
      ...(clusterName === undefined ? [] : ['k8s.cluster.name']),
      'k8s.namespace.name',
      'k8s.pod.name',
      'k8s.container.name',
      // Logs of the node's services have no pod.
      ...(hasTalos ? ['k8s.node.name', 'service.name'] : []),
    ],
    messageFields: d.messageFields ?? ['object.note', 'object.message', 'message', 'msg', 'log'],
    ignoreFields: d.ignoreFields ?? [],
    extraFields: d.extraFields ?? {},
    persistentQueue: d.persistentQueue ?? hasCheckpoints,
  };
}

function credentials(name: 'metrics' | 'logs', authentication: Authentication | undefined): EnvVar[] {
  const variables = credentialVariables(name);
  const from = (variable: string, secret: string, key: string): EnvVar => ({
    name: variable,
    valueFrom: { secretKeyRef: { name: secret, key } },
  });
  const { basic, bearer } = authentication ?? {};
  return [
    ...(basic
      ? [
          from(variables.username, basic.secret, basic.usernameKey ?? 'username'),
          from(variables.password, basic.secret, basic.passwordKey ?? 'password'),
        ]
      : []),
    ...(bearer ? [from(variables.token, bearer.secret, bearer.key ?? 'token')] : []),
  ];
}
