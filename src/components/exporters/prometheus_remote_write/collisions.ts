/**
 * Two streams with the same labels mix their samples in one series, and the destination rejects or doubles them. They
 * are told apart from a stream that takes the place of another (a new pod): that one never comes back.
 */
import { jsonText } from '../../../core/edit/values.ts';
import { type ReadonlyValueMap, readKeyValue, type ValueMap } from '../../../wire/otlp.ts';
import { BYTES, ProtoReader } from '../../../wire/proto.ts';
import { decodeLabels, type Label, type Protocol } from '../../../wire/remote-write.ts';
import type { Series, Stream } from './series-cache.ts';
import type { Symbols } from './symbols.ts';

/** Comparisons of content that are remembered; they only save time. */
const MAX_KNOWN = 10_000;

export class CollisionWatch {
  readonly #protocol: Protocol;
  readonly #symbols: Symbols;
  readonly #onCollision: (series: Label[], streams: readonly [string, string]) => void;
  #different = new WeakMap<Stream, WeakSet<Stream>>();
  #known = 0;
  /** Samples that met a series of another stream. */
  count = 0;

  constructor(
    protocol: Protocol,
    symbols: Symbols,
    onCollision: (series: Label[], streams: readonly [string, string]) => void,
  ) {
    this.#protocol = protocol;
    this.#symbols = symbols;
    this.#onCollision = onCollision;
  }

  reset(): void {
    this.#different = new WeakMap();
    this.#known = 0;
  }

  /** A stream is about to add a sample to a series that is not its own. */
  look(series: Series, stream: Stream, isInThisPush: boolean): void {
    const owner = series.owner;
    if (owner && !this.#isDifferent(owner, stream)) {
      stream.identity = owner;
      return;
    }
    series.owner = stream.identity;
    if (!owner) return;
    const meets = isInThisPush || stream.identity.displaced;
    owner.displaced = true;
    if (!meets) return;
    this.count++;
    this.#onCollision(this.#labels(series), [contentOf(owner), contentOf(stream)]);
  }

  /** The same attributes may come in another order, or the same resource as another object. */
  #isDifferent(a: Stream, b: Stream): boolean {
    if (this.#different.get(a)?.has(b)) return true;
    if (contentOf(a) === contentOf(b)) return false;
    if (++this.#known > MAX_KNOWN) this.reset();
    let set = this.#different.get(a);
    if (!set) this.#different.set(a, (set = new WeakSet()));
    set.add(b);
    return true;
  }

  #labels(s: Series): Label[] {
    const bytes = s.slab.bytes.subarray(s.at, s.at + s.length);
    if (this.#protocol === 1) return decodeLabels(bytes);
    const labels: Label[] = [];
    for (let i = 0; i < bytes.length; i += 8)
      labels.push([this.#symbols.text(bytes.readInt32LE(i)), this.#symbols.text(bytes.readInt32LE(i + 4))]);
    return labels;
  }
}

const mapText = (m: ReadonlyValueMap): string => jsonText(new Map(m));

/** Resource, scope, metric and attributes of a stream, as text that is the same for the same content. */
function contentOf(s: Stream): string {
  const attributes: ValueMap = new Map();
  const r = new ProtoReader(s.slab.bytes, s.at, s.at + s.length);
  while (r.next()) {
    if (r.wire === BYTES) readKeyValue(r.message(), attributes);
    else r.skip();
  }
  const { context, metric } = s;
  const { name, version, attributes: scopeAttributes } = context.scope.fields;
  const scope = `${name}@${version}${scopeAttributes.size > 0 ? mapText(scopeAttributes) : ''}`;
  const unit = metric.unit === '' ? '' : ` [${metric.unit}]`;
  return `${metric.otelName}${unit} ${mapText(attributes)} of resource ${mapText(context.info.resource.attributes)}, scope ${scope}`;
}
