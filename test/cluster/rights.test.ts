/** The rights that are computed for a configuration are enough, and whoever lacks one is told which. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectorConfig } from '../../src/deploy/config.ts';
import { type PolicyRule, rbacOf } from '../../src/deploy/rbac.ts';
import { READY, tempDir, until } from '../helpers/agent.ts';
import { LIMIT_MS, openCluster } from './cluster.ts';
import { makeAccount, type Permissions, runCollector, startCollector } from './collector.ts';
import { makeEvents } from './make-events.ts';
import { startOtlpSink } from './otlp-sink.ts';
import { deployment, ticker } from './workloads.ts';

const cluster = openCluster();
const env = { KUBELET_PORT: String(cluster.kubeletPort) };
const KUBELET = '${env:K8S_NODE_IP}:${env:KUBELET_PORT}';

const agentConfig = (dir: string, namespace: string, endpoint: string): CollectorConfig => ({
  receivers: {
    filelog: {
      include: [`/var/log/pods/${namespace}_*/*/*.log`],
      include_file_path: true,
      start_at: 'beginning',
      operators: [{ type: 'container' }],
    },
    kubeletstats: {
      auth_type: 'serviceAccount',
      endpoint: KUBELET,
      collection_interval: '1s',
      extra_metadata_labels: ['container.id'],
    },
  },
  processors: {
    k8sattributes: {
      filter: { node_from_env_var: 'K8S_NODE_NAME' },
      pod_association: [{ sources: [{ from: 'resource_attribute', name: 'k8s.pod.uid' }] }],
      extract: {
        metadata: ['k8s.pod.name', 'k8s.deployment.uid', 'k8s.node.uid'],
        labels: [{ tag_name: 'team', key: 'team', from: 'namespace' }],
      },
    },
  },
  exporters: { otlphttp: { endpoint } },
  extensions: { file_storage: { directory: dir } },
  service: {
    telemetry: { metrics: { level: 'none' } },
    extensions: ['file_storage'],
    pipelines: {
      logs: { receivers: ['filelog'], processors: ['k8sattributes'], exporters: ['otlphttp'] },
      metrics: { receivers: ['kubeletstats'], processors: ['k8sattributes'], exporters: ['otlphttp'] },
    },
  },
});

const gatewayConfig = (dir: string, namespace: string, endpoint: string): CollectorConfig => ({
  receivers: {
    k8s_cluster: { collection_interval: '1s', k8s_leader_elector: 'k8s_leader_elector' },
    k8sobjects: {
      storage: 'file_storage',
      k8s_leader_elector: 'k8s_leader_elector',
      objects: [
        { name: 'events', mode: 'watch', namespaces: [namespace] },
        { name: 'configmaps', mode: 'pull', interval: '1s', namespaces: [namespace] },
      ],
    },
  },
  exporters: { otlphttp: { endpoint } },
  extensions: {
    file_storage: { directory: dir },
    k8s_leader_elector: {
      lease_name: 'gateway',
      lease_namespace: namespace,
      // A machine that has much to do may stand still for seconds.
      lease_duration: '12s',
      renew_deadline: '10s',
      retry_period: '1s',
    },
  },
  service: {
    telemetry: { metrics: { level: 'none' } },
    extensions: ['file_storage', 'k8s_leader_elector'],
    pipelines: {
      metrics: { receivers: ['k8s_cluster'], exporters: ['otlphttp'] },
      logs: { receivers: ['k8sobjects'], exporters: ['otlphttp'] },
    },
  },
});

/** In the JSON of a log line. */
const groupText = (group: string): string => JSON.stringify(`apiGroups: ["${group}"]`).slice(1, -1);

/** All that is allowed but this. */
const without = (rules: readonly PolicyRule[], resource: string, verb?: string): PolicyRule[] =>
  rules.flatMap((rule) => {
    if (!rule.resources.includes(resource)) return [rule];
    const others = rule.resources.filter((r) => r !== resource);
    const verbs = rule.verbs.filter((v) => verb !== undefined && v !== verb);
    return [
      ...(others.length > 0 ? [{ ...rule, resources: others }] : []),
      ...(verbs.length > 0 ? [{ ...rule, resources: [resource], verbs }] : []),
    ];
  });

