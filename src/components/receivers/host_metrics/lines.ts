/** Walks the lines of a /proc file and the fields of a line in place, without a string per field. */

const LF = 10;
const SPACE = 32;
const TAB = 9;
const MINUS = 45;

export class Lines {
  readonly buf: Buffer;
  /** Where the next field is looked for. */
  pos: number;
  /** End of the current line. */
  end: number;
  #next: number;
  readonly #limit: number;

  constructor(buf: Buffer) {
    this.buf = buf;
    this.pos = this.end = this.#next = 0;
    this.#limit = buf.length;
  }

  /** Goes to the next line; false at the end. A last line without a line end counts. */
  next(): boolean {
    if (this.#next >= this.#limit) return false;
    this.pos = this.#next;
    const lf = this.buf.indexOf(LF, this.pos);
    this.end = lf < 0 ? this.#limit : lf;
    this.#next = this.end + 1;
    return true;
  }

  /** Skips spaces; false at the end of the line. */
  more(): boolean {
    const { buf, end } = this;
    let pos = this.pos;
    while (pos < end && (buf[pos] === SPACE || buf[pos] === TAB)) pos++;
    this.pos = pos;
    return pos < end;
  }

  /** The next field as an integer (exact below 2^53); NaN when there is none or it is something else. */
  number(): number {
    if (!this.more()) return Number.NaN;
    const { buf, end } = this;
    let pos = this.pos;
    const negative = buf[pos] === MINUS;
    if (negative) pos++;
    const first = pos;
    let value = 0;
    while (pos < end) {
      const digit = buf[pos]! - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      pos++;
    }
    const whole = pos > first && (pos === end || buf[pos] === SPACE || buf[pos] === TAB);
    this.pos = pos;
    if (!whole) this.skip();
    if (!whole || value === Number.POSITIVE_INFINITY) return Number.NaN;
    return negative ? -value : value;
  }

  /** Passes over a field. */
  skip(fields = 1): void {
    for (let i = 0; i < fields && this.more(); i++) this.pos = this.#fieldEnd();
  }

  /** The next field as text; '' without one. */
  word(): string {
    if (!this.more()) return '';
    const start = this.pos;
    this.pos = this.#fieldEnd();
    return this.buf.toString('utf8', start, this.pos);
  }

  #fieldEnd(): number {
    const { buf, end } = this;
    let pos = this.pos;
    while (pos < end && buf[pos] !== SPACE && buf[pos] !== TAB) pos++;
    return pos;
  }

  /** Passes over `text` (ASCII) when the rest of the line begins with it. */
  take(text: string): boolean {
    const { buf, pos } = this;
    if (this.end - pos < text.length) return false;
    for (let i = 0; i < text.length; i++) if (buf[pos + i] !== text.charCodeAt(i)) return false;
    this.pos = pos + text.length;
    return true;
  }

  /** What is left of the line. */
  rest(): string {
    return this.buf.toString('utf8', this.pos, this.end);
  }
}
