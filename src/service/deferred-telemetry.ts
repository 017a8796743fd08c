/**
 * Telemetry of one generation of components. Values that are read on demand go to the registry only when the
 * generation starts, so that a new configuration which is built but never started does not take over the old one's.
 */
import type { Counter, Gauge, Histogram, Instrument, Labels, Telemetry } from '../core/telemetry.ts';

export class DeferredTelemetry implements Telemetry {
  readonly #registry: Telemetry;
  #isLive = false;
  readonly #waiting = new Set<() => void>();
  readonly #removers = new Set<() => void>();

  constructor(registry: Telemetry) {
    this.#registry = registry;
  }

  counter(instrument: Instrument, labels?: Labels): Counter {
    return this.#registry.counter(instrument, labels);
  }

  gauge(instrument: Instrument, labels?: Labels): Gauge {
    return this.#registry.gauge(instrument, labels);
  }

  histogram(instrument: Instrument, labels?: Labels): Histogram {
    return this.#registry.histogram(instrument, labels);
  }

  observe(instrument: Instrument, labels: Labels, read: () => number): () => void {
    let remove: (() => void) | undefined;
    const apply = (): void => {
      remove = this.#registry.observe(instrument, labels, read);
      this.#removers.add(remove);
    };
    if (this.#isLive) apply();
    else this.#waiting.add(apply);
    return () => {
      this.#waiting.delete(apply);
      if (!remove) return;
      this.#removers.delete(remove);
      remove();
    };
  }

  commit(): void {
    this.#isLive = true;
    for (const apply of this.#waiting) apply();
    this.#waiting.clear();
  }

  /** Takes away whatever the components forgot to. */
  close(): void {
    this.#waiting.clear();
    for (const remove of this.#removers) remove();
    this.#removers.clear();
  }
}
