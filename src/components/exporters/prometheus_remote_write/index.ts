/** prometheus_remote_write: sends metrics to Prometheus, VictoriaMetrics and whatever else speaks remote write. */
import * as z from 'zod';
import { defineExporter } from '../../../core/component.ts';
import { EXPORTER_INSTRUMENTS } from '../../../core/queue-telemetry.ts';
import {
  byteSize,
  checkHttpClient,
  duration,
  httpClientShape,
  retryOnFailure,
  section,
  stringList,
} from '../../../core/schema.ts';
import { INSTRUMENTS } from './instruments.ts';
import { STRATEGIES } from './naming.ts';

const clientShape = () => ({
  ...httpClientShape('5s', 'snappy'),
  compression: z
    .enum(['', 'snappy', 'zstd'], { error: 'compression type must be snappy, or zstd for VictoriaMetrics' })
    .default('snappy')
    .describe(
      "How bodies are packed. zstd is VictoriaMetrics' variant of the protocol: smaller; when the server refuses it, snappy is used from then on",
    ),
  timeout: duration().optional().describe('Longest time for one attempt, the answer included; 0: none. 5s by default'),
});

const globs = (what: string) =>
  stringList()
    .default([])
    .describe(`Resource attributes ${what}; \`*\` and \`?\` stand for any text and any character`);

const RESERVED_HEADERS = [
  'content-encoding',
  'content-type',
  'user-agent',
  'x-prometheus-remote-write-version',
  'x-victoriametrics-remote-write-version',
];

