import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { recordingLog, until } from '../../test/helpers/component.ts';
import { type ObjectChange, type ObjectStreamOptions, streamObjects } from './object-stream.ts';
import { pod, type RunningApiServer, startApiServer, TEST_PODS, testApi } from './testing.ts';

/** A stream, and what it has handed on: `ADDED web-1`, `[ADDED web-1`…`] 1007` of a list that comes as it is, `@1007`. */
function rig(t: TestContext, running: RunningApiServer, options: Partial<ObjectStreamOptions> = {}) {
  const { api, lines } = testApi(running.url);
  const stopping = new AbortController();
  const heard: string[] = [];
  const name = ({ type, object }: ObjectChange): string => `${type} ${object.metadata.name}`;
  const ended = streamObjects(
    {
      client: api.client,
      type: TEST_PODS,
      selection: {},
      log: recordingLog(lines),
      monotonicMs: () => performance.now(),
      version: undefined,
      withInitialState: false,
      backoff: { initialMs: 5, maxMs: 20 },
      ...options,
    },
    {
      changed: (change) => void heard.push(name(change)),
      caughtUp: (change) => {
        const shown = JSON.parse(change.bytes.toString()) as { type: string; object: { kind: string } };
        assert.deepEqual([shown.type, shown.object.kind], ['ADDED', 'Pod']);
        heard.push(`caught up ${name(change)}`);
      },
      listing: () => ({
        found: (change) => void heard.push(`[${name(change)}`),
        done: () => void heard.push(']'),
      }),
      passed: (version) => void heard.push(`@${version}`),
      flush: async () => {},
    },
    stopping.signal,
  );
  t.after(async () => {
    running.server.options = {};
    stopping.abort();
    await ended;
    api.client.close();
    await running.stop();
  });
  return { heard, lines };
}

describe('a stream of objects', () => {
  it('hands on what a gap left behind in the order of versions, each with its own', async (t) => {
    const running = await startApiServer({ maxPageSize: 2 });
    const { server, population } = running;
    population.put('pods', pod('z-old'));
    const { heard } = rig(t, running);
    await until(() => server.openWatches === 1);
    population.put('pods', pod('seen'));
    await until(() => heard.includes('ADDED seen'));
    server.options = { maxPageSize: 2, fault: () => ({ status: 503 }) };
    server.closeWatches();
    for (const name of ['c', 'a', 'b']) population.put('pods', pod(name));
    population.put('pods', pod('a', 'node-2'));
    population.remove('pods', 'shop', 'z-old');
    population.compact();
    server.options = { maxPageSize: 2 };
    await until(() => heard.includes(`@${population.revision}`));
    assert.deepEqual(heard.slice(1), [
      'ADDED seen',
      'caught up ADDED c',
      'caught up ADDED b',
      'caught up ADDED a',
      `@${population.revision}`,
    ]);
    population.put('pods', pod('later'));
    await until(() => heard.at(-1) === 'ADDED later');
  });

  it('hands on nothing twice of a list that breaks off again and again, however large', async (t) => {
    for (const maxSortedBytes of [16 * 1024 * 1024, 1000]) {
      const running = await startApiServer({ maxPageSize: 3 });
      const { server, population } = running;
      for (let i = 0; i < 10; i++) population.put('pods', pod(`web-${i}`));
      let lists = 0;
      server.options = {
        maxPageSize: 3,
        // The second, third and fourth page break off inside, each once.
        fault: ({ query }) => (query['limit'] && [2, 5, 9].includes(++lists) ? { cutAfter: 700 } : undefined),
      };
      const { heard } = rig(t, running, { withInitialState: true, maxSortedBytes });
      await until(() => server.openWatches === 1);
      assert.ok(lists > 9);
      const objects = heard.filter((h) => /web-/.test(h)).map((h) => h.replace(/^.*ADDED /, ''));
      assert.deepEqual(
        objects.toSorted(),
        Array.from({ length: 10 }, (_, i) => `web-${i}`),
      );
      assert.equal(heard.filter((h) => h === ']').length, maxSortedBytes === 1000 ? 1 : 0);
    }
  });

  it('does not wait for a version that is of another cluster', async (t) => {
    const running = await startApiServer();
    const { server, population } = running;
    population.put('pods', pod('old'));
    const { heard, lines } = rig(t, running, { version: '5000000' });
    await until(() => server.openWatches === 1);
    assert.deepEqual(heard, [`@${population.revision}`]);
    assert.ok(lines.some((l) => l.level === 'info' && l.fields['resource_version'] === '5000000'));
    population.put('pods', pod('new'));
    await until(() => heard.at(-1) === 'ADDED new');
  });

  it('notices after an outage that the server was set up anew', async (t) => {
    const running = await startApiServer();
    const { server, population } = running;
    population.revision = 9000;
    const { heard } = rig(t, running);
    await until(() => server.openWatches === 1);
    population.put('pods', pod('before'));
    await until(() => heard.at(-1) === 'ADDED before');
    population.revision = 1000;
    population.compact();
    server.breakWatches();
    await until(() => heard.at(-1) === '@1000');
    await until(() => server.openWatches === 1);
    population.put('pods', pod('after'));
    await until(() => heard.at(-1) === 'ADDED after');
  });

  it('does not list again and again for a server to which every version is too old', async (t) => {
    const gone = { error: { code: 410, reason: 'Expired', message: 'too old resource version: 1 (2)' } };
    const running = await startApiServer({ fault: ({ query }) => (query['watch'] ? gone : undefined) });
    const { requests } = running.server;
    const begun = performance.now();
    rig(t, running, { withInitialState: true, backoff: { initialMs: 20, maxMs: 10_000, random: () => 0.5 } });
    await until(() => requests.filter((r) => r.query['watch']).length >= 6);
    // After the first at once, then 20 + 40 + 80 + 160 ms.
    assert.ok(performance.now() - begun >= 290, `${performance.now() - begun} ms`);
  });
});
