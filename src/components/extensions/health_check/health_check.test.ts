import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { componentContext } from '../../../../test/helpers/component.ts';
import type { ExtensionDefinition } from '../../../core/component.ts';
import { HealthCheck } from './health-check.ts';
import definition, { type HealthCheckConfig } from './index.ts';

const { schema } = definition as ExtensionDefinition;

async function start(t: TestContext, config: object = {}, extension?: unknown) {
  const around = componentContext('health_check', 'extension');
  const parsed = schema.parse({ endpoint: '127.0.0.1:0', ...config }) as HealthCheckConfig;
  const { host } = around.context;
  const context = { ...around.context, host: { ...host, extension: () => extension } };
  const check = new HealthCheck(parsed, context);
  await check.start();
  t.after(() => check.stop(AbortSignal.timeout(0)));
  const get = async (path: string, method = 'GET', headers = {}) => {
    const res = await fetch(`http://${check.address}${path}`, { method, headers });
    return {
      status: res.status,
      type: res.headers.get('content-type'),
      extra: res.headers.get('x-a'),
      body: await res.text(),
    };
  };
  return { ...around, check, get };
}

test('the page is 503 before the pipelines run, 200 while they do, and 503 again', async (t) => {
  const { check, get, clock, lines } = await start(t);
  const no = {
    status: 503,
    type: 'application/json',
    extra: null,
    body: '{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}',
  };
  assert.deepEqual(await get('/'), no);
  check.ready(true);
  clock.ms += 2456.5;
  assert.deepEqual(await get('/any/path?x=1', 'POST'), {
    ...no,
    status: 200,
    body: '{"status":"Server available","upSince":"2026-11-22T12:00:00.000Z","uptime":"2.4565s"}',
  });
  check.ready(false);
  assert.deepEqual(await get('/'), no);
  assert.deepEqual(
    lines.filter((l) => l.message === 'Health Check state change').map((l) => l.fields['status']),
    ['ready', 'unavailable'],
  );
});

test('a path of its own is exact, answers may be plain text and carry headers', async (t) => {
  const { check, get } = await start(t, {
    path: '/healthz',
    response_body: { healthy: 'fine', unhealthy: 'bad' },
    response_headers: { 'X-A': 'b' },
  });
  const type = 'text/plain; charset=utf-8';
  assert.deepEqual(await get('/healthz'), { status: 503, type, extra: 'b', body: 'bad' });
  check.ready(true);
  assert.deepEqual(await get('/healthz?verbose'), { status: 200, type, extra: 'b', body: 'fine' });
  for (const path of ['/', '/healthz/x'])
    assert.deepEqual(await get(path), { status: 404, type, extra: 'b', body: '404 page not found\n' });
});

test('an authenticator decides who may ask', async (t) => {
  const extension = {
    authenticate: async (headers: ReadonlyMap<string, readonly string[]>) => {
      if (headers.get('authorization')?.[0] !== 'Bearer good') throw new Error('who are you?');
    },
  };
  const auth = { authenticator: 'bearertokenauth' };
  const { check, get } = await start(t, { auth }, extension);
  check.ready(true);
  const refused = await get('/');
  assert.deepEqual([refused.status, refused.body], [401, 'who are you?\n']);
  assert.equal((await get('/', 'GET', { authorization: 'Bearer good' })).status, 200);
  await assert.rejects(start(t, { auth }), /failed to resolve authenticator "bearertokenauth"/);
});

test('a port that is taken is named', async (t) => {
  const { check, context } = await start(t);
  const second = new HealthCheck(schema.parse({ endpoint: check.address }) as HealthCheckConfig, context);
  await assert.rejects(second.start(), { message: `listen tcp ${check.address}: bind: address already in use` });
});

test('it listens on localhost unless told otherwise', () => {
  assert.equal((schema.parse(null) as HealthCheckConfig).endpoint, 'localhost:13133');
});

const refused: [object, RegExp][] = [
  [{ use_v2: true }, /version 2 of the health check is not supported/],
  [{ http: {} }, /'http' belongs to version 2/],
  [{ path: 'healthz' }, /path must start with \//],
  [{ nope: 1 }, /nope/],
];
for (const [config, message] of refused)
  test(`configuration ${JSON.stringify(config)} is refused`, () => {
    const result = schema.safeParse(config);
    assert.ok(!result.success);
    assert.match(result.error.issues[0]!.message, message);
  });
