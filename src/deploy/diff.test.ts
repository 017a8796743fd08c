import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { collection } from './collection.ts';
import { describeDiff, diffObjects } from './diff.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import { objectsOf } from './objects.ts';
import type { Spec } from './spec.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests change single parts of objects.
type Any = any;

const render = (spec: Spec = {}): KubernetesObject[] => JSON.parse(JSON.stringify(objectsOf(collection(spec))));
const lines = (before: Spec, after: Spec): string[] =>
  describeDiff(diffObjects(render(before), render(after)))
    .split('\n')
    .map((l) => l.trim())
    .filter((l) => l !== '');

/** What changes when a part of the agent is written by hand. */
function changed(edit: (pod: Any, workload: Any) => void, options?: { isLive: boolean }) {
  const before = render();
  const after = render();
  const daemonSet = (options?.isLive ? before : after).find((o) => o.kind === 'DaemonSet') as Any;
  edit(daemonSet.spec.template.spec, daemonSet);
  return diffObjects(before, after, options).flatMap((d) => d.changes);
}

describe('a diff', () => {
  it('is empty when nothing changes', () => {
    assert.deepEqual(diffObjects(render(), render()), []);
    assert.equal(describeDiff([]), '');
  });

  it('tells rights, settings of the collector and objects, with security first', () => {
    const before: Spec = {};
    const after: Spec = {
      agent: {
        presets: {
          kubeletMetrics: { tls: 'skip', extraMetadata: ['container.id'] },
          logsCollection: { pollInterval: '1s' },
        },
        networkPolicy: true,
      },
      gateway: false,
    };
    const told = lines(before, after);
    const besides = told.indexOf('Besides:');
    assert.equal(told[0], 'Concerns security:');
    const security = told.slice(0, besides);
    assert.ok(security.includes('+ get nodes/pods'), security.join('\n'));
    assert.ok(security.includes('- list events.events.k8s.io'));
    assert.ok(security.includes('data.relay.receivers.kubelet_stats.insecure_skip_verify: + true'));
    assert.ok(security.some((l) => l.startsWith('+ NetworkPolicy')));
    const rest = told.slice(besides);
    assert.ok(rest.includes('data.relay.receivers.file_log.poll_interval: + "1s"'));
    assert.ok(rest.includes('- Deployment opentelemetry/otel-gateway (gone)'));
    assert.ok(!told.some((l) => l.includes('checksum')), 'the ConfigMap says it already');
  });

  for (const [what, security, edit] of [
    ['the image', 'image', (p) => (p.containers[0].image = 'evil:1')],
    ['a capability', 'process', (p) => p.containers[0].securityContext.capabilities.add.push('SYS_ADMIN')],
    ['privileged', 'process', (p) => (p.containers[0].securityContext.privileged = true)],
    ['the user', 'process', (p) => (p.securityContext.runAsUser = 5)],
    ['the network of the host', 'process', (p) => (p.hostNetwork = true)],
    ['a port of the node', 'process', (p) => (p.containers[0].ports[0].hostPort = 13133)],
    ['a directory of the node', 'directories', (p) => (p.volumes[2].hostPath.path = '/etc')],
    ['a mount that can be written', 'directories', (p) => (p.containers[0].volumeMounts[1].readOnly = false)],
    ['a further volume', 'process', (p) => p.volumes.push({ name: 'all', hostPath: { path: '/root' } })],
    ['a further container', 'process', (p) => p.containers.push({ name: 'x', image: 'y' })],
    ['the service account', 'rights', (p) => (p.serviceAccountName = 'admin')],
    ['a Secret', 'process', (p) => p.volumes.push({ name: 's', secret: { secretName: 'tls' } })],
  ] as readonly [string, string, (pod: Any) => void][])
    it(`${what} concerns security`, () => {
      const changes = changed(edit);
      assert.equal(changes.length, 1, JSON.stringify(changes));
      assert.equal(changes[0]!.security, security);
    });

  it('resources, probes and annotations do not', () => {
    const changes = changed((pod, workload) => {
      pod.containers[0].resources.limits.memory = '1Gi';
      pod.containers[0].livenessProbe.periodSeconds = 3;
      workload.spec.template.metadata.annotations.note = 'x';
    });
    assert.deepEqual(
      changes.map((c) => c.security),
      [undefined, undefined, undefined],
    );
  });

  it('of a new workload it says what its pods may do', () => {
    const [diff] = diffObjects(
      [],
      render({
        image: { tag: '1' },
        destinations: { metrics: { authentication: { basic: { secret: 'vm' } } } },
      }).filter((o) => o.kind === 'DaemonSet'),
    );
    assert.deepEqual(
      diff!.changes.map((c) => c.text),
      [
        '+ image localhost/sluice:1',
        '+ runs as root',
        '+ capability DAC_READ_SEARCH',
        '+ Secret vm',
        '+ reads / of the node',
        '+ reads /var/log/pods of the node',
        '+ writes /var/lib/otelcol of the node',
      ],
    );
    const gateway = render({ image: { tag: '1' } }).filter((o) => o.kind === 'Deployment');
    assert.deepEqual(
      diffObjects([], gateway)[0]!.changes.map((c) => c.text),
      ['+ image localhost/sluice:1'],
    );
  });

  it('Pod Security of a namespace concerns security', () => {
    const told = lines({ gateway: { namespace: 'events' } }, { gateway: false });
    assert.ok(told.includes('- Namespace events (gone)'));
    const before = render();
    const after = render();
    (after[0] as Any).metadata.labels['pod-security.kubernetes.io/enforce'] = 'baseline';
    const [diff] = diffObjects(before, after);
    assert.equal(diff!.changes[0]!.security, 'Pod Security');
  });
});

