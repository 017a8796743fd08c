/** Agent and gateway as the presets configure them, on the observed cluster, and a third collector that is in trouble. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { collection } from '../../src/deploy/collection.ts';
import type { CollectorConfig, Components, JsonMap } from '../../src/deploy/config.ts';
import type { Spec } from '../../src/deploy/spec.ts';
import { defer, freePort, READY, startAgent, tempDir, until } from './agent.ts';
import { podName, podUid, startFakeServer } from './kubelet.ts';
import { attributes, type Json, metricsRequest } from './metric-points.ts';
import { type ObservedCluster, startObservedCluster } from './observed-cluster.ts';

export interface ObservedTiers {
  readonly cluster: ObservedCluster;
  /** Life goes on: containers log, and others push to the collector that is in trouble. */
  goOn(): Promise<void>;
  /** What alerts are for happens: to the cluster, and to a further collector. */
  goWrong(): Promise<void>;
  /** A container writes a line; returns the time that the runtime gives it. */
  log(container: Container, text: string): string;
  /** The API server tells of an event about the first pod; returns its time. */
  event(name: string, note: string): string;
}

export interface Container {
  readonly pod: string;
  readonly namespace: string;
  readonly uid: string;
  readonly container: string;
}

export interface ObservedTiersOptions {
  readonly metricsUrl: string;
  readonly logs: { readonly url: string; readonly compression?: 'gzip' | 'zstd' };
}

const NODE = 'node-1';
const CLUSTER = 'test';

const HERE = '127.0.0.1';

/** What the presets make, where a test can run it: other addresses, other folders, and shorter waits. */
function atHome(config: CollectorConfig, dir: string, kubeletUrl: string, port: number): CollectorConfig {
  const text = JSON.stringify(config)
    .replaceAll('/var/log/pods/', `${dir}/pods/`)
    .replaceAll('/var/lib/otelcol', `${dir}/state`)
    .replaceAll('"serviceAccount"', '"kubeConfig"')
    .replaceAll('{env:MY_POD_IP}:8888', `{env:MY_POD_IP}:${port}`)
    .replaceAll('"scrape_interval":"30s"', '"scrape_interval":"400ms"');
  const made = JSON.parse(text) as CollectorConfig;
  const { receivers = {}, processors = {}, extensions = {}, service } = made;
  const edit = (all: Components, id: string, fields: JsonMap): void => {
    if (id in all) all[id] = { ...(all[id] as JsonMap), ...fields };
  };
  edit(receivers, 'kubelet_stats', { ...SOON, endpoint: kubeletUrl, auth_type: 'none' });
  edit(receivers, 'host_metrics', { ...SOON, root_path: '' });
  edit(receivers, 'k8s_cluster', { collection_interval: '400ms' });
  // Falco's own pod and earlier ones are not in the cluster.
  edit(processors, 'k8s_attributes', { wait_for_pod: { timeout: '500ms' } });
  edit(processors, 'batch', { timeout: '100ms' });
  delete extensions['health_check'];
  service.extensions = (service.extensions ?? []).filter((id) => id !== 'health_check');
  service.telemetry = { metrics: { readers: [{ pull: { exporter: { prometheus: { host: HERE, port } } } }] } };
  return made;
}

const spec = (o: ObservedTiersOptions): Spec => ({
  clusterName: CLUSTER,
  destinations: {
    metrics: { url: o.metricsUrl },
    logs: { ...o.logs, kind: 'victorialogs' },
  },
  agent: { presets: { falco: true, selfMonitoring: true, kubeletMetrics: { extraMetadata: ['k8s.volume.type'] } } },
  gateway: { presets: { selfMonitoring: true, kubernetesEvents: { foldInterval: '0s' } } },
});

/** For the collector that is in trouble: its metrics are to arrive, with the labels that those of presets have. */
const remoteWrite = (endpoint: string): Json => ({
  endpoint,
  external_labels: { k8s_cluster_name: CLUSTER, k8s_node_name: NODE },
});
const SOON: JsonMap = { collection_interval: '400ms', initial_delay: '0s' };

interface Ports {
  readonly bad: number;
  readonly fine: number;
}

const ownPage = (job_name: string, metrics_path: string, target: string, pod: string): Json => ({
  job_name,
  metrics_path,
  scrape_interval: '400ms',
  static_configs: [{ targets: [target], labels: { k8s_namespace_name: 'opentelemetry', k8s_pod_name: pod } }],
});

