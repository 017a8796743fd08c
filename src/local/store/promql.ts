/**
 * The part of PromQL that the embedded store answers: selectors with their four kinds of matcher, `rate`, `irate`,
 * `increase`, and `sum`, `avg`, `min`, `max`, `count` with `by` and `without`. No operators, other functions, offsets
 * or subqueries: those are told apart from what is no PromQL at all.
 */
import { type Regex, tryRegex } from '../../core/regex.ts';

/** No PromQL. */
export class PromqlSyntaxError extends Error {}
/** PromQL, but more than is answered here. */
export class UnsupportedError extends Error {}

export interface Matcher {
  readonly name: string;
  readonly matches: (value: string) => boolean;
  /** Of `=` only. */
  readonly exact?: string;
}

export interface Selector {
  readonly kind: 'selector';
  readonly matchers: readonly Matcher[];
  /** Of a range vector. */
  readonly rangeMs?: number;
}
export type RateName = 'rate' | 'irate' | 'increase';
export type AggregationName = 'sum' | 'avg' | 'min' | 'max' | 'count';
export type Expression =
  | Selector
  | { readonly kind: 'rate'; readonly name: RateName; readonly of: Selector & { readonly rangeMs: number } }
  | {
      readonly kind: 'aggregation';
      readonly name: AggregationName;
      /** Labels that stay, or with `without` that go. */
      readonly labels: readonly string[];
      readonly without: boolean;
      readonly of: Expression;
    };

