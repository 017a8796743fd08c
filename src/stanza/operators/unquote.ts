/** Undoes the quoting of a Go string literal. */
import { goUnquote } from '../../core/go-string.ts';
import { fieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const unquote = defineOperator({
  type: 'unquote',
  summary: 'Replaces a quoted text ("…", \'…\' or `…`) by what it stands for.',
  schema: operatorConfig({ field: fieldSchema().describe('Field to unquote') }),
  compile({ field }, { next, fail }) {
    return (entry) => {
      const value = field.get(entry);
      if (value === undefined) return next(entry);
      if (typeof value !== 'string') return fail(entry, `type ${typeof value} cannot be unquoted`);
      const text = goUnquote(value);
      if (typeof text === 'number') return fail(entry, 'unquote: invalid syntax');
      field.set(entry, text);
      next(entry);
    };
  },
});
