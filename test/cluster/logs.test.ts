/** Logs of real pods, read by an agent beside a real kubelet and sent through a gateway, with whose they are. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { CollectorConfig } from '../../src/deploy/config.ts';
import { rbacOf } from '../../src/deploy/rbac.ts';
import { type Agent, freePort, tempDir, until } from '../helpers/agent.ts';
import { type Any, LIMIT_MS, openCluster } from './cluster.ts';
import { makeAccount, runCollector } from './collector.ts';
import { type Attributes, type OtlpSink, type SinkRecord, startOtlpSink } from './otlp-sink.ts';
import { deployment, ticker } from './workloads.ts';

const cluster = openCluster();

const METADATA = [
  'container.id',
  'container.image.name',
  'container.image.tag',
  'k8s.container.name',
  'k8s.deployment.name',
  'k8s.deployment.uid',
  'k8s.namespace.name',
  'k8s.node.name',
  'k8s.node.uid',
  'k8s.pod.ip',
  'k8s.pod.name',
  'k8s.pod.start_time',
  'k8s.pod.uid',
  'k8s.replicaset.name',
];

const agentConfig = (dir: string, namespace: string, gateway: string, fromKubelet: boolean): CollectorConfig => ({
  receivers: {
    filelog: {
      include: [`/var/log/pods/${namespace}_*/*/*.log`],
      include_file_path: true,
      start_at: 'beginning',
      storage: 'file_storage',
      operators: [{ type: 'container' }, { type: 'json_parser' }],
    },
  },
  processors: {
    k8sattributes: {
      filter: { node_from_env_var: 'K8S_NODE_NAME' },
      pod_association: [{ sources: [{ from: 'resource_attribute', name: 'k8s.pod.uid' }] }],
      extract: {
        metadata: METADATA,
        labels: [
          { tag_name: 'app', key: 'app', from: 'pod' },
          { tag_name: 'team', key: 'team', from: 'namespace' },
        ],
      },
      ...(fromKubelet ? { kubelet: { enabled: true, endpoint: `${cluster.nodeIp}:${cluster.kubeletPort}` } } : {}),
    },
    batch: { timeout: '200ms' },
  },
  exporters: { otlphttp: { endpoint: gateway } },
  extensions: { file_storage: { directory: dir } },
  service: {
    telemetry: { metrics: { level: 'none' } },
    extensions: ['file_storage'],
    pipelines: { logs: { receivers: ['filelog'], processors: ['k8sattributes', 'batch'], exporters: ['otlphttp'] } },
  },
});

const gatewayConfig = (port: number, sink: OtlpSink): CollectorConfig => ({
  receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
  processors: { batch: { timeout: '200ms' } },
  exporters: { otlphttp: { endpoint: sink.url } },
  service: {
    telemetry: { metrics: { level: 'none' } },
    pipelines: { logs: { receivers: ['otlp'], processors: ['batch'], exporters: ['otlphttp'] } },
  },
});

interface Rig {
  readonly namespace: string;
  readonly sink: OtlpSink;
  /** Starts an agent that knows nothing of a former one. */
  startAgent(): Promise<Agent>;
}

/** A namespace, and a gateway and an agent with what each may do. */
async function rig(t: TestContext, fromKubelet = false): Promise<Rig> {
  const namespace = await cluster.namespace(t, 'logs', { team: 'payments' });
  const sink = await startOtlpSink(t);
  const port = await freePort();
  const forGateway = gatewayConfig(port, sink);
  const gateway = await makeAccount(t, cluster, namespace, 'gateway', rbacOf(forGateway));
  await runCollector(t, cluster, gateway, forGateway);
  const configOf = () => agentConfig(tempDir(t), namespace, `http://127.0.0.1:${port}`, fromKubelet);
  const account = await makeAccount(t, cluster, namespace, 'agent', rbacOf(configOf()));
  return { namespace, sink, startAgent: () => runCollector(t, cluster, account, configOf()) };
}

