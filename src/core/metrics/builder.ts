/**
 * Collects the points of a scrape and writes them as encoded Metric messages: descriptors and attribute sets are encoded
 * once, and groups that are alike share all their bytes but times and values.
 */
import { ProtoWriter } from '../../wire/proto.ts';
import type { Group } from '../batch.ts';
import type { Resource, Scope } from '../resource.ts';
import { type AttributeSet, attributeSet, NO_ATTRIBUTES } from './attribute-set.ts';
import type { MetricDeclaration, MetricSetting } from './catalogue.ts';
import { GroupMemory } from './group-memory.ts';
import { Layout, type Recorded, timesBytes } from './layout.ts';

interface Merged {
  readonly set: AttributeSet;
  value: number;
  count: number;
}

/** One metric of a builder. */
export class MetricStream {
  /** Whether points of it are wanted; `point` does nothing otherwise, so asking only saves the work of measuring. */
  readonly enabled: boolean;
  /** @internal */
  readonly declaration: MetricDeclaration;
  /** @internal Name, description and unit of the Metric message. */
  readonly head: Uint8Array;
  readonly #isInt: boolean;
  readonly #setting: MetricSetting;
  readonly #kept: readonly string[] | undefined;
  readonly #recorded: Recorded;
  readonly #now: { times: Uint8Array };
  readonly #merged = new Map<string, Merged>();
  readonly #reduced = new WeakMap<AttributeSet, { key: string; set: AttributeSet }>();

  /** @internal `now` holds the times of the points to come. */
  constructor(declaration: MetricDeclaration, setting: MetricSetting, recorded: Recorded, now: { times: Uint8Array }) {
    this.enabled = setting.enabled;
    this.declaration = declaration;
    this.#isInt = declaration.valueType === 'int';
    this.#setting = setting;
    this.#kept = setting.attributes;
    this.#recorded = recorded;
    this.#now = now;
    const head = new ProtoWriter();
    head.string(1, declaration.name);
    if (declaration.description !== '') head.string(2, declaration.description);
    if (declaration.unit !== '') head.string(3, declaration.unit);
    this.head = head.finish();
  }

  /**
   * Records a value (integers may be bigint); what is not there is no point, and an integer that is none throws. Without
   * an attribute list in the configuration it is one point.
   */
  point(value: number | bigint | null | undefined, set: AttributeSet = NO_ATTRIBUTES): void {
    if (!this.enabled) return;
    if (typeof value === 'number') {
      if (this.#isInt && !(value > -Infinity && value < Infinity))
        throw new RangeError(`${this.declaration.name}: ${value} is no integer`);
    } else if (typeof value !== 'bigint') return;
    if (this.#kept === undefined) this.#record(value, set);
    else this.#merge(value, set, this.#kept);
  }

  #record(value: number | bigint, set: AttributeSet): void {
    const r = this.#recorded;
    const i = r.count++;
    r.streams[i] = this;
    r.sets[i] = set;
    r.times[i] = this.#now.times;
    r.values[i] = value;
  }

  #merge(value: number | bigint, set: AttributeSet, kept: readonly string[]): void {
    let reduced = this.#reduced.get(set);
    if (!reduced) {
      const left = attributeSet(new Map([...set.values].filter(([name]) => kept.includes(name))));
      reduced = { key: Buffer.from(left.encoded).toString('latin1'), set: left };
      this.#reduced.set(set, reduced);
    }
    const n = Number(value);
    const merged = this.#merged.get(reduced.key);
    if (!merged) this.#merged.set(reduced.key, { set: reduced.set, value: n, count: 1 });
    else {
      merged.count++;
      const how = this.#setting.aggregation;
      if (how === 'min') merged.value = Math.min(merged.value, n);
      else if (how === 'max') merged.value = Math.max(merged.value, n);
      else merged.value += n;
    }
  }

