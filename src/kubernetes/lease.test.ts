import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { settled, until } from '../../test/helpers/component.ts';
import { SILENT } from '../core/log.ts';
import { Handover } from './handover.ts';
import { whileLeading } from './leader.ts';
import { LeaseElection, type LeaseOptions } from './lease.ts';
import type { SimulatedApiServerOptions } from './simulated/api-server.ts';
import { startApiServer, testApi } from './testing.ts';

const LEASE = ['leases.coordination.k8s.io', 'obs', 'collector'] as const;

async function rig(t: TestContext, options: SimulatedApiServerOptions = {}) {
  const running = await startApiServer(options);
  const { api } = testApi(running.url);
  const stops: (() => Promise<void>)[] = [];
  t.after(async () => {
    running.server.options = {};
    for (const stop of stops) await stop();
    api.client.close();
    await running.stop();
  });
  const spec = () => running.population.get(...LEASE)?.['spec'] as Record<string, unknown> | undefined;
  const candidate = (identity: string, own: Partial<LeaseOptions> = {}) => {
    const stopping = new AbortController();
    const heard: string[] = [];
    const state = { isLeader: false };
    const election = new LeaseElection({
      client: api.client,
      namespace: 'obs',
      name: 'collector',
      identity,
      leaseDurationMs: 2000,
      renewDeadlineMs: 1000,
      retryPeriodMs: 10,
      log: SILENT,
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      ...own,
    });
    const listener = {
      started: () => {
        heard.push('started');
        state.isLeader = true;
      },
      stopped: () => {
        heard.push('stopped');
        state.isLeader = false;
      },
    };
    const done = election.run(listener, stopping.signal);
    const stop = async () => {
      stopping.abort();
      await done;
    };
    stops.push(stop);
    return { heard, state, stop };
  };
  return { ...running, spec, candidate };
}

describe('an election', () => {
  it('has one leader, and the next one when that gives up', async (t) => {
    const { candidate, spec } = await rig(t);
    const a = candidate('a');
    await until(() => a.state.isLeader);
    const b = candidate('b');
    const renewed = spec()?.['renewTime'];
    await until(() => spec()?.['renewTime'] !== renewed);
    assert.deepEqual(b.heard, []);
    assert.equal(spec()?.['holderIdentity'], 'a');
    assert.equal(spec()?.['leaseDurationSeconds'], 2);
    await a.stop();
    assert.deepEqual(a.heard, ['started', 'stopped']);
    await until(() => b.state.isLeader);
    assert.equal(spec()?.['holderIdentity'], 'b');
    assert.equal(spec()?.['leaseTransitions'], 1);
  });

  it('never has two leaders, however many begin at once', async (t) => {
    const { candidate } = await rig(t);
    const all = ['a', 'b', 'c', 'd', 'e'].map((n) => candidate(n));
    const leaders = () => all.filter((c) => c.state.isLeader);
    for (let round = 0; round < 3; round++) {
      await until(() => leaders().length > 0);
      assert.equal(leaders().length, 1);
      await leaders()[0]!.stop();
    }
  });

  it('takes over from a leader that died, by the own clock and whatever the other one wrote', async (t) => {
    const { candidate, population, spec } = await rig(t);
    const dead = {
      holderIdentity: 'dead',
      leaseDurationSeconds: 1,
      renewTime: '2099-01-01T00:00:00.000000Z',
      leaseTransitions: 4,
    };
    population.put(LEASE[0], { metadata: { name: 'collector', namespace: 'obs' }, spec: dead });
    const begun = performance.now();
    // A wall clock that is years behind.
    const a = candidate('a', { leaseDurationMs: 300, renewDeadlineMs: 200, nowMs: () => 0 });
    await until(() => a.state.isLeader);
    assert.ok(performance.now() - begun >= 1000, 'not before the duration that the other one asked for');
    assert.equal(spec()?.['leaseTransitions'], 5);
  });

  it('is lost by a leader that cannot renew, which stops before others may begin', async (t) => {
    const { candidate, server } = await rig(t);
    const a = candidate('a', { leaseDurationMs: 60_000, renewDeadlineMs: 200 });
    await until(() => a.state.isLeader);
    server.options = { fault: () => ({ status: 500 }) };
    const begun = performance.now();
    await until(() => !a.state.isLeader);
    assert.ok(performance.now() - begun < 60_000, 'within the duration of the lease');
    server.options = {};
    await until(() => a.state.isLeader);
    assert.deepEqual(a.heard, ['started', 'stopped', 'started']);
  });

  it('is lost at once when somebody else holds the lease', async (t) => {
    const { candidate, population } = await rig(t);
    const a = candidate('a', { renewDeadlineMs: 60_000, leaseDurationMs: 120_000 });
    await until(() => a.state.isLeader);
    population.put(LEASE[0], {
      metadata: { name: 'collector', namespace: 'obs' },
      spec: { holderIdentity: 'thief', leaseDurationSeconds: 60 },
    });
    await until(() => !a.state.isLeader);
  });
});

