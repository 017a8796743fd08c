/** Go's regular expression syntax (RE2) → tree. Errors are worded as Go's. */

/** Sorted, disjoint code point ranges: [lo, hi, lo, hi, …]. */
export type CharSet = readonly number[];

export type RegexNode =
  | { readonly t: 'empty' }
  | { readonly t: 'set'; readonly set: CharSet }
  | { readonly t: 'assert'; readonly at: 'text-start' | 'text-end' | 'line-start' | 'line-end' | 'word' | 'no-word' }
  | { readonly t: 'cat'; readonly items: readonly RegexNode[] }
  | { readonly t: 'alt'; readonly items: readonly RegexNode[] }
  /** max -1: no limit. */
  | {
      readonly t: 'repeat';
      readonly item: RegexNode;
      readonly min: number;
      readonly max: number;
      readonly greedy: boolean;
    }
  | { readonly t: 'group'; readonly item: RegexNode; readonly index: number };

export interface RegexTree {
  readonly root: RegexNode;
  /** Name of each group ('' when it has none); [0] is the whole match. */
  readonly names: readonly string[];
}

export class RegexSyntaxError extends Error {}

const MAX_CODE = 0x10ffff;
const MAX_REPEAT = 1000;
const MAX_DEPTH = 250;

const PERL: Readonly<Record<string, CharSet>> = {
  d: [48, 57],
  s: [9, 10, 12, 13, 32, 32],
  w: [48, 57, 65, 90, 95, 95, 97, 122],
};
const POSIX: Readonly<Record<string, CharSet>> = {
  alnum: [48, 57, 65, 90, 97, 122],
  alpha: [65, 90, 97, 122],
  ascii: [0, 127],
  blank: [9, 9, 32, 32],
  cntrl: [0, 31, 127, 127],
  digit: [48, 57],
  graph: [33, 126],
  lower: [97, 122],
  print: [32, 126],
  punct: [33, 47, 58, 64, 91, 96, 123, 126],
  space: [9, 13, 32, 32],
  upper: [65, 90],
  word: [48, 57, 65, 90, 95, 95, 97, 122],
  xdigit: [48, 57, 65, 70, 97, 102],
};

export function normalize(ranges: readonly number[]): CharSet {
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i]!, ranges[i + 1]!]);
  pairs.sort((a, b) => a[0] - b[0]);
  const out: number[] = [];
  for (const [lo, hi] of pairs) {
    if (out.length > 0 && lo <= out.at(-1)! + 1) out[out.length - 1] = Math.max(out.at(-1)!, hi);
    else out.push(lo, hi);
  }
  return out;
}

export function negate(set: CharSet): CharSet {
  const out: number[] = [];
  let from = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i]! > from) out.push(from, set[i]! - 1);
    from = set[i + 1]! + 1;
  }
  if (from <= MAX_CODE) out.push(from, MAX_CODE);
  return out;
}

export function overlaps(a: CharSet, b: CharSet): boolean {
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i + 1]! < b[j]!) i += 2;
    else if (b[j + 1]! < a[i]!) j += 2;
    else return true;
  }
  return false;
}

/** Characters that are the same but for their case. */
function folds(code: number): number[] {
  const c = String.fromCodePoint(code);
  const out = new Set<number>([code]);
  for (const v of [c.toLowerCase(), c.toUpperCase(), c.toUpperCase().toLowerCase(), c.toLowerCase().toUpperCase()]) {
    const p = v.codePointAt(0)!;
    if (v.length === (p > 0xffff ? 2 : 1)) out.add(p);
  }
  if (out.has(0x6b)) out.add(0x212a);
  if (out.has(0x73)) out.add(0x17f);
  return [...out];
}

function foldSet(set: CharSet): CharSet {
  const out = [...set];
  for (let i = 0; i < set.length; i += 2) {
    // Large ranges are whole scripts or the rest of a negation: they hold both cases already.
    const hi = Math.min(set[i + 1]!, set[i]! + 3000);
    for (let c = set[i]!; c <= hi; c++) for (const f of folds(c)) if (f !== c) out.push(f, f);
  }
  return normalize(out);
}

const unicodeClasses = new Map<string, CharSet | undefined>();

