/** The action list of the resource and attributes processors: its schema, and what it does to a map. */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { Value } from '../../wire/otlp.ts';
import type { Batch } from '../batch.ts';
import { type Regex, tryRegex } from '../regex.ts';
import { copyValue, Key, type LazyMap } from './lazy-map.ts';
import { toValue, valueText } from './values.ts';

const ACTIONS = ['insert', 'update', 'upsert', 'delete', 'hash', 'extract', 'convert'] as const;
type ActionName = (typeof ACTIONS)[number];
const isAction = (text: string): text is ActionName => (ACTIONS as readonly string[]).includes(text);

const actionSchema = z.strictObject({
  key: z.string().default('').describe('Attribute to act on'),
  action: z
    .string()
    .default('')
    .describe(`What to do: ${ACTIONS.join(', ')}`),
  value: z.unknown().optional().describe('Value for insert, update and upsert'),
  from_attribute: z.string().default('').describe('Take the value of this attribute; nothing happens without it'),
  from_context: z
    .string()
    .default('')
    .describe('Take client metadata of the receiver: `metadata.<name>`; nothing happens without it'),
  default_value: z.unknown().optional().describe('Value when from_attribute or from_context gives none'),
  pattern: z
    .string()
    .default('')
    .describe('Regular expression: on names of attributes (delete, hash), on the value of `key` (extract)'),
  converted_type: z.string().default('').describe('Type for convert: int, double or string'),
});
type ActionConfig = z.output<typeof actionSchema>;

const given = (v: unknown): boolean => v !== undefined && v !== null;

/** What is wrong with the action at `i`, in upstream's words; undefined when nothing is. */
function complaint(c: ActionConfig, i: number): { key: keyof ActionConfig; message: string } | undefined {
  const action = c.action.toLowerCase();
  const missing = (key: keyof ActionConfig) => ({
    key,
    message: `error creating AttrProc due to missing required field ${JSON.stringify(key)} for action ${JSON.stringify(action)} at the ${i}-th action`,
  });
  if (!isAction(action))
    return {
      key: 'action',
      message: `error creating AttrProc due to unsupported action ${JSON.stringify(c.action)} at the ${i}-th actions`,
    };
  if (c.key === '' && (!(action === 'delete' || action === 'hash') || c.pattern === ''))
    return {
      key: 'key',
      message: `error creating AttrProc due to missing required field "key" at the ${i}-th action`,
    };
  const pattern = c.pattern === '' ? undefined : tryRegex(c.pattern);
  if (pattern && 'error' in pattern)
    return {
      key: 'pattern',
      message: `error creating AttrProc. Field "pattern" has invalid pattern: ${JSON.stringify(c.pattern)} to be set at the ${i}-th actions: ${pattern.error}`,
    };
  if (action === 'insert' || action === 'update' || action === 'upsert') {
    const sources = [given(c.value), c.from_attribute !== '', c.from_context !== ''].filter(Boolean).length;
    if (sources === 0 && !given(c.default_value))
      return {
        key: 'value',
        message: `error creating AttrProc. Either field "value", "from_attribute" or "from_context" setting must be specified for ${i}-th action`,
      };
    if (sources > 1)
      return {
        key: 'value',
        message: `error creating AttrProc due to multiple value sources being set at the ${i}-th actions`,
      };
    if (c.pattern !== '')
      return {
        key: 'pattern',
        message: `error creating AttrProc. Action ${JSON.stringify(action)} does not use the "pattern" field. This must not be specified for ${i}-th action`,
      };
    return undefined;
  }
  if (given(c.value) || c.from_attribute !== '' || c.from_context !== '')
    return {
      key: 'value',
      message: `error creating AttrProc. Action ${JSON.stringify(action)} does not use value sources. These must not be specified for ${i}-th action`,
    };
  if (action === 'extract') {
    if (!pattern) return missing('pattern');
    const names = pattern.groupNames.slice(1);
    if (names.length === 0)
      return {
        key: 'pattern',
        message: `error creating AttrProc. Field "pattern" contains no named matcher groups at the ${i}-th actions`,
      };
    if (names.includes(''))
      return {
        key: 'pattern',
        message: `error creating AttrProc. Field "pattern" contains at least one unnamed matcher group at the ${i}-th actions`,
      };
  }
  if (action === 'convert') {
    if (c.converted_type === '') return missing('converted_type');
    if (!['int', 'double', 'string'].includes(c.converted_type))
      return {
        key: 'converted_type',
        message: `error creating AttrProc due to invalid value ${JSON.stringify(c.converted_type)} in field "converted_type" for action "convert" at the ${i}-th action`,
      };
  }
  return undefined;
}

/** `field` is how the processor names its list. */
export const actionsSchema = (field: string) =>
  z
    .array(actionSchema)
    .default([])
    .superRefine((list, ctx) => {
      if (list.length === 0)
        ctx.addIssue({ code: 'custom', message: `missing required field ${JSON.stringify(field)}` });
      for (const [i, c] of list.entries()) {
        const wrong = complaint(c, i);
        if (wrong) ctx.addIssue({ code: 'custom', path: [i, wrong.key], message: wrong.message });
      }
    });

