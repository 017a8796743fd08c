import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type LogLine, recordingLog, until } from '../../test/helpers/component.ts';
import type { ApiServerOptions } from './api-server.ts';
import type { CacheListener, Kind } from './cache.ts';
import type { KubernetesObject } from './object.ts';
import type { SimulatedApiServerOptions } from './simulated/api-server.ts';
import { pod, recordingListener, startApiServer, TEST_PODS, type TestPod, testApi } from './testing.ts';

const MODES: readonly [string, SimulatedApiServerOptions][] = [
  ['a server with initial events', {}],
  ['a server that refuses initial events', { initialEvents: 'refused' }],
  ['a server whose storage lacks what initial events need', { initialEvents: 'error' }],
];

async function rig(t: TestContext, options: SimulatedApiServerOptions = {}, api: Partial<ApiServerOptions> = {}) {
  const running = await startApiServer(options);
  const { server, population } = running;
  const made = testApi(running.url, api);
  const stops: (() => void)[] = [];
  t.after(async () => {
    for (const stop of stops) stop();
    made.api.client.close();
    await running.stop();
  });
  const subscribe = (listener: CacheListener<TestPod>, selection = {}) => {
    const cache = made.api.cache(TEST_PODS, selection);
    const subscription = cache.subscribe(listener);
    stops.push(() => subscription.stop());
    return { cache, subscription };
  };
  const value = (name: string, ...labels: string[]) => {
    for (const s of made.telemetry.families.get(`sluice_kubernetes_cache_${name}`)?.series.values() ?? [])
      if (labels.every((l) => Object.entries(s.labels).some(([k, v]) => `${k}=${v}` === l)))
        return s.read?.() ?? s.value;
    return undefined;
  };
  const put = (name: string, node?: string) => population.put('pods', pod(name, node));
  const remove = (name: string) => population.remove('pods', 'shop', name);
  const lists = () => server.requests.filter((r) => r.query['limit'] || r.query['sendInitialEvents']);
  return { ...made, running, server, population, subscribe, value, put, remove, lists };
}

/** What a cache must be like: the population. */
const same = (cache: { values(): Iterable<TestPod> }, objects: readonly KubernetesObject[]) => {
  const of = (uid: string, version: string | number) => `${uid} ${version}`;
  assert.deepEqual(
    [...cache.values()].map((p) => of(p.uid, p.version)).sort(),
    objects.map((o) => of(o.metadata.uid, o.metadata.resourceVersion)).sort(),
  );
};

for (const [name, options] of MODES)
  describe(`a cache of ${name}`, () => {
    it('has what is there, and hears of what happens', async (t) => {
      const { subscribe, put, remove, population, lists } = await rig(t, options);
      put('web-1');
      put('web-2');
      const heard = recordingListener();
      const { cache } = subscribe(heard.listener);
      await cache.synced;
      assert.deepEqual(heard.heard, ['+web-1', '+web-2']);
      put('web-3');
      put('web-1', 'node-2');
      remove('web-2');
      await until(() => heard.heard.length === 5);
      assert.deepEqual(heard.heard.slice(2), ['+web-3', '~web-1@node-2', '-web-2']);
      same(cache, population.list('pods'));
      assert.ok(lists().length <= 2);
    });

    it('goes on where it was when the watch ends, breaks or is cut inside of an event', async (t) => {
      const { subscribe, server, put, population, lists, value } = await rig(t, options);
      put('web-1');
      const heard = recordingListener();
      const { cache } = subscribe(heard.listener);
      await until(() => server.openWatches === 1 && cache.isSynced);
      const before = lists().length;
      const breaks = [
        () => server.closeWatches(),
        () => server.breakWatches(),
        () => server.breakWatches('{"type":"ADDED","object":{"metadata":{"name":"ha'),
        () => server.writeToWatches('no JSON\n'),
        () => server.writeToWatches('{"type":"NEW","object":{}}\n'),
      ];
      for (const [i, breakIt] of breaks.entries()) {
        breakIt();
        put(`while-away-${i}`);
        await until(() => heard.heard.includes(`+while-away-${i}`) && server.openWatches === 1);
      }
      same(cache, population.list('pods'));
      assert.equal(heard.heard.length, breaks.length + 1);
      assert.equal(lists().length, before, 'nothing was listed again');
      assert.equal(value('lists'), 1);
    });

    it('finds what happened while its version was gone, and tells nothing else', async (t) => {
      const { subscribe, server, put, remove, population, value } = await rig(t, options);
      for (const n of ['stays', 'changes', 'goes', 'reborn']) put(n);
      const heard = recordingListener();
      const { cache } = subscribe(heard.listener);
      await until(() => server.openWatches === 1 && cache.isSynced);
      heard.heard.length = 0;
      const reborn = population.get('pods', 'shop', 'reborn')!.metadata.uid;
      server.options = { ...server.options, fault: () => ({ status: 503 }) };
      server.closeWatches();
      await until(() => server.openWatches === 0);
      put('comes');
      put('changes', 'node-9');
      remove('goes');
      remove('reborn');
      put('reborn');
      population.compact();
      server.options = options;
      await until(() => heard.heard.includes('+reborn'));
      assert.deepEqual(heard.heard.slice(0, 2).sort(), ['-goes', '-reborn']);
      assert.deepEqual(heard.heard.slice(2).sort(), ['+comes', '+reborn', '~changes@node-9']);
      assert.notEqual([...cache.values()].find((p) => p.name === 'reborn')?.uid, reborn);
      same(cache, population.list('pods'));
      assert.equal(value('watch_restarts', 'reason=gone'), 1);
    });

    it('begins again when the version is gone in the middle of a watch', async (t) => {
      const { subscribe, server, put, population } = await rig(t, options);
      put('web-1');
      const heard = recordingListener();
      const { cache } = subscribe(heard.listener);
      await until(() => server.openWatches === 1 && cache.isSynced);
      server.writeToWatches(
        '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n',
      );
      put('web-2');
      await until(() => cache.size === 2);
      assert.deepEqual(heard.heard, ['+web-1', '+web-2']);
      same(cache, population.list('pods'));
    });
  });

