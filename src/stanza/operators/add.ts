/** Sets a field to a constant or to what an expression gives. */
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import type { Value } from '../../wire/otlp.ts';
import { compileEntryExpr, type EntryExpr, toValue, wholeExpr } from '../expression.ts';
import { cloneValue, fieldSchema } from '../field.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

/** A YAML value as a value of a record: whole numbers are integers. */
function fromYaml(v: unknown): Value {
  if (v === null || v === undefined) return null;
  if (typeof v === 'number') return Number.isSafeInteger(v) ? BigInt(v) : v;
  if (typeof v === 'string' || typeof v === 'boolean' || typeof v === 'bigint') return v;
  if (Array.isArray(v)) return v.map(fromYaml);
  if (v instanceof Date) return v.toISOString();
  return new Map(Object.entries(v as object).map(([k, x]) => [k, fromYaml(x)]));
}

const value = z.unknown().transform((v, ctx): Value | EntryExpr => {
  if (v === undefined) {
    ctx.addIssue({ code: 'custom', message: "add: missing required field 'value'" });
    return z.NEVER;
  }
  const text = typeof v === 'string' ? wholeExpr(v) : undefined;
  if (text === undefined) return fromYaml(v);
  try {
    return compileEntryExpr(text);
  } catch (error) {
    ctx.addIssue({
      code: 'custom',
      message: `failed to compile expression ${JSON.stringify(text)}: ${messageOf(error)}`,
    });
    return z.NEVER;
  }
});

export const add = defineOperator({
  type: 'add',
  summary: 'Sets a field to a constant, or to the result of EXPR(…).',
  schema: operatorConfig({
    field: fieldSchema().describe('Field to set'),
    value: value.describe('Any value; text that is wholly EXPR(…) is an expression'),
  }),
  compile({ field, value }, { next, fail }) {
    if (typeof value === 'function') {
      return (entry) => {
        let result: Value;
        try {
          result = toValue(value(entry));
        } catch (error) {
          return fail(entry, `evaluate value_expr: ${messageOf(error)}`);
        }
        const error = field.set(entry, cloneValue(result));
        if (error) return fail(entry, `add: ${error}`);
        next(entry);
      };
    }
    const nested = typeof value === 'object' && value !== null;
    return (entry) => {
      const error = field.set(entry, nested ? cloneValue(value) : value);
      if (error) return fail(entry, `add: ${error}`);
      next(entry);
    };
  },
});
