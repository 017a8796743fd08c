import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../../../../test/helpers/component.ts';
import { permanent, retryable } from '../../../core/errors.ts';
import { Handover } from '../../../kubernetes/handover.ts';
import type { KubernetesObject } from '../../../kubernetes/object.ts';
import type { Draft } from '../../../kubernetes/simulated/population.ts';
import { MemoryStorage, pod, startApiServer } from '../../../kubernetes/testing.ts';
import type { Value } from '../../../wire/otlp.ts';
import { parse, plain, rig } from './testing.ts';

const CASES = join(import.meta.dirname, '../../../../test/conformance/cases');
const SCOPE = 'github.com/open-telemetry/opentelemetry-collector-contrib/receiver/k8sobjectsreceiver';
const LEASE: KubernetesObject = { metadata: { name: 'a', namespace: 'b', uid: '', resourceVersion: '' } };
const watchPods = { objects: [{ name: 'pods', mode: 'watch' }] };

const recorded = (name: string, file: string) => readFileSync(join(CASES, name, 'input', file), 'utf8');

describe('records of k8s_objects', () => {
  it('of a watch are the recorded events as they came', async (t) => {
    for (const [name, group] of [
      ['k8s-objects-events-watch', 'events.k8s.io'],
      ['k8s-objects-core-events-watch', ''],
    ] as const) {
      const r = await rig(t, { objects: [{ name: 'events', group, mode: 'watch' }] });
      await r.receiver.start();
      await until(() => r.server.openWatches === 1);
      const text = recorded(name, 'events.watch.jsonl');
      r.server.writeToWatches(text);
      const lines = text
        .trim()
        .split('\n')
        .map((l) => JSON.parse(l) as { type: string; object: KubernetesObject });
      await until(() => r.got.length === lines.length);
      for (const [i, line] of lines.entries()) {
        const { record, resource, scope } = r.got[i]!;
        assert.deepEqual(plain(record.body), line);
        assert.deepEqual(plain(record.attributes), {
          'k8s.resource.name': 'events',
          'event.domain': 'k8s',
          'event.name': line.object.metadata.name,
        });
        assert.deepEqual(plain(resource), { 'k8s.namespace.name': line.object.metadata.namespace });
        assert.equal(scope, SCOPE);
        assert.equal(record.time, 0n);
        assert.ok(record.observedTime > 0n);
        assert.deepEqual([record.severityNumber, record.severityText], [0, '']);
      }
    }
  });

  it('of a pull are the objects with their type, one resource per namespace', async (t) => {
    const { items } = JSON.parse(recorded('k8s-objects-pods-pull-watch', 'pods.list.page1.json')) as { items: Draft[] };
    const r = await rig(t, { objects: [{ name: 'pods' }] });
    for (const {
      metadata: { resourceVersion: _, ...metadata },
      ...o
    } of items)
      r.population.put('pods', { ...o, metadata } as Draft);
    await r.receiver.start();
    await until(() => r.got.length === items.length);
    const objects = r.population.list('pods');
    for (const [i, { record, resource }] of r.got.entries()) {
      assert.deepEqual(plain(record.body), objects[i]);
      assert.deepEqual(plain(record.attributes), { 'k8s.resource.name': 'pods' });
      assert.deepEqual(plain(resource), { 'k8s.namespace.name': objects[i]!.metadata.namespace });
    }
  });

  it('keep integers, fractions and null apart', async (t) => {
    const r = await rig(t, { objects: [{ name: 'nodes', mode: 'watch' }] });
    await r.receiver.start();
    await until(() => r.server.openWatches === 1);
    r.server.writeToWatches(
      '{"type":"MODIFIED","object":{"kind":"Node","metadata":{"name":"n","uid":"u","resourceVersion":"2000"},"a":9007199254740993,"b":1.5,"c":null}}\n',
    );
    await until(() => r.got.length === 1);
    const object = (r.got[0]!.record.body as Map<string, Value>).get('object') as Map<string, Value>;
    assert.equal(object.get('a'), 9007199254740993n);
    assert.equal(object.get('b'), 1.5);
    assert.equal(object.get('c'), null);
    assert.deepEqual(r.got[0]!.resource, new Map(), 'a node has no namespace');
  });
});

