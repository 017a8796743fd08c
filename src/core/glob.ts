/**
 * File globs in doublestar's dialect: `*`, `?`, `[a-z]`, `{x,y}`, and `**` as a whole path element for any number of
 * directories. Dots at the start of a name are nothing special. Matching of paths, and the walk that finds files.
 */
import { join } from 'node:path';

export class GlobError extends Error {}

/** One path element of a pattern. */
type Element =
  | { readonly kind: 'deep' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'match'; readonly re: RegExp };

export interface Glob {
  readonly pattern: string;
  /** The alternatives that braces stand for. */
  readonly alternatives: readonly { readonly root: string; readonly elements: readonly Element[] }[];
  /** Matches whole paths. */
  readonly re: RegExp;
}

const MAX_ALTERNATIVES = 1000;

/** `a{b,c{d,e}}` → ab, acd, ace. */
function expandBraces(pattern: string): string[] {
  let depth = 0;
  let open = -1;
  const commas: number[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === '\\') i++;
    else if (c === '[') {
      const close = classEnd(pattern, i);
      if (close > 0) i = close;
    } else if (c === '{') {
      if (depth++ === 0) open = i;
    } else if (c === ',' && depth === 1) commas.push(i);
    else if (c === '}' && depth > 0 && --depth === 0) {
      const cuts = [open, ...commas, i];
      const out: string[] = [];
      const rest = expandBraces(pattern.slice(i + 1));
      for (let k = 0; k + 1 < cuts.length; k++)
        for (const middle of expandBraces(pattern.slice(cuts[k]! + 1, cuts[k + 1]!)))
          for (const tail of rest) out.push(pattern.slice(0, open) + middle + tail);
      if (out.length > MAX_ALTERNATIVES) throw new GlobError(`too many alternatives in ${JSON.stringify(pattern)}`);
      return out;
    }
  }
  if (depth > 0) throw new GlobError(`missing } in ${JSON.stringify(pattern)}`);
  return [pattern];
}

/** Index of the `]` that ends the class opened at `at`, or -1. */
function classEnd(pattern: string, at: number): number {
  let i = at + 1;
  if (pattern[i] === '^' || pattern[i] === '!') i++;
  for (let first = true; i < pattern.length; i++, first = false) {
    if (pattern[i] === '\\') i++;
    else if (pattern[i] === ']' && !first) return i;
  }
  return -1;
}

const literal = (c: string): string => c.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

const classLiteral = (c: string): string => (/[\\\]^[-]/.test(c) ? `\\${c}` : c);

/** Regular expression source of one path element. */
function elementSource(element: string): { source: string; text: string | undefined } {
  let source = '';
  let text: string | undefined = '';
  for (let i = 0; i < element.length; i++) {
    const c = element[i]!;
    if (c === '*') {
      while (element[i + 1] === '*') i++;
      source += '[^/]*';
      text = undefined;
    } else if (c === '?') {
      source += '[^/]';
      text = undefined;
    } else if (c === '[') {
      const end = classEnd(element, i);
      if (end < 0) throw new GlobError(`missing ] in ${JSON.stringify(element)}`);
      let body = element.slice(i + 1, end);
      const negated = body[0] === '^' || body[0] === '!';
      if (negated) body = body.slice(1);
      body = body.replace(/\\(.)|([[\]^])/gs, (_, escaped?: string, plain?: string) => classLiteral(escaped ?? plain!));
      source += negated ? `[^/${body}]` : `[${body}]`;
      text = undefined;
      i = end;
    } else {
      const plain = c === '\\' && i + 1 < element.length ? element[++i]! : c;
      source += literal(plain);
      if (text !== undefined) text += plain;
    }
  }
  return { source, text };
}

function compileAlternative(pattern: string): { root: string; elements: Element[]; source: string } {
  const absolute = pattern.startsWith('/');
  const elements: Element[] = [];
  let source = absolute ? '/' : '';
  const parts = pattern.split('/').filter((p, i) => p !== '' && !(p === '.' && i > 0));
  parts.forEach((part, i) => {
    const last = i === parts.length - 1;
    if (part === '**') {
      if (elements.at(-1)?.kind !== 'deep') elements.push({ kind: 'deep' });
      source += last ? '.*' : '(?:[^/]+/)*';
      return;
    }
    const e = elementSource(part);
    let re: RegExp;
    try {
      re = new RegExp(`^${e.source}$`, 'su');
    } catch {
      throw new GlobError(`bad class in ${JSON.stringify(pattern)}`);
    }
    elements.push(e.text !== undefined ? { kind: 'text', text: e.text } : { kind: 'match', re });
    source += e.source + (last ? '' : '/');
  });
  return { root: absolute ? '/' : '', elements, source };
}

export function compileGlob(pattern: string): Glob {
  const alternatives = expandBraces(pattern).map(compileAlternative);
  return { pattern, alternatives, re: new RegExp(`^(?:${alternatives.map((a) => a.source).join('|')})$`, 'su') };
}

export const matchesGlob = (glob: Glob, path: string): boolean => glob.re.test(path);

export type EntryKind = 'file' | 'directory' | 'other';

export interface DirectoryEntry {
  readonly name: string;
  /** For links: of what they point to. */
  readonly kind: EntryKind;
  readonly link: boolean;
}

/** Where the walk gets its listings from; a cache may stand behind it. */
export interface Lister {
  /** Undefined when the directory cannot be read. */
  list(directory: string): readonly DirectoryEntry[] | undefined;
  /** Identity of a directory, to notice loops of links. */
  identity(directory: string): string | undefined;
}

/** Calls `found` for each file that a glob matches, possibly more than once when alternatives overlap. */
export function walkGlob(
  glob: Glob,
  lister: Lister,
  found: (path: string, directory: string, entry: DirectoryEntry) => void,
): void {
  for (const { root, elements } of glob.alternatives) walk(root, elements, 0, lister, found, []);
}

const MAX_DEPTH = 100;

function walk(
  directory: string,
  elements: readonly Element[],
  at: number,
  lister: Lister,
  found: (path: string, directory: string, entry: DirectoryEntry) => void,
  above: readonly string[],
): void {
  const element = elements[at];
  if (!element || above.length > MAX_DEPTH) return;
  const last = at === elements.length - 1;
  const within = (name: string): string => (directory === '' ? name : join(directory, name));
  if (element.kind === 'text' && !last) {
    walk(within(element.text), elements, at + 1, lister, found, above);
    return;
  }
  if (element.kind === 'deep') {
    const id = lister.identity(directory || '.');
    if (id === undefined || above.includes(id)) return;
    const inside = [...above, id];
    if (!last) walk(directory, elements, at + 1, lister, found, above);
    for (const e of lister.list(directory || '.') ?? []) {
      if (e.kind === 'directory') walk(within(e.name), elements, at, lister, found, inside);
      else if (last && e.kind === 'file') found(within(e.name), directory || '.', e);
    }
    return;
  }
  for (const e of lister.list(directory || '.') ?? []) {
    if (element.kind === 'text' ? e.name !== element.text : !element.re.test(e.name)) continue;
    if (last) {
      if (e.kind === 'file') found(within(e.name), directory || '.', e);
    } else if (e.kind === 'directory') walk(within(e.name), elements, at + 1, lister, found, above);
  }
}
