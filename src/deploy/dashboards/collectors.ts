/** The collectors themselves: what comes in and goes out, what fails, what waits, and what they cost. */
import { type Dashboard, dashboard, row } from './dashboard.ts';
import { bars, lines, NONE_IS_GOOD, type Shown, stat, table, warnAt } from './grafana.ts';
import { CLUSTER, COLLECTOR, variables } from './names.ts';
import { labelVariable } from './variables.ts';

const RATE = '[$__rate_interval]';
const RANGE = '[$__range]';

export const SIGNALS = [
  { name: 'log records', suffix: 'log_records' },
  { name: 'metric points', suffix: 'metric_points' },
  { name: 'spans', suffix: 'spans' },
] as const;

/**
 * One line per label value, zero while nothing failed: counters of failures are made with the first failure, so what goes
 * well gives the lines.
 */
const withZero = (failures: string, good: string, by: string): string =>
  `sum by (${by}) (rate(${failures}{${COLLECTOR}}${RATE})) or sum by (${by}) (rate(${good}{${COLLECTOR}}${RATE})) * 0`;

const queue = `max by (k8s_pod_name, exporter, data_type) (otelcol_exporter_queue_size{${COLLECTOR}} / otelcol_exporter_queue_capacity{${COLLECTOR}})`;
const lost = `sum(increase(sluice_ledger_records{${COLLECTOR},outcome="lost"}${RANGE})) or vector(0)`;
const failed = SIGNALS.map(
  (s) => `(sum(increase(otelcol_exporter_send_failed_${s.suffix}_total{${COLLECTOR}}${RANGE})) or vector(0))`,
).join(' + ');
const refused = SIGNALS.map(
  (s) => `(sum(increase(otelcol_receiver_refused_${s.suffix}_total{${COLLECTOR}}${RANGE})) or vector(0))`,
).join(' + ');

/** Traces are no part of the presets: their lines are there when there are any. */
const flow = (direction: string, title: string, about: string, by: string) =>
  lines({
    title,
    about,
    queries: SIGNALS.map((s) => ({
      expr: `sum by (${by}) (rate(${direction}_${s.suffix}_total{${COLLECTOR}}${RATE})) > 0`,
      legend: `{{${by}}} ${s.name}`,
    })),
  });

const failures = (title: string, about: string, counter: string, good: string, by: string) =>
  lines({
    title,
    about,
    width: 8,
    queries: SIGNALS.map((s) => ({
      expr: withZero(`${counter}_${s.suffix}_total`, `${good}_${s.suffix}_total`, by),
      legend: `{{${by}}} ${s.name}`,
    })),
  });

