/** A schema as rows for documentation: every key with its type, default and meaning. */
import type * as z from 'zod';
import { formatDuration } from '../../core/schema.ts';
import { defOf, type Looked, look } from './schema-walk.ts';

export interface SchemaRow {
  /** Dotted; `[]` for the items of a list, `<name>` for the keys of a map: `sending_queue.enabled`. */
  readonly key: string;
  /** `string`, `duration`, `list of string`, `map of string`, `section`, `one of a, b`… */
  readonly type: string;
  /** As YAML text; empty when there is none. */
  readonly default: string;
  readonly description: string;
  readonly isSecret: boolean;
}

const MAX_DEPTH = 12;

export function describeSchema(schema: z.ZodType): SchemaRow[] {
  const rows: SchemaRow[] = [];
  collect(schema, '', rows, 0);
  return rows;
}

function collect(schema: z.ZodType, prefix: string, rows: SchemaRow[], depth: number): void {
  if (depth > MAX_DEPTH) return;
  const { inner } = look(schema);
  const def = defOf(inner);
  if (def.type === 'object') {
    for (const [name, value] of Object.entries(def.shape ?? {})) {
      const key = prefix === '' ? name : `${prefix}.${name}`;
      const looked = look(value);
      rows.push({
        key,
        type: typeName(looked, 0),
        default: defaultText(looked),
        description: looked.description ?? '',
        isSecret: looked.isSecret,
      });
      collect(value, key, rows, depth + 1);
    }
  } else if (def.type === 'array') collect(def.element!, `${prefix}[]`, rows, depth + 1);
  else if (def.type === 'record')
    collect(def.valueType!, prefix === '' ? '<name>' : `${prefix}.<name>`, rows, depth + 1);
  else if (def.type === 'union') for (const option of def.options ?? []) collect(option, prefix, rows, depth + 1);
}

const PLAIN: Readonly<Record<string, string>> = {
  string: 'string',
  boolean: 'bool',
  number: 'number',
  unknown: 'any',
  any: 'any',
  null: 'null',
};

function typeName(looked: Looked, depth: number): string {
  if (looked.isDuration) return 'duration';
  if (looked.isSize) return 'size';
  const def = defOf(looked.inner);
  if (depth > MAX_DEPTH) return 'any';
  const of = (schema: z.ZodType): string => typeName(look(schema), depth + 1);
  switch (def.type) {
    case 'object':
      return 'section';
    case 'array':
      return `list of ${of(def.element!)}`;
    case 'record':
      return `map of ${of(def.valueType!)}`;
    case 'enum':
      return `one of ${Object.values(def.entries ?? {})
        .map((v) => (v === '' ? '""' : v))
        .join(', ')}`;
    case 'literal':
      return (def.values ?? []).map((v) => JSON.stringify(v)).join(' or ');
    case 'union':
      return [...new Set((def.options ?? []).map(of))].join(' or ');
    case 'number':
      return /int/.test(def.format ?? '') ? 'int' : 'number';
    default:
      return PLAIN[def.type] ?? def.type;
  }
}

function defaultText(looked: Looked): string {
  const { default: value } = looked;
  if (!looked.hasDefault || value === undefined) return '';
  if (looked.isDuration && typeof value === 'number') return formatDuration(value / 1e6);
  if (typeof value === 'string') return value === '' ? '""' : value;
  if (looked.type === 'object' && JSON.stringify(value) === '{}') return '';
  return JSON.stringify(value) ?? '';
}
