/** What happens in a round of Kubernetes chaos, derived from a seed alone. */
import { seededRandom } from '../../../bench/generate.ts';

export const FAULTS = [
  'away',
  'silence',
  'gone',
  'slow',
  'cut-list',
  'short-list',
  'cut-watch',
  'garbled-watch',
  'ended-watch',
  'throttled',
  'unavailable',
  'resets',
  'token',
  'certificate',
  'kill',
  'rollout',
] as const;
export type FaultKind = (typeof FAULTS)[number];

export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly forMs: number;
}

export interface KubernetesPlan {
  readonly seed: number;
  readonly round: number;
  readonly durationMs: number;
  readonly faults: readonly Fault[];
  /** The server's clock is this far from the collector's. */
  readonly skewMs: number;
  readonly initialEvents: 'yes' | 'refused' | 'error';
  readonly maxPageSize: number;
  readonly hasElector: boolean;
  readonly queue: 'none' | 'memory' | 'persistent';
  /** The destination takes this long for each request. */
  readonly latencyMs: number;
}

const HOUR_MS = 3_600_000;
const MODES = ['yes', 'error', 'refused'] as const;
const QUEUES = ['none', 'memory', 'persistent'] as const;
const SKEWS_MS = [0, -HOUR_MS, HOUR_MS, 10 * 60_000];
/** One round in so many has the API server away for most of a minute. */
const LONG_EVERY = 5;

export function planKubernetes(seed: number, round: number): KubernetesPlan {
  const random = seededRandom(Math.imul(seed, 0x85ebca6b) + round);
  const pick = <T>(list: readonly T[]): T => list[random(list.length)]!;
  const isLong = round % LONG_EVERY === LONG_EVERY - 1;
  const faults: Fault[] = [];
  let atMs = 500 + random(1000);
  if (isLong) {
    const forMs = 20_000 + random(40_000);
    faults.push({ atMs, kind: 'away', forMs });
    atMs += forMs;
  }
  // Each kind comes up in its turn; the others are drawn.
  const kinds: FaultKind[] = [FAULTS[round % FAULTS.length]!, FAULTS[(round * 7 + 3) % FAULTS.length]!];
  for (let i = 2 + random(3); i > 0; i--) kinds.push(pick(FAULTS));
  for (const kind of kinds) {
    const forMs = 300 + random(2200);
    faults.push({ atMs, kind, forMs });
    // Some come while others last.
    atMs += random(3) === 0 ? random(forMs) : forMs + random(800);
  }
  return {
    seed,
    round,
    durationMs: atMs + 1500,
    faults,
    skewMs: SKEWS_MS[round % SKEWS_MS.length]!,
    initialEvents: MODES[round % MODES.length]!,
    maxPageSize: 3 + random(40),
    hasElector: random(3) === 0,
    queue: QUEUES[(round >> 1) % QUEUES.length]!,
    latencyMs: random(2) * random(60),
  };
}

/** The gateway: events with a stored position, metrics of the cluster, enriched. */
export function gatewayConfig(plan: KubernetesPlan): string {
  const queue = {
    none: '{enabled: false}',
    memory: '{enabled: true}',
    persistent: '{enabled: true, storage: file_storage}',
  }[plan.queue];
  const elector = plan.hasElector ? 'k8s_leader_elector: k8s_leader_elector' : '';
  return `extensions:
  file_storage: {directory: "\${env:STORAGE}"}
  k8s_leader_elector:
    {auth_type: kubeConfig, lease_name: gateway, lease_namespace: default, lease_duration: 4s, renew_deadline: 3s, retry_period: 1s}
receivers:
  k8s_objects:
    auth_type: kubeConfig
    storage: file_storage
    ${elector}
    objects:
      - {name: events, mode: watch, exclude_watch_type: [DELETED]}
  k8s_cluster:
    auth_type: kubeConfig
    collection_interval: 500ms
    ${elector}
processors:
  k8s_attributes:
    auth_type: kubeConfig
    filter: {labels: [{key: no-such-label, op: does-not-exist}]}
    pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}]
    extract:
      metadata: [k8s.deployment.name, k8s.pod.uid]
      labels: [{tag_name: rev, key: rev, from: pod}]
exporters:
  otlp_http:
    endpoint: "\${env:DESTINATION}"
    encoding: json
    compression: none
    timeout: 5s
    retry_on_failure: {enabled: true, initial_interval: 50ms, max_interval: 500ms, max_elapsed_time: 0s}
    sending_queue: ${queue}
service:
  extensions: [file_storage${plan.hasElector ? ', k8s_leader_elector' : ''}]
  telemetry: {metrics: {level: none}}
  pipelines:
    logs: {receivers: [k8s_objects], exporters: [otlp_http]}
    metrics: {receivers: [k8s_cluster], processors: [k8s_attributes], exporters: [otlp_http]}
`;
}

/** The agent: the logs of the pods of its node, enriched. */
export const agentConfig = (): string => `receivers:
  file_log:
    include: ["\${env:PODS}/*/*/*.log"]
    start_at: beginning
    include_file_path: true
    operators: [{type: container, format: containerd}]
processors:
  k8s_attributes:
    auth_type: kubeConfig
    filter: {node_from_env_var: K8S_NODE_NAME}
    pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}]
    extract:
      metadata: [k8s.pod.uid, k8s.deployment.name, k8s.deployment.uid, k8s.node.name]
      labels: [{tag_name: rev, key: rev, from: pod}, {tag_name: team, key: team, from: namespace}]
exporters:
  otlp_http:
    endpoint: "\${env:DESTINATION}"
    encoding: json
    compression: none
    timeout: 5s
    retry_on_failure: {enabled: true, initial_interval: 50ms, max_interval: 500ms, max_elapsed_time: 0s}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    logs: {receivers: [file_log], processors: [k8s_attributes], exporters: [otlp_http]}
`;
