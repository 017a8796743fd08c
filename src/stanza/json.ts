/** JSON text → Value: objects are maps, numbers are doubles (integers too, unless asked), depth is bounded. */
import type { Value, ValueMap } from '../wire/otlp.ts';

/** Deeper documents are refused: whoever decodes the record later has limits as well. */
const MAX_DEPTH = 64;

const QUOTE = 34;
const BACKSLASH = 92;

/** A reusable parser; `parse` gives undefined and sets `error` when the text is not JSON. */
export class JsonParser {
  error = '';
  readonly #parseInts: boolean;
  #text = '';
  #at = 0;
  #depth = 0;

  constructor(parseInts: boolean) {
    this.#parseInts = parseInts;
  }

  parse(text: string): Value | undefined {
    this.#text = text;
    this.#at = 0;
    this.#depth = 0;
    this.error = '';
    this.#blank();
    const value = this.#value();
    if (value === undefined) return undefined;
    this.#blank();
    if (this.#at < text.length) return this.#fail('after top-level value');
    return value;
  }

  #fail(where: string): undefined {
    const c = this.#text[this.#at];
    this.error =
      c === undefined
        ? 'unexpected end of JSON input'
        : `invalid character ${JSON.stringify(c)} ${where} at offset ${this.#at}`;
    return undefined;
  }

