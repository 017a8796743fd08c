/** The agent with a pipeline of metrics: OTLP and the host in, remote write out. */
import type { TestContext } from 'node:test';
import { type Agent, READY, startWith } from './agent.ts';
import type { Json } from './metric-points.ts';

/** Those whose series stay. */
export const SCRAPERS = {
  cpu: null,
  memory: null,
  disk: null,
  network: null,
  filesystem: null,
  load: null,
  paging: null,
};

export interface Parts {
  readonly otlpPort?: number;
  readonly hostMetrics?: Json;
  readonly processors?: Json;
  readonly exporters: Json;
  readonly extensions?: Json;
}

/** YAML, as JSON is. */
function config(c: Parts): string {
  const receivers: Json = {};
  if (c.otlpPort) receivers['otlp'] = { protocols: { http: { endpoint: `127.0.0.1:${c.otlpPort}` } } };
  if (c.hostMetrics)
    receivers['host_metrics'] = { initial_delay: '0s', collection_interval: '200ms', ...c.hostMetrics };
  const { processors = {}, exporters, extensions = {} } = c;
  const keys = (o: Json): string[] => Object.keys(o);
  const metrics = { receivers: keys(receivers), processors: keys(processors), exporters: keys(exporters) };
  return JSON.stringify({
    receivers,
    processors,
    exporters,
    extensions,
    service: { telemetry: { metrics: { level: 'none' } }, extensions: keys(extensions), pipelines: { metrics } },
  });
}

export const remoteWrite = (url: string, more: Json = {}): Json => ({
  prometheus_remote_write: {
    endpoint: `${url}/api/v1/write`,
    retry_on_failure: { initial_interval: '50ms', max_interval: '500ms' },
    ...more,
  },
});

export async function startMetricsAgent(t: TestContext, dir: string, c: Parts): Promise<Agent> {
  const agent = startWith(t, dir, config(c));
  await agent.says(READY);
  return agent;
}
