/** What zod's issues are called in the words that otelcol's users know. Schemas that parse inside other schemas pass `{ error: zodWords }` too. */
import type * as z from 'zod';
import { didYouMean } from './suggest.ts';

/** Separates a message from its hint on the way through zod, which carries one text only. */
export const HINT = '\0';
/** Stands for the message of a union, whose options say more. */
export const UNION = '\u0001';

const goType = (v: unknown): string => {
  if (v === null || v === undefined) return 'nil';
  if (Array.isArray(v)) return '[]interface {}';
  if (typeof v === 'number') return Number.isInteger(v) ? 'int' : 'float64';
  return typeof v === 'boolean' ? 'bool' : typeof v === 'object' ? 'map[string]interface {}' : typeof v;
};

const goKind = (v: unknown): string =>
  Array.isArray(v) ? 'slice' : v !== null && typeof v === 'object' ? 'map' : goType(v);

const WANTED: Readonly<Record<string, string>> = { number: 'float64', int: 'int', boolean: 'bool', string: 'string' };

interface SchemaDef {
  readonly format?: string;
  readonly shape?: Readonly<Record<string, unknown>>;
}
const defOf = (issue: z.core.$ZodRawIssue): SchemaDef =>
  (issue.inst as { _zod?: { def?: SchemaDef } } | undefined)?._zod?.def ?? {};

function typeWords(issue: z.core.$ZodRawIssue & { code: 'invalid_type' }): string {
  const { input, expected } = issue;
  if (input === undefined) return 'must be specified';
  if (expected === 'array') return `source data must be an array or slice, got ${goKind(input)}`;
  if (expected === 'object' || expected === 'record' || expected === 'map')
    return `expected a map or struct, got ${JSON.stringify(goKind(input))}`;
  const wanted =
    expected === 'number' && /int/.test(defOf(issue).format ?? '') ? 'int' : (WANTED[expected] ?? expected);
  return `expected type '${wanted}', got unconvertible type '${goType(input)}'`;
}

const LENGTHS: Readonly<Record<string, string>> = {
  array: 'items',
  set: 'items',
  string: 'characters',
  map: 'entries',
};

function boundWords(limit: string, unit: string | undefined, exclusive: boolean, side: 'above' | 'below'): string {
  if (unit) return `must have at ${side === 'above' ? 'least' : 'most'} ${limit} ${unit}`;
  if (exclusive) return `must be ${side === 'above' ? 'greater' : 'less'} than ${limit}`;
  return `must be at ${side === 'above' ? 'least' : 'most'} ${limit}`;
}

/** Given to zod with every parse; messages that a schema brings itself go before it. */
export function zodWords(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return typeWords(issue as typeof issue & { code: 'invalid_type' });
    case 'unrecognized_keys': {
      const keys = issue['keys'] as string[];
      const known = Object.keys(defOf(issue).shape ?? {});
      return [`has invalid keys: `, ...keys.map((k) => didYouMean(k, known) ?? '')].join(HINT);
    }
    case 'invalid_value': {
      const values = (issue['values'] as unknown[]).map(String);
      const given = issue.input;
      const hint = typeof given === 'string' ? didYouMean(given, values) : undefined;
      return `unsupported value ${JSON.stringify(given) ?? 'nothing'} (valid values: [${values.join(' ')}])${hint ? HINT + hint : ''}`;
    }
    case 'too_small':
      return boundWords(
        String(issue['minimum']),
        LENGTHS[String(issue['origin'])],
        issue['inclusive'] === false,
        'above',
      );
    case 'too_big':
      return boundWords(
        String(issue['maximum']),
        LENGTHS[String(issue['origin'])],
        issue['inclusive'] === false,
        'below',
      );
    case 'not_multiple_of':
      return `must be a multiple of ${String(issue['divisor'])}`;
    case 'invalid_union':
      return UNION;
    default:
      return undefined;
  }
}
