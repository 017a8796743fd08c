/**
 * The expression language of operators (a subset of expr-lang 1.17): text → closure over an environment. Nothing is
 * evaluated as code; recursion and the size of results are bounded.
 */
import { compileTree, type HostFunction } from './compile.ts';
import { ExprSyntaxError, parse } from './parser.ts';
import { type ExprValue, goKindName, goName, type Kind } from './values.ts';

export { ExprSyntaxError } from './parser.ts';
export { type ExprValue, Instant, type Kind } from './values.ts';

export type CompiledExpr<E> = (env: E) => ExprValue;

export interface ExprOptions<E> {
  readonly variables: ReadonlyMap<string, (env: E) => ExprValue>;
  readonly functions?: ReadonlyMap<string, HostFunction>;
  /** What it has to give: checked at start where it is known, else when it runs. */
  readonly expect?: Kind | undefined;
}

/** Throws an ExprSyntaxError that says what and where. What it gives throws for values that do not fit. */
export function compileExpr<E>(text: string, options: ExprOptions<E>): CompiledExpr<E> {
  const { run, kind } = compileTree(parse(text), text, {
    variables: options.variables,
    functions: options.functions ?? new Map(),
  });
  const expect = options.expect;
  if (!expect || expect === 'any' || kind === expect) return (env) => run(env, undefined);
  if (kind !== 'any') throw new ExprSyntaxError(`expected ${goKindName(expect)}, but got ${goKindName(kind)}`);
  if (expect === 'bool')
    return (env) => {
      const v = run(env, undefined);
      if (typeof v !== 'boolean') throw new Error(`expected bool, but got ${goName(v)}`);
      return v;
    };
  return (env) => run(env, undefined);
}
