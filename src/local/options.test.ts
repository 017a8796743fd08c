import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { agentConfig, MARK } from './agent-config.ts';
import { parseOptions, UsageError } from './options.ts';

test('the command line is read, and mistakes are told', () => {
  assert.deepEqual(parseOptions([]), {
    linesPerSecond: 300,
    isReal: false,
    port: 9428,
    state: undefined,
    forMs: undefined,
  });
  assert.deepEqual(parseOptions(['--rate', '1000', '--port=0', '--state', '/x', '--for', '1m30s', '--real']), {
    linesPerSecond: 1000,
    isReal: true,
    port: 0,
    state: '/x',
    forMs: 90_000,
  });
  assert.equal(parseOptions(['-h']), 'help');
  for (const args of [
    ['--rate', 'x'],
    ['--rate', '0'],
    ['--rate', '1.5'],
    ['--port', '70000'],
    ['--for', 'soon'],
    ['--for', '-5s'],
    ['--for', '0'],
    ['--colour'],
    ['word'],
    ['--rate'],
  ])
    assert.throws(() => parseOptions(args), UsageError, args.join(' '));
});

test('the agent configuration is YAML that says what was asked, also for odd paths', () => {
  const options = {
    path: '/s/agent.yaml',
    pods: '/tmp/a "b": c/pods',
    storage: '/s/storage',
    storeUrl: 'http://127.0.0.1:9428',
    metricsPort: 1,
    healthPort: 2,
    startAt: 'beginning',
    hasHostMetrics: true,
  } as const;
  const text = agentConfig(options);
  assert.ok(text.startsWith(MARK));
  const config = parse(text) as {
    receivers: { file_log: { include: string[] } };
    exporters: { otlp_http: { logs_endpoint: string }; prometheus_remote_write: { endpoint: string } };
    service: { pipelines: object };
  };
  assert.equal(config.receivers.file_log.include[0], '/tmp/a "b": c/pods/*/*/*.log');
  assert.equal(config.exporters.otlp_http.logs_endpoint, 'http://127.0.0.1:9428/insert/opentelemetry/v1/logs');
  assert.equal(
    config.exporters.prometheus_remote_write.endpoint,
    'http://127.0.0.1:9428/insert/0/prometheus/api/v1/write',
  );
  assert.deepEqual(Object.keys(config.service.pipelines), ['logs', 'metrics']);
  const without = agentConfig({ ...options, hasHostMetrics: false });
  const { service } = parse(without) as typeof config;
  assert.deepEqual(Object.keys(service.pipelines), ['logs']);
  assert.doesNotMatch(without, /metric_|host_metrics|remote_write|resource_detection|\n\n\n/);
  assert.doesNotMatch(text, /\n\n\n/);
});
