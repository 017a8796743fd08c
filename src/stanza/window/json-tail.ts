/** json_parser with its timestamp and severity blocks, as the last thing that a fast path does to a line. */
import { putSeconds } from '../../wire/nanos.ts';
import { putVarint } from '../../wire/proto.ts';
import type { SeverityMatch } from '../severity.ts';
import type { Source } from '../source.ts';
import { IsoTime } from './iso-time.ts';
import { JSON_GROWTH, JsonAttributes, KIND_STRING, MAX_JSON_BYTES } from './json.ts';
import { copyBytes, putBody, varintBytes } from './record.ts';

export interface JsonTailOptions {
  readonly parseInts: boolean;
  /** The member that has the time, in ISO 8601 form. */
  readonly time?: {
    readonly key: string;
    /** Only `…Z` is of the layout. */
    readonly zuluOnly: boolean;
    /** Only times with a fraction are of the layout. */
    readonly fractionNeeded: boolean;
  };
  readonly severity?: {
    readonly key: string;
    /** Severity number (0: unknown) and text for a value as it stands in the record. */
    readonly of: SeverityMatch;
  };
}

/** Different severity values that are remembered in encoded form. */
const MAX_SEVERITIES = 16;

export class JsonTail {
  readonly #attributes: JsonAttributes;
  readonly #iso = new IsoTime();
  readonly #options: JsonTailOptions;
  readonly #timeIndex: number;
  readonly #severityIndex: number;
  readonly #severities: { readonly raw: Buffer; readonly encoded: Buffer }[] = [];

  constructor(options: JsonTailOptions) {
    this.#options = options;
    const captures: string[] = [];
    const index = (key: string | undefined): number => {
      if (key === undefined) return -1;
      if (!captures.includes(key)) captures.push(key);
      return captures.indexOf(key);
    };
    this.#timeIndex = index(options.time?.key);
    this.#severityIndex = index(options.severity?.key);
    this.#attributes = new JsonAttributes(captures, options.parseInts);
  }

  /** Tells which attributes are on the records before the members of the object come. */
  avoid(source: Source, more: readonly string[]): void {
    this.#attributes.avoid(new Set([...source.attributes.keys(), ...more]));
  }

  /** Bytes that a body of this size may need besides itself. */
  room(size: number): number {
    return size > MAX_JSON_BYTES ? 0 : size * JSON_GROWTH + 128;
  }

  /** As putRecord, with what the body says; -1 when the general way must do it. Nothing is taken then. */
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

    if (this.#timeIndex >= 0) {
      const i = this.#timeIndex;
      const { zuluOnly, fractionNeeded } = this.#options.time!;
      if (json.kind[i] !== KIND_STRING || json.to[i]! - json.from[i]! < 20) return -1;
      const iso = this.#iso;
      if (iso.read(text, json.from[i]!) !== json.to[i]) return -1;
      if ((zuluOnly && !iso.zulu) || (fractionNeeded && !iso.fraction)) return -1;
      mem[start] = 0x09;
      putSeconds(mem, start + 1, iso.seconds, iso.nanos);
    } else if (timed) {
      mem[start] = 0x09;
      putSeconds(mem, start + 1, seconds, nanos);
    }

    if (this.#severityIndex >= 0) {
      const i = this.#severityIndex;
      if (json.kind[i] !== KIND_STRING || json.to[i]! - json.from[i]! > 40) return -1;
      const encoded = this.#severity(text, json.from[i]!, json.to[i]!);
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

  /** Fields 2 and 3 for the value text[from, to) of plain ASCII; undefined for others. */
  #severity(text: Buffer, from: number, to: number): Buffer | undefined {
    const known = this.#severities;
    for (let n = 0; n < known.length; n++) {
      const { raw, encoded } = known[n]!;
      if (raw.length !== to - from) continue;
      let i = 0;
      while (i < raw.length && raw[i] === text[from + i]) i++;
      if (i === raw.length) return encoded;
    }
    const value = text.toString('latin1', from, to);
    for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 126) return undefined;
    const { number, text: name } = this.#options.severity!.of(value);
    const out: number[] = [];
    if (number !== 0) out.push(0x10, number);
    if (name !== '') out.push(0x1a, name.length);
    const encoded = Buffer.concat([Buffer.from(out), Buffer.from(name, 'latin1')]);
    if (known.length < MAX_SEVERITIES) known.push({ raw: Buffer.from(value, 'latin1'), encoded });
    return encoded;
  }
}
