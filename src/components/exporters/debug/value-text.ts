/** How values, times and numbers look in the debug exporter's output. */
import type { ReadonlyValueMap, Value } from '../../../wire/otlp.ts';

/** As upstream's AsString: text bare, maps and lists as JSON, bytes as base64. */
export function valueText(v: Value): string {
  if (v === null) return '';
  if (typeof v === 'string') return v;
  if (typeof v === 'number' || typeof v === 'boolean' || typeof v === 'bigint') return String(v);
  if (v instanceof Uint8Array) return Buffer.from(v).toString('base64');
  return valueJson(v);
}

function valueJson(v: Value): string {
  if (v === null) return 'null';
  if (typeof v === 'string') return JSON.stringify(v);
  if (typeof v === 'number' || typeof v === 'boolean' || typeof v === 'bigint') return String(v);
  if (v instanceof Uint8Array) return JSON.stringify(Buffer.from(v).toString('base64'));
  if (Array.isArray(v)) return `[${v.map(valueJson).join(',')}]`;
  return `{${[...v].map(([k, x]) => `${JSON.stringify(k)}:${valueJson(x)}`).join(',')}}`;
}

/** `Str(hello)`, `Int(5)`, `Map({"a":1})`. */
export function typedText(v: Value): string {
  return `${typeName(v)}(${valueText(v)})`;
}

function typeName(v: Value): string {
  if (v === null) return 'Empty';
  if (v instanceof Uint8Array) return 'Bytes';
  if (Array.isArray(v)) return 'Slice';
  if (v instanceof Map) return 'Map';
  switch (typeof v) {
    case 'string':
      return 'Str';
    case 'boolean':
      return 'Bool';
    case 'bigint':
      return 'Int';
    default:
      return 'Double';
  }
}

/** ` k=v k=v`, empty for no attributes. */
export const attributesLine = (attributes: ReadonlyValueMap): string =>
  [...attributes].map(([k, v]) => ` ${k}=${valueText(v)}`).join('');

/** `2026-11-22 19:49:34.5 +0000 UTC` of nanoseconds since 1970. */
export function timeText(nanos: bigint): string {
  const iso = new Date(Number(nanos / 1_000_000n)).toISOString();
  const fraction = String(nanos % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fraction ? `.${fraction}` : ''} +0000 UTC`;
}

/** Go's %f: all digits of large numbers, halves to even. */
export function fixed(v: number): string {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? 'NaN' : v > 0 ? '+Inf' : '-Inf';
  if (Math.abs(v) >= 1e21) return `${BigInt(v)}.000000`;
  if (v === 0) return Object.is(v, -0) ? '-0.000000' : '0.000000';
  // Only odd multiples of 1/128 lie exactly between two results.
  if (Math.abs(v * 128) % 2 === 1) {
    const digits = v.toFixed(7);
    if (Number(digits.at(-2)) % 2 === 0) return digits.slice(0, -1);
  }
  return v.toFixed(6);
}

export const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');
