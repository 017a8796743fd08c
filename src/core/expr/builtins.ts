/** Functions of the expression language. */
import {
  add,
  type ExprValue,
  equal,
  goName,
  Instant,
  isNumeric,
  type Kind,
  kindOf,
  MAX_LENGTH,
  order,
  tooLarge,
} from './values.ts';

type Fn = (args: readonly ExprValue[]) => ExprValue;

function text(name: string, v: ExprValue): string {
  if (typeof v === 'string') return v;
  throw new Error(`invalid argument for ${name} (type ${goName(v)})`);
}
function list(name: string, v: ExprValue): readonly ExprValue[] {
  if (Array.isArray(v)) return v;
  throw new Error(`invalid argument for ${name} (type ${goName(v)})`);
}
function map(name: string, v: ExprValue): ReadonlyMap<string, ExprValue> {
  if (v instanceof Map) return v;
  throw new Error(`invalid argument for ${name} (type ${goName(v)})`);
}
function count(name: string, v: ExprValue): number {
  if (typeof v === 'bigint') return Number(v);
  throw new Error(`invalid argument for ${name} (type ${goName(v)})`);
}
function numeric(name: string, v: ExprValue): number | bigint {
  if (isNumeric(v)) return v;
  throw new Error(`invalid argument for ${name} (type ${goName(v)})`);
}

/** As Go prints a value with %v. */
export function print(v: ExprValue, depth = 0): string {
  if (v === null || v === undefined) return depth === 0 ? 'nil' : '<nil>';
  if (typeof v === 'string') return v;
  if (typeof v === 'number') return printFloat(v);
  if (depth > 50) return '…';
  if (v instanceof Map)
    return `map[${[...v]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, x]) => `${k}:${print(x, depth + 1)}`)
      .join(' ')}]`;
  if (v instanceof Uint8Array) return `[${v.join(' ')}]`;
  if (Array.isArray(v)) return `[${v.map((x) => print(x, depth + 1)).join(' ')}]`;
  return String(v);
}

/** Go's %v of a float64: exponent form below 1e-4 and from 1e21. */
export function printFloat(v: number): string {
  if (Number.isNaN(v)) return 'NaN';
  if (!Number.isFinite(v)) return v > 0 ? '+Inf' : '-Inf';
  const abs = Math.abs(v);
  if (abs !== 0 && (abs < 1e-4 || abs >= 1e21)) {
    const [digits, exponent] = v.toExponential().split('e') as [string, string];
    const n = Number(exponent);
    return `${digits}e${n < 0 ? '-' : '+'}${String(Math.abs(n)).padStart(2, '0')}`;
  }
  return String(v);
}

export function toJson(v: ExprValue, depth = 0): string {
  if (depth > 100) throw tooLarge();
  if (v === null || v === undefined) return 'null';
  if (typeof v === 'bigint') return v.toString();
  if (v instanceof Map)
    return `{${[...v]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, x]) => `${JSON.stringify(k)}:${toJson(x, depth + 1)}`)
      .join(',')}}`;
  if (v instanceof Uint8Array) return JSON.stringify(Buffer.from(v).toString('base64'));
  if (Array.isArray(v)) return `[${v.map((x) => toJson(x, depth + 1)).join(',')}]`;
  return JSON.stringify(v instanceof Instant ? v.toString() : v);
}

function fromJson(v: unknown): ExprValue {
  if (Array.isArray(v)) return v.map(fromJson);
  if (v && typeof v === 'object') return new Map(Object.entries(v).map(([k, x]) => [k, fromJson(x)]));
  return v as ExprValue;
}

function toInt(v: ExprValue): bigint {
  if (typeof v === 'bigint') return v;
  if (typeof v === 'number') {
    if (!Number.isFinite(v)) throw new Error('invalid operation: int(NaN)');
    return BigInt.asIntN(64, BigInt(Math.trunc(v)));
  }
  if (typeof v === 'string' && /^[+-]?\d{1,19}$/.test(v))
    return BigInt.asIntN(64, BigInt(v.startsWith('+') ? v.slice(1) : v));
  throw new Error(`invalid operation: int(${typeof v === 'string' ? JSON.stringify(v) : goName(v)})`);
}

function toFloat(v: ExprValue): number {
  if (typeof v === 'number') return v;
  if (typeof v === 'bigint') return Number(v);
  if (typeof v === 'string' && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(v)) return Number(v);
  throw new Error(`invalid operation: float(${typeof v === 'string' ? JSON.stringify(v) : goName(v)})`);
}

