/** The counts of one kind of item of one resource, and their form as metrics. */
import type { Group } from '../../../core/batch.ts';
import { type ReadonlyValueMap, type Value, type ValueMap, writeAttributes } from '../../../wire/otlp.ts';
import type { ProtoWriter } from '../../../wire/proto.ts';
import type { Conditions } from './conditions.ts';
import type { MetricInfo } from './index.ts';
import type { Seen } from './items.ts';

const DELTA = 1;
const NO_ATTRIBUTES: ReadonlyValueMap = new Map();

interface Count {
  readonly attributes: ReadonlyValueMap;
  n: number;
}

export class Counter {
  readonly #metrics: readonly (readonly [string, MetricInfo, Map<string, Count>])[];
  readonly #conditions: Conditions | undefined;
  #from = 0n;
  #to = 0n;

  constructor(metrics: Readonly<Record<string, MetricInfo>>, conditions?: Conditions) {
    this.#conditions = conditions;
    this.#metrics = Object.entries(metrics).map(([name, info]) => [name, info, new Map()]);
  }

  static grouped(metrics: Readonly<Record<string, MetricInfo>>): boolean {
    return Object.values(metrics).some((m) => m.attributes.length > 0);
  }

  /** Messages whose content does not matter. */
  add(n: number): void {
    for (const [, , counts] of this.#metrics) increment(counts, NO_ATTRIBUTES, '', n);
  }

  #holds(metric: string): boolean {
    return this.#conditions?.hold(metric) ?? true;
  }

  see(seen: Seen, { scope, resource }: Pick<Group, 'scope' | 'resource'>): void {
    if (seen.from !== 0n && (this.#from === 0n || seen.from < this.#from)) this.#from = seen.from;
    if (seen.to > this.#to) this.#to = seen.to;
    for (const [name, info, counts] of this.#metrics) {
      if (info.attributes.length === 0) {
        if (this.#holds(name)) increment(counts, NO_ATTRIBUTES, '', 1);
        continue;
      }
      const attributes: ValueMap = new Map();
      for (const { key, default_value: fallback } of info.attributes) {
        const value =
          seen.attributes.get(key) ??
          scope.fields.attributes.get(key) ??
          resource.attributes.get(key) ??
          defaultOf(fallback);
        if (value !== undefined && value !== null) attributes.set(key, scalar(value));
      }
      if (attributes.size === info.attributes.length && this.#holds(name))
        increment(counts, attributes, keyOf(attributes), 1);
    }
  }

  /** Appends the metrics as items; returns how many, and how many points they have. */
  write(w: ProtoWriter, now: bigint): { messages: number; points: number } {
    const from = this.#from || now;
    const to = this.#from ? this.#to : now;
    let messages = 0;
    let points = 0;
    for (const [name, info, counts] of this.#metrics) {
      if (counts.size === 0) continue;
      messages++;
      const metric = w.open(2);
      w.string(1, name);
      if (info.description) w.string(2, info.description);
      const sum = w.open(7);
      for (const { attributes, n } of counts.values()) {
        points++;
        const point = w.open(1);
        w.fixed64(2, from);
        w.fixed64(3, to);
        w.fixed64(6, BigInt(n));
        writeAttributes(w, 7, attributes);
        w.close(point);
      }
      w.tag(2, 0);
      w.varint(DELTA);
      // Never negative, so that what adds them up rises.
      w.tag(3, 0);
      w.varint(1);
      w.close(sum);
      w.close(metric);
    }
    return { messages, points };
  }
}

function increment(counts: Map<string, Count>, attributes: ReadonlyValueMap, key: string, n: number): void {
  const known = counts.get(key);
  if (known) known.n += n;
  else if (n > 0) counts.set(key, { attributes, n });
}

/** Upstream takes an empty text and zero for "no default". */
const defaultOf = (v: string | number | undefined): Value | undefined =>
  v === undefined || v === '' || v === 0 ? undefined : typeof v === 'number' && Number.isInteger(v) ? BigInt(v) : v;

/** Numbers stay, everything else becomes text. */
function scalar(v: Value): Value {
  if (typeof v === 'bigint' || typeof v === 'number' || typeof v === 'string') return v;
  if (v instanceof Uint8Array) return Buffer.from(v).toString('base64');
  return typeof v === 'boolean' ? String(v) : '';
}

const keyOf = (attributes: ReadonlyValueMap): string =>
  JSON.stringify([...attributes.values()].map((v) => [typeof v, String(v)]));