describe('a diff against a cluster', () => {
  const live = (edit: (pod: Any, workload: Any) => void) => changed(edit, { isLive: true });

  it('what a server adds is no change', () => {
    const changes = live((pod, workload) => {
      workload.metadata.uid = 'x';
      workload.metadata.annotations = { 'deprecated.daemonset.template.generation': '1' };
      workload.status = { numberReady: 1 };
      workload.spec.revisionHistoryLimit = 10;
      pod.restartPolicy = 'Always';
      pod.dnsPolicy = 'ClusterFirst';
      pod.containers[0].terminationMessagePath = '/dev/termination-log';
      pod.containers[0].livenessProbe.successThreshold = 1;
      pod.containers[0].env[0].valueFrom.fieldRef.apiVersion = 'v1';
      pod.volumes[0].configMap.defaultMode = 420;
      pod.volumes[1].hostPath.type = '';
      pod.containers[0].resources.requests.cpu = '0.05';
      pod.volumes.push({ name: 'kube-api-access-x1', projected: {} });
    });
    assert.deepEqual(changes, []);
  });

  it('what somebody has set by hand is one, where it gives rights', () => {
    const changes = live((pod) => {
      pod.hostPID = true;
      pod.containers[0].securityContext.procMount = 'Unmasked';
      pod.initContainers = [{ name: 'x' }];
      pod.volumes.push({ name: 'all', hostPath: { path: '/' } });
    });
    assert.deepEqual(changes.map((c) => c.path).sort(), [
      'spec.template.spec.containers[otel-agent].securityContext.procMount',
      'spec.template.spec.hostPID',
      'spec.template.spec.initContainers',
      'spec.template.spec.volumes[all]',
    ]);
  });

  it('rights beyond the rules are told', () => {
    const before = render();
    const role = before.find((o) => o.kind === 'ClusterRole') as Any;
    role.rules.push({ apiGroups: [''], resources: ['secrets'], verbs: ['get'] });
    assert.match(describeDiff(diffObjects(before, render(), { isLive: true })), /- get secrets/);
  });
});
