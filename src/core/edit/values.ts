/** OTLP values as text, as upstream's Value.AsString and its JSON give them, and values of plain configuration data. */
import type { Value } from '../../wire/otlp.ts';

export function floatText(v: number): string {
  if (v === Number.POSITIVE_INFINITY) return '+Inf';
  if (v === Number.NEGATIVE_INFINITY) return '-Inf';
  if (Object.is(v, -0)) return '-0';
  return String(v);
}

const base64 = (v: Uint8Array): string => Buffer.from(v.buffer, v.byteOffset, v.length).toString('base64');

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Keys in order, as encoding/json writes maps. */
export function jsonText(v: Value): string {
  if (v === null || v === undefined) return 'null';
  switch (typeof v) {
    case 'string':
      return JSON.stringify(v).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
    case 'boolean':
      return String(v);
    case 'bigint':
      return v.toString();
    case 'number':
      return Number.isFinite(v) ? floatText(v) : JSON.stringify(floatText(v));
  }
  if (Array.isArray(v)) return `[${v.map(jsonText).join(',')}]`;
  if (v instanceof Map) {
    const members = [...v.entries()].sort(([a], [b]) => byText(a, b));
    return `{${members.map(([k, item]) => `${JSON.stringify(k)}:${jsonText(item)}`).join(',')}}`;
  }
  return JSON.stringify(base64(v));
}

export function valueText(v: Value): string {
  if (v === null || v === undefined) return '';
  switch (typeof v) {
    case 'string':
      return v;
    case 'boolean':
      return String(v);
    case 'bigint':
      return v.toString();
    case 'number':
      return floatText(v);
  }
  if (v instanceof Uint8Array) return base64(v);
  return jsonText(v);
}

/** Whole numbers of YAML are integers. */
export function toValue(data: unknown): Value {
  switch (typeof data) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return data;
    case 'number':
      return Number.isInteger(data) && Math.abs(data) < 2 ** 63 ? BigInt(data) : data;
    case 'object':
      if (data === null) return null;
      if (Array.isArray(data)) return data.map(toValue);
      return new Map(Object.entries(data).map(([k, v]) => [k, toValue(v)]));
    default:
      return null;
  }
}

export function equalValues(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return typeof a === 'number' && typeof b === 'number' && Object.is(a, b);
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((v, i) => equalValues(v, b[i]!));
  if (a instanceof Map) {
    if (!(b instanceof Map) || a.size !== b.size) return false;
    for (const [k, v] of a.entries()) {
      const other = b.get(k);
      if (other === undefined || !equalValues(v, other)) return false;
    }
    return true;
  }
  return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0;
}
