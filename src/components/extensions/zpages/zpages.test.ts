import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { componentContext } from '../../../../test/helpers/component.ts';
import type { ServiceView } from '../../../core/component.ts';
import definition, { type ZpagesConfig } from './index.ts';
import { Zpages } from './zpages.ts';

const VIEW: ServiceView = {
  pipelines: [
    {
      id: 'logs/<b>',
      signal: 'logs',
      receivers: ['filelog'],
      processors: ['memory_limiter', 'batch'],
      exporters: ['otlp_http', 'debug'],
    },
  ],
  extensions: ['zpages', 'health_check'],
  gates: [{ id: 'a.gate', stage: 'beta', description: 'Does "this" & that', isEnabled: true }],
};

async function serve(t: TestContext, config: object = {}, extension?: unknown) {
  const { context } = componentContext('zpages', 'extension');
  const parsed = definition.schema.parse({ endpoint: '127.0.0.1:0', ...config }) as ZpagesConfig;
  const pages = new Zpages(parsed, {
    ...context,
    host: { ...context.host, view: () => VIEW, extension: () => extension },
  });
  await pages.start();
  t.after(() => pages.stop(AbortSignal.timeout(1000)));
  return (path: string, init?: RequestInit) => fetch(`http://${pages.address}${path}`, init);
}

test('it listens on localhost unless told otherwise', () => {
  assert.equal((definition.schema.parse(null) as ZpagesConfig).endpoint, 'localhost:55679');
  assert.equal(definition.schema.safeParse({ endpoint: '' }).success, false);
  assert.equal(definition.schema.safeParse({ end_point: 'x' }).success, false);
});

const pages: readonly [path: string, expected: readonly RegExp[]][] = [
  ['servicez', [/sluice/, /0\.0\.0/, /Uptime/]],
  ['pipelinez', [/logs\/&lt;b&gt;/, /memory_limiter → batch/, /otlp_http, debug/]],
  ['extensionz', [/health_check/]],
  ['featurez', [/a\.gate/, /Does &quot;this&quot; &amp; that/, /true/]],
  ['tracez', [/records no spans/]],
];
for (const [path, expected] of pages)
  test(`/debug/${path} is a page without scripts`, async (t) => {
    const get = await serve(t);
    const res = await get(`/debug/${path}?zpipelinename=x`);
    const text = await res.text();
    assert.equal(res.status, 200);
    assert.equal(res.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.match(res.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    for (const e of expected) assert.match(text, e);
    assert.doesNotMatch(text, /<script|<b>/);
  });

test('other paths and methods are refused', async (t) => {
  const get = await serve(t);
  for (const path of ['/', '/debug/', '/debug/nothing', '/debug/constructor', '/debug/expvarz'])
    assert.equal((await get(path)).status, 404, path);
  assert.equal((await get('/debug/servicez', { method: 'POST' })).status, 405);
});

test('expvar is served when it is asked for', async (t) => {
  const get = await serve(t, { expvar: { enabled: true } });
  const body = (await (await get('/debug/expvarz')).json()) as { memory: { rss: number } };
  assert.ok(body.memory.rss > 0);
});

test('an authenticator decides who may look', async (t) => {
  const authenticate = async (headers: ReadonlyMap<string, readonly string[]>): Promise<void> => {
    if (headers.get('authorization')?.[0] !== 'Bearer good') throw new Error('no');
  };
  const get = await serve(t, { auth: { authenticator: 'bearer' } }, { authenticate });
  assert.equal((await get('/debug/servicez')).status, 401);
  assert.equal((await get('/debug/servicez', { headers: { authorization: 'Bearer bad' } })).status, 401);
  assert.equal((await get('/debug/servicez', { headers: { authorization: 'Bearer good' } })).status, 200);
});

test('an authenticator that is not there fails the start', async (t) => {
  await assert.rejects(serve(t, { auth: { authenticator: 'bearer' } }), /authenticator not found/);
});