/** One destination refuses everything, the other one never answers, and its queue is short. */
function troubledConfig(dir: string, ports: Ports, port: number, badUrl: string, goodUrl: string): Json {
  const sending_queue = { queue_size: 1, num_consumers: 1 };
  const all = ['otlp_http/refusing', 'otlp_http/silent'];
  const from = (exporters: string[], receivers = ['otlp']): Json => ({ receivers, exporters });
  return {
    receivers: {
      otlp: { protocols: { http: { endpoint: `127.0.0.1:${ports.bad}` } } },
      'otlp/fine': { protocols: { http: { endpoint: `127.0.0.1:${ports.fine}` } } },
      kubelet_stats: { ...SOON, endpoint: badUrl, auth_type: 'none' },
      host_metrics: { ...SOON, root_path: join(dir, 'pods'), scrapers: { memory: null, load: null } },
      prometheus: {
        config: {
          scrape_configs: [
            ownPage('troubled', '/metrics', `${HERE}:${port}`, 'otel-agent-2'),
            ownPage('off', '/off', badUrl.slice('http://'.length), 'otel-agent-3'),
          ],
        },
      },
      'file_log/lost': { include: [join(dir, 'pods/*/*/*.log')], start_at: 'beginning' },
    },
    exporters: {
      'otlp_http/refusing': { endpoint: `${badUrl}/refuse`, sending_queue: { queue_size: 100 } },
      'otlp_http/silent': { endpoint: `${badUrl}/silence`, timeout: '1h', sending_queue },
      'otlp_http/fine': { endpoint: `${badUrl}/fine` },
      prometheus_remote_write: { endpoint: `${badUrl}/refuse` },
      'prometheus_remote_write/fine': remoteWrite(goodUrl),
    },
    service: {
      telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: HERE, port } } } }] } },
      pipelines: {
        logs: from(all),
        traces: from(all),
        metrics: from([...all, 'prometheus_remote_write']),
        'logs/fine': from(['otlp_http/fine'], ['otlp/fine']),
        'traces/fine': from(['otlp_http/fine'], ['otlp/fine']),
        'metrics/fine': from(['prometheus_remote_write/fine'], ['otlp/fine']),
        'metrics/own': from(['prometheus_remote_write/fine'], ['prometheus']),
        'metrics/scraped': from(['otlp_http/refusing'], ['kubelet_stats', 'host_metrics']),
        'logs/lost': from(['otlp_http/refusing'], ['file_log/lost']),
      },
    },
  };
}

/** A line as the container runtime writes it. */
function containerLine(dir: string, { pod, namespace, uid, container }: Container, text: string, restarts = 0): string {
  const folder = join(dir, 'pods', `${namespace}_${pod}_${uid}`, container);
  mkdirSync(folder, { recursive: true });
  const time = new Date().toISOString();
  appendFileSync(join(folder, `${restarts}.log`), `${time} stdout F ${text}\n`);
  return time;
}

/** The app of a pod of the fake kubelet, or of an earlier pod of its name. */
export const appOf = (i: number, uid = podUid(i)): Container => ({
  pod: podName(i),
  namespace: `ns-${i}`,
  uid,
  container: 'app',
});
const FALCO: Container = { pod: 'falco-x7k2p', namespace: 'falco', uid: podUid(900), container: 'falco' };

const falcoAlert = (): string =>
  JSON.stringify({
    hostname: NODE,
    output: `${new Date().toISOString()}: Warning A shell was spawned in a container (user=root shell=bash)`,
    output_fields: { 'k8s.ns.name': 'ns-1', 'k8s.pod.name': podName(1), 'proc.name': 'bash', 'user.name': 'root' },
    priority: 'Critical',
    rule: 'Terminal shell in container',
    source: 'syscall',
    tags: ['container', 'shell'],
    time: new Date().toISOString(),
  });

function writeEvent({ population }: ObservedCluster, name: string, type: string, reason: string, note: string): string {
  const eventTime = new Date().toISOString();
  population.put('events.events.k8s.io', {
    metadata: { name, namespace: 'ns-0', uid: name },
    type,
    reason,
    note,
    action: 'Binding',
    reportingController: 'kubelet',
    regarding: { kind: 'Pod', name: podName(0), namespace: 'ns-0', uid: podUid(0) },
    eventTime,
  });
  return eventTime;
}

function writeEvents(cluster: ObservedCluster): void {
  for (const [i, [type, reason, note]] of (
    [
      ['Normal', 'Scheduled', 'Successfully assigned the pod to a node'],
      ['Normal', 'Started', 'Started container app'],
      ['Warning', 'BackOff', 'Back-off restarting failed container app'],
    ] as const
  ).entries())
    writeEvent(cluster, `web.${i}`, type, reason, note);
}

