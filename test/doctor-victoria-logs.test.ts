/** Doctor asks the real VictoriaLogs what it has stored: streams that explode, records without a message, dropped ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storedLogs } from '../src/doctor/checks/stored-logs.ts';
import { victoriaLogs } from '../src/doctor/checks/victoria-logs.ts';
import { findings, told } from '../src/doctor/testing.ts';
import { startFakeServer } from './helpers/kubelet.ts';
import { PRESET, request, type Sent } from './helpers/victoria-logs/corpus.ts';
import { victoriaLogsProgram } from './helpers/victoria-logs/program.ts';
import { startRealVictoriaLogs } from './helpers/victoria-logs/real.ts';

const program = await victoriaLogsProgram();
const skip = program.missing ?? false;

type Headers = Readonly<Record<string, string>>;

const config = (url: string, headers: Headers): string =>
  `receivers: {otlp: {protocols: {http: {}}}}
exporters: {otlp_http/logs: {endpoint: "${url}/insert/opentelemetry", headers: ${JSON.stringify(headers)}}}
service: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [otlp], exporters: [otlp_http/logs]}}}`;

const ask = (url: string, headers: Headers, check = storedLogs) =>
  findings(check, undefined, { config: config(url, headers) });

/** Containers that were started again and again, each with lines. */
const lines = (containers: number, starts: number): Sent[] =>
  Array.from({ length: containers }, (_, c) =>
    Array.from({ length: starts }, (_, start) => ({
      resource: {
        'k8s.namespace.name': 'shop',
        'k8s.pod.name': `web-${c}`,
        'k8s.container.name': 'app',
        'k8s.pod.uid': `uid-${c}-${start}`,
        'k8s.container.restart_count': start % 3,
      },
      body: start === 0 ? '' : 'a line',
      attributes: { 'log.iostream': 'stdout' },
    })),
  ).flat();

async function startWith(t: Parameters<typeof startRealVictoriaLogs>[0]) {
  assert.ok(program.missing === undefined);
  const server = await startRealVictoriaLogs(t, program.path);
  const send = async (records: readonly Sent[], headers: Headers): Promise<void> => {
    const r = await fetch(`${server.url}/insert/opentelemetry/v1/logs`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf', ...headers },
      body: request(records) as Uint8Array<ArrayBuffer>,
    });
    assert.equal(r.status, 200, await r.text());
    await server.flush();
  };
  return { url: server.url, send };
}

test('few streams are well, also when containers start again, and empty lines are no mistake', { skip }, async (t) => {
  const { url, send } = await startWith(t);
  assert.deepEqual(told(await ask(url, PRESET)), [
    `ok: ${url} made 0 streams for 0 containers and services in the last day`,
  ]);
  await send(lines(30, 4), PRESET);
  assert.deepEqual(told(await ask(url, PRESET)), [
    `ok: ${url} made 30 streams for 30 containers and services in the last day`,
  ]);
  assert.deepEqual(told(await ask(url, PRESET, victoriaLogs)), [
    'ok: otlp_http/logs of the collector makes few streams',
  ]);
});

test('streams that explode are told with the fields that do it, and the fix stops them', { skip }, async (t) => {
  for (const [headers, fix] of [
    [
      {},
      'headers of otlp_http/logs of the collector: {VL-Stream-Fields: "k8s.namespace.name,k8s.pod.name,k8s.container.name"}',
    ],
    [
      { 'VL-Stream-Fields': 'k8s.pod.name,k8s.pod.uid, k8s.container.restart_count' },
      'headers of otlp_http/logs of the collector: {VL-Stream-Fields: "k8s.pod.name"}',
    ],
  ] as const) {
    const { url, send } = await startWith(t);
    await send(lines(10, 12), {
      ...headers,
      'VL-Stream-Fields': (headers['VL-Stream-Fields'] ?? '').replaceAll(' ', ''),
    });
    const found = await ask(url, headers);
    assert.deepEqual(told(found), [
      `warning: ${url} made 120 streams for 10 containers and services in the last day: they are multiplied by k8s.pod.uid (12 values), k8s.container.restart_count (3 values)`,
    ]);
    assert.equal(found[0]!.fix, fix);
    const [, fields] = /"(.*)"/.exec(fix)!;
    const other = await startWith(t);
    await other.send(lines(10, 12), { 'VL-Stream-Fields': fields! });
    assert.equal((await ask(other.url, headers))[0]!.state, 'ok');
  }
  const { url, send } = await startWith(t);
  await send(lines(10, 12), {});
  assert.match((await ask(url, PRESET))[0]!.fix!, /^otlp_http\/logs of the collector sends none of these fields/);
});

test('a tenant is asked about its own streams', { skip }, async (t) => {
  const { url, send } = await startWith(t);
  await send(lines(10, 12), { AccountID: '3' });
  assert.match(told(await ask(url, PRESET))[0]!, /^ok: .* made 0 streams/);
  assert.match(told(await ask(url, { ...PRESET, AccountID: '3' }))[0]!, /^warning: .* made 120 streams for 10 /);
});

test('records without a message, and those that were dropped, are told', { skip }, async (t) => {
  const { url, send } = await startWith(t);
  const event = { resource: { 'k8s.namespace.name': 'shop' }, body: { object: { note: 'Pulled' } } };
  const hours = (n: number): bigint => BigInt(Date.now() + n * 3_600_000) * 1_000_000n;
  await send(
    [
      event,
      { ...event, more: { timeUnixNano: String(hours(100)) } },
      { body: 'of one day', more: { timeUnixNano: String(hours(-24)) } },
    ],
    { 'VL-Stream-Fields': 'k8s.namespace.name' },
  );
  const found = await ask(url, {});
  assert.deepEqual(told(found).slice(1), [
    `warning: ${url} has 1 record of the last hour without a message`,
    `warning: ${url} took 1 record of the future and dropped them`,
  ]);
  assert.match(found[1]!.fix!, /VL-Msg-Field: "object\.note,object\.message,message,msg,log"/);
  await send([event], {
    'VL-Stream-Fields': 'k8s.namespace.name',
    'VL-Msg-Field': 'object.note,object.message,message,msg,log',
  });
  assert.equal(told(await ask(url, {}))[1], `warning: ${url} has 1 record of the last hour without a message`);
});

test('what does not answer queries is not asked twice, and what is away is told elsewhere', async (t) => {
  const asked: string[] = [];
  const vlinsert = await startFakeServer((path) => {
    asked.push(path);
    return { status: 400, text: `unsupported path requested: ${path}` };
  });
  t.after(() => vlinsert.close());
  const found = await ask(vlinsert.url, PRESET);
  assert.deepEqual(told(found), [`unknown: ${vlinsert.url} does not tell how many streams it has`]);
  assert.match(found[0]!.how, /^\/select\/logsql\/query: status 400 unsupported path requested/);
  assert.equal(asked.length, 1);
  const other = await startFakeServer(() => ({ status: 200, text: '' }));
  t.after(() => other.close());
  assert.deepEqual(await ask(other.url, PRESET), []);
  assert.deepEqual(await ask('http://127.0.0.1:1', PRESET), []);
  assert.deepEqual(await ask('http://vl.victoria-logs.svc.cluster.local:9428', PRESET), []);
});
