/** Sends each record to the operator of the first route whose expression is true. */
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import type { Entry } from '../entry.ts';
import { compileTemplate, exprSchema, type Template } from '../expression.ts';
import { defineOperator, operatorConfig, type Process } from '../operator.ts';

const targets = z.union([z.string().transform((s) => [s]), z.array(z.string())]);

const attributes = z
  .record(z.string(), z.string())
  .default({})
  .transform((values, ctx): [string, string | Template][] =>
    Object.entries(values).map(([key, text]) => {
      try {
        return [key, compileTemplate(text) ?? text];
      } catch (error) {
        ctx.addIssue({
          code: 'custom',
          path: [key],
          message: `failed to compile expression ${JSON.stringify(text)}: ${messageOf(error)}`,
        });
        return [key, ''];
      }
    }),
  );

const route = z.looseObject({
  expr: exprSchema('bool').describe('Records for which it is true take this route'),
  output: targets.describe('Where they go'),
  attributes: attributes.describe('Attributes that they get'),
});

export const router = defineOperator({
  type: 'router',
  summary: 'Sends each record to the operator of the first route that fits.',
  schema: operatorConfig({
    routes: z.array(route).default([]).describe('Tried in order'),
    default: targets.optional().describe('Where records go that no route fits; dropped when left out'),
  }).refine((c) => c.routes.length > 0, { path: ['routes'], message: "missing required field 'routes'" }),
  unconditional: true,
  outputs: (config) => [...config.routes.flatMap((r) => r.output), ...(config.default ?? [])],
  compile(config, ctx) {
    const { drop, warn, copy } = ctx;
    const send = (ids: readonly string[]): Process => {
      const outs = [...new Set(ids)].map((id) => ctx.output(id));
      const last = outs.pop()!;
      if (outs.length === 0) return last;
      return (entry) => {
        for (const out of outs) out(copy(entry));
        last(entry);
      };
    };
    const routes = config.routes.map((r) => ({ expr: r.expr, attributes: r.attributes, to: send(r.output) }));
    const otherwise = config.default && config.default.length > 0 ? send(config.default) : undefined;
    const fits = (expr: (e: Entry) => unknown, entry: Entry): boolean => {
      try {
        return expr(entry) === true;
      } catch (error) {
        warn('Running expression returned an error', { error: messageOf(error) });
        return false;
      }
    };
    return (entry) => {
      for (const r of routes) {
        if (!fits(r.expr, entry)) continue;
        for (const [key, value] of r.attributes) {
          try {
            entry.attributes.set(key, typeof value === 'string' ? value : value(entry));
          } catch (error) {
            // An attribute that cannot be computed is left out: the record is worth more.
            warn('Failed to label entry', { attribute: key, error: messageOf(error) });
          }
        }
        r.to(entry);
        return;
      }
      if (otherwise) otherwise(entry);
      else drop(entry, 'router: no route');
    };
  },
});