describe('pull', () => {
  it('lists at once and at every interval, with selectors, in all the namespaces that are wanted', async (t) => {
    const r = await rig(t, {
      objects: [
        {
          name: 'pods',
          interval: '30ms',
          namespaces: ['shop', 'data'],
          label_selector: 'app=web',
          field_selector: 'spec.nodeName=node-1',
        },
      ],
    });
    for (const ns of ['shop', 'data', 'other']) r.population.put('pods', pod('web-1', 'node-1', ns));
    r.population.put('pods', pod('web-2', 'node-2', 'shop'));
    r.population.put('pods', pod('db-1', 'node-1', 'shop'));
    await r.receiver.start();
    await until(() => r.got.length >= 6);
    assert.deepEqual(
      [...new Set(r.got.map((g) => `${plain(g.resource.get('k8s.namespace.name')!)} ${g.text}`))].sort(),
      ['data web-1', 'shop web-1'],
    );
  });

  it('reads page by page and goes on after a failure', async (t) => {
    let failures = 1;
    const r = await rig(
      t,
      { objects: [{ name: 'pods', interval: '20ms' }] },
      {
        server: {
          maxPageSize: 2,
          fault: (q) => (q.path === '/api/v1/pods' && failures-- > 0 ? { status: 500 } : undefined),
        },
      },
    );
    for (let i = 0; i < 5; i++) r.population.put('pods', pod(`web-${i}`));
    await r.receiver.start();
    await until(() => r.got.length >= 5);
    assert.deepEqual(r.texts().slice(0, 5), ['web-0', 'web-1', 'web-2', 'web-3', 'web-4']);
    assert.equal(r.lines.filter((l) => l.message === 'error in pulling object').length, 1);
  });
});

