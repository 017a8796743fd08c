/** Parses URIs. */
import type { Value, ValueMap } from '../../wire/otlp.ts';
import { defineOperator } from '../operator.ts';
import { compileParser, notText, ParseFailure, parserConfig } from '../parser.ts';

export const uriParser = defineOperator({
  type: 'uri_parser',
  summary: 'Parses a URI, or a query that starts with a question mark.',
  schema: parserConfig({}),
  compile: (config, ctx) =>
    compileParser(config, ctx, (value) => {
      if (typeof value !== 'string') return notText('URI', value);
      return parseUri(value) ?? new ParseFailure(`parsing URI ${JSON.stringify(value.slice(0, 100))}: invalid URI`);
    }),
});

/** undefined: not a URI. */
export function parseUri(text: string): ValueMap | undefined {
  const map: ValueMap = new Map();
  if (text.startsWith('?')) {
    const query = parseQuery(text.slice(1));
    if (query) map.set('query', query);
    return query && map;
  }
  if (/[\x00-\x20\x7f]/.test(text) || text === '') return undefined;
  const m = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?$/s.exec(text);
  if (!m || (m[1] === undefined && m[2] === undefined && !text.startsWith('/'))) return undefined;
  const [, scheme, authority, path, rawQuery] = m;
  if (scheme) map.set('scheme', scheme.toLowerCase());
  if (authority !== undefined) {
    const a = /^(?:(.*)@)?(\[[^\]]*\]|[^:@]*)(?::(\d*))?$/s.exec(authority);
    if (!a) return undefined;
    const user = a[1] === undefined ? '' : decode(a[1].split(':')[0]!, false);
    const host = decode(a[2]!.replace(/^\[(.*)\]$/, '$1'), false);
    if (user === undefined || host === undefined) return undefined;
    if (user) map.set('user', user);
    if (host) map.set('host', host);
    if (a[3]) map.set('port', a[3]);
  }
  const decoded = decode(path ?? '', false);
  if (decoded === undefined) return undefined;
  if (decoded) map.set('path', decoded);
  if (rawQuery) {
    const query = parseQuery(rawQuery);
    if (!query) return undefined;
    if (query.size > 0) map.set('query', query);
  }
  return map;
}

function parseQuery(raw: string): ValueMap | undefined {
  const map = new Map<string, Value[]>();
  for (const pair of raw.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const key = decode(at < 0 ? pair : pair.slice(0, at), true);
    const value = decode(at < 0 ? '' : pair.slice(at + 1), true);
    if (key === undefined || value === undefined || pair.includes(';')) return undefined;
    const list = map.get(key);
    if (list) list.push(value);
    else map.set(key, [value]);
  }
  return map;
}

function decode(text: string, plus: boolean): string | undefined {
  if (!text.includes('%')) return plus ? text.replaceAll('+', ' ') : text;
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined;
  const t = plus ? text.replaceAll('+', ' ') : text;
  return t.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
}