  /** @internal Points that were merged become points. */
  settle(): void {
    if (this.#merged.size === 0) return;
    for (const { value, count, set } of this.#merged.values()) {
      const isMean = this.#setting.aggregation === 'avg';
      const mean = value / count;
      this.#record(isMean ? (this.declaration.valueType === 'int' ? Math.trunc(mean) : mean) : value, set);
    }
    this.#merged.clear();
  }

  /** @internal */
  discard(): void {
    this.#merged.clear();
  }
}

/** Layouts that are kept for each number of points; groups of one kind of thing have few. */
const MAX_LAYOUTS = 16;

export class MetricsBuilder {
  readonly #streams: readonly MetricStream[];
  readonly #merging: readonly MetricStream[];
  readonly #byName = new Map<string, MetricStream>();
  readonly #recorded: Recorded = { count: 0, streams: [], sets: [], times: [], values: [] };
  readonly #now = { times: timesBytes() };
  #timesView = new DataView(this.#now.times.buffer);
  readonly #layouts = new Map<number, Layout[]>();
  readonly #memory = new GroupMemory();
  #isExact = true;

  constructor(catalogue: readonly MetricDeclaration[], settings: readonly MetricSetting[]) {
    this.#streams = catalogue.map((d, i) => {
      const stream = new MetricStream(d, settings[i]!, this.#recorded, this.#now);
      this.#byName.set(d.name, stream);
      return stream;
    });
    this.#merging = this.#streams.filter((_, i) => settings[i]!.enabled && settings[i]!.attributes !== undefined);
  }

  /** A metric of the catalogue; a name that is not in it is a bug. */
  stream(name: string): MetricStream {
    const stream = this.#byName.get(name);
    if (!stream) throw new Error(`no metric ${name} in the catalogue`);
    return stream;
  }

  /** Sets start time and time, nanoseconds since 1970, of the points that follow. */
  at(startTime: bigint, time: bigint): void {
    if (this.#recorded.count > 0) {
      // Points that were recorded keep their times.
      this.#now.times = timesBytes();
      this.#timesView = new DataView(this.#now.times.buffer);
    }
    this.#timesView.setBigUint64(1, startTime, true);
    this.#timesView.setBigUint64(10, time, true);
  }

  /** Forgets what was recorded since the last group; what a failed scrape left must not become part of the next. */
  discard(): void {
    this.#recorded.count = 0;
    this.#isExact = true;
    for (const stream of this.#merging) stream.discard();
  }

  /** Since the last `discard`, no integer was a number beyond 2^53, which may not be what was meant. */
  get isExact(): boolean {
    return this.#isExact;
  }

  /** All points since the last call as one group, metrics in the catalogue's order; undefined without any point. */
  group(resource: Resource, scope: Scope): Group | undefined {
    for (const stream of this.#merging) stream.settle();
    const recorded = this.#recorded;
    const { count } = recorded;
    if (count === 0) return undefined;
    const layout = this.#layoutOf(recorded);
    const size = layout.template.length;
    const slab = this.#memory.slabFor(size);
    const at = slab.used;
    if (!layout.write(recorded, slab.bytes, slab.view, at)) this.#isExact = false;
    slab.used += size;
    recorded.count = 0;
    const items = slab.bytes.subarray(at, at + size);
    return { resource, scope, items, messages: layout.messages, count, parts: slab.parts(count) };
  }

  #layoutOf(recorded: Recorded): Layout {
    let list = this.#layouts.get(recorded.count);
    if (!list) {
      // Not more kinds of lists than layouts in a list either: things whose number changes all the time would pile up.
      if (this.#layouts.size >= MAX_LAYOUTS) this.#layouts.clear();
      list = [];
      this.#layouts.set(recorded.count, list);
    }
    for (const layout of list) if (layout.fits(recorded)) return layout;
    const made = new Layout(this.#streams, recorded);
    if (list.length >= MAX_LAYOUTS) list.shift();
    list.push(made);
    return made;
  }
}
