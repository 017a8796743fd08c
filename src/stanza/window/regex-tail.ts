/** regex_parser with its timestamp and severity blocks: groups are copied from the text to attributes of the record. */
import { type ByteRegex, GAVE_UP } from '../../core/regex-bytes.ts';
import { putSeconds } from '../../wire/nanos.ts';
import { putVarint } from '../../wire/proto.ts';
import type { Source } from '../source.ts';
import { copyBytes, isAsciiText, putBody, varintBytes } from './record.ts';
import { SeverityBytes, type Tail, type TailBlocks, TimeBytes } from './tail.ts';

export interface RegexTailOptions extends TailBlocks {
  readonly regex: ByteRegex;
}

interface Group {
  /** Places of its start and end in the spans. */
  readonly slot: number;
  /** Field 1 of KeyValue: tag, length, key. */
  readonly key: Buffer;
}

/** Longer texts take the general way, so that the room they may need stays small against a slab. */
const MAX_TEXT_BYTES = 16 << 10;

export class RegexTail implements Tail {
  readonly #regex: ByteRegex;
  readonly #groups: readonly Group[];
  readonly #names: ReadonlySet<string>;
  readonly #time: TimeBytes | undefined;
  readonly #timeSlot: number;
  readonly #severity: SeverityBytes | undefined;
  readonly #severitySlot: number;
  #collides = false;

  constructor({ regex, time, severity, removed, nowMs }: RegexTailOptions) {
    this.#regex = regex;
    const names = regex.groupNames;
    const slot = (key: string | undefined): number => (key === undefined ? -1 : names.indexOf(key) * 2);
    this.#names = new Set(names.filter((n) => n !== ''));
    this.#groups = names.flatMap((name, i) => {
      if (name === '' || removed.has(name)) return [];
      const text = Buffer.from(name);
      const head = Buffer.alloc(1 + varintBytes(text.length), 0x0a);
      putVarint(head, 1, text.length);
      return [{ slot: i * 2, key: Buffer.concat([head, text]) }];
    });
    this.#time = time && new TimeBytes(time.layout, nowMs);
    this.#timeSlot = slot(time?.key);
    this.#severity = severity && new SeverityBytes(severity.of);
    this.#severitySlot = slot(severity?.key);
  }

  /** The operators can do this: every name is there once, and what blocks look at is among them. */
  static fits({ regex, time, severity, removed }: RegexTailOptions): boolean {
    const names = regex.groupNames.filter((n) => n !== '');
    const wanted = [time?.key, severity?.key, ...removed].filter((k) => k !== undefined);
    return new Set(names).size === names.length && wanted.every((k) => names.includes(k));
  }

  avoid(source: Source, more: readonly string[]): void {
    const names = this.#names;
    this.#collides = more.some((k) => names.has(k)) || [...source.attributes.keys()].some((k) => names.has(k));
  }

  room(size: number): number {
    if (size > MAX_TEXT_BYTES) return 0;
    let room = 128;
    // A group may stand inside of another one: each may be as long as the text.
    for (const { key } of this.#groups) room += key.length + 16 + size;
    return room;
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
    if (this.#collides || to - from > MAX_TEXT_BYTES) return -1;
    const regex = this.#regex;
    if (!regex.isUtf8 && !isAsciiText(text, from, to)) return -1;
    const found = regex.find(text, from, to);
    if (found === -1 || found === GAVE_UP) return -1;
    const { spans } = regex;

    const time = this.#time;
    if (time) {
      const slot = this.#timeSlot;
      if (spans[slot]! < 0 || !time.read(text, spans[slot]!, spans[slot + 1]!)) return -1;
      seconds = time.seconds;
      nanos = time.nanos;
    }
    let severity: Buffer | undefined;
    if (this.#severity) {
      const slot = this.#severitySlot;
      if (spans[slot]! < 0) return -1;
      severity = this.#severity.encoded(text, spans[slot]!, spans[slot + 1]!);
      if (!severity) return -1;
    }

    // Most records need two bytes for their length.
    const start = at + 3;
    let o = start;
    if (!Number.isNaN(seconds)) {
      mem[o] = 0x09;
      putSeconds(mem, o + 1, seconds, nanos);
      o += 9;
    }
    o = putBody(mem, o, text, from, to);
    o = copyBytes(common, 0, common.length, mem, o);
    const groups = this.#groups;
    for (let g = 0; g < groups.length; g++) {
      const { slot, key } = groups[g]!;
      const a = spans[slot]!;
      const b = spans[slot + 1]!;
      // One that took no part is empty.
      const size = a < 0 || b < 0 ? 0 : b - a;
      if (key.length + size < 122) {
        mem[o++] = 0x32;
        mem[o++] = key.length + 4 + size;
        for (let i = 0; i < key.length; i++) mem[o++] = key[i]!;
        mem[o++] = 0x12;
        mem[o++] = size + 2;
        mem[o++] = 0x0a;
        mem[o++] = size;
      } else {
        const value = 1 + varintBytes(size) + size;
        mem[o++] = 0x32;
        o = putVarint(mem, o, key.length + 1 + varintBytes(value) + value);
        o = copyBytes(key, 0, key.length, mem, o);
        mem[o++] = 0x12;
        o = putVarint(mem, o, value);
        mem[o++] = 0x0a;
        o = putVarint(mem, o, size);
      }
      if (size > 0) o = copyBytes(text, a, b, mem, o);
    }
    if (severity) o = copyBytes(severity, 0, severity.length, mem, o);

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
