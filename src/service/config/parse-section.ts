/**
 * Parses one section of the tree by a zod schema. Types are not converted, with two exceptions that only the schema can
 * decide: where text is wanted and a reference brought something else, its original text is used, and where null stands
 * for something that cannot be null, it means "not written".
 */
import type * as z from 'zod';
import { ConfigError, messageOf } from '../../core/errors.ts';
import { zodWords } from '../../core/zod-words.ts';
import { leafIssues, type Problem, toProblems } from './issues.ts';
import { locate, type Node, nodeAt, type Path, setKey, toData } from './tree.ts';

export interface ParsedSection<T> {
  readonly raw: unknown;
  /** Undefined when there are problems. */
  readonly value: T | undefined;
  readonly problems: readonly Problem[];
}

export function parseSection<S extends z.ZodType>(schema: S, root: Node, path: Path): ParsedSection<z.output<S>> {
  const node = nodeAt(root, path);
  const raw = node ? toData(node) : null;
  // A null section means all defaults.
  const data = { it: raw ?? {} };
  const repaired = new Set<string>();
  for (;;) {
    let result: z.ZodSafeParseResult<z.output<S>>;
    try {
      result = schema.safeParse(data.it, { error: zodWords });
    } catch (error) {
      return { raw, value: undefined, problems: thrown(error, root, path) };
    }
    if (result.success) return { raw, value: result.data, problems: [] };
    let changed = false;
    for (const { path: at, issue } of leafIssues(result.error.issues)) {
      const key = JSON.stringify(at);
      if (at.length === 0 || repaired.has(key) || !node) continue;
      const from = nodeAt(node, at);
      if (!from) continue;
      if (from.text !== undefined && (wantsText(issue) || (wantsList(issue) && from.text !== '')))
        put(data.it, at, from.text);
      else if (from.kind !== 'scalar' || from.value !== null || issue.code === 'custom' || !drop(data.it, at)) continue;
      repaired.add(key);
      changed = true;
    }
    if (!changed) return { raw, value: undefined, problems: toProblems(result.error.issues, root, path) };
  }
}

const wantsText = (issue: z.core.$ZodIssue): boolean => issue.code === 'invalid_type' && issue.expected === 'string';

/** One text may stand for a list of texts; a reference brought a number instead. */
const wantsList = (issue: z.core.$ZodIssue): boolean => issue.code === 'invalid_type' && issue.expected === 'array';

/** Code inside a schema may throw where it cannot add an issue. */
function thrown(error: unknown, root: Node, path: Path): Problem[] {
  const said = error instanceof ConfigError ? error.diagnostics : [{ path: [], message: messageOf(error) }];
  return said.map((d) => {
    const at = [...path, ...d.path];
    return { ...locate(root, at), ...d, path: at, isRule: true };
  });
}

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null;

function parentOf(data: unknown, path: Path): unknown {
  let parent: unknown = data;
  for (const key of path.slice(0, -1))
    parent = isObject(parent) && Object.hasOwn(parent, key) ? parent[key] : undefined;
  return parent;
}

function put(data: unknown, path: Path, text: string): void {
  const parent = parentOf(data, path);
  if (isObject(parent)) setKey(parent, String(path.at(-1)), text);
}

function drop(data: unknown, path: Path): boolean {
  const parent = parentOf(data, path);
  if (!isObject(parent) || Array.isArray(parent)) return false;
  return delete parent[String(path.at(-1))];
}
