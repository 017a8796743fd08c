/** Undoes the quoting of a Go string literal. */
import { fieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const unquote = defineOperator({
  type: 'unquote',
  summary: 'Replaces a quoted text ("…", \'…\' or `…`) by what it stands for.',
  schema: operatorConfig({ field: fieldSchema().describe('Field to unquote') }),
  compile({ field }, { next, fail }) {
    return (entry) => {
      const value = field.get(entry);
      if (value === undefined) return next(entry);
      if (typeof value !== 'string') return fail(entry, `type ${typeof value} cannot be unquoted`);
      const text = goUnquote(value);
      if (text === undefined) return fail(entry, 'unquote: invalid syntax');
      field.set(entry, text);
      next(entry);
    };
  },
});

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};

/** As Go's strconv.Unquote; undefined: not a literal. */
export function goUnquote(text: string): string | undefined {
  const quote = text[0];
  if (text.length < 2 || text.at(-1) !== quote) return undefined;
  const inner = text.slice(1, -1);
  if (quote === '`') return inner.includes('`') ? undefined : inner.replaceAll('\r', '');
  if ((quote !== '"' && quote !== "'") || inner.includes('\n')) return undefined;
  // \x and octal escapes are bytes, so everything is put together as bytes.
  const bytes: Buffer[] = [];
  let runes = 0;
  const piece = /\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|[^\\]/suy;
  let at = 0;
  while (at < inner.length) {
    piece.lastIndex = at;
    const m = piece.exec(inner);
    if (!m) return undefined;
    at = piece.lastIndex;
    runes++;
    const [whole, plain, hex, octal, u4, u8] = m;
    if (plain !== undefined) {
      if ((plain === '"' || plain === "'") && plain !== quote) return undefined;
      bytes.push(Buffer.from(ESCAPES[plain] ?? plain));
    } else if (hex !== undefined || octal !== undefined) {
      const byte = hex !== undefined ? Number.parseInt(hex, 16) : Number.parseInt(octal!, 8);
      if (byte > 255) return undefined;
      bytes.push(Buffer.from([byte]));
    } else if (u4 !== undefined || u8 !== undefined) {
      const code = Number.parseInt((u4 ?? u8)!, 16);
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
      bytes.push(Buffer.from(String.fromCodePoint(code)));
    } else {
      if (whole === quote) return undefined;
      bytes.push(Buffer.from(whole));
    }
  }
  if (quote === "'" && runes !== 1) return undefined;
  return Buffer.concat(bytes).toString('utf8');
}
