import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { collector, ManualClock, recordingLog } from '../../../../test/helpers/component.ts';
import type { Consumer } from '../../../core/batch.ts';
import { StringPool } from '../../../kubernetes/object.ts';
import { NAMESPACES, nodes } from './cluster-kinds.ts';
import { EntityEvents } from './entity-events.ts';
import { type ClusterObject, type ObjectKind, Pools } from './object-kind.ts';
import { PODS } from './pods.ts';
import { SERVICES } from './services.ts';
import { configOf, eventsOf, object } from './testing.ts';
import { WORKLOAD_KINDS } from './workloads.ts';

function rig(output: Consumer, podAttributes: () => readonly string[] = () => []) {
  const counts = { accepted: 0, refused: 0 };
  const events = new EntityEvents({
    output,
    log: recordingLog([]),
    clock: new ManualClock(),
    counters: { accepted: (n) => (counts.accepted += n), refused: (n) => (counts.refused += n) },
    intervalMs: 300_000,
    podAttributes,
  });
  return { events, counts };
}

const kept = (kind: ObjectKind, o: ReturnType<typeof object>): ClusterObject => ({
  uid: o.metadata.uid,
  version: 1,
  measured: [],
  facts: kind.facts!(o, new Pools(new StringPool()), { entities: true }),
});
const workload = (resource: string): ObjectKind => WORKLOAD_KINDS.find((k) => k.type.resource === resource)!;
const podWith = (...ids: string[]) =>
  object('p', {
    spec: { nodeName: 'n1' },
    status: {
      phase: 'Running',
      containerStatuses: ids.map((id) => ({
        name: id,
        image: 'img:1',
        containerID: `containerd://${id}`,
        state: { running: { startedAt: '2026-11-22T12:00:01Z' } },
      })),
    },
  });

