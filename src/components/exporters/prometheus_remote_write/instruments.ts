/** Self telemetry: otelcol's names, and what it does not tell. */
import type { Instrument } from '../../../core/telemetry.ts';

const upstream = (name: string, unit: string, help: string, kind: Instrument['kind'] = 'counter'): Instrument => ({
  name: `otelcol_exporter_prometheusremotewrite_${name}`,
  kind,
  unit,
  help,
});
const own = (name: string, unit: string, help: string, kind: Instrument['kind'] = 'counter'): Instrument => ({
  name: `sluice_remote_write_${name}`,
  kind,
  unit,
  help,
});

export const INSTRUMENTS = {
  consumers: {
    ...upstream(
      'consumers',
      '{consumer}',
      'Number of configured workers to use to fan out the outgoing requests',
      'gauge',
    ),
    upDown: true,
  },
  failedTranslations: upstream(
    'failed_translations',
    '1',
    'Number of translation operations that failed to translate metrics from Otel to Prometheus',
  ),
  translatedSeries: upstream(
    'translated_time_series',
    '1',
    'Number of Prometheus time series that were translated from OTel metrics',
  ),
  sentBatches: upstream(
    'sent_batches',
    '{batch}',
    'Number of remote write request batches sent to the remote write endpoint regardless of success or failure',
  ),
  writtenSamples: upstream(
    'written_samples',
    '{sample}',
    'Number of samples written to the remote write endpoint (as it says, version 2 only)',
  ),
  writtenHistograms: upstream(
    'written_histograms',
    '{histogram}',
    'Number of histograms written to the remote write endpoint (as it says, version 2 only)',
  ),
  writtenExemplars: upstream(
    'written_exemplars',
    '{exemplar}',
    'Number of exemplars written to the remote write endpoint (as it says, version 2 only)',
  ),
  cacheLookups: own(
    'label_cache_lookups',
    '{lookup}',
    'Points whose label set was in the cache (result hit) or had to be made (result miss)',
  ),
  cacheBytes: own('label_cache_size', 'By', 'Memory of cached label sets', 'gauge'),
  cacheSeries: own('label_cache_series', '{series}', 'Cached label sets', 'gauge'),
  cacheResets: own('label_cache_resets', '{reset}', 'How often the cache was full and was emptied'),
  collisions: own('colliding_samples', '{sample}', 'Samples of series that several sources send under the same labels'),
  dropped: own('dropped_points', '{datapoint}', 'Data points that were not sent, by reason'),
  splits: own(
    'split_requests',
    '{request}',
    'Requests made to find out which series of a rejected request are at fault',
  ),
} as const satisfies Record<string, Instrument>;
