/** Counters of receivers, under otelcol's names. */
import type { Signal } from './batch.ts';
import type { Counter, Instrument, Telemetry } from './telemetry.ts';

const NAMES: Readonly<Record<Signal, readonly [suffix: string, unit: string, what: string]>> = {
  logs: ['log_records', '{record}', 'log records'],
  metrics: ['metric_points', '{datapoint}', 'metric points'],
  traces: ['spans', '{span}', 'spans'],
};

const instrument = (name: string, signal: Signal, help: (what: string) => string): Instrument => {
  const [suffix, unit, what] = NAMES[signal];
  return { name: `otelcol_receiver_${name}_${suffix}`, kind: 'counter', unit, help: help(what) };
};
const SIGNALS: readonly Signal[] = ['logs', 'metrics', 'traces'];
const bySignal = (make: (s: Signal) => Instrument): Readonly<Record<Signal, Instrument>> =>
  Object.fromEntries(SIGNALS.map((s) => [s, make(s)])) as Record<Signal, Instrument>;

const ACCEPTED = bySignal((s) =>
  instrument('accepted', s, (what) => `Number of ${what} successfully pushed into the pipeline.`),
);
const REFUSED = bySignal((s) =>
  instrument('refused', s, (what) => `Number of ${what} that could not be pushed into the pipeline.`),
);
const FAILED = bySignal((s) =>
  instrument(
    'failed',
    s,
    (what) => `Number of ${what} that failed to be processed by the receiver due to internal errors.`,
  ),
);

export const RECEIVER_INSTRUMENTS: readonly Instrument[] = [ACCEPTED, REFUSED, FAILED].flatMap((i) => Object.values(i));

export interface ReceiverCounters {
  accepted(items: number): void;
  refused(items: number): void;
}

/** All are served, at 0, from the first request on. Without upstream's gate every error counts as refused. */
export function receiverCounters(
  telemetry: Telemetry,
  id: string,
  transport: string,
  signal: Signal,
): ReceiverCounters {
  const labels = { receiver: id, transport };
  let counters: { accepted: Counter; refused: Counter } | undefined;
  const get = () => {
    if (!counters) {
      counters = {
        accepted: telemetry.counter(ACCEPTED[signal], labels),
        refused: telemetry.counter(REFUSED[signal], labels),
      };
      telemetry.counter(FAILED[signal], labels);
    }
    return counters;
  };
  return { accepted: (n) => get().accepted.add(n), refused: (n) => get().refused.add(n) };
}
