/**
 * Cuts a window of bytes into records: by line, by pattern, or not at all. A splitter finds one record at a time;
 * length limits, forced flushes and trimming are put around it by the reader.
 */
import type { Encoding } from './encoding.ts';
import { bytePattern } from './pattern.ts';

export interface Splitter {
  /** The record found by the last `next`: buf[tokenStart, tokenEnd); the one after it begins at `after`. */
  readonly tokenStart: number;
  readonly tokenEnd: number;
  readonly after: number;
  /**
   * Looks for the record that begins at `start`. False: not finished within [start, end).
   * @param more there is more of the file behind `end`
   */
  next(buf: Buffer, start: number, end: number, more: boolean): boolean;
}

const NL = 10;
const CR = 13;

export class LineSplitter implements Splitter {
  tokenStart = 0;
  tokenEnd = 0;
  after = 0;

  next(buf: Buffer, start: number, end: number): boolean {
    const nl = buf.indexOf(NL, start);
    if (nl < 0 || nl >= end) return false;
    this.tokenStart = start;
    this.tokenEnd = nl > start && buf[nl - 1] === CR ? nl - 1 : nl;
    this.after = nl + 1;
    return true;
  }
}

/** Lines of two-byte units. */
export class WideLineSplitter implements Splitter {
  tokenStart = 0;
  tokenEnd = 0;
  after = 0;
  readonly #low: number;

  constructor(bigEndian: boolean) {
    this.#low = bigEndian ? 1 : 0;
  }

  next(buf: Buffer, start: number, end: number): boolean {
    const low = this.#low;
    let nl = buf.indexOf(NL, start + low);
    while (nl >= 0 && nl < end) {
      const at = nl - low;
      if ((at - start) % 2 === 0 && at + 1 < end && buf[at + 1 - low] === 0) {
        const cr = at - 2 >= start && buf[at - 2 + low] === CR && buf[at - 1 - low] === 0;
        this.tokenStart = start;
        this.tokenEnd = cr ? at - 2 : at;
        this.after = at + 2;
        return true;
      }
      nl = buf.indexOf(NL, nl + 1);
    }
    return false;
  }
}

/** Everything there is, up to the length limit: encoding nop. */
export class WholeSplitter implements Splitter {
  tokenStart = 0;
  tokenEnd = 0;
  after = 0;

  next(_buf: Buffer, start: number, end: number, more: boolean): boolean {
    if (more || end === start) return false;
    this.tokenStart = start;
    this.tokenEnd = end;
    this.after = end;
    return true;
  }
}

/** Base of the pattern splitters: the window as text, one character per byte, made once per window. */
class WindowText {
  #buf: Buffer | undefined;
  #base = 0;
  #end = -1;
  #generation = -1;
  #text = '';

  /** Text of buf[from, end) with from ≤ start; `base` is `from`. */
  of(buf: Buffer, start: number, end: number, generation: number): { text: string; base: number } {
    if (this.#buf !== buf || this.#end !== end || this.#generation !== generation || start < this.#base) {
      this.#buf = buf;
      this.#base = start;
      this.#end = end;
      this.#generation = generation;
      this.#text = buf.toString('latin1', start, end);
    }
    return { text: this.#text, base: this.#base };
  }
}

abstract class PatternSplitter implements Splitter {
  tokenStart = 0;
  tokenEnd = 0;
  after = 0;
  /** Set anew by the reader whenever the window's bytes change. */
  generation = 0;
  protected readonly re: RegExp;
  protected readonly omit: boolean;
  readonly #window = new WindowText();
  #limited = '';
  #from = -1;
  /** Index of the first byte of the text that `find` last looked at. */
  #base = 0;

  constructor(pattern: string, omit: boolean) {
    this.re = bytePattern(pattern);
    this.omit = omit;
  }

  abstract next(buf: Buffer, start: number, end: number, more: boolean): boolean;

  /** First match at or behind `at`, as positions in buf. `^` matches at `start`. */
  protected find(buf: Buffer, start: number, at: number, end: number): { start: number; end: number } | undefined {
    const { text, base } = this.#window.of(buf, start, end, this.generation);
    // A record that does not begin behind a line end must still count as the beginning of the text.
    let search = text;
    let searchBase = base;
    if (start > base && buf[start - 1] !== NL) {
      if (this.#from !== start || this.#base !== base) {
        this.#limited = text.slice(start - base);
        this.#from = start;
        this.#base = base;
      }
      search = this.#limited;
      searchBase = start;
    }
    this.re.lastIndex = at - searchBase;
    const m = this.re.exec(search);
    if (!m) return undefined;
    return { start: m.index + searchBase, end: m.index + m[0].length + searchBase };
  }

  /** The window's bytes are others now. */
  changed(): void {
    this.generation++;
    this.#from = -1;
  }
}

export class LineStartSplitter extends PatternSplitter {
  override next(buf: Buffer, start: number, end: number): boolean {
    const first = this.find(buf, start, start, end);
    if (!first) return false;
    if (first.start > start) {
      this.#found(start, first.start, first.start);
      return true;
    }
    if (first.end >= end) return false;
    const second = this.find(buf, start, Math.max(first.end, start + 1), end);
    if (!second) return false;
    this.#found(this.omit ? first.end : start, second.start, second.start);
    return true;
  }

  #found(start: number, end: number, after: number): void {
    this.tokenStart = start;
    this.tokenEnd = end;
    this.after = after;
  }
}

export class LineEndSplitter extends PatternSplitter {
  override next(buf: Buffer, start: number, end: number, more: boolean): boolean {
    const match = this.find(buf, start, start, end);
    if (!match || match.end === start) return false;
    // The match might go on in bytes that are not in the window.
    if (more && match.end >= end - 1) return false;
    this.tokenStart = start;
    this.tokenEnd = this.omit ? match.start : match.end;
    this.after = match.end;
    return true;
  }
}

export interface SplitterOptions {
  readonly encoding: Encoding;
  readonly lineStartPattern: string;
  readonly lineEndPattern: string;
  readonly omitPattern: boolean;
}

export function makeSplitter(o: SplitterOptions): Splitter {
  if (o.encoding.kind === 'bytes') return new WholeSplitter();
  if (o.lineStartPattern !== '') return new LineStartSplitter(o.lineStartPattern, o.omitPattern);
  if (o.lineEndPattern !== '') return new LineEndSplitter(o.lineEndPattern, o.omitPattern);
  return o.encoding.unit === 2 ? new WideLineSplitter(o.encoding.bigEndian) : new LineSplitter();
}

/** To be called when the bytes of a window were replaced. */
export function windowChanged(splitter: Splitter): void {
  if (splitter instanceof PatternSplitter) splitter.changed();
}
