/** String literals of Go, as three languages here have them: expr, OTTL and the operator unquote. */

export const GO_ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/** As Go's strconv.Unquote: the text, or where in `text` it stops being a literal. */
export function goUnquote(text: string): string | number {
  const quote = text[0];
  if (text.length < 2 || text.at(-1) !== quote) return 0;
  const end = text.length - 1;
  if (quote === '`') {
    const inner = text.slice(1, end);
    const stray = inner.indexOf('`');
    return stray >= 0 ? 1 + stray : inner.replaceAll('\r', '');
  }
  if (quote !== '"' && quote !== "'") return 0;
  // \x and octal escapes are bytes, so everything is put together as bytes.
  const bytes: Buffer[] = [];
  let runes = 0;
  const piece = /\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|[^\\\n]/uy;
  let at = 1;
  while (at < end) {
    piece.lastIndex = at;
    const m = piece.exec(text);
    // An escape must not reach over the closing quote.
    if (!m || piece.lastIndex > end) return at;
    runes++;
    const [whole, plain, hex, octal, u4, u8] = m;
    if (plain !== undefined) {
      if ((plain === '"' || plain === "'") && plain !== quote) return at;
      bytes.push(Buffer.from(GO_ESCAPES[plain]!));
    } else if (hex !== undefined || octal !== undefined) {
      const byte = hex !== undefined ? Number.parseInt(hex, 16) : Number.parseInt(octal!, 8);
      if (byte > 255) return at;
      bytes.push(Buffer.of(byte));
    } else if (u4 !== undefined || u8 !== undefined) {
      const code = Number.parseInt((u4 ?? u8)!, 16);
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return at;
      bytes.push(Buffer.from(String.fromCodePoint(code)));
    } else {
      if (whole === quote) return at;
      bytes.push(Buffer.from(whole));
    }
    at = piece.lastIndex;
  }
  if (quote === "'" && runes !== 1) return 0;
  return Buffer.concat(bytes).toString();
}
