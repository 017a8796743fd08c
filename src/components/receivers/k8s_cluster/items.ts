/**
 * What is kept of a measured object: its resource, and encoded metrics that all objects with the same values share. A
 * collection then writes each distinct set of values once, with the new time, whatever the number of objects.
 */
import type { Group } from '../../../core/batch.ts';
import { HeldResource, type Scope } from '../../../core/resource.ts';
import { ProtoReader } from '../../../wire/proto.ts';

const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.18.0';

/** Of one object, as long as it does not change. */
export class ObjectResource extends HeldResource {
  constructor(encoded: Uint8Array) {
    super(encoded, SCHEMA_URL);
  }
}

/** Metrics of one set of values; only their time changes. */
export class Items {
  readonly messages: number;
  readonly count: number;
  /** Of the last collection that asked; 0 before. */
  round = 0;
  #encoded: Uint8Array;
  readonly #timesAt: readonly number[];

  constructor(encoded: Uint8Array, messages: number, count: number) {
    this.#encoded = Uint8Array.prototype.slice.call(encoded);
    this.#timesAt = timePositions(encoded);
    this.messages = messages;
    this.count = count;
  }

  /** The bytes with this time. Those that were given out before stay as they are. */
  at(time: bigint, round: number): Uint8Array {
    if (this.round === round) return this.#encoded;
    const bytes = Uint8Array.prototype.slice.call(this.#encoded);
    const view = new DataView(bytes.buffer);
    for (const at of this.#timesAt) view.setBigUint64(at, time, true);
    this.#encoded = bytes;
    this.round = round;
    return bytes;
  }
}

export interface Measured {
  readonly resource: ObjectResource;
  readonly items: Items;
}

export const groupOf = ({ resource, items }: Measured, scope: Scope, time: bigint, round: number): Group => ({
  resource,
  scope,
  items: items.at(time, round),
  messages: items.messages,
  count: items.count,
  parts: [],
});

const GAUGE = 5;
const SUM = 7;
const POINT = 1;
const TIME = 3;

/** Where the times of the points stand in encoded metrics. */
export function timePositions(metrics: Uint8Array): number[] {
  const found: number[] = [];
  const outer = new ProtoReader(metrics);
  while (outer.next()) {
    const metric = outer.message();
    while (metric.next()) {
      if (metric.field !== GAUGE && metric.field !== SUM) {
        metric.skip();
        continue;
      }
      const data = metric.message();
      while (data.next()) {
        if (data.field !== POINT) {
          data.skip();
          continue;
        }
        const point = data.message();
        while (point.next()) {
          if (point.field === TIME) found.push(point.pos);
          point.skip();
        }
      }
    }
  }
  return found;
}
