/** Every variant of the manifests before a real API server: it accepts all of it, and Pod Security accepts the pods. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
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

for (const variant of VARIANTS)
  test(`the API server accepts ${variant.name}`, async (t) => {
    const own = await cluster.namespace(t, 'render');
    const gateway = await cluster.namespace(t, 'render-gateway');
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
      const level = known.find((o) => o.kind === 'Namespace' && o.metadata.name === workload.metadata.namespace)!
        .metadata.labels!['pod-security.kubernetes.io/enforce'];
      if (level === 'restricted') continue;
      // Nothing beyond what it needs: where pods may do more than `baseline`, this one has to.
      const strict = await cluster.namespace(t, 'render-baseline', {
        'pod-security.kubernetes.io/enforce': 'baseline',
      });
      const account = {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: workload.metadata.name, namespace: strict },
      };
      await cluster.apply(account);
      const moved = { ...pod, metadata: { ...(pod as Any).metadata, namespace: strict } };
      if (workload.kind === 'Deployment') await dryRun(JSON.stringify(moved));
      else await assert.rejects(dryRun(JSON.stringify(moved)), /violates PodSecurity "baseline:latest"/);
    }
  });
