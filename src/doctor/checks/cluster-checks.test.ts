import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  agentDraft,
  agentPod,
  deploy,
  eventDraft,
  findings,
  namespaceDraft,
  nodeDraft,
  startCluster,
  type TestCluster,
  told,
} from '../testing.ts';
import { agents } from './agents.ts';
import { configuration } from './configuration.ts';
import { duplicates } from './duplicates.ts';
import { logs } from './logs.ts';
import { podLogs } from './pod-logs.ts';
import { podSecurity } from './pod-security.ts';
import { pods } from './pods.ts';
import { rights } from './rights.ts';

async function withCluster(
  t: { after(f: () => Promise<void>): void },
  prepare: (c: TestCluster) => void = () => {},
): Promise<TestCluster> {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  prepare(cluster);
  return cluster;
}
const REFUSED =
  'Error creating: pods "otel-agent-x7k2p" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes (volume "varlogpods")';

test('agents: one on every node is fine', async (t) => {
  const { url } = await withCluster(t);
  assert.deepEqual(told(await findings(agents, url)), ['ok: otel-agent runs on the node']);
});

test('agents: nodes without one, told together by what keeps it away', async (t) => {
  const taint = { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' };
  const { url } = await withCluster(t, ({ population: p }) => {
    p.put('daemonsets.apps', agentDraft({ nodeSelector: { 'kubernetes.io/os': 'linux' } }));
    p.put('nodes', nodeDraft('cp-1', { taints: [taint] }));
    p.put(
      'nodes',
      nodeDraft('cp-2', { taints: [taint, { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' }] }),
    );
    p.put('nodes', nodeDraft('win-1', { labels: { 'kubernetes.io/os': 'windows' } }));
    p.put('nodes', nodeDraft('full', {}));
    p.put('pods', {
      ...agentPod('full', {
        phase: 'Pending',
        containerStatuses: [],
        conditions: [
          { type: 'PodScheduled', status: 'False', message: '0/5 nodes are available: 1 Insufficient memory.' },
        ],
      }),
      spec: {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['full'] }] }],
            },
          },
        },
      },
    });
  });
  const found = await findings(agents, url);
  assert.deepEqual(told(found), [
    'failure: no running otel-agent on 2 nodes of 5 (cp-1, cp-2): its taint node-role.kubernetes.io/control-plane:NoSchedule is not tolerated',
    'failure: no running otel-agent on 1 node of 5 (full): its pod cannot be scheduled',
    'failure: no running otel-agent on 1 node of 5 (win-1): nodeSelector wants kubernetes.io/os=linux, and the node has windows',
  ]);
  assert.match(
    found[0]!.fix!,
    /tolerations: \[\{key: node-role\.kubernetes\.io\/control-plane, operator: Exists, effect: NoSchedule\}\]/,
  );
  assert.match(found[1]!.fix!, /resources\.requests\.memory/);
});

test('agents: nothing deployed, a gateway without replicas, and a cluster that tells nothing', async (t) => {
  const empty = await startCluster();
  t.after(() => empty.stop());
  const [nowhere] = await findings(agents, empty.url);
  assert.equal(nowhere!.what, 'there is no namespace opentelemetry');
  assert.match(nowhere!.fix!, /sluice render/);
  empty.population.put('namespaces', namespaceDraft('opentelemetry'));
  const [none] = await findings(agents, empty.url);
  assert.equal(none!.what, 'no collector runs in namespace opentelemetry');
  assert.match(none!.fix!, /sluice render/);
  const gateway = {
    metadata: {
      name: 'otel-gateway',
      namespace: 'opentelemetry',
      labels: { 'app.kubernetes.io/name': 'otel-gateway' },
      creationTimestamp: '2026-11-01T00:00:00Z',
    },
    spec: { replicas: 1, selector: { matchLabels: { a: 'b' } }, template: { spec: { containers: [] } } },
    status: { readyReplicas: 0 },
  };
  empty.population.put('deployments.apps', gateway);
  assert.deepEqual(told(await findings(agents, empty.url)), ['failure: otel-gateway does not run as it should']);
  empty.population.put('deployments.apps', { ...gateway, status: { readyReplicas: 1 } });
  assert.deepEqual(told(await findings(agents, empty.url)), ['ok: otel-gateway runs']);
  const refusing = await startCluster({
    fault: ({ path }) =>
      path.startsWith('/apis/apps') ? { status: 403, message: 'daemonsets.apps is forbidden' } : undefined,
  });
  t.after(() => refusing.stop());
  const [hidden] = await findings(agents, refusing.url);
  assert.equal(hidden!.state, 'unknown');
  assert.match(hidden!.how, /daemonsets\.apps is forbidden/);
  assert.deepEqual(told(await findings(agents, undefined)), ['unknown: the nodes cannot be looked at']);
});