describe('what a leader leaves to the next', () => {
  const positions = (r: Awaited<ReturnType<typeof rig>>): unknown =>
    JSON.parse(r.population.get(...LEASE)?.metadata.annotations?.['sluice/positions'] ?? 'null');

  it('travels with the lease: with every renewal, and with the end of the leadership', async (t) => {
    const r = await rig(t);
    const [first, second] = [new Handover(), new Handover()];
    first.set('events', '41');
    const a = r.candidate('a', { handover: first });
    await until(() => a.state.isLeader);
    assert.deepEqual(positions(r), { events: '41' });
    first.set('events', '42');
    await until(() => (positions(r) as { events: string }).events === '42');
    const b = r.candidate('b', { handover: second });
    second.set('events', '40');
    second.set('pods', '99');
    first.set('events', '43');
    await a.stop();
    await until(() => b.state.isLeader);
    assert.deepEqual([second.get('events'), second.get('pods')], ['43', '99'], 'what is further counts');
    second.set('events', '7');
    await until(() => (positions(r) as { events: string }).events === '7');
  });

  it('leaves other annotations alone, and is absent where nothing is left', async (t) => {
    const r = await rig(t);
    const lease = (annotations: Record<string, string>) =>
      r.population.put(LEASE[0], { metadata: { name: LEASE[2], namespace: LEASE[1], annotations }, spec: {} });
    lease({ own: 'x', 'sluice/positions': '{"events": 7, "pods": "x", "nodes": "8", "__proto__": "9"' });
    const handover = new Handover();
    const a = r.candidate('a', { handover });
    await until(() => a.state.isLeader);
    assert.deepEqual([handover.get('events'), handover.get('nodes')], [undefined, undefined]);
    handover.set('events', '5');
    await until(() => r.population.get(...LEASE)!.metadata.annotations!['sluice/positions'] === '{"events":"5"}');
    assert.equal(r.population.get(...LEASE)!.metadata.annotations!['own'], 'x');
    await a.stop();
    lease({ 'sluice/positions': '{"events": 7, "pods": "x", "nodes": "8"}' });
    const next = new Handover();
    const b = r.candidate('b', { handover: next });
    await until(() => b.state.isLeader);
    assert.deepEqual([next.get('events'), next.get('pods'), next.get('nodes')], [undefined, undefined, '8']);
  });
});

describe('a job of the leader', () => {
  const elector = () => {
    let listener: { started(): void; stopped(): void } | undefined;
    const extension = {
      onLeadership: (l: typeof listener) => {
        listener = l;
        return () => {
          listener = undefined;
        };
      },
    };
    return {
      host: { extension: () => extension },
      started: () => listener?.started(),
      stopped: () => listener?.stopped(),
      isAsked: () => listener !== undefined,
    };
  };
  const recorded = () => {
    const heard: string[] = [];
    let n = 0;
    const job = async (signal: AbortSignal) => {
      const own = ++n;
      heard.push(`begin ${own}`);
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => setImmediate(resolve)));
      heard.push(`end ${own}`);
    };
    return { heard, job };
  };

  it('runs while it leads, and never twice at a time', async () => {
    const e = elector();
    const { heard, job } = recorded();
    const end = whileLeading(e.host, 'k8s_leader_elector', job);
    await settled();
    assert.equal(heard.length, 0);
    e.started();
    await settled();
    e.stopped();
    e.started();
    await until(() => heard.includes('begin 2'));
    assert.deepEqual(heard, ['begin 1', 'end 1', 'begin 2']);
    await end();
    assert.deepEqual(heard.slice(3), ['end 2']);
    assert.equal(e.isAsked(), false);
  });

  it('runs all the time without an elector; a wrong one is an error', async () => {
    const { heard, job } = recorded();
    const end = whileLeading({ extension: () => undefined }, undefined, job);
    await settled();
    assert.deepEqual(heard, ['begin 1']);
    await end();
    assert.throws(() => whileLeading({ extension: () => undefined }, 'x', job), /it is not in service\.extensions/);
    assert.throws(() => whileLeading({ extension: () => ({}) }, 'x', job), /is not a k8s leader elector/);
  });
});
