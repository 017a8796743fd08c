/** Converters that parse structured texts, and the one that writes them. */
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import { type QuoteMode, splitCsv } from '../../csv.ts';
import { jsonText, valueText } from '../../edit/values.ts';
import { converter, type FunctionDefinition } from '../function.ts';
import { fail, type OttlValue, orderText } from '../values.ts';

const MAX_JSON_DEPTH = 100;

/** Numbers of JSON are doubles. */
function fromJson(v: unknown, depth: number): Value {
  if (depth > MAX_JSON_DEPTH) return fail('JSON is nested too deep');
  if (Array.isArray(v)) return v.map((item) => fromJson(item, depth + 1));
  if (typeof v === 'object' && v !== null) {
    const out: ValueMap = new Map();
    for (const key of Object.keys(v)) out.set(key, fromJson((v as Record<string, unknown>)[key], depth + 1));
    return out;
  }
  return v as Value;
}

function parseJson(text: string): Value {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return fail(`could not parse as JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof parsed !== 'object' || parsed === null)
    return fail('could not convert parsed value: only objects and arrays are supported');
  return fromJson(parsed, 0);
}

/** Splits at delimiters that stand outside of quotes. */
function splitOutsideQuotes(text: string, delimiter: string, limit: number): string[] {
  const out: string[] = [];
  let quote = '';
  let from = 0;
  for (let i = 0; i < text.length; ) {
    const c = text[i]!;
    if (quote !== '') {
      if (c === quote) quote = '';
    } else if (c === '"' || c === "'") quote = c;
    else if (out.length < limit - 1 && text.startsWith(delimiter, i)) {
      if (i > from || limit === 2) out.push(text.slice(from, i));
      i += delimiter.length;
      from = i;
      continue;
    }
    i++;
  }
  if (quote !== '') return fail('never reached the end of a quoted value');
  if (from < text.length || limit === 2) out.push(text.slice(from));
  return out;
}

const unquoted = (text: string): string => text.trim().replace(/^(["'])([\s\S]*)\1$/, '$2');

function parseKeyValue(text: string, delimiter: string, pairDelimiter: string): ValueMap {
  if (text === '') return fail('cannot parse from empty target');
  const out: ValueMap = new Map();
  for (const pair of splitOutsideQuotes(text, pairDelimiter, Number.POSITIVE_INFINITY)) {
    const parts = splitOutsideQuotes(pair, delimiter, 2);
    if (parts.length !== 2)
      return fail(`cannot split ${JSON.stringify(pair.slice(0, 80))} into 2 items, got ${parts.length} item(s)`);
    out.set(unquoted(parts[0]!), unquoted(parts[1]!));
  }
  return out;
}

function quotedWhenNeeded(text: string, delimiter: string, pairDelimiter: string): string {
  if (!text.includes(delimiter) && !text.includes(pairDelimiter)) return text;
  return `"${text.replaceAll('"', '\\"')}"`;
}

function toKeyValue(
  map: ReadonlyMap<string, Value>,
  delimiter: string,
  pairDelimiter: string,
  isSorted: boolean,
): string {
  const entries = [...map.entries()];
  if (isSorted) entries.sort(([a], [b]) => orderText(a, b));
  const text = (v: Value): string => (v instanceof Map || Array.isArray(v) ? jsonText(v) : valueText(v));
  return entries
    .map(
      ([k, v]) =>
        `${quotedWhenNeeded(k, delimiter, pairDelimiter)}${delimiter}${quotedWhenNeeded(text(v), delimiter, pairDelimiter)}`,
    )
    .join(pairDelimiter);
}

const CSV_MODES: Readonly<Record<string, QuoteMode>> = { strict: 'strict', lazyQuotes: 'lazy', ignoreQuotes: 'ignore' };

function parseCsv(text: string, headers: readonly string[], delimiter: string, mode: QuoteMode): ValueMap {
  const fields = splitCsv(text.replace(/^[\r\n]+|[\r\n]+$/g, ''), delimiter, mode, headers.length);
  if (typeof fields === 'string') return fail(`failed to parse CSV row: ${fields}`);
  if (fields.length !== headers.length)
    return fail(`wrong number of fields: expected ${headers.length}, found ${fields.length}`);
  return new Map(headers.map((h, i) => [h, fields[i]!]));
}

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';

/** As strconv.ParseInt. */
function parseInteger(text: string, base: number): bigint {
  const wrong = (): never => fail(`could not parse ${JSON.stringify(text)} as an integer in base ${base}`);
  const m = /^([-+]?)(.+)$/.exec(text);
  if (!m) return wrong();
  let digits = m[2]!.toLowerCase();
  let radix = base;
  if (base === 0) {
    const prefix = /^0([box])_?/.exec(digits);
    radix = prefix ? { b: 2, o: 8, x: 16 }[prefix[1] as 'b' | 'o' | 'x'] : /^0[0-7_]/.test(digits) ? 8 : 10;
    digits = digits.slice(prefix ? prefix[0].length : 0);
    if (/^_|__|_$/.test(digits)) return wrong();
    digits = digits.replaceAll('_', '');
  }
  if (digits === '' || digits.length > 70) return wrong();
  let n = 0n;
  for (const c of digits) {
    const digit = DIGITS.indexOf(c);
    if (digit < 0 || digit >= radix) return wrong();
    n = n * BigInt(radix) + BigInt(digit);
  }
  const value = m[1] === '-' ? -n : n;
  return BigInt.asIntN(64, value) === value ? value : wrong();
}

/** RFC 3986 apart; what Go's url.Parse would refuse fails. */
function parseUrl(text: string): ValueMap {
  const m = /^(?:([A-Za-z][A-Za-z\d+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#([\s\S]*))?$/.exec(text);
  if (!m || [...text].some((c) => c < ' ' || c === '\x7f')) return fail('failed parsing url');
  const [, scheme = '', authority = '', path = '', query = '', fragment = ''] = m;
  const at = authority.lastIndexOf('@');
  const user = at < 0 ? '' : authority.slice(0, at);
  const host = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(authority.slice(at + 1));
  if (!host) return fail('failed parsing url: invalid port');
  const out: ValueMap = new Map<string, Value>([
    ['url.original', text],
    ['url.domain', host[1]!.replace(/^\[|\]$/g, '')],
    ['url.scheme', scheme.toLowerCase()],
    ['url.path', decodePercent(path)],
  ]);
  if (fragment !== '') out.set('url.fragment', decodePercent(fragment));
  if (query !== '') out.set('url.query', query);
  if (user !== '') {
    const colon = user.indexOf(':');
    out.set('url.user_info', user);
    out.set('url.username', decodePercent(colon < 0 ? user : user.slice(0, colon)));
    if (colon >= 0) out.set('url.password', decodePercent(user.slice(colon + 1)));
  }
  const dot = path.lastIndexOf('.');
  if (dot > path.lastIndexOf('/') && dot < path.length - 1) out.set('url.extension', path.slice(dot + 1));
  if (host[2]) out.set('url.port', BigInt(host[2]));
  return out;
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function matchesSeverity(v: OttlValue, rule: Value): boolean {
  if (!(rule instanceof Map)) return fail('severity mapping criteria items must be map');
  const equals = rule.get('equals');
  if (typeof v === 'string') return Array.isArray(equals) && equals.includes(v);
  const range = rule.get('range');
  if (typeof range === 'string') {
    const m = /^([2-5])xx$/.exec(range);
    if (!m) return fail(`unknown range placeholder ${range}`);
    return v !== null && typeof v === 'bigint' && v / 100n === BigInt(m[1]!);
  }
  if (!(range instanceof Map) || typeof v !== 'bigint') return false;
  const [min, max] = [range.get('min'), range.get('max')];
  if (typeof min !== 'bigint' || typeof max !== 'bigint') return fail('range must have integers min and max');
  return v >= min && v <= max;
}

export const PARSE_CONVERTERS: readonly (readonly [string, FunctionDefinition])[] = [
  [
    'ParseJSON',
    converter(
      'JSON as a map or list; its numbers are doubles',
      { target: 'string' },
      'any',
      ({ target }) =>
        (env) =>
          parseJson(target(env)),
    ),
  ],
  [
    'ParseKeyValue',
    converter(
      'Texts such as `k1=v1 k2=v2` as a map',
      { target: 'string', delimiter: 'string?', pair_delimiter: 'string?' },
      'map',
      ({ target, delimiter, pair_delimiter }) =>
        (env) => {
          const [between, pairs] = [delimiter?.(env) ?? '=', pair_delimiter?.(env) ?? ' '];
          if (between === '' || pairs === '') return fail('delimiters cannot be empty');
          if (between === pairs)
            return fail(
              `pair delimiter ${JSON.stringify(pairs)} cannot be equal to delimiter ${JSON.stringify(between)}`,
            );
          return parseKeyValue(target(env), between, pairs);
        },
    ),
  ],
  [
    'ToKeyValueString',
    converter(
      'A map as text such as `k1=v1 k2=v2`',
      { target: 'map', delimiter: 'string?', pair_delimiter: 'string?', sort_output: 'bool?' },
      'string',
      ({ target, delimiter, pair_delimiter, sort_output }) =>
        (env) =>
          toKeyValue(target(env), delimiter?.(env) ?? '=', pair_delimiter?.(env) ?? ' ', sort_output?.(env) ?? false),
    ),
  ],
  [
    'ParseCSV',
    converter(
      'A row of CSV as a map',
      {
        target: 'string',
        headers: 'string',
        delimiter: 'literal:string?',
        header_delimiter: 'literal:string?',
        mode: 'literal:string?',
      },
      'map',
      ({ target, headers, delimiter = ',', header_delimiter = delimiter, mode = 'strict' }) => {
        const quotes = Object.hasOwn(CSV_MODES, mode) ? CSV_MODES[mode] : undefined;
        if (!quotes) throw new Error(`unknown CSV mode: ${mode}`);
        if (delimiter.length !== 1 || header_delimiter.length !== 1)
          throw new Error('invalid arguments: delimiter must be a single character');
        return (env) => {
          const names = headers(env);
          if (names === '') return fail('headers must not be an empty string');
          return parseCsv(target(env), names.split(header_delimiter), delimiter, quotes);
        };
      },
    ),
  ],
  [
    'ParseInt',
    converter(
      'A text in a base as an integer',
      { target: 'string', base: 'int' },
      'int',
      ({ target, base }) =>
        (env) => {
          const radix = Number(base(env));
          if (radix < 0 || radix === 1 || radix > 36) return fail(`invalid base ${radix}`);
          return parseInteger(target(env), radix);
        },
    ),
  ],
  [
    'URL',
    converter(
      'The parts of a URL',
      { url_string: 'string' },
      'map',
      ({ url_string }) =>
        (env) =>
          parseUrl(url_string(env)),
    ),
  ],
  [
    'ParseSeverity',
    converter(
      'The level that a mapping gives for a text or number',
      { target: 'any', severity_mapping: 'map' },
      'string',
      ({ target, severity_mapping }) =>
        (env) => {
          const v = target(env);
          for (const [level, rules] of severity_mapping(env)) {
            if (!Array.isArray(rules)) return fail('severity mapping criteria must be []any');
            if (rules.some((rule) => matchesSeverity(v, rule))) return level;
          }
          return fail(`could not map log level: no matching log level found for value '${String(v)}'`);
        },
    ),
  ],
];