test('agents: in another namespace than that looked at', async (t) => {
  const { url } = await withCluster(t, ({ population }) => population.put('namespaces', namespaceDraft('default')));
  const table: [string, string][] = [
    ['monitoring', 'there is no namespace monitoring; collectors run in opentelemetry'],
    ['default', 'no collector runs in namespace default; collectors run in opentelemetry'],
  ];
  for (const [namespace, what] of table) {
    const [found] = await findings(agents, url, { namespace });
    assert.equal(told([found!])[0], `failure: ${what}`);
    assert.equal(found!.fix, 'sluice doctor -n opentelemetry');
  }
});

test('pod security: an event of a refused pod is explained, with the label that helps', async (t) => {
  const cluster = await withCluster(t, ({ population: p }) => {
    p.put('namespaces', namespaceDraft('opentelemetry', 'baseline'));
    p.remove('pods', 'opentelemetry', 'otel-agent-worker-1');
    p.put('events', eventDraft('DaemonSet', 'otel-agent', 'FailedCreate', REFUSED));
  });
  const [found, ...more] = await findings(podSecurity, cluster.url);
  assert.deepEqual(more, []);
  assert.equal(found!.state, 'failure');
  assert.equal(
    found!.what,
    'Pod Security refuses the pods of otel-agent: the namespace opentelemetry enforces baseline',
  );
  assert.match(found!.how, /hostPath volumes \(volume "varlogpods"\)/);
  assert.equal(
    found!.fix,
    'kubectl label namespace opentelemetry pod-security.kubernetes.io/enforce=privileged --overwrite',
  );
  assert.deepEqual(told(await findings(agents, cluster.url)), [
    'failure: no running otel-agent on 1 node of 1 (worker-1): its pod is refused',
  ]);
});

test('pod security: what was refused before the label was set is over', async (t) => {
  const { url } = await withCluster(t, ({ population: p }) => {
    p.put('events', eventDraft('DaemonSet', 'otel-agent', 'FailedCreate', REFUSED, '2026-11-22T10:59:00Z'));
  });
  assert.deepEqual(told(await findings(podSecurity, url)), [
    'ok: the namespace opentelemetry lets the pods of otel-agent in',
  ]);
});

test('pod security: what was refused until the label was set comes again by itself, late', async (t) => {
  const { url } = await withCluster(t, ({ population: p }) => {
    p.remove('pods', 'opentelemetry', 'otel-agent-worker-1');
    p.put('events', eventDraft('DaemonSet', 'otel-agent', 'FailedCreate', REFUSED));
  });
  const [found] = await findings(podSecurity, url);
  assert.match(
    told([found!])[0]!,
    /^warning: Pod Security refused the pods of otel-agent until the namespace .* got its label/,
  );
  assert.equal(found!.fix, 'kubectl rollout restart -n opentelemetry daemonset/otel-agent');
});

test('pod security: the label is judged before anything happens', async (t) => {
  const cluster = await withCluster(t, ({ population: p }) =>
    p.put('namespaces', namespaceDraft('opentelemetry', 'restricted')),
  );
  assert.deepEqual(told(await findings(podSecurity, cluster.url)), [
    'failure: the namespace opentelemetry enforces restricted, and otel-agent needs privileged',
  ]);
  cluster.population.put('namespaces', namespaceDraft('opentelemetry'));
  // What runs was let in by the default of the cluster.
  assert.deepEqual(told(await findings(podSecurity, cluster.url)), [
    'ok: the namespace opentelemetry lets the pods of otel-agent in',
  ]);
  cluster.population.remove('pods', 'opentelemetry', 'otel-agent-worker-1');
  const [none] = await findings(podSecurity, cluster.url);
  assert.equal(none!.state, 'warning');
  assert.match(none!.what, /no Pod Security label.*\(Talos\)/);
  cluster.population.put('daemonsets.apps', agentDraft({ volumes: [] }));
  assert.deepEqual(told(await findings(podSecurity, cluster.url)), [
    'ok: the pods of otel-agent ask for nothing that baseline refuses',
  ]);
});

