/** What is well and only under way: pods that have just begun, nodes that join, roll-outs, files that were rotated. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Draft } from '../../kubernetes/simulated/population.ts';
import {
  agentPod,
  deploy,
  eventDraft,
  findings,
  NOON_MS,
  nodeDraft,
  startCluster,
  type TestCluster,
  told,
} from '../testing.ts';
import { agents } from './agents.ts';
import { delivery } from './delivery.ts';
import { metadata } from './metadata.ts';
import { podLogs } from './pod-logs.ts';
import { pods } from './pods.ts';

const ago = (seconds: number): string => `${new Date(NOON_MS - seconds * 1000).toISOString().slice(0, 19)}Z`;

async function withCluster(t: TestContext): Promise<TestCluster> {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  return cluster;
}

const NOT_READY = { containerStatuses: [{ name: 'otel-agent', ready: false, restartCount: 0 }] };
const waiting = (reason: string) => ({
  phase: 'Pending',
  containerStatuses: [{ name: 'otel-agent', ready: false, restartCount: 0, state: { waiting: { reason } } }],
});
const leaving = (pod: Draft, seconds: number): Draft => ({
  ...pod,
  metadata: { ...pod.metadata, deletionTimestamp: ago(seconds) },
});

test('an agent that has just begun is no failure, and one that is stuck is one', async (t) => {
  const cluster = await withCluster(t);
  cluster.population.put('nodes', nodeDraft('worker-2'));
  const table: [string, Draft | undefined, string[]][] = [
    [
      'its pod is made',
      agentPod('worker-2', waiting('ContainerCreating'), ago(12)),
      ['ok: otel-agent is starting on 1 node of 2 (worker-2)'],
    ],
    [
      'its probe has not passed',
      agentPod('worker-2', NOT_READY, ago(60)),
      ['ok: otel-agent is starting on 1 node of 2 (worker-2)'],
    ],
    [
      'its predecessor ends',
      leaving(agentPod('worker-2', NOT_READY), 10),
      ['ok: otel-agent is starting on 1 node of 2 (worker-2)'],
    ],
    [
      'its image is not there',
      agentPod('worker-2', waiting('ErrImagePull'), ago(12)),
      ['failure: no running otel-agent on 1 node of 2 (worker-2): its pod does not become ready'],
    ],
    [
      'its image takes long',
      agentPod('worker-2', waiting('ContainerCreating'), ago(300)),
      ['failure: no running otel-agent on 1 node of 2 (worker-2): its containers are not made yet'],
    ],
    [
      'it takes too long',
      agentPod('worker-2', NOT_READY, ago(300)),
      ['failure: no running otel-agent on 1 node of 2 (worker-2): its pod does not become ready'],
    ],
    [
      'it does not end',
      leaving(agentPod('worker-2', NOT_READY), 600),
      ['failure: no running otel-agent on 1 node of 2 (worker-2): its pod does not become ready'],
    ],
    [
      'there is none',
      undefined,
      ['failure: no running otel-agent on 1 node of 2 (worker-2): nothing that can be seen keeps it away'],
    ],
  ];
  for (const [name, pod, what] of table) {
    if (pod) cluster.population.put('pods', pod);
    else cluster.population.remove('pods', 'opentelemetry', 'otel-agent-worker-2');
    assert.deepEqual(told(await findings(agents, cluster.url)), what, name);
  }
});

test('between a pod and its successor there is none for a moment', async (t) => {
  const cluster = await withCluster(t);
  cluster.population.remove('pods', 'opentelemetry', 'otel-agent-worker-1');
  const meanwhile = () =>
    void cluster.population.put('pods', agentPod('worker-1', waiting('ContainerCreating'), ago(0)));
  const [found, ...more] = await findings(agents, cluster.url, { meanwhile });
  // Nothing runs yet, so nobody knows whether it will.
  assert.deepEqual([told([found!])[0], more], ['unknown: otel-agent is starting on 1 node of 1 (worker-1)', []]);
  assert.match(found!.how, /^0 of 1 nodes have one that runs; otel-agent-worker-1 was made 0 s ago$/);
});

test('nodes that join, and nodes that are down', async (t) => {
  const cluster = await withCluster(t);
  cluster.population.put('nodes', nodeDraft('worker-2', { made: ago(20), isReady: false }));
  assert.deepEqual(told(await findings(agents, cluster.url)), ['ok: otel-agent is starting on 1 node of 2 (worker-2)']);
  cluster.population.put('nodes', nodeDraft('worker-2', { isReady: false }));
  cluster.population.put('pods', agentPod('worker-2', NOT_READY));
  const [down] = await findings(agents, cluster.url);
  assert.equal(told([down!])[0], 'failure: no running otel-agent on 1 node of 2 (worker-2): the node is not ready');
  assert.match(down!.fix!, /^`kubectl describe node worker-2` says why/);
  // Nor does a new node excuse a pod that is refused.
  cluster.population.put('nodes', nodeDraft('worker-4', { made: ago(20) }));
  const refused =
    'Error creating: pods "otel-agent-x" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes';
  cluster.population.put('events', eventDraft('DaemonSet', 'otel-agent', 'FailedCreate', refused));
  assert.match(told(await findings(agents, cluster.url)).join('\n'), /\(worker-4\): its pod is refused/);
  // A taint that nobody tolerates keeps the agent away for good, also of a new node.
  const taints = [{ key: 'gpu', effect: 'NoSchedule' }];
  cluster.population.put('nodes', nodeDraft('worker-3', { made: ago(20), taints }));
  assert.match(
    told(await findings(agents, cluster.url)).join('\n'),
    /\(worker-3\): its taint gpu:NoSchedule is not tolerated/,
  );
});

test('what is refused is a failure on a node that has just joined, too', async (t) => {
  const cluster = await withCluster(t);
  cluster.population.remove('pods', 'opentelemetry', 'otel-agent-worker-1');
  cluster.population.put('nodes', nodeDraft('worker-1', { made: ago(33) }));
  assert.match(
    told(await findings(agents, cluster.url)).join(),
    /: otel-agent is starting on 1 node of 1 \(worker-1\)$/,
  );
  const refusal = 'Error creating: pods "otel-agent-x" is forbidden: violates PodSecurity "baseline:latest"';
  cluster.population.put('events', eventDraft('DaemonSet', 'otel-agent', 'FailedCreate', refusal, ago(10)));
  assert.deepEqual(told(await findings(agents, cluster.url)), [
    'failure: no running otel-agent on 1 node of 1 (worker-1): its pod is refused',
  ]);
});

test('ages are counted by the clock of the API server', async (t) => {
  const cluster = await withCluster(t);
  cluster.nowMs += 3_600_000;
  cluster.population.put('pods', agentPod('worker-1', NOT_READY, ago(-3590)));
  assert.deepEqual(told(await findings(agents, cluster.url)), [
    'unknown: otel-agent is starting on 1 node of 1 (worker-1)',
  ]);
});

test('a gateway that is rolled out', async (t) => {
  const cluster = await withCluster(t);
  const gateway = (made: string, readyReplicas = 0) =>
    cluster.population.put('deployments.apps', {
      metadata: {
        name: 'otel-gateway',
        namespace: 'opentelemetry',
        labels: { 'app.kubernetes.io/name': 'otel-gateway' },
        creationTimestamp: made,
      },
      spec: { replicas: 1, selector: { matchLabels: { app: 'gw' } }, template: { spec: { containers: [] } } },
      status: { readyReplicas },
    });
  const pod = (made: string, status: object): Draft => ({
    metadata: { name: 'otel-gateway-1', namespace: 'opentelemetry', labels: { app: 'gw' }, creationTimestamp: made },
    spec: { nodeName: 'worker-1' },
    status: { phase: 'Pending', ...status },
  });
  const last = async () => told(await findings(agents, cluster.url)).at(-1);
  gateway(ago(5));
  assert.equal(await last(), 'unknown: otel-gateway is starting');
  gateway(ago(5000));
  assert.equal(await last(), 'failure: otel-gateway does not run as it should');
  cluster.population.put('pods', pod(ago(5), NOT_READY));
  assert.equal(await last(), 'unknown: otel-gateway is starting');
  cluster.population.put('pods', leaving(pod(ago(5000), NOT_READY), 3));
  assert.equal(await last(), 'unknown: otel-gateway is starting');
  cluster.population.put('pods', pod(ago(5000), NOT_READY));
  assert.equal(await last(), 'failure: otel-gateway does not run as it should');
  gateway(ago(5000), 1);
  assert.equal(await last(), 'ok: otel-gateway runs');
});

test('probes and mounts of a pod that has just begun, and ends that are long ago', async (t) => {
  const cluster = await withCluster(t);
  const unhealthy = eventDraft(
    'Pod',
    'otel-agent-worker-1',
    'Unhealthy',
    'Readiness probe failed: connection refused',
    ago(5),
  );
  cluster.population.put('events', unhealthy);
  cluster.population.put('pods', agentPod('worker-1', NOT_READY, ago(10)));
  assert.deepEqual(told(await findings(pods, cluster.url)), ['ok: no pod of otel-agent is in trouble']);
  cluster.population.put('pods', agentPod('worker-1', NOT_READY, ago(200)));
  assert.deepEqual(told(await findings(pods, cluster.url)), ['failure: a probe of otel-agent fails']);
  cluster.population.put('pods', leaving(agentPod('worker-1', NOT_READY), 5));
  assert.deepEqual(told(await findings(pods, cluster.url)), ['ok: no pod of otel-agent is in trouble']);
  const restarted = (reason: string, finishedAt: string) => ({
    containerStatuses: [
      { name: 'otel-agent', ready: true, restartCount: 9, lastState: { terminated: { reason, finishedAt } } },
    ],
  });
  for (const [reason, what] of [
    ['Error', 'warning: otel-agent was restarted often'],
    ['OOMKilled', 'warning: otel-agent was killed because it used too much memory (limit none)'],
  ] as const) {
    cluster.population.put('pods', agentPod('worker-1', restarted(reason, ago(3600))));
    assert.deepEqual(told(await findings(pods, cluster.url)), [what]);
    cluster.population.put('pods', agentPod('worker-1', restarted(reason, ago(3 * 86_400))));
    assert.deepEqual(told(await findings(pods, cluster.url)), ['ok: no pod of otel-agent is in trouble']);
  }
});

const METRICS = '/api/v1/namespaces/opentelemetry/pods/otel-agent-worker-1:8888/proxy/metrics';

test('records of a pod that was not known for a moment, and of pods that stay unknown', async (t) => {
  const cluster = await withCluster(t);
  const page = (accepted: number, unmatched: number): string =>
    [
      `otelcol_receiver_accepted_log_records{receiver="file_log"} ${accepted}`,
      `sluice_processor_k8s_attributes_unmatched_records{otelcol_signal="logs",reason="unknown pod"} ${unmatched}`,
      'otelcol_k8s_pod_association{status="success"} 5',
      '',
    ].join('\n');
  const table: [string, [number, number], [number, number], string][] = [
    ['a few, none since', [1000, 3], [1100, 3], 'ok: records have the metadata of their pods'],
    ['a few, and quiet', [1000, 3], [1000, 3], 'ok: records have the metadata of their pods'],
    ['a few, and more', [1000, 3], [1100, 4], 'warning: records have no metadata of their pod (unknown pod)'],
    [
      'many, none since',
      [1000, 300],
      [1100, 300],
      'warning: records had no metadata of their pod for a while (unknown pod)',
    ],
    ['many, and quiet', [1000, 300], [1000, 300], 'failure: records have no metadata of their pod (unknown pod)'],
    ['many, and more', [1000, 300], [1100, 330], 'failure: records have no metadata of their pod (unknown pod)'],
  ];
  for (const [name, now, later, what] of table) {
    cluster.texts.set(METRICS, page(...now));
    const meanwhile = () => void cluster.texts.set(METRICS, page(...later));
    assert.deepEqual(told(await findings(metadata, cluster.url, { meanwhile })), [what], name);
  }
});

test('a queue that is full for a moment, and one that stays full', async (t) => {
  const cluster = await withCluster(t);
  const page = (size: number): string =>
    `otelcol_exporter_queue_size{exporter="a"} ${size}\notelcol_exporter_queue_capacity{exporter="a"} 1000\notelcol_exporter_sent_log_records{exporter="a"} 5\n`;
  for (const [later, what] of [
    [100, 'ok: what is collected is delivered'],
    [950, 'failure: the queue of a is nearly full'],
  ] as const) {
    cluster.texts.set(METRICS, page(900));
    const meanwhile = () => void cluster.texts.set(METRICS, page(later));
    assert.deepEqual(told(await findings(delivery, cluster.url, { meanwhile })), [what]);
  }
});

test('who waits for others to send has nothing to send when they do not', async (t) => {
  const cluster = await withCluster(t);
  const config = (receiver: string): string =>
    `receivers: {${receiver}: {}}\nexporters: {otlp_http: {endpoint: "http://x:1"}}\nservice: {telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}}, pipelines: {metrics: {receivers: [${receiver}], exporters: [otlp_http]}}}`;
  cluster.texts.set(METRICS, 'otelcol_process_uptime 300\n');
  for (const [receiver, what] of [
    ['otlp', 'ok: nothing came, so nothing was sent'],
    ['host_metrics', 'warning: nothing was sent yet'],
  ] as const) {
    deploy(
      cluster,
      undefined,
      config(receiver)
        .replace('otlp: {}', 'otlp: {protocols: {http: {}}}')
        .replace('host_metrics: {}', 'host_metrics: {scrapers: {cpu: {}}}'),
    );
    assert.deepEqual(told(await findings(delivery, cluster.url)), [what]);
  }
});

test('a node whose pods have not written yet, or are just being deleted', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'sluice-starting-'));
  t.after(() => rmSync(root, { recursive: true }));
  const put = (path: string): string => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), 'a line\n');
    return join(root, path);
  };
  const config = `receivers: {file_log: {include: ["${root}/*/*/*.log"], exclude: ["${root}/o_agent-x_*/*/*.log"]}}\nexporters: {debug: }\nservice: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [file_log], exporters: [debug]}}}`;
  const ask = (meanwhile?: () => void) =>
    findings(podLogs, undefined, { isInside: true, config, env: { HOSTNAME: 'agent-x' }, meanwhile });
  // Its own log is there, and left out.
  put('o_agent-x_u1/agent/0.log');
  assert.deepEqual(told(await ask()), ['ok: there is no file yet that file_log could read']);
  assert.deepEqual(told(await ask(() => void put('shop_web_u2/app/0.log'))), ['ok: file_log can read 1 file']);
  const link = join(root, 'shop_web_u2/app/1.log');
  symlinkSync(join(root, 'nothing'), link);
  assert.deepEqual(told(await ask(() => unlinkSync(link))), ['ok: file_log can read 1 file']);
  symlinkSync(join(root, 'nothing'), link);
  assert.deepEqual(told(await ask()), ['failure: 1 log file of file_log is a link to what is not mounted']);
});