/** Pods of the namespace when that many are ready. */
async function readyPods(namespace: string, count: number): Promise<Any[]> {
  let pods: Any[] = [];
  const isReady = (p: Any) =>
    !p.metadata.deletionTimestamp && p.status.conditions?.some((c: Any) => c.type === 'Ready' && c.status === 'True');
  await until(
    async () => {
      pods = (await cluster.list('pods', '-n', namespace)).filter(isReady);
      return pods.length === count;
    },
    `${count} ready pods`,
    LIMIT_MS,
  );
  return pods;
}

const statusOf = (pod: Any, container: string): Any =>
  pod.status.containerStatuses.find((c: Any) => c.name === container);
/** `containerd://…` without the runtime. */
const idOf = (status: Any): string => status.containerID.replace(/^.*:\/\//, '');

/** What kubectl says that each record of the present run of a container has to carry. */
async function identities(namespace: string, pods: readonly Any[]): Promise<Map<string, Attributes>> {
  const [deployments, node] = await Promise.all([
    cluster.list('deployments', '-n', namespace),
    cluster.get('node', cluster.nodeName),
  ]);
  const known = new Map<string, Attributes>();
  for (const pod of pods)
    for (const status of pod.status.containerStatuses) {
      const owner = deployments.find((d) => d.metadata.name === pod.metadata.labels.app);
      known.set(`${pod.metadata.uid} ${status.name} ${status.restartCount}`, {
        app: owner.metadata.name,
        team: 'payments',
        'container.id': idOf(status),
        'container.image.name': 'localhost/ticker',
        'container.image.tag': '1',
        'k8s.container.name': status.name,
        'k8s.container.restart_count': String(status.restartCount),
        'k8s.deployment.name': owner.metadata.name,
        'k8s.deployment.uid': owner.metadata.uid,
        'k8s.namespace.name': namespace,
        'k8s.node.name': cluster.nodeName,
        'k8s.node.uid': node.metadata.uid,
        'k8s.pod.ip': pod.status.podIP,
        'k8s.pod.name': pod.metadata.name,
        'k8s.pod.start_time': pod.metadata.creationTimestamp,
        'k8s.pod.uid': pod.metadata.uid,
        'k8s.replicaset.name': pod.metadata.ownerReferences[0].name,
      });
    }
  return known;
}

const runOf = ({ resource: r }: SinkRecord): string =>
  `${r['k8s.pod.uid']} ${r['k8s.container.name']} ${r['k8s.container.restart_count']}`;
const sorted = (attributes: Attributes): Attributes => Object.fromEntries(Object.entries(attributes).sort());
const numberOf = (r: SinkRecord): number => r.attributes['n'] as number;

/** Every record carries what its run has to carry, and of every run the lines 1, 2, 3 … are there once. */
function check(records: readonly SinkRecord[], known: ReadonlyMap<string, Attributes>): void {
  const numbers = new Map<string, number[]>();
  for (const r of records) {
    const run = runOf(r);
    const identity = known.get(run);
    assert.ok(identity, `records of ${run}, which kubectl does not know`);
    assert.deepEqual(sorted(r.resource), sorted(identity), `line ${numberOf(r)} of ${run}`);
    const of = numbers.get(run);
    if (of) of.push(numberOf(r));
    else numbers.set(run, [numberOf(r)]);
  }
  assert.deepEqual([...numbers.keys()].sort(), [...known.keys()].sort());
  for (const [run, got] of numbers)
    assert.deepEqual(
      got,
      got.map((_, i) => i + 1),
      `lines of ${run}`,
    );
}

const countOf = (sink: OtlpSink, run: string): number => sink.records.filter((r) => runOf(r) === run).length;
const waitForLines = (sink: OtlpSink, runs: readonly string[], count: number): Promise<void> =>
  until(() => runs.every((run) => countOf(sink, run) >= count), `${count} lines of every container`, LIMIT_MS);

for (const fromKubelet of [false, true])
  test(`records carry pod, owner, node, container and restart count from the first on, pods by the ${fromKubelet ? 'kubelet' : 'API server'}`, async (t) => {
    const { namespace, sink, startAgent } = await rig(t, fromKubelet);
    const agent = await startAgent();
    await cluster.apply(deployment(namespace, 'web', 2, ticker(), ticker({ container: 'sidecar' })));
    const pods = await readyPods(namespace, 2);
    const known = await identities(namespace, pods);
    await waitForLines(sink, [...known.keys()], 10);
    check(sink.records, known);

    const victim = pods[0].metadata.name;
    await cluster.killContainer(idOf(statusOf(pods[0], 'ticker')));
    let after: Any;
    await until(
      async () => {
        after = await cluster.get('pod', victim, '-n', namespace);
        const { restartCount, ready } = statusOf(after, 'ticker');
        return restartCount === 1 && ready;
      },
      'the restart of the container',
      LIMIT_MS,
    );
    const again = await identities(namespace, [after]);
    for (const [run, identity] of again) known.set(run, identity);
    await waitForLines(sink, [...again.keys()], 20);
    check(sink.records, known);
    assert.doesNotMatch(agent.output, /forbidden|\terror\t/);
    await agent.stop();
  });

test('an agent that starts on pods that are there knows them from the first record on', async (t) => {
  const { namespace, sink, startAgent } = await rig(t);
  await cluster.apply(deployment(namespace, 'web', 2, ticker({ everyMs: 20 })));
  const known = await identities(namespace, await readyPods(namespace, 2));
  await startAgent();
  await waitForLines(sink, [...known.keys()], 100);
  check(sink.records, known);
});

test('what a deleted pod wrote last keeps its identity, and the pod that replaces it has its own', async (t) => {
  const { namespace, sink, startAgent } = await rig(t);
  const agent = await startAgent();
  await cluster.apply(deployment(namespace, 'web', 1, ticker({ everyMs: 50 })));
  const [before] = await readyPods(namespace, 1);
  const known = await identities(namespace, [before]);
  await waitForLines(sink, [...known.keys()], 10);

  const folder = `${namespace}_${before.metadata.name}_${before.metadata.uid}`;
  const log = openSync(join(cluster.podLogsDir, folder, 'ticker', '0.log'), 'r');
  agent.signal('SIGSTOP');
  const countBefore = sink.records.length;
  await cluster.kubectl(['-n', namespace, 'delete', 'pod', before.metadata.name]);
  await until(() => !existsSync(join(cluster.podLogsDir, folder)), 'the kubelet to remove its logs', LIMIT_MS);
  const [next] = await readyPods(namespace, 1);
  for (const [run, identity] of await identities(namespace, [next])) known.set(run, identity);
  agent.signal('SIGCONT');

  const lines = readFileSync(log, 'utf8').trim().split('\n').length;
  closeSync(log);
  assert.ok(lines > countBefore, 'the pod has written more while the agent stood still');
  const [runBefore, runNext] = [...known.keys()];
  await until(() => countOf(sink, runBefore!) >= lines, `${lines} lines of the deleted pod`, LIMIT_MS);
  await waitForLines(sink, [runNext!], 10);
  assert.equal(countOf(sink, runBefore!), lines);
  check(sink.records, known);
});

test('records of a deployment that is being deleted keep its name', async (t) => {
  const { namespace, sink, startAgent } = await rig(t);
  const agent = await startAgent();
  await cluster.apply(deployment(namespace, 'web', 1, ticker({ everyMs: 50 })));
  const [pod] = await readyPods(namespace, 1);
  const known = await identities(namespace, [pod]);
  const [run] = known.keys();
  await waitForLines(sink, [...known.keys()], 10);
  const folder = join(cluster.podLogsDir, `${namespace}_${pod.metadata.name}_${pod.metadata.uid}`);
  const log = openSync(join(folder, 'ticker', '0.log'), 'r');
  // The deployment and its replica set are gone first, then the pod.
  await cluster.kubectl(['-n', namespace, 'delete', 'deployment', 'web']);
  await cluster.kubectl(['-n', namespace, 'wait', '--for=delete', `pod/${pod.metadata.name}`, '--timeout=120s']);
  const lines = readFileSync(log, 'utf8').trim().split('\n').length;
  closeSync(log);
  await until(() => countOf(sink, run!) >= lines, `${lines} lines of the deleted pod`, LIMIT_MS);
  check(sink.records, known);
  assert.doesNotMatch(agent.output, /forbidden|\terror\t/);
});