test('pods: images, crashes, memory, missing objects and probes', async (t) => {
  const cluster = await withCluster(t);
  const status = (container: Record<string, unknown>) =>
    cluster.population.put(
      'pods',
      agentPod('worker-1', {
        containerStatuses: [{ name: 'otel-agent', image: 'x/sluice:9', ready: false, restartCount: 4, ...container }],
      }),
    );
  const waiting = (reason: string, message = '') => ({ state: { waiting: { reason, message } } });
  const table: [Record<string, unknown>, string, RegExp][] = [
    [
      waiting('ErrImagePull', 'pull access denied, authentication required'),
      'failure: the image x/sluice:9 of otel-agent cannot be fetched',
      /pullSecrets/,
    ],
    [
      waiting('RunContainerError', 'exec: "/usr/local/bin/sluice": exec format error: unknown'),
      'failure: the image x/sluice:9 of otel-agent is not made for the architecture of its node',
      /skopeo copy --all/,
    ],
    [
      { ...waiting('CrashLoopBackOff'), lastState: { terminated: { reason: 'Error', exitCode: 1 } } },
      'failure: otel-agent crashes again and again',
      /--previous \| sluice doctor --from-logs -/,
    ],
    [
      { ...waiting('CrashLoopBackOff'), lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } },
      'failure: otel-agent was killed because it used too much memory (limit none)',
      /limits\.memory/,
    ],
    [
      waiting('CreateContainerConfigError', 'secret "vm-auth" not found'),
      'failure: a container of otel-agent cannot be made',
      /create the secret vm-auth/,
    ],
    [{ ready: true }, 'warning: otel-agent was restarted often', /--previous/],
  ];
  for (const [container, what, fix] of table) {
    status(container);
    const [found] = await findings(pods, cluster.url);
    assert.equal(told([found!])[0], what);
    assert.match(found!.fix!, fix);
    assert.match(found!.how, /^pod otel-agent-worker-1: /);
  }
  status({ restartCount: 0 });
  cluster.population.put(
    'events',
    eventDraft(
      'Pod',
      'otel-agent-worker-1',
      'Unhealthy',
      'Readiness probe failed: dial tcp 10.0.0.1:13133: connect: connection refused',
    ),
  );
  assert.deepEqual(told(await findings(pods, cluster.url)), ['failure: a probe of otel-agent fails']);
  status({ restartCount: 0, ready: true });
  assert.deepEqual(told(await findings(pods, cluster.url)), ['ok: no pod of otel-agent is in trouble']);
});

test('rights: those of the configuration are asked for, for the account of the pods', async (t) => {
  const cluster = await withCluster(t);
  const [fine, ...more] = await findings(rights, cluster.url);
  assert.deepEqual(more, []);
  assert.equal(told([fine!])[0], 'ok: service account opentelemetry/otel-agent has the 3 rights that otel-agent needs');
  assert.deepEqual([...new Set(cluster.reviewed)], ['system:serviceaccount:opentelemetry:otel-agent']);
  cluster.allowed = new Set(['get nodes/stats', 'list pods', 'list secrets']);
  const [missing, risky] = await findings(rights, cluster.url);
  assert.equal(told([missing!])[0], 'failure: service account opentelemetry/otel-agent may not watch pods');
  assert.equal(missing!.fix, 'add to its ClusterRole: {apiGroups: [""], resources: ["pods"], verbs: ["watch"]}');
  assert.match(missing!.how, /processors\.k8s_attributes/);
  assert.equal(
    told([risky!])[0],
    'warning: service account opentelemetry/otel-agent may list secrets, which otel-agent does not need',
  );
});

test('rights: inside, the account asks about itself, and a refusal to answer is unknown', async (t) => {
  const cluster = await withCluster(t);
  const { AGENT_CONFIG: config } = await import('../testing.ts');
  const [fine] = await findings(rights, cluster.url, {
    isInside: true,
    config,
    env: { K8S_NODE_NAME: 'worker-1', K8S_NODE_IP: '127.0.0.1' },
  });
  assert.equal(told([fine!])[0], 'ok: the service account of this pod has the 3 rights that otel-agent needs');
  assert.deepEqual([...new Set(cluster.reviewed)], ['']);
  cluster.texts.set('/apis/authorization.k8s.io/v1/subjectaccessreviews', 'no');
  const [hidden] = await findings(rights, cluster.url);
  assert.equal(hidden!.state, 'unknown');
  assert.match(hidden!.fix!, /kubectl auth can-i list pods --as=system:serviceaccount:opentelemetry:otel-agent/);
});