describe('a cache', () => {
  it('reads lists page by page, and again when the pages expire', async (t) => {
    let expired = 0;
    const { subscribe, population, server } = await rig(t, {
      initialEvents: 'refused',
      maxPageSize: 10,
      fault: (r) =>
        r.query['continue'] && expired++ === 1 ? { status: 410, message: 'continue is too old' } : undefined,
    });
    for (let i = 0; i < 35; i++) population.put('pods', pod(`web-${String(i).padStart(2, '0')}`));
    const heard = recordingListener();
    const { cache } = subscribe(heard.listener);
    await cache.synced;
    same(cache, population.list('pods'));
    assert.equal(heard.heard.length, 35);
    const pages = server.requests.filter((r) => r.query['limit']);
    // Two pages, the one that was too old, and four of the newest version.
    assert.deepEqual(
      pages.map((r) => r.query['resourceVersion'] ?? (r.query['continue'] ? 'next' : 'newest')),
      ['0', 'next', 'next', 'newest', 'next', 'next', 'next'],
    );
  });

  it('is one however many subscribe, and ends with the last', async (t) => {
    const { api, subscribe, server, put, running } = await rig(t);
    put('web-1');
    const [a, b] = [recordingListener(), recordingListener()];
    const first = subscribe(a.listener);
    await first.cache.synced;
    const second = subscribe(b.listener);
    assert.equal(first.cache, second.cache);
    assert.deepEqual(b.heard, ['+web-1'], 'what is there is told at once');
    put('web-2');
    await until(() => a.heard.length === 2 && b.heard.length === 2);
    assert.equal(server.openWatches, 1);
    assert.equal(running.connections, 1);
    first.subscription.stop();
    first.subscription.stop();
    put('web-3');
    await until(() => b.heard.length === 3);
    assert.equal(a.heard.length, 2);
    second.subscription.stop();
    await until(() => server.openWatches === 0);
    assert.equal(second.cache.size, 0);
    const again = recordingListener();
    const third = subscribe(again.listener);
    await third.cache.synced;
    assert.deepEqual(again.heard, ['+web-1', '+web-2', '+web-3']);
    assert.equal(api.cache(TEST_PODS), third.cache);
  });

  it('is another one for other objects', async (t) => {
    const { api, subscribe, population } = await rig(t);
    population.put('pods', pod('web-1', 'node-1', 'shop'));
    population.put('pods', pod('web-2', 'node-2', 'shop'));
    population.put('pods', pod('db-1', 'node-1', 'data'));
    const rows: readonly [object, string[]][] = [
      [{ namespace: 'shop' }, ['+web-1', '+web-2']],
      [{ fieldSelector: 'spec.nodeName=node-1' }, ['+db-1', '+web-1']],
      [{ labelSelector: 'app=db' }, ['+db-1']],
      [{ labelSelector: 'app notin (db, x)', fieldSelector: 'spec.nodeName!=node-1' }, ['+web-2']],
    ];
    for (const [selection, expected] of rows) {
      const heard = recordingListener();
      const { cache } = subscribe(heard.listener, selection);
      assert.notEqual(cache, api.cache(TEST_PODS));
      await cache.synced;
      assert.deepEqual(heard.heard, expected);
    }
  });

  it('takes an object that leaves the selection for deleted', async (t) => {
    const { subscribe, put } = await rig(t);
    put('web-1', 'node-1');
    const heard = recordingListener();
    await subscribe(heard.listener, { fieldSelector: 'spec.nodeName=node-1' }).cache.synced;
    put('web-1', 'node-2');
    put('web-1', 'node-1');
    await until(() => heard.heard.length === 3);
    assert.deepEqual(heard.heard, ['+web-1', '-web-1', '+web-1']);
  });

  it('moves on with bookmarks, so that a quiet watch does not get too old', async (t) => {
    const { subscribe, server, put, population, value } = await rig(t);
    put('web-1');
    const heard = recordingListener();
    const { cache } = subscribe(heard.listener, { namespace: 'shop' });
    await until(() => server.openWatches === 1 && cache.isSynced);
    population.put('pods', pod('elsewhere', 'node-1', 'other'));
    server.bookmark();
    population.compact();
    server.closeWatches();
    await until(() => server.requests.filter((r) => r.query['watch']).length === 2 && server.openWatches === 1);
    put('web-2');
    await until(() => cache.size === 2);
    assert.equal(value('watch_restarts', 'reason=gone'), undefined);
    assert.equal(value('lists'), 1);
  });

  it('tells no change of what it does not keep, when the kind says what is the same', async (t) => {
    const { api, put, population } = await rig(t);
    const heard: string[] = [];
    const kind = { ...TEST_PODS, id: 'pods-by-node', isSame: (a: TestPod, b: TestPod) => a.node === b.node };
    const cache = api.cache(kind);
    const subscription = cache.subscribe({
      added: (p) => heard.push(p.name),
      updated: (p) => heard.push(`~${p.node}`),
    });
    t.after(() => subscription.stop());
    put('web-1');
    await cache.synced;
    for (let i = 0; i < 5; i++) population.put('pods', { ...pod('web-1'), status: { restarts: i } });
    put('web-1', 'node-2');
    await until(() => heard.length >= 2);
    assert.deepEqual(heard, ['web-1', '~node-2']);
    same(cache, population.list('pods'));
  });

  it('leaves out objects that are not understood, and listeners that throw', async (t) => {
    const { api, put, lines } = await rig(t);
    const kind = {
      ...TEST_PODS,
      id: 'picky',
      keep: (o: KubernetesObject, pool: Parameters<typeof TEST_PODS.keep>[1]) => {
        if (o.metadata.name === 'odd') throw new Error('odd');
        return o.metadata.name === 'unwanted' ? undefined : TEST_PODS.keep(o, pool);
      },
    };
    for (const n of ['odd', 'unwanted', 'web-1']) put(n);
    const heard = recordingListener();
    const cache = api.cache(kind);
    const failing = cache.subscribe({
      added: () => {
        throw new Error('a listener is broken');
      },
    });
    const working = cache.subscribe(heard.listener);
    t.after(() => {
      failing.stop();
      working.stop();
    });
    await cache.synced;
    assert.deepEqual(heard.heard, ['+web-1']);
    assert.ok(lines.some((l) => l.level === 'error' && l.fields['error'] === 'a listener is broken'));
  });

  it('says what it has and what it cost', async (t) => {
    const { subscribe, put, remove, value } = await rig(t);
    put('web-1');
    const { cache, subscription } = subscribe({});
    await cache.synced;
    put('web-2');
    put('web-2', 'node-2');
    remove('web-1');
    await until(() => value('changes', 'type=deleted') === 1);
    assert.equal(value('objects', 'resource=pods'), 1);
    assert.equal(value('changes', 'type=added'), 2);
    assert.equal(value('changes', 'type=updated'), 1);
    assert.ok(value('read_bytes')! > 500);
    subscription.stop();
    assert.equal(value('objects', 'resource=pods'), undefined);
  });

  it('keeps 20,000 pods in less than a KB each, and reads them in passing', async (t) => {
    const { subscribe, population, api } = await rig(t, { initialEvents: 'refused' });
    const spec = {
      containers: [
        { name: 'app', env: Array.from({ length: 20 }, (_, i) => ({ name: `A_${i}`, value: 'x'.repeat(50) })) },
      ],
    };
    for (let i = 0; i < 20_000; i++)
      population.put('pods', {
        ...pod(`web-${i}`, '', `ns-${i % 50}`),
        spec: { ...spec, nodeName: `node-${i % 200}` },
      });
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    collect();
    const before = process.memoryUsage().heapUsed;
    const { cache } = subscribe({});
    await cache.synced;
    collect();
    assert.equal(cache.size, 20_000);
    const perPod = (process.memoryUsage().heapUsed - before) / cache.size;
    assert.ok(perPod < 1024, `${perPod} bytes per pod`);
    assert.equal(api.cache(TEST_PODS), cache);
  });
});