export const collectors = (shown?: Shown): Dashboard =>
  dashboard(
    {
      uid: 'sluice-collectors',
      title: 'Kubernetes / Collectors',
      about:
        'The collectors themselves: what comes in and goes out, what fails, what waits, what they cost. Needs the preset selfMonitoring.',
      variables: variables(
        labelVariable(
          'collector',
          'Collector',
          `label_values(otelcol_process_uptime_seconds_total{${CLUSTER}}, k8s_pod_name)`,
        ),
      ),
      rows: [
        row('Now', [
          stat({
            title: 'Collectors',
            queries: [{ expr: `count(otelcol_process_uptime_seconds_total{${COLLECTOR}})` }],
          }),
          stat({
            title: 'Records lost',
            about: 'Within the shown time: read, but neither delivered nor filtered out, and given up. Sluice only.',
            decimals: 0,
            queries: [{ expr: lost }],
            thresholds: NONE_IS_GOOD,
          }),
          stat({
            title: 'Not sent',
            about: 'Records, points and spans that exporters gave up within the shown time.',
            decimals: 0,
            queries: [{ expr: failed }],
            thresholds: NONE_IS_GOOD,
          }),
          stat({
            title: 'Refused',
            about:
              'Records, points and spans that receivers did not take within the shown time; whoever sent them may have tried again.',
            decimals: 0,
            queries: [{ expr: refused }],
            thresholds: [{ color: 'green' }, { color: 'orange', from: 1 }],
          }),
          stat({
            title: 'Fullest queue',
            unit: 'percentunit',
            decimals: 0,
            queries: [{ expr: `max(${queue})` }],
            thresholds: warnAt(0.5, 0.8),
          }),
          stat({
            title: 'CPU of all',
            about: 'In cores.',
            decimals: 2,
            queries: [{ expr: `sum(rate(otelcol_process_cpu_seconds_total{${COLLECTOR}}${RATE}))` }],
          }),
        ]),
        row('In and out', [
          flow('otelcol_receiver_accepted', 'Received', 'Per second, by receiver.', 'receiver'),
          flow('otelcol_exporter_sent', 'Sent', 'Per second, by exporter.', 'exporter'),
        ]),
        row('What fails', [
          failures(
            'Not sent',
            'Per second: tried, and given up.',
            'otelcol_exporter_send_failed',
            'otelcol_exporter_sent',
            'exporter',
          ),
          failures(
            'Queue full',
            'Per second: not taken, because the queue was full.',
            'otelcol_exporter_enqueue_failed',
            'otelcol_exporter_sent',
            'exporter',
          ),
          failures(
            'Refused',
            'Per second: what receivers could not give on.',
            'otelcol_receiver_refused',
            'otelcol_receiver_accepted',
            'receiver',
          ),
          lines({
            title: 'Queues',
            about: 'How full they are. Queues of logs from files wait with reading instead of losing.',
            unit: 'percentunit',
            max: 1,
            decimals: 0,
            hasThresholdLines: true,
            thresholds: warnAt(0.5, 0.8),
            queries: [{ expr: queue, legend: '{{k8s_pod_name}} {{exporter}} {{data_type}}' }],
          }),
          lines({
            title: 'Scrapes with errors',
            about: 'Points per second that could not be measured.',
            queries: [
              {
                expr: `sum by (k8s_pod_name, receiver, scraper) (rate(otelcol_scraper_errored_metric_points_total{${COLLECTOR}}${RATE}))`,
                legend: '{{k8s_pod_name}} {{receiver}} {{scraper}}',
              },
            ],
          }),
        ]),
        row('The account of logs', [
          lines({
            title: 'What became of the bytes that were read',
            about: 'Per second. Read = delivered + queued + filtered + lost + in flight. Sluice only.',
            unit: 'Bps',
            queries: [
              {
                expr: `sum by (outcome) (rate(sluice_ledger_bytes{${COLLECTOR},outcome!~"in_flight|queued"}${RATE}))`,
                legend: '{{outcome}}',
              },
            ],
            colors: { read: 'blue', delivered: 'green', filtered: 'text', lost: 'red' },
          }),
          lines({
            title: 'Under way',
            about: 'Read, and not yet in the hands of the destination: in memory, or on disk (queued).',
            unit: 'bytes',
            queries: [
              {
                expr: `sum by (k8s_pod_name, outcome) (sluice_ledger_bytes{${COLLECTOR},outcome=~"in_flight|queued"})`,
                legend: '{{k8s_pod_name}} {{outcome}}',
              },
            ],
          }),
        ]),
        row('What they cost', [
          lines({
            title: 'CPU',
            about: 'In cores.',
            queries: [
              {
                expr: `sum by (k8s_pod_name) (rate(otelcol_process_cpu_seconds_total{${COLLECTOR}}${RATE}))`,
                legend: '{{k8s_pod_name}}',
              },
            ],
          }),
          lines({
            title: 'Memory',
            unit: 'bytes',
            queries: [
              {
                expr: `max by (k8s_pod_name) (otelcol_process_memory_rss_bytes{${COLLECTOR}})`,
                legend: '{{k8s_pod_name}}',
              },
            ],
          }),
          bars({
            title: 'Series behind remote write',
            about: 'Label sets that are kept ready, by collector. Sluice only.',
            decimals: 0,
            queries: [
              {
                expr: `topk(15, sum by (k8s_pod_name) (sluice_remote_write_label_cache_series{${COLLECTOR}}))`,
                legend: '{{k8s_pod_name}}',
              },
            ],
          }),
          table({
            title: 'Collectors',
            width: 12,
            height: 8,
            labels: { k8s_pod_name: 'Collector' },
            sortBy: 'Memory',
            columns: [
              {
                title: 'Running for',
                unit: 's',
                decimals: 0,
                query: { expr: `max by (k8s_pod_name) (otelcol_process_uptime_seconds_total{${COLLECTOR}})` },
              },
              {
                title: 'CPU',
                decimals: 3,
                query: { expr: `sum by (k8s_pod_name) (rate(otelcol_process_cpu_seconds_total{${COLLECTOR}}${RATE}))` },
              },
              {
                title: 'Memory',
                unit: 'bytes',
                decimals: 0,
                query: { expr: `max by (k8s_pod_name) (otelcol_process_memory_rss_bytes{${COLLECTOR}})` },
              },
            ],
          }),
        ]),
      ],
    },
    shown,
  );
