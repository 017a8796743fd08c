/**
 * YAML text to a tree with positions, reading scalars as Go's yaml.v3 does: `0123` is octal, only true and false are
 * booleans, keys must not repeat. The text may be anything; what cannot be read is a YamlError.
 */
import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseAllDocuments,
  type Node as YamlNode,
} from 'yaml';
import type { ConfigPosition } from './config.ts';
import type { MapEntry, Node, Scalar } from './tree.ts';

export class YamlError extends Error {
  readonly at: ConfigPosition;
  constructor(message: string, at: ConfigPosition) {
    super(message);
    this.name = 'YamlError';
    this.at = at;
  }
}

/** Aliases are shared, not copied, but everything behind walks them; this bounds the walk. */
const MAX_NODES = 200_000;
const MAX_DEPTH = 500;
const MAX_LENGTH = 16 * 1024 * 1024;

const WORDS: Readonly<Record<string, Scalar>> = Object.assign(Object.create(null) as Record<string, Scalar>, {
  '': null,
  '~': null,
  null: null,
  Null: null,
  NULL: null,
  true: true,
  True: true,
  TRUE: true,
  false: false,
  False: false,
  FALSE: false,
  '.nan': Number.NaN,
  '.NaN': Number.NaN,
  '.NAN': Number.NaN,
  '.inf': Number.POSITIVE_INFINITY,
  '.Inf': Number.POSITIVE_INFINITY,
  '.INF': Number.POSITIVE_INFINITY,
  '+.inf': Number.POSITIVE_INFINITY,
  '+.Inf': Number.POSITIVE_INFINITY,
  '+.INF': Number.POSITIVE_INFINITY,
  '-.inf': Number.NEGATIVE_INFINITY,
  '-.Inf': Number.NEGATIVE_INFINITY,
  '-.INF': Number.NEGATIVE_INFINITY,
});

const INTEGER = /^([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]([0-7]+)|0([0-7]+)|(0|[1-9]\d*))$/;
const FLOAT = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;

/** What an unquoted scalar means. */
export function plainScalar(text: string): Scalar {
  const word = WORDS[text];
  if (word !== undefined) return word;
  if (!/^[-+.\d]/.test(text)) return text;
  const digits = text.replaceAll('_', '');
  const m = INTEGER.exec(digits);
  if (m) {
    const [, sign, hex, binary, octal, oldOctal, decimal] = m;
    const magnitude =
      hex !== undefined
        ? Number.parseInt(hex, 16)
        : binary !== undefined
          ? Number.parseInt(binary, 2)
          : octal !== undefined || oldOctal !== undefined
            ? Number.parseInt((octal ?? oldOctal)!, 8)
            : Number(decimal);
    return sign === '-' && magnitude !== 0 ? -magnitude : magnitude;
  }
  return FLOAT.test(digits) ? Number(digits) : text;
}

