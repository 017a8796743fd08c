/** Text of OTTL → tokens. */
import { OttlError } from './syntax.ts';

export type TokenKind = 'bytes' | 'float' | 'int' | 'string' | 'upper' | 'lower' | 'op' | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly at: number;
}

const MAX_TEXT = 64 * 1024;

const PATTERNS: readonly (readonly [TokenKind | 'space', RegExp])[] = [
  ['space', /\s+/y],
  ['bytes', /0x[0-9a-fA-F]+/y],
  ['float', /\d*\.\d+(?:[eE][-+]?\d+)?/y],
  ['int', /\d+/y],
  ['string', /"(?:\\[\s\S]|[^\\"])*"/y],
  ['upper', /[A-Z][A-Za-z0-9_]*/y],
  ['lower', /[a-z][A-Za-z0-9_]*/y],
  ['op', /==|!=|>=|<=|=>|[-+*/<>=(){}[\]:,.]/y],
];

export function lex(text: string): Token[] {
  if (text.length > MAX_TEXT) throw new OttlError('text is too long', 0, true);
  const tokens: Token[] = [];
  let at = 0;
  next: while (at < text.length) {
    for (const [kind, pattern] of PATTERNS) {
      pattern.lastIndex = at;
      const found = pattern.exec(text)?.[0];
      if (found === undefined) continue;
      if (kind !== 'space') tokens.push({ kind, text: found, at });
      at += found.length;
      continue next;
    }
    throw new OttlError(`invalid input text ${JSON.stringify(text.slice(at, at + 20))}`, at, true);
  }
  tokens.push({ kind: 'end', text: '<EOF>', at: text.length });
  return tokens;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
};

/** The text of a string literal, by Go's rules for interpreted strings. */
export function unquote(token: Token): string {
  const { text } = token;
  if (!text.includes('\\')) {
    if (text.includes('\n')) throw new OttlError(`invalid quoted string ${text}: invalid syntax`, token.at, true);
    return text.slice(1, -1);
  }
  // Numeric escapes below 256 are bytes of UTF-8.
  const out: (string | number)[] = [];
  const pattern =
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\"]))|\\|\n|[^\\\n]+/g;
  for (const m of text.slice(1, -1).matchAll(pattern)) {
    const [whole, hex, unicode, long, octal, simple] = m;
    if (simple !== undefined) out.push(ESCAPES[simple]!);
    else if (hex !== undefined) out.push(Number.parseInt(hex, 16));
    else if (octal !== undefined && Number.parseInt(octal, 8) < 256) out.push(Number.parseInt(octal, 8));
    else if ((unicode ?? long) !== undefined && Number.parseInt(unicode ?? long!, 16) <= 0x10ffff)
      out.push(String.fromCodePoint(Number.parseInt(unicode ?? long!, 16)));
    else if (whole === '\\' || whole === '\n' || whole.startsWith('\\'))
      throw new OttlError(`invalid quoted string ${text}: invalid syntax`, token.at + 1 + m.index, true);
    else out.push(whole);
  }
  if (!out.some((p) => typeof p === 'number')) return out.join('');
  return Buffer.concat(out.map((p) => (typeof p === 'number' ? Buffer.of(p) : Buffer.from(p)))).toString();
}