for (const [name, options] of MODES)
  it(`of metadata asks for no more than metadata: ${name}`, async (t) => {
    const { api, server, put, population, value } = await rig(t, options);
    put('web-1');
    const shown: KubernetesObject[] = [];
    const kind: Kind<TestPod> = {
      ...TEST_PODS,
      id: 'test-pod-metadata',
      metadataOnly: true,
      keep(object, pool) {
        shown.push(object);
        return TEST_PODS.keep(object, pool);
      },
    };
    const cache = api.cache(kind);
    const subscription = cache.subscribe({});
    t.after(() => subscription.stop());
    await until(() => server.openWatches === 1 && cache.isSynced);
    put('web-2');
    await until(() => cache.size === 2);
    same(cache, population.list('pods'));
    assert.ok(shown.length >= 2);
    for (const { kind: shape, spec, status } of shown)
      assert.deepEqual([shape, spec, status], ['PartialObjectMetadata', undefined, undefined]);
    assert.equal(value('unreadable_objects') ?? 0, 0);
  });

describe('a cache of a server in trouble', () => {
  it('says which rule is missing, once, and goes on when it is there', async (t) => {
    const forbidden = {
      status: 403,
      message: 'pods is forbidden: User "system:serviceaccount:obs:agent" cannot watch resource "pods" in API group ""',
    };
    const { subscribe, server, put, lines, value } = await rig(t, { fault: () => forbidden });
    put('web-1');
    const { cache } = subscribe({}, { namespace: 'shop' });
    await until(() => server.requests.length >= 4);
    assert.match(
      cache.failure ?? '',
      /Service account obs\/agent needs this rule in a Role of namespace shop, or a ClusterRole: \{apiGroups: \[""\], resources: \[pods\], verbs: \[watch\]\}$/,
    );
    assert.equal(lines.filter((l) => l.level === 'error').length, 1);
    server.options = {};
    await cache.synced;
    assert.equal(cache.failure, undefined);
    assert.ok(value('watch_restarts', 'reason=error')! >= 3);
  });

  it('says so, and of which kind, in the log of who asked first', async (t) => {
    const { server, url, stop } = await startApiServer({
      fault: () => ({ status: 403, message: 'pods is forbidden' }),
    });
    t.after(stop);
    const { api, lines } = testApi(url);
    const own: LogLine[] = [];
    const subscription = api.cache(TEST_PODS, {}, recordingLog(own)).subscribe({});
    t.after(() => subscription.stop());
    await until(() => own.length > 0);
    assert.deepEqual(lines, []);
    assert.equal(own[0]!.message, 'pods cannot be read, trying on');
    assert.ok(server.requests.length > 0);
  });

  it('waits as long as it was asked to', async (t) => {
    let refusals = 0;
    const { subscribe, server } = await rig(t, {
      fault: () => (refusals++ === 0 ? { status: 429, headers: { 'retry-after': '1' } } : undefined),
    });
    const begun = performance.now();
    await subscribe({}).cache.synced;
    assert.ok(performance.now() - begun >= 1000);
    assert.equal(server.requests.length, 2);
  });

  it('lasts through resets, answers that are cut off, and the server going away', async (t) => {
    const faults = ['reset', { cutAfter: 900 }, { status: 500 }, { status: 401 }, { cutAfter: 10 }] as const;
    let n = 0;
    const { subscribe, population } = await rig(t, { initialEvents: 'refused', fault: () => faults[n++] });
    for (let i = 0; i < 10; i++) population.put('pods', pod(`web-${i}`));
    const heard = recordingListener();
    const { cache } = subscribe(heard.listener);
    await cache.synced;
    same(cache, population.list('pods'));
    assert.equal(heard.heard.length, 10);
    assert.ok(n > faults.length);
  });

  it('waits longer and longer for a server that ends every watch at once', async (t) => {
    const { subscribe, server } = await rig(t, {}, { backoff: { initialMs: 20, maxMs: 10_000, random: () => 0.5 } });
    const { cache } = subscribe({});
    await cache.synced;
    const begun = performance.now();
    const timer = setInterval(() => server.closeWatches(), 1);
    t.after(() => clearInterval(timer));
    const before = server.requests.length;
    await until(() => server.requests.length >= before + 5);
    // 20 + 40 + 80 + 160 ms between five attempts.
    assert.ok(performance.now() - begun >= 290, `${performance.now() - begun} ms`);
  });
});
