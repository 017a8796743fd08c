/** Turns the points of an object into what is kept of it: resources in an arena, and items shared by their values. */
import { Arena } from '../../../core/arena.ts';
import { type AttributeSet, attributeSet, NO_ATTRIBUTES } from '../../../core/metrics/attribute-set.ts';
import { type MetricStream, MetricsBuilder } from '../../../core/metrics/builder.ts';
import { type MetricDeclaration, type MetricSetting, metricSettings } from '../../../core/metrics/catalogue.ts';
import { switchedAttributes } from '../../../core/metrics/resource-attributes.ts';
import { EMPTY_RESOURCE, type Scope } from '../../../core/resource.ts';
import { type Value, writeAttributes } from '../../../wire/otlp.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import { METRICS, nodeMetrics } from './catalogue.ts';
import type { K8sClusterConfig } from './index.ts';
import { Items, type Measured, ObjectResource } from './items.ts';

export type ResourceValues = readonly (readonly [name: string, value: Value | undefined])[];

interface Point {
  readonly stream: MetricStream;
  readonly value: number;
  readonly set: AttributeSet;
}

const MAX_SETS = 10_000;
/** What has to be in vain before the arena is written anew. */
const MIN_GARBAGE_BYTES = 1024 * 1024;

export class ObjectRecorder {
  readonly #builder: MetricsBuilder;
  readonly #streams = new Map<string, MetricStream>();
  readonly #switches: K8sClusterConfig['resource_attributes'];
  readonly #scope: Scope;
  readonly #startTime: bigint;
  readonly #items = new Map<string, Items>();
  readonly #sets = new Map<string, AttributeSet>();
  readonly #w = new ProtoWriter(1024);
  #arena = new Arena();
  #points: Point[] = [];
  #key = '';
  #measured: Measured[] = [];
  #before: readonly Measured[] = [];

  constructor(config: K8sClusterConfig, scope: Scope, startTime: bigint) {
    const dynamic = nodeMetrics(config.node_conditions_to_report, config.allocatable_types_to_report);
    const catalogue: MetricDeclaration[] = [...METRICS, ...dynamic];
    const always: MetricSetting = { enabled: true, attributes: undefined, aggregation: 'sum' };
    const settings = [...metricSettings(METRICS, config.metrics), ...dynamic.map(() => always)];
    this.#builder = new MetricsBuilder(catalogue, settings);
    for (const { name } of catalogue) this.#streams.set(name, this.#builder.stream(name));
    this.#switches = config.resource_attributes;
    this.#scope = scope;
    this.#startTime = startTime;
  }

  isEnabled(name: string): boolean {
    return this.#streams.get(name)?.enabled ?? false;
  }

  /** Begins an object. `before` is what was kept of it: what did not change is used again. */
  begin(before: readonly Measured[] = []): void {
    this.#before = before;
    this.#measured = [];
    this.#clear();
  }

  #clear(): void {
    this.#points = [];
    this.#key = '';
  }

  /** What is no number is no point. */
  point(name: string, value: number | undefined, attributes?: Readonly<Record<string, string>>): void {
    const stream = this.#streams.get(name);
    if (!stream?.enabled || value === undefined || !Number.isFinite(value)) return;
    const text = attributes ? JSON.stringify(attributes) : '';
    this.#points.push({ stream, value, set: attributes ? this.#set(text, attributes) : NO_ATTRIBUTES });
    this.#key += `${name}${text}=${value};`;
  }

  #set(key: string, attributes: Readonly<Record<string, string>>): AttributeSet {
    let set = this.#sets.get(key);
    if (!set) {
      if (this.#sets.size >= MAX_SETS) this.#sets.clear();
      set = attributeSet(attributes);
      this.#sets.set(key, set);
    }
    return set;
  }

  /** The points since the last call belong to this resource; without any there is none. */
  emit(attributes: ResourceValues, hasStart = true): void {
    if (this.#points.length === 0) return;
    const kept = switchedAttributes(
      this.#switches,
      attributes.filter((a): a is readonly [string, Value] => a[1] !== undefined),
    );
    if (kept) {
      const before = this.#before[this.#measured.length];
      this.#measured.push({ resource: this.#resource(kept, before?.resource), items: this.#shared(hasStart) });
    }
    this.#clear();
  }

  #resource(attributes: ReadonlyMap<string, Value>, before: ObjectResource | undefined): ObjectResource {
    this.#w.reset();
    writeAttributes(this.#w, 1, attributes);
    const bytes = this.#w.buf.subarray(0, this.#w.pos);
    if (before && bytes.equals(before.encoded)) return before;
    return new ObjectResource(this.#arena.put(bytes));
  }

  #shared(hasStart: boolean): Items {
    const key = hasStart ? this.#key : `-${this.#key}`;
    const known = this.#items.get(key);
    if (known) return known;
    this.#builder.discard();
    this.#builder.at(hasStart ? this.#startTime : 0n, 0n);
    for (const { stream, value, set } of this.#points) stream.point(value, set);
    const group = this.#builder.group(EMPTY_RESOURCE, this.#scope)!;
    const items = new Items(group.items, group.messages, group.count);
    this.#items.set(key, items);
    return items;
  }

  end(): readonly Measured[] {
    // Copies have no room to grow, which is more than what is in them.
    const measured = this.#measured.slice();
    this.begin();
    return measured;
  }

  /** After a collection: lets go of values that no object has any more, and of the resources of objects that are gone. */
  tidy(round: number, measured: () => Iterable<Measured>, liveBytes: number): void {
    for (const [key, items] of this.#items) if (items.round !== round) this.#items.delete(key);
    if (this.#arena.allocated < 2 * liveBytes + MIN_GARBAGE_BYTES) return;
    this.#arena = new Arena();
    for (const { resource } of measured()) resource.move(this.#arena.put(resource.encoded));
  }
}
