/** Parses comma separated values. */
import * as z from 'zod';
import { splitCsv } from '../../core/csv.ts';
import type { Value, ValueMap } from '../../wire/otlp.ts';
import type { Entry } from '../entry.ts';
import { defineOperator } from '../operator.ts';
import { compileParse, notText, ParseFailure, parserConfig } from '../parser.ts';

const rune = (key: string) =>
  z.string().refine((s) => [...s].length === 1, `invalid '${key}': it must be a single character`);

export const csvParser = defineOperator({
  type: 'csv_parser',
  summary: 'Parses separated values; a header names them.',
  schema: parserConfig({
    header: z.string().default('').describe('Names of the fields, with delimiters'),
    header_attribute: z.string().default('').describe('Attribute that holds the header'),
    header_delimiter: rune('header_delimiter')
      .optional()
      .describe('Delimiter of the header; `delimiter` when left out'),
    delimiter: rune('delimiter').default(',').describe('Between fields'),
    lazy_quotes: z.boolean().default(false).describe('Quotes may stand inside of fields'),
    ignore_quotes: z.boolean().default(false).describe('Quotes are ordinary characters'),
  }).superRefine((c, ctx) => {
    const bad = (key: string, message: string) => ctx.addIssue({ code: 'custom', path: [key], message });
    if (c.ignore_quotes && c.lazy_quotes)
      bad('ignore_quotes', 'only one of `ignore_quotes` or `lazy_quotes` can be true');
    if (c.header === '' && c.header_attribute === '')
      bad('header', 'missing required field `header` or `header_attribute`');
    else if (c.header !== '' && c.header_attribute !== '')
      bad('header', 'only one header parameter can be set: `header` or `header_attribute`');
    else if (c.header !== '' && !c.header.includes(c.header_delimiter ?? c.delimiter))
      bad('header', 'missing field delimiter in header');
  }),
  compile(config, ctx) {
    const { next, fail } = ctx;
    const { delimiter, header_attribute: attribute } = config;
    const headerDelimiter = config.header_delimiter ?? delimiter;
    let header = config.header === '' ? [] : config.header.split(headerDelimiter);
    let dynamic = '';
    const mode = config.ignore_quotes ? 'ignore' : config.lazy_quotes ? 'lazy' : 'strict';
    const run = compileParse(config, ctx.clock, (value: Value) => {
      if (typeof value !== 'string') return notText('csv', value);
      const fields = splitCsv(value, delimiter, mode, header.length);
      if (typeof fields === 'string') return new ParseFailure(fields);
      if (fields.length !== header.length)
        return new ParseFailure(`wrong number of fields: expected ${header.length}, found ${fields.length}`);
      const map: ValueMap = new Map();
      for (let i = 0; i < header.length; i++) map.set(header[i]!, fields[i]!);
      return map;
    });
    return (entry: Entry) => {
      if (attribute !== '') {
        const h = entry.attributes.get(attribute);
        if (typeof h !== 'string')
          return fail(
            entry,
            h === undefined
              ? `failed to read dynamic header attribute ${attribute}`
              : `header is expected to be a string but is ${typeof h}`,
          );
        if (!h.includes(headerDelimiter))
          return fail(entry, `missing header delimiter in header ${JSON.stringify(h.slice(0, 80))}`);
        if (h !== dynamic) {
          dynamic = h;
          header = h.split(headerDelimiter);
        }
      }
      const error = run(entry);
      if (error === undefined) next(entry);
      else fail(entry, error);
    };
  },
});
