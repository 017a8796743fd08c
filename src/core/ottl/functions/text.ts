/** Texts as OTTL measures them: in bytes of UTF-8. */

/** At most `max` bytes, `marker` included; characters are never cut. */
export function truncateText(text: string, max: number, marker = ''): string {
  // No character has more than three bytes per UTF-16 unit.
  if (text.length * 3 <= max) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= max) return text;
  return cut(bytes, max - Buffer.byteLength(marker)) + marker;
}

const isInside = (b: number | undefined): boolean => b !== undefined && (b & 0xc0) === 0x80;

function cut(bytes: Buffer, max: number): string {
  let end = max;
  while (end > 0 && isInside(bytes[end])) end--;
  return bytes.toString('utf8', 0, end);
}

/** `length` bytes from byte `start`; with `safe`, moved so that no character is cut. */
export function sliceBytes(text: string, start: number, length: number, safe: boolean): string | undefined {
  const bytes = Buffer.from(text);
  let end = start + length;
  if (start < 0 || length < 0 || end > bytes.length) return undefined;
  let from = start;
  if (safe) {
    while (from < end && isInside(bytes[from])) from++;
    while (end > from && isInside(bytes[end])) end--;
  }
  return bytes.toString('utf8', from, end);
}

const words = (text: string): string[] =>
  text
    .replaceAll(/([a-z\d])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .replaceAll(/([A-Za-z])(\d)|(\d)([A-Za-z])/g, (_m, a, b, c, d) => (a === undefined ? `${c} ${d}` : `${a} ${b}`))
    .split(/[\s_\-.]+/)
    .filter((w) => w !== '');

export const snakeCase = (text: string): string => words(text).join('_').toLowerCase();

/** The first letter of each word large, the rest as it was. */
export const camelCase = (text: string): string =>
  text
    .split(/[\s_\-.]+/)
    .map((w) => (w === '' ? '' : w[0]!.toUpperCase() + w.slice(1)))
    .join('');
