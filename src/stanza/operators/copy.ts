/** Copies a field. */
import { cloneValue, rootableFieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const copy = defineOperator({
  type: 'copy',
  summary: 'Copies a field.',
  schema: operatorConfig({
    from: rootableFieldSchema().describe('Field to copy'),
    to: rootableFieldSchema().describe('Where the copy goes'),
  }),
  compile({ from, to }, { next, fail }) {
    return (entry) => {
      const value = from.get(entry);
      if (value === undefined) return fail(entry, `copy: from field does not exist in this entry: ${from.text}`);
      const error = to.set(entry, typeof value === 'object' ? cloneValue(value) : value);
      if (error) return fail(entry, `copy: ${error}`);
      next(entry);
    };
  },
});