/** Arguments of min, max, mean, median: numbers and lists of numbers. */
function numbers(name: string, args: readonly ExprValue[]): (number | bigint)[] {
  return args.flatMap((a) => (Array.isArray(a) ? numbers(name, a) : [numeric(name, a)]));
}

/** The first that is before all others; integers and floats mix. */
function pick(n: readonly (number | bigint)[], before: (a: number | bigint, b: number | bigint) => boolean): ExprValue {
  let best = n[0];
  for (const x of n) if (best === undefined || before(x, best)) best = x;
  return best;
}

const trimSet = (t: string, set: string, from: boolean, to: boolean): string => {
  let a = 0;
  let b = t.length;
  while (from && a < b && set.includes(t[a]!)) a++;
  while (to && b > a && set.includes(t[b - 1]!)) b--;
  return t.slice(a, b);
};

const TYPES: Readonly<Partial<Record<Kind, string>>> = { time: 'time.Time' };

const round = (name: string, f: (n: number) => number): [string, Fn] => [
  name,
  ([v]) => (typeof v === 'bigint' ? Number(v) : f(Number(numeric(name, v)))),
];

export const BUILTINS: ReadonlyMap<string, Fn> = new Map<string, Fn>([
  [
    'len',
    ([v]) => {
      if (typeof v === 'string') return BigInt([...v].length);
      if (v instanceof Map) return BigInt(v.size);
      if (Array.isArray(v) || v instanceof Uint8Array) return BigInt(v.length);
      throw new Error(`invalid argument for len (type ${goName(v)})`);
    },
  ],
  ['type', ([v]) => TYPES[kindOf(v)] ?? (kindOf(v) === 'nil' ? 'nil' : kindOf(v))],
  ['int', ([v]) => toInt(v)],
  ['float', ([v]) => toFloat(v)],
  ['string', ([v]) => print(v)],
  ['upper', ([v]) => text('upper', v).toUpperCase()],
  ['lower', ([v]) => text('lower', v).toLowerCase()],
  [
    'trim',
    ([v, set]) =>
      set === undefined ? text('trim', v).trim() : trimSet(text('trim', v), text('trim', set), true, true),
  ],
  [
    'trimPrefix',
    ([v, p = ' ']) => {
      const t = text('trimPrefix', v);
      const x = text('trimPrefix', p);
      return t.startsWith(x) ? t.slice(x.length) : t;
    },
  ],
  [
    'trimSuffix',
    ([v, p = ' ']) => {
      const t = text('trimSuffix', v);
      const x = text('trimSuffix', p);
      return x !== '' && t.endsWith(x) ? t.slice(0, -x.length) : t;
    },
  ],
  ['hasPrefix', ([v, p]) => text('hasPrefix', v).startsWith(text('hasPrefix', p))],
  ['hasSuffix', ([v, p]) => text('hasSuffix', v).endsWith(text('hasSuffix', p))],
  [
    'split',
    ([v, sep, n]) => {
      const parts = text('split', v).split(text('split', sep));
      if (n === undefined) return parts;
      const limit = count('split', n);
      if (limit < 0 || parts.length <= limit) return limit === 0 ? [] : parts;
      return [...parts.slice(0, limit - 1), parts.slice(limit - 1).join(text('split', sep))];
    },
  ],
  [
    'splitAfter',
    ([v, sep]) => {
      const s = text('splitAfter', sep);
      const parts = text('splitAfter', v).split(s);
      return parts.map((p, i) => (i < parts.length - 1 ? p + s : p));
    },
  ],
  [
    'replace',
    ([v, from, to, n]) => {
      const t = text('replace', v);
      const f = text('replace', from);
      const r = text('replace', to);
      if (f.length > 0 && (t.length / f.length) * r.length > MAX_LENGTH) throw tooLarge();
      if (n === undefined || count('replace', n) < 0) return t.replaceAll(f, () => r);
      let out = t;
      let at = 0;
      for (let i = 0; i < count('replace', n); i++) {
        const hit = out.indexOf(f, at);
        if (hit < 0 || f === '') break;
        out = out.slice(0, hit) + r + out.slice(hit + f.length);
        at = hit + r.length;
      }
      return out;
    },
  ],
  [
    'repeat',
    ([v, n]) => {
      const t = text('repeat', v);
      const times = count('repeat', n);
      if (times < 0) throw new Error('invalid argument for repeat (expected positive integer)');
      if (t.length * times > MAX_LENGTH) throw tooLarge();
      return t.repeat(times);
    },
  ],
  [
    'join',
    ([v, sep = '']) =>
      list('join', v)
        .map((x) => text('join', x))
        .join(text('join', sep)),
  ],
  ['indexOf', ([v, s]) => BigInt(text('indexOf', v).indexOf(text('indexOf', s)))],
  ['lastIndexOf', ([v, s]) => BigInt(text('lastIndexOf', v).lastIndexOf(text('lastIndexOf', s)))],
  [
    'abs',
    ([v]) => {
      const n = numeric('abs', v);
      return n < 0 ? -n : n;
    },
  ],
  round('ceil', Math.ceil),
  round('floor', Math.floor),
  round('round', (n) => Math.sign(n) * Math.round(Math.abs(n))),
  ['max', (args) => pick(numbers('max', args), (a, b) => a > b)],
  ['min', (args) => pick(numbers('min', args), (a, b) => a < b)],
  [
    'mean',
    (args) => {
      const n = numbers('mean', args);
      return n.length === 0 ? 0 : n.reduce<number>((a, b) => a + Number(b), 0) / n.length;
    },
  ],
  [
    'median',
    (args) => {
      const n = numbers('median', args)
        .map(Number)
        .sort((a, b) => a - b);
      const mid = n.length >> 1;
      return n.length === 0 ? 0 : n.length % 2 ? n[mid]! : (n[mid - 1]! + n[mid]!) / 2;
    },
  ],
  ['sum', ([v]) => list('sum', v).reduce((a, b) => add(a, b), 0n)],
  ['first', ([v]) => list('first', v)[0]],
  ['last', ([v]) => list('last', v).at(-1)],
  [
    'get',
    ([v, k]) => {
      if (v instanceof Map) return typeof k === 'string' ? v.get(k) : null;
      if (Array.isArray(v) && typeof k === 'bigint') return v.at(Number(k));
      return null;
    },
  ],
  ['take', ([v, n]) => list('take', v).slice(0, Math.max(0, count('take', n)))],
  ['keys', ([v]) => [...map('keys', v).keys()]],
  ['values', ([v]) => [...map('values', v).values()]],
  ['toPairs', ([v]) => [...map('toPairs', v)].map(([k, x]): ExprValue => [k, x])],
  [
    'fromPairs',
    ([v]) =>
      new Map(
        list('fromPairs', v).map((p): [string, ExprValue] => {
          const [k, x] = list('fromPairs', p);
          return [text('fromPairs', k), x];
        }),
      ),
  ],
  ['reverse', ([v]) => [...list('reverse', v)].reverse()],
  [
    'uniq',
    ([v]) => {
      const out: ExprValue[] = [];
      for (const x of list('uniq', v)) if (!out.some((y) => equal(x, y))) out.push(x);
      return out;
    },
  ],
  [
    'concat',
    (args) => {
      const out = args.flatMap((a) => list('concat', a));
      if (out.length > MAX_LENGTH) throw tooLarge();
      return out;
    },
  ],
  ['flatten', ([v]) => flatten(list('flatten', v))],
  [
    'sort',
    ([v, direction]) => {
      const out = [...list('sort', v)].sort((a, b) => order('<', a, b));
      return direction === 'desc' ? out.reverse() : out;
    },
  ],
  ['toJSON', ([v]) => toJson(v)],
  ['fromJSON', ([v]) => fromJson(JSON.parse(text('fromJSON', v)))],
  ['toBase64', ([v]) => Buffer.from(text('toBase64', v)).toString('base64')],
  [
    'fromBase64',
    ([v]) => {
      const t = text('fromBase64', v);
      if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(t))
        throw new Error('illegal base64 data');
      return Buffer.from(t, 'base64').toString('utf8');
    },
  ],
  ['bitand', ([a, b]) => BigInt.asIntN(64, toInt(a) & toInt(b))],
  ['bitor', ([a, b]) => BigInt.asIntN(64, toInt(a) | toInt(b))],
  ['bitxor', ([a, b]) => BigInt.asIntN(64, toInt(a) ^ toInt(b))],
  ['bitnot', ([a]) => BigInt.asIntN(64, ~toInt(a))],
  [
    'bitshl',
    ([a, b]) => {
      const n = toInt(b);
      if (n < 0n) throw new Error('invalid shift');
      return n > 63n ? 0n : BigInt.asIntN(64, toInt(a) << n);
    },
  ],
  [
    'bitshr',
    ([a, b]) => {
      const n = toInt(b);
      if (n < 0n) throw new Error('invalid shift');
      return toInt(a) >> (n > 63n ? 63n : n);
    },
  ],
]);

