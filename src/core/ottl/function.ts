/** How editors and converters are declared. */
import type { Value } from '../../wire/otlp.ts';
import { compileRegex, type Regex } from '../regex.ts';
import type { Accessor, Get } from './accessor.ts';
import type { Compiled } from './compile.ts';
import type { ContextName, Env } from './env.ts';
import { fail, type Kind, type OttlValue } from './values.ts';

/** What each type of parameter is handed to `make` as. */
export interface ArgumentTypes {
  any: Get;
  /** With what is known of it. */
  value: Compiled;
  string: (env: Env) => string;
  int: (env: Env) => bigint;
  float: (env: Env) => number;
  bool: (env: Env) => boolean;
  map: (env: Env) => Map<string, Value>;
  list: (env: Env) => Value[];
  time: Get;
  duration: Get;
  /** A regular expression; see `patternOf`. */
  pattern: Compiled;
  /** A path that can be changed. */
  target: Accessor;
  function: (env: Env, value: OttlValue) => OttlValue;
  'literal:string': string;
  'literal:int': bigint;
  'literal:float': number;
  'literal:bool': boolean;
  'list:any': readonly Get[];
  'list:string': readonly ((env: Env) => string)[];
  'list:literal:string': readonly string[];
}
export type ParameterType = keyof ArgumentTypes;

export interface Parameter {
  /** Snake case, as named arguments are written. */
  readonly name: string;
  readonly type: ParameterType;
  readonly optional?: boolean;
}

export interface FunctionDefinition {
  readonly kind: 'editor' | 'converter';
  readonly params: readonly Parameter[];
  readonly returns?: Kind;
  /** Gives another result for the same arguments. */
  readonly isImpure?: boolean;
  /** Without: in all contexts. */
  readonly contexts?: readonly ContextName[];
  /** One line for the documentation. */
  readonly summary: string;
  readonly make: (args: never) => (env: Env) => OttlValue | undefined;
}

/** `name: type`, with `?` behind the type when it is optional. */
type Spec = Readonly<Record<string, ParameterType | `${ParameterType}?`>>;
type Arguments<S extends Spec> = {
  readonly [K in keyof S]: S[K] extends `${infer T extends ParameterType}?`
    ? ArgumentTypes[T] | undefined
    : S[K] extends ParameterType
      ? ArgumentTypes[S[K]]
      : never;
};

const parametersOf = (spec: Spec): Parameter[] =>
  Object.entries(spec).map(([name, text]) => {
    const optional = text.endsWith('?');
    return { name, type: (optional ? text.slice(0, -1) : text) as ParameterType, optional };
  });

export const editor = <const S extends Spec>(
  summary: string,
  spec: S,
  make: (args: Arguments<S>) => (env: Env) => void,
  contexts?: readonly ContextName[],
): FunctionDefinition => ({
  kind: 'editor',
  summary,
  params: parametersOf(spec),
  ...(contexts ? { contexts } : {}),
  make: make as FunctionDefinition['make'],
});

export const converter = <const S extends Spec>(
  summary: string,
  spec: S,
  returns: Kind,
  make: (args: Arguments<S>) => (env: Env) => OttlValue,
  options: Pick<FunctionDefinition, 'isImpure' | 'contexts'> = {},
): FunctionDefinition => ({
  kind: 'converter',
  summary,
  params: parametersOf(spec),
  returns,
  ...options,
  make: make as FunctionDefinition['make'],
});

const MAX_PATTERNS = 100;

/** A pattern that is known is compiled at the start, where it may throw; another one when it is seen first. */
export function patternOf(pattern: Compiled): (env: Env) => Regex {
  if (typeof pattern.constant === 'string') {
    const regex = compileRegex(pattern.constant);
    return () => regex;
  }
  const seen = new Map<string, Regex>();
  return (env) => {
    const text = pattern.get(env);
    if (typeof text !== 'string') return fail('the regular expression is not a string');
    let regex = seen.get(text);
    if (!regex) {
      try {
        regex = compileRegex(text);
      } catch (error) {
        return fail(
          `the regex pattern provided is not valid: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
      if (seen.size >= MAX_PATTERNS) seen.clear();
      seen.set(text, regex);
    }
    return regex;
  };
}