describe('watch', () => {
  const start = async (t: TestContext, config: object, made: Parameters<typeof rig>[2] = {}) => {
    const r = await rig(t, config, made);
    await r.receiver.start();
    return r;
  };

  it('tells what happens from now on, not what is there', async (t) => {
    const running = await startApiServer();
    t.after(() => running.stop());
    running.population.put('pods', pod('old'));
    const r = await start(t, watchPods, { running });
    await until(() => running.server.openWatches === 1);
    running.population.put('pods', pod('new'));
    running.population.put('pods', pod('old', 'node-2'));
    running.population.remove('pods', 'shop', 'new');
    await until(() => r.got.length === 3);
    assert.deepEqual(r.texts(), ['ADDED new', 'MODIFIED old', 'DELETED new']);
    assert.equal(running.server.requests.filter((q) => q.query['limit']).length, 1, 'one list, of one object');
  });

  it('begins with what is there when include_initial_state says so', async (t) => {
    const running = await startApiServer({ maxPageSize: 2 });
    t.after(() => running.stop());
    for (let i = 0; i < 5; i++) running.population.put('pods', pod(`web-${i}`));
    const r = await start(t, { ...watchPods, include_initial_state: true }, { running });
    await until(() => running.server.openWatches === 1);
    running.population.put('pods', pod('web-9'));
    await until(() => r.got.length === 6);
    assert.deepEqual(
      r.texts(),
      [0, 1, 2, 3, 4, 9].map((n) => `ADDED web-${n}`),
    );
    const { object } = plain(r.got[0]!.record.body) as { object: KubernetesObject };
    assert.equal(object.kind, 'Pod');
    assert.equal(object.apiVersion, 'v1');
  });

  it('leaves out the types that are excluded', async (t) => {
    const r = await start(t, { objects: [{ ...watchPods.objects[0], exclude_watch_type: ['ADDED', 'DELETED'] }] });
    await until(() => r.server.openWatches === 1);
    r.population.put('pods', pod('web-1'));
    r.population.put('pods', pod('web-1', 'node-2'));
    r.population.remove('pods', 'shop', 'web-1');
    r.population.put('pods', pod('web-1'));
    r.population.put('pods', pod('web-1', 'node-3'));
    await until(() => r.got.length === 2);
    assert.deepEqual(r.texts(), ['MODIFIED web-1', 'MODIFIED web-1']);
  });

  it('loses and repeats nothing when connections end, break, or are refused for a while', async (t) => {
    const r = await start(t, watchPods);
    const breaks = [
      () => r.server.closeWatches(),
      () => r.server.breakWatches(),
      () => r.server.breakWatches('{"type":"ADDED","obj'),
      () => {
        let refusals = 0;
        r.server.options = { fault: () => (refusals++ < 2 ? { status: 429 } : undefined) };
        r.server.closeWatches();
      },
    ];
    for (const [i, breakIt] of breaks.entries()) {
      await until(() => r.server.openWatches === 1);
      breakIt();
      r.population.put('pods', pod(`web-${i}`));
    }
    await until(() => r.got.length === breaks.length);
    assert.deepEqual(
      r.texts(),
      breaks.map((_, i) => `ADDED web-${i}`),
    );
  });

  it('hands on what was missed when its version is gone', async (t) => {
    const r = await start(t, watchPods);
    await until(() => r.server.openWatches === 1);
    r.population.put('pods', pod('seen'));
    await until(() => r.got.length === 1);
    r.server.options = { fault: () => ({ status: 503 }) };
    r.server.closeWatches();
    r.population.put('pods', pod('missed'));
    r.population.compact();
    r.server.options = {};
    await until(() => r.server.openWatches === 1);
    r.population.put('pods', pod('after'));
    await until(() => r.got.length === 3);
    assert.deepEqual(r.texts(), ['ADDED seen', 'ADDED missed', 'ADDED after']);
    assert.ok(r.lines.some((l) => l.message === 'received a 410, grabbing new resource version'));
  });

  it('waits for a pipeline that refuses, and loses only what it rejects for good', async (t) => {
    let calls = 0;
    const r = await start(t, watchPods, {
      consume: () => {
        if (++calls <= 3) throw retryable('full');
        if (calls === 5) throw permanent('bad');
      },
    });
    for (let i = 0; i < 3; i++) {
      await until(() => r.server.openWatches === 1);
      r.population.put('pods', pod(`web-${i}`));
      await until(() => calls >= 4 + i);
    }
    await until(() => r.got.length === 2);
    assert.deepEqual(r.texts(), ['ADDED web-0', 'ADDED web-2']);
    const { read, delivered, lost } = r.ledgers.get('k8s_objects')!.snapshot();
    assert.deepEqual([read.records, delivered.records, lost.records], [3, 2, 1]);
    assert.equal(r.value('otelcol_receiver_accepted_log_records'), 2);
    assert.equal(r.value('otelcol_receiver_refused_log_records'), 4);
  });

  it('has a stream per namespace, and leaves out those that are excluded', async (t) => {
    const running = await startApiServer();
    t.after(() => running.stop());
    for (const n of ['shop', 'data', 'kube-system', 'kube-public'])
      running.population.put('namespaces', { metadata: { name: n } });
    const object = { ...watchPods.objects[0], exclude_namespaces: [{ regexp: '^kube-' }, { strict: 'data' }] };
    const r = await start(t, { objects: [object, { ...watchPods.objects[0], namespaces: ['data'] }] }, { running });
    await until(() => running.server.openWatches === 2);
    for (const ns of ['shop', 'data', 'kube-system']) running.population.put('pods', pod(`in-${ns}`, 'node-1', ns));
    await until(() => r.got.length === 2);
    assert.deepEqual(r.texts().sort(), ['ADDED in-data', 'ADDED in-shop']);
  });
});

