/** A parsed section in the form that YAML has, for print-config: defaults filled in, durations as Go writes them, secrets hidden. */
import type * as z from 'zod';
import { formatDuration } from '../../core/schema.ts';
import { defOf, look } from './schema-walk.ts';
import { setKey } from './tree.ts';

export const REDACTED = '[REDACTED]';

export interface PrintOptions {
  readonly secrets: 'redacted' | 'unredacted';
}

const isPlainMap = (v: unknown): v is Record<string, unknown> => {
  if (typeof v !== 'object' || v === null || Array.isArray(v)) return false;
  const prototype: unknown = Object.getPrototypeOf(v);
  return prototype === Object.prototype || prototype === null;
};

const isPlain = (v: unknown): boolean =>
  v === null ||
  ['string', 'number', 'boolean', 'undefined'].includes(typeof v) ||
  (Array.isArray(v) ? v.every(isPlain) : isPlainMap(v) && Object.values(v).every(isPlain));

function hide(v: unknown): unknown {
  if (v === '' || v === null || v === undefined) return v;
  if (Array.isArray(v))
    return v.map((item) => (isPlainMap(item) && 'name' in item ? { ...item, value: REDACTED } : hide(item)));
  if (isPlainMap(v)) return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, hide(x)]));
  return REDACTED;
}

/** `value` is what the schema made, `raw` what was written; where code has turned a value into something unprintable, raw is shown. */
export function printable(schema: z.ZodType, value: unknown, raw: unknown, options: PrintOptions): unknown {
  const looked = look(schema);
  const def = defOf(looked.inner);
  const shown = value === undefined ? raw : value;
  if (looked.isSecret && options.secrets === 'redacted') return hide(isPlain(shown) ? shown : raw);
  if (looked.isDuration) return typeof value === 'number' ? formatDuration(value) : raw;
  if (looked.isTransformed && typeof value === 'object' && value !== null && raw !== undefined && def.type !== 'object')
    return printable(looked.inner, raw, raw, options);
  if (def.type === 'object' && isPlainMap(shown)) {
    const written = isPlainMap(raw) ? raw : {};
    const shape = def.shape ?? {};
    const out: Record<string, unknown> = {};
    for (const key of new Set([...Object.keys(shape), ...Object.keys(written)])) {
      const item = Object.hasOwn(shown, key) ? shown[key] : undefined;
      if (item === undefined && written[key] === undefined) continue;
      const child = Object.hasOwn(shape, key) ? shape[key] : undefined;
      setKey(out, key, child ? printable(child, item, written[key], options) : plainOr(item, written[key]));
    }
    return out;
  }
  if (def.type === 'record' && isPlainMap(shown)) {
    const written = isPlainMap(raw) ? raw : {};
    const out: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(shown))
      setKey(out, key, printable(def.valueType!, item, written[key], options));
    return out;
  }
  if (def.type === 'array' && Array.isArray(shown)) {
    const written = Array.isArray(raw) ? raw : [];
    return shown.map((item, i) => printable(def.element!, item, written[i], options));
  }
  if (def.type === 'union') {
    const option = optionFor(def.options ?? [], raw ?? value);
    if (option) return printable(option, isPlain(value) ? value : undefined, raw, options);
  }
  return plainOr(value, raw);
}

const plainOr = (value: unknown, raw: unknown): unknown =>
  value !== undefined && isPlain(value) ? value : (raw ?? null);

/** The first option of the same shape: a map for maps, a list for lists. */
function optionFor(schemas: readonly z.ZodType[], v: unknown): z.ZodType | undefined {
  const shapes = isPlainMap(v) ? ['object', 'record'] : Array.isArray(v) ? ['array'] : [];
  return schemas.find((s) => shapes.includes(defOf(look(s).inner).type));
}