/** `L`, `Lu`, `Greek`: ranges taken from what this engine's Unicode tables say. */
function unicodeClass(name: string): CharSet | undefined {
  if (unicodeClasses.has(name)) return unicodeClasses.get(name);
  let set: CharSet | undefined;
  if (name === 'Any') set = [0, MAX_CODE];
  else if (/^[A-Za-z_]+$/.test(name)) {
    let test: RegExp | undefined;
    for (const property of name.length <= 2 ? [name] : [`Script=${name}`]) {
      try {
        test = new RegExp(`^\\p{${property}}$`, 'u');
      } catch {
        // Not a class: the caller says so.
      }
    }
    if (test) {
      const out: number[] = [];
      for (let c = 0; c <= MAX_CODE; c++) {
        if (!test.test(String.fromCodePoint(c))) continue;
        if (out.at(-1) === c - 1) out[out.length - 1] = c;
        else out.push(c, c);
      }
      set = out;
    }
  }
  unicodeClasses.set(name, set);
  return set;
}

interface Flags {
  i: boolean;
  m: boolean;
  s: boolean;
  U: boolean;
}

export function parseRegex(pattern: string): RegexTree {
  const chars = Array.from(pattern);
  const names: string[] = [''];
  let at = 0;
  let flags: Flags = { i: false, m: false, s: false, U: false };
  const fail = (what: string, from: number, to = chars.length) =>
    new RegexSyntaxError(`error parsing regexp: ${what}: \`${chars.slice(from, to).join('')}\``);

  const literal = (code: number): RegexNode => ({ t: 'set', set: flags.i ? foldSet([code, code]) : [code, code] });

  function alternation(depth: number): RegexNode {
    if (depth > MAX_DEPTH) throw fail('expression nests too deeply', 0);
    const branches: RegexNode[] = [];
    for (;;) {
      branches.push(concatenation(depth));
      if (chars[at] !== '|') break;
      at++;
    }
    return branches.length === 1 ? branches[0]! : { t: 'alt', items: branches };
  }

  function concatenation(depth: number): RegexNode {
    const items: RegexNode[] = [];
    let lastRepeat = -1;
    while (at < chars.length && chars[at] !== '|' && chars[at] !== ')') {
      const from = at;
      const c = chars[at]!;
      const count = c === '*' || c === '+' || c === '?' ? simple(c) : c === '{' ? counted() : undefined;
      if (count) {
        const item = items.pop();
        if (item === undefined) throw fail('missing argument to repetition operator', from, at);
        if (lastRepeat === items.length) throw fail('invalid nested repetition operator', from - 1, at);
        const lazy = chars[at] === '?';
        if (lazy) at++;
        lastRepeat = items.length;
        if (repeats(item) * Math.max(1, count.max, count.min) > MAX_REPEAT)
          throw fail('invalid repeat count', from, at);
        items.push({ t: 'repeat', item, ...count, greedy: lazy === flags.U });
        continue;
      }
      const atom = atomOf(depth);
      if (atom) {
        if (Array.isArray(atom)) items.push(...atom);
        else items.push(atom as RegexNode);
        lastRepeat = -1;
      }
    }
    return items.length === 1 ? items[0]! : items.length === 0 ? { t: 'empty' } : { t: 'cat', items };
  }

  function simple(c: string): { min: number; max: number } {
    at++;
    return { min: c === '+' ? 1 : 0, max: c === '?' ? 1 : -1 };
  }

  /** `{n}`, `{n,}`, `{n,m}`; anything else that starts with a brace stands for itself. */
  function counted(): { min: number; max: number } | undefined {
    const close = chars.indexOf('}', at);
    if (close < 0) return undefined;
    const m = /^(\d+)(,(\d*))?$/.exec(chars.slice(at + 1, close).join(''));
    if (!m) return undefined;
    const min = Number(m[1]);
    const max = m[2] === undefined ? min : m[3] === '' ? -1 : Number(m[3]);
    if (min > MAX_REPEAT || max > MAX_REPEAT || (max >= 0 && max < min))
      throw fail('invalid repeat count', at, close + 1);
    at = close + 1;
    return { min, max };
  }

  function atomOf(depth: number): RegexNode | RegexNode[] | undefined {
    const c = chars[at]!;
    switch (c) {
      case '(':
        return group(depth);
      case '[':
        return { t: 'set', set: bracket() };
      case '.':
        at++;
        return { t: 'set', set: flags.s ? [0, MAX_CODE] : negate([10, 10]) };
      case '^':
        at++;
        return { t: 'assert', at: flags.m ? 'line-start' : 'text-start' };
      case '$':
        at++;
        return { t: 'assert', at: flags.m ? 'line-end' : 'text-end' };
      case '\\':
        return backslash();
      default:
        at++;
        return literal(c.codePointAt(0)!);
    }
  }

  function group(depth: number): RegexNode | undefined {
    const from = at;
    const outer = flags;
    at++;
    let index = 0;
    if (chars[at] === '?') {
      const named = /^\?P?<([^>]*)(>?)/.exec(chars.slice(at, at + 200).join(''));
      if (named && chars[at + 1] !== '<' ? named : named && !/^\?<[=!]/.test(named[0])) {
        if (!named![2] || !/^[A-Za-z0-9_]+$/.test(named![1]!))
          throw fail('invalid named capture', from, at + named![0].length);
        if (names.includes(named![1]!)) throw fail('duplicate capture group name', from, at + named![0].length);
        at += named![0].length;
        index = names.push(named![1]!) - 1;
      } else {
        const m = /^\?([imsU]*)(-([imsU]+))?([:)])/.exec(chars.slice(at, at + 12).join(''));
        if (!m || (m[1] === '' && m[2] === undefined && m[4] === ')'))
          throw chars.length - at < 3 && !chars.includes(')')
            ? fail('missing argument to repetition operator', at, at + 1)
            : fail('invalid or unsupported Perl syntax', from, Math.min(chars.length, at + 2));
        at += m[0].length;
        const set = { ...flags };
        for (const f of m[1]!) set[f as keyof Flags] = true;
        for (const f of m[3] ?? '') set[f as keyof Flags] = false;
        flags = set;
        if (m[4] === ')') return undefined;
      }
    } else index = names.push('') - 1;
    const item = alternation(depth + 1);
    if (chars[at] !== ')') throw new RegexSyntaxError(`error parsing regexp: missing closing ): \`${pattern}\``);
    at++;
    flags = outer;
    return index === 0 ? (item.t === 'empty' ? item : { t: 'cat', items: [item] }) : { t: 'group', item, index };
  }

  function backslash(): RegexNode | RegexNode[] | undefined {
    const from = at;
    const c = chars[at + 1];
    switch (c) {
      case undefined:
        throw new RegexSyntaxError('error parsing regexp: trailing backslash at end of expression: ``');
      case 'A':
        at += 2;
        return { t: 'assert', at: 'text-start' };
      case 'z':
        at += 2;
        return { t: 'assert', at: 'text-end' };
      case 'b':
        at += 2;
        return { t: 'assert', at: 'word' };
      case 'B':
        at += 2;
        return { t: 'assert', at: 'no-word' };
      case 'Q': {
        at += 2;
        const items: RegexNode[] = [];
        while (at < chars.length && !(chars[at] === '\\' && chars[at + 1] === 'E'))
          items.push(literal(chars[at++]!.codePointAt(0)!));
        at = Math.min(chars.length, at + 2);
        return items;
      }
      case 'E':
        at += 2;
        return undefined;
    }
    const set = classEscape();
    if (set) return { t: 'set', set };
    return literal(charEscape(from));
  }

  /** `\d`, `\pL`, `\p{Greek}` and their negations; undefined when it is another escape. */
  function classEscape(): CharSet | undefined {
    const from = at;
    const c = chars[at + 1] ?? '';
    const perl = PERL[c.toLowerCase()];
    if (perl) {
      at += 2;
      const set = flags.i ? foldSet(perl) : perl;
      return c === c.toLowerCase() ? set : negate(set);
    }
    if (c !== 'p' && c !== 'P') return undefined;
    let name: string;
    if (chars[at + 2] === '{') {
      const close = chars.indexOf('}', at);
      if (close < 0) throw fail('invalid character class range', from);
      name = chars.slice(at + 3, close).join('');
      at = close + 1;
    } else {
      name = chars[at + 2] ?? '';
      at += 3;
    }
    const inverted = name.startsWith('^');
    const set = unicodeClass(inverted ? name.slice(1) : name);
    if (!set) throw fail('invalid character class range', from, at);
    const folded = flags.i ? foldSet(set) : set;
    return (c === 'P') !== inverted ? negate(folded) : folded;
  }

  function charEscape(from: number): number {
    const c = chars[at + 1];
    at += 2;
    const bad = () => fail('invalid escape sequence', from, Math.min(chars.length, at));
    if (c === undefined)
      throw new RegexSyntaxError('error parsing regexp: trailing backslash at end of expression: ``');
    const simpleEscape = 'a\x07f\fn\nr\rt\tv\v'.indexOf(c);
    if (simpleEscape >= 0 && simpleEscape % 2 === 0) return 'a\x07f\fn\nr\rt\tv\v'.charCodeAt(simpleEscape + 1);
    if (c === 'x') {
      if (chars[at] === '{') {
        const close = chars.indexOf('}', at);
        const hex = close < 0 ? '' : chars.slice(at + 1, close).join('');
        at = close < 0 ? chars.length : close + 1;
        const code = /^[0-9a-fA-F]+$/.test(hex) ? Number.parseInt(hex, 16) : -1;
        if (code < 0 || code > MAX_CODE) throw bad();
        return code;
      }
      const hex = chars.slice(at, at + 2).join('');
      if (!/^[0-9a-fA-F]{2}$/.test(hex)) throw bad();
      at += 2;
      return Number.parseInt(hex, 16);
    }
    if (c >= '0' && c <= '7') {
      // A single digit from 1 on would be a back reference.
      if (c !== '0' && !(chars[at] !== undefined && chars[at]! >= '0' && chars[at]! <= '7')) throw bad();
      let code = Number(c);
      for (let i = 0; i < 2 && chars[at] !== undefined && chars[at]! >= '0' && chars[at]! <= '7'; i++)
        code = code * 8 + Number(chars[at++]);
      return code;
    }
    const code = c.codePointAt(0)!;
    if (code < 128 && !/[A-Za-z0-9]/.test(c)) return code;
    throw bad();
  }

  function bracket(): CharSet {
    const from = at;
    at++;
    const inverted = chars[at] === '^';
    if (inverted) at++;
    const ranges: number[] = [];
    let first = true;
    for (;;) {
      const c = chars[at];
      if (c === undefined) throw fail('missing closing ]', from);
      if (c === ']' && !first) break;
      first = false;
      if (c === '[' && chars[at + 1] === ':') {
        const m = /^\[:(\^?)([a-z]+):\]/.exec(chars.slice(at, at + 14).join(''));
        const posix = m && POSIX[m[2]!];
        if (m) {
          if (!posix) throw fail('invalid character class range', at, at + m[0].length);
          const set = flags.i ? foldSet(posix) : posix;
          ranges.push(...(m[1] ? negate(set) : set));
          at += m[0].length;
          continue;
        }
      }
      if (c === '\\') {
        const set = classEscape();
        if (set) {
          for (const n of set) ranges.push(n);
          continue;
        }
      }
      const start = at;
      const lo = single();
      let hi = lo;
      if (chars[at] === '-' && chars[at + 1] !== undefined && chars[at + 1] !== ']') {
        at++;
        hi = single();
        if (hi < lo) throw fail('invalid character class range', start, at);
      }
      ranges.push(lo, hi);
    }
    at++;
    const set = normalize(ranges);
    const folded = flags.i ? foldSet(set) : set;
    return inverted ? negate(folded) : folded;
  }

  function single(): number {
    if (chars[at] === '\\') return charEscape(at);
    return chars[at++]!.codePointAt(0)!;
  }

  const root = alternation(0);
  if (at < chars.length) throw new RegexSyntaxError(`error parsing regexp: unexpected ): \`${pattern}\``);
  return { root, names };
}

/** How often counted repetitions inside of a node multiply. */
function repeats(node: RegexNode): number {
  switch (node.t) {
    case 'cat':
    case 'alt':
      return Math.max(1, ...node.items.map(repeats));
    case 'group':
      return repeats(node.item);
    case 'repeat':
      return repeats(node.item) * Math.max(1, node.min, node.max);
    default:
      return 1;
  }
}
