/** Remote write requests for tests. */

import { ProtoWriter, VARINT } from '../../wire/proto.ts';
import { encodeLabels, type Label, STALE_BITS } from '../../wire/remote-write.ts';
import { MetricStore, type MetricStoreOptions } from './metric-store.ts';
import { decodeWriteRequest } from './remote-write.ts';

export interface SentSeries {
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Time and value; 'end' is the stale marker. */
  readonly samples: readonly (readonly [timeMs: number, value: number | 'end'])[];
}

export function writeRequest(list: readonly SentSeries[]): Uint8Array {
  const w = new ProtoWriter(1024);
  for (const s of list) {
    const at = w.open(1);
    const labels: Label[] = Object.entries(s.labels ?? {});
    w.raw(encodeLabels(s.name === undefined ? labels : [['__name__', s.name], ...labels]));
    for (const [timeMs, value] of s.samples) {
      const sample = w.open(2);
      if (value === 'end') w.fixed64(1, STALE_BITS);
      else w.double(1, value);
      w.tag(2, VARINT);
      w.varint(timeMs);
      w.close(sample);
    }
    w.close(at);
  }
  return w.finish();
}

export const metricStore = (options: Partial<MetricStoreOptions> = {}): MetricStore =>
  new MetricStore({ path: ':memory:', maxSamples: 100_000, maxSeries: 1000, maxAgeMs: 3_600_000, ...options });

export function metricStoreWith(list: readonly SentSeries[], nowMs: number): MetricStore {
  const store = metricStore();
  store.insert(decodeWriteRequest(writeRequest(list)), nowMs);
  return store;
}
