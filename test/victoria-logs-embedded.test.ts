/** The store of `npm start`, held against the real VictoriaLogs: the same requests in, the same fields out. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SYSTEM_CLOCK } from '../src/core/clock.ts';
import { MetricStore } from '../src/local/store/metric-store.ts';
import { startStoreServer } from '../src/local/store/server.ts';
import { LogStore } from '../src/local/store/store.ts';
import { defer } from './helpers/agent.ts';
import type { Fields } from './helpers/logsql.ts';
import { HEADERS, POD, PRESET, RECORDS, request } from './helpers/victoria-logs/corpus.ts';
import { victoriaLogsProgram } from './helpers/victoria-logs/program.ts';
import { startRealVictoriaLogs } from './helpers/victoria-logs/real.ts';

const program = await victoriaLogsProgram();
const skip = program.missing ?? false;

async function startBoth(t: TestContext, headers: Readonly<Record<string, string>>) {
  assert.ok(program.missing === undefined);
  const real = await startRealVictoriaLogs(t, program.path);
  const embedded = await startStoreServer({
    store: new LogStore({ path: ':memory:', maxRows: 1000, maxAgeMs: 1e12 }),
    metrics: new MetricStore({ path: ':memory:', maxSamples: 100, maxSeries: 10, maxAgeMs: 1e9 }),
    clock: SYSTEM_CLOCK,
    port: 0,
    status: () => ({}),
  });
  defer(t, () => embedded.close());
  for (const url of [real.url, embedded.url]) {
    const r = await fetch(`${url}/insert/opentelemetry/v1/logs`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf', ...headers },
      body: request(RECORDS) as Uint8Array<ArrayBuffer>,
    });
    assert.equal(r.status, 200, await r.text());
  }
  await real.flush();
  /** By time: every record has its own. */
  const ask = async (url: string, query: string): Promise<Map<string, Fields>> => {
    const r = await fetch(`${url}/select/logsql/query?${new URLSearchParams({ query, limit: '1000' })}`);
    const text = await r.text();
    assert.equal(r.status, 200, text);
    const rows = text.split('\n').filter((l) => l !== '');
    return new Map(rows.map((l) => JSON.parse(l) as Fields).map((f) => [f['_time']!, f]));
  };
  return {
    real: (query: string) => ask(real.url, query),
    embedded: (query: string) => ask(embedded.url, query),
  };
}

/** What is the store's own: severity is read from the text too, and a stream is a whole resource. */
function compared({ severity, event_name, _stream, _stream_id, ...fields }: Fields, stored: Fields): Fields {
  // Where VictoriaLogs has nothing but a notice, the store has the text of the body or none.
  return stored['_msg']!.startsWith('missing _msg') ? { ...fields, _msg: '' } : fields;
}

for (const [what, headers] of Object.entries(HEADERS))
  test(`the embedded store has the fields of the real one; headers: ${what}`, { skip }, async (t) => {
    const { real, embedded } = await startBoth(t, headers);
    const stored = await real('*');
    const found = await embedded('*');
    assert.ok(stored.size > 30);
    for (const [time, fields] of stored) {
      assert.ok(found.has(time), time);
      assert.deepEqual(compared(found.get(time)!, fields), compared(fields, fields), JSON.stringify(fields));
    }
  });

test('without VL-Stream-Fields the streams are those of the real one', { skip }, async (t) => {
  const { real, embedded } = await startBoth(t, {});
  const found = await embedded('*');
  for (const [time, { _stream }] of await real('*')) assert.equal(found.get(time)!['_stream'], _stream);
});

/** Words are found in either case and inside of others by the store; all else as by the real one. */
const SAME = [
  '*',
  'k8s.pod.name:*',
  'k8s.pod.uid:*',
  'nowhere:*',
  'object.reason:="R"',
  'k8s.pod.labels.tier.name:="front"',
  '_msg:="plain text"',
  '_msg:="plain"',
  'a.b.c:="[1,2]"',
  'k8s.namespace.name:="shop" object.list:*',
  'object.list:* OR a.b.d:="0.25"',
  'NOT k8s.namespace.name:*',
  '!(k8s.pod.uid:* OR k8s.namespace.name:*)',
  '_time:5m',
];
const MORE = [
  'plain',
  '"plain text"',
  'observed',
  'of',
  '_msg:observed',
  'object.message:second',
  'message.text:nested',
];

test('queries find what the real one finds', { skip }, async (t) => {
  const { real, embedded } = await startBoth(t, PRESET);
  const stored = await real('*');
  const timesOf = (rows: ReadonlyMap<string, Fields>): string[] =>
    [...rows.keys()].filter((time) => stored.has(time)).sort();
  let n = 0;
  for (const query of SAME) {
    const wanted = timesOf(await real(query));
    assert.deepEqual(timesOf(await embedded(query)), wanted, query);
    n += wanted.length;
  }
  assert.ok(n > 2 * stored.size);
  for (const query of MORE) {
    const found = new Set(timesOf(await embedded(query)));
    const wanted = timesOf(await real(query));
    assert.ok(wanted.length > 0, query);
    for (const time of wanted) assert.ok(found.has(time), `${query}: ${stored.get(time)!['_msg']}`);
  }
  assert.ok(timesOf(await embedded(`k8s.pod.name:="${POD['k8s.pod.name']}"`)).length > 10);
});
