/** Doctor and render agree: what render makes is what doctor takes for right. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collection, type Engine, objectsOf } from '../deploy/index.ts';
import { resourceName } from '../kubernetes/object.ts';
import type { Draft } from '../kubernetes/simulated/population.ts';
import { runChecks } from './run.ts';
import { agentPod, contextFor, nodeDraft, startCluster, told } from './testing.ts';
import { why } from './why/why.ts';

const presets = {
  agent: { presets: { logsCollection: {}, kubeletMetrics: {}, hostMetrics: {}, kubernetesAttributes: {} } },
  gateway: { presets: { clusterMetrics: {}, kubernetesEvents: {} } },
} as const;

for (const engine of ['sluice', 'otelcol-contrib'] as const satisfies readonly Engine[])
  test(`what render makes for ${engine} is fine in the eyes of doctor`, async (t) => {
    const cluster = await startCluster();
    t.after(() => cluster.stop());
    const { population: p } = cluster;
    for (const object of objectsOf(collection({ engine, ...presets }))) {
      const type = p.resources.find((r) => r.kind === object.kind);
      if (type) p.put(resourceName(type), object as unknown as Draft);
    }
    const gateway = p.get('deployments.apps', 'opentelemetry', 'otel-gateway')!;
    p.put('deployments.apps', { ...(gateway as unknown as Draft), status: { readyReplicas: 1 } });
    p.put(
      'nodes',
      nodeDraft('cp-1', { taints: [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] }),
    );
    const labels = (
      p.get('daemonsets.apps', 'opentelemetry', 'otel-agent') as unknown as {
        spec: { selector: { matchLabels: object } };
      }
    ).spec.selector.matchLabels;
    const pod = agentPod('cp-1');
    p.put('pods', { ...pod, metadata: { ...pod.metadata, labels } });
    const ctx = await contextFor(cluster.url);
    t.after(() => ctx.close());
    const byId = new Map((await runChecks(ctx)).map((r) => [r.id, told(r.findings)]));
    for (const id of [
      'configuration',
      'pod-security',
      'agents',
      'pods',
      'pod-logs',
      'rights',
      'victoria-logs',
      'duplicates',
    ])
      assert.deepEqual(
        (byId.get(id) ?? [`${id} says nothing`]).filter((f) => !f.startsWith('ok: ')),
        [],
        id,
      );
    assert.deepEqual(byId.get('agents'), ['ok: otel-agent runs on the node', 'ok: otel-gateway runs']);
    assert.equal(byId.get('rights')!.length, 2);
    // The destinations of the defaults are not in this cluster, and that is told.
    assert.match(
      byId.get('destinations')!.join('\n'),
      /there is no Service victoria-logs-victoria-logs-single-server in namespace victoria-logs/,
    );
    assert.match(
      byId.get('destinations')!.join('\n'),
      /there is no Service victoria-metrics-victoria-metrics-cluster-vminsert in namespace victoria-metrics/,
    );
  });

test('what render makes reads the pods of others and not its own', async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  const { population: p } = cluster;
  for (const object of objectsOf(collection(presets))) {
    const type = p.resources.find((r) => r.kind === object.kind);
    if (type) p.put(resourceName(type), object as unknown as Draft);
  }
  p.put('nodes', nodeDraft('worker-1'));
  const own = agentPod('worker-1');
  p.put('pods', own);
  p.put('pods', {
    ...own,
    metadata: { name: 'web', namespace: 'shop', uid: 'b1ffc2a1-0000-4000-8000-000000000001' },
    status: { ...(own['status'] as object), containerStatuses: [{ name: 'app', restartCount: 0, ready: true }] },
  });
  const ask = async (pod: string) => {
    const ctx = await contextFor(cluster.url);
    t.after(() => ctx.close());
    return why(ctx, { pod, namespace: 'default', container: '' });
  };
  const web = await ask('shop/web');
  const section = (r: typeof web, id: string) => told(r.results.find((x) => x.id === id)?.findings ?? []);
  assert.deepEqual(section(web, 'files'), [
    'ok: /var/log/pods/shop_web_b1ffc2a1-0000-4000-8000-000000000001/app/0.log is read',
  ]);
  assert.match(section(web, 'enrichment')[0]!, /^ok: k8s_?attributes attaches .*k8s\.node\.name=worker-1/);
  assert.match(section(web, 'destination').join(), /^ok: logs.* → otlp_?http/);
  assert.match(
    section(await ask(`opentelemetry/${own.metadata.name}`), 'files')[0]!,
    /^warning: \/var\/log\/pods\/opentelemetry_otel-agent.* is left out by a rule$/,
  );
});