const RATES: readonly string[] = ['rate', 'irate', 'increase'] satisfies RateName[];
const AGGREGATIONS: readonly string[] = ['sum', 'avg', 'min', 'max', 'count'] satisfies AggregationName[];
const OPERATOR_WORDS: readonly string[] = ['and', 'or', 'unless', 'atan2', 'offset', 'bool', 'on', 'ignoring'];
const LONGEST_QUERY = 8192;
const DEEPEST = 20;
const TOKEN =
  /\s*(?:("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)|(\d+(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*)|(\d[\w.]*|\.\d+)|([A-Za-z_:][\w:]*)|(=~|!~|!=|==|<=|>=|[-+*/%^@=<>(){}[\],:]))/y;

interface Token {
  readonly kind: 'string' | 'duration' | 'number' | 'word' | 'sign' | 'end';
  readonly text: string;
  readonly at: number;
}
const KINDS = ['string', 'duration', 'number', 'word', 'sign'] as const;

function tokens(text: string): Token[] {
  if (text.length > LONGEST_QUERY) throw new PromqlSyntaxError('the query is too long');
  const list: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const m = TOKEN.exec(text);
    if (!m)
      throw new PromqlSyntaxError(
        `1:${from + 1}: parse error: unexpected ${JSON.stringify(text.slice(from, from + 10).trim())}`,
      );
    const i = KINDS.findIndex((_, k) => m[k + 1] !== undefined);
    list.push({ kind: KINDS[i]!, text: m[i + 1]!, at: TOKEN.lastIndex - m[i + 1]!.length });
  }
  list.push({ kind: 'end', text: 'end of input', at: text.length });
  return list;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** `5m`, `1h30m`; undefined for anything else. */
export function promDurationMs(text: string): number | undefined {
  if (!/^(\d+(ms|[smhdwy]))+$/.test(text)) return undefined;
  let ms = 0;
  for (const m of text.matchAll(/(\d+)(ms|[smhdwy])/g)) ms += Number(m[1]) * UNIT_MS[m[2]!]!;
  return ms;
}

export function parsePromql(text: string): Expression {
  const list = tokens(text);
  let at = 0;
  let depth = 0;
  const peek = (): Token => list[at]!;
  const isSign = (sign: string): boolean => peek().kind === 'sign' && peek().text === sign;
  const unexpected = (where: string): never => {
    const t = peek();
    throw new PromqlSyntaxError(
      `1:${t.at + 1}: parse error: unexpected ${t.kind === 'end' ? t.text : JSON.stringify(t.text)} ${where}`,
    );
  };
  const take = (sign: string, where: string): void => {
    if (!isSign(sign)) unexpected(where);
    at++;
  };
  const unsupported = (what: string): never => {
    throw new UnsupportedError(
      `${what} is not supported by the embedded store; it knows selectors, ${[...RATES, ...AGGREGATIONS].join(', ')}`,
    );
  };

  const expression = (): Expression => {
    if (++depth > DEEPEST) throw new PromqlSyntaxError('the query is nested too deep');
    const found = operand();
    depth--;
    const t = peek();
    if (
      (t.kind === 'sign' && /^(==|!=|<=|>=|[-+*/%^@<>])$/.test(t.text)) ||
      (t.kind === 'word' && OPERATOR_WORDS.includes(t.text))
    )
      unsupported(`operator ${t.text}`);
    return found;
  };

  const operand = (): Expression => {
    const t = peek();
    if (t.kind === 'number' || t.kind === 'duration' || t.kind === 'string') return unsupported(`literal ${t.text}`);
    if (isSign('-') || isSign('+')) return unsupported(`operator ${t.text}`);
    if (isSign('(')) {
      at++;
      const inner = expression();
      take(')', 'in parenthesis');
      if (isSign('[')) unsupported('a subquery');
      return inner;
    }
    if (isSign('{')) return selector(undefined);
    if (t.kind !== 'word') return unexpected('at the beginning of an expression');
    at++;
    const isAggregation = AGGREGATIONS.includes(t.text);
    if (isAggregation && (isSign('(') || /^(by|without)$/.test(peek().text)))
      return aggregation(t.text as AggregationName);
    if (isSign('(')) {
      if (RATES.includes(t.text)) return rate(t.text as RateName);
      return unsupported(`function ${t.text}`);
    }
    return selector(t.text);
  };

  const rate = (name: RateName): Expression => {
    at++;
    const of = expression();
    take(')', `in call of ${name}`);
    if (of.kind !== 'selector' || of.rangeMs === undefined)
      throw new PromqlSyntaxError(
        `parse error: expected type range vector in call to function "${name}", got instant vector`,
      );
    return { kind: 'rate', name, of: of as Selector & { rangeMs: number } };
  };

  const grouping = (): { labels: string[]; without: boolean } | undefined => {
    const t = peek();
    if (t.kind !== 'word' || (t.text !== 'by' && t.text !== 'without')) return undefined;
    at++;
    take('(', 'in grouping opts');
    const labels: string[] = [];
    while (!isSign(')')) {
      if (peek().kind !== 'word' && peek().kind !== 'string') unexpected('in grouping opts');
      labels.push(peek().kind === 'string' ? unquote(peek().text) : peek().text);
      at++;
      if (!isSign(')')) take(',', 'in grouping opts');
    }
    at++;
    return { labels, without: t.text === 'without' };
  };

  const aggregation = (name: AggregationName): Expression => {
    const before = grouping();
    take('(', 'in aggregation');
    const of = expression();
    take(')', 'in aggregation');
    if (of.kind === 'selector' && of.rangeMs !== undefined)
      throw new PromqlSyntaxError(
        `parse error: expected type instant vector in aggregation expression, got range vector`,
      );
    const by = before ?? grouping() ?? { labels: [], without: false };
    return { kind: 'aggregation', name, ...by, of };
  };

  const selector = (name: string | undefined): Selector => {
    const matchers: Matcher[] = name === undefined ? [] : [exactly('__name__', name)];
    if (isSign('{')) {
      at++;
      while (!isSign('}')) {
        matchers.push(matcher());
        if (!isSign('}')) take(',', 'in label matching');
      }
      at++;
    }
    // As Prometheus: at least one must not match everything.
    if (matchers.every((m) => m.matches('')))
      throw new PromqlSyntaxError('parse error: vector selector must contain at least one non-empty matcher');
    if (!isSign('[')) return { kind: 'selector', matchers };
    at++;
    const rangeMs = peek().kind === 'duration' ? promDurationMs(peek().text) : undefined;
    if (!rangeMs) return unexpected('in range, expected duration');
    at++;
    if (peek().text.startsWith(':')) unsupported('a subquery');
    take(']', 'in range');
    return { kind: 'selector', matchers, rangeMs };
  };

  const matcher = (): Matcher => {
    const label = peek();
    if (label.kind !== 'word' && label.kind !== 'string') unexpected('in label matching');
    const name = label.kind === 'string' ? unquote(label.text) : label.text;
    at++;
    const sign = peek();
    // {"name"} is the metric's name.
    if (label.kind === 'string' && (isSign(',') || isSign('}'))) return exactly('__name__', name);
    if (sign.kind !== 'sign' || !/^(=|!=|=~|!~)$/.test(sign.text))
      unexpected('in label matching, expected one of = != =~ !~');
    at++;
    if (peek().kind !== 'string') unexpected('in label matching, expected string');
    const value = unquote(peek().text);
    at++;
    if (sign.text === '=') return exactly(name, value);
    if (sign.text === '!=') return { name, matches: (v) => v !== value };
    const regex = tryRegex(`^(?s:${value})$`);
    if ('error' in regex) throw new PromqlSyntaxError(`parse error: ${regex.error}`);
    const isMatch = (v: string): boolean => (regex as Regex).test(v);
    return { name, matches: sign.text === '=~' ? isMatch : (v) => !isMatch(v) };
  };

  const found = expression();
  if (peek().kind !== 'end') unexpected('behind the expression');
  return found;
}

/** What `match[]` takes. */
export function parseSelector(text: string): Selector {
  const found = parsePromql(text);
  if (found.kind !== 'selector' || found.rangeMs !== undefined)
    throw new PromqlSyntaxError('parse error: expected a selector of series');
  return found;
}

const exactly = (name: string, exact: string): Matcher => ({ name, exact, matches: (v) => v === exact });

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };
function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  return quoted[0] === '`' ? inner : inner.replace(/\\(.)/g, (_, c: string) => ESCAPES[c] ?? c);
}