function flatten(v: readonly ExprValue[], depth = 0): ExprValue[] {
  if (depth > 100) throw tooLarge();
  return v.flatMap((x) => (Array.isArray(x) ? flatten(x, depth + 1) : [x]));
}

type At = (index: number, acc?: ExprValue) => ExprValue;
type Predicate = (items: readonly ExprValue[], at: At, extra: ExprValue) => ExprValue;

function truth(v: ExprValue): boolean {
  if (typeof v === 'boolean') return v;
  throw new Error(`predicate should return boolean (got ${goName(v)})`);
}

function findAt(items: readonly ExprValue[], at: At, last: boolean): number {
  if (last) {
    for (let i = items.length - 1; i >= 0; i--) if (truth(at(i))) return i;
  } else for (let i = 0; i < items.length; i++) if (truth(at(i))) return i;
  return -1;
}

const indexOrNil = (i: number): ExprValue => (i < 0 ? null : BigInt(i));

export const PREDICATES: ReadonlyMap<string, Predicate> = new Map<string, Predicate>([
  ['all', (items, at) => items.every((_, i) => truth(at(i)))],
  ['any', (items, at) => items.some((_, i) => truth(at(i)))],
  ['none', (items, at) => !items.some((_, i) => truth(at(i)))],
  ['one', (items, at) => items.filter((_, i) => truth(at(i))).length === 1],
  ['filter', (items, at) => items.filter((_, i) => truth(at(i)))],
  ['map', (items, at) => items.map((_, i) => at(i))],
  ['count', (items, at) => BigInt(items.filter((_, i) => truth(at(i))).length)],
  ['sum', (items, at) => items.reduce<ExprValue>((acc, _, i) => add(acc, at(i)), 0n)],
  [
    'find',
    (items, at) => {
      const i = findAt(items, at, false);
      return i < 0 ? null : items[i];
    },
  ],
  [
    'findLast',
    (items, at) => {
      const i = findAt(items, at, true);
      return i < 0 ? null : items[i];
    },
  ],
  ['findIndex', (items, at) => indexOrNil(findAt(items, at, false))],
  ['findLastIndex', (items, at) => indexOrNil(findAt(items, at, true))],
  [
    'groupBy',
    (items, at) => {
      const out = new Map<string, ExprValue[]>();
      items.forEach((x, i) => {
        const k = print(at(i));
        const group = out.get(k);
        if (group) group.push(x);
        else out.set(k, [x]);
      });
      return out;
    },
  ],
  [
    'sortBy',
    (items, at, direction) => {
      const keyed = items.map((x, i) => ({ x, k: at(i) })).sort((a, b) => order('<', a.k, b.k));
      if (direction === 'desc') keyed.reverse();
      return keyed.map((p) => p.x);
    },
  ],
  [
    'reduce',
    (items, at, first) => {
      let acc = first;
      let i = 0;
      if (acc === undefined) {
        if (items.length === 0) throw new Error('reduce of an empty list');
        acc = items[0];
        i = 1;
      }
      for (; i < items.length; i++) acc = at(i, acc);
      return acc;
    },
  ],
]);

