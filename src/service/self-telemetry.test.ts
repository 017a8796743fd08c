import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { ConfigError } from '../core/errors.ts';
import { TelemetryRegistry } from '../core/telemetry.ts';
import { telemetrySchema } from './config/telemetry.ts';
import { observeProcess, serveMetrics } from './self-telemetry.ts';

const options = (metrics: object) => ({
  config: telemetrySchema.parse({ metrics }).metrics,
  resource: { 'service.name': 'sluice', 'k8s.pod.name': 'p' },
  registry: new TelemetryRegistry(),
  ledgers: () => [],
});
const reader = (prometheus: object) => ({ readers: [{ pull: { exporter: { prometheus } } }] });

test('the page is served on /metrics only, with raw names when the flags say so', async (t) => {
  const o = options(
    reader({
      host: '127.0.0.1',
      port: 0,
      without_type_suffix: true,
      without_units: true,
      with_resource_constant_labels: { included: ['k8s.*'] },
    }),
  );
  observeProcess(o.registry, SYSTEM_CLOCK);
  const servers = await serveMetrics(o);
  t.after(() => servers.stop());
  const root = `http://127.0.0.1:${servers.ports[0]}`;
  const res = await fetch(`${root}/metrics`);
  assert.equal(res.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores');
  const text = await res.text();
  assert.match(text, /^otelcol_process_uptime\{k8s_pod_name="p"} \d/m);
  for (const name of [
    'cpu_seconds',
    'memory_rss',
    'runtime_heap_alloc_bytes',
    'runtime_total_alloc_bytes',
    'runtime_total_sys_memory_bytes',
  ])
    assert.match(text, new RegExp(`^otelcol_process_${name}\\{[^}]*} \\d`, 'm'));
  const other = await fetch(`${root}/`);
  assert.equal(other.status, 404);
  const utf8 = await fetch(`${root}/metrics`, { headers: { accept: 'text/plain;version=1.0.0;escaping=allow-utf-8' } });
  assert.match(utf8.headers.get('content-type')!, /escaping=allow-utf-8/);
  assert.match(await utf8.text(), /target_info\{"k8s\.pod\.name"="p"/);
});

test('a reader that is written out without flags serves suffixes, the default reader does not', async (t) => {
  const defaults = telemetrySchema.parse({}).metrics.readers[0]!.pull!.exporter.prometheus;
  assert.deepEqual([defaults.without_type_suffix, defaults.without_units, defaults.port], [true, true, 8888]);
  const o = options(reader({ host: '127.0.0.1', port: 0 }));
  observeProcess(o.registry, SYSTEM_CLOCK);
  const servers = await serveMetrics(o);
  t.after(() => servers.stop());
  assert.match(
    await (await fetch(`http://127.0.0.1:${servers.ports[0]}/metrics`)).text(),
    /^otelcol_process_uptime_seconds_total \d/m,
  );
});

test('a port that is taken is a clear error, and servers that had started are closed', async (t) => {
  const first = await serveMetrics(options(reader({ host: '127.0.0.1', port: 0 })));
  t.after(() => first.stop());
  const port = first.ports[0]!;
  await assert.rejects(serveMetrics(options(reader({ host: '127.0.0.1', port }))), (e) => {
    assert.ok(e instanceof ConfigError);
    assert.equal(
      e.message,
      `binding address 127.0.0.1:${port} for Prometheus exporter: listen tcp 127.0.0.1:${port}: bind: address already in use`,
    );
    return true;
  });
});

test('level none serves nothing', async () => {
  const servers = await serveMetrics(options({ level: 'none' }));
  assert.deepEqual(servers.ports, []);
  await servers.stop();
});
