/** The LogsQL of dashboards, read strictly: what is not known here is an error, so that no query passes unread. */

export type Fields = Readonly<Record<string, string>>;
interface Item {
  readonly fields: Fields;
  readonly stream: string;
  /** The fields that make the stream. */
  readonly tags: readonly (readonly [name: string, value: string])[];
}
type Filter = (item: Item) => boolean;
interface Stat {
  readonly name: string;
  readonly of: (rows: readonly Fields[]) => number;
}

export interface LogsQl {
  run(stored: readonly Item[]): Fields[];
  /** The numbers of a row that a stats pipe made, with its labels. */
  statsOf(row: Fields): { name: string; labels: Fields; number: string }[];
}

const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|(:=|:~|=~|!~|!=|[(){}|,:=*!])|([^\s"(){}|,:=*!~]+))/y;

interface Token {
  readonly text: string;
  readonly isQuoted: boolean;
  /** Nothing before it. */
  readonly isTight: boolean;
}

function tokensOf(query: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = query.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const m = TOKEN.exec(query);
    if (!m) throw new Error(`LogsQL: cannot read ${query.slice(at)}`);
    const isQuoted = m[1] !== undefined;
    tokens.push({
      text: isQuoted ? (JSON.parse(m[1]!) as string) : (m[2] ?? m[3])!,
      isQuoted,
      isTight: !/^\s/.test(m[0]),
    });
  }
  return tokens;
}

/** A phrase begins and ends where words do. Nothing is only in nothing. */
function hasPhrase(text: string, phrase: string): boolean {
  if (phrase === '') return text === '';
  const isWord = (c: string | undefined): boolean => c !== undefined && /[\p{L}\p{N}_]/u.test(c);
  for (let at = text.indexOf(phrase); at >= 0; at = text.indexOf(phrase, at + 1)) {
    const end = at + phrase.length;
    const beginsInside = isWord(phrase[0]) && isWord(text[at - 1]);
    const endsInside = isWord(phrase.at(-1)) && isWord(text[end]);
    if (!beginsInside && !endsInside) return true;
  }
  return false;
}

export function parseLogsQl(query: string): LogsQl {
  const tokens = tokensOf(query);
  let at = 0;
  const isNext = (text: string): boolean => tokens[at]?.text === text && !tokens[at]!.isQuoted;
  const take = (text?: string): string => {
    const t = tokens[at++];
    if (t === undefined || (text !== undefined && (t.text !== text || t.isQuoted)))
      throw new Error(`LogsQL: ${query}: wanted ${text ?? 'more'}, found ${t?.text ?? 'the end'}`);
    return t.text;
  };
  const list = (): string[] => {
    const names: string[] = [];
    take('(');
    while (!isNext(')')) {
      names.push(take());
      if (isNext(',')) take(',');
    }
    take(')');
    return names;
  };

  const any = (): Filter => {
    const parts = [all()];
    while (isNext('OR') || isNext('or')) {
      take();
      parts.push(all());
    }
    return (i) => parts.some((p) => p(i));
  };
  const all = (): Filter => {
    const parts = [one()];
    while (tokens[at] && !isNext('|') && !isNext(')') && !isNext('OR') && !isNext('or')) {
      if (isNext('AND') || isNext('and')) take();
      parts.push(one());
    }
    return (i) => parts.every((p) => p(i));
  };
  const one = (): Filter => {
    if (isNext('NOT') || isNext('not') || isNext('!')) {
      take();
      const not = one();
      return (i) => !not(i);
    }
    if (isNext('(')) {
      take('(');
      const inner = any();
      take(')');
      return inner;
    }
    if (isNext('{')) return stream();
    if (isNext('*')) {
      take();
      return () => true;
    }
    const name = take();
    if (!isNext(':') && !isNext(':=') && !isNext(':~')) return ({ fields }) => hasPhrase(fields['_msg'] ?? '', name);
    const operator = take();
    const value = (i: Item): string => i.fields[name] ?? '';
    if (operator === ':=') {
      const wanted = take();
      return (i) => value(i) === wanted;
    }
    if (operator === ':~') {
      const pattern = new RegExp(take());
      return (i) => pattern.test(value(i));
    }
    if (isNext('*')) {
      take();
      return (i) => value(i) !== '';
    }
    if (isNext('in') && tokens[at + 1]?.text === '(') {
      take();
      const wanted = list();
      return (i) => wanted.includes(value(i));
    }
    const word = take();
    return (i) => hasPhrase(value(i), word);
  };
  /** Only fields that make the stream can be asked for; their patterns are about whole values. */
  const stream = (): Filter => {
    const parts: Filter[] = [];
    take('{');
    while (!isNext('}')) {
      const name = take();
      const operator = take();
      const value = take();
      const pattern = new RegExp(`^(?:${value})$`);
      const valuesOf = (i: Item): string[] => {
        const values = i.tags.filter((tag) => tag[0] === name).map((tag) => tag[1]);
        return values.length > 0 ? values : [''];
      };
      if (operator === '=') parts.push((i) => valuesOf(i).includes(value));
      else if (operator === '=~') parts.push((i) => valuesOf(i).some((v) => pattern.test(v)));
      else throw new Error(`LogsQL: ${query}: ${operator} in a stream filter`);
      if (isNext(',')) take(',');
    }
    take('}');
    return (i) => parts.every((p) => p(i));
  };

  const filter = any();
  let rows: (items: readonly Item[]) => Fields[] = (items) =>
    items.filter(filter).map((i) => ({ ...i.fields, _stream: i.stream }));
  let stats: readonly Stat[] = [];
  const pipe = (next: (rows: Fields[]) => Fields[]): void => {
    const before = rows;
    rows = (items) => next(before(items));
  };

  const readStats = (): void => {
    let by: string[] = [];
    if (isNext('by')) {
      take();
      by = list();
    }
    const found: Stat[] = [];
    do {
      if (isNext(',')) take(',');
      const fn = take();
      const args = list();
      take('as');
      const name = take();
      if (fn === 'count' && args.length === 0) found.push({ name, of: (r) => r.length });
      else if (fn === 'count_uniq' && args.length === 1)
        found.push({ name, of: (r) => new Set(r.map((f) => f[args[0]!]).filter((v) => v !== undefined)).size });
      else throw new Error(`LogsQL: ${query}: ${fn}`);
    } while (isNext(','));
    stats = found;
    pipe((all) => {
      const groups = new Map<string, Fields[]>();
      // Without by there is one row, also of nothing.
      if (by.length === 0) groups.set('[]', []);
      for (const row of all) {
        const key = JSON.stringify(by.map((f) => row[f] ?? ''));
        const group = groups.get(key);
        if (group) group.push(row);
        else groups.set(key, [row]);
      }
      return [...groups].map(([key, group]) => ({
        ...Object.fromEntries((JSON.parse(key) as string[]).map((v, i) => [by[i]!, v])),
        ...Object.fromEntries(found.map((s) => [s.name, String(s.of(group))])),
      }));
    });
  };

  while (at < tokens.length) {
    take('|');
    const name = take();
    if (name === 'stats') readStats();
    else if (name === 'sort') {
      take('by');
      take('(');
      const field = take();
      take('desc');
      take(')');
      pipe((r) => r.toSorted((a, b) => Number(b[field]) - Number(a[field])));
    } else if (name === 'limit') {
      const most = Number(take());
      pipe((r) => r.slice(0, most));
    } else throw new Error(`LogsQL: ${query}: pipe ${name}`);
  }
  return {
    run: (stored) => rows(stored),
    statsOf(row) {
      if (stats.length === 0) throw new Error(`LogsQL: ${query}: a stats pipe is missing`);
      const names = stats.map((s) => s.name);
      const labels = Object.fromEntries(Object.entries(row).filter(([k]) => !names.includes(k)));
      return names.map((name) => ({ name, labels, number: row[name]! }));
    },
  };
}