const schema = z
  .strictObject({
    ...clientShape(),
    endpoint: z
      .string()
      .default('')
      .describe('URL that takes remote write, e.g. http://vminsert:8480/insert/0/prometheus/api/v1/write'),
    http: section(
      z.strictObject(clientShape()).superRefine((c, ctx) => checkHttpClient({ ...c, timeout: c.timeout ?? 0 }, ctx)),
    )
      .optional()
      .describe('The same client settings in a block of their own; when it is there, those beside it do not count'),
    namespace: z.string().default('').describe('Put before every metric name, with an underscore'),
    external_labels: z
      .record(z.string(), z.string())
      .default({})
      .describe('Labels for every series that has none of that name'),
    remote_write_queue: section(
      z.strictObject({
        enabled: z.boolean().default(true).describe('Take data at once and send it in the background'),
        queue_size: z.int().min(0).default(10_000).describe('Batches that may wait'),
        num_consumers: z
          .int()
          .min(0)
          .optional()
          .describe(
            'Requests of one batch that are sent at the same time, 5 by default. With the gate EnableMultipleWorkers: batches that are sent at the same time, 1 by default; every series stays in order',
          ),
        storage: z
          .string()
          .nullish()
          .describe('Id of a storage extension: the queue then survives restarts (not in otelcol)'),
      }),
    )
      .prefault({})
      .describe('Holds data until it is sent'),
    max_batch_request_parallelism: z
      .int()
      .min(1)
      .optional()
      .describe('Requests of one batch at the same time; wins over num_consumers'),
    max_batch_size_bytes: z
      .int()
      .min(0)
      .default(3_000_000)
      .transform((n) => n || 3_000_000)
      .describe('Largest request, before it is packed'),
    retry_on_failure: retryOnFailure('50ms').describe('What happens after errors that may pass: status 5xx, no answer'),
    retry_on_http_429: z
      .boolean()
      .default(false)
      .describe(
        'Also try again after status 429, as vmauth and Mimir answer when there is too much at once; Retry-After is honoured up to max_interval (not in otelcol, which has the gate RetryOn429)',
      ),
    resource_to_telemetry_conversion: section(
      z.strictObject({
        enabled: z.boolean().default(false).describe('All resource attributes become labels of every series'),
        exclude_service_attributes: z
          .boolean()
          .default(false)
          .describe('But service.name, service.namespace and service.instance.id, which are job and instance'),
      }),
    )
      .prefault({})
      .describe('Deprecated: resource_constant_labels, promote_resource_attributes'),
    resource_constant_labels: section(
      z.strictObject({
        included: globs('that become labels'),
        excluded: globs('that do not; alone, all others do'),
      }),
    )
      .optional()
      .describe('Which resource attributes become labels of every series'),
    promote_resource_attributes: globs(
      'that become labels of every series, e.g. [k8s.namespace.name, k8s.pod.name]. Every attribute more is more series (not in otelcol)',
    ),
    target_info: section(
      z.strictObject({ enabled: z.boolean().default(true).describe('Send target_info: one series per resource') }),
    )
      .prefault({})
      .describe('The series that carries resource attributes'),
    disable_scope_info: z
      .boolean()
      .default(false)
      .describe('No labels otel_scope_name, otel_scope_version, otel_scope_*'),
    add_metric_suffixes: z.boolean().default(true).describe('Deprecated: translation_strategy'),
    translation_strategy: z
      .enum(['', ...STRATEGIES])
      .default('')
      .describe('How names are made; empty: by add_metric_suffixes. The two without escaping need protobuf_message 2'),
    send_metadata: z
      .boolean()
      .default(false)
      .describe('Also send type, help and unit of metrics, in requests of their own'),
    protobuf_message: z
      .enum(['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'])
      .default('prometheus.WriteRequest')
      .describe('Version 1 or 2 of remote write; 2 needs the gate enableSendingRW2'),
    include_metadata_keys: stringList().default([]).describe('Client metadata that is passed on as request headers'),
    convert_explicit_histograms_to_nhcb: z
      .boolean()
      .default(false)
      .describe('Send histograms as native ones with custom buckets'),
    keep_classic_histograms: z.boolean().default(false).describe('And still as classic series besides'),
    delta_to_cumulative: section(
      z.strictObject({
        enabled: z
          .boolean()
          .default(false)
          .describe('Add up sums and histograms of delta temporality; else they are dropped'),
        max_stale: duration().prefault('5m').describe('Forget a total for which nothing came so long'),
        max_streams: z.int().min(1).default(100_000).describe('Most totals; points of further streams are dropped'),
      }),
    )
      .prefault({})
      .describe('Prometheus has no deltas (not in otelcol)'),
    label_cache_size: byteSize()
      .prefault('128MiB')
      .describe('Memory for label sets that were made before; beyond it they are made anew (not in otelcol)'),
    wal: section(
      z.strictObject({
        directory: z
          .string()
          .min(1, { error: 'directory must be specified' })
          .describe('Folder; it is made when it is missing'),
        buffer_size: z
          .int()
          .min(0)
          .default(300)
          .describe('Accepted without effect: every batch is sent as soon as it can be'),
        truncate_frequency: duration()
          .prefault('1m')
          .describe('Accepted without effect: what was sent leaves the file at once'),
        lag_record_frequency: duration()
          .prefault('15s')
          .describe('Accepted without effect: the lag is read when it is asked for'),
      }),
    )
      .optional()
      .describe('Keep data on disk until it is sent: the queue survives restarts and kill -9'),
  })
  .superRefine((c, ctx) => {
    const issue = (path: string, message: string) => ctx.addIssue({ code: 'custom', path: [path], message });
    const own = { ...c, ...(c.http ?? {}) };
    if (!c.http) checkHttpClient({ ...c, timeout: c.timeout ?? 0 }, ctx);
    const endpoint = c.http?.endpoint || c.endpoint;
    if (!/^https?:\/\/./i.test(endpoint) || !URL.canParse(endpoint))
      issue('endpoint', 'invalid endpoint: must be a URL that begins with http:// or https://');
    const queue = c.remote_write_queue;
    if (queue.enabled && queue.queue_size === 0)
      ctx.addIssue({
        code: 'custom',
        path: ['remote_write_queue', 'queue_size'],
        message: 'a 0 size queue will drop all the data',
      });
    if (c.wal && queue.storage) issue('wal', 'cannot use both wal and remote_write_queue.storage');
    if (c.resource_constant_labels && c.resource_to_telemetry_conversion.enabled)
      issue(
        'resource_constant_labels',
        'cannot use both resource_constant_labels and resource_to_telemetry_conversion',
      );
    for (const [k, v] of Object.entries(c.external_labels))
      if (k === '' || v === '')
        issue(
          'external_labels',
          `prometheus remote write: external labels configuration contains an empty key or value`,
        );
    const is2 = c.protobuf_message === 'io.prometheus.write.v2.Request';
    if (!is2 && (c.translation_strategy === 'NoTranslation' || c.translation_strategy === 'NoUTF8EscapingWithSuffixes'))
      issue(
        'translation_strategy',
        `translation_strategy ${c.translation_strategy} needs protobuf_message io.prometheus.write.v2.Request`,
      );
    if (is2 && own.compression === 'zstd')
      issue('compression', 'zstd is a variant of version 1: it cannot be used with io.prometheus.write.v2.Request');
    for (const key of c.include_metadata_keys)
      if (RESERVED_HEADERS.includes(key.toLowerCase()))
        issue(
          'include_metadata_keys',
          `header ${JSON.stringify(key)} is set by the exporter and cannot come from client metadata`,
        );
  });
export type RemoteWriteConfig = z.output<typeof schema>;

export default defineExporter({
  id: 'prometheus_remote_write',
  aliases: ['prometheusremotewrite'],
  summary: 'Sends metrics as Prometheus remote write, version 1 or 2, or in the variant of VictoriaMetrics.',
  stability: 'stable',
  signals: ['metrics'],
  schema,
  telemetry: [...EXPORTER_INSTRUMENTS, ...Object.values(INSTRUMENTS)],
  create: async (config, ctx) => (await import('./exporter.ts')).createRemoteWriteExporter(config, ctx),
});
