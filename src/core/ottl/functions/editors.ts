/** Editors: the functions that change telemetry. */
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import { copyMap, copyValue, LazyMap } from '../../edit/lazy-map.ts';
import { valueText } from '../../edit/values.ts';
import { compileRegex } from '../../regex.ts';
import type { Accessor } from '../accessor.ts';
import type { Env } from '../env.ts';
import { type ArgumentTypes, editor, type FunctionDefinition, patternOf } from '../function.ts';
import { fail, goName, type OttlValue, toValue } from '../values.ts';
import { globPattern } from './glob.ts';
import { truncateText } from './text.ts';

/** The map at `target`, to be changed in place. */
const mapAt = (target: Accessor): ((env: Env) => Map<string, Value>) => {
  const get = target.update ?? target.get;
  return (env) => {
    const v = get(env);
    return v instanceof Map ? (v as Map<string, Value>) : fail(`expected pcommon.Map but got ${goName(v)}`);
  };
};

function retain(map: Map<string, Value>, keep: (key: string) => boolean): void {
  if (map instanceof LazyMap) map.retain(keep);
  else for (const k of [...map.keys()]) if (!keep(k)) map.delete(k);
}

function changeTexts(map: Map<string, Value>, change: (text: string) => string): void {
  if (map instanceof LazyMap) {
    map.changeTexts(change);
    return;
  }
  for (const [k, v] of map) if (typeof v === 'string') map.set(k, change(v));
}

const isNegative = (n: bigint, name: string): number => {
  if (n < 0n) throw new Error(`invalid ${name} for limit, ${n} cannot be negative`);
  return Number(n);
};

type Change = (env: Env, replacement: string) => string;

/** The optional function and format behind a replacement. */
function changeOf(fn: ArgumentTypes['function'] | undefined, format: string | undefined): Change | undefined {
  if (format !== undefined && format.split('%s').length !== 2)
    throw new Error(`replacementFormat must be format string containing a single %s and no other format specifiers`);
  if (!fn) return undefined;
  return (env, replacement) => {
    const v = fn(env, replacement);
    if (typeof v !== 'string') return fail('the replacement value must be a string');
    return format === undefined ? v : format.replace('%s', () => v);
  };
}

const REPLACE = { function: 'function?', replacement_format: 'literal:string?' } as const;

/** Elements of a list, or one value, or nothing. */
const elements = (v: OttlValue): Value[] => (v === null ? [] : Array.isArray(v) ? [...v] : [toValue(v)]);

function flattened(map: ReadonlyMap<string, Value>, prefix: string, depth: number, resolve: boolean): ValueMap {
  const out: ValueMap = new Map();
  const repeated = new Map<string, number>();
  const put = (key: string, v: Value): void => {
    if (!resolve || !out.has(key)) {
      out.set(key, v);
      return;
    }
    let n = repeated.get(key) ?? 0;
    while (out.has(`${key}.${n}`)) n++;
    out.set(`${key}.${n}`, v);
    repeated.set(key, n + 1);
  };
  const walk = (v: Value, path: string, level: number): void => {
    const isLeaf = level >= depth;
    if (v instanceof Map && !isLeaf)
      for (const [k, item] of v.entries()) walk(item, path === '' ? k : `${path}.${k}`, level + 1);
    else if (Array.isArray(v) && !isLeaf)
      for (const [i, item] of v.entries()) walk(item, resolve ? path : `${path}.${i}`, level + 1);
    else put(path, copyValue(v));
  };
  for (const [k, v] of map.entries()) walk(v, prefix === '' ? k : `${prefix}.${k}`, 0);
  return out;
}

