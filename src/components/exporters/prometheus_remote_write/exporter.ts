/** Puts the exporter together: queue → translation → requests in shards → answers. */
import type { Batch } from '../../../core/batch.ts';
import type { Exporter, ExporterContext } from '../../../core/component.ts';
import { ConfigError } from '../../../core/errors.ts';
import { createHttpClient } from '../../../core/http-client.ts';
import { type LogFields, RateLimit } from '../../../core/log.ts';
import { createDelivery } from '../../../core/queue.ts';
import { createRetry, LOG_INTERVAL_MS } from '../../../core/retry.ts';
import type { HttpClientConfig, QueueConfig } from '../../../core/schema.ts';
import { describeLabels, type Label } from '../../../wire/remote-write.ts';
import { DeltaTotals } from './delta.ts';
import type { RemoteWriteConfig } from './index.ts';
import { INSTRUMENTS } from './instruments.ts';
import { isServiceAttribute, type LabelRules, labelNames } from './labels.ts';
import type { Losses } from './losses.ts';
import { labelName, type TranslationStrategy } from './naming.ts';
import { Push } from './push.ts';
import { RequestSender } from './request-sender.ts';
import { RequestWriter } from './request-writer.ts';
import { Shards } from './shards.ts';
import { Translator } from './translate.ts';

const GATE = 'exporter.prometheusremotewritexporter.';
const RW2 = 'io.prometheus.write.v2.Request';
const WAL_ID = 'wal of the exporter';
const DEFAULT_PARALLELISM = 5;

const endpointOf = (config: RemoteWriteConfig): string => config.http?.endpoint || config.endpoint;

/** `*` and `?` as in resource_constant_labels. */
function globMatcher(patterns: readonly string[]): (name: string) => boolean {
  const all = patterns.map((p) => {
    const source = p
      .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    return new RegExp(`^${source}$`, 's');
  });
  return (name) => all.some((re) => re.test(name));
}

/** Which resource attributes become labels. */
export function promotion(config: RemoteWriteConfig): LabelRules['promote'] {
  const listed = globMatcher(config.promote_resource_attributes);
  const { enabled, exclude_service_attributes } = config.resource_to_telemetry_conversion;
  if (enabled) return (name) => !exclude_service_attributes || !isServiceAttribute(name) || listed(name);
  const constant = config.resource_constant_labels;
  if (!constant) return config.promote_resource_attributes.length > 0 ? listed : () => false;
  const included = globMatcher(constant.included);
  const excluded = globMatcher(constant.excluded);
  const all = constant.included.length === 0 && constant.excluded.length > 0;
  return (name) => listed(name) || ((all || included(name)) && !excluded(name));
}

export function strategyOf(config: RemoteWriteConfig): TranslationStrategy {
  if (config.translation_strategy !== '') return config.translation_strategy;
  return config.add_metric_suffixes ? 'UnderscoreEscapingWithSuffixes' : 'UnderscoreEscapingWithoutSuffixes';
}

function externalLabels(config: RemoteWriteConfig, utf8: boolean): Map<string, string> {
  const out = new Map<string, string>();
  for (const [k, v] of Object.entries(config.external_labels)) {
    const name = labelName(k, utf8);
    if (name === undefined) throw new ConfigError(`external_labels: ${JSON.stringify(k)} cannot be a label name`);
    out.set(name, v);
  }
  return out;
}

export function clientConfig(config: RemoteWriteConfig): HttpClientConfig {
  const client = config.http ?? config;
  const timeout = client.timeout ?? config.timeout ?? 5000;
  return { ...client, endpoint: endpointOf(config), timeout };
}

function queueConfig(config: RemoteWriteConfig, consumers: number): QueueConfig {
  const { enabled, queue_size, storage } = config.remote_write_queue;
  return {
    enabled: enabled || config.wal !== undefined,
    num_consumers: consumers,
    queue_size: Math.max(1, queue_size),
    sizer: 'requests',
    block_on_overflow: false,
    wait_for_result: false,
    storage: config.wal ? WAL_ID : storage,
    batch: undefined,
  };
}