describe('a restart with storage', () => {
  const config = { ...watchPods, storage: 'file_storage' };
  const KEY = 'latestResourceVersion/pods';
  async function world(t: TestContext) {
    const running = await startApiServer();
    t.after(() => running.stop());
    const storage = new MemoryStorage();
    const begin = async (made: Parameters<typeof rig>[2] = {}, own: object = config) => {
      const r = await rig(t, own, { running, extensions: { file_storage: storage }, ...made });
      await r.receiver.start();
      await until(() => running.server.openWatches === 1);
      return r;
    };
    const put = (name: string) => running.population.put('pods', pod(name));
    return { running, storage, begin, put };
  }

  it('goes on where it stopped, without a gap and without repeating anything', async (t) => {
    const { running, storage, begin, put } = await world(t);
    const first = await begin();
    put('a');
    await until(() => first.got.length === 1);
    await first.stop();
    assert.equal(storage.content.get(KEY), String(running.population.revision));
    await until(() => running.server.openWatches === 0);
    put('b');
    const second = await begin();
    put('c');
    await until(() => second.got.length === 2);
    assert.deepEqual(second.texts(), ['ADDED b', 'ADDED c']);
  });

  it('repeats what was not settled, even what was settled behind it', async (t) => {
    const { storage, begin, put, running } = await world(t);
    const first = await begin({ settles: false });
    const before = storage.content.get(KEY);
    put('a');
    await until(() => first.unsettled === 1);
    put('b');
    await until(() => first.unsettled === 2);
    await first.stop();
    assert.equal(storage.content.get(KEY) ?? before, String(running.population.revision - 2));
    await until(() => running.server.openWatches === 0);
    const second = await begin();
    await until(() => second.got.length === 2);
    assert.deepEqual(second.texts(), ['ADDED a', 'ADDED b']);
  });

  it('stores what is settled while the rest of the pipeline stops', async (t) => {
    const { running, storage, begin, put } = await world(t);
    const first = await begin({ settles: false });
    put('a');
    await until(() => first.unsettled === 1);
    await first.stop();
    first.settleAll();
    await until(() => storage.content.get(KEY) === String(running.population.revision));
  });

  it('moves on with bookmarks and excluded changes', async (t) => {
    const { running, storage, begin, put } = await world(t);
    const object = { ...watchPods.objects[0], exclude_watch_type: ['ADDED'] };
    const r = await begin({}, { ...config, objects: [object] });
    put('a');
    await until(() => storage.content.get(KEY) === String(running.population.revision));
    running.population.put('nodes', { metadata: { name: 'n' } });
    running.server.bookmark();
    await until(() => storage.content.get(KEY) === String(running.population.revision));
    assert.equal(r.got.length, 0);
  });

  it('after too long a time finds what is newer than the stored version', async (t) => {
    const { running, begin, put, storage } = await world(t);
    put('old');
    const first = await begin();
    put('a');
    await until(() => first.got.length === 1);
    await first.stop();
    await until(() => running.server.openWatches === 0);
    put('missed');
    running.population.compact();
    const second = await begin();
    await until(() => second.got.length === 1);
    assert.deepEqual(second.texts(), ['ADDED missed']);
    await until(() => storage.content.get(KEY) === String(running.population.revision));
  });

  it('with a version of another cluster begins anew', async (t) => {
    const { running, storage, begin, put } = await world(t);
    storage.content.set(KEY, '999999');
    running.server.options = {
      fault: (q) =>
        Number(q.query['resourceVersion']) > 100_000
          ? { status: 504, message: 'Timeout: Too large resource version: 999999, current: 1000' }
          : undefined,
    };
    const r = await begin();
    put('a');
    await until(() => r.got.length === 1);
    await until(() => storage.content.get(KEY) === String(running.population.revision));
  });

  it('skips the initial state that it has sent before', async (t) => {
    const { running, begin, put } = await world(t);
    const own = { ...config, include_initial_state: true };
    put('a');
    const first = await begin({}, own);
    await until(() => first.got.length === 1);
    await first.stop();
    await until(() => running.server.openWatches === 0);
    put('b');
    const second = await begin({}, own);
    await until(() => second.got.length === 1);
    assert.deepEqual(second.texts(), ['ADDED b']);
  });

  it('keeps streams with different selectors apart', async (t) => {
    const { running, storage } = await world(t);
    const objects = ['app=web', 'app=db'].map((label_selector) => ({ name: 'pods', mode: 'watch', label_selector }));
    const r = await rig(t, { ...config, objects }, { running, extensions: { file_storage: storage } });
    await r.receiver.start();
    await until(() => storage.content.size === 2);
    assert.deepEqual([...storage.content.keys()].sort(), [KEY, `${KEY} app=db`]);
  });
});

