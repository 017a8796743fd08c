/** json_parser with its timestamp and severity blocks, as the last thing that a fast path does to a line. */
import { putSeconds } from '../../wire/nanos.ts';
import { putVarint } from '../../wire/proto.ts';
import type { Source } from '../source.ts';
import { IsoTime } from './iso-time.ts';
import { JSON_GROWTH, JsonAttributes, KIND_NONE, KIND_STRING, MAX_JSON_BYTES } from './json.ts';
import { copyBytes, putBody, varintBytes } from './record.ts';
import { SeverityBytes, type Tail, type TailBlocks, TimeBytes } from './tail.ts';

export interface JsonTailOptions extends TailBlocks {
  readonly parseInts: boolean;
}

interface IsoForm {
  /** Only `…Z` is of the layout. */
  readonly zuluOnly: boolean;
  /** Only times with a fraction are of the layout. */
  readonly fractionNeeded: boolean;
}

/**
 * Layouts that mean ISO 8601 with a zone; what does not have that form goes the general way. A location only matters
 * to times without a zone, and those are not of these forms unless the Z is literal.
 */
const ISO_LAYOUTS: Readonly<Record<string, IsoForm>> = {
  'gotime 2006-01-02T15:04:05Z07:00': { zuluOnly: false, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05.999Z07:00': { zuluOnly: false, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05.999999Z07:00': { zuluOnly: false, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05.999999999Z07:00': { zuluOnly: false, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05Z': { zuluOnly: true, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05.999Z': { zuluOnly: true, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05.999999999Z': { zuluOnly: true, fractionNeeded: false },
  'strptime %Y-%m-%dT%H:%M:%S.%LZ': { zuluOnly: true, fractionNeeded: true },
  'strptime %Y-%m-%dT%H:%M:%S.%fZ': { zuluOnly: true, fractionNeeded: true },
  'strptime %Y-%m-%dT%H:%M:%S.%sZ': { zuluOnly: true, fractionNeeded: true },
};

export class JsonTail implements Tail {
  readonly #attributes: JsonAttributes;
  readonly #iso = new IsoTime();
  readonly #form: IsoForm | undefined;
  readonly #time: TimeBytes | undefined;
  readonly #removedIndex: readonly number[];
  readonly #timeIndex: number;
  readonly #severityIndex: number;
  readonly #severity: SeverityBytes | undefined;

  constructor(options: JsonTailOptions) {
    const { time, severity, removed, nowMs } = options;
    if (time) {
      const { type, layout, location } = time.layout;
      if (location === '') this.#form = ISO_LAYOUTS[`${type} ${layout}`];
      if (!this.#form) this.#time = new TimeBytes(time.layout, nowMs);
    }
    const captures: string[] = [];
    const index = (key: string | undefined): number => {
      if (key === undefined) return -1;
      if (!captures.includes(key)) captures.push(key);
      return captures.indexOf(key);
    };
    this.#timeIndex = index(time?.key);
    this.#severityIndex = index(severity?.key);
    this.#severity = severity && new SeverityBytes(severity.of);
    this.#removedIndex = [...removed].map(index);
    this.#attributes = new JsonAttributes(captures, options.parseInts, removed);
  }

  avoid(source: Source, more: readonly string[]): void {
    this.#attributes.avoid(new Set([...source.attributes.keys(), ...more]));
  }

  room(size: number): number {
    return size > MAX_JSON_BYTES ? 0 : size * JSON_GROWTH + 128;
  }

  put(
    mem: Buffer,
    at: number,
    seconds: number,
    nanos: number,
    text: Buffer,
    from: number,
    to: number,
    common: Buffer,
  ): number {
    if (to - from > MAX_JSON_BYTES || text[from] !== 123) return -1;
    // Most records need two bytes for their length.
    const start = at + 3;
    let o = start;
    const timed = !Number.isNaN(seconds) || this.#timeIndex >= 0;
    if (timed) o += 9;
    o = putBody(mem, o, text, from, to);
    common.copy(mem, o, 0, common.length);
    o += common.length;
    const json = this.#attributes;
    o = json.encode(text, from, to, mem, o);
    if (o < 0) return -1;

    const removed = this.#removedIndex;
    for (let i = 0; i < removed.length; i++) if (json.kind[removed[i]!] === KIND_NONE) return -1;

    if (this.#timeIndex >= 0) {
      const i = this.#timeIndex;
      if (json.kind[i] !== KIND_STRING) return -1;
      const a = json.from[i]!;
      const b = json.to[i]!;
      mem[start] = 0x09;
      const form = this.#form;
      if (form) {
        const iso = this.#iso;
        if (b - a < 20 || iso.read(text, a) !== b) return -1;
        if ((form.zuluOnly && !iso.zulu) || (form.fractionNeeded && !iso.fraction)) return -1;
        putSeconds(mem, start + 1, iso.seconds, iso.nanos);
      } else {
        const time = this.#time!;
        if (!time.read(text, a, b)) return -1;
        putSeconds(mem, start + 1, time.seconds, time.nanos);
      }
    } else if (timed) {
      mem[start] = 0x09;
      putSeconds(mem, start + 1, seconds, nanos);
    }

    if (this.#severityIndex >= 0) {
      const i = this.#severityIndex;
      if (json.kind[i] !== KIND_STRING) return -1;
      const encoded = this.#severity!.encoded(text, json.from[i]!, json.to[i]!);
      if (!encoded) return -1;
      o = copyBytes(encoded, 0, encoded.length, mem, o);
    }

    const size = o - start;
    const lengthBytes = varintBytes(size);
    mem[at] = 0x12;
    if (lengthBytes !== 2) {
      mem.copyWithin(at + 1 + lengthBytes, start, o);
      o += lengthBytes - 2;
    }
    putVarint(mem, at + 1, size);
    return o;
  }
}
