/** Moves the members of a map one level up. */
import { Field, rootableFieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const flatten = defineOperator({
  type: 'flatten',
  summary: 'Moves the members of a map one level up and removes the map.',
  schema: operatorConfig({ field: rootableFieldSchema().describe('Map to dissolve') }),
  compile({ field }, { next, fail }) {
    const parent = new Field(field.root, field.keys.slice(0, -1), field.text);
    return (entry) => {
      const value = field.get(entry);
      if (value === undefined) return fail(entry, `apply flatten: field ${field.text} does not exist on body`);
      if (!(value instanceof Map)) return fail(entry, `apply flatten: field ${field.text} is not a map`);
      if (!field.isRoot) {
        field.delete(entry);
        parent.set(entry, value);
      }
      next(entry);
    };
  },
});