describe('event details', () => {
  const event = (count: number, own: object = {}): Draft => ({
    metadata: { name: 'web-1.18ea', namespace: 'shop' },
    involvedObject: {
      kind: 'Pod',
      namespace: 'shop',
      name: 'web-1',
      uid: 'pod-uid',
      fieldPath: 'spec.containers{app}',
    },
    reason: 'BackOff',
    message: 'Back-off restarting failed container',
    source: { component: 'kubelet', host: 'node1' },
    firstTimestamp: '2026-11-22T20:15:08Z',
    lastTimestamp: '2026-11-22T20:15:24Z',
    eventTime: null,
    count,
    type: 'Warning',
    ...own,
  });
  const object = (event_details: object) => ({ objects: [{ name: 'events', mode: 'watch', event_details }] });

  it('are severity, time, reason, reporter and the object', async (t) => {
    const r = await rig(t, object({ enabled: true }));
    await r.receiver.start();
    await until(() => r.server.openWatches === 1);
    const { metadata } = r.population.put('events', event(3));
    await until(() => r.got.length === 1);
    const { record } = r.got[0]!;
    assert.equal(record.time, BigInt(Date.UTC(2026, 10, 22, 20, 15, 24)) * 1_000_000n);
    assert.deepEqual([record.severityNumber, record.severityText], [13, 'Warning']);
    assert.deepEqual(plain(record.attributes), {
      'k8s.resource.name': 'events',
      'event.domain': 'k8s',
      'event.name': 'web-1.18ea',
      'k8s.event.reason': 'BackOff',
      'k8s.event.uid': metadata.uid,
      'k8s.event.count': 3,
      'k8s.event.reporting_controller': 'kubelet',
      'k8s.event.reporting_instance': 'node1',
      'k8s.object.kind': 'Pod',
      'k8s.object.name': 'web-1',
      'k8s.object.uid': 'pod-uid',
      'k8s.object.fieldpath': 'spec.containers{app}',
      'k8s.pod.name': 'web-1',
      'k8s.pod.uid': 'pod-uid',
    });
  });

  it('fold repeats: the first, then the newest count, and nothing is unaccounted for', async (t) => {
    const r = await rig(t, object({ enabled: true, fold_interval: '300ms' }));
    await r.receiver.start();
    await until(() => r.server.openWatches === 1);
    for (let count = 1; count <= 10; count++) r.population.put('events', event(count));
    await until(() => r.got.length === 2);
    const counts = r.got.map((g) => [
      g.record.attributes.get('k8s.event.count'),
      g.record.attributes.get('k8s.event.folded'),
    ]);
    assert.deepEqual(counts, [
      [1n, undefined],
      [10n, 8n],
    ]);
    const { read, delivered, filtered, inFlight } = r.ledgers.get('k8s_objects')!.snapshot();
    assert.deepEqual([read.records, delivered.records, filtered.records, inFlight.records], [10, 2, 8, 0]);
  });

  it('that are held back make the leader after a kill repeat nothing that was settled meanwhile', async (t) => {
    const config = { ...object({ enabled: true, fold_interval: '1h' }), k8s_leader_elector: 'k8s_leader_elector' };
    const leader = () => {
      const handover = new Handover();
      const onLeadership = (l: { started(): void }) => {
        l.started();
        return () => {};
      };
      return { handover, extensions: { k8s_leader_elector: { handover, onLeadership } } };
    };
    const first = leader();
    const r = await rig(t, config, { extensions: first.extensions });
    const other = (name: string): Draft => ({ ...event(1), metadata: { name, namespace: 'shop' } });
    const put = (draft: Draft) => r.population.put('events', draft);
    await r.receiver.start();
    await until(() => r.server.openWatches === 1);
    const begin = r.population.revision;
    put(event(1));
    put(event(2));
    put(other('a'));
    put(event(3));
    put(other('b'));
    await until(() => r.got.length === 3);
    const key = 'k8sobjects/latestResourceVersion/events';
    assert.equal(Number(first.handover.get(key)) - begin, 3, 'the second count is folded, the third is held');
    const left = first.handover.into(LEASE);
    // It is killed: nothing that it still sends is left to the next.
    const takeOver = async (lease: KubernetesObject) => {
      const next = leader();
      next.handover.take(lease);
      const rigged = await rig(t, config, { extensions: next.extensions, running: r.running });
      await rigged.receiver.start();
      return { ...rigged, ...next };
    };
    const second = await takeOver(left);
    put(other('c'));
    await until(() => second.got.length === 2);
    assert.deepEqual(second.texts(), ['MODIFIED web-1.18ea', 'ADDED c']);
    assert.equal(second.handover.get(key), String(r.population.revision));
    put(event(4));
    put(other('d'));
    await until(() => second.got.length === 3);
    const third = await takeOver(second.handover.into(LEASE));
    put(other('e'));
    await until(() => third.got.length === 2);
    assert.deepEqual(third.texts(), ['MODIFIED web-1.18ea', 'ADDED e']);
  });

  it('send what is held when the receiver stops', async (t) => {
    const r = await rig(t, object({ enabled: true, fold_interval: '1h' }));
    await r.receiver.start();
    await until(() => r.server.openWatches === 1);
    for (let count = 1; count <= 3; count++) r.population.put('events', event(count));
    await until(() => r.ledgers.get('k8s_objects')!.snapshot().filtered.records === 1);
    await r.stop();
    assert.deepEqual(
      r.got.map((g) => g.record.attributes.get('k8s.event.count')),
      [1n, 3n],
    );
  });

  it('are not there unless asked for', async (t) => {
    const r = await rig(t, object({}));
    await r.receiver.start();
    await until(() => r.server.openWatches === 1);
    r.population.put('events', event(3));
    await until(() => r.got.length === 1);
    assert.equal(r.got[0]!.record.severityNumber, 0);
    assert.equal(r.got[0]!.record.attributes.size, 3);
  });
});

