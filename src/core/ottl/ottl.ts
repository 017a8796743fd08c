/** The language as processors use it: texts of statements and conditions → what runs over records. */

import { type CompiledStatement, Compiler, type FunctionTable, type ResourceTest, type Test } from './compile.ts';
import type { ContextName, Env } from './env.ts';
import { callsIn, parseCondition, parseStatement, pathsIn } from './parser.ts';
import { CONTEXT_NAMES } from './paths.ts';
import { type BoolNode, OttlError, positionOf, type StatementNode } from './syntax.ts';

export type { ContextName } from './env.ts';
export { Env } from './env.ts';
export { CONVERTERS, STANDARD_FUNCTIONS } from './functions/index.ts';

export type ErrorMode = 'ignore' | 'silent' | 'propagate';
export const ERROR_MODES = ['ignore', 'silent', 'propagate'] as const;

/** What is wrong with one text. `index` is its place in the list that was given. */
export class OttlTextError extends Error {
  readonly kind: 'statement' | 'condition';
  readonly index: number;
  constructor(kind: 'statement' | 'condition', index: number, text: string, cause: OttlError) {
    const problem = cause.isSyntax ? `${kind} has invalid syntax: ` : '';
    super(
      `unable to parse OTTL ${kind} ${JSON.stringify(text)}: ${problem}${positionOf(text, cause.at)}: ${cause.message}`,
      { cause },
    );
    this.kind = kind;
    this.index = index;
  }
}

function withText<T>(kind: 'statement' | 'condition', index: number, text: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof OttlError) throw new OttlTextError(kind, index, text, error);
    throw error;
  }
}

const parsed = <T>(kind: 'statement' | 'condition', texts: readonly string[], parse: (text: string) => T): T[] =>
  texts.map((text, i) => withText(kind, i, text, () => parse(text)));

export interface Texts {
  readonly statements: readonly string[];
  /** One of them must hold; none: they always run. */
  readonly conditions: readonly string[];
}

export interface Condition {
  readonly text: string;
  readonly test: Test;
  /** The part of it that the resource decides. */
  readonly resourceTest: ResourceTest | undefined;
}

export interface Program {
  readonly context: ContextName;
  readonly statements: readonly (CompiledStatement & { readonly text: string })[];
  readonly conditions: readonly Condition[];
  /** It may change the resource or scope above its records. */
  readonly writesShared: boolean;
  /** The same input always gives the same. */
  readonly isPure: boolean;
}

/** Contexts of a signal, the innermost first. */
export type Contexts = readonly ContextName[];

/**
 * The outermost of `contexts` that sees all paths and knows all functions. Paths decide; without any, the functions do.
 */
function inferContext(
  statements: readonly StatementNode[],
  conditions: readonly BoolNode[],
  contexts: Contexts,
  functions: FunctionTable,
): ContextName {
  const nodes = [...statements.flatMap((s) => (s.where ? [s.editor, s.where] : [s.editor])), ...conditions];
  const named = new Set<ContextName>();
  const calls = new Set<string>();
  for (const node of nodes) {
    for (const path of pathsIn(node)) {
      const context = CONTEXT_NAMES.get(path.segments[0]!.name);
      if (context) named.add(context);
    }
    for (const name of callsIn(node)) calls.add(name);
  }
  const knows = (c: ContextName): boolean =>
    [...calls].every((name) => {
      const only = functions.get(name)?.contexts;
      return !only || only.includes(c);
    });
  const innermost = contexts.find((c) => named.has(c));
  if (innermost && knows(innermost)) return innermost;
  // A function may need a context further in than the paths do.
  const from = innermost ? contexts.indexOf(innermost) : contexts.length - 1;
  for (let i = from; i >= 0; i--) if (knows(contexts[i]!)) return contexts[i]!;
  return innermost ?? contexts[0]!;
}

export interface ProgramOptions {
  /** As configured; undefined: from the paths, which must name their contexts then. */
  readonly context: ContextName | undefined;
  readonly contexts: Contexts;
  readonly functions: FunctionTable;
}

/** Throws an OttlTextError. */
export function compileProgram(texts: Texts, options: ProgramOptions): Program {
  const statements = parsed('statement', texts.statements, parseStatement);
  const conditions = parsed('condition', texts.conditions, parseCondition);
  const context = options.context ?? inferContext(statements, conditions, options.contexts, options.functions);
  const compiler = new Compiler({ context, functions: options.functions, prefixed: options.context === undefined });
  const program = {
    statements: statements.map((node, i) => {
      const text = texts.statements[i]!;
      return { text, ...withText('statement', i, text, () => compiler.statement(node)) };
    }),
    conditions: conditions.map((node, i) => {
      const text = texts.conditions[i]!;
      const test = withText('condition', i, text, () => compiler.bool(node));
      return { text, test, resourceTest: compiler.resourceTest(node) };
    }),
  };
  return { context, ...program, writesShared: compiler.writesShared, isPure: compiler.isPure };
}

export type OnError = (error: unknown, text: string) => void;

/** Whether one of the conditions holds. One that fails counts as not holding, after `onError` was told (it may throw). */
export function anyHolds(program: Program, env: Env, onError: OnError): boolean {
  for (const { test, text } of program.conditions)
    try {
      if (test(env)) return true;
    } catch (error) {
      onError(error, text);
    }
  return false;
}

/**
 * Whether one of the conditions holds for all records below the resource that `env` stands on; undefined: that is a matter of
 * the records, or a condition fails and is to fail for each of them.
 */
export function resourceHolds(program: Program, env: Env): boolean | undefined {
  try {
    for (const { resourceTest } of program.conditions) {
      const v = resourceTest?.(env);
      if (v !== false) return v;
    }
    return false;
  } catch {
    return undefined;
  }
}

/** Runs the statements for the record that `env` stands on. */
export function runProgram(program: Program, env: Env, onError: OnError): void {
  if (program.conditions.length > 0 && !anyHolds(program, env, onError)) return;
  for (const { run, where, text } of program.statements)
    try {
      if (!where || where(env)) run(env);
    } catch (error) {
      onError(error, text);
    }
}
