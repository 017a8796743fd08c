/**
 * Writes the points of a scrape straight as encoded Metric messages: descriptors and attribute sets are encoded once,
 * so that a scrape allocates little more than its output.
 */
import { ProtoWriter, putVarint, varintSize } from '../../wire/proto.ts';
import type { Group } from '../batch.ts';
import type { Resource, Scope } from '../resource.ts';
import { type AttributeSet, attributeSet, NO_ATTRIBUTES } from './attribute-set.ts';
import type { MetricDeclaration, MetricSetting } from './catalogue.ts';

const GAUGE = 5;
const SUM = 7;
const CUMULATIVE = 2;
/** Three fixed64 fields of one byte tag each: start time, time, value. */
const POINT_FIELDS = 27;

/** Field 1 of Gauge and Sum, fields 4 and 6 of NumberDataPoint. */
const POINT_TAG = 0x0a;
const DOUBLE_TAG = 0x21;
const INT_TAG = 0x31;

/** Copies the first `size` bytes and returns where they end. */
function copySmall(from: Uint8Array, size: number, to: Uint8Array, at: number): number {
  // perf: a view costs more than the copy of a few bytes, and most metrics have one point.
  if (size > 128) to.set(from.subarray(0, size), at);
  else for (let i = 0; i < size; i++) to[at + i] = from[i]!;
  return at + size;
}

const TWO_32 = 2 ** 32;

/** sfixed64, without a bigint where a number is exact. */
function putInt64(buf: Buffer, at: number, value: number | bigint): number {
  const whole = typeof value === 'number' ? Math.trunc(value) : value;
  if (typeof whole === 'bigint' || !Number.isSafeInteger(whole))
    return buf.writeBigUInt64LE(BigInt.asUintN(64, BigInt(whole)), at);
  const high = Math.floor(whole / TWO_32);
  buf.writeUInt32LE((whole - high * TWO_32) >>> 0, at);
  return buf.writeUInt32LE(high >>> 0, at + 4);
}

interface Merged {
  readonly set: AttributeSet;
  value: number;
  count: number;
}

/** One metric of a builder. */
export class MetricStream {
  /** Whether points of it are wanted; `point` does nothing otherwise, so asking only saves the work of measuring. */
  readonly enabled: boolean;
  readonly #declaration: MetricDeclaration;
  readonly #setting: MetricSetting;
  /** Name, description and unit of the Metric message. */
  readonly #head: Uint8Array;
  /** Fields of the Sum behind its points. */
  readonly #tail: Uint8Array;
  readonly #points = new ProtoWriter(0);
  #count = 0;
  readonly #merged = new Map<string, Merged>();
  readonly #reduced = new WeakMap<AttributeSet, { key: string; set: AttributeSet }>();

  constructor(declaration: MetricDeclaration, setting: MetricSetting) {
    this.enabled = setting.enabled;
    this.#declaration = declaration;
    this.#setting = setting;
    const head = new ProtoWriter();
    head.string(1, declaration.name);
    if (declaration.description !== '') head.string(2, declaration.description);
    if (declaration.unit !== '') head.string(3, declaration.unit);
    this.#head = head.finish();
    const tail = new ProtoWriter();
    if (declaration.type === 'sum') {
      tail.tag(2, 0);
      tail.varint(CUMULATIVE);
      if (declaration.isMonotonic) {
        tail.tag(3, 0);
        tail.varint(1);
      }
    }
    this.#tail = tail.finish();
  }

  /** @internal Times of the points to come, nanoseconds as little-endian bytes with their tags. */
  times: Uint8Array = new Uint8Array(18);

  /** Records a value (integers may be bigint). Without an attribute list in the configuration it is one point. */
  point(value: number | bigint, set: AttributeSet = NO_ATTRIBUTES): void {
    if (!this.enabled) return;
    const kept = this.#setting.attributes;
    if (kept === undefined) {
      this.#write(value, set);
      return;
    }
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

  #write(value: number | bigint, set: AttributeSet): void {
    const size = POINT_FIELDS + set.encoded.length;
    const w = this.#points;
    w.reserve(size + 6);
    const { buf } = w;
    buf[w.pos] = POINT_TAG;
    let at = copySmall(this.times, 18, buf, putVarint(buf, w.pos + 1, size));
    if (this.#declaration.valueType === 'double') {
      buf[at++] = DOUBLE_TAG;
      at = buf.writeDoubleLE(Number(value), at);
    } else {
      buf[at++] = INT_TAG;
      at = putInt64(buf, at, value);
    }
    w.pos = copySmall(set.encoded, set.encoded.length, buf, at);
    this.#count++;
  }

  /** @internal Appends the Metric message as a group's item and forgets the points; returns how many there were. */
  flush(out: ProtoWriter): number {
    for (const m of this.#merged.values()) {
      const mean = m.value / m.count;
      this.#write(
        this.#setting.aggregation === 'avg'
          ? this.#declaration.valueType === 'int'
            ? Math.trunc(mean)
            : mean
          : m.value,
        m.set,
      );
    }
    this.#merged.clear();
    const count = this.#count;
    if (count === 0) return 0;
    const points = this.#points;
    const data = points.pos + this.#tail.length;
    const size = this.#head.length + 1 + varintSize(data) + data;
    out.reserve(size + 12);
    out.buf[out.pos++] = 0x12;
    out.pos = putVarint(out.buf, out.pos, size);
    out.raw(this.#head);
    out.buf[out.pos++] = (this.#declaration.type === 'sum' ? SUM : GAUGE) * 8 + 2;
    out.pos = putVarint(out.buf, out.pos, data);
    out.pos = copySmall(points.buf, points.pos, out.buf, out.pos);
    out.raw(this.#tail);
    points.reset();
    this.#count = 0;
    return count;
  }
}

export class MetricsBuilder {
  readonly #streams: readonly MetricStream[];
  readonly #byName = new Map<string, MetricStream>();
  readonly #out = new ProtoWriter(1024);
  readonly #times = new Uint8Array(18);

  constructor(catalogue: readonly MetricDeclaration[], settings: readonly MetricSetting[]) {
    this.#streams = catalogue.map((d, i) => {
      const stream = new MetricStream(d, settings[i]!);
      stream.times = this.#times;
      this.#byName.set(d.name, stream);
      return stream;
    });
    this.at(0n, 0n);
  }

  /** A metric of the catalogue; a name that is not in it is a bug. */
  stream(name: string): MetricStream {
    const stream = this.#byName.get(name);
    if (!stream) throw new Error(`no metric ${name} in the catalogue`);
    return stream;
  }

  /** Sets start time and time, nanoseconds since 1970, of the points that follow. */
  at(startTime: bigint, time: bigint): void {
    const view = new DataView(this.#times.buffer);
    this.#times[0] = 0x11;
    view.setBigUint64(1, BigInt.asUintN(64, startTime), true);
    this.#times[9] = 0x19;
    view.setBigUint64(10, BigInt.asUintN(64, time), true);
  }

  /** All points since the last call as one group, metrics in the catalogue's order; undefined without any point. */
  group(resource: Resource, scope: Scope): Group | undefined {
    const out = this.#out;
    out.reset();
    let count = 0;
    let messages = 0;
    for (const stream of this.#streams) {
      const points = stream.flush(out);
      if (points === 0) continue;
      count += points;
      messages++;
    }
    return count === 0 ? undefined : { resource, scope, items: out.finish(), messages, count, parts: [] };
  }
}