/** What an action may look at besides the map. */
export type ActionContext = Pick<Batch, 'metadata'>;
export type ActionList = (map: LazyMap, context: ActionContext) => void;

/** Whether the result depends on more than the map. */
export const usesContext = (list: readonly ActionConfig[]): boolean => list.some((c) => c.from_context !== '');

export function compileActions(list: readonly ActionConfig[]): ActionList {
  const actions = list.map(compileAction);
  return (map, context) => {
    for (const run of actions) run(map, context);
  };
}

function compileAction(c: ActionConfig): ActionList {
  const key = new Key(c.key);
  const pattern = c.pattern === '' ? undefined : (tryRegex(c.pattern) as Regex);
  switch (c.action.toLowerCase() as ActionName) {
    case 'insert': {
      const source = compileSource(c);
      return (map, context) => {
        if (map.getKey(key) !== undefined) return;
        const value = source(map, context);
        if (value !== undefined) map.setKey(key, value);
      };
    }
    case 'update': {
      const source = compileSource(c);
      return (map, context) => {
        if (map.getKey(key) === undefined) return;
        const value = source(map, context);
        if (value !== undefined) map.setKey(key, value);
      };
    }
    case 'upsert': {
      const source = compileSource(c);
      return (map, context) => {
        const value = source(map, context);
        if (value !== undefined) map.setKey(key, value);
      };
    }
    case 'delete':
      return (map) => {
        if (c.key !== '') map.deleteKey(key);
        if (pattern) map.retain((k) => !pattern.test(k));
      };
    case 'hash':
      return (map) => {
        if (c.key !== '') hash(map, key);
        if (pattern) for (const k of [...map.keys()]) if (pattern.test(k)) hash(map, new Key(k));
      };
    case 'extract':
      return (map) => {
        const value = map.getKey(key);
        if (typeof value !== 'string') return;
        const match = pattern!.exec(value);
        if (!match) return;
        for (const [i, name] of pattern!.groupNames.entries()) if (i > 0) map.set(name, match[i] ?? '');
      };
    case 'convert':
      return (map) => {
        const value = map.getKey(key);
        if (value === undefined) return;
        const converted = convert(value, c.converted_type);
        if (converted !== undefined && converted !== value) map.setKey(key, converted);
      };
  }
}

function compileSource(c: ActionConfig): (map: LazyMap, context: ActionContext) => Value | undefined {
  const fallback = given(c.default_value) ? toValue(c.default_value) : undefined;
  if (c.from_attribute !== '') {
    const from = new Key(c.from_attribute);
    return (map) => {
      const value = map.getKey(from);
      return value === undefined ? fallback : copyValue(value);
    };
  }
  if (c.from_context !== '') {
    const name = c.from_context.startsWith('metadata.')
      ? c.from_context.slice('metadata.'.length).toLowerCase()
      : undefined;
    return (_map, { metadata }) => {
      const values = name === undefined ? undefined : metadata?.get(name);
      return values?.length ? values.join(';') : fallback;
    };
  }
  const value = given(c.value) ? toValue(c.value) : fallback;
  return () => value;
}

/** SHA-256 over the text, or over the fixed-width little-endian form; what has neither becomes empty text. */
function hash(map: LazyMap, key: Key): void {
  const value = map.getKey(key);
  if (value === undefined) return;
  let bytes: Buffer;
  if (typeof value === 'string') bytes = Buffer.from(value);
  else if (typeof value === 'boolean') bytes = Buffer.of(value ? 1 : 0);
  else if (typeof value === 'bigint') {
    bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
  } else if (typeof value === 'number') {
    bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
  } else bytes = Buffer.alloc(0);
  map.setKey(key, bytes.length === 0 ? '' : createHash('sha256').update(bytes).digest('hex'));
}

const INT = /^[+-]?\d+$/;
const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** As strconv.ParseInt in base 10; undefined for what it refuses. */
export function parseInt64(text: string): bigint | undefined {
  if (!INT.test(text)) return undefined;
  const n = BigInt(text.replace(/^\+/, ''));
  return BigInt.asIntN(64, n) === n ? n : undefined;
}

/** As strconv.ParseFloat, without hexadecimal forms. */
export function parseFloat64(text: string): number | undefined {
  if (FLOAT.test(text)) return Number(text);
  const m = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (!m) return undefined;
  if (m[2]!.toLowerCase() === 'nan') return Number.NaN;
  return m[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

function convert(value: Value, type: string): Value | undefined {
  if (type === 'string') return valueText(value);
  if (type === 'int') {
    if (typeof value === 'string') return parseInt64(value);
    if (typeof value === 'number') return truncate(value);
    if (typeof value === 'boolean') return value ? 1n : 0n;
    return value;
  }
  if (typeof value === 'string') return parseFloat64(value);
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value;
}

/** As Go on amd64 converts: what does not fit becomes the smallest integer. */
export function truncate(v: number): bigint {
  const whole = Math.trunc(v);
  return Math.abs(whole) < 2 ** 63 ? BigInt(whole) : -(2n ** 63n);
}
