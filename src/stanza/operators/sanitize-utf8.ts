/** Replaces invalid UTF-8. */
import { BODY, fieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const sanitizeUtf8 = defineOperator({
  type: 'sanitize_utf8',
  summary: 'Replaces invalid UTF-8 in a field by U+FFFD.',
  schema: operatorConfig({ field: fieldSchema().optional().describe('Field to clean; body when left out') }),
  compile(config, { next, fail }) {
    const field = config.field ?? BODY;
    return (entry) => {
      const value = field.get(entry);
      if (value === undefined) return next(entry);
      if (typeof value === 'string') {
        if (!value.isWellFormed()) field.set(entry, value.toWellFormed());
      } else if (value instanceof Uint8Array) field.set(entry, Buffer.from(value).toString('utf8'));
      else return fail(entry, 'sanitize_utf8: the field is not text');
      next(entry);
    };
  },
});
