/** The model of VictoriaLogs, held against the real one: the same requests in, the same answers out. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { dashboards } from '../src/deploy/dashboards/index.ts';
import { filled, queriesOf, variablesOf } from './helpers/dashboard-queries.ts';
import { type Client, clientOf } from './helpers/victoria-logs/client.ts';
import {
  HEADERS,
  type Headers,
  POD,
  PRESET,
  RECORDS,
  request,
  rowsOf,
  type Sent,
} from './helpers/victoria-logs/corpus.ts';
import { startModel } from './helpers/victoria-logs/model.ts';
import { victoriaLogsProgram } from './helpers/victoria-logs/program.ts';
import { startRealVictoriaLogs } from './helpers/victoria-logs/real.ts';

const program = await victoriaLogsProgram();
const skip = program.missing ?? false;

interface Both {
  readonly real: string;
  readonly model: string;
  send(body: Uint8Array, headers?: Headers): Promise<number[]>;
  clients(headers?: Headers): { real: Client; model: Client };
}

async function startBoth(t: TestContext): Promise<Both> {
  assert.ok(program.missing === undefined);
  const server = await startRealVictoriaLogs(t, program.path);
  const { url: model } = await startModel(t);
  const real = server.url;
  return {
    real,
    model,
    async send(body, headers = {}) {
      const codes: number[] = [];
      for (const url of [real, model]) {
        const r = await fetch(`${url}/insert/opentelemetry/v1/logs`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-protobuf', ...headers },
          body: body as Uint8Array<ArrayBuffer>,
        });
        await r.arrayBuffer();
        codes.push(r.status);
      }
      await server.flush();
      return codes;
    },
    clients: (headers) => ({ real: clientOf(() => real, headers), model: clientOf(() => model, headers) }),
  };
}

for (const [what, headers] of Object.entries(HEADERS))
  test(`records are stored as by the real one; headers: ${what}`, { skip }, async (t) => {
    const both = await startBoth(t);
    const { real, model } = both.clients();
    assert.deepEqual(await both.send(request(RECORDS), headers), [200, 200]);
    const stored = await rowsOf(real, '*');
    assert.ok(stored.length > 30);
    assert.deepEqual(await rowsOf(model, '*'), stored);
    assert.deepEqual((await model.streams()).sort(), (await real.streams()).sort());
  });

test('compressed requests are taken, a tenant sees its own records only, and JSON is refused', { skip }, async (t) => {
  const both = await startBoth(t);
  const one = (body: string): Uint8Array => request([{ resource: POD, body }]);
  assert.deepEqual(await both.send(gzipSync(one('of gzip')), { ...PRESET, 'content-encoding': 'gzip' }), [200, 200]);
  assert.deepEqual(await both.send(zstdCompressSync(one('zstd')), { 'content-encoding': 'zstd' }), [200, 200]);
  const tenant = { AccountID: '7', ProjectID: '3' };
  assert.deepEqual(await both.send(one('of a tenant'), { ...PRESET, ...tenant }), [200, 200]);
  assert.deepEqual(await both.send(one('of an account'), { ...PRESET, AccountID: '7' }), [200, 200]);
  const json = new TextEncoder().encode('{}');
  assert.deepEqual(await both.send(json, { 'content-type': 'application/json' }), [400, 400]);
  assert.deepEqual(await both.send(one('x'), { 'VL-Extra-Fields': 'nothing' }), [400, 400]);
  for (const [headers, records] of [
    [{}, 2],
    [tenant, 1],
    [{ AccountID: '7' }, 1],
    [{ AccountID: '8' }, 0],
  ] as const) {
    const { real, model } = both.clients(headers);
    const stored = await rowsOf(real, '*');
    assert.equal(stored.length, records);
    assert.deepEqual(await rowsOf(model, '*'), stored);
    assert.deepEqual(await model.streams(), await real.streams());
  }
});

const event = (namespace: string, kind: string, name: string, type: string, reason: string): Sent => ({
  resource: { 'k8s.namespace.name': namespace },
  body: { object: { note: `${reason} of ${name}`, type, reason, regarding: { kind, name, namespace } }, type: 'ADDED' },
  attributes: { 'k8s.resource.name': 'events', 'event.domain': 'k8s' },
});
const alert = (namespace: string, pod: string, rule: string, priority: string): Sent => ({
  resource: { 'k8s.namespace.name': namespace, 'k8s.pod.name': pod, 'k8s.container.name': 'app' },
  body: `${priority}: ${rule}`,
  attributes: { falco: { rule, priority }, 'falco.output_fields': { 'proc.name': 'sh' } },
});
const OBSERVED: readonly Sent[] = [
  ...RECORDS.slice(0, 6),
  event('ns-1', 'Pod', 'web-1', 'Normal', 'Scheduled'),
  event('ns-1', 'Pod', 'web-1', 'Warning', 'BackOff'),
  event('ns-1', 'Pod', 'web-1', 'Warning', 'BackOff'),
  event('ns-1', 'Pod', 'web-2', 'Warning', 'Evicted'),
  event('ns-2', 'Node', 'node.1', 'Warning', 'NodeNotReady'),
  event('ns-2', 'Deployment', 'store', 'Normal', 'ScalingReplicaSet'),
  event('ns-2', 'Pod', '', 'Warning', ''),
  alert('ns-1', 'web-1', 'Terminal shell in container', 'Notice'),
  alert('ns-1', 'web-1', 'Read sensitive file (untrusted)', 'Critical'),
  alert('ns-2', 'store-1', 'Terminal shell in container', 'Error'),
  alert('ns-2', 'store-2', 'Terminal shell in container', 'Error'),
  alert('', '', 'Packet socket created', 'Emergency'),
];
const CHOICES: readonly Readonly<Record<string, string>>[] = [
  {},
  { namespace: 'ns-1', rule: 'Terminal shell in container' },
  { namespace: '(ns-1|shop)', reason: '(BackOff|NodeNotReady)', pod: 'web-.*' },
  { object: 'web', rule: 'Read sensitive file \\\\(untrusted\\\\)' },
  { namespace: 'nowhere', pod: 'x', reason: 'x', rule: 'x' },
];
/** Beside those of dashboards, what people type. */
const TYPED = [
  'plain',
  'plai',
  '"plain text"',
  '"ain te"',
  'BackOff',
  'NOT BackOff',
  '!BackOff',
  'of web',
  '"of web-1" OR Evicted',
  'object.type:Warning (object.reason:BackOff or object.reason:Evicted)',
  'object.type:Warn',
  'object.reason:""',
  'object.regarding.name:web',
  'object.regarding.name:="web-1"',
  'object.regarding.name:in("web-2", node.1)',
  'object.regarding.name:~"^web"',
  'k8s.pod.name:*',
  'nowhere:*',
  '{"k8s.pod.name"="web-1"}',
  '{"k8s.pod.name"="web-1","k8s.namespace.name"="ns-1"} Notice',
  '{"k8s.pod.name"=~"web"}',
  '{"k8s.pod.name"=~"web.+"}',
  '{"k8s.container.name"=~".*"} | limit 100',
];

