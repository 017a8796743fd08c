/** Puts together what checks are given: finds the collectors of a namespace and the configurations that they run. */
import type { Clock } from '../core/clock.ts';
import type { Environment } from '../core/environment.ts';
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { wait } from '../core/wait.ts';
import type { Access } from '../kubernetes/access.ts';
import { explainApiRefusal } from '../kubernetes/api-server.ts';
import { KubernetesClient } from '../kubernetes/client.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { type ClockReading, readingOf } from './clocks.ts';
import { ClusterReader, isProblem, RESOURCES } from './cluster.ts';
import { type DoctorConfig, type DoctorContext, memo, type Tier } from './context.ts';
import {
  containersOf,
  engineOf,
  type Fields,
  fieldsOf,
  imagesOf,
  listOf,
  mapOf,
  textOf,
  textsOf,
  type Workload,
  type WorkloadKind,
  workloadOf,
} from './objects.ts';

/** Where the manifests put the configuration. */
export const POD_CONFIG = '/conf/relay.yaml';
const NAMES: readonly string[] = ['otel-agent', 'otel-gateway'];
const IMAGES = /(?:^|[/-])(?:sluice|otelcol[\w-]*|opentelemetry-collector[\w-]*)(?=[:@]|$)/;

/** Stands for what the pod has and doctor does not: values of Secrets, files of references. */
export const NOT_READ = 'not-read-by-doctor';

/** Reads sources of a configuration; says what is wrong beside what could be read. */
export type ConfigLoader = (
  sources: readonly string[],
  env: Environment,
  /** `isOwn`: given by who runs doctor, not found in a cluster. */
  options: { readonly isStrict: boolean; readonly isOwn: boolean },
) => Promise<Pick<Tier, 'config' | 'problem' | 'leftOut'>>;

export interface GatherOptions {
  readonly isInside: boolean;
  readonly namespace: string;
  /** Of --config; empty: those that the workloads mount, inside the pod's own. */
  readonly sources: readonly string[];
  readonly access: Access | undefined;
  readonly accessProblem: string;
  readonly contextName?: string;
  readonly isClusterMeant?: boolean;
  readonly load: ConfigLoader;
  readonly env: Environment;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly serviceAccountDir?: string | undefined;
  /** For tests. */
  readonly pause?: ((ms: number) => Promise<void>) | undefined;
}

export async function gather(o: GatherOptions): Promise<DoctorContext & { close(): void }> {
  const { isInside, namespace, access, env, clock, log, signal } = o;
  let serverClock: ClockReading | undefined;
  let askedMs = clock.nowMs();
  const onDate = (date: string): void => {
    serverClock ??= readingOf(date, askedMs, clock);
  };
  const client = access && new KubernetesClient(access, { name: 'API server', explain: explainApiRefusal, onDate });
  let cluster = client && new ClusterReader(client, signal);
  let clusterProblem = o.accessProblem;
  let clusterStatus = 0;
  let version = '';
  if (cluster) {
    askedMs = clock.nowMs();
    const answer = await cluster.json('/version');
    if (!isProblem(answer)) version = textOf(fieldsOf(answer.value)['gitVersion']);
    else if (answer.status === 0 || answer.status === 401 || answer.status >= 500) {
      // Whatever else is asked would be answered in the same way.
      clusterProblem = answer.problem;
      clusterStatus = answer.status;
      cluster = undefined;
    }
  }
  const found = cluster ? await workloadsIn(cluster, namespace) : { workloads: [], problem: '' };
  const tiers = await tiersOf(o, cluster, found.workloads);
  return {
    isInside,
    namespace,
    cluster,
    clusterProblem,
    clusterStatus,
    contextName: o.contextName ?? '',
    isClusterMeant: o.isClusterMeant ?? o.sources.length === 0,
    access,
    serverClock,
    serverNowMs: () => clock.nowMs() + (serverClock?.aheadMs ?? 0),
    version,
    tiers,
    workloads: found.workloads,
    workloadsProblem: found.problem,
    env,
    clock,
    log,
    signal,
    serviceAccountDir: o.serviceAccountDir,
    pause: o.pause ?? ((ms) => wait(ms, signal)),
    once: memo(),
    close: () => client?.close(),
  };
}

async function workloadsIn(
  cluster: ClusterReader,
  namespace: string,
): Promise<{ workloads: Workload[]; problem: string }> {
  const kinds: readonly [WorkloadKind, 'daemonsets' | 'deployments' | 'statefulsets'][] = [
    ['DaemonSet', 'daemonsets'],
    ['Deployment', 'deployments'],
    ['StatefulSet', 'statefulsets'],
  ];
  const workloads: Workload[] = [];
  let problem = '';
  for (const [kind, resource] of kinds) {
    const read = await cluster.list(RESOURCES[resource], { namespace });
    // Who may see DaemonSets sees agents; the other kinds are a matter of the gateway.
    if (isProblem(read)) problem ||= read.problem;
    else workloads.push(...read.value.map((o) => workloadOf(kind, o)).filter(isCollector));
  }
  return { workloads, problem: workloads.length > 0 ? '' : problem };
}

export const isCollector = (w: Workload): boolean =>
  NAMES.includes(w.labels['app.kubernetes.io/name'] ?? '') ||
  NAMES.includes(w.name) ||
  imagesOf(w).some((i) => IMAGES.test(i));

