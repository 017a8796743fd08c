/** include and exclude of devices, interfaces, file systems and processes: exact names, or Go regular expressions. */
import * as z from 'zod';
import { type Regex, tryRegex } from '../../../core/regex.ts';
import { section, stringList } from '../../../core/schema.ts';

export type NameTest = (name: string) => boolean;

const MATCH_TYPES = ['regexp', 'strict'];

interface FilterInput {
  readonly match_type: string;
  readonly [list: string]: unknown;
}

/** A filter with its names under `list`; undefined without any name, which is as if there were none. */
export const nameFilter = (list: string, what: string) =>
  section(
    z
      .strictObject({
        [list]: stringList().default([]).describe(what),
        match_type: z.string().default('').describe('strict: the whole name; regexp: a part of the name'),
        regexp: section(
          z.strictObject({
            cacheenabled: z.boolean().default(false).describe('Accepted without effect'),
            cachemaxnumentries: z.int().default(0).describe('Accepted without effect'),
          }),
        )
          .optional()
          .describe('Accepted for compatibility'),
      })
      .transform((given, ctx): NameTest | undefined => {
        const filter = given as unknown as FilterInput;
        const names = filter[list] as readonly string[];
        if (names.length === 0) return undefined;
        if (!MATCH_TYPES.includes(filter.match_type)) {
          ctx.addIssue({
            code: 'custom',
            path: ['match_type'],
            message: `unrecognized match_type: '${filter.match_type}', valid types are: [${MATCH_TYPES.join(' ')}]`,
          });
          return z.NEVER;
        }
        if (filter.match_type === 'strict') {
          const exact = new Set(names);
          return (name) => exact.has(name);
        }
        const patterns: Regex[] = [];
        for (const [i, source] of names.entries()) {
          const regex = tryRegex(source);
          if ('error' in regex) ctx.addIssue({ code: 'custom', path: [list, i], message: regex.error });
          else patterns.push(regex);
        }
        return (name) => patterns.some((p) => p.test(name));
      }),
  )
    .optional()
    .describe(`${what}, and how they are matched`);

/** Kept: included, when there is an include, and not excluded. */
export const keeps =
  (include: NameTest | undefined, exclude: NameTest | undefined): NameTest =>
  (name) =>
    (include?.(name) ?? true) && !exclude?.(name);
