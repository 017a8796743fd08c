/**
 * Two streams with the same labels mix their samples in one series, and the destination rejects or doubles them. They
 * are told apart from a stream that takes the place of another (a new pod): that one never comes back.
 */
import { jsonText } from '../../../core/edit/values.ts';
import { type ReadonlyValueMap, readKeyValue, type ValueMap } from '../../../wire/otlp.ts';
import { BYTES, ProtoReader } from '../../../wire/proto.ts';
import { decodeLabels, type Label, type Protocol } from '../../../wire/remote-write.ts';
import type { MetricInfo } from './metric-info.ts';
import type { SeriesCache } from './series-cache.ts';
import type { Symbols } from './symbols.ts';

/** Comparisons of content that are remembered; they only save time. */
const MAX_KNOWN = 10_000;

export interface CollisionWatchOptions {
  readonly protocol: Protocol;
  readonly cache: SeriesCache;
  readonly symbols: Symbols;
  readonly metric: (id: number) => MetricInfo | undefined;
  readonly onCollision: (series: Label[], streams: readonly [string, string]) => void;
}

export class CollisionWatch {
  readonly #o: CollisionWatchOptions;
  readonly #different = new Set<string>();
  /** Samples that met a series of another stream. */
  count = 0;

  constructor(options: CollisionWatchOptions) {
    this.#o = options;
  }

  reset(): void {
    this.#different.clear();
  }

  /** A stream is about to add a sample to a series that is not its own. */
  look(series: number, stream: number, isInThisPush: boolean): void {
    const { cache } = this.#o;
    const owner = cache.seriesOwner[series]!;
    if (owner >= 0 && !this.#isDifferent(owner, stream)) {
      cache.streamIdentity[stream] = owner;
      return;
    }
    const identity = cache.streamIdentity[stream]!;
    cache.seriesOwner[series] = identity;
    if (owner < 0) return;
    const meets = isInThisPush || cache.displaced.has(identity);
    cache.displaced.add(owner);
    if (!meets) return;
    this.count++;
    this.#o.onCollision(this.#labels(series), [this.#contentOf(owner), this.#contentOf(stream)]);
  }

  /** The same attributes may come in another order, or the same resource as another object. */
  #isDifferent(a: number, b: number): boolean {
    const key = `${a} ${b}`;
    if (this.#different.has(key)) return true;
    if (this.#contentOf(a) === this.#contentOf(b)) return false;
    if (this.#different.size >= MAX_KNOWN) this.#different.clear();
    this.#different.add(key);
    return true;
  }

  #labels(series: number): Label[] {
    const { protocol, cache, symbols } = this.#o;
    const bytes = cache.labelsOf(series);
    if (protocol === 1) return decodeLabels(bytes);
    const labels: Label[] = [];
    for (let i = 0; i < bytes.length; i += 8)
      labels.push([symbols.text(bytes.readInt32LE(i)), symbols.text(bytes.readInt32LE(i + 4))]);
    return labels;
  }

  /** Resource, scope, metric and attributes of a stream, as text that is the same for the same content. */
  #contentOf(stream: number): string {
    const { cache } = this.#o;
    const attributes: ValueMap = new Map();
    const r = new ProtoReader(cache.attributesOf(stream));
    while (r.next()) {
      if (r.wire === BYTES) readKeyValue(r.message(), attributes);
      else r.skip();
    }
    const context = cache.contextOf(stream);
    const metric = this.#o.metric(cache.metricOf(stream))!;
    const { name, version, attributes: scopeAttributes } = context.scope.fields;
    const scope = `${name}@${version}${scopeAttributes.size > 0 ? mapText(scopeAttributes) : ''}`;
    const unit = metric.unit === '' ? '' : ` [${metric.unit}]`;
    return `${metric.otelName}${unit} ${mapText(attributes)} of resource ${mapText(context.info.resource.attributes)}, scope ${scope}`;
  }
}

const mapText = (m: ReadonlyValueMap): string => jsonText(new Map(m));
