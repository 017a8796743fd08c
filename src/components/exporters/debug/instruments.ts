/** What the debug exporter counts, per signal. */
import type { Instrument } from '../../../core/telemetry.ts';

const sent = (items: string, unit: string): Instrument => ({
  name: `otelcol_exporter_sent_${items}`,
  kind: 'counter',
  help: `Number of ${items.replace('_', ' ')} successfully sent to destination.`,
  unit,
});

export const SENT = {
  logs: sent('log_records', '{record}'),
  metrics: sent('metric_points', '{datapoint}'),
  traces: sent('spans', '{span}'),
} as const;