/** An empty document is an empty map at the top and null elsewhere; this gives null, and the caller knows which. */
export function parseYaml(text: string, file: string): Node {
  const lines = new LineCounter();
  const position = (offset: number): ConfigPosition => {
    const { line, col } = lines.linePos(Math.max(0, offset));
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const start: ConfigPosition = { file, line: 1, column: 1 };
  if (text.length > MAX_LENGTH) throw new YamlError(`yaml: document is longer than ${MAX_LENGTH} characters`, start);
  const nul = text.indexOf('\0');
  if (nul >= 0) throw new YamlError('yaml: control characters are not allowed', start);
  const documents = parseAllDocuments(text, {
    schema: 'failsafe',
    uniqueKeys: false,
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const document = Array.isArray(documents) ? documents[0] : undefined;
  const broken = document?.errors[0];
  if (broken) {
    const tooDeep = broken.message.startsWith('Maximum call stack');
    const at = position(broken.pos[0]);
    throw new YamlError(`yaml: line ${at.line}: ${tooDeep ? 'exceeded max depth' : lowerFirst(broken.message)}`, at);
  }
  const unknownDirective = document?.warnings.find((w) => w.code !== 'TAG_RESOLVE_FAILED');
  if (unknownDirective)
    throw new YamlError(`yaml: ${lowerFirst(unknownDirective.message)}`, position(unknownDirective.pos[0]));
  if (!document?.contents) {
    if (/^\s*%/.test(text)) throw new YamlError('yaml: did not find expected <document start>', start);
    return { kind: 'scalar', value: null, at: start };
  }
  return new Builder(position).build(document.contents, 0).node;
}

interface Built {
  readonly node: Node;
  /** Nodes below, those behind aliases counted every time. */
  readonly size: number;
}

class Builder {
  readonly #position: (offset: number) => ConfigPosition;
  readonly #anchors = new Map<string, Built>();
  readonly #open = new Set<string>();

  constructor(position: (offset: number) => ConfigPosition) {
    this.#position = position;
  }

  build(yaml: YamlNode | null, depth: number): Built {
    const at = this.#position(yaml?.range?.[0] ?? 0);
    if (depth > MAX_DEPTH) throw new YamlError(`yaml: line ${at.line}: exceeded max depth of ${MAX_DEPTH}`, at);
    if (isAlias(yaml)) return this.#alias(yaml, at);
    const anchor = yaml && 'anchor' in yaml ? yaml.anchor : undefined;
    if (anchor) this.#open.add(anchor);
    const built = this.#plain(yaml, at, depth);
    if (built.size > MAX_NODES) throw new YamlError('yaml: document contains excessive aliasing', at);
    if (anchor) {
      this.#open.delete(anchor);
      this.#anchors.set(anchor, built);
    }
    return built;
  }

  #alias(yaml: Alias, at: ConfigPosition): Built {
    if (this.#open.has(yaml.source)) throw new YamlError(`yaml: anchor '${yaml.source}' value contains itself`, at);
    const target = this.#anchors.get(yaml.source);
    if (!target) throw new YamlError(`yaml: unknown anchor '${yaml.source}' referenced`, at);
    return target;
  }

  #plain(yaml: YamlNode | null, at: ConfigPosition, depth: number): Built {
    if (isMap(yaml)) return this.#map(yaml.items, at, depth);
    if (isSeq(yaml)) {
      const items: Node[] = [];
      let size = 1;
      for (const item of yaml.items) {
        const built = this.build(item as YamlNode | null, depth + 1);
        items.push(built.node);
        size += built.size;
      }
      return { node: { kind: 'list', items, at }, size };
    }
    return { node: { kind: 'scalar', value: isScalar(yaml) ? this.#scalar(yaml, at) : null, at }, size: 1 };
  }

  #scalar(yaml: { value: unknown; type?: unknown; tag?: string }, at: ConfigPosition): Scalar {
    const text = typeof yaml.value === 'string' ? yaml.value : '';
    const tag = yaml.tag?.replace(/^tag:yaml\.org,2002:/, '!!');
    if (tag === undefined || tag === '!!' || tag === '?') return yaml.type === 'PLAIN' ? plainScalar(text) : text;
    if (tag === '!!str' || !tag.startsWith('!!')) return text;
    if (tag === '!!binary') return Buffer.from(text, 'base64').toString();
    const value = plainScalar(text);
    const isFine =
      tag === '!!int' || tag === '!!float'
        ? typeof value === 'number'
        : tag === '!!bool'
          ? typeof value === 'boolean'
          : tag === '!!null'
            ? value === null
            : true;
    if (!isFine)
      throw new YamlError(`yaml: line ${at.line}: cannot decode !!str \`${text.slice(0, 40)}\` as a ${tag}`, at);
    return value;
  }

  #map(pairs: readonly Pair[], at: ConfigPosition, depth: number): Built {
    const own = new Map<string, MapEntry>();
    const inherited: Node[] = [];
    let size = 1;
    for (const pair of pairs) {
      const keyYaml = pair.key as YamlNode | null;
      const keyAt = this.#position(keyYaml?.range?.[0] ?? 0);
      const value = this.build(pair.value as YamlNode | null, depth + 1);
      size += value.size;
      if (isScalar(keyYaml) && keyYaml.type === 'PLAIN' && keyYaml.value === '<<') {
        inherited.push(...mergeSources(value.node, keyAt));
        continue;
      }
      const built = this.build(keyYaml, depth + 1).node;
      if (built.kind !== 'scalar') throw new YamlError(`yaml: line ${keyAt.line}: invalid map key`, keyAt);
      const key = String(built.value);
      const before = own.get(key);
      if (before)
        throw new YamlError(
          `yaml: unmarshal errors: line ${keyAt.line}: mapping key ${JSON.stringify(key)} already defined at line ${before.keyAt.line}`,
          keyAt,
        );
      own.set(key, { keyAt, node: placed(value.node, keyAt, isScalar(pair.value) || !pair.value) });
    }
    if (inherited.length === 0) return { node: { kind: 'map', entries: own, at }, size };
    const entries = new Map<string, MapEntry>();
    for (const source of inherited) {
      if (source.kind !== 'map') continue;
      for (const [key, entry] of source.entries) if (!entries.has(key)) entries.set(key, entry);
    }
    for (const [key, entry] of own) entries.set(key, entry);
    return { node: { kind: 'map', entries, at }, size };
  }
}

/** `key:` with nothing behind it has no place of its own: the key's is the useful one. */
const placed = (node: Node, keyAt: ConfigPosition, isWrittenHere: boolean): Node =>
  isWrittenHere && node.kind === 'scalar' && node.value === null ? { ...node, at: keyAt } : node;

function mergeSources(node: Node, at: ConfigPosition): Node[] {
  if (node.kind === 'map') return [node];
  if (node.kind === 'list' && node.items.every((n) => n.kind === 'map')) return [...node.items];
  throw new YamlError('yaml: map merge requires map or sequence of maps as the value', at);
}

const lowerFirst = (s: string): string => s.charAt(0).toLowerCase() + s.slice(1);
