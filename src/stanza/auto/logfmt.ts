/** `key=value key="quoted value"`: parsed only when the whole line is of that form. */
import type { Value, ValueMap } from '../../wire/otlp.ts';

/** A line of prose may hold a pair; this many in a row, and nothing else, are none. */
const MIN_PAIRS = 2;
const MAX_PAIRS = 512;

const KEY = /[A-Za-z_@][\w.@/-]*=/y;
const BARE = /[^\s"]*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;

/** undefined when it is something else. `from` is where pairs begin. */
export function parseLogfmt(text: string, from = 0, minPairs = MIN_PAIRS): ValueMap | undefined {
  const fields: ValueMap = new Map();
  let at = from;
  for (;;) {
    while (text[at] === ' ') at++;
    if (at >= text.length) break;
    KEY.lastIndex = at;
    const key = KEY.exec(text)?.[0];
    if (key === undefined || fields.size >= MAX_PAIRS) return undefined;
    at += key.length;
    const pattern = text[at] === '"' ? QUOTED : BARE;
    pattern.lastIndex = at;
    const m = pattern.exec(text);
    if (!m) return undefined;
    at += m[0].length;
    if (at < text.length && text[at] !== ' ') return undefined;
    fields.set(key.slice(0, -1), m[1] === undefined ? m[0] : unquote(m[1]));
  }
  return fields.size >= minPairs ? fields : undefined;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };
export const unquote = (text: string): Value =>
  text.includes('\\') ? text.replace(/\\(.)/gs, (_, c: string) => ESCAPES[c] ?? c) : text;
