/** Moves a field. */
import { fieldSchema, rootableFieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const move = defineOperator({
  type: 'move',
  summary: 'Moves (renames) a field.',
  schema: operatorConfig({
    from: rootableFieldSchema().describe('Field to take'),
    to: fieldSchema().describe('Where it goes'),
  }),
  compile({ from, to }, { next, fail }) {
    return (entry) => {
      const value = from.delete(entry);
      if (value === undefined) return fail(entry, `move: field does not exist: ${from.text}`);
      const error = to.set(entry, value);
      if (error) return fail(entry, `move: ${error}`);
      next(entry);
    };
  },
});
