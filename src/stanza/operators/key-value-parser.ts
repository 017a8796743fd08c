/** Parses `key=value` pairs. */
import * as z from 'zod';
import type { ValueMap } from '../../wire/otlp.ts';
import { defineOperator } from '../operator.ts';
import { compileParser, notText, ParseFailure, parserConfig } from '../parser.ts';

export const keyValueParser = defineOperator({
  type: 'key_value_parser',
  summary: 'Parses key=value pairs; quotes protect delimiters.',
  schema: parserConfig({
    delimiter: z.string().min(1, 'delimiter is a required parameter').default('=').describe('Between key and value'),
    pair_delimiter: z.string().default(' ').describe('Between pairs; blanks when left out'),
  }).superRefine((c, ctx) => {
    if (c.delimiter === c.pair_delimiter)
      ctx.addIssue({
        code: 'custom',
        path: ['pair_delimiter'],
        message: 'delimiter and pair_delimiter cannot be the same value',
      });
  }),
  compile(config, ctx) {
    const { delimiter } = config;
    const between = config.pair_delimiter || ' ';
    return compileParser(config, ctx, (value) => {
      if (typeof value !== 'string') return notText('key value pairs', value);
      if (value === '') return new ParseFailure('parse from field body is empty');
      const pairs = splitPairs(value, between);
      if (typeof pairs === 'string') return new ParseFailure(pairs);
      const map: ValueMap = new Map();
      for (const pair of pairs) {
        const at = pair.indexOf(delimiter);
        if (at < 0)
          return new ParseFailure(`cannot split ${JSON.stringify(pair.slice(0, 80))} into 2 items, got 1 item(s)`);
        map.set(bare(pair.slice(0, at)), bare(pair.slice(at + delimiter.length)));
      }
      return map;
    });
  },
});

/** Without blanks around it, and without the quotes around that. */
function bare(text: string): string {
  const t = text.trim();
  const q = t[0];
  return t.length >= 2 && (q === '"' || q === "'") && t.endsWith(q) ? t.slice(1, -1) : t;
}

/** Pieces between delimiters outside of quotes; empty ones are left out. A message when a quote is not closed. */
function splitPairs(text: string, between: string): string[] | string {
  const out: string[] = [];
  let from = 0;
  let quote = '';
  let i = 0;
  while (i < text.length) {
    const c = text[i]!;
    if (quote !== '') {
      if (c === quote) quote = '';
      i++;
    } else if (c === '"' || c === "'") {
      quote = c;
      i++;
    } else if (text.startsWith(between, i)) {
      if (i > from) out.push(text.slice(from, i));
      i += between.length;
      from = i;
    } else i++;
  }
  if (quote !== '') return 'never reached the end of a quoted value';
  if (from < text.length) out.push(text.slice(from));
  return out;
}