test('every query of dashboards, and what people type, is answered as by the real one', { skip }, async (t) => {
  const both = await startBoth(t);
  await both.send(request(OBSERVED), PRESET);
  const { real, model } = both.clients();
  const asked = dashboards().flatMap((d) => [...queriesOf(d)].filter((q) => q.language === 'logsql'));
  const variables = dashboards().flatMap((d) => variablesOf(d).filter((v) => v.language === 'logsql'));
  assert.ok(asked.length > 15 && variables.length > 3);
  let found = 0;
  const isSame = async (query: string, ask: (client: Client) => Promise<readonly unknown[]>): Promise<void> => {
    const answer = async (client: Client) =>
      (await ask(client)).map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).sort();
    const wanted = await answer(real);
    assert.deepEqual(await answer(model), wanted, query);
    found += wanted.length;
  };
  for (const query of TYPED) await isSame(query, (c) => rowsOf(c, query));
  assert.ok(found > TYPED.length);
  for (const chosen of CHOICES) {
    for (const { expr, queryType } of asked) {
      const query = filled(expr, chosen);
      if (queryType === 'instant') await isSame(query, (c) => rowsOf(c, query));
      else await isSame(query, (c) => (queryType === 'stats' ? c.stats(query) : c.statsRange(query)));
    }
    for (const { metric, label } of variables) {
      const query = filled(metric, chosen);
      await isSame(`${label} of ${query}`, (c) => c.fieldValues(query, label));
    }
  }
});