export const EDITORS: readonly (readonly [string, FunctionDefinition])[] = [
  [
    'append',
    editor(
      'Adds values to the end of a list',
      { target: 'target', value: 'any?', values: 'list:any?' },
      ({ target, value, values }) => {
        if (!value && !values)
          throw new Error('at least one of the optional arguments ("value" or "values") must be provided');
        const { get, set } = target;
        return (env) => {
          const list = elements(get(env));
          if (value) list.push(...elements(value(env)));
          for (const v of values ?? []) list.push(toValue(v(env)));
          set!(env, list);
        };
      },
    ),
  ],
  [
    'delete_index',
    editor(
      'Removes elements from a list',
      { target: 'target', start_index: 'int', end_index: 'int?' },
      ({ target, start_index, end_index }) => {
        const { get, set } = target;
        return (env) => {
          const list = get(env);
          if (!Array.isArray(list)) return fail(`expected pcommon.Slice but got ${goName(list)}`);
          const start = start_index(env);
          const end = end_index ? end_index(env) : start + 1n;
          if (start < 0n || end < start || end > BigInt(list.length))
            return fail(`index out of range: ${start} to ${end}`);
          set!(env, [...list.slice(0, Number(start)), ...list.slice(Number(end))]);
        };
      },
    ),
  ],
  [
    'delete_key',
    editor('Removes a key of a map', { target: 'target', key: 'string' }, ({ target, key }) => {
      const map = mapAt(target);
      return (env) => void map(env).delete(key(env));
    }),
  ],
  [
    'delete_matching_keys',
    editor(
      'Removes the keys that match a regular expression',
      { target: 'target', pattern: 'pattern' },
      ({ target, pattern }) => {
        const map = mapAt(target);
        const regexOf = patternOf(pattern);
        return (env) => {
          const regex = regexOf(env);
          retain(map(env), (k) => !regex.test(k));
        };
      },
    ),
  ],
  [
    'keep_matching_keys',
    editor(
      'Keeps only keys that match a regular expression',
      { target: 'target', pattern: 'pattern' },
      ({ target, pattern }) => {
        const map = mapAt(target);
        const regexOf = patternOf(pattern);
        return (env) => {
          const regex = regexOf(env);
          retain(map(env), (k) => regex.test(k));
        };
      },
    ),
  ],
  [
    'keep_keys',
    editor('Keeps only the named keys', { target: 'target', keys: 'list:string' }, ({ target, keys }) => {
      const map = mapAt(target);
      return (env) => {
        const wanted = new Set(keys.map((k) => k(env)));
        retain(map(env), (k) => wanted.has(k));
      };
    }),
  ],
  [
    'flatten',
    editor(
      'Moves what stands in nested maps and lists to the top',
      { target: 'target', prefix: 'string?', depth: 'literal:int?', resolve_conflicts: 'literal:bool?' },
      ({ target, prefix, depth, resolve_conflicts }) => {
        if (depth !== undefined && depth < 0n)
          throw new Error(`invalid depth for flatten function, ${depth} cannot be negative`);
        const levels = depth === undefined ? Number.POSITIVE_INFINITY : Number(depth);
        const map = mapAt(target);
        return (env) => {
          const m = map(env);
          const flat = flattened(m, prefix?.(env) ?? '', levels, resolve_conflicts ?? false);
          m.clear();
          for (const [k, v] of flat) m.set(k, v);
        };
      },
    ),
  ],
  [
    'limit',
    editor(
      'Drops entries of a map beyond a number',
      { target: 'target', limit: 'literal:int', priority_keys: 'list:literal:string' },
      ({ target, limit, priority_keys }) => {
        const max = isNegative(limit, 'limit');
        const first = new Set(priority_keys);
        if (max < first.size)
          throw new Error(
            `invalid limit for limit, ${max} cannot be less than number of priority attributes ${first.size}`,
          );
        const map = mapAt(target);
        return (env) => {
          const m = map(env);
          if (m.size <= max) return;
          let room = max;
          for (const k of first) if (m.has(k)) room--;
          retain(m, (k) => first.has(k) || room-- > 0);
        };
      },
    ),
  ],
  [
    'merge_maps',
    editor(
      'Puts the entries of one map into another',
      { target: 'target', source: 'map', strategy: 'literal:string' },
      ({ target, source, strategy }) => {
        if (!['insert', 'update', 'upsert'].includes(strategy))
          throw new Error(`invalid value for strategy, ${strategy}, must be 'insert', 'update' or 'upsert'`);
        const map = mapAt(target);
        return (env) => {
          const from = source(env);
          const m = map(env);
          for (const [k, v] of from === m ? copyMap(from) : from.entries())
            if (strategy === 'upsert' || m.has(k) === (strategy === 'update')) m.set(k, copyValue(v));
        };
      },
    ),
  ],
  [
    'replace_all_matches',
    editor(
      'Replaces texts of a map that match a glob',
      { target: 'target', pattern: 'literal:string', replacement: 'string', ...REPLACE },
      ({ target, pattern, replacement, function: fn, replacement_format }) => {
        const glob = compileRegex(globPattern(pattern));
        const map = mapAt(target);
        const change = changeOf(fn, replacement_format);
        return (env) => {
          const text = replacement(env);
          changeTexts(map(env), (v) => (glob.test(v) ? (change ? change(env, text) : text) : v));
        };
      },
    ),
  ],
  [
    'replace_match',
    editor(
      'Replaces a text that matches a glob',
      { target: 'target', pattern: 'literal:string', replacement: 'string', ...REPLACE },
      ({ target, pattern, replacement, function: fn, replacement_format }) => {
        const glob = compileRegex(globPattern(pattern));
        const { get, set } = target;
        const change = changeOf(fn, replacement_format);
        return (env) => {
          const v = get(env);
          if (typeof v !== 'string' || !glob.test(v)) return;
          const text = replacement(env);
          set!(env, change ? change(env, text) : text);
        };
      },
    ),
  ],
  [
    'replace_all_patterns',
    editor(
      'Replaces what a regular expression finds in the keys or texts of a map',
      { target: 'target', mode: 'literal:string', regex: 'pattern', replacement: 'string', ...REPLACE },
      ({ target, mode, regex, replacement, function: fn, replacement_format }) => {
        if (mode !== 'key' && mode !== 'value')
          throw new Error(`invalid mode ${JSON.stringify(mode)}, must be either 'key' or 'value'`);
        const regexOf = patternOf(regex);
        const map = mapAt(target);
        const change = changeOf(fn, replacement_format);
        return (env) => {
          const pattern = regexOf(env);
          const text = replacement(env);
          const each = change && ((expanded: string): string => change(env, expanded));
          const m = map(env);
          if (mode === 'value') {
            changeTexts(m, (v) => (pattern.test(v) ? pattern.replaceAll(v, text, each) : v));
            return;
          }
          if (![...m.keys()].some((k) => pattern.test(k))) return;
          const entries = [...m.entries()].map(([k, v]) => [pattern.replaceAll(k, text, each), copyValue(v)] as const);
          m.clear();
          for (const [k, v] of entries) m.set(k, v);
        };
      },
    ),
  ],
  [
    'replace_pattern',
    editor(
      'Replaces what a regular expression finds in a text',
      { target: 'target', regex: 'pattern', replacement: 'string', ...REPLACE },
      ({ target, regex, replacement, function: fn, replacement_format }) => {
        const regexOf = patternOf(regex);
        const { get, set } = target;
        const change = changeOf(fn, replacement_format);
        return (env) => {
          const v = get(env);
          if (typeof v !== 'string') return;
          const pattern = regexOf(env);
          if (!pattern.test(v)) return;
          set!(env, pattern.replaceAll(v, replacement(env), change && ((expanded) => change(env, expanded))));
        };
      },
    ),
  ],
  [
    'set',
    editor('Puts a value somewhere; nil changes nothing', { target: 'target', value: 'any' }, ({ target, value }) => {
      const { set } = target;
      return (env) => {
        const v = value(env);
        if (v !== null) set!(env, v);
      };
    }),
  ],
  [
    'stringify_all',
    editor('Turns all values of a map into text', { target: 'target' }, ({ target }) => {
      const map = mapAt(target);
      return (env) => {
        const m = map(env);
        for (const [k, v] of [...m.entries()]) if (typeof v !== 'string') m.set(k, valueText(v));
      };
    }),
  ],
  [
    'truncate_all',
    editor(
      'Shortens all texts of a map to a number of bytes',
      { target: 'target', limit: 'literal:int', utf8_safe: 'literal:bool?', truncation_marker: 'literal:string?' },
      ({ target, limit, truncation_marker }) => {
        if (limit < 0n) throw new Error(`invalid limit for truncate_all, ${limit} cannot be negative`);
        const max = Number(limit);
        const marker = truncation_marker ?? '';
        if (Buffer.byteLength(marker) > max) throw new Error('truncation_marker is longer than the limit');
        const map = mapAt(target);
        return (env) => changeTexts(map(env), (v) => truncateText(v, max, marker));
      },
    ),
  ],
];
