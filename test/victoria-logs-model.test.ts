/** The model of VictoriaLogs, held against the real one: the same requests in, the same answers out. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { dashboards } from '../src/deploy/dashboards/index.ts';
import { requestFromJson } from '../src/wire/otlp-json.ts';
import { filled, queriesOf, variablesOf } from './helpers/dashboard-queries.ts';
import { type Client, clientOf } from './helpers/victoria-logs/client.ts';
import { startModel } from './helpers/victoria-logs/model.ts';
import { victoriaLogsProgram } from './helpers/victoria-logs/program.ts';
import { startRealVictoriaLogs } from './helpers/victoria-logs/real.ts';

const program = await victoriaLogsProgram();
const skip = program.missing ?? false;

type Json = null | string | number | boolean | readonly Json[] | { readonly [key: string]: Json };
type Headers = Readonly<Record<string, string>>;

/** As OTLP/JSON writes a value. */
function any(v: Json): object {
  if (typeof v === 'string') return { stringValue: v };
  if (typeof v === 'boolean') return { boolValue: v };
  if (typeof v === 'number') return Number.isInteger(v) ? { intValue: String(v) } : { doubleValue: v };
  if (v === null) return {};
  if (Array.isArray(v)) return { arrayValue: { values: v.map(any) } };
  return { kvlistValue: { values: keyValues(v as Readonly<Record<string, Json>>) } };
}
const keyValues = (o: Readonly<Record<string, Json>>): object[] =>
  Object.entries(o).map(([key, value]) => ({ key, value: any(value) }));

const NOW_NS = BigInt(Date.now()) * 1_000_000n;
const at = (offset: bigint): string => String(NOW_NS + offset);

interface Sent {
  readonly resource?: Readonly<Record<string, Json>>;
  readonly body?: Json;
  readonly attributes?: Readonly<Record<string, Json>>;
  /** Of the record, as OTLP/JSON has them. */
  readonly more?: object;
}

const request = (all: readonly Sent[]): Uint8Array =>
  requestFromJson(
    'logs',
    JSON.stringify({
      resourceLogs: all.map(({ resource = {}, body, attributes = {}, more }, i) => ({
        resource: { attributes: keyValues(resource) },
        scopeLogs: [
          {
            logRecords: [
              {
                timeUnixNano: at(BigInt(i)),
                ...(body !== undefined && { body: any(body) }),
                attributes: keyValues(attributes),
                ...more,
              },
            ],
          },
        ],
      })),
    }),
  );

const POD = { 'k8s.namespace.name': 'shop', 'k8s.pod.name': 'web-1', 'k8s.container.name': 'app' };
const RECORDS: readonly Sent[] = [
  { resource: POD, body: 'plain text' },
  { resource: { ...POD, 'k8s.pod.uid': 'u-1', 'k8s.pod.labels': { app: 'web', tier: { name: 'front' } } }, body: 'x' },
  { resource: POD, body: '' },
  { resource: POD },
  { resource: POD, body: '', attributes: { message: 'of an attribute' } },
  { resource: POD, body: ' two  spaces "and" \\ quotes\nand lines \u001b[31mred\u001b[0m' },
  { resource: POD, body: 12 },
  { resource: POD, body: 1.5 },
  { resource: POD, body: true },
  { resource: POD, body: ['a', 1, { b: [], c: 'd', e: {}, f: true, g: 0.5 }] },
  { resource: POD, body: {} },
  { resource: POD, body: { note: 'a note', kind: 'Event' } },
  { resource: POD, body: { object: { note: '', message: 'second', reason: 'R' }, type: 'ADDED' } },
  { resource: POD, body: { object: { note: 'first', message: 'second', list: [1, { a: 'b' }] }, _msg: 'its own' } },
  { resource: POD, body: { message: { text: 'nested' } } },
  { resource: POD, body: { 'k8s.pod.name': 'of the body', msg: 'both say so' } },
  { resource: POD, body: 'x', attributes: { 'k8s.pod.name': 'of the record', severity: 'own' } },
  { resource: POD, body: 'x', attributes: { a: { b: { c: [1, 2], d: 0.25, e: false } }, empty: '', no: null, l: [] } },
  { resource: POD, body: 'x', attributes: { _msg: 'second', 'with space': 'v', 'q"uote': 'w' } },
  { resource: POD, body: { _msg: '', a: 'b' } },
  { resource: {}, body: 'of nobody' },
  { resource: { 'k8s.pod.name': 'we"ird\\pod', 'host name': 'h,=1' }, body: 'x' },
  {
    resource: POD,
    body: 'x',
    more: { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', eventName: 'e', flags: 1 },
  },
  ...[0, 1, 2, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25].map((severityNumber) => ({ body: 's', more: { severityNumber } })),
  { resource: POD, body: 'x', more: { severityNumber: 17, severityText: 'ERR' } },
  { resource: POD, body: 'observed', more: { timeUnixNano: '0', observedTimeUnixNano: at(77n) } },
  { resource: POD, body: 'whole second', more: { timeUnixNano: String((NOW_NS / 1_000_000_000n) * 1_000_000_000n) } },
  // These are not kept.
  { resource: POD, body: 'in three days', more: { timeUnixNano: at(3n * 86_400_000_000_000n) } },
  { resource: POD, body: 'long name', attributes: { ['n'.repeat(129)]: 'v' } },
  { resource: POD, body: 'name at the limit', attributes: { ['n'.repeat(128)]: 'v' } },
  { resource: POD, body: 'm'.repeat(2 << 20) },
  {
    resource: POD,
    body: 'many',
    attributes: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`f${i}`, 'v'])),
  },
];

const PRESET = {
  'VL-Stream-Fields': 'k8s.namespace.name,k8s.pod.name,k8s.container.name',
  'VL-Msg-Field': '_msg,object.note,object.message,message,msg,log',
};

const HEADERS: Readonly<Record<string, Headers>> = {
  none: {},
  'those of the presets': PRESET,
  'stream fields of records': { 'VL-Stream-Fields': 'k8s.pod.name,a.b.c,object.reason,nowhere' },
  'a message field': { 'VL-Msg-Field': 'kind,note' },
  'ignored fields': { ...PRESET, 'VL-Ignore-Fields': 'k8s.pod.uid,object.*,k8s.container.name,severity' },
  'an ignored message': { 'VL-Ignore-Fields': '_msg,k8s.pod.*' },
  'extra fields': { ...PRESET, 'VL-Extra-Fields': 'k8s.cluster.name=one,k8s.pod.name=chosen,empty=e=f' },
  'extra fields of a stream': {
    'VL-Stream-Fields': 'k8s.cluster.name,k8s.pod.name',
    'VL-Extra-Fields': 'k8s.cluster.name=one,_msg=always',
  },
};

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

/** In one order; the id of a stream is a hash that only the real one makes. */
const rowsOf = async (client: Client, query: string): Promise<string[]> =>
  (await client.query(query))
    .map(({ _stream_id, ...row }) => JSON.stringify(Object.fromEntries(Object.entries(row).sort())))
    .sort();

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
