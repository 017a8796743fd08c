/** Text of OTTL → tokens. */
import { goUnquote } from '../go-string.ts';
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

/** The text of a string literal, by Go's rules for interpreted strings. */
export function unquote(token: Token): string {
  const { text } = token;
  if (!text.includes('\\')) {
    if (text.includes('\n')) throw new OttlError(`invalid quoted string ${text}: invalid syntax`, token.at, true);
    return text.slice(1, -1);
  }
  const found = goUnquote(text);
  if (typeof found === 'string') return found;
  throw new OttlError(`invalid quoted string ${text}: invalid syntax`, token.at + found, true);
}