describe('k8s_objects at the start', () => {
  const missing = { objects: [{ name: 'gizmos', mode: 'watch' }, watchPods.objects[0]] };

  it('says which resource the cluster does not have, as error_mode wants', async (t) => {
    const r = await rig(t, missing);
    await assert.rejects(
      r.receiver.start(),
      /resource not found: gizmos\. Available resources in cluster: \[configmaps deployments events /,
    );
    const ignoring = await rig(t, { ...missing, error_mode: 'ignore' });
    await ignoring.receiver.start();
    await until(() => ignoring.server.openWatches === 1);
    assert.ok(ignoring.lines.some((l) => l.level === 'info' && l.message.startsWith('resource not found: gizmos')));
    const silent = await rig(t, { objects: [missing.objects[0]!], error_mode: 'silent' });
    await assert.rejects(silent.receiver.start(), /no valid Kubernetes objects found to watch/);
  });

  it('works with servers that have only the older discovery', async (t) => {
    const r = await rig(
      t,
      { objects: [{ name: 'deployments', mode: 'watch' }] },
      { server: { hasAggregatedDiscovery: false } },
    );
    await r.receiver.start();
    await until(() => r.server.openWatches === 1);
    assert.ok(r.server.requests.some((q) => q.path === '/apis/apps/v1/deployments'));
  });

  it('does not fail because the API server is away, and says so', async (t) => {
    const r = await rig(t, watchPods, { server: { fault: () => ({ status: 503 }) } });
    await r.receiver.start();
    assert.ok(r.lines.some((l) => l.level === 'error' && l.message.startsWith('the resources of the cluster')));
    r.server.options = {};
    await until(() => r.server.openWatches === 1);
    assert.deepEqual(r.fatal, []);
  });

  it('collects only while it leads', async (t) => {
    let listener: { started(): void; stopped(): void } | undefined;
    const elector = {
      onLeadership(l: typeof listener) {
        listener = l;
        return () => {};
      },
    };
    const r = await rig(
      t,
      { ...watchPods, k8s_leader_elector: 'k8s_leader_elector' },
      { extensions: { k8s_leader_elector: elector } },
    );
    await r.receiver.start();
    assert.equal(r.server.openWatches, 0);
    listener!.started();
    await until(() => r.server.openWatches === 1);
    listener!.stopped();
    await until(() => r.server.openWatches === 0);
    listener!.started();
    await until(() => r.server.openWatches === 1);
  });

  it('when it leads again, goes on behind what is still on its way; what was not taken is read again', async (t) => {
    let listener: { started(): void; stopped(): void } | undefined;
    const handover = new Handover();
    const onLeadership = (l: typeof listener) => {
      listener = l;
      return () => {};
    };
    const elector = { handover, onLeadership };
    let refuses = false;
    const r = await rig(
      t,
      { ...watchPods, k8s_leader_elector: 'k8s_leader_elector' },
      {
        extensions: { k8s_leader_elector: elector },
        settles: false,
        consume() {
          if (refuses) throw retryable('full');
        },
      },
    );
    const { population, server } = r.running;
    const put = (name: string) => population.put('pods', pod(name));
    const lead = async () => {
      listener!.started();
      await until(() => server.openWatches === 1);
    };
    const resign = async () => {
      listener!.stopped();
      await until(() => server.openWatches === 0);
    };
    const left = () => handover.get('k8sobjects/latestResourceVersion/pods');
    await r.receiver.start();
    await lead();
    const begin = left();
    put('a');
    await until(() => r.unsettled === 1);
    await resign();
    put('b');
    await lead();
    await until(() => r.unsettled === 2);
    assert.deepEqual(r.texts(), ['ADDED a', 'ADDED b']);
    assert.equal(left(), begin, 'nothing of it is settled');
    r.settleAll();
    assert.equal(left(), String(population.revision));
    refuses = true;
    put('c');
    await until(() => r.lines.some((l) => /refused/.test(l.message)));
    await resign();
    refuses = false;
    await lead();
    await until(() => r.unsettled === 1);
    assert.deepEqual(r.texts(), ['ADDED a', 'ADDED b', 'ADDED c']);
  });

  it('refuses extensions that are missing or of another kind', async (t) => {
    const rows: readonly [object, RegExp][] = [
      [{ storage: 'x' }, /storage extension 'x' not found/],
      [{ storage: 'other' }, /non-storage extension 'other' found/],
      [{ k8s_leader_elector: 'x' }, /unknown k8s leader elector "x"/],
    ];
    for (const [own, message] of rows) {
      const r = await rig(t, { ...watchPods, ...own }, { extensions: { other: {} } });
      await assert.rejects(r.receiver.start(), message);
    }
  });
});

describe('the configuration of k8s_objects', () => {
  it('is checked', () => {
    const rows: readonly [object, RegExp][] = [
      [{}, /no valid Kubernetes objects/],
      [{ objects: [{}] }, /name is required/],
      [{ objects: [{ name: 'pods', mode: 'stream' }] }, /invalid mode: stream/],
      [
        { objects: [{ name: 'pods', exclude_watch_type: ['DELETED'] }] },
        /the Exclude config can only be used with watch mode/,
      ],
      [
        { objects: [{ name: 'pods' }], include_initial_state: true },
        /include_initial_state can only be used with watch mode/,
      ],
      [
        { objects: [{ name: 'pods', mode: 'watch', resource_version: '5' }], storage: 'x' },
        /resource_version cannot be used with storage/,
      ],
      [
        { objects: [{ name: 'pods', namespaces: ['a'], exclude_namespaces: [{ strict: 'b' }] }] },
        /cannot be used together/,
      ],
      [{ objects: [{ name: 'pods', exclude_namespaces: [{}] }] }, /give one of regexp and strict/],
      [{ objects: [{ name: 'pods', initial_delay: '2h' }] }, /initial_delay must be less than interval/],
      [{ objects: [{ name: 'pods' }], error_mode: 'x' }, /invalid error_mode/],
      [{ objects: [{ name: 'pods' }], auth_type: 'x' }, /invalid authType for kubernetes: x/],
      [{ objects: [{ name: 'pods' }], custom_resources: {} }, /'custom_resources' is not supported/],
    ];
    for (const [config, message] of rows) assert.throws(() => parse(config), message);
    const { objects, auth_type } = parse({ objects: [{ name: 'pods' }] });
    assert.equal(objects[0]!.mode, 'pull');
    assert.equal(auth_type, 'serviceAccount');
  });
});
