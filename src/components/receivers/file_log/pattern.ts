/**
 * Go regular expressions for byte windows: translated to RegExp over text with one character per byte, so that match
 * positions are byte positions. Characters beyond ASCII in a pattern become their UTF-8 bytes.
 */

const POSIX: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7F',
  blank: '\\t ',
  cntrl: '\\x00-\\x1F\\x7F',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};
const SPACE = '\\t\\n\\f\\r ';

const bytesOf = (c: string): string =>
  [...Buffer.from(c, 'utf8')].map((b) => `\\x${b.toString(16).padStart(2, '0')}`).join('');

/** Multi-line (`^` and `$` at line ends), as multiline.line_start_pattern and line_end_pattern are compiled. Throws SyntaxError. */
export function bytePattern(pattern: string): RegExp {
  let flags = 'gm';
  let source = pattern;
  const leading = /^\(\?([imsU]+)\)/.exec(source);
  if (leading) {
    for (const f of leading[1]!) if ((f === 'i' || f === 's') && !flags.includes(f)) flags += f;
    source = source.slice(leading[0].length);
  }
  let out = '';
  let inClass = false;
  const chars = [...source];
  for (let i = 0; i < chars.length; i++) {
    const c = chars[i]!;
    const rest = (): string => chars.slice(i).join('');
    if (c === '\\') {
      const next = chars[++i] ?? '';
      if (next === 'A') out += '(?<![^])';
      else if (next === 'z') out += '(?![^])';
      else if (next === 'a') out += '\\x07';
      else if (next === 's') out += inClass ? SPACE : `[${SPACE}]`;
      else if (next === 'S' && !inClass) out += `[^${SPACE}]`;
      else if (next === 'Q') {
        for (i++; i < chars.length && !(chars[i] === '\\' && chars[i + 1] === 'E'); i++) {
          const q = chars[i]!;
          out += q > '\x7f' ? bytesOf(q) : q.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');
        }
        i++;
      } else if (next === 'x' && chars[i + 1] === '{') {
        const m = /^x\{([0-9A-Fa-f]+)\}/.exec(rest());
        if (!m) throw new SyntaxError('invalid escape sequence: `\\x{`');
        out += bytesOf(String.fromCodePoint(Number.parseInt(m[1]!, 16)));
        i += m[0].length - 1;
      } else out += next > '\x7f' ? bytesOf(next) : `\\${next}`;
    } else if (inClass && c === '[' && chars[i + 1] === ':') {
      const m = /^\[:([a-z]+):\]/.exec(rest());
      const set = m && POSIX[m[1]!];
      if (!m || !set) throw new SyntaxError('invalid character class range');
      out += set;
      i += m[0].length - 1;
    } else if (c === '[' && !inClass) {
      inClass = true;
      out += c;
      if (chars[i + 1] === '^') out += chars[++i];
      if (chars[i + 1] === ']') {
        out += '\\]';
        i++;
      }
    } else if (c === ']' && inClass) {
      inClass = false;
      out += c;
    } else if (c === '(' && !inClass && chars[i + 1] === '?' && chars[i + 2] === 'P' && chars[i + 3] === '<') {
      out += '(?<';
      i += 3;
    } else if (c > '\x7f')
      out += inClass ? c : chars[i + 1] && /[*+?{]/.test(chars[i + 1]!) ? `(?:${bytesOf(c)})` : bytesOf(c);
    else out += c;
  }
  return new RegExp(out, flags);
}
