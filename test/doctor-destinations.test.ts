/** Doctor's empty requests against destinations that are real: the right path is fine, a wrong one is told, and nothing is stored. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { destinations } from '../src/doctor/checks/destinations.ts';
import { findings, told } from '../src/doctor/testing.ts';
import { startVictoriaLogs } from './helpers/victoria-logs.ts';
import { startVictoriaMetrics, victoriaMetricsProgram } from './helpers/victoria-metrics.ts';

const program = await victoriaMetricsProgram();

const config = (exporter: string, signal: string): string =>
  `receivers: {otlp: {protocols: {http: {}}}}\nexporters: {${exporter}}\nservice: {telemetry: {metrics: {level: none}}, pipelines: {${signal}: {receivers: [otlp], exporters: [${exporter.split(':')[0]}]}}}`;

test('VictoriaMetrics', { skip: program.missing ?? false }, async (t) => {
  const vm = await startVictoriaMetrics(t, program);
  const ask = async (endpoint: string) =>
    told(
      await findings(destinations, undefined, {
        config: config(`prometheus_remote_write: {endpoint: "${endpoint}"}`, 'metrics'),
      }),
    );
  assert.deepEqual(await ask(vm.writeUrl), [`ok: prometheus_remote_write of the collector reaches ${vm.writeUrl}`]);
  const wrong = `${vm.url}/insert/0/nothing/write`;
  assert.deepEqual(await ask(wrong), [
    `failure: nothing takes data at ${wrong} (prometheus_remote_write of the collector)`,
  ]);
  await vm.sync();
  assert.deepEqual(await vm.stored('{__name__=~".+"}'), []);
});

test('VictoriaLogs', async (t) => {
  const vl = await startVictoriaLogs(t);
  const endpoint = `${vl.url}/insert/opentelemetry`;
  const found = await findings(destinations, undefined, {
    config: config(`otlp_http: {endpoint: "${endpoint}"}`, 'logs'),
  });
  assert.deepEqual(told(found), [`ok: otlp_http of the collector reaches ${endpoint}/v1/logs`]);
  assert.deepEqual(await vl.query('*'), []);
});
