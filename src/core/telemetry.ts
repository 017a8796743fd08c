/**
 * Self telemetry: counters, gauges and histograms under otelcol's names. Counted per batch, never per record.
 * This is the registry; the service serves it on /metrics.
 */

export type Labels = Readonly<Record<string, string>>;
export type InstrumentKind = 'counter' | 'gauge' | 'histogram';
/** At which service.telemetry.metrics.level an instrument is served. */
export type MetricsLevel = 'basic' | 'normal' | 'detailed';

export interface Instrument {
  /** As otelcol names the instrument, without `_total` or unit suffix: otelcol_exporter_sent_log_records. */
  readonly name: string;
  readonly kind: InstrumentKind;
  readonly help: string;
  /** UCUM, e.g. `By`, `s`, `{records}`. */
  readonly unit?: string;
  /** An up-down counter in otelcol: it is served as a gauge, but with unit `1` it gets no `_ratio`. */
  readonly upDown?: boolean;
  readonly level?: MetricsLevel;
  /** Upper bounds, histograms only. */
  readonly bounds?: readonly number[];
}

export interface Counter {
  add(n: number): void;
  readonly value: number;
}

export interface Gauge {
  set(n: number): void;
  add(n: number): void;
  readonly value: number;
}

export interface Histogram {
  record(v: number): void;
}

export interface Telemetry {
  counter(instrument: Instrument, labels?: Labels): Counter;
  gauge(instrument: Instrument, labels?: Labels): Gauge;
  /** A gauge or counter that is read when it is asked for; the returned function takes it away. */
  observe(instrument: Instrument, labels: Labels, read: () => number): () => void;
  histogram(instrument: Instrument, labels?: Labels): Histogram;
}

export interface HistogramState {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum: number;
  count: number;
}

export interface Series {
  readonly labels: Labels;
  value: number;
  histogram?: HistogramState;
  read?: () => number;
}

export interface Family {
  readonly instrument: Instrument;
  readonly series: Map<string, Series>;
}

class Cell implements Counter, Gauge, Histogram {
  readonly #series: Series;
  constructor(series: Series) {
    this.#series = series;
  }
  get value(): number {
    return this.#series.value;
  }
  add(n: number): void {
    this.#series.value += n;
  }
  set(n: number): void {
    this.#series.value = n;
  }
  record(v: number): void {
    const h = this.#series.histogram!;
    let i = 0;
    while (i < h.bounds.length && v > h.bounds[i]!) i++;
    h.counts[i] = (h.counts[i] ?? 0) + 1;
    h.sum += v;
    h.count++;
  }
}

/** Asking twice for the same name and labels gives the same series. */
export class TelemetryRegistry implements Telemetry {
  readonly families = new Map<string, Family>();

  #series(instrument: Instrument, labels: Labels): Series {
    let family = this.families.get(instrument.name);
    if (!family) this.families.set(instrument.name, (family = { instrument, series: new Map() }));
    const key = JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
    let series = family.series.get(key);
    if (!series) {
      series = { labels, value: 0 };
      if (instrument.kind === 'histogram') {
        const bounds = instrument.bounds ?? [];
        series.histogram = { bounds, counts: new Array<number>(bounds.length + 1).fill(0), sum: 0, count: 0 };
      }
      family.series.set(key, series);
    }
    return series;
  }

  counter(instrument: Instrument, labels: Labels = {}): Counter {
    return new Cell(this.#series(instrument, labels));
  }

  gauge(instrument: Instrument, labels: Labels = {}): Gauge {
    return new Cell(this.#series(instrument, labels));
  }

  histogram(instrument: Instrument, labels: Labels = {}): Histogram {
    return new Cell(this.#series(instrument, labels));
  }

  observe(instrument: Instrument, labels: Labels, read: () => number): () => void {
    const series = this.#series(instrument, labels);
    series.read = read;
    return () => {
      const family = this.families.get(instrument.name);
      if (!family) return;
      for (const [key, s] of family.series) if (s === series && s.read === read) family.series.delete(key);
    };
  }
}
