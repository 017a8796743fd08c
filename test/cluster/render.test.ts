/** Every variant of the manifests before a real API server: it accepts all of it, and Pod Security accepts the pods. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { liveObjects } from '../../src/cli/live-objects.ts';
import { diffObjects } from '../../src/deploy/diff.ts';
import { toYaml } from '../../src/deploy/render.ts';
import { objectsOfVariant, VARIANTS } from '../../src/deploy/testing.ts';
import { type Any, openCluster } from './cluster.ts';

const cluster = openCluster();

/** Kinds that a plain Kubernetes does not have. */
const FOREIGN = /^(security\.openshift\.io|monitoring\.coreos\.com)\//;
/** Some variants are for kubelets that are not this one, which makes no difference to the API server. */
const dryRun = (manifest: string): Promise<string> =>
  cluster.kubectl(['apply', '--dry-run=server', '-f', '-'], manifest);

/** The pod of a workload by itself, as its controller would make it. */
function podOf(workload: Any): object {
  const { metadata, spec } = workload.spec.template;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name: workload.metadata.name, namespace: workload.metadata.namespace },
    // The class is for system namespaces on some clusters, and which node it is on is not looked at here.
    spec,
  };
}

/** Where pods may do no more than `baseline`, with the accounts of both tiers. */
async function strictNamespace(t: TestContext): Promise<string> {
  const strict = await cluster.namespace(t, 'render-baseline', { 'pod-security.kubernetes.io/enforce': 'baseline' });
  const account = (name: string) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace: strict },
  });
  await cluster.apply(account('otel-agent'), account('otel-gateway'));
  return strict;
}

test('the API server accepts each variant', async (parent) => {
  const strict = await strictNamespace(parent);
  for (const variant of VARIANTS) await parent.test(variant.name, (t) => isAccepted(t, variant, strict));
});

async function isAccepted(t: TestContext, variant: (typeof VARIANTS)[number], strict: string): Promise<void> {
  const [own, gateway] = await Promise.all([cluster.namespace(t, 'render'), cluster.namespace(t, 'render-gateway')]);
  const objects = objectsOfVariant(variant, own, gateway);
  const known = objects.filter((o) => !FOREIGN.test(o.apiVersion));
  const text = await dryRun(toYaml(known));
  assert.equal(text.trim().split('\n').length, known.length, text);

  // The labels of Pod Security and the accounts have to be there in earnest before a pod can be tried.
  await cluster.apply(...known.filter((o) => o.kind === 'Namespace' || o.kind === 'ServiceAccount'));
  const workloads = known.filter((o) => o.kind === 'DaemonSet' || o.kind === 'Deployment');
  assert.ok(workloads.length > 0);
  for (const workload of workloads) {
    const pod = podOf(workload);
    await dryRun(JSON.stringify(pod));
    const level = known.find((o) => o.kind === 'Namespace' && o.metadata.name === workload.metadata.namespace)!.metadata
      .labels!['pod-security.kubernetes.io/enforce'];
    if (level === 'restricted') continue;
    // Nothing beyond what it needs: where pods may do more than `baseline`, this one has to.
    const moved = { ...pod, metadata: { ...(pod as Any).metadata, namespace: strict } };
    if (workload.kind === 'Deployment') await dryRun(JSON.stringify(moved));
    else await assert.rejects(dryRun(JSON.stringify(moved)), /violates PodSecurity "baseline:latest"/);
  }
}

test('what was applied differs in nothing, and what was changed by hand does', async (t) => {
  const own = await cluster.namespace(t, 'render-diff');
  const variant = VARIANTS.find((v) => v.name === 'generic-sluice-minimal')!;
  // Cluster-wide objects may belong to somebody else, and no pod is to run.
  const objects = objectsOfVariant(variant, own).filter((o) => o.metadata.namespace === own || o.kind === 'Namespace');
  for (const o of objects)
    if (o.kind === 'DaemonSet' || o.kind === 'Deployment')
      (o as Any).spec.template.spec.nodeSelector = { 'kubernetes.io/os': 'none' };
  await cluster.apply(...objects);
  process.env['KUBECONFIG'] = cluster.kubeconfig;
  const diff = async () => diffObjects(await liveObjects(objects, ''), objects, { isLive: true });
  assert.deepEqual(await diff(), []);
  await cluster.kubectl(['-n', own, 'set', 'image', 'daemonset/otel-agent', 'otel-agent=example.test/other:1']);
  await cluster.kubectl([
    '-n',
    own,
    'patch',
    'deployment',
    'otel-gateway',
    '-p',
    '{"spec":{"template":{"spec":{"hostPID":true}}}}',
  ]);
  await cluster.kubectl(['-n', own, 'delete', 'service', 'otel-agent']);
  assert.deepEqual(
    (await diff()).flatMap((d) =>
      d.is === 'new' ? [`${d.object} is new`] : d.changes.map((c) => `${d.object} ${c.path} ${c.security}`),
    ),
    [
      `Service ${own}/otel-agent is new`,
      `DaemonSet ${own}/otel-agent spec.template.spec.containers[otel-agent].image image`,
      `Deployment ${own}/otel-gateway spec.template.spec.hostPID process`,
    ],
  );
});
