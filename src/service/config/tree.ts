/** Configuration as a tree whose every value knows where it was written, so that errors can point there after merging. */
import type { ConfigPosition } from './config.ts';

export type Path = readonly (string | number)[];
export type Scalar = string | number | boolean | null;

interface Placed {
  readonly at: ConfigPosition;
  /** The original text of a value that a reference brought in; a field of type string receives this. */
  readonly text?: string;
}

export interface MapEntry {
  readonly keyAt: ConfigPosition;
  readonly node: Node;
}
export interface MapNode extends Placed {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, MapEntry>;
}
export interface ListNode extends Placed {
  readonly kind: 'list';
  readonly items: readonly Node[];
}
export interface ScalarNode extends Placed {
  readonly kind: 'scalar';
  readonly value: Scalar;
}
export type Node = MapNode | ListNode | ScalarNode;

/** Says of the path of a list whether a later list adds to it; usually it replaces it. */
export type Appends = (path: Path) => boolean;

/** Deep merge of maps; everything else in `later`, null too, replaces what is in `earlier`. */
export function mergeNodes(earlier: Node, later: Node, appends?: Appends, path: Path = []): Node {
  if (earlier.kind === 'list' && later.kind === 'list' && appends?.(path)) {
    const key = (n: Node): string => JSON.stringify(toData(n)) ?? '';
    const seen = new Set(earlier.items.map(key));
    return { kind: 'list', at: later.at, items: [...earlier.items, ...later.items.filter((n) => !seen.has(key(n)))] };
  }
  if (earlier.kind !== 'map' || later.kind !== 'map') return later;
  const entries = new Map(earlier.entries);
  for (const [key, entry] of later.entries) {
    const before = entries.get(key);
    if (!before) entries.set(key, entry);
    else {
      const node = mergeNodes(before.node, entry.node, appends, [...path, key]);
      // A section stands where it was written first; a value that was replaced stands where it was replaced.
      const isMerged = before.node.kind === 'map' && entry.node.kind === 'map';
      entries.set(key, { keyAt: isMerged ? before.keyAt : entry.keyAt, node });
    }
  }
  return { kind: 'map', at: earlier.at, entries };
}

/** Plain data. Keys are own properties whatever their name, `__proto__` included. */
export function toData(node: Node): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toData);
  const out: Record<string, unknown> = {};
  for (const [key, { node: child }] of node.entries) setKey(out, key, toData(child));
  return out;
}

export function setKey(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
  else target[key] = value;
}

const child = (node: Node | undefined, key: string | number): Node | undefined => {
  if (node?.kind === 'map') return node.entries.get(String(key))?.node;
  if (node?.kind === 'list') return node.items[Number(key)];
  return undefined;
};

export function nodeAt(root: Node, path: Path): Node | undefined {
  let node: Node | undefined = root;
  for (const key of path) node = child(node, key);
  return node;
}

/** Position of the value at a path; of its key when the value is a section or absent; of the nearest parent when the path is not there. */
export function locate(root: Node, path: Path): ConfigPosition | undefined {
  let node: Node = root;
  let at: ConfigPosition | undefined;
  for (const key of path) {
    const entry: MapEntry | undefined = node.kind === 'map' ? node.entries.get(String(key)) : undefined;
    const next: Node | undefined = entry?.node ?? child(node, key);
    if (!next) break;
    const isPlain = next.kind === 'scalar' && next.value !== null;
    at = entry && !isPlain ? entry.keyAt : next.at;
    node = next;
  }
  return at;
}

/** Position of the key itself. */
export function locateKey(root: Node, path: Path): ConfigPosition | undefined {
  const parent = nodeAt(root, path.slice(0, -1));
  const key = path.at(-1);
  return (parent?.kind === 'map' ? parent.entries.get(String(key))?.keyAt : undefined) ?? locate(root, path);
}
