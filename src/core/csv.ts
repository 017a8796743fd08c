/** One CSV record → fields, by the rules of Go's encoding/csv. */

export type QuoteMode = 'strict' | 'lazy' | 'ignore';

/**
 * The fields, or what is wrong. A line end outside of quotes starts another row: rows are added up until there are
 * `expected` fields, with the line end inside of the field that it splits.
 */
export function splitCsv(text: string, delimiter: string, mode: QuoteMode, expected: number): string[] | string {
  if (mode === 'ignore') return text.split(delimiter);
  const fields: string[] = [];
  let i = 0;
  for (;;) {
    if (text[i] === '"') {
      const quoted = quotedField(text, i, delimiter, mode === 'lazy');
      if (typeof quoted === 'string') return quoted;
      fields.push(quoted.field);
      i = quoted.end;
    } else {
      let end = text.indexOf(delimiter, i);
      if (end < 0) end = text.length;
      // A line end inside of the last field belongs to it.
      const line = fields.length + 1 < expected ? text.slice(i, end).indexOf('\n') : -1;
      if (line >= 0) end = i + line;
      const field = text.slice(i, end);
      if (mode === 'strict' && field.includes('"')) return 'bare " in non-quoted-field';
      fields.push(field.endsWith('\r') ? field.slice(0, -1) : field);
      i = end;
    }
    if (i >= text.length) return fields;
    i += text[i] === '\n' ? 1 : delimiter.length;
  }
}

function quotedField(
  text: string,
  start: number,
  delimiter: string,
  lazy: boolean,
): { field: string; end: number } | string {
  let field = '';
  let i = start + 1;
  for (;;) {
    const q = text.indexOf('"', i);
    if (q < 0) {
      if (lazy) return { field: field + text.slice(i), end: text.length };
      return 'extraneous or missing " in quoted-field';
    }
    field += text.slice(i, q);
    if (text[q + 1] === '"') {
      field += '"';
      i = q + 2;
    } else if (q + 1 >= text.length || text.startsWith(delimiter, q + 1) || text[q + 1] === '\n')
      return { field, end: q + 1 };
    else if (lazy) {
      field += '"';
      i = q + 1;
    } else return 'extraneous or missing " in quoted-field';
  }
}
