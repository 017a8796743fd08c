/** Converters between types, tests of types, and what works on lists and maps. */
import { BlockList, isIP } from 'node:net';
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import { parseFloat64, parseInt64, truncate } from '../../edit/attribute-actions.ts';
import { copyValue } from '../../edit/lazy-map.ts';
import { valueText } from '../../edit/values.ts';
import { converter, type FunctionDefinition } from '../function.ts';
import { equal, fail, goName, kindOf, type OttlValue, order, orderText, toValue } from '../values.ts';
import { valueOrTimeText } from './time-text.ts';

/** As StringLikeGetter: bytes in hexadecimal; nil stays nil. */
export const likeText = (v: OttlValue): string | null => (v === null ? null : valueOrTimeText(v));

const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE: ReadonlySet<string> = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

function toBool(v: OttlValue): OttlValue {
  if (typeof v === 'boolean') return v;
  if (typeof v === 'number') return v !== 0;
  if (typeof v === 'bigint') return v !== 0n;
  if (typeof v === 'string') return TRUE.has(v) ? true : FALSE.has(v) ? false : null;
  return null;
}

function toInt(v: OttlValue): OttlValue {
  if (typeof v === 'bigint') return v;
  if (typeof v === 'number') return truncate(v);
  if (typeof v === 'boolean') return v ? 1n : 0n;
  if (typeof v === 'string') return parseInt64(v) ?? null;
  return null;
}

function toDouble(v: OttlValue): OttlValue {
  if (typeof v === 'number') return v;
  if (typeof v === 'bigint') return Number(v);
  if (typeof v === 'boolean') return v ? 1 : 0;
  if (typeof v === 'string') return parseFloat64(v) ?? null;
  return null;
}

function toHex(v: OttlValue): OttlValue {
  if (typeof v === 'string') return Buffer.from(v).toString('hex');
  if (v instanceof Uint8Array) return Buffer.from(v).toString('hex');
  if (typeof v === 'boolean') return v ? '01' : '00';
  const bytes = Buffer.alloc(8);
  if (typeof v === 'bigint') bytes.writeBigInt64BE(v);
  else if (typeof v === 'number') bytes.writeDoubleBE(v);
  else return null;
  return bytes.toString('hex');
}

function isEmpty(v: OttlValue): boolean {
  if (v === null || v === '' || v === 0n || v === 0 || v === false) return true;
  if (v instanceof Map) return v.size === 0;
  if (Array.isArray(v)) return v.length === 0;
  return v instanceof Uint8Array && v.every((b) => b === 0);
}

function lengthOf(v: OttlValue): bigint {
  if (typeof v === 'string') return BigInt(Buffer.byteLength(v));
  if (v instanceof Map) return BigInt(v.size);
  if (Array.isArray(v) || v instanceof Uint8Array) return BigInt(v.length);
  return fail(`target arg must be of type string, []any, map or pcommon.Map but got ${goName(v)}`);
}

function sorted(list: readonly Value[], descending: boolean): Value[] {
  const kinds = new Set(list.map(kindOf));
  for (const k of kinds)
    if (!['int', 'float', 'string', 'bool'].includes(k))
      return fail(`sort with unsupported type: '${k}'. Try Sort(["a"])`);
  const isNumeric = [...kinds].every((k) => k === 'int' || k === 'float');
  const compareBy = isNumeric
    ? order
    : (a: OttlValue, b: OttlValue): number => orderText(valueText(a as Value), valueText(b as Value));
  return [...list].sort((a, b) => (descending ? -1 : 1) * compareBy(a, b));
}

function at(v: Value, path: readonly string[]): Value | undefined {
  let out: Value | undefined = v;
  for (const key of path) out = out instanceof Map ? out.get(key) : undefined;
  return out;
}

function isLuhn(v: OttlValue): boolean {
  const text = typeof v === 'bigint' ? v.toString() : v;
  if (typeof text !== 'string' || !/^\d+$/.test(text)) return fail('value must be a string of digits or an integer');
  let sum = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = Number(text[text.length - 1 - i]);
    const double = i % 2 === 1 ? digit * 2 : digit;
    sum += double > 9 ? double - 9 : double;
  }
  return sum % 10 === 0;
}

const isKind = (what: string, kind: string): FunctionDefinition =>
  converter(
    `Whether a value is ${what}`,
    { value: 'any' },
    'bool',
    ({ value }) =>
      (env) =>
        kindOf(value(env)) === kind,
  );

