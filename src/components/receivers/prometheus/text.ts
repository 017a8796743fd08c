/** Reads Prometheus' text format: samples in the order of the page, and what HELP, TYPE and UNIT say of their families. */

export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
  /** Milliseconds since 1970, when the page says it. */
  readonly timeMs: number | undefined;
}

export type FamilyType = 'counter' | 'gauge' | 'histogram' | 'summary' | 'untyped';

export interface Family {
  type: FamilyType;
  help: string;
  unit: string;
}

export interface Page {
  readonly samples: readonly Sample[];
  readonly families: ReadonlyMap<string, Family>;
}

export class PageError extends Error {}

const TYPES: readonly string[] = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];
const NAME = /[A-Za-z_:][\w:]*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const BLANK = /[ \t]*/y;

const plain = (text: string): string =>
  text.includes('\\') ? text.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c)) : text;

/** A line that cannot be read spoils the page, as with Prometheus: half a page would look as if series had gone. */
export function parsePage(text: string, mostSamples: number): Page {
  const samples: Sample[] = [];
  const families = new Map<string, Family>();
  const familyOf = (name: string): Family => {
    let f = families.get(name);
    if (!f) families.set(name, (f = { type: 'untyped', help: '', unit: '' }));
    return f;
  };
  let number = 0;
  for (const raw of text.split('\n')) {
    number++;
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line.trim() === '') continue;
    if (line.startsWith('#')) {
      const m = /^#\s*(HELP|TYPE|UNIT)\s+("(?:[^"\\]|\\.)*"|\S+)(?:\s+(.*))?$/.exec(line);
      if (!m) continue;
      const name = m[2]!.startsWith('"') ? plain(m[2]!.slice(1, -1)) : m[2]!;
      const rest = m[3] ?? '';
      if (m[1] === 'HELP') familyOf(name).help = plain(rest);
      else if (m[1] === 'UNIT') familyOf(name).unit = rest.trim();
      else if (TYPES.includes(rest.trim())) familyOf(name).type = rest.trim() as FamilyType;
      continue;
    }
    if (samples.length >= mostSamples) throw new PageError(`more than ${mostSamples} samples`);
    samples.push(sampleOf(line, number));
  }
  return { samples, families };
}

function sampleOf(line: string, number: number): Sample {
  let at = 0;
  const fail = (what: string): never => {
    throw new PageError(`line ${number}: ${what} at ${JSON.stringify(line.slice(at, at + 30))}`);
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const m = pattern.exec(line);
    if (!m) return undefined;
    at = pattern.lastIndex;
    return m[1] ?? m[0];
  };
  match(BLANK);
  let name = match(NAME);
  const labels = new Map<string, string>();
  match(BLANK);
  if (line[at] === '{') {
    at++;
    for (;;) {
      match(BLANK);
      if (line[at] === '}') break;
      const isQuoted = line[at] === '"';
      const key = isQuoted ? match(QUOTED) : match(NAME);
      if (key === undefined) fail('no label');
      match(BLANK);
      if (line[at] === '=') {
        at++;
        match(BLANK);
        const value = match(QUOTED);
        if (value === undefined) fail('no value of a label');
        labels.set(plain(key!), plain(value!));
      } else if (isQuoted && name === undefined) name = plain(key!);
      else fail('no =');
      match(BLANK);
      if (line[at] === ',') at++;
      else if (line[at] !== '}') fail('no end of labels');
    }
    at++;
  }
  if (name === undefined) return fail('no name of a metric');
  const [value, time, ...more] = line
    .slice(at)
    .trim()
    .split(/[ \t]+/);
  if (value === undefined || value === '') fail('no value');
  const n = numberOf(value!);
  if (n === undefined || more.length > 0) fail('no number');
  let timeMs: number | undefined;
  if (time !== undefined) {
    timeMs = Number(time);
    if (!Number.isSafeInteger(timeMs)) fail('no time');
  }
  return { name, labels, value: n!, timeMs };
}

function numberOf(text: string): number | undefined {
  switch (text.toLowerCase()) {
    case 'nan':
      return Number.NaN;
    case '+inf':
    case 'inf':
      return Infinity;
    case '-inf':
      return -Infinity;
    default: {
      const n = Number(text);
      return Number.isNaN(n) ? undefined : n;
    }
  }
}
