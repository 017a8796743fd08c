/**
 * The part of LogsQL that the embedded store answers: words, "phrases", `field:value`, `field:="exact"`, `field:*`,
 * `_time:5m`, `*`, AND, OR, NOT (`-`, `!`) and parentheses. A word matches anywhere in the value, in either case, which
 * is more than VictoriaLogs finds. Yields a condition over the tables of store.ts; values are always parameters.
 */
import { parseDuration } from '../../core/schema.ts';

export class QueryError extends Error {}

export interface Condition {
  readonly sql: string;
  readonly params: readonly (string | number)[];
}

const LONGEST_QUERY = 4096;
const DEEPEST = 50;
const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|([()])|(:=|:)|([!-])(?=[^\s)])|([^\s"():]+))/y;

interface Token {
  readonly kind: 'quoted' | 'paren' | 'colon' | 'not' | 'word';
  readonly text: string;
  /** No space before it. */
  readonly tight: boolean;
}

function tokens(text: string): Token[] {
  if (text.length > LONGEST_QUERY) throw new QueryError('query is too long');
  const list: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = text.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const m = TOKEN.exec(text);
    if (!m) throw new QueryError(`cannot read the query at ${JSON.stringify(text.slice(at, at + 20))}`);
    const tight = !/^\s/.test(m[0]);
    if (m[1] !== undefined) list.push({ kind: 'quoted', text: unquote(m[1]), tight });
    else if (m[2] !== undefined) list.push({ kind: 'paren', text: m[2], tight });
    else if (m[3] !== undefined) list.push({ kind: 'colon', text: m[3], tight });
    else if (m[4] !== undefined) list.push({ kind: 'not', text: m[4], tight });
    else if (m[5]!.includes('|'))
      throw new QueryError('pipes are not supported by the embedded store; quote a | that is meant as text');
    else if (m[5]!.includes('{'))
      throw new QueryError(
        'stream filters are not supported by the embedded store; write field:value, or quote the text',
      );
    else list.push({ kind: 'word', text: m[5]!, tight });
  }
  return list;
}

const unquote = (quoted: string): string =>
  quoted.slice(1, -1).replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c === 't' ? '\t' : c));

export function parseQuery(text: string, nowMs: number): Condition {
  const list = tokens(text);
  let at = 0;
  let depth = 0;
  const isWord = (t: Token | undefined, word: string): boolean => t?.kind === 'word' && t.text.toUpperCase() === word;

  const any = (): Condition => {
    if (++depth > DEEPEST) throw new QueryError('query is nested too deep');
    const parts = [all()];
    while (isWord(list[at], 'OR')) {
      at++;
      parts.push(all());
    }
    depth--;
    return join(parts, ' OR ');
  };
  const all = (): Condition => {
    const parts = [one()];
    for (;;) {
      const t = list[at];
      if (t === undefined || isWord(t, 'OR') || (t.kind === 'paren' && t.text === ')')) return join(parts, ' AND ');
      if (isWord(t, 'AND')) at++;
      parts.push(one());
    }
  };
  const one = (): Condition => {
    let t = list[at++];
    let negated = false;
    while (t?.kind === 'not' || isWord(t, 'NOT')) {
      negated = !negated;
      t = list[at++];
    }
    if (t === undefined) throw new QueryError('the query ends where a word is wanted');
    let found: Condition;
    if (t.kind === 'paren' && t.text === '(') {
      found = any();
      if (list[at++]?.text !== ')') throw new QueryError('missing )');
    } else if (t.kind !== 'word' && t.kind !== 'quoted') throw new QueryError(`unexpected ${t.text}`);
    else if (list[at]?.kind === 'colon' && list[at]!.tight) {
      const exact = list[at++]!.text === ':=';
      let value = '';
      let quoted = false;
      // An unquoted value may hold colons: `client:10.0.0.1:8080`.
      for (let v = list[at]; v?.tight && v.kind !== 'paren'; v = list[at]) {
        quoted ||= v.kind === 'quoted';
        value += v.text;
        at++;
      }
      if (value === '' && !quoted) throw new QueryError(`${t.text}: wants a value`);
      found = field(t.text, value, exact, quoted, nowMs);
    } else found = t.kind === 'word' && t.text === '*' ? { sql: '1', params: [] } : contains('l.msg', t.text);
    return negated ? { sql: `NOT coalesce(${found.sql}, 0)`, params: found.params } : found;
  };

  if (list.length === 0) return { sql: '1', params: [] };
  const condition = any();
  if (at < list.length) throw new QueryError(`unexpected ${list[at]!.text}`);
  return condition;
}

const join = (parts: readonly Condition[], word: string): Condition =>
  parts.length === 1
    ? parts[0]!
    : { sql: `(${parts.map((p) => p.sql).join(word)})`, params: parts.flatMap((p) => p.params) };

const contains = (column: string, text: string): Condition => ({
  sql: `${column} LIKE ? ESCAPE '\\'`,
  params: [`%${text.replace(/[\\%_]/g, '\\$&')}%`],
});

/** Short names for what people filter by most. */
const STREAM_FIELDS: Readonly<Record<string, string>> = {
  namespace: 'namespace',
  'k8s.namespace.name': 'namespace',
  pod: 'pod',
  'k8s.pod.name': 'pod',
  container: 'container',
  'k8s.container.name': 'container',
};

function field(name: string, value: string, exact: boolean, quoted: boolean, nowMs: number): Condition {
  if (name === '_time') {
    const ms = parseDuration(value);
    if (typeof ms !== 'number' || ms <= 0) throw new QueryError(`_time:${value}: write a duration such as _time:5m`);
    return { sql: 'l.time_us >= ?', params: [(nowMs - ms) * 1000] };
  }
  const test = (column: string): Condition =>
    value === '*' && !quoted
      ? { sql: `coalesce(${column}, '') <> ''`, params: [] }
      : exact || (quoted && value === '')
        ? { sql: `coalesce(${column}, '') = ?`, params: [value] }
        : contains(column, value);
  if (name === '_msg') return test('l.msg');
  if (name === 'severity') return test('l.severity');
  const column = STREAM_FIELDS[name];
  if (column !== undefined) {
    const c = test(`s.${column}`);
    return { sql: `l.stream IN (SELECT s.id FROM streams s WHERE ${c.sql})`, params: c.params };
  }
  const key = `$.${JSON.stringify(name)}`;
  const own = test('json_extract(l.attributes, ?)');
  const stream = test('json_extract(s.attributes, ?)');
  return {
    sql: `(${own.sql} OR l.stream IN (SELECT s.id FROM streams s WHERE ${stream.sql}))`,
    params: [key, ...own.params, key, ...stream.params],
  };
}
