/** compat: helm, held against what the chart published for its examples. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { type AgentPresets, append, collection, prepend, type Spec } from './index.ts';

const golden = (name: string): unknown =>
  parse(readFileSync(join(import.meta.dirname, 'testdata/helm', `${name}.yaml`), 'utf8'));

const NONE = { logsCollection: false, kubeletMetrics: false, hostMetrics: false, kubernetesAttributes: false } as const;
const agent = (presets: AgentPresets): Spec => ({ agent: { presets: { ...NONE, ...presets } }, gateway: false });
const debug = { exporters: prepend('otlp') };

const cases: readonly [string, Spec][] = [
  ['daemonset-collector-logs', agent({ logsCollection: { includeCollectorLogs: true } })],
  ['daemonset-hostmetrics', agent({ hostMetrics: true })],
  [
    'daemonset-cluster-metrics',
    {
      namespace: 'default',
      agent: false,
      gateway: { replicas: 2, presets: { kubernetesEvents: false, kubernetesAttributes: false } },
    },
  ],
  [
    'daemonset-and-deployment',
    {
      gateway: false,
      agent: {
        presets: NONE,
        config: {
          exporters: { otlp: { endpoint: 'example-opentelemetry-collector:4317', tls: { insecure: true } } },
          service: { pipelines: { logs: debug, metrics: debug, traces: debug } },
        },
      },
    },
  ],
  ['agent-all', { gateway: false, agent: { presets: { logsCollection: { checkpoints: true } } } }],
  ['gateway-all', { agent: false }],
];
for (const [name, spec] of cases)
  test(`compat: helm makes what the chart makes: ${name}`, () => {
    const { tiers } = collection({ ...spec, compat: 'helm', engine: 'otelcol-contrib' });
    assert.deepEqual(tiers[0]!.config, golden(name));
  });

test('for sluice the same, without the receivers that it does not have', () => {
  const of = (engine: 'sluice' | 'otelcol-contrib') => collection({ compat: 'helm', engine }).tiers[0]!.config;
  const [here, there] = [of('sluice'), of('otelcol-contrib')];
  const missing = Object.keys(there.receivers!).filter((id) => !(id in here.receivers!));
  assert.deepEqual(missing, ['jaeger', 'zipkin']);
  assert.deepEqual(here.service.pipelines['traces']!.receivers, ['otlp']);
  assert.deepEqual({ ...here, receivers: 0, service: 0 }, { ...there, receivers: 0, service: 0 });
});

test('destinations that a spec names take the place of the debug exporter; edits apply as everywhere', () => {
  const { tiers } = collection({
    compat: 'helm',
    gateway: false,
    destinations: { logs: { url: 'http://otel:4318' } },
    agent: { config: { receivers: { filelog: { exclude: append('/x') } } } },
  });
  const { config } = tiers[0]!;
  assert.deepEqual(config.service.pipelines['logs']!.exporters, ['otlp_http/logs']);
  assert.deepEqual(config.service.pipelines['metrics']!.exporters, ['debug']);
  assert.deepEqual((config.receivers!['file_log'] as { exclude: string[] }).exclude, [
    '/var/log/pods/opentelemetry_otel-agent*_*/*/*.log',
    '/x',
  ]);
});
