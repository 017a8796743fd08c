/** What the batch processor counts. */
import type { Instrument } from '../../../core/telemetry.ts';

export const INSTRUMENTS = {
  sendSize: {
    name: 'otelcol_processor_batch_batch_send_size',
    kind: 'histogram',
    help: 'Number of units in the batch',
    unit: '{unit}',
    level: 'normal',
    bounds: [
      10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000, 20000, 30000,
      50000, 100000,
    ],
  },
  sendSizeBytes: {
    name: 'otelcol_processor_batch_batch_send_size_bytes',
    kind: 'histogram',
    help: 'Number of bytes in batch that was sent',
    unit: 'By',
    level: 'detailed',
    bounds: Array.from({ length: 18 }, (_, i) => 128 * 2 ** i),
  },
  sizeTrigger: {
    name: 'otelcol_processor_batch_batch_size_trigger_send',
    kind: 'counter',
    help: 'Number of times the batch was sent due to a size trigger',
    unit: '{time}',
    level: 'normal',
  },
  timeoutTrigger: {
    name: 'otelcol_processor_batch_timeout_trigger_send',
    kind: 'counter',
    help: 'Number of times the batch was sent due to a timeout trigger',
    unit: '{time}',
    level: 'normal',
  },
  cardinality: {
    name: 'otelcol_processor_batch_metadata_cardinality',
    kind: 'gauge',
    help: 'Number of distinct metadata value combinations being processed',
    unit: '{combination}',
    level: 'normal',
  },
  dropped: {
    name: 'sluice_processor_batch_dropped_items',
    kind: 'counter',
    help: 'Items that were accepted and then refused by what follows, without a source that could send them again.',
    unit: '{item}',
  },
} as const satisfies Record<string, Instrument>;
