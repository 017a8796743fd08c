/** Pods that records name without their uid, as alerts of Falco do, also when the pod becomes known only later. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../../../test/helpers/agent.ts';
import { FakeApi, pod, running, uidOf } from './testing.ts';

const attribute = (name: string) => ({ from: 'resource_attribute', name });
const CONFIG = {
  extract: { metadata: ['k8s.pod.uid'] },
  pod_association: [{ sources: [attribute('k8s.pod.name'), attribute('k8s.namespace.name')] }],
};
const named = (n: number) => ({ 'k8s.namespace.name': 'shop', 'k8s.pod.name': `web-6c85f59dbf-${n}` });

test('records of a pod that is not known yet wait for it, and others pass', async () => {
  const api = new FakeApi();
  api.put('pods', pod(2));
  const r = await running({ ...CONFIG, wait_for_pod: { timeout: '1h' } }, api.api);
  await r.consume(named(1), named(2));
  assert.deepEqual(
    r.next.batches.map((b) => b.groups[0]!.resource.attributes.get('k8s.pod.name')),
    ['web-6c85f59dbf-2'],
  );
  api.put('pods', pod(1));
  await until(() => r.next.batches.length === 2, 'the late one');
  assert.equal(r.next.batches[1]!.groups[0]!.resource.attributes.get('k8s.pod.uid'), uidOf(1));
  await r.stop();
});

test('a pod that does not come is waited for once', async () => {
  const r = await running({ ...CONFIG, wait_for_pod: { timeout: '10ms' } }, new FakeApi().api);
  await r.consume(named(7));
  await until(() => r.next.batches.length === 1, 'the end of the time');
  await until(() => r.value('sluice_processor_k8s_attributes_waiting_bytes') === 0, 'the release');
  await r.consume(named(7));
  assert.equal(r.next.batches.length, 2);
  await r.stop();
});
