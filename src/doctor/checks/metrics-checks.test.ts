import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { deploy, findings, serve, startCluster, told } from '../testing.ts';
import { delivery } from './delivery.ts';
import { metadata } from './metadata.ts';
import { rotation } from './rotation.ts';

const metricsOf = (lines: readonly string[]): string => `# HELP x y\n# TYPE x counter\n${lines.join('\n')}\n`;

async function withMetrics(t: TestContext, lines: readonly string[]) {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  cluster.texts.set('/api/v1/namespaces/opentelemetry/pods/otel-agent-worker-1:8888/proxy/metrics', metricsOf(lines));
  return cluster.url;
}

test('delivery: by the counters of the collectors, with and without suffixes', async (t) => {
  const table: [string[], string][] = [
    [['otelcol_exporter_sent_log_records{exporter="a"} 100'], 'ok: what is collected is delivered'],
    [
      [
        'otelcol_exporter_sent_log_records_total{exporter="a"} 100',
        'otelcol_exporter_send_failed_log_records_total{exporter="a"} 100',
      ],
      'failure: a fails often',
    ],
    [
      [
        'otelcol_exporter_sent_log_records{exporter="a"} 1000',
        'otelcol_exporter_send_failed_log_records{exporter="a"} 1',
      ],
      'warning: a has failed at times',
    ],
    [['otelcol_exporter_send_failed_metric_points{exporter="rw"} 7'], 'failure: rw has delivered nothing'],
    [
      [
        'otelcol_exporter_queue_size{exporter="a",data_type="logs"} 900',
        'otelcol_exporter_queue_capacity{exporter="a",data_type="logs"} 1000',
      ],
      'failure: the queue of a is nearly full',
    ],
    [
      ['otelcol_exporter_enqueue_failed_log_records{exporter="a"} 3'],
      'failure: records found no room in the queue of a',
    ],
    [['otelcol_receiver_refused_log_records{receiver="otlp"} 3'], 'warning: otlp was refused records by what follows'],
    [
      ['otelcol_scraper_errored_metric_points{receiver="hostmetrics",scraper="disk"} 2'],
      'warning: hostmetrics cannot read some of its metrics',
    ],
    [['otelcol_process_uptime 3'], 'ok: nothing was sent yet, and nothing failed'],
    [['otelcol_process_uptime_seconds_total 300'], 'warning: nothing was sent yet'],
    [
      ['otelcol_process_uptime 300', 'otelcol_receiver_accepted_log_records{receiver="file_log"} 3'],
      'warning: records were taken in, and none was sent',
    ],
  ];
  for (const [lines, what] of table)
    assert.deepEqual(told(await findings(delivery, await withMetrics(t, lines))), [what], lines.join());
});

test('rotation and losses: by the ledger', async (t) => {
  const ledger = [
    'sluice_ledger_records{component="file_log",outcome="read"} 1000',
    'sluice_ledger_records{component="file_log",outcome="lost",reason="rejected: 400"} 5',
    'sluice_ledger_bytes{component="file_log",outcome="lost",reason="rejected: 400"} 500',
    'sluice_ledger_bytes{component="file_log",outcome="lost",reason="deleted before it was read"} 123',
  ];
  const found = await findings(rotation, await withMetrics(t, ledger));
  assert.deepEqual(told(found), [
    'failure: records were lost: rejected: 400',
    'failure: 123 bytes were rotated away before they were read',
  ]);
  assert.match(found[1]!.fix!, /containerLogMaxSize/);
  assert.deepEqual(told(await findings(rotation, await withMetrics(t, ledger.slice(0, 1)))), ['ok: nothing was lost']);
});

test('metadata: records without a pod, by reason', async (t) => {
  const unmatched = (reason: string, n: number) =>
    `sluice_processor_k8s_attributes_unmatched_records{otelcol_signal="logs",reason="${reason}"} ${n}`;
  const accepted = 'otelcol_receiver_accepted_log_records{receiver="file_log"} 1000';
  const table: [string[], string[]][] = [
    [[accepted, unmatched('unknown pod', 500)], ['failure: records have no metadata of their pod (unknown pod)']],
    [[accepted, unmatched('no association', 2)], ['warning: records have no metadata of their pod (no association)']],
    [
      [accepted, unmatched('excluded pod', 900), 'otelcol_k8s_pod_association{status="success"} 3'],
      ['ok: records have the metadata of their pods'],
    ],
    [['otelcol_k8s_pod_association{status="error"} 3'], ['warning: some resources found no pod']],
    [[accepted, unmatched('no association', 900).replace('logs', 'metrics')], []],
    [[accepted], []],
  ];
  for (const [lines, what] of table)
    assert.deepEqual(told(await findings(metadata, await withMetrics(t, lines))), what, lines.join());
});

test('metrics that cannot be had are unknown, with what would make them visible', async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  const [found, ...more] = await findings(delivery, cluster.url);
  assert.deepEqual(
    [told([found!]), more],
    [['unknown: what was delivered, lost or sent without metadata cannot be looked at'], []],
  );
  assert.match(found!.how, /otel-agent-worker-1/);
  assert.equal(found!.fix, 'kubectl exec -n opentelemetry daemonset/otel-agent -- sluice doctor');
  // It is said once.
  for (const check of [rotation, metadata]) assert.deepEqual(await findings(check, cluster.url), []);
});

test('metrics: inside, from the address of the configuration', async (t) => {
  const url = await serve(t, (req, res) =>
    res.end(req.url === '/metrics' ? metricsOf(['otelcol_exporter_sent_log_records{exporter="a"} 5']) : ''),
  );
  const config = `receivers: {otlp: {protocols: {http: {}}}}\nexporters: {debug: }\nservice: {telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: ${new URL(url).port}}}}}]}}, pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}`;
  assert.deepEqual(told(await findings(delivery, undefined, { isInside: true, config })), [
    'ok: what is collected is delivered',
  ]);
  const [none] = await findings(delivery, undefined, {
    isInside: true,
    config: config.replace(/port: \d+/, 'port: 1'),
  });
  assert.match(none!.how, /GET http:\/\/localhost:1\/metrics: .*does the collector run\?/);
});
