/** Converters of texts. */

import type { Value } from '../../../wire/otlp.ts';
import { valueText } from '../../edit/values.ts';
import { converter, type FunctionDefinition, patternOf } from '../function.ts';
import { fail } from '../values.ts';
import { likeText } from './converters-type.ts';
import { sprintf } from './format.ts';
import { camelCase, sliceBytes, snakeCase } from './text.ts';
import { valueOrTimeText } from './time-text.ts';

const CASES: Readonly<Record<string, (text: string) => string>> = {
  lower: (t) => t.toLowerCase(),
  upper: (t) => t.toUpperCase(),
  snake: snakeCase,
  camel: camelCase,
};

const mapped = (summary: string, change: (text: string) => string): FunctionDefinition =>
  converter(
    summary,
    { target: 'string' },
    'string',
    ({ target }) =>
      (env) =>
        change(target(env)),
  );

function trimmed(text: string, set: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && set.includes(text[from]!)) from++;
  while (to > from && set.includes(text[to - 1]!)) to--;
  return text.slice(from, to);
}

export const TEXT_CONVERTERS: readonly (readonly [string, FunctionDefinition])[] = [
  [
    'Concat',
    converter(
      'Values as text, joined',
      { values: 'list:any', delimiter: 'string' },
      'string',
      ({ values, delimiter }) =>
        (env) => {
          let out = '';
          const between = delimiter(env);
          for (let i = 0; i < values.length; i++) {
            if (i > 0) out += between;
            const v = values[i]!(env);
            if (typeof v === 'string') out += v;
            else if (v === null) out += '<nil>';
            else if (!(v instanceof Map) && !Array.isArray(v)) out += valueOrTimeText(v);
          }
          return out;
        },
    ),
  ],
  [
    'ConvertCase',
    converter(
      'Text in another case: lower, upper, snake or camel',
      { target: 'string', to_case: 'literal:string' },
      'string',
      ({ target, to_case }) => {
        const change = Object.hasOwn(CASES, to_case) ? CASES[to_case] : undefined;
        if (!change) throw new Error(`invalid case: ${to_case}, allowed cases are: lower, upper, snake, camel`);
        return (env) => change(target(env));
      },
    ),
  ],
  ['ToLowerCase', mapped('Text in lower case', CASES['lower']!)],
  ['ToUpperCase', mapped('Text in upper case', CASES['upper']!)],
  ['ToSnakeCase', mapped('Text in snake_case', snakeCase)],
  ['ToCamelCase', mapped('Text in CamelCase', camelCase)],
  [
    'Format',
    converter(
      'Values put into a format of Go’s fmt',
      { format_string: 'string', format_arguments: 'list:any' },
      'string',
      ({ format_string, format_arguments }) =>
        (env) =>
          sprintf(
            format_string(env),
            format_arguments.map((a) => a(env)),
          ),
    ),
  ],
  [
    'HasPrefix',
    converter(
      'Whether a text begins with another',
      { value: 'string', prefix: 'string' },
      'bool',
      ({ value, prefix }) =>
        (env) =>
          value(env).startsWith(prefix(env)),
    ),
  ],
  [
    'HasSuffix',
    converter(
      'Whether a text ends with another',
      { value: 'string', suffix: 'string' },
      'bool',
      ({ value, suffix }) =>
        (env) =>
          value(env).endsWith(suffix(env)),
    ),
  ],
  [
    'TrimPrefix',
    converter(
      'A text without its beginning',
      { value: 'string', prefix: 'string' },
      'string',
      ({ value, prefix }) =>
        (env) => {
          const [v, p] = [value(env), prefix(env)];
          return v.startsWith(p) ? v.slice(p.length) : v;
        },
    ),
  ],
  [
    'TrimSuffix',
    converter(
      'A text without its end',
      { value: 'string', suffix: 'string' },
      'string',
      ({ value, suffix }) =>
        (env) => {
          const [v, s] = [value(env), suffix(env)];
          return s !== '' && v.endsWith(s) ? v.slice(0, -s.length) : v;
        },
    ),
  ],
  [
    'Trim',
    converter(
      'A text without certain characters at its ends',
      { target: 'string', replacement: 'string?' },
      'string',
      ({ target, replacement }) =>
        (env) =>
          trimmed(target(env), replacement?.(env) ?? ' '),
    ),
  ],
  [
    'IsMatch',
    converter(
      'Whether a regular expression finds something',
      { target: 'any', pattern: 'pattern' },
      'bool',
      ({ target, pattern }) => {
        const regexOf = patternOf(pattern);
        return (env) => {
          const v = target(env);
          if (v === null) return false;
          const regex = regexOf(env);
          if (typeof v === 'string') return regex.test(v);
          return regex.test(v instanceof Uint8Array ? valueText(v as Value) : likeText(v)!);
        };
      },
    ),
  ],
  [
    'Split',
    converter(
      'The pieces of a text between delimiters',
      { target: 'string', delimiter: 'string' },
      'list',
      ({ target, delimiter }) =>
        (env) => {
          const between = delimiter(env);
          return between === '' ? [...target(env)] : target(env).split(between);
        },
    ),
  ],
  [
    'Substring',
    converter(
      'A part of a text, in bytes',
      { target: 'string', start: 'int', length: 'int', utf8_safe: 'bool?' },
      'string',
      ({ target, start, length, utf8_safe }) =>
        (env) => {
          const [from, n] = [Number(start(env)), Number(length(env))];
          if (from < 0) return fail(`invalid start for substring function, ${from} cannot be negative`);
          if (n <= 0) return fail(`invalid length for substring function, ${n} cannot be negative or zero`);
          const out = sliceBytes(target(env), from, n, utf8_safe?.(env) ?? false);
          return (
            out ??
            fail(
              `invalid range for substring function, ${from}+${n} cannot be greater than the length of target string`,
            )
          );
        },
    ),
  ],
  [
    'ExtractPatterns',
    converter(
      'What the named groups of a regular expression find',
      { target: 'string', pattern: 'pattern' },
      'map',
      ({ target, pattern }) => {
        const regexOf = patternOf(pattern);
        if (typeof pattern.constant === 'string' && !regexOf(undefined as never).groupNames.some((n) => n !== ''))
          throw new Error('at least 1 named capture group must be supplied in the given regex');
        return (env) => {
          const regex = regexOf(env);
          const match = regex.exec(target(env));
          const out = new Map<string, string>();
          if (match) for (const [i, name] of regex.groupNames.entries()) if (name !== '') out.set(name, match[i] ?? '');
          return out;
        };
      },
    ),
  ],
];
