/**
 * Groups that hold the same points in the same order differ only in times and values. Their bytes are made once, and
 * later groups are a copy with times and values put in: a scrape then does little for each point.
 */
import { BYTES, ProtoWriter, varintSize } from '../../wire/proto.ts';
import type { AttributeSet } from './attribute-set.ts';
import type { MetricStream } from './builder.ts';

const GAUGE = 5;
const SUM = 7;
const CUMULATIVE = 2;
/** Tags of one byte each: start time and time, value as double or sfixed64. */
const START_TAG = 0x11;
const TIME_TAG = 0x19;
const DOUBLE_TAG = 0x21;
const INT_TAG = 0x31;

/** Start time and time of a point with their tags, as they stand side by side in NumberDataPoint. */
export const TIMES_BYTES = 18;
const VALUE_BYTES = 9;
const TWO_32 = 2 ** 32;

export function timesBytes(): Uint8Array {
  const bytes = new Uint8Array(TIMES_BYTES);
  bytes[0] = START_TAG;
  bytes[9] = TIME_TAG;
  return bytes;
}

/** The points of a group as they were recorded; of the arrays the first `count` entries count. */
export interface Recorded {
  count: number;
  readonly streams: MetricStream[];
  readonly sets: AttributeSet[];
  readonly times: Uint8Array[];
  readonly values: (number | bigint)[];
}

export class Layout {
  readonly #streams: readonly MetricStream[];
  readonly #sets: readonly AttributeSet[];
  /** The group with times and values 0. */
  readonly template: Uint8Array;
  /** Metric messages. */
  readonly messages: number;
  /** By recorded point: where its times begin and where its value is. */
  readonly #timesAt: number[] = [];
  readonly #valueAt: number[] = [];
  readonly #isDouble: boolean[] = [];

  /** `all` are the streams of the builder, in the order in which they are written. */
  constructor(all: readonly MetricStream[], recorded: Recorded) {
    const { count } = recorded;
    this.#streams = recorded.streams.slice(0, count);
    this.#sets = recorded.sets.slice(0, count);
    const points = new Map<MetricStream, number[]>();
    for (const [i, stream] of this.#streams.entries()) {
      const list = points.get(stream);
      if (list) list.push(i);
      else points.set(stream, [i]);
    }
    const w = new ProtoWriter(1024);
    for (const stream of all) this.#writeMetric(w, stream, points.get(stream));
    this.template = w.finish();
    this.messages = points.size;
  }

  #writeMetric(w: ProtoWriter, stream: MetricStream, points: readonly number[] | undefined): void {
    if (!points) return;
    const { declaration, head } = stream;
    const isSum = declaration.type === 'sum';
    const pointBytes = (i: number): number => TIMES_BYTES + VALUE_BYTES + this.#sets[i]!.encoded.length;
    let data = isSum ? (declaration.isMonotonic ? 4 : 2) : 0;
    for (const i of points) data += 1 + varintSize(pointBytes(i)) + pointBytes(i);
    w.tag(2, BYTES);
    w.varint(head.length + 1 + varintSize(data) + data);
    w.raw(head);
    w.tag(isSum ? SUM : GAUGE, BYTES);
    w.varint(data);
    const isDouble = declaration.valueType === 'double';
    for (const i of points) {
      w.tag(1, BYTES);
      w.varint(pointBytes(i));
      this.#timesAt[i] = w.pos;
      w.raw(timesBytes());
      w.raw(new Uint8Array([isDouble ? DOUBLE_TAG : INT_TAG, 0, 0, 0, 0, 0, 0, 0, 0]));
      this.#valueAt[i] = w.pos - 8;
      this.#isDouble[i] = isDouble;
      w.raw(this.#sets[i]!.encoded);
    }
    if (!isSum) return;
    w.tag(2, 0);
    w.varint(CUMULATIVE);
    if (!declaration.isMonotonic) return;
    w.tag(3, 0);
    w.varint(1);
  }

  fits(recorded: Recorded): boolean {
    const { count, streams, sets } = recorded;
    if (count !== this.#streams.length) return false;
    for (let i = 0; i < count; i++) if (streams[i] !== this.#streams[i] || sets[i] !== this.#sets[i]) return false;
    return true;
  }

  /**
   * Writes the group; `view` is of the same memory as `bytes`. False when some integer is a number beyond 2^53, so that
   * it may not be what was meant.
   */
  write(recorded: Recorded, bytes: Uint8Array, view: DataView, at: number): boolean {
    let isExact = true;
    bytes.set(this.template, at);
    const timesAt = this.#timesAt;
    const valueAt = this.#valueAt;
    const isDouble = this.#isDouble;
    const { count, times, values } = recorded;
    for (let i = 0; i < count; i++) {
      bytes.set(times[i]!, at + timesAt[i]!);
      const value = values[i]!;
      if (isDouble[i]) view.setFloat64(at + valueAt[i]!, Number(value), true);
      else if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) {
        // setUint32 takes what is left of a division by 2^32, and drops fractions.
        const to = at + valueAt[i]!;
        view.setUint32(to, value, true);
        if (value >= TWO_32) view.setUint32(to + 4, value / TWO_32, true);
      } else {
        if (typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER) isExact = false;
        view.setBigInt64(at + valueAt[i]!, typeof value === 'bigint' ? value : BigInt(Math.trunc(value)), true);
      }
    }
    return isExact;
  }
}
