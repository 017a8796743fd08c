/**
 * Replaces `${env:NAME}`, `${NAME}`, `${file:…}` and `${yaml:…}` in a merged tree, innermost first, until nothing is
 * left to replace, and then turns `$$` into `$`. A reference that is the whole value brings its parsed value and keeps
 * its text; inside other text it brings its text as it was written.
 */
import { ConfigError, type Diagnostic } from '../../core/errors.ts';
import type { ConfigPosition } from './config.ts';
import type { MapEntry, Node, Path } from './tree.ts';
import { parseYaml, YamlError } from './yaml.ts';

/** The text behind a reference. Throws an Error with the reason when there is none. */
export type Retrieve = (scheme: string, opaque: string) => string;

const MAX_ROUNDS = 1000;
/** Bounds what references that name each other can blow up to, in characters produced. */
const MAX_WORK = 32 * 1024 * 1024;
const MAX_NODES = 200_000;

const URI = /^([A-Za-z][A-Za-z0-9+.-]+):(.*)$/s;

/** Throws a ConfigError with every reference that cannot be replaced. */
export function expandTree(root: Node, retrieve: Retrieve): Node {
  const expansion = new Expansion(retrieve);
  const expanded = expansion.node(root, [], 0);
  if (expansion.problems.length > 0)
    throw new ConfigError(expansion.problems, { headline: 'failed to get config: cannot resolve the configuration' });
  return expanded;
}

/** The first reference that is not escaped: innermost, so it ends at the first brace that closes one. */
function findReference(text: string): { start: number; end: number } | undefined {
  let from = 0;
  for (;;) {
    const close = text.indexOf('}', from);
    if (close < 0) return undefined;
    const open = text.lastIndexOf('${', close);
    if (open >= from) {
      let dollars = 0;
      while (text[open - 1 - dollars] === '$') dollars++;
      if (dollars % 2 === 0) return { start: open, end: close + 1 };
    }
    from = close + 1;
  }
}

class Expansion {
  readonly #retrieve: Retrieve;
  readonly problems: Diagnostic[] = [];
  #work = 0;
  #nodes = 0;

  constructor(retrieve: Retrieve) {
    this.#retrieve = retrieve;
  }

  node(node: Node, path: Path, round: number): Node {
    if (++this.#nodes > MAX_NODES) throw refuse('too many recursive expansions', path, node.at);
    if (node.kind === 'list') return { ...node, items: node.items.map((n, i) => this.node(n, [...path, i], round)) };
    if (node.kind === 'map') {
      const entries = new Map<string, MapEntry>();
      for (const [key, e] of node.entries)
        entries.set(key, { keyAt: e.keyAt, node: this.node(e.node, [...path, key], round) });
      return { ...node, entries };
    }
    if (typeof node.value !== 'string') return node;
    try {
      return this.#value(node.value, path, node.at, round);
    } catch (error) {
      if (!(error instanceof ConfigError) || round > 0) throw error;
      this.problems.push(...error.diagnostics);
      return node;
    }
  }

  #value(text: string, path: Path, at: ConfigPosition, firstRound: number): Node {
    let value = text;
    for (let round = firstRound; round < MAX_ROUNDS; round++) {
      const found = findReference(value);
      if (!found) return { kind: 'scalar', value: value.replaceAll('$$', '$'), at };
      const original = this.#fetch(value.slice(found.start + 2, found.end - 1), path, at);
      this.#spend(original.length + value.length, path, at);
      if (found.start > 0 || found.end < value.length) {
        value = value.slice(0, found.start) + original + value.slice(found.end);
        continue;
      }
      const parsed = parseValue(original, at);
      if (parsed.kind === 'scalar' && typeof parsed.value === 'string') {
        value = original;
        continue;
      }
      return { ...this.node(parsed, path, round + 1), text: this.#text(original, path, at, round + 1) };
    }
    throw refuse('too many recursive expansions', path, at);
  }

  #text(text: string, path: Path, at: ConfigPosition, firstRound: number): string {
    let value = text;
    for (let round = firstRound; round < MAX_ROUNDS; round++) {
      const found = findReference(value);
      if (!found) return value.replaceAll('$$', '$');
      const original = this.#fetch(value.slice(found.start + 2, found.end - 1), path, at);
      this.#spend(original.length + value.length, path, at);
      value = value.slice(0, found.start) + original + value.slice(found.end);
    }
    throw refuse('too many recursive expansions', path, at);
  }

  #fetch(reference: string, path: Path, at: ConfigPosition): string {
    const uri = reference.includes(':') ? reference : `env:${reference}`;
    const m = URI.exec(uri);
    if (!m) throw refuse(`invalid uri: ${JSON.stringify(uri)}`, path, at);
    const [, scheme, opaque] = m as unknown as [string, string, string];
    if (opaque.includes('$'))
      throw refuse(`the uri ${JSON.stringify(uri)} contains unsupported characters ('$')`, path, at);
    try {
      return this.#retrieve(scheme, opaque);
    } catch (error) {
      const looksLikeDefault = /^[A-Za-z_]\w*:-/.test(uri);
      throw refuse(
        (error as Error).message,
        path,
        at,
        looksLikeDefault ? `a default needs the scheme: write \${env:${uri}}` : undefined,
      );
    }
  }

  #spend(characters: number, path: Path, at: ConfigPosition): void {
    this.#work += characters;
    if (this.#work > MAX_WORK) throw refuse('too many recursive expansions', path, at);
  }
}

/** Text that is no YAML is itself; everything from a reference is placed where the reference is. */
function parseValue(text: string, at: ConfigPosition): Node {
  try {
    return moved(parseYaml(text, at.file), at);
  } catch (error) {
    if (error instanceof YamlError) return { kind: 'scalar', value: text, at };
    throw error;
  }
}

function moved(node: Node, at: ConfigPosition): Node {
  if (node.kind === 'scalar') return { ...node, at };
  if (node.kind === 'list') return { ...node, at, items: node.items.map((n) => moved(n, at)) };
  return {
    ...node,
    at,
    entries: new Map([...node.entries].map(([k, e]) => [k, { keyAt: at, node: moved(e.node, at) }])),
  };
}

const refuse = (message: string, path: Path, at: ConfigPosition, hint?: string): ConfigError =>
  new ConfigError([{ path, message, ...at, ...(hint === undefined ? {} : { hint }) }]);
