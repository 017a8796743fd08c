/** Removes a field. */
import { rootableFieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const remove = defineOperator({
  type: 'remove',
  summary: 'Removes a field, or all attributes, or the whole resource.',
  schema: operatorConfig({ field: rootableFieldSchema().describe('Field to remove') }),
  compile({ field }, { next, fail }) {
    return (entry) => {
      if (field.delete(entry) === undefined) return fail(entry, `remove: field does not exist: ${field.text}`);
      next(entry);
    };
  },
});
