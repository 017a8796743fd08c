import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { componentContext, until } from '../../../../test/helpers/component.ts';
import { isLeaderElector } from '../../../kubernetes/leader.ts';
import { startApiServer, testApi } from '../../../kubernetes/testing.ts';
import { LeaderElectorExtension } from './extension.ts';
import definition, { type LeaderElectorConfig } from './index.ts';

const parse = (config: object): LeaderElectorConfig => definition.schema.parse(config) as LeaderElectorConfig;
const LEASE = { lease_name: 'collector', lease_namespace: 'obs' };

async function rig(t: TestContext, replicas: number) {
  const running = await startApiServer();
  const { api } = testApi(running.url);
  const all = Array.from({ length: replicas }, () => {
    const { context } = componentContext('k8s_leader_elector', 'extension');
    const config = parse({ ...LEASE, lease_duration: '10m', renew_deadline: '1m', retry_period: '10ms' });
    const clock = { ...context.clock, nowMs: () => Date.now(), monotonicMs: () => performance.now() };
    const heard: string[] = [];
    const extension = new LeaderElectorExtension(config, { ...context, clock }, api);
    extension.onLeadership({ started: () => heard.push('started'), stopped: () => heard.push('stopped') });
    return { extension, heard, stop: () => extension.stop(AbortSignal.timeout(5000)) };
  });
  t.after(async () => {
    for (const r of all) await r.stop();
    api.client.close();
    await running.stop();
  });
  return all;
}

it('one replica leads; when it stops the other one does, without waiting for the lease to expire', async (t) => {
  const [a, b] = await rig(t, 2);
  await a!.extension.start();
  await until(() => a!.heard.length === 1);
  await b!.extension.start();
  const late: string[] = [];
  const leave = a!.extension.onLeadership({ started: () => late.push('started'), stopped: () => late.push('stopped') });
  assert.deepEqual(late, ['started'], 'who asks later is told at once');
  leave();
  await a!.stop();
  await until(() => b!.heard.length === 1);
  assert.deepEqual(a!.heard, ['started', 'stopped']);
  assert.deepEqual(late, ['started'], 'who left is not told');
  assert.ok(isLeaderElector(b!.extension));
});

it('the configuration is checked', () => {
  const rows: readonly [object, RegExp][] = [
    [{}, /lease_name is required/],
    [{ lease_name: 'x' }, /lease_namespace is required/],
    [{ ...LEASE, lease_duration: '10s' }, /lease_duration must be greater than renew_deadline/],
    [{ ...LEASE, retry_period: '9s' }, /renew_deadline must be greater than 1\.2 times retry_period/],
    [{ ...LEASE, retry_period: 0 }, /retry_period must be greater than zero/],
  ];
  for (const [config, message] of rows) assert.throws(() => parse(config), message);
  const { lease_duration, renew_deadline, retry_period } = parse(LEASE);
  assert.deepEqual([lease_duration, renew_deadline, retry_period], [15_000, 10_000, 2000]);
});
