/** Turns what zod says about a value into problems with a path, a place and a hint. */
import type * as z from 'zod';
import type { Diagnostic } from '../../core/errors.ts';
import { HINT, UNION } from '../../core/zod-words.ts';
import { locate, locateKey, type Node, type Path } from './tree.ts';

type Issue = z.core.$ZodIssue;

/** The option of a union that came furthest, so the one that was most likely meant. */
function bestOption(options: readonly (readonly Issue[])[]): readonly Issue[] {
  const depth = (issues: readonly Issue[]): number => Math.max(0, ...issues.map((i) => i.path.length));
  let best: readonly Issue[] = [];
  for (const issues of options) if (best.length === 0 || depth(issues) > depth(best)) best = issues;
  return best;
}

/** All issues down to the ones inside unions, with the paths that lead to them. */
export function* leafIssues(issues: readonly Issue[], prefix: Path = []): Generator<{ path: Path; issue: Issue }> {
  for (const issue of issues) {
    const path = [...prefix, ...(issue.path as (string | number)[])];
    yield { path, issue };
    if (issue.code === 'invalid_union') for (const option of issue.errors) yield* leafIssues(option, path);
  }
}

export interface Problem extends Diagnostic {
  /** Said by a rule about values (a problem of validating), not by the shape of the data (a problem of decoding). */
  readonly isRule: boolean;
}

/** `root` and `prefix` say where the value that was parsed stands in the configuration. */
export function toProblems(issues: readonly Issue[], root: Node, prefix: Path): Problem[] {
  const out: Problem[] = [];
  for (const issue of issues) {
    const path = [...prefix, ...(issue.path as (string | number)[])];
    const [message = '', ...hints] = issue.message.split(HINT);
    if (issue.code === 'unrecognized_keys') {
      issue.keys.forEach((key, i) => {
        const text = message.startsWith('has invalid keys') ? `has invalid keys: ${key}` : message;
        out.push({ path, message: text, isRule: false, ...place(locateKey(root, [...path, key]), hints[i]) });
      });
    } else if (issue.code === 'invalid_union' && message === UNION) {
      const inner = toProblems(bestOption(issue.errors), root, path);
      if (inner.length > 0) out.push(...inner);
      else
        out.push({
          path,
          message: 'no variant accepts this value',
          isRule: false,
          ...place(locate(root, path), undefined),
        });
    } else {
      out.push({ path, message, isRule: issue.code === 'custom', ...place(locate(root, path), hints[0]) });
    }
  }
  return out;
}

const place = (
  at: Pick<Diagnostic, 'file' | 'line' | 'column'> | undefined,
  hint: string | undefined,
): Partial<Diagnostic> => ({
  ...at,
  ...(hint ? { hint } : {}),
});