const now = (): string => `${Date.now()}000000`;
const LOGS = () => ({
  resourceLogs: [{ scopeLogs: [{ logRecords: [{ timeUnixNano: now(), body: { stringValue: 'hello' } }] }] }],
});
const SPANS = () => ({
  resourceSpans: [
    {
      scopeSpans: [
        {
          spans: [
            {
              traceId: '0af7651916cd43dd8448eb211c80319c',
              spanId: 'b7ad6b7169203331',
              name: 'call',
              startTimeUnixNano: now(),
              endTimeUnixNano: now(),
            },
          ],
        },
      ],
    },
  ],
});
/** A file system that is nearly full; that of this machine hardly is. */
const POINTS = () => {
  const filesystem = { mountpoint: '/data', device: '/dev/sdz', mode: 'rw', type: 'ext4' };
  const point = (state: string, asInt: string) => ({
    timeUnixNano: now(),
    asInt,
    attributes: attributes({ ...filesystem, state }),
  });
  const dataPoints = [point('used', '97'), point('free', '3')];
  const sum = { aggregationTemporality: 2, isMonotonic: false, dataPoints };
  return metricsRequest([{ name: 'system.filesystem.usage', unit: 'By', sum }], { 'k8s.node.name': NODE });
};
/** Of a collector that cannot say what became of some bytes: no real one does this. */
const PAGE_THAT_IS_OFF = ['read', 'delivered']
  .map((outcome, i) => `sluice_ledger_bytes{component="file_log",outcome="${outcome}"} ${100 - i}\n`)
  .join('');

async function push(port: number): Promise<void> {
  for (const [path, body] of [
    ['logs', LOGS()],
    ['traces', SPANS()],
    ['metrics', POINTS()],
  ] as const) {
    const r = await fetch(`http://127.0.0.1:${port}/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    await r.arrayBuffer();
  }
}

export async function startObservedTiers(t: TestContext, o: ObservedTiersOptions): Promise<ObservedTiers> {
  const dir = tempDir(t);
  const cluster = await startObservedCluster(t, dir);
  const logLine = (): void => {
    containerLine(dir, appOf(0), 'hello from a container');
    containerLine(dir, FALCO, falcoAlert());
  };
  logLine();
  containerLine(dir, FALCO, 'Falco initialized with configuration file');
  // The container restarts, and the pod is made again under its name, as those of StatefulSets are.
  containerLine(dir, appOf(0), 'hello again', 1);
  for (const uid of [podUid(2), podUid(902), podUid(903)]) containerLine(dir, appOf(2, uid), 'hello from the store');
  const start = async (name: string, pod: string, make: (port: number) => unknown): Promise<void> => {
    const env = {
      KUBECONFIG: cluster.kubeconfig,
      K8S_NODE_NAME: NODE,
      MY_POD_IP: HERE,
      OTEL_K8S_NAMESPACE: 'opentelemetry',
      OTEL_K8S_POD_NAME: pod,
    };
    const file = join(dir, `${name}.yaml`);
    writeFileSync(file, JSON.stringify(make(await freePort())));
    await startAgent(t, ['--config', file], { env }).says(READY);
  };
  for (const { name, config } of collection(spec(o)).tiers)
    await start(name, `otel-${name}-1`, (port) => atHome(config, dir, cluster.kubeletUrl, port));
  await until(() => cluster.isWatchedForEvents, 'the gateway to watch events');
  writeEvents(cluster);

  const bad = await startFakeServer((path) =>
    path.startsWith('/silence')
      ? 'silence'
      : path.startsWith('/off')
        ? { status: 200, text: PAGE_THAT_IS_OFF }
        : { status: path.startsWith('/fine') ? 200 : 400, text: '' },
  );
  defer(t, () => bad.close());
  let ports: Ports | undefined;
  return {
    cluster,
    log: (container, text) => containerLine(dir, container, text),
    event: (name, note) => writeEvent(cluster, name, 'Normal', 'Pulled', note),
    async goOn() {
      logLine();
      if (ports !== undefined) await Promise.all([push(ports.bad), push(ports.fine)]);
    },
    async goWrong() {
      cluster.goWrong();
      const both = { bad: await freePort(), fine: await freePort() };
      await start('troubled', 'otel-agent-2', (port) => troubledConfig(dir, both, port, bad.url, o.metricsUrl));
      ports = both;
    },
  };
}
