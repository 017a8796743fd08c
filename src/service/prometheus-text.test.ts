import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lost } from '../core/batch.ts';
import { Ledger } from '../core/ledger.ts';
import { type Instrument, TelemetryRegistry } from '../core/telemetry.ts';
import { metricsPage, type PageOptions } from './prometheus-text.ts';

const raw: PageOptions = {
  level: 'detailed',
  typeSuffix: false,
  unitSuffix: false,
  utf8Names: false,
  resource: { 'service.name': 'sluice', 'service.version': '1' },
  constantLabels: {},
};

const page = (
  registry: TelemetryRegistry,
  options: Partial<PageOptions> = {},
  ledgers: [string, Ledger[]][] = [],
): string[] => metricsPage(registry, ledgers, { ...raw, ...options }).split('\n');

test('an empty registry still serves the target and the handler', () => {
  assert.deepEqual(page(new TelemetryRegistry()), [
    '# HELP promhttp_metric_handler_errors_total Total number of internal errors encountered by the promhttp metric handler.',
    '# TYPE promhttp_metric_handler_errors_total counter',
    'promhttp_metric_handler_errors_total{cause="encoding"} 0',
    'promhttp_metric_handler_errors_total{cause="gathering"} 0',
    '# HELP target_info Target metadata',
    '# TYPE target_info gauge',
    'target_info{service_name="sluice",service_version="1"} 1',
    '',
  ]);
});

const names: [Partial<Instrument> & { name: string }, string][] = [
  [{ name: 'otelcol_exporter_sent_log_records', unit: '{records}' }, 'otelcol_exporter_sent_log_records_total'],
  [{ name: 'otelcol_process_uptime', unit: 's' }, 'otelcol_process_uptime_seconds_total'],
  [{ name: 'otelcol_process_cpu_seconds', unit: 's' }, 'otelcol_process_cpu_seconds_total'],
  [{ name: 'otelcol_process_memory_rss', unit: 'By', kind: 'gauge' }, 'otelcol_process_memory_rss_bytes'],
  [
    { name: 'otelcol_process_runtime_total_alloc_bytes', unit: 'By' },
    'otelcol_process_runtime_total_alloc_bytes_total',
  ],
  [{ name: 'otelcol_share', unit: '1', kind: 'gauge' }, 'otelcol_share_ratio'],
  [
    { name: 'otelcol_fileconsumer_open_files', unit: '1', kind: 'gauge', upDown: true },
    'otelcol_fileconsumer_open_files',
  ],
  [{ name: 'otelcol_processor_filter_logs.filtered', unit: '1' }, 'otelcol_processor_filter_logs_filtered_total'],
];
for (const [instrument, suffixed] of names)
  test(`${instrument.name} is served raw, or as ${suffixed}`, () => {
    const registry = new TelemetryRegistry();
    registry.counter({ kind: 'counter', help: '', ...instrument }).add(3);
    assert.ok(page(registry).includes(`${instrument.name.replace('.', '_')} 3`));
    assert.ok(page(registry, { typeSuffix: true, unitSuffix: true }).includes(`${suffixed} 3`));
    assert.ok(page(registry, { unitSuffix: true }).includes(`${suffixed} 3`), 'either one switches both on');
  });

test('histograms have cumulative buckets, sum and count', () => {
  const registry = new TelemetryRegistry();
  const h = registry.histogram({ name: 'h', kind: 'histogram', help: 'H', bounds: [10, 100] }, { processor: 'batch' });
  for (const v of [5, 10, 50, 1000]) h.record(v);
  const lines = page(registry);
  const at = lines.indexOf('# TYPE h histogram');
  assert.deepEqual(lines.slice(at + 1, at + 6), [
    'h_bucket{le="10",processor="batch"} 2',
    'h_bucket{le="100",processor="batch"} 3',
    'h_bucket{le="+Inf",processor="batch"} 4',
    'h_sum{processor="batch"} 1065',
    'h_count{processor="batch"} 4',
  ]);
});

test('labels are sorted and escaped; dots become underscores unless the scraper takes UTF-8 names', () => {
  const registry = new TelemetryRegistry();
  registry.gauge({ name: 'a.b', kind: 'gauge', help: 'line\nbreak' }, { 'otel.signal': 'logs', b: 'x"\\\n' }).set(1);
  assert.ok(page(registry).includes('a_b{b="x\\"\\\\\\n",otel_signal="logs"} 1'));
  assert.ok(page(registry).includes('# HELP a_b line\\nbreak'));
  const utf8 = page(registry, { utf8Names: true });
  assert.ok(utf8.includes('{"a.b",b="x\\"\\\\\\n","otel.signal"="logs"} 1'));
  assert.ok(utf8.includes('# TYPE "a.b" gauge'));
});

test('instruments above the level are not served', () => {
  const registry = new TelemetryRegistry();
  for (const level of ['basic', 'normal', 'detailed'] as const)
    registry.counter({ name: `m_${level}`, kind: 'counter', help: '', level }).add(1);
  const served = (level: PageOptions['level']) => page(registry, { level }).filter((l) => /^m_/.test(l)).length;
  assert.deepEqual([served('basic'), served('normal'), served('detailed')], [1, 2, 3]);
});

test('a reader that throws gives NaN and not a broken page', () => {
  const registry = new TelemetryRegistry();
  registry.observe({ name: 'g', kind: 'gauge', help: '' }, {}, () => {
    throw new Error('gone');
  });
  assert.ok(page(registry).includes('g NaN'));
});

test('ledgers are summed per component and told by outcome and reason, with constant labels', () => {
  const [one, two] = [new Ledger(), new Ledger()];
  one.read(10, 100);
  one.settle(4, 40, { kind: 'delivered' });
  one.settle(1, 10, lost('rejected'));
  two.read(5, 50);
  const lines = page(new TelemetryRegistry(), { constantLabels: { host: 'h' } }, [['file_log', [one, two]]]);
  const values = Object.fromEntries(
    lines.filter((l) => l.startsWith('sluice_ledger')).map((l) => l.split(' ') as [string, string]),
  );
  const key = (unit: string, rest: string) => `sluice_ledger_${unit}{component="file_log",host="h",${rest}}`;
  assert.equal(values[key('records', 'outcome="read"')], '15');
  assert.equal(values[key('bytes', 'outcome="delivered"')], '40');
  assert.equal(values[key('records', 'outcome="in_flight"')], '10');
  assert.equal(values[key('bytes', 'outcome="lost",reason="rejected"')], '10');
});
