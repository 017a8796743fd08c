/** The counters and gauges that every exporter has, under otelcol's names. */
import type { ExporterContext, Signal } from './component.ts';
import type { Counter, Instrument, Labels } from './telemetry.ts';

const UNITS: Readonly<Record<Signal, readonly [suffix: string, unit: string, what: string]>> = {
  logs: ['log_records', '{record}', 'log records'],
  metrics: ['metric_points', '{datapoint}', 'metric points'],
  traces: ['spans', '{span}', 'spans'],
};
const SIGNALS: readonly Signal[] = ['logs', 'metrics', 'traces'];

const counters = (name: string, help: (what: string) => string): Readonly<Record<Signal, Instrument>> =>
  Object.fromEntries(
    SIGNALS.map((s) => {
      const [suffix, unit, what] = UNITS[s];
      return [
        s,
        { name: `otelcol_exporter_${name}_${suffix}`, kind: 'counter', unit, help: help(what) } satisfies Instrument,
      ];
    }),
  ) as Record<Signal, Instrument>;

const SENT = counters('sent', (what) => `Number of ${what} successfully sent to destination.`);
const SEND_FAILED = counters('send_failed', (what) => `Number of ${what} in failed attempts to send to destination.`);
const ENQUEUE_FAILED = counters(
  'enqueue_failed',
  (what) => `Number of ${what} failed to be added to the sending queue.`,
);
const QUEUE_SIZE: Instrument = {
  name: 'otelcol_exporter_queue_size',
  kind: 'gauge',
  unit: '{batch}',
  help: 'Current size of the retry queue (in batches).',
};
const QUEUE_CAPACITY: Instrument = {
  name: 'otelcol_exporter_queue_capacity',
  kind: 'gauge',
  unit: '{batch}',
  help: 'Fixed capacity of the retry queue (in batches).',
};
const IN_FLIGHT: Instrument = {
  name: 'otelcol_exporter_in_flight_requests',
  kind: 'gauge',
  unit: '{request}',
  help: 'Number of requests that are being sent.',
};

/** For the `telemetry` of an exporter's definition. */
export const EXPORTER_INSTRUMENTS: readonly Instrument[] = [
  ...Object.values(SENT),
  ...Object.values(SEND_FAILED),
  ...Object.values(ENQUEUE_FAILED),
  QUEUE_SIZE,
  QUEUE_CAPACITY,
  IN_FLIGHT,
];

export interface ExporterCounters {
  sent(items: number): void;
  sendFailed(items: number): void;
  enqueueFailed(items: number): void;
  inFlight(change: 1 | -1): void;
  /** Serves size and capacity until the returned function is called. */
  observeQueue(size: () => number, capacity: number): () => void;
}

/** `labels` come besides the exporter's id on what is sent and what failed. Failures are served from the first one on. */
export function exporterCounters(ctx: ExporterContext, labels: Labels = {}): ExporterCounters {
  const exporter = { exporter: ctx.id };
  const typed = { ...exporter, data_type: ctx.signal };
  const lazy = (instrument: Instrument, l: Labels) => {
    let counter: Counter | undefined;
    return (n: number) => (counter ??= ctx.telemetry.counter(instrument, l)).add(n);
  };
  const inFlight = ctx.telemetry.gauge(IN_FLIGHT, typed);
  return {
    sent: lazy(SENT[ctx.signal], { ...exporter, ...labels }),
    sendFailed: lazy(SEND_FAILED[ctx.signal], { ...exporter, ...labels }),
    enqueueFailed: lazy(ENQUEUE_FAILED[ctx.signal], exporter),
    inFlight: (change) => inFlight.add(change),
    observeQueue(size, capacity) {
      const forget = [
        ctx.telemetry.observe(QUEUE_SIZE, typed, size),
        ctx.telemetry.observe(QUEUE_CAPACITY, typed, () => capacity),
      ];
      return () => {
        for (const f of forget) f();
      };
    },
  };
}