export async function createRemoteWriteExporter(config: RemoteWriteConfig, ctx: ExporterContext): Promise<Exporter> {
  const { log, clock, telemetry } = ctx;
  const isOn = (gate: string) => ctx.gates?.get(GATE + gate) === true;
  if (config.protobuf_message === RW2 && !isOn('enableSendingRW2'))
    throw new ConfigError(
      `protobuf_message ${RW2} needs the feature gate ${GATE}enableSendingRW2 (--feature-gates=${GATE}enableSendingRW2)`,
    );
  if (!config.add_metric_suffixes)
    log.warn("'add_metric_suffixes' is deprecated; use translation_strategy: UnderscoreEscapingWithoutSuffixes");
  const protocol = config.protobuf_message === RW2 ? 2 : 1;
  const manyBatches = isOn('EnableMultipleWorkers');
  const consumers = manyBatches ? Math.max(1, config.remote_write_queue.num_consumers ?? 1) : 1;
  const parallelism =
    config.max_batch_request_parallelism ??
    (manyBatches ? DEFAULT_PARALLELISM : Math.max(1, config.remote_write_queue.num_consumers ?? DEFAULT_PARALLELISM));
  const strategy = strategyOf(config);
  const utf8 = strategy === 'NoTranslation' || strategy === 'NoUTF8EscapingWithSuffixes';
  const url = new URL(endpointOf(config));
  const labels = { exporter: ctx.id, endpoint: withoutSecrets(url) };
  const counter = (name: keyof typeof INSTRUMENTS, more = {}) =>
    telemetry.counter(INSTRUMENTS[name], { ...labels, ...more });
  const limit = new RateLimit(LOG_INTERVAL_MS, () => clock.monotonicMs());
  const warn = (key: string, message: string, fields: LogFields) => {
    const held = limit.pass(key);
    if (held !== undefined) log.warn(message, { ...fields, ...(held > 0 ? { held_back: held } : {}) });
  };

  const onCollision = (series: Label[], streams: readonly [string, string]) => {
    const text = describeLabels(series);
    warn(`collision ${text}`, 'remote_write: two streams have the same labels, their samples are mixed', {
      series: text,
      first: streams[0],
      second: streams[1],
    });
  };
  const delta = config.delta_to_cumulative.enabled ? new DeltaTotals(config.delta_to_cumulative, clock) : undefined;
  const translator = new Translator({
    protocol,
    naming: { strategy, namespace: config.namespace },
    labels: {
      name: labelNames(utf8),
      promote: promotion(config),
      externalLabels: externalLabels(config, utf8),
      scopeInfo: !config.disable_scope_info,
    },
    targetInfo: config.target_info.enabled,
    metadata: config.send_metadata || protocol === 2,
    nativeExplicit: config.convert_explicit_histograms_to_nhcb,
    classicExplicit: !config.convert_explicit_histograms_to_nhcb || config.keep_classic_histograms,
    delta,
    cacheBytes: config.label_cache_size,
    onCollision,
  });
  const writer = new RequestWriter({
    protocol,
    maxBytes: config.max_batch_size_bytes,
    symbols: translator.symbols,
    cache: translator.cache,
    metric: translator.metric,
  });
  const stopping = new AbortController();
  const cut = new AbortController();
  const client = createHttpClient(clientConfig(config), { clock });
  const sender = new RequestSender({
    ctx,
    url,
    client,
    protocol,
    encoding: (config.http ?? config).compression === 'zstd' ? 'zstd' : 'snappy',
    zstdLevel: (config.http ?? config).compression_params.level,
    retryOn429: config.retry_on_http_429 || isOn('RetryOn429'),
    maxRetryAfterMs: config.retry_on_failure.max_interval,
    retry: createRetry(config.retry_on_failure, { clock, log, stopping: stopping.signal, deadline: cut.signal }),
    labels,
  });
  const isDurable = config.wal !== undefined || Boolean(config.remote_write_queue.storage);
  const shards = consumers > 1 ? new Shards(parallelism, (s) => translator.cache.seriesHash(s)) : undefined;
  const counters = {
    failedTranslations: counter('failedTranslations'),
    translatedSeries: counter('translatedSeries'),
    collisions: counter('collisions'),
  };
  let collisions = 0;

  const reportLosses = (losses: Losses) => {
    if (losses.count === 0) return;
    counters.failedTranslations.add(1);
    for (const [reason, points] of losses.byReason()) {
      counter('dropped', { reason }).add(points);
      const hint =
        reason === 'delta temporality'
          ? ' Set delta_to_cumulative.enabled, or make the source send cumulative values.'
          : '';
      warn(`dropped ${reason}`, `remote_write: failed to translate metrics, exporting remaining metrics.${hint}`, {
        reason,
        dropped_points: points,
      });
    }
  };

  const prepare = (batch: Batch, patient: boolean) => {
    const losses = translator.translate(batch);
    const { samples } = translator;
    const touched = samples.touched.subarray(0, samples.touchedCount);
    counters.translatedSeries.add(touched.length);
    counters.collisions.add(translator.collisions - collisions);
    collisions = translator.collisions;
    reportLosses(losses);
    const push = new Push({ ctx, sender, parallelism, losses, patient, keepsInterrupted: patient || isDurable });
    const headers = clientMetadata(batch, config.include_metadata_keys);
    const emit = (shard: number) => (r: Parameters<Parameters<typeof writer.write>[2]>[0]) =>
      push.add(shard, sender.pack(r, headers));
    if (shards) for (const [i, series] of shards.divide(touched).entries()) writer.write(samples, series, emit(i));
    else writer.write(samples, touched, emit(0));
    if (config.send_metadata && protocol === 1) writer.writeMetadata(translator.described, emit(0));
    const turns = shards?.enter(push.shards());
    return () => push.send(turns);
  };

  const delivery = createDelivery({
    ctx: config.wal
      ? { ...ctx, host: withWal(ctx, (await import('./wal.ts')).walStorage(config.wal.directory, ctx)) }
      : ctx,
    queue: queueConfig(config, consumers),
    // Retries are made per request, so that what arrived is not sent again.
    retry: { ...config.retry_on_failure, enabled: false },
    prepare,
    onStart: () => client.start(ctx.host),
    onStop: () => {
      client.close();
      writer.close();
    },
  });
  const forget: (() => void)[] = [];
  return {
    start: async () => {
      const { cache } = translator;
      const observe = (name: keyof typeof INSTRUMENTS, read: () => number, more = {}) =>
        forget.push(telemetry.observe(INSTRUMENTS[name], { ...labels, ...more }, read));
      observe('consumers', () => parallelism);
      observe('cacheLookups', () => cache.hits, { result: 'hit' });
      observe('cacheLookups', () => cache.misses, { result: 'miss' });
      observe('cacheBytes', () => cache.sizeBytes);
      observe('cacheSeries', () => cache.seriesCount);
      observe('cacheResets', () => cache.resets);
      await delivery.start?.();
    },
    consume: (batch) => delivery.consume(batch),
    stop: async (deadline) => {
      stopping.abort();
      if (deadline.aborted) cut.abort();
      else deadline.addEventListener('abort', () => cut.abort(), { once: true });
      await delivery.stop?.(deadline);
      for (const f of forget.splice(0)) f();
    },
  };
}

/** The queue asks the host for its storage; with `wal` the exporter brings it along. */
function withWal(ctx: ExporterContext, storage: unknown): ExporterContext['host'] {
  const { host } = ctx;
  return {
    extension: (id) => (id === WAL_ID ? storage : host.extension(id)),
    fatal: (id, e) => host.fatal(id, e),
    shared: (key, make) => host.shared(key, make),
    addLedger: (id, ledger) => host.addLedger(id, ledger),
  };
}

function withoutSecrets(url: URL): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.href;
}

/** Client metadata of a push receiver as request headers. */
function clientMetadata(batch: Batch, keys: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const key of keys) {
    const values = batch.metadata?.get(key.toLowerCase());
    if (values?.length) headers[key.toLowerCase()] = values.join(', ');
  }
  return headers;
}