describe('entities', () => {
  const created = '2026-11-22T12:00:00Z';
  const workloadOf = (kind: string, name: string) => ({
    'k8s.workload.kind': kind,
    'k8s.workload.name': name,
    'k8s.namespace.name': 'shop',
    [`${kind.toLowerCase()}.creation_timestamp`]: created,
  });
  const ownerReferences = [{ kind: 'Deployment', name: 'web', uid: 'u1' }];
  const cases: [what: string, ObjectKind, ReturnType<typeof object>, type: string, attributes: object][] = [
    [
      'a deployment has its labels and its own name',
      workload('deployments'),
      object('web', {}, { labels: { app: 'web' } }),
      'k8s.deployment',
      { app: 'web', 'k8s.deployment.name': 'web', ...workloadOf('Deployment', 'web') },
    ],
    [
      'a replica set names its owner',
      workload('replicasets'),
      object('web-1', {}, { ownerReferences }),
      'k8s.replicaset',
      { 'k8s.deployment.name': 'web', 'k8s.deployment.uid': 'u1', ...workloadOf('ReplicaSet', 'web-1') },
    ],
    [
      'a cron job has its schedule',
      workload('cronjobs'),
      object('c', { spec: { schedule: '@hourly', concurrencyPolicy: 'Forbid' } }),
      'k8s.cronjob',
      { schedule: '@hourly', concurrency_policy: 'Forbid', ...workloadOf('CronJob', 'c') },
    ],
    [
      'revisions of a stateful set are empty, as upstream has them',
      workload('statefulsets'),
      object('db', { status: { currentRevision: 'db-1' } }),
      'k8s.statefulset',
      { current_revision: '', update_revision: '', ...workloadOf('StatefulSet', 'db') },
    ],
    [
      'a node has its conditions',
      nodes(configOf()),
      object('n1', { status: { conditions: [{ type: 'MemoryPressure', status: 'False' }] } }),
      'k8s.node',
      {
        'k8s.node.name': 'n1',
        'node.creation_timestamp': created,
        'k8s.node.condition_memory_pressure': 'false',
      },
    ],
    [
      'a namespace has its phase',
      NAMESPACES,
      object('shop', { status: { phase: 'Terminating' } }, { labels: { a: 'b' } }),
      'k8s.namespace',
      {
        'k8s.namespace.name': 'shop',
        'k8s.namespace.phase': 'terminating',
        'k8s.namespace.creation_timestamp': created,
      },
    ],
    [
      'a service has labels, selector and annotations under prefixes, without the last applied configuration',
      SERVICES,
      object(
        'web',
        { spec: { selector: { app: 'web' } } },
        { labels: { l: '1' }, annotations: { a: '2', 'kubectl.kubernetes.io/last-applied-configuration': '{}' } },
      ),
      'k8s.service',
      {
        'k8s.service.name': 'web',
        'k8s.namespace.name': 'shop',
        'k8s.service.creation_timestamp': created,
        'k8s.service.label.l': '1',
        'k8s.service.selector.app': 'web',
        'k8s.service.annotation.a': '2',
      },
    ],
  ];
  for (const [what, kind, o, type, attributes] of cases)
    it(what, async () => {
      const sink = collector();
      const { events } = rig(sink.consumer);
      events.put(kept(kind, o));
      await events.settled();
      const [told, ...more] = eventsOf(sink.batches);
      assert.equal(more.length, 0);
      assert.deepEqual(told, {
        event: 'entity_state',
        type,
        id: { [`${type}.uid`]: o.metadata.uid },
        interval: told!.interval,
        attributes,
        time: BigInt(Date.UTC(2026, 10, 22, 12)) * 1_000_000n,
      });
      assert.equal(Number(told!.interval), 300_000);
    });

  it('a pod and its containers are told together; what other objects know of it is added', async () => {
    const sink = collector();
    const { events, counts } = rig(sink.consumer, () => ['k8s.service.web', '']);
    events.put(kept(PODS, podWith('c1')));
    await events.settled();
    const [pod, container] = eventsOf(sink.batches);
    assert.deepEqual(pod!.attributes, {
      'k8s.namespace.name': 'shop',
      'k8s.node.name': 'n1',
      'k8s.pod.name': 'p',
      'k8s.pod.phase': 'Running',
      'pod.creation_timestamp': created,
      'k8s.service.web': '',
    });
    assert.deepEqual(container!.id, { 'container.id': 'c1' });
    assert.deepEqual(container!.attributes, {
      'k8s.pod.uid': 'uid-of-p',
      'k8s.pod.name': 'p',
      'k8s.node.name': 'n1',
      'k8s.namespace.name': 'shop',
      'k8s.container.name': 'c1',
      'container.image.name': 'img',
      'container.image.tag': '1',
      'container.status': 'running',
      'container.creation_timestamp': '2026-11-22T12:00:01Z',
    });
    assert.deepEqual(counts, { accepted: 2, refused: 0 });
  });

  it('a container that was replaced is deleted; a deleted pod takes its containers along', async () => {
    const sink = collector();
    const { events } = rig(sink.consumer);
    const [before, after] = [kept(PODS, podWith('old')), kept(PODS, podWith('new'))];
    events.put(after, before);
    await events.settled();
    events.remove(after);
    await events.settled();
    const told = eventsOf(sink.batches).map((e) => `${e.event} ${e.type} ${Object.values(e.id)[0]}`);
    assert.deepEqual(told, [
      'entity_delete container old',
      'entity_state k8s.pod uid-of-p',
      'entity_state container new',
      'entity_delete k8s.pod uid-of-p',
      'entity_delete container new',
    ]);
  });

  it('while the pipeline is slow only the newest state of an object waits, and no end is forgotten', async () => {
    const gate = Promise.withResolvers<void>();
    const sink = collector((_, call) => (call === 0 ? gate.promise : undefined));
    const { events } = rig(sink.consumer);
    const states = ['a', 'b', 'c', 'd'].map((id) => kept(PODS, podWith(id)));
    events.put(states[0]!);
    await new Promise((resolve) => setImmediate(resolve));
    for (let i = 1; i < states.length; i++) events.put(states[i]!, states[i - 1]);
    gate.resolve();
    await events.settled();
    const told = eventsOf(sink.batches.slice(1)).map((e) => `${e.event} ${Object.values(e.id)[0]}`);
    assert.deepEqual(told, ['entity_delete a', 'entity_state uid-of-p', 'entity_state d']);
  });

  it('what the pipeline refuses is counted, and the next is told all the same', async () => {
    const sink = collector((_, call) => {
      if (call === 0) throw new Error('full');
    });
    const { events, counts } = rig(sink.consumer);
    events.put(kept(PODS, podWith('a')));
    await events.settled();
    events.put(kept(PODS, podWith('a')));
    await events.settled();
    assert.deepEqual(counts, { accepted: 2, refused: 2 });
  });
});
