/** Gives names to the items of a list. */
import * as z from 'zod';
import type { ValueMap } from '../../wire/otlp.ts';
import { fieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const assignKeys = defineOperator({
  type: 'assign_keys',
  summary: 'Turns a list into a map with the given keys.',
  schema: operatorConfig({
    field: fieldSchema().describe('Field that holds the list'),
    keys: z.array(z.string()).min(1, 'assign_keys missing required field keys').describe('One key for each item'),
  }),
  compile({ field, keys }, { next, fail }) {
    return (entry) => {
      const list = field.get(entry);
      if (list === undefined) return fail(entry, `assign_keys: field does not exist: ${field.text}`);
      if (!Array.isArray(list)) return fail(entry, 'assign_keys: field is not an array');
      if (list.length !== keys.length)
        return fail(
          entry,
          `assign_keys: number of keys (${keys.length}) does not match number of values (${list.length})`,
        );
      const map: ValueMap = new Map();
      for (let i = 0; i < keys.length; i++) map.set(keys[i]!, list[i]!);
      field.set(entry, map);
      next(entry);
    };
  },
});
