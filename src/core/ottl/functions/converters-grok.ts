/** ExtractGrokPatterns: regular expressions made of named ones. */
import type { Value } from '../../../wire/otlp.ts';
import { compileRegex } from '../../regex.ts';
import { converter, type FunctionDefinition } from '../function.ts';
import { fail } from '../values.ts';
import { GROK_PATTERNS } from './grok-patterns.ts';

const REFERENCE = /%\{(\w+)(?::([\w+.]+)(?::(\w+))?)?\}/g;
const MAX_DEPTH = 50;
/** Definitions that use each other several times grow fast. */
const MAX_LENGTH = 200_000;

type Convert = (text: string) => Value;

const TYPES: Readonly<Record<string, Convert>> = {
  string: (t) => t,
  int: toInt,
  long: toInt,
  float: toFloat,
  double: toFloat,
  bool: toBool,
  boolean: toBool,
};

function toInt(text: string): Value {
  return /^[+-]?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text)
    ? BigInt(text)
    : fail(`parsing ${JSON.stringify(text)}: invalid syntax`);
}

function toFloat(text: string): Value {
  const n = text.trim() === text && text !== '' ? Number(text) : Number.NaN;
  return Number.isNaN(n) ? fail(`parsing ${JSON.stringify(text)}: invalid syntax`) : n;
}

function toBool(text: string): Value {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? false : fail(`parsing ${JSON.stringify(text)}: invalid syntax`);
}

export interface Field {
  readonly name: string;
  readonly convert: Convert;
}

interface Grok {
  /** What each named group of the expression is. */
  readonly fields: ReadonlyMap<string, Field>;
  readonly source: string;
}

/** Throws an Error that says what is wrong. */
function expand(pattern: string, onlyNamed: boolean, definitions: ReadonlyMap<string, string>): Grok {
  const fields = new Map<string, Field>();
  const inner = (text: string, depth: number): string => {
    if (depth > MAX_DEPTH) throw new Error('pattern definitions refer to each other without end');
    const source = text.replace(REFERENCE, (_, name: string, field?: string, type?: string) => {
      const known = definitions.get(name) ?? (Object.hasOwn(GROK_PATTERNS, name) ? GROK_PATTERNS[name] : undefined);
      if (known === undefined) throw new Error(`pattern definition ${JSON.stringify(name)} unknown`);
      if (type !== undefined && !Object.hasOwn(TYPES, type)) throw new Error(`invalid type ${JSON.stringify(type)}`);
      const body = inner(known, depth + 1);
      if (onlyNamed && field === undefined) return `(?:${body})`;
      // Groups of their own, since a field may occur several times.
      const group = `grok${fields.size}_`;
      fields.set(group, { name: field ?? name, convert: TYPES[type ?? 'string']! });
      return `(?P<${group}>${body})`;
    });
    if (source.length > MAX_LENGTH) throw new Error('the expression is too large');
    return source;
  };
  return { source: inner(pattern, 0), fields };
}

function definitionsOf(list: readonly string[]): Map<string, string> {
  return new Map(
    list.map((text): [string, string] => {
      const at = text.indexOf('=');
      const name = text.slice(0, Math.max(0, at));
      if (name === '') throw new Error(`pattern supplied to ExtractGrokPatterns is not a definition: ${text}`);
      if (name.includes(':')) throw new Error(`the name of ${JSON.stringify(text)} has a colon`);
      return [name, text.slice(at + 1)];
    }),
  );
}

export const GROK_CONVERTERS: readonly (readonly [string, FunctionDefinition])[] = [
  [
    'ExtractGrokPatterns',
    converter(
      'What the fields of a grok expression find',
      {
        target: 'string',
        pattern: 'literal:string',
        named_captures_only: 'literal:bool?',
        pattern_definitions: 'list:literal:string?',
      },
      'map',
      ({ target, pattern, named_captures_only: onlyNamed = false, pattern_definitions: definitions = [] }) => {
        const { source, fields } = expand(pattern, onlyNamed, definitionsOf(definitions));
        const regex = compileRegex(source);
        const captures = regex.groupNames.flatMap((group, i): [number, Field][] =>
          group === '' ? [] : [[i, fields.get(group) ?? { name: group, convert: TYPES['string']! }]],
        );
        if (captures.length === 0)
          throw new Error('at least 1 named capture group must be supplied in the given regex');
        return (env) => {
          const match = regex.exec(target(env));
          const out = new Map<string, Value>();
          if (match)
            for (const [i, { name, convert }] of captures) {
              const text = match[i];
              if (text) out.set(name, convert(text));
            }
          return out;
        };
      },
    ),
  ],
];
