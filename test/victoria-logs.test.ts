/** Agent and gateway as the presets configure them, and the real VictoriaLogs: few streams, messages, and times. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './helpers/agent.ts';
import { appOf } from './helpers/observed-tiers.ts';
import { clientOf } from './helpers/victoria-logs/client.ts';
import { victoriaLogsProgram } from './helpers/victoria-logs/program.ts';
import { startRealVictoriaLogs } from './helpers/victoria-logs/real.ts';
import { startLogTiers, Told } from './helpers/victoria-logs/told.ts';

const program = await victoriaLogsProgram();
const skip = program.missing ?? (process.platform === 'linux' ? false : 'there is no /proc');

test('there is a stream for every container, and each record has a message and the time of its origin', {
  skip,
}, async (t) => {
  assert.ok(program.missing === undefined);
  const vl = await startRealVictoriaLogs(t, program.path);
  const logs = clientOf(() => vl.url);
  const tiers = await startLogTiers(t, vl.url);
  const told = new Told(tiers);
  await told.many(100);
  for (const text of ['{"level":"error","msg":"as JSON"}', '  spaces  ', 'x'.repeat(200_000)])
    tiers.log(appOf(1), text);
  await told.allArrived(logs);
  await until(async () => (await logs.query('x*')).length === 1, 'a long line');
  await until(async () => (await logs.query('falco.rule:*')).length > 0, 'an alert');

  for (const [text, time] of told.times) {
    const [record] = await logs.query(`_msg:="${text}"`);
    assert.equal(Date.parse(record!['_time']!), Date.parse(time), text);
  }
  const all = await logs.query('*');
  assert.ok(all.length > 105);
  for (const record of all) assert.doesNotMatch(record['_msg']!, /^missing _msg/, JSON.stringify(record));

  const wanted = [
    ...[0, 1, 2, 3].map((i) => [`ns-${i}`, appOf(i).pod, 'app']),
    ['falco', 'falco-x7k2p', 'falco'],
    // The pod that events are about. Alerts are in the stream of the container that they are about.
    ['ns-0', appOf(0).pod, undefined],
  ].map(([namespace, pod, container]) =>
    Object.entries({ 'k8s.container.name': container, 'k8s.namespace.name': namespace, 'k8s.pod.name': pod })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}="${value}"`),
  );
  const expected = wanted.map((tags) => `{k8s.cluster.name="test",${tags.join(',')}}`);
  assert.deepEqual((await logs.streams()).sort(), expected.sort());
  assert.equal((await vl.metrics()).get('vl_streams_created_total'), expected.length);

  const { namespace, pod } = appOf(3);
  for (const query of [
    `{"k8s.namespace.name"="${namespace}","k8s.pod.name"="${pod}"}`,
    `k8s.namespace.name:="${namespace}" k8s.pod.name:="${pod}"`,
  ]) {
    const found = await logs.query(`${query} told`);
    assert.equal(found.length, [...told.times.keys()].filter((_, n) => n % 10 !== 0 && n % 3 === 2).length, query);
  }
  for (const reason of ['too_big_timestamp', 'too_small_timestamp', 'too_many_fields'])
    assert.equal((await vl.metrics()).get(`vl_rows_dropped_total{reason="${reason}"}`), 0);
});