test('each right of the agent is needed: without it, the log names the rule', async (t) => {
  const namespace = await cluster.namespace(t, 'rights', { team: 'payments' });
  const sink = await startOtlpSink(t);
  const config = agentConfig(tempDir(t), namespace, sink.url);
  const { cluster: rules, namespaced } = rbacOf(config);
  assert.deepEqual(namespaced, []);
  await cluster.apply(deployment(namespace, 'web', 1, ticker()));

  const missing = rules.flatMap((rule) => rule.resources.map((resource) => ({ rule, resource })));
  assert.ok(missing.length >= 5, JSON.stringify(rules));
  const cases: [string, string | undefined, string][] = missing.map(({ rule, resource }) => [
    resource,
    undefined,
    resource.startsWith('nodes/')
      ? `the verb get on ${resource} in a ClusterRole`
      : `this rule in a ClusterRole: {${groupText(rule.apiGroups[0]!)}, resources: [${resource}], verbs: [`,
  ]);
  cases.push(['pods', 'watch', `this rule in a ClusterRole: {${groupText('')}, resources: [pods], verbs: [watch]}`]);
  for (const [i, [resource, verb, message]] of cases.entries()) {
    // The kubelet remembers for minutes what an account may do: each gets its own.
    const name = `agent-${i}`;
    const account = await makeAccount(t, cluster, namespace, name, { cluster: without(rules, resource, verb) });
    const who = `Service account ${namespace}/${name} needs`;
    const agent = startCollector(t, cluster, account, config, { env });
    await agent.says(`${who} ${message}`);
    const others = agent.output.split('\n').filter((l) => l.includes(who) && !l.includes(`${who} ${message}`));
    assert.deepEqual(others, [], 'and nothing else');
    assert.equal((await agent.stop()).code, 0);
  }

  const account = await makeAccount(t, cluster, namespace, 'agent', { cluster: rules });
  const agent = await runCollector(t, cluster, account, config, { env });
  await until(() => sink.records.some((r) => r.resource['team'] === 'payments'), 'records', LIMIT_MS);
  await until(() => sink.points.some((p) => p.name === 'container.memory.usage'), 'metrics', LIMIT_MS);
  assert.doesNotMatch(agent.output, /forbidden|\terror\t/);
});

test('a gateway without any right names every one, and works as soon as it has them', async (t) => {
  const namespace = await cluster.namespace(t, 'rights');
  const sink = await startOtlpSink(t);
  const config = gatewayConfig(tempDir(t), namespace, sink.url);
  const rbac: Permissions = rbacOf(config);
  const account = await makeAccount(t, cluster, namespace, 'gateway', { cluster: [], namespaced: [] });
  const gateway = startCollector(t, cluster, account, config);
  await gateway.says(READY);

  // The lease comes first: who does not lead asks for nothing.
  const who = `Service account ${namespace}/gateway needs this rule`;
  const inside = `in a Role of namespace ${namespace}, or a ClusterRole`;
  await gateway.says(`${who} ${inside}: {${groupText('coordination.k8s.io')}, resources: [leases], verbs: [get]}`);
  const [own] = rbac.namespaced!;
  assert.equal(own?.namespace, namespace);
  const leases = own.rules.filter((r) => r.resources.includes('leases'));
  await account.allow({ cluster: [], namespaced: [{ namespace, rules: leases }] });
  for (const { apiGroups, resources } of rbac.cluster)
    for (const resource of resources)
      await gateway.says(`${who} in a ClusterRole: {${groupText(apiGroups[0]!)}, resources: [${resource}], verbs: [`);
  for (const resource of ['events', 'configmaps'])
    await gateway.says(`${who} ${inside}: {${groupText('')}, resources: [${resource}], verbs: [list]}`);

  await account.allow(rbac);
  await cluster.apply(deployment(namespace, 'web', 1, ticker()));
  // It begins with what happens when it has asked again, and it asks less and less often.
  const events = makeEvents(t, cluster, namespace, 'some');
  const has = (name: string) => sink.records.some((r) => r.attributes['k8s.resource.name'] === name);
  await until(() => has('events') && has('configmaps'), 'events and objects', LIMIT_MS);
  await events.stop();
  for (const metric of ['k8s.pod.phase', 'k8s.node.condition_ready', 'k8s.deployment.desired'])
    await until(() => sink.points.some((p) => p.name === metric), metric, LIMIT_MS);
  const { spec } = await cluster.get('lease', 'gateway', '-n', namespace);
  assert.ok(spec.holderIdentity);
  assert.ok(gateway.running);
});

test('of two gateways one collects, and the other takes over when it is killed', async (t) => {
  const namespace = await cluster.namespace(t, 'rights');
  const sinks = [await startOtlpSink(t), await startOtlpSink(t)];
  const configs = sinks.map((sink) => gatewayConfig(tempDir(t), namespace, sink.url));
  const account = await makeAccount(t, cluster, namespace, 'gateway', rbacOf(configs[0]!));
  const gateways = [];
  for (const config of configs) gateways.push(await runCollector(t, cluster, account, config));
  await until(() => sinks.some((s) => s.points.length > 0), 'metrics', LIMIT_MS);
  const leader = sinks[0]!.points.length > 0 ? 0 : 1;
  const [first, second] = [sinks[leader]!, sinks[1 - leader]!];
  const collections = () => new Set(first.points.map((p) => p.timeMs)).size;
  await until(() => collections() >= 8, 'collections of the leader', LIMIT_MS);
  assert.equal(second.points.length, 0);
  gateways[leader]!.signal('SIGKILL');
  await gateways[leader]!.exited;
  const last = first.points.at(-1)!.timeMs;
  await until(() => second.points.length > 0, 'the other to take over', LIMIT_MS);
  assert.ok(second.points[0]!.timeMs > last);
});
