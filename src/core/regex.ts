/**
 * Go regular expressions. Harmless ones run on the built-in engine, translated; ones that could backtrack without end,
 * or for long, on the linear one. Which is chosen depends on the expression and on the length of the text only.
 */
import { costOf, startsWithAnything } from './regex-cost.ts';
import { LinearRegex } from './regex-linear.ts';
import { type CharSet, negate, parseRegex, type RegexNode, RegexSyntaxError, type RegexTree } from './regex-syntax.ts';

export { RegexSyntaxError } from './regex-syntax.ts';

/** Steps that one match may take in the worst case on the built-in engine: some tenths of a second. */
const MAX_STEPS = 5e7;

/** [0] is the whole match; a group that took no part is undefined. */
export interface RegexMatch {
  readonly index: number;
  readonly [group: number]: string | undefined;
}

export class Regex {
  readonly source: string;
  /** Name of each group, '' without; [0] is the whole match. */
  readonly groupNames: readonly string[];
  readonly #tree: RegexTree;
  readonly #native: RegExp;
  readonly #search: RegExp;
  /** Longer texts go to the linear engine. */
  readonly #maxLength: number;
  readonly #maxSearch: number;
  #linear: LinearRegex | undefined;

  constructor(source: string) {
    this.source = source;
    this.#tree = parseRegex(source);
    this.groupNames = this.#tree.names;
    const { degree } = costOf(this.#tree.root);
    const lineStarts = startsWithAnything(this.#tree.root);
    this.#maxLength = lengthFor(degree);
    // Searching goes on in the middle of a line.
    this.#maxSearch = lineStarts ? lengthFor(degree + 1) : this.#maxLength;
    const text = this.#maxLength < 0 ? '' : translate(this.#tree.root);
    this.#native = new RegExp(lineStarts ? `(?<![^\\n])(?:${text})` : text, 'u');
    this.#search = new RegExp(text, 'gu');
    // Also checks that it is not too large.
    if (this.#maxLength < 0) this.#linear = new LinearRegex(this.#tree);
  }

  get isLinear(): boolean {
    return this.#maxLength < 0;
  }

  test(text: string): boolean {
    if (text.length <= this.#maxLength) return this.#native.test(text);
    return (this.#linear ??= new LinearRegex(this.#tree)).test(text);
  }

  exec(text: string): RegexMatch | undefined {
    if (text.length <= this.#maxLength) return this.#native.exec(text) ?? undefined;
    return this.#find(text, 0);
  }

  #find(text: string, from: number): RegexMatch | undefined {
    if (text.length <= this.#maxSearch) {
      this.#search.lastIndex = from;
      return this.#search.exec(text) ?? undefined;
    }
    const slots = (this.#linear ??= new LinearRegex(this.#tree)).match(text, from);
    if (!slots) return undefined;
    const out: Record<number, string | undefined> & { index: number } = { index: slots[0]! };
    for (let i = 0; i < slots.length; i += 2)
      out[i / 2] = slots[i]! < 0 ? undefined : text.slice(slots[i]!, slots[i + 1]!);
    return out;
  }

  /** All matches replaced; `replacement` may hold Go's `$1`, `${name}`, `$$`. `change` sees each before it is put in. */
  replaceAll(text: string, replacement: string, change?: (expanded: string) => string): string {
    const parts = parseReplacement(replacement, this.groupNames);
    const expand = (m: RegexMatch): string => parts.map((p) => (typeof p === 'string' ? p : (m[p] ?? ''))).join('');
    return this.replaceEach(text, change ? (m) => change(expand(m)) : expand);
  }

  /** All matches replaced by what `replace` makes of each. */
  replaceEach(text: string, replace: (match: RegexMatch) => string): string {
    let out = '';
    let copied = 0;
    let from = 0;
    let lastEnd = -1;
    while (from <= text.length) {
      const m = this.#find(text, from);
      if (!m) break;
      const whole = m[0]!;
      const end = m.index + whole.length;
      // An empty match right behind a match does not count.
      if (!(whole === '' && m.index === lastEnd)) {
        out += text.slice(copied, m.index) + replace(m);
        copied = end;
        lastEnd = end;
      }
      from = whole === '' ? end + (text.codePointAt(end)! > 0xffff ? 2 : 1) : end;
    }
    return out + text.slice(copied);
  }
}

/** Longest text that the built-in engine may be given; -1: none. */
function lengthFor(degree: number): number {
  if (degree === 1) return Number.POSITIVE_INFINITY;
  return degree === Number.POSITIVE_INFINITY ? -1 : Math.floor(MAX_STEPS ** (1 / degree));
}

/** Throws a RegexSyntaxError that says what Go would say. */
export const compileRegex = (source: string): Regex => new Regex(source);

/** The regex, or `compiling regex: …`. */
export function tryRegex(source: string): Regex | { error: string } {
  try {
    return new Regex(source);
  } catch (error) {
    if (!(error instanceof RegexSyntaxError) && !(error instanceof SyntaxError)) throw error;
    return { error: `compiling regex: ${error.message}` };
  }
}

function parseReplacement(text: string, names: readonly string[]): (string | number)[] {
  const parts: (string | number)[] = [];
  let from = 0;
  for (const m of text.matchAll(/\$(?:\$|(\w+)|\{(\w+)\})/g)) {
    parts.push(text.slice(from, m.index));
    from = m.index + m[0].length;
    const name = m[1] ?? m[2];
    if (name === undefined) parts.push('$');
    else {
      const group = /^\d+$/.test(name) ? Number(name) : names.indexOf(name, 1);
      if (group >= 0 && group < names.length) parts.push(group);
    }
  }
  parts.push(text.slice(from));
  return parts.filter((p) => p !== '');
}

const hex = (code: number): string => `\\u{${code.toString(16)}}`;

function classText(set: CharSet): string {
  let out = '';
  for (let i = 0; i < set.length; i += 2)
    out += set[i] === set[i + 1] ? hex(set[i]!) : `${hex(set[i]!)}-${hex(set[i + 1]!)}`;
  return out;
}

function translate(node: RegexNode): string {
  switch (node.t) {
    case 'empty':
      return '';
    case 'set': {
      const { set } = node;
      if (set.length === 0) return '[]';
      if (set.length === 2 && set[0] === set[1])
        return /[A-Za-z0-9 _]/.test(String.fromCodePoint(set[0]!)) ? String.fromCodePoint(set[0]!) : hex(set[0]!);
      const inverted = negate(set);
      return inverted.length < set.length ? `[^${classText(inverted)}]` : `[${classText(set)}]`;
    }
    case 'assert':
      switch (node.at) {
        case 'text-start':
          return '^';
        case 'text-end':
          return '$';
        case 'line-start':
          return '(?<![^\\n])';
        case 'line-end':
          return '(?![^\\n])';
        case 'word':
          return '\\b';
        case 'no-word':
          return '\\B';
      }
      break;
    case 'cat':
      return node.items.map((i) => (i.t === 'alt' ? `(?:${translate(i)})` : translate(i))).join('');
    case 'alt':
      return node.items.map(translate).join('|');
    case 'group':
      return `(${translate(node.item)})`;
    case 'repeat': {
      const inner = translate(node.item);
      const body = node.item.t === 'set' || node.item.t === 'group' ? inner : `(?:${inner})`;
      const { min, max } = node;
      const count =
        max < 0
          ? min === 0
            ? '*'
            : min === 1
              ? '+'
              : `{${min},}`
          : min === 0 && max === 1
            ? '?'
            : min === max
              ? `{${min}}`
              : `{${min},${max}}`;
      return `${body}${count}${node.greedy ? '' : '?'}`;
    }
  }
  return '';
}