test('configuration: of ConfigMaps, with what is wrong', async (t) => {
  const cluster = await withCluster(t);
  assert.deepEqual(told(await findings(configuration, cluster.url)), [
    'ok: the configuration of otel-agent is understood',
  ]);
  cluster.population.put('configmaps', {
    metadata: { name: 'otel-agent', namespace: 'opentelemetry' },
    data: { relay: 'receivers: {nope: }' },
  });
  const [bad] = await findings(configuration, cluster.url);
  assert.equal(
    told([bad!])[0],
    `failure: the configuration of otel-agent is wrong: yaml:1:13: receivers::nope: 'receivers' unknown type: "nope" for id: "nope"`,
  );
  assert.match(bad!.how, /ConfigMap opentelemetry\/otel-agent.*unknown type: "nope"/s);
  cluster.population.remove('configmaps', 'opentelemetry', 'otel-agent');
  assert.match((await findings(configuration, cluster.url))[0]!.how, /not found/);
  const [wrong] = await findings(configuration, cluster.url, {
    isInside: true,
    config:
      'receivers: {otlp: {protocols: {http: }}}\nexporters: {otlp_http: {}}\nservice: {pipelines: {logs: {receivers: [otlp], exporters: [otlp_http]}}}',
  });
  assert.match(told([wrong!])[0]!, /^failure: the configuration of the collector is wrong: /);
});

test('pod logs: outside, by what the DaemonSet mounts and as whom it runs', async (t) => {
  const cluster = await withCluster(t);
  assert.deepEqual(told(await findings(podLogs, cluster.url)), ['ok: the files of file_log are mounted']);
  cluster.population.put('daemonsets.apps', agentDraft({ securityContext: { runAsUser: 10001 } }));
  assert.match(told(await findings(podLogs, cluster.url))[0]!, /^warning: otel-agent runs as user 10001/);
  const mounts = [
    { name: 'config', mountPath: '/conf' },
    { name: 'varlogpods', mountPath: '/var/log/pods2' },
  ];
  cluster.population.put('daemonsets.apps', agentDraft({}, { volumeMounts: mounts }));
  assert.deepEqual(told(await findings(podLogs, cluster.url)), [
    'failure: file_log of otel-agent is to read below /var/log/pods, which no host path is mounted for',
  ]);
});

test('duplicates: other DaemonSets that read pod logs, and none that only look at metrics', async (t) => {
  const other = (name: string, image: string, path: string) => ({
    metadata: { name, namespace: 'logging' },
    spec: { template: { spec: { containers: [{ name: 'a', image }], volumes: [{ name: 'v', hostPath: { path } }] } } },
  });
  const cluster = await withCluster(t, ({ population: p }) => {
    p.put('daemonsets.apps', other('node-exporter', 'quay.io/prometheus/node-exporter:v1', '/'));
    p.put('daemonsets.apps', other('kube-proxy', 'registry.example.com/kube-proxy:v1', '/lib/modules'));
  });
  assert.deepEqual(told(await findings(duplicates, cluster.url)), ['ok: no other DaemonSet reads pod logs']);
  cluster.population.put('daemonsets.apps', other('fluent-bit', 'cr.fluentbit.io/fluent/fluent-bit:3.1', '/var/log/'));
  cluster.population.put('daemonsets.apps', other('own', 'corp/shipper:1', '/var/log/pods'));
  assert.deepEqual(told(await findings(duplicates, cluster.url)), [
    'warning: logging/fluent-bit (fluent-bit) reads pod logs too: if both send to the same place, every line is there twice',
    'warning: logging/own (corp/shipper:1) reads pod logs too: if both send to the same place, every line is there twice',
  ]);
});

test('logs: those of the collectors are read with the rules of --from-logs', async (t) => {
  const cluster = await withCluster(t);
  const path = '/api/v1/namespaces/opentelemetry/pods/otel-agent-worker-1/log';
  cluster.texts.set(path, '2026-11-22T10:00:00.000Z\tinfo\tservice\tEverything is ready.\n');
  assert.deepEqual(told(await findings(logs, cluster.url)), ['ok: the log has no trouble that is known here']);
  cluster.texts.set(
    path,
    '2026-11-22T11:59:00.000Z\terror\tx\tExporting failed. Rejecting data.\t{"otelcol.component.id": "otlphttp", "error": "sending queue is full"}\n',
  );
  assert.deepEqual(told(await findings(logs, cluster.url)), [
    'failure: otlphttp: its queue is full, the destination is slower than the sources',
  ]);
  cluster.texts.delete(path);
  assert.equal((await findings(logs, cluster.url))[0]!.state, 'unknown');
});
