/** Values of OTTL and its rules for comparing and calculating. */
import type { Value } from '../../wire/otlp.ts';
import { equalValues } from '../edit/values.ts';

/** time.Time: nanoseconds since 1970. */
export class Instant {
  readonly ns: bigint;
  constructor(ns: bigint) {
    this.ns = ns;
  }
}

/** time.Duration. */
export class Duration {
  readonly ns: bigint;
  constructor(ns: bigint) {
    this.ns = ns;
  }
}

/** nil is null, int64 bigint, float64 number, maps Map, byte slices and ids Uint8Array. */
export type OttlValue = Value | Instant | Duration;

/** What is known of a value before it is there. */
export type Kind = 'any' | 'nil' | 'bool' | 'int' | 'float' | 'string' | 'bytes' | 'list' | 'map' | 'time' | 'duration';

/** A statement met data that it does not fit. Its message goes to the log. */
export class OttlRuntimeError extends Error {}

export function fail(message: string): never {
  throw new OttlRuntimeError(message);
}

export function kindOf(v: OttlValue | undefined): Kind {
  switch (typeof v) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int';
    case 'number':
      return 'float';
    default:
      if (v === null || v === undefined) return 'nil';
      if (v instanceof Map) return 'map';
      if (Array.isArray(v)) return 'list';
      if (v instanceof Instant) return 'time';
      if (v instanceof Duration) return 'duration';
      return 'bytes';
  }
}

const GO_NAMES: Readonly<Record<Kind, string>> = {
  any: 'interface {}',
  nil: '<nil>',
  bool: 'bool',
  int: 'int64',
  float: 'float64',
  string: 'string',
  bytes: '[]uint8',
  list: 'pcommon.Slice',
  map: 'pcommon.Map',
  time: 'time.Time',
  duration: 'time.Duration',
};
export const goKind = (k: Kind): string => GO_NAMES[k];
export const goName = (v: OttlValue | undefined): string => GO_NAMES[kindOf(v)];

/** Go orders strings by their UTF-8 bytes, which differs from UTF-16 order above U+D7FF. */
export function orderText(a: string, b: string): number {
  if (a === b) return 0;
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    if (x < 0xd800 || y < 0xd800) return x - y;
    return Buffer.compare(Buffer.from(a), Buffer.from(b));
  }
  return a.length - b.length;
}

/** -1, 0, 1; NaN when the two cannot be ordered, and then they are not equal either. */
export function order(a: OttlValue, b: OttlValue): number {
  if (typeof a === 'string') return typeof b === 'string' ? orderText(a, b) : Number.NaN;
  const isNumber = typeof a === 'bigint' || typeof a === 'number';
  if (isNumber && (typeof b === 'bigint' || typeof b === 'number')) {
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : a === b ? 0 : Number.NaN;
    const x = Number(a);
    const y = Number(b);
    return x < y ? -1 : x > y ? 1 : x === y ? 0 : Number.NaN;
  }
  if (typeof a === 'boolean') return typeof b === 'boolean' ? Number(a) - Number(b) : Number.NaN;
  if (a instanceof Uint8Array) return b instanceof Uint8Array ? Buffer.compare(a, b) : Number.NaN;
  if (a instanceof Instant) return b instanceof Instant ? Number(a.ns - b.ns) : Number.NaN;
  if (a instanceof Duration) return b instanceof Duration ? Number(a.ns - b.ns) : Number.NaN;
  return Number.NaN;
}

export function equal(a: OttlValue, b: OttlValue): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  if (a instanceof Map || Array.isArray(a)) return equalValues(a, b as Value);
  return order(a, b) === 0;
}

export function compare(op: string, a: OttlValue, b: OttlValue): boolean {
  switch (op) {
    case '==':
      return equal(a, b);
    case '!=':
      return !equal(a, b);
    case '<':
      return order(a, b) < 0;
    case '>':
      return order(a, b) > 0;
    case '<=':
      return order(a, b) <= 0;
    default:
      return order(a, b) >= 0;
  }
}

const wrap = (n: bigint): bigint => BigInt.asIntN(64, n);

export function calculate(op: '+' | '-' | '*' | '/', a: OttlValue, b: OttlValue): OttlValue {
  if (typeof a === 'bigint' && typeof b === 'bigint') {
    if (op === '+') return wrap(a + b);
    if (op === '-') return wrap(a - b);
    if (op === '*') return wrap(a * b);
    if (b === 0n) fail('attempted to divide by 0');
    return wrap(a / b);
  }
  if (typeof a === 'number' && typeof b === 'number') {
    if (op === '+') return a + b;
    if (op === '-') return a - b;
    if (op === '*') return a * b;
    if (b === 0) fail('attempted to divide by 0');
    return a / b;
  }
  if (op === '+') {
    if (a instanceof Instant && b instanceof Duration) return new Instant(a.ns + b.ns);
    if (a instanceof Duration && b instanceof Instant) return new Instant(a.ns + b.ns);
    if (a instanceof Duration && b instanceof Duration) return new Duration(a.ns + b.ns);
  } else if (op === '-') {
    if (a instanceof Instant && b instanceof Duration) return new Instant(a.ns - b.ns);
    if (a instanceof Instant && b instanceof Instant) return new Duration(a.ns - b.ns);
    if (a instanceof Duration && b instanceof Duration) return new Duration(a.ns - b.ns);
  }
  return fail(`unsupported operation ${goName(a)} ${op} ${goName(b)}`);
}

/** One step into a map or list. */
export function index(v: OttlValue, key: OttlValue): OttlValue {
  if (v === null) return null;
  if (v instanceof Map) {
    if (typeof key !== 'string') return fail('map must be indexed by a string');
    return v.get(key) ?? null;
  }
  if (Array.isArray(v)) {
    if (typeof key !== 'bigint') return fail('slice must be indexed by an int');
    if (key < 0n || key >= BigInt(v.length)) return fail(`index ${key} out of bounds`);
    return v[Number(key)] ?? null;
  }
  return fail(`type ${goName(v)} does not support indexing`);
}

/** What can be stored in telemetry. */
export function toValue(v: OttlValue): Value {
  if (v instanceof Instant || v instanceof Duration) return fail(`unsupported type ${goName(v)} for a value`);
  return v;
}