  #blank(): void {
    const text = this.#text;
    let i = this.#at;
    for (;;) {
      const c = text.charCodeAt(i);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) break;
      i++;
    }
    this.#at = i;
  }

  #value(): Value | undefined {
    switch (this.#text.charCodeAt(this.#at)) {
      case 123:
        return this.#object();
      case 91:
        return this.#array();
      case QUOTE:
        return this.#string();
      case 116:
        return this.#word('true', true);
      case 102:
        return this.#word('false', false);
      case 110:
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #word(word: string, value: Value): Value | undefined {
    if (!this.#text.startsWith(word, this.#at)) return this.#fail(`in literal ${word}`);
    this.#at += word.length;
    return value;
  }

  #enter(): boolean {
    if (++this.#depth <= MAX_DEPTH) return true;
    this.error = `exceeded max depth of ${MAX_DEPTH}`;
    return false;
  }

  #object(): ValueMap | undefined {
    if (!this.#enter()) return undefined;
    const text = this.#text;
    const map: ValueMap = new Map();
    this.#at++;
    this.#blank();
    if (text.charCodeAt(this.#at) === 125) this.#at++;
    else
      for (;;) {
        if (text.charCodeAt(this.#at) !== QUOTE) return this.#fail('looking for beginning of object key string');
        const key = this.#string();
        if (key === undefined) return undefined;
        this.#blank();
        if (text.charCodeAt(this.#at) !== 58) return this.#fail('after object key');
        this.#at++;
        this.#blank();
        const value = this.#value();
        if (value === undefined) return undefined;
        map.set(key, value);
        this.#blank();
        const c = text.charCodeAt(this.#at);
        if (c === 125) {
          this.#at++;
          break;
        }
        if (c !== 44) return this.#fail('after object key:value pair');
        this.#at++;
        this.#blank();
      }
    this.#depth--;
    return map;
  }

  #array(): Value[] | undefined {
    if (!this.#enter()) return undefined;
    const text = this.#text;
    const list: Value[] = [];
    this.#at++;
    this.#blank();
    if (text.charCodeAt(this.#at) === 93) this.#at++;
    else
      for (;;) {
        const value = this.#value();
        if (value === undefined) return undefined;
        list.push(value);
        this.#blank();
        const c = text.charCodeAt(this.#at);
        if (c === 93) {
          this.#at++;
          break;
        }
        if (c !== 44) return this.#fail('after array element');
        this.#at++;
        this.#blank();
      }
    this.#depth--;
    return list;
  }

  #string(): string | undefined {
    const text = this.#text;
    const from = ++this.#at;
    let i = from;
    for (;;) {
      const c = text.charCodeAt(i);
      if (c === QUOTE) {
        this.#at = i + 1;
        return text.slice(from, i);
      }
      if (c === BACKSLASH) return this.#escaped(from, i);
      // NaN at the end of the text is caught here too.
      if (!(c >= 32)) {
        this.#at = i;
        return this.#fail('in string literal');
      }
      i++;
    }
  }

  #escaped(from: number, firstEscape: number): string | undefined {
    const text = this.#text;
    let out = text.slice(from, firstEscape);
    let i = firstEscape;
    let run = i;
    for (;;) {
      const c = text.charCodeAt(i);
      if (c === QUOTE) {
        this.#at = i + 1;
        return out + text.slice(run, i);
      }
      if (!(c >= 32)) {
        this.#at = i;
        return this.#fail('in string literal');
      }
      if (c !== BACKSLASH) {
        i++;
        continue;
      }
      out += text.slice(run, i);
      const e = text.charCodeAt(i + 1);
      if (e === 117) {
        const code = hex4(text, i + 2);
        if (code < 0) {
          this.#at = i + 2;
          return this.#fail('in \\u hexadecimal character escape');
        }
        out += String.fromCharCode(code);
        i += 6;
      } else {
        const plain =
          e === 110
            ? '\n'
            : e === 116
              ? '\t'
              : e === QUOTE
                ? '"'
                : e === BACKSLASH
                  ? '\\'
                  : e === 47
                    ? '/'
                    : e === 114
                      ? '\r'
                      : e === 98
                        ? '\b'
                        : e === 102
                          ? '\f'
                          : '';
        if (plain === '') {
          this.#at = i + 1;
          return this.#fail('in string escape code');
        }
        out += plain;
        i += 2;
      }
      run = i;
    }
  }

  #number(): number | bigint | undefined {
    const text = this.#text;
    const from = this.#at;
    let i = from;
    let c = text.charCodeAt(i);
    if (c === 45) c = text.charCodeAt(++i);
    if (c === 48) c = text.charCodeAt(++i);
    else if (c >= 49 && c <= 57) {
      do c = text.charCodeAt(++i);
      while (c >= 48 && c <= 57);
    } else {
      this.#at = i;
      return this.#fail('looking for beginning of value');
    }
    let whole = true;
    if (c === 46) {
      whole = false;
      c = text.charCodeAt(++i);
      if (!(c >= 48 && c <= 57)) {
        this.#at = i;
        return this.#fail('after decimal point in numeric literal');
      }
      do c = text.charCodeAt(++i);
      while (c >= 48 && c <= 57);
    }
    if (c === 101 || c === 69) {
      whole = false;
      c = text.charCodeAt(++i);
      if (c === 43 || c === 45) c = text.charCodeAt(++i);
      if (!(c >= 48 && c <= 57)) {
        this.#at = i;
        return this.#fail('in exponent of numeric literal');
      }
      do c = text.charCodeAt(++i);
      while (c >= 48 && c <= 57);
    }
    this.#at = i;
    const digits = text.slice(from, i);
    if (whole && this.#parseInts && digits.length <= 20) {
      const n = BigInt(digits);
      if (n === BigInt.asIntN(64, n)) return n;
    }
    const n = Number(digits);
    if (Number.isFinite(n)) return n;
    this.error = `cannot unmarshal number ${digits.slice(0, 30)} into a float64`;
    return undefined;
  }
}

function hex4(text: string, at: number): number {
  let n = 0;
  for (let i = at; i < at + 4; i++) {
    const c = text.charCodeAt(i);
    const d = c >= 48 && c <= 57 ? c - 48 : c >= 97 && c <= 102 ? c - 87 : c >= 65 && c <= 70 ? c - 55 : -1;
    if (d < 0) return -1;
    n = n * 16 + d;
  }
  return n;
}
