/** What is well and only under way: pods that have just begun, nodes that join, roll-outs, files that were rotated. */
import assert from 'node:assert/strict';
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
  assert.match(down!.fix!, /^kubectl describe node worker-2; /);
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
