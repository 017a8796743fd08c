/** Values of the expression language and its rules for comparing and calculating. */

/** nil is null or undefined; integers are bigint, floats number, maps Map. */
export type ExprValue =
  | null
  | undefined
  | string
  | boolean
  | number
  | bigint
  | Uint8Array
  | Instant
  | readonly ExprValue[]
  | ReadonlyMap<string, ExprValue>;

export type Kind = 'any' | 'nil' | 'bool' | 'int' | 'float' | 'string' | 'array' | 'map' | 'time';

/** A point in time, nanoseconds since 1970. */
export class Instant {
  readonly unixNano: bigint;
  constructor(unixNano: bigint) {
    this.unixNano = unixNano;
  }
  date(): Date {
    return new Date(Number(this.unixNano / 1_000_000n));
  }
  toString(): string {
    const ms = this.unixNano / 1_000_000n;
    const fraction = BigInt.asUintN(64, this.unixNano % 1_000_000_000n)
      .toString()
      .padStart(9, '0')
      .replace(/0+$/, '');
    const date = new Date(Number(ms));
    if (Number.isNaN(date.getTime())) return `${this.unixNano}`;
    return `${date.toISOString().slice(0, 19)}${fraction ? `.${fraction}` : ''}Z`;
  }
}

export function kindOf(v: ExprValue): Kind {
  switch (typeof v) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'number':
      return 'float';
    case 'bigint':
      return 'int';
    default:
      if (v === null || v === undefined) return 'nil';
      if (v instanceof Map) return 'map';
      if (v instanceof Instant) return 'time';
      return 'array';
  }
}

const GO_NAMES: Readonly<Record<Kind, string>> = {
  any: 'interface {}',
  nil: '<nil>',
  bool: 'bool',
  int: 'int',
  float: 'float64',
  string: 'string',
  array: '[]interface {}',
  map: 'map[string]interface {}',
  time: 'time.Time',
};
/** The type's name as Go prints it in errors. */
export const goName = (v: ExprValue): string => GO_NAMES[kindOf(v)];
export const goKindName = (k: Kind): string => GO_NAMES[k];

export const isNumeric = (v: ExprValue): v is number | bigint => typeof v === 'number' || typeof v === 'bigint';

export function equal(a: ExprValue, b: ExprValue, depth = 0): boolean {
  if (a === b) return true;
  if (a === null || a === undefined) return b === null || b === undefined;
  if (b === null || b === undefined) return false;
  if (isNumeric(a) && isNumeric(b)) {
    // biome-ignore lint/suspicious/noDoubleEquals: an integer and a float may be the same number
    return a == b;
  }
  if (typeof a !== 'object' || typeof b !== 'object' || depth > 100) return false;
  if (a instanceof Instant) return b instanceof Instant && a.unixNano === b.unixNano;
  if (a instanceof Map) {
    if (!(b instanceof Map) || a.size !== b.size) return false;
    for (const [k, v] of a) if (!b.has(k) || !equal(v, b.get(k), depth + 1)) return false;
    return true;
  }
  const x = a as readonly ExprValue[];
  const y = b as readonly ExprValue[];
  if (y instanceof Map || y instanceof Instant || x.length !== y.length) return false;
  for (let i = 0; i < x.length; i++) if (!equal(x[i], y[i], depth + 1)) return false;
  return true;
}

const invalid = (op: string, a: ExprValue, b: ExprValue): Error =>
  new Error(`invalid operation: ${goName(a)} ${op} ${goName(b)}`);

/** Negative, zero or positive; NaN when nothing orders them (a NaN among them). */
export function order(op: string, a: ExprValue, b: ExprValue): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  if (isNumeric(a) && isNumeric(b)) return a < b ? -1 : a > b ? 1 : a >= b ? 0 : Number.NaN;
  if (a instanceof Instant && b instanceof Instant)
    return a.unixNano < b.unixNano ? -1 : a.unixNano > b.unixNano ? 1 : 0;
  throw invalid(op, a, b);
}

const int64 = (n: bigint): bigint => BigInt.asIntN(64, n);

export function add(a: ExprValue, b: ExprValue): ExprValue {
  if (typeof a === 'string' && typeof b === 'string') {
    if (a.length + b.length > MAX_LENGTH) throw tooLarge();
    return a + b;
  }
  if (typeof a === 'bigint' && typeof b === 'bigint') return int64(a + b);
  if (isNumeric(a) && isNumeric(b)) return Number(a) + Number(b);
  if (a instanceof Instant && typeof b === 'bigint') return new Instant(a.unixNano + b);
  if (b instanceof Instant && typeof a === 'bigint') return new Instant(b.unixNano + a);
  throw invalid('+', a, b);
}

export function arithmetic(op: string, a: ExprValue, b: ExprValue): ExprValue {
  if (op === '-' && a instanceof Instant) {
    if (b instanceof Instant) return int64(a.unixNano - b.unixNano);
    if (typeof b === 'bigint') return new Instant(a.unixNano - b);
  }
  if (!isNumeric(a) || !isNumeric(b)) throw invalid(op, a, b);
  switch (op) {
    case '-':
      return typeof a === 'bigint' && typeof b === 'bigint' ? int64(a - b) : Number(a) - Number(b);
    case '*':
      return typeof a === 'bigint' && typeof b === 'bigint' ? int64(a * b) : Number(a) * Number(b);
    case '/':
      return Number(a) / Number(b);
    case '%':
      if (typeof a !== 'bigint' || typeof b !== 'bigint') throw invalid('%', a, b);
      if (b === 0n) throw new Error('integer divide by zero');
      return a % b;
    default:
      return Number(a) ** Number(b);
  }
}

/** Longest text or list that an expression may make. */
export const MAX_LENGTH = 16 << 20;
export const tooLarge = (): Error => new Error('the result is too large');
