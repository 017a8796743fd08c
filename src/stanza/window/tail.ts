/** What a fast path does with the text of a line once its container's prefix is off, and the blocks that parsers share. */
import { compileEpoch, compileTimeLayout, type EpochLayout } from '../../core/time-layout.ts';
import type { SeverityMatch } from '../severity.ts';
import type { Source } from '../source.ts';

/** Writes the record of a line. */
export interface Tail {
  /** Which attributes are on the records of `source` before it adds its own. */
  avoid(source: Source, more: readonly string[]): void;
  /** Bytes that text of this size may need besides itself. */
  room(size: number): number;
  /** As putRecord, with what the text says; -1 when the general way must do it. Nothing is taken then. */
  put(
    mem: Buffer,
    at: number,
    seconds: number,
    nanos: number,
    text: Buffer,
    from: number,
    to: number,
    common: Buffer,
  ): number;
}

/** What comes behind a parser, by names of what it parsed. */
export interface TailBlocks {
  readonly time?: { readonly key: string; readonly layout: TimeLayout };
  /** Severity number (0: unknown) and text for a value as it stands in the record. */
  readonly severity?: { readonly key: string; readonly of: SeverityMatch };
  /** Not wanted on the record; each must be there. */
  readonly removed: ReadonlySet<string>;
  readonly nowMs: () => number;
}

/** Different severity values that are remembered in encoded form. */
const MAX_SEVERITIES = 64;

/** Severity fields for values as they stand in the text. */
export class SeverityBytes {
  readonly #of: SeverityMatch;
  readonly #known: { readonly raw: Buffer; readonly encoded: Buffer }[] = [];

  constructor(of: SeverityMatch) {
    this.#of = of;
  }

  /** Fields 2 and 3 for the value text[from, to) of plain ASCII; undefined for others. */
  encoded(text: Buffer, from: number, to: number): Buffer | undefined {
    const known = this.#known;
    for (let n = 0; n < known.length; n++) {
      const { raw, encoded } = known[n]!;
      if (raw.length !== to - from) continue;
      let i = 0;
      while (i < raw.length && raw[i] === text[from + i]) i++;
      if (i === raw.length) return encoded;
    }
    if (to - from > 40) return undefined;
    const value = text.toString('latin1', from, to);
    for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 126) return undefined;
    const { number, text: name } = this.#of(value);
    const out: number[] = [];
    if (number !== 0) out.push(0x10, number);
    if (name !== '') out.push(0x1a, name.length);
    const encoded = Buffer.concat([Buffer.from(out), Buffer.from(name, 'latin1')]);
    if (known.length < MAX_SEVERITIES) known.push({ raw: Buffer.from(value, 'latin1'), encoded });
    return encoded;
  }
}

/** Longer values take the general way. */
const MAX_TIME_BYTES = 48;

export interface TimeLayout {
  readonly type: 'strptime' | 'gotime' | 'epoch';
  readonly layout: string;
  readonly location: string;
}

/** Times of any layout. perf: many lines in a row have the same one, so the last one is remembered by its bytes. */
export class TimeBytes {
  /** Of the last `read` that succeeded: seconds since 1970 and nanoseconds. */
  seconds = 0;
  nanos = 0;

  readonly #parse: (text: string) => bigint | undefined;
  readonly #last = new Uint8Array(MAX_TIME_BYTES);
  #lastLength = -1;
  /** The parser asked what time it is: the same text may mean another time later. */
  #asked = false;

  /** The layout has been found valid. */
  constructor({ type, layout, location }: TimeLayout, nowMs: () => number) {
    if (type === 'epoch') this.#parse = compileEpoch(layout as EpochLayout);
    else {
      const parse = compileTimeLayout(type, layout, {
        location,
        nowMs: () => {
          this.#asked = true;
          return nowMs();
        },
      });
      if (typeof parse !== 'function') throw new Error(parse.error);
      this.#parse = parse;
    }
  }

  /** Whether text[from, to) is a time after 1970. */
  read(text: Buffer, from: number, to: number): boolean {
    const size = to - from;
    const last = this.#last;
    if (size === this.#lastLength) {
      let i = size - 1;
      while (i >= 0 && last[i] === text[from + i]) i--;
      if (i < 0) return true;
    }
    if (size > MAX_TIME_BYTES) return false;
    this.#lastLength = -1;
    this.#asked = false;
    const time = this.#parse(text.toString('utf8', from, to));
    if (time === undefined || time <= 0n) return false;
    this.seconds = Number(time / 1_000_000_000n);
    this.nanos = Number(time % 1_000_000_000n);
    if (!this.#asked) {
      this.#lastLength = size;
      for (let i = 0; i < size; i++) last[i] = text[from + i]!;
    }
    return true;
  }
}
