/** Keeps only some fields. */
import * as z from 'zod';
import type { Value } from '../../wire/otlp.ts';
import { rootableFieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const retain = defineOperator({
  type: 'retain',
  summary: 'Keeps only the named fields of body, attributes and resource; parts that are not named at all stay.',
  schema: operatorConfig({
    fields: z.array(rootableFieldSchema()).min(1, 'retain: field is empty').describe('Fields to keep'),
  }),
  compile({ fields }, { next }) {
    const roots = (['body', 'attributes', 'resource'] as const).filter((r) => fields.some((f) => f.root === r));
    return (entry) => {
      const kept: (Value | undefined)[] = fields.map((f) => f.get(entry));
      for (const r of roots) {
        if (r === 'body') entry.body = null;
        else entry[r] = new Map();
      }
      for (let i = 0; i < fields.length; i++) {
        const value = kept[i];
        if (value !== undefined) fields[i]!.set(entry, value);
      }
      next(entry);
    };
  },
});