async function tiersOf(
  o: GatherOptions,
  cluster: ClusterReader | undefined,
  workloads: readonly Workload[],
): Promise<Tier[]> {
  if (o.sources.length > 0 || o.isInside) {
    const sources = o.sources.length > 0 ? o.sources : [POD_CONFIG];
    const loaded = await o.load(sources, o.env, { isStrict: o.isInside, isOwn: true });
    const workload = loaded.config && workloadFor(loaded.config, workloads, o.isInside ? o.env : {});
    return [{ name: workload?.name ?? 'the collector', origin: sources.join(', '), workload, ...loaded }];
  }
  if (!cluster) return [];
  return Promise.all(workloads.map((w) => tierOf(o, cluster, w)));
}

/** Files and kubelets are the agent's; what else there is, the gateway's. */
function workloadFor(config: DoctorConfig, workloads: readonly Workload[], env: Environment): Workload | undefined {
  const pod = env['OTEL_K8S_POD_NAME'] ?? env['HOSTNAME'];
  const own = pod === undefined ? undefined : workloads.find((w) => pod.startsWith(`${w.name}-`));
  if (own) return own;
  const ofNode = ['file_log', 'kubelet_stats', 'host_metrics'];
  const isAgent = [...config.receivers.values()].some((c) => ofNode.includes(c.entry.id));
  const kinds: readonly WorkloadKind[] = isAgent ? ['DaemonSet'] : ['Deployment', 'StatefulSet'];
  return workloads.find((w) => kinds.includes(w.kind));
}

async function tierOf(o: GatherOptions, cluster: ClusterReader, w: Workload): Promise<Tier> {
  const problem = (origin: string, text: string): Tier => ({
    name: w.name,
    origin,
    workload: w,
    config: undefined,
    problem: text,
    isUnseen: true,
  });
  const where = configMapOf(w);
  if (!where) return problem(`${w.kind} ${w.name}`, 'no ConfigMap is mounted where --config points to');
  const origin = `ConfigMap ${w.namespace}/${where.name}`;
  const read = await cluster.get(RESOURCES.configmaps, w.namespace, where.name);
  if (isProblem(read)) return problem(origin, read.problem);
  const data = mapOf(read.value['data']);
  const key =
    where.key !== '' && data[where.key] !== undefined
      ? where.key
      : Object.keys(data).find((k) => /relay|config|collector|\.ya?ml$/.test(k));
  if (key === undefined) return problem(origin, 'it has no key with a configuration');
  const pods = await cluster.list(RESOURCES.pods, { namespace: w.namespace, labelSelector: w.selector });
  const env = envOf(w, isProblem(pods) ? undefined : pods.value[0]);
  try {
    const loaded = await o.load([`yaml:${data[key]}`], env, { isStrict: false, isOwn: false });
    // What sluice does not know, another collector may.
    const isKnownElsewhere = loaded.leftOut !== undefined && engineOf(w) === 'otelcol-contrib';
    return {
      name: w.name,
      origin: `${origin}, key ${key}`,
      workload: w,
      ...loaded,
      ...(isKnownElsewhere ? { problem: undefined } : {}),
    };
  } catch (e) {
    return problem(origin, messageOf(e));
  }
}

/** The ConfigMap behind the file that --config names. */
export function configMapOf(w: Workload): { readonly name: string; readonly key: string } | undefined {
  for (const c of containersOf(w.pod)) {
    const words = [...textsOf(c['command']), ...textsOf(c['args'])];
    const at = words.indexOf('--config');
    const given =
      words.map((a) => /^--config=(?:file:)?(\/.*)$/.exec(a)?.[1]).find((p) => p !== undefined) ??
      (at >= 0 ? words[at + 1] : undefined);
    const path = given ?? POD_CONFIG;
    for (const mount of listOf(c['volumeMounts'])) {
      const directory = textOf(mount['mountPath']).replace(/\/$/, '');
      if (path !== directory && !path.startsWith(`${directory}/`)) continue;
      const volume = listOf(w.pod['volumes']).find((v) => v['name'] === mount['name']);
      const map = fieldsOf(volume?.['configMap']);
      if (textOf(map['name']) === '') continue;
      const file = textOf(mount['subPath']) || path.slice(directory.length + 1);
      const item = listOf(map['items']).find((i) => i['path'] === file);
      return { name: textOf(map['name']), key: textOf(item?.['key']) || file };
    }
  }
  return undefined;
}

/** What the container's variables are in one of its pods, so that references in the configuration have a value. */
export function envOf(w: Workload, pod: KubernetesObject | undefined): Environment {
  const env: Record<string, string> = {};
  for (const e of containersOf(w.pod).flatMap((c) => listOf(c['env']))) {
    const name = textOf(e['name']);
    const path = textOf(fieldsOf(fieldsOf(e['valueFrom'])['fieldRef'])['fieldPath']);
    if (path !== '') env[name] = (pod && textOf(fieldAt(pod, path))) || 'unknown';
    else if (e['valueFrom'] !== undefined) env[name] = NOT_READ;
    else env[name] = textOf(e['value']);
  }
  return env;
}

function fieldAt(pod: KubernetesObject, path: string): unknown {
  let value: unknown = pod;
  for (const key of path.split('.')) value = (fieldsOf(value) as Fields)[key];
  return value;
}
