/** For tests of checks: a simulated API server with what doctor asks of it besides objects, and drafts of a deployment. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { ManualClock, recordingLog } from '../../test/helpers/component.ts';
import { load } from '../cli/doctor-context.ts';
import { makeAccess } from '../kubernetes/access.ts';
import { SimulatedApiServer, type SimulatedApiServerOptions } from '../kubernetes/simulated/api-server.ts';
import {
  CLUSTER_RESOURCES,
  type Draft,
  Population,
  type SimulatedResource,
} from '../kubernetes/simulated/population.ts';
import type { Check } from './context.ts';
import type { Finding } from './finding.ts';
import { gather } from './gather.ts';

/** Of doctor's clock in tests. */
export const NOON_MS = Date.UTC(2026, 10, 22, 12);

const RESOURCES: readonly SimulatedResource[] = [
  ...CLUSTER_RESOURCES,
  { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', isNamespaced: true },
];

export interface TestCluster {
  readonly url: string;
  readonly population: Population;
  readonly server: SimulatedApiServer;
  /** `verb resource.group`, with subresource: what reviews say yes to; undefined: to everything but secrets and nodes/proxy. */
  allowed: ReadonlySet<string> | undefined;
  /** Users that were asked about; '' for ourselves. */
  readonly reviewed: string[];
  /** Its clock; that of doctor stands at noon, too. */
  nowMs: number;
  /** Answers of paths that the simulation does not have. */
  readonly texts: Map<string, string>;
  stop(): Promise<void>;
}

export async function startCluster(options: SimulatedApiServerOptions = {}): Promise<TestCluster> {
  const population = new Population({ nowMs: () => NOON_MS, resources: RESOURCES });
  const server = new SimulatedApiServer(population, options);
  const texts = new Map<string, string>();
  const listener = createServer(async (req, res) => {
    const path = new URL(req.url!, 'http://x').pathname;
    res.setHeader('date', new Date(cluster.nowMs).toUTCString());
    const text = texts.get(path);
    if (text !== undefined) res.end(text);
    else if (path.startsWith('/apis/authorization.k8s.io/v1/')) {
      const { spec } = JSON.parse(await bodyOf(req)) as {
        spec: { user?: string; resourceAttributes: Record<string, string> };
      };
      const { verb, resource, subresource, group } = spec.resourceAttributes;
      const name = `${verb} ${resource}${subresource ? `/${subresource}` : ''}${group ? `.${group}` : ''}`;
      cluster.reviewed.push(spec.user ?? '');
      const isDangerous = /secrets|nodes\/proxy/.test(name);
      res.writeHead(201, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ status: { allowed: cluster.allowed?.has(name) ?? !isDangerous } }));
    } else server.handle(req, res);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const cluster: TestCluster = {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    population,
    server,
    allowed: undefined,
    nowMs: NOON_MS,
    reviewed: [],
    texts,
    async stop() {
      server.close();
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
  return cluster;
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of req) text += String(chunk);
  return text;
}

/** A server until the end of the test; its address. */
export async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export interface ContextOptions {
  readonly isInside?: boolean;
  /** YAML. */
  readonly config?: string;
  readonly env?: Record<string, string>;
  readonly namespace?: string;
  readonly contextName?: string;
  /** Of our clock; noon. */
  readonly nowMs?: number;
  /** Why there is no cluster. */
  readonly problem?: string;
  /** PEM, of the API server. */
  readonly ca?: string;
  readonly serviceAccountDir?: string;
  /** What happens while doctor waits before it looks again. */
  readonly meanwhile?: (() => void) | undefined;
}

/** As the command makes it; without a cluster when `url` is undefined. */
export function contextFor(url: string | undefined, options: ContextOptions = {}) {
  const clock = new ManualClock();
  if (options.nowMs !== undefined) clock.ms = options.nowMs;
  const log = recordingLog([]);
  return gather({
    isInside: options.isInside ?? false,
    namespace: options.namespace ?? 'opentelemetry',
    sources: options.config === undefined ? [] : [`yaml:${options.config}`],
    access:
      url === undefined
        ? undefined
        : makeAccess(
            { url, token: { text: 'secret' }, ...(options.ca ? { ca: { text: options.ca } } : {}) },
            { clock, log },
          ),
    accessProblem: url === undefined ? (options.problem ?? 'KUBECONFIG is not set and there is none') : '',
    load,
    env: options.env ?? {},
    clock: { nowMs: () => clock.nowMs(), nowUnixNano: () => clock.nowUnixNano(), monotonicMs: () => performance.now() },
    log,
    signal: AbortSignal.timeout(60_000),
    serviceAccountDir: options.serviceAccountDir,
    contextName: options.contextName ?? '',
    pause: async () => options.meanwhile?.(),
  });
}

export async function findings(
  check: Check,
  url: string | undefined,
  options: ContextOptions = {},
): Promise<Finding[]> {
  const ctx = await contextFor(url, options);
  try {
    const list = await check.run(ctx);
    for (const { fix = '' } of list)
      assert.doesNotMatch(
        fix,
        /^(?:kubectl|sluice|sudo|chronyc) .*(?:; |, | must | and | or )/,
        'a fix that begins as a command is one',
      );
    return list;
  } finally {
    ctx.close();
  }
}

/** `state: what`, the part of a finding that tests name. */
export const told = (list: readonly Finding[]): string[] => list.map((f) => `${f.state}: ${f.what}`);

export const AGENT_CONFIG = `
receivers:
  file_log: {include: [/var/log/pods/*/*/*.log], include_file_path: true, operators: [{type: container}]}
  kubelet_stats: {endpoint: "\${env:K8S_NODE_IP}:10250", auth_type: serviceAccount}
processors:
  k8s_attributes: {filter: {node_from_env_var: K8S_NODE_NAME}, pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}]}
exporters:
  otlp_http/logs: {endpoint: "http://vl.logs.svc.cluster.local:9428/insert/opentelemetry"}
service:
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}}
  pipelines:
    logs: {receivers: [file_log], processors: [k8s_attributes], exporters: [otlp_http/logs]}
    metrics: {receivers: [kubelet_stats], processors: [k8s_attributes], exporters: [otlp_http/logs]}
`;

const LONG_AGO = '2026-11-01T00:00:00Z';

type Extra = Readonly<Record<string, unknown>>;

export const namespaceDraft = (name: string, enforce?: string): Draft => ({
  metadata: { name, labels: enforce === undefined ? {} : { 'pod-security.kubernetes.io/enforce': enforce } },
});

export const nodeDraft = (
  name: string,
  extra: { taints?: readonly Extra[]; labels?: Extra; isReady?: boolean; made?: string } = {},
): Draft => ({
  metadata: {
    name,
    labels: { 'kubernetes.io/os': 'linux', ...extra.labels },
    creationTimestamp: extra.made ?? LONG_AGO,
  },
  spec: { taints: extra.taints ?? [] },
  status: {
    conditions: [{ type: 'Ready', status: extra.isReady === false ? 'False' : 'True' }],
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
  },
});

export function agentDraft(pod: Extra = {}, container: Extra = {}): Draft {
  return {
    metadata: {
      name: 'otel-agent',
      namespace: 'opentelemetry',
      labels: { 'app.kubernetes.io/name': 'otel-agent' },
      creationTimestamp: LONG_AGO,
    },
    spec: {
      selector: { matchLabels: { 'app.kubernetes.io/name': 'otel-agent' } },
      template: {
        spec: {
          serviceAccountName: 'otel-agent',
          containers: [
            {
              name: 'otel-agent',
              image: 'localhost/sluice:1',
              args: ['--config=/conf/relay.yaml'],
              env: [
                { name: 'K8S_NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
                { name: 'K8S_NODE_IP', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
              ],
              volumeMounts: [
                { name: 'varlogpods', mountPath: '/var/log/pods', readOnly: true },
                { name: 'config', mountPath: '/conf' },
              ],
              ...container,
            },
          ],
          volumes: [
            { name: 'varlogpods', hostPath: { path: '/var/log/pods' } },
            { name: 'config', configMap: { name: 'otel-agent', items: [{ key: 'relay', path: 'relay.yaml' }] } },
          ],
          ...pod,
        },
      },
    },
  };
}

export const agentPod = (node: string, status: Extra = {}, made = '2026-11-22T11:00:00Z'): Draft => ({
  metadata: {
    name: `otel-agent-${node}`,
    namespace: 'opentelemetry',
    labels: { 'app.kubernetes.io/name': 'otel-agent' },
    creationTimestamp: made,
  },
  spec: { nodeName: node },
  status: {
    phase: 'Running',
    hostIP: '127.0.0.1',
    containerStatuses: [{ name: 'otel-agent', ready: true, restartCount: 0 }],
    ...status,
  },
});

export const configMapDraft = (text = AGENT_CONFIG): Draft => ({
  metadata: { name: 'otel-agent', namespace: 'opentelemetry' },
  data: { relay: text },
});

export const eventDraft = (
  kind: string,
  name: string,
  reason: string,
  message: string,
  time = '2026-11-22T11:30:00Z',
): Draft => ({
  metadata: { name: `${name}.${reason}`, namespace: 'opentelemetry' },
  involvedObject: { kind, name, namespace: 'opentelemetry' },
  reason,
  message,
  lastTimestamp: time,
});

/** An agent that is well on one node. */
export function deploy(cluster: TestCluster, agent: Draft = agentDraft(), config = AGENT_CONFIG): void {
  const { population: p } = cluster;
  p.put('namespaces', namespaceDraft('opentelemetry', 'privileged'));
  p.put('nodes', nodeDraft('worker-1'));
  p.put('daemonsets.apps', agent);
  p.put('configmaps', configMapDraft(config));
  p.put('pods', agentPod('worker-1'));
}