const kinds = (kind: Kind, ...names: string[]): [string, Kind][] => names.map((n) => [n, kind]);

/** What is known about results before running: lets `if: 'len(body)'` fail at start. */
export const RESULT_KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ...kinds(
    'int',
    'len',
    'int',
    'count',
    'indexOf',
    'lastIndexOf',
    'bitand',
    'bitor',
    'bitxor',
    'bitnot',
    'bitshl',
    'bitshr',
  ),
  ...kinds('float', 'float', 'mean', 'median', 'ceil', 'floor', 'round'),
  ...kinds(
    'string',
    'string',
    'type',
    'upper',
    'lower',
    'trim',
    'trimPrefix',
    'trimSuffix',
    'replace',
    'repeat',
    'join',
    'toJSON',
    'toBase64',
    'fromBase64',
    'env',
  ),
  ...kinds('bool', 'hasPrefix', 'hasSuffix', 'all', 'any', 'none', 'one'),
  ...kinds(
    'array',
    'split',
    'splitAfter',
    'filter',
    'map',
    'keys',
    'values',
    'toPairs',
    'reverse',
    'uniq',
    'concat',
    'flatten',
    'sort',
    'sortBy',
    'take',
  ),
  ...kinds('map', 'fromPairs', 'groupBy'),
]);
