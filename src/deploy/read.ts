/** Specs from YAML: every problem is told with its line and column. */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { ConfigError, type Diagnostic } from '../core/errors.ts';
import { collection } from './collection.ts';
import type { Collection, Spec } from './spec.ts';

type Path = readonly (string | number)[];

/** The collection of a YAML (or JSON) text; `file` is its name in messages. */
export const collectionFromYaml = (text: string, file: string): Collection => fromYaml(text, file, collection);

/** What `make` makes of a spec; what it finds wrong is told with its place in the text. */
export function fromYaml<T>(text: string, file: string, make: (spec: Spec) => T): T {
  const lines = new LineCounter();
  const document = parseDocument(text.replace(/^\uFEFF/, ''), {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const place = (offset: number): Pick<Diagnostic, 'file' | 'line' | 'column'> => {
    const { line, col } = lines.linePos(Math.max(0, offset));
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const fail = (diagnostics: Diagnostic[]): ConfigError => new ConfigError(diagnostics, { headline: 'invalid spec' });
  if (document.errors.length > 0)
    throw fail(document.errors.map((e) => ({ path: [], message: `yaml: ${e.message}`, ...place(e.pos[0]) })));
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    throw fail([{ path: [], message: `yaml: ${(error as Error).message}`, ...place(0) }]);
  }
  if (data !== null && (typeof data !== 'object' || Array.isArray(data)))
    throw fail([{ path: [], message: 'a spec is a map', ...place(0) }]);
  try {
    return make((data ?? {}) as Spec);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const placed = error.diagnostics.map((d) => ({ ...d, ...place(offsetOf(document.contents, d.path)) }));
    throw new ConfigError(placed, { cause: error, headline: error.headline ?? 'invalid spec' });
  }
}

/** Where the last part of the path that exists is written: its key, or the item of a list. */
function offsetOf(root: Node | null, path: Path): number {
  let node: Node | null = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((p) => isScalar(p.key) && String(p.key.value) === String(part));
      if (!pair) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value as Node | null;
    } else if (isSeq(node)) {
      const item = node.items[Number(part)] as Node | undefined;
      if (!item) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
}
