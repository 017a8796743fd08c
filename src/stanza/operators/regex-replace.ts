/** Replaces what a regular expression finds. */
import * as z from 'zod';
import { tryRegex } from '../../core/regex.ts';
import { fieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

/** Expressions with a name of their own. */
const NAMED: Readonly<Record<string, string>> = {
  ansi_control_sequences: String.raw`(?:\x1B(?:[@A-Z\\-_]|\[[0-9:;<=>?]*[ -/]*[@-~])|\x9B[0-9:;<=>?]*[ -/]*[@-~])`,
};

export const regexReplace = defineOperator({
  type: 'regex_replace',
  summary: 'Replaces every match of a regular expression in a field.',
  schema: operatorConfig({
    field: fieldSchema().describe('Field to change'),
    regex: z.string().optional().describe('Go regular expression'),
    regex_name: z.string().optional().describe('ansi_control_sequences, in place of `regex`'),
    replace_with: z.string().default('').describe('Replacement; $1 and ${name} stand for groups'),
  }).transform((c, ctx) => {
    const bad = (key: string, message: string) => {
      ctx.addIssue({ code: 'custom', path: [key], message });
      return z.NEVER;
    };
    if (c.regex && c.regex_name) return bad('regex', "either 'regex' or 'regex_name' must be set, not both");
    const source = c.regex || (c.regex_name ? NAMED[c.regex_name] : undefined);
    if (c.regex_name && !source) return bad('regex_name', `regex_name ${JSON.stringify(c.regex_name)} is unknown`);
    if (!source) return bad('regex', "either 'regex' or 'regex_name' must be set");
    const compiled = tryRegex(source);
    if ('error' in compiled) return bad('regex', compiled.error);
    return { ...c, compiled };
  }),
  compile({ field, compiled, replace_with: replacement }, { next, fail }) {
    return (entry) => {
      const value = field.get(entry);
      if (value === undefined) return next(entry);
      if (typeof value !== 'string') return fail(entry, `type ${typeof value} cannot be replaced in`);
      field.set(entry, compiled.replaceAll(value, replacement));
      next(entry);
    };
  },
});
