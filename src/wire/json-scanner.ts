/**
 * Walks JSON as bytes, value by value, without building any: what is not wanted costs no memory, however large or deep
 * it is. The grammar is that of JSON.parse; what comes before a problem has been walked by then.
 */
import { isUtf8 } from 'node:buffer';

/** Text that is no JSON. */
export class JsonError extends Error {}

/** As in the parser of otelcol. */
const MAX_SKIPPED_DEPTH = 10_000;

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN_LIST = 91;
const BACKSLASH = 92;
const CLOSE_LIST = 93;
const LOWER_U = 117;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;
const ESCAPES = new Set(Buffer.from('"\\/bfnrt'));
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** Longer numbers are none that anybody means. */
const MAX_NUMBER_LENGTH = 1100;

const isHex = (c: number): boolean => (c >= 48 && c <= 57) || ((c | 32) >= 97 && (c | 32) <= 102);

export class JsonScanner {
  readonly buf: Buffer;
  pos = 0;
  /** Of the string that was last walked: its content, and whether it has escapes. */
  start = 0;
  end = 0;
  escaped = false;

  constructor(text: string | Uint8Array) {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    // Ill-formed parts become U+FFFD, so that strings without escapes can be taken as they are.
    this.buf = isUtf8(bytes)
      ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
      : Buffer.from(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
  }

  fail(): never {
    if (this.pos >= this.buf.length) throw new JsonError('unexpected end of JSON input');
    const found = JSON.stringify(this.buf.toString('utf8', this.pos, this.pos + 4)[0]);
    throw new JsonError(`unexpected ${found} in JSON at position ${this.pos}`);
  }

  /** The byte that the next token begins with; -1 at the end. */
  peek(): number {
    const { buf } = this;
    for (; this.pos < buf.length; this.pos++) {
      const c = buf[this.pos]!;
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return c;
    }
    return -1;
  }

  take(c: number): void {
    if (this.peek() !== c) this.fail();
    this.pos++;
  }

  /** Walks a string. */
  string(): void {
    this.take(QUOTE);
    const { buf } = this;
    this.start = this.pos;
    this.escaped = false;
    for (;;) {
      const c = buf[this.pos]!;
      if (c === QUOTE) break;
      if (c === BACKSLASH) this.#escape();
      // undefined, behind the end, is no number and fails here as control characters do.
      else if (!(c >= 32)) this.fail();
      else this.pos++;
    }
    this.end = this.pos++;
  }

  #escape(): void {
    const { buf } = this;
    this.escaped = true;
    const c = buf[++this.pos]!;
    if (c === LOWER_U) {
      for (let i = 0; i < 4; i++) if (!isHex(buf[++this.pos] ?? 0)) this.fail();
    } else if (!ESCAPES.has(c)) this.fail();
    this.pos++;
  }

  /** The string that was last walked. */
  get text(): string {
    return this.escaped
      ? (JSON.parse(this.buf.toString('utf8', this.start - 1, this.end + 1)) as string)
      : this.buf.toString('utf8', this.start, this.end);
  }

  /** Walks `"key":`. */
  key(): void {
    this.string();
    this.take(COLON);
  }

  /** Walks a number and gives its text. */
  number(): string {
    NUMBER.lastIndex = 0;
    this.peek();
    const text = this.buf.toString('latin1', this.pos, this.pos + 32);
    let found = NUMBER.exec(text)?.[0] ?? this.fail();
    if (found.length >= 31) {
      NUMBER.lastIndex = 0;
      found = NUMBER.exec(this.buf.toString('latin1', this.pos, this.pos + MAX_NUMBER_LENGTH))?.[0] ?? this.fail();
      if (found.length >= MAX_NUMBER_LENGTH) this.fail();
    }
    this.pos += found.length;
    return found;
  }

  word(text: 'true' | 'false' | 'null'): void {
    this.peek();
    for (let i = 0; i < text.length; i++, this.pos++) if (this.buf[this.pos] !== text.charCodeAt(i)) this.fail();
  }

  /** In an object or list behind a value: true when another one follows, false when it ended. */
  more(close: number): boolean {
    const c = this.peek();
    if (c !== COMMA && c !== close) this.fail();
    this.pos++;
    return c === COMMA;
  }

  /** Behind the opening bracket: whether it closes at once. */
  empty(close: number): boolean {
    if (this.peek() !== close) return false;
    this.pos++;
    return true;
  }

  /** Walks any value. */
  skip(): void {
    const closes: number[] = [];
    for (;;) {
      const c = this.peek();
      if (c === OPEN_OBJECT || c === OPEN_LIST) {
        if (closes.length >= MAX_SKIPPED_DEPTH) throw new JsonError('nested too deep');
        const close = c === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_LIST;
        this.pos++;
        if (!this.empty(close)) {
          closes.push(close);
          if (close === CLOSE_OBJECT) this.key();
          continue;
        }
      } else this.#scalar(c);
      // Behind a value: leave what ends here, stop before the next value.
      for (;;) {
        const close = closes.at(-1);
        if (close === undefined) return;
        if (this.more(close)) {
          if (close === CLOSE_OBJECT) this.key();
          break;
        }
        closes.pop();
      }
    }
  }

  #scalar(c: number): void {
    if (c === QUOTE) this.string();
    else if (c === 116) this.word('true');
    else if (c === 102) this.word('false');
    else if (c === 110) this.word('null');
    else this.number();
  }

  /** Nothing but blanks may follow. */
  finish(): void {
    if (this.peek() >= 0) this.fail();
  }
}