export const TYPE_CONVERTERS: readonly (readonly [string, FunctionDefinition])[] = [
  [
    'Bool',
    converter(
      'The value as a boolean',
      { value: 'any' },
      'any',
      ({ value }) =>
        (env) =>
          toBool(value(env)),
    ),
  ],
  [
    'Int',
    converter(
      'The value as an integer',
      { value: 'any' },
      'any',
      ({ value }) =>
        (env) =>
          toInt(value(env)),
    ),
  ],
  [
    'Double',
    converter(
      'The value as a double',
      { value: 'any' },
      'any',
      ({ value }) =>
        (env) =>
          toDouble(value(env)),
    ),
  ],
  [
    'String',
    converter(
      'The value as text',
      { value: 'any' },
      'any',
      ({ value }) =>
        (env) =>
          likeText(value(env)),
    ),
  ],
  [
    'Hex',
    converter(
      'The value as hexadecimal text',
      { value: 'any' },
      'any',
      ({ value }) =>
        (env) =>
          toHex(value(env)),
    ),
  ],
  ['IsBool', isKind('a boolean', 'bool')],
  ['IsInt', isKind('an integer', 'int')],
  ['IsDouble', isKind('a double', 'float')],
  ['IsString', isKind('text', 'string')],
  ['IsMap', isKind('a map', 'map')],
  ['IsList', isKind('a list', 'list')],
  [
    'IsEmpty',
    converter(
      'Whether a value is nil or zero or has no elements',
      { value: 'any' },
      'bool',
      ({ value }) =>
        (env) =>
          isEmpty(value(env)),
    ),
  ],
  [
    'IsValidLuhn',
    converter(
      'Whether the check digit of a number is right',
      { value: 'any' },
      'bool',
      ({ value }) =>
        (env) =>
          isLuhn(value(env)),
    ),
  ],
  [
    'IsInCIDR',
    converter(
      'Whether an address lies in one of the networks',
      { target: 'string', networks: 'list:string' },
      'bool',
      ({ target, networks }) =>
        (env) => {
          const address = target(env);
          const family = isIP(address);
          if (family === 0) return fail(`not a valid IP address: ${JSON.stringify(address)}`);
          const list = new BlockList();
          for (const network of networks) {
            const text = network(env);
            const [net, bits] = text.split('/');
            const of = isIP(net ?? '');
            if (of === 0 || !/^\d+$/.test(bits ?? '') || Number(bits) > (of === 4 ? 32 : 128))
              return fail(`invalid CIDR address: ${text}`);
            list.addSubnet(net!, Number(bits), of === 4 ? 'ipv4' : 'ipv6');
          }
          return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
        },
    ),
  ],
  [
    'IsRootSpan',
    converter(
      'Whether the span has no parent',
      {},
      'bool',
      () => (env) => (env.span.get(4, 'bytes') as Uint8Array).every((b) => b === 0),
      { contexts: ['span', 'spanevent'] },
    ),
  ],
  [
    'Len',
    converter(
      'Bytes of a text, elements of a list or map',
      { target: 'any' },
      'int',
      ({ target }) =>
        (env) =>
          lengthOf(target(env)),
    ),
  ],
  [
    'Keys',
    converter('The keys of a map', { target: 'map' }, 'list', ({ target }) => (env) => [...target(env).keys()]),
  ],
  [
    'Values',
    converter(
      'The values of a map',
      { target: 'map' },
      'list',
      ({ target }) =>
        (env) =>
          [...target(env).values()].map(copyValue),
    ),
  ],
  [
    'Coalesce',
    converter('The first value that is not nil', { values: 'list:any' }, 'any', ({ values }) => {
      if (values.length === 0) throw new Error('at least one value is required');
      return (env) => {
        for (const value of values) {
          const v = value(env);
          if (v !== null) return v;
        }
        return null;
      };
    }),
  ],
  [
    'ContainsValue',
    converter('Whether a list has a value', { target: 'list', item: 'any' }, 'bool', ({ target, item }) => (env) => {
      const wanted = item(env);
      return target(env).some((v) => equal(v, wanted));
    }),
  ],
  [
    'Index',
    converter(
      'Where a value stands in a list or text; -1: nowhere',
      { target: 'any', value: 'any' },
      'int',
      ({ target, value }) =>
        (env) => {
          const v = target(env);
          const wanted = value(env);
          if (Array.isArray(v)) return BigInt(v.findIndex((item) => equal(item, wanted)));
          if (typeof v !== 'string' || typeof wanted !== 'string')
            return fail(`unsupported types ${goName(v)} and ${goName(wanted)}`);
          const i = v.indexOf(wanted);
          return i < 0 ? -1n : BigInt(Buffer.byteLength(v.slice(0, i)));
        },
    ),
  ],
  [
    'Sort',
    converter('A list in order', { target: 'list', order: 'literal:string?' }, 'list', ({ target, order: wanted }) => {
      if (wanted !== undefined && wanted !== 'asc' && wanted !== 'desc')
        throw new Error(`invalid arguments: ${wanted}. Order must be either 'asc' or 'desc'`);
      return (env) => sorted(target(env), wanted === 'desc');
    }),
  ],
  [
    'SliceToMap',
    converter(
      'A list of maps as one map',
      { target: 'list', key_path: 'list:literal:string?', value_path: 'list:literal:string?' },
      'map',
      ({ target, key_path, value_path }) =>
        (env) => {
          const out: ValueMap = new Map();
          for (const [i, item] of target(env).entries()) {
            const key = key_path ? at(item, key_path) : String(i);
            if (typeof key !== 'string') return fail(`provided key path does not resolve to a string`);
            const value = value_path ? at(item, value_path) : item;
            if (value === undefined) return fail('provided value path does not exist');
            out.set(key, copyValue(value));
          }
          return out;
        },
    ),
  ],
  [
    'Log',
    converter('The natural logarithm', { value: 'any' }, 'float', ({ value }) => (env) => {
      const n = toDouble(value(env));
      if (typeof n !== 'number' || !(n > 0))
        return fail(`cannot take the logarithm of ${likeText(toValue(n)) ?? 'nil'}`);
      return Math.log(n);
    }),
  ],
];
