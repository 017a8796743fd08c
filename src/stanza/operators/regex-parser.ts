/** Parses text with a regular expression whose named groups become keys. */
import * as z from 'zod';
import { type Regex, tryRegex } from '../../core/regex.ts';
import type { ValueMap } from '../../wire/otlp.ts';
import { defineOperator } from '../operator.ts';
import { compileParser, notText, ParseFailure, parserConfig } from '../parser.ts';

const regex = z.string({ error: "missing required field 'regex'" }).transform((source, ctx): Regex => {
  const r = tryRegex(source);
  if ('error' in r) ctx.addIssue({ code: 'custom', message: r.error });
  else if (!r.groupNames.some((n) => n !== ''))
    ctx.addIssue({ code: 'custom', message: 'no named capture groups in regex pattern' });
  else return r;
  return z.NEVER;
});

export const regexParser = defineOperator({
  type: 'regex_parser',
  summary: 'Parses text with a regular expression; each named group becomes a key.',
  schema: parserConfig({
    regex: regex.describe('Go regular expression with at least one named group'),
    cache: z
      .looseObject({ size: z.number().default(0) })
      .optional()
      .describe('Taken for compatibility; results are not cached'),
  }),
  compile(config, ctx) {
    const { regex } = config;
    const groups = regex.groupNames.flatMap((name, index) => (name === '' ? [] : [{ name, index }]));
    return compileParser(config, ctx, (value) => {
      if (typeof value !== 'string') return notText('regex', value);
      const m = regex.exec(value);
      if (!m) return NO_MATCH;
      const map: ValueMap = new Map();
      for (const { name, index } of groups) map.set(name, m[index] ?? '');
      return map;
    });
  },
});

const NO_MATCH = new ParseFailure('regex pattern does not match');
