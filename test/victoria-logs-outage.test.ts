/** What containers and the API server told is in the real VictoriaLogs, although it was killed or its answers were lost. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from './helpers/agent.ts';
import { startLosingAnswers } from './helpers/victoria-logs/answers.ts';
import { clientOf } from './helpers/victoria-logs/client.ts';
import { victoriaLogsProgram } from './helpers/victoria-logs/program.ts';
import { startRealVictoriaLogs } from './helpers/victoria-logs/real.ts';
import { startLogTiers, Told } from './helpers/victoria-logs/told.ts';
import { startGate } from './helpers/victoria-metrics.ts';

const OUTAGE_MS = Number(process.env['SLUICE_OUTAGE_SECONDS'] ?? 3) * 1000;

const program = await victoriaLogsProgram();
const skip = program.missing ?? (process.platform === 'linux' ? false : 'there is no /proc');

async function killed(t: TestContext, path: string): Promise<void> {
  const vl = await startRealVictoriaLogs(t, path);
  const gate = await startGate(t);
  await gate.open(vl.url);
  const told = new Told(await startLogTiers(t, gate.url));
  const logs = clientOf(() => vl.url);
  await told.many(50);
  await told.allArrived(logs);

  // Of what it has answered for, it may have the last seconds in memory only; those are lost with it, whoever sends.
  await gate.hold();
  await told.many(50);
  await until(() => gate.waiting > 0, 'a request under way');
  await vl.sync();
  await vl.kill();
  await gate.close();
  const end = performance.now() + OUTAGE_MS;
  while (performance.now() < end) await told.many(20);
  await vl.start();
  await gate.open(vl.url);
  await told.many(50);
  assert.deepEqual(await told.allArrived(logs), []);
}

async function answersLost(t: TestContext, path: string): Promise<void> {
  const vl = await startRealVictoriaLogs(t, path);
  const between = await startLosingAnswers(t, vl.url);
  const told = new Told(await startLogTiers(t, between.url));
  const logs = clientOf(() => vl.url);
  await told.many(20);
  assert.deepEqual(await told.allArrived(logs), []);
  between.lose(3);
  await told.many(200);
  await until(() => between.requests === 3, 'three lost answers');
  await told.many(20);
  const twice = () => told.allArrived(logs);
  const wanted = between.records.filter((text) => told.times.has(text)).sort();
  await until(async () => (await twice()).length >= wanted.length, 'the records of those requests again');
  t.diagnostic(`${wanted.length} records of 3 requests are there twice`);
  assert.ok(wanted.length > 0);
  assert.deepEqual(await twice(), wanted);
}

/** Both mostly wait for retries. */
test('outages of VictoriaLogs', { skip, concurrency: true }, async (t) => {
  assert.ok(program.missing === undefined);
  const { path } = program;
  await Promise.all([
    t.test(`killed and away for ${OUTAGE_MS / 1000} s: nothing is missing, and nothing is there twice`, (t) =>
      killed(t, path),
    ),
    t.test('only the records of requests whose answer was lost are there twice', (t) => answersLost(t, path)),
  ]);
});
