/** Drops records for which an expression is true. */
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import { exprSchema } from '../expression.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const filter = defineOperator({
  type: 'filter',
  summary: 'Drops records for which an expression is true.',
  schema: operatorConfig({
    expr: exprSchema('bool').describe('Records for which it is true are dropped'),
    drop_ratio: z
      .number()
      .min(0, 'drop_ratio must be a number between 0 and 1')
      .max(1, 'drop_ratio must be a number between 0 and 1')
      .default(1)
      .describe('Which part of them, in steps of 1/1000'),
  }),
  unconditional: true,
  compile({ expr, drop_ratio: ratio }, { next, drop, warn }) {
    const cutoff = Math.floor(ratio * 1000);
    return (entry) => {
      let match: boolean;
      try {
        match = expr(entry) === true;
      } catch (error) {
        // As upstream: a record about which nothing can be said does not pass.
        warn('Running expressing returned an error', { error: messageOf(error) });
        drop(entry, 'filter operator: expression failed');
        return;
      }
      if (match && (cutoff >= 1000 || Math.floor(Math.random() * 1000) < cutoff)) drop(entry, 'filter operator');
      else next(entry);
    };
  },
});
