/** Text of an expression → tree. Precedences and forms are those of expr-lang; errors tell line and column. */
import { GO_ESCAPES } from '../go-string.ts';

export type Node = { readonly at: number } & (
  | { readonly t: 'const'; readonly value: null | boolean | bigint | number | string }
  | { readonly t: 'name'; readonly name: string }
  | { readonly t: 'pointer'; readonly name: '' | 'acc' | 'index' }
  | { readonly t: 'unary'; readonly op: string; readonly arg: Node }
  | { readonly t: 'binary'; readonly op: string; readonly left: Node; readonly right: Node }
  | { readonly t: 'member'; readonly object: Node; readonly key: Node; readonly optional: boolean }
  | { readonly t: 'slice'; readonly object: Node; readonly from: Node | undefined; readonly to: Node | undefined }
  | { readonly t: 'chain'; readonly arg: Node }
  | { readonly t: 'call'; readonly name: string; readonly args: readonly Node[] }
  | { readonly t: 'method'; readonly object: Node; readonly name: string; readonly args: readonly Node[] }
  | { readonly t: 'closure'; readonly body: Node }
  | { readonly t: 'if'; readonly test: Node; readonly yes: Node; readonly no: Node }
  | { readonly t: 'array'; readonly items: readonly Node[] }
  | { readonly t: 'map'; readonly entries: readonly (readonly [Node, Node])[] }
  | { readonly t: 'let'; readonly name: string; readonly value: Node; readonly body: Node }
);

export class ExprSyntaxError extends Error {}

interface Token {
  readonly kind: 'number' | 'string' | 'name' | 'op' | 'end';
  readonly text: string;
  readonly value?: bigint | number | string;
  readonly at: number;
}

const MAX_DEPTH = 150;
const MAX_TEXT = 64 * 1024;

const OPERATORS = ['**', '==', '!=', '<=', '>=', '&&', '||', '??', '?.', '..', '::'];
const SINGLES = '+-*/%^<>!()[]{},.:?|=;#';

export function positionOf(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `${before.length}:${before.at(-1)!.length + 1}`;
}

function lex(text: string): Token[] {
  const tokens: Token[] = [];
  const fail = (message: string, at: number) => new ExprSyntaxError(`${message} (${positionOf(text, at)})`);
  const number =
    /0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*(?:\.(?!\.)[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?/y;
  const name = /[\p{L}_$][\p{L}\p{N}_$]*/uy;
  let i = 0;
  while (i < text.length) {
    const c = text[i]!;
    if (c === ' ' || c === '\t' || c === '\n' || c === '\r') {
      i++;
      continue;
    }
    if (text.startsWith('//', i)) {
      const end = text.indexOf('\n', i);
      i = end < 0 ? text.length : end;
      continue;
    }
    if (text.startsWith('/*', i)) {
      const end = text.indexOf('*/', i + 2);
      if (end < 0) throw fail('unclosed comment', i);
      i = end + 2;
      continue;
    }
    if (c === '"' || c === "'" || c === '`') {
      const [value, end] = string(text, i, fail);
      tokens.push({ kind: 'string', text: text.slice(i, end), value, at: i });
      i = end;
      continue;
    }
    number.lastIndex = i;
    const digits =
      (c >= '0' && c <= '9') || (c === '.' && /\d/.test(text[i + 1] ?? '')) ? number.exec(text)?.[0] : undefined;
    if (digits) {
      const plain = digits.replaceAll('_', '');
      const whole = /^(?:\d+|0[xXbBoO][0-9a-fA-F]+)$/.test(plain);
      if (/^0[xXbBoO]$/.test(plain)) throw fail(`bad number syntax: ${JSON.stringify(digits)}`, i);
      const value = whole ? BigInt(plain) : Number(plain);
      if (typeof value === 'bigint' && value > 0x7fffffffffffffffn)
        throw fail(`integer literal is too large: ${digits}`, i);
      name.lastIndex = i + digits.length;
      if (name.test(text)) throw fail(`bad number syntax: ${JSON.stringify(digits)}`, i);
      tokens.push({ kind: 'number', text: digits, value, at: i });
      i += digits.length;
      continue;
    }
    name.lastIndex = i;
    const word = name.exec(text)?.[0];
    if (word) {
      tokens.push({ kind: 'name', text: word, at: i });
      i += word.length;
      continue;
    }
    const op = OPERATORS.find((o) => text.startsWith(o, i)) ?? (SINGLES.includes(c) ? c : undefined);
    if (!op) throw fail(`unrecognized character: ${JSON.stringify(c)}`, i);
    tokens.push({ kind: 'op', text: op, at: i });
    i += op.length;
  }
  tokens.push({ kind: 'end', text: '', at: text.length });
  return tokens;
}

function string(text: string, at: number, fail: (m: string, at: number) => Error): [string, number] {
  const quote = text[at]!;
  if (quote === '`') {
    const end = text.indexOf('`', at + 1);
    if (end < 0) throw fail('literal not terminated', at);
    return [text.slice(at + 1, end), end + 1];
  }
  let out = '';
  let i = at + 1;
  for (;;) {
    const c = text[i];
    if (c === undefined || c === '\n') throw fail('literal not terminated', at);
    if (c === quote) return [out, i + 1];
    if (c !== '\\') {
      out += c;
      i++;
      continue;
    }
    const e = text[i + 1] ?? '';
    const plain = e === '`' ? e : GO_ESCAPES[e];
    if (plain !== undefined) {
      out += plain;
      i += 2;
      continue;
    }
    const hex = /x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})/y;
    hex.lastIndex = i + 1;
    const m = hex.exec(text);
    const code = m ? Number.parseInt(m[1] ?? m[2] ?? m[3] ?? m[4]!, m[4] ? 8 : 16) : -1;
    if (!m || code > 0x10ffff) throw fail(`invalid char escape \\${e}`, i);
    out += String.fromCodePoint(code);
    i += 1 + m[0].length;
  }
}

interface Binary {
  readonly precedence: number;
  readonly right?: boolean;
}
const BINARY: ReadonlyMap<string, Binary> = new Map<string, Binary>([
  ['|', { precedence: 0 }],
  ['or', { precedence: 10 }],
  ['||', { precedence: 10 }],
  ['and', { precedence: 15 }],
  ['&&', { precedence: 15 }],
  ...['==', '!=', '<', '>', '<=', '>=', 'in', 'matches', 'contains', 'startsWith', 'endsWith'].map(
    (op): [string, Binary] => [op, { precedence: 20 }],
  ),
  ['..', { precedence: 25 }],
  ['+', { precedence: 30 }],
  ['-', { precedence: 30 }],
  ['*', { precedence: 60 }],
  ['/', { precedence: 60 }],
  ['%', { precedence: 60 }],
  ['**', { precedence: 100, right: true }],
  ['^', { precedence: 100, right: true }],
  ['??', { precedence: 500 }],
]);
const NEGATABLE: ReadonlySet<string> = new Set(['in', 'matches', 'contains', 'startsWith', 'endsWith']);
const CANONICAL: Readonly<Record<string, string>> = { '&&': 'and', '||': 'or', '^': '**', '!': 'not' };
/** Functions whose last argument is a predicate over the items of the first. */
export const PREDICATE_FUNCTIONS: ReadonlySet<string> = new Set([
  'all',
  'none',
  'any',
  'one',
  'filter',
  'map',
  'count',
  'sum',
  'find',
  'findIndex',
  'findLast',
  'findLastIndex',
  'groupBy',
  'sortBy',
  'reduce', // biome-ignore format: a list
]);

export function parse(text: string): Node {
  if (text.length > MAX_TEXT) throw new ExprSyntaxError('the expression is too long');
  const tokens = lex(text);
  let at = 0;
  let depth = 0;
  let closures = 0;
  const peek = (): Token => tokens[at]!;
  const is = (op: string): boolean => peek().kind === 'op' && peek().text === op;
  const fail = (message: string, token = peek()) => new ExprSyntaxError(`${message} (${positionOf(text, token.at)})`);
  const unexpected = (token = peek()) =>
    fail(token.kind === 'end' ? 'unexpected token EOF' : `unexpected token ${token.text}`, token);
  const expect = (op: string): void => {
    if (!is(op)) throw unexpected();
    at++;
  };

  function expression(precedence: number): Node {
    if (++depth > MAX_DEPTH) throw fail('the expression is nested too deep');
    if (precedence === 0 && peek().kind === 'name' && peek().text === 'let' && tokens[at + 1]?.kind === 'name') {
      const node = declaration();
      depth--;
      return node;
    }
    let left = prefix();
    for (;;) {
      const token = peek();
      if (token.kind !== 'op' && token.kind !== 'name') break;
      let op = token.text;
      let negated = false;
      if (
        token.kind === 'name' &&
        op === 'not' &&
        NEGATABLE.has(tokens[at + 1]!.text) &&
        tokens[at + 1]!.kind === 'name'
      ) {
        negated = true;
        op = tokens[at + 1]!.text;
      }
      const rule = BINARY.get(op);
      if (!rule || rule.precedence < precedence) break;
      at += negated ? 2 : 1;
      if (op === '|') {
        left = pipe(left);
        continue;
      }
      const right = expression(rule.right ? rule.precedence : rule.precedence + 1);
      left = { t: 'binary', op: CANONICAL[op] ?? op, left, right, at: token.at };
      if (negated) left = { t: 'unary', op: 'not', arg: left, at: token.at };
    }
    if (precedence === 0 && is('?')) left = conditional(left);
    depth--;
    return left;
  }

  function conditional(test: Node): Node {
    const from = peek().at;
    at++;
    if (is(':')) {
      at++;
      return { t: 'if', test, yes: test, no: expression(0), at: from };
    }
    const yes = expression(0);
    expect(':');
    return { t: 'if', test, yes, no: expression(0), at: from };
  }

  function declaration(): Node {
    const from = peek().at;
    at++;
    const { text: name } = peek();
    at++;
    expect('=');
    const value = expression(0);
    expect(';');
    return { t: 'let', name, value, body: expression(0), at: from };
  }

  function pipe(left: Node): Node {
    const token = peek();
    if (token.kind !== 'name') throw unexpected();
    at++;
    return postfix(call(token, [left]));
  }

  function prefix(): Node {
    const token = peek();
    if (token.kind === 'name' && token.text === 'not') return unary('not', 50);
    if (token.kind === 'op') {
      if (token.text === '!') return unary('not', 50);
      if (token.text === '-' || token.text === '+') return unary(token.text, 90);
    }
    return postfix(primary());
  }

  function unary(op: string, precedence: number): Node {
    const token = peek();
    at++;
    const arg = expression(precedence);
    if (arg.t === 'const' && op !== 'not' && (typeof arg.value === 'bigint' || typeof arg.value === 'number'))
      return { t: 'const', value: op === '-' ? -arg.value : arg.value, at: token.at };
    return { t: 'unary', op, arg, at: token.at };
  }

  function primary(): Node {
    const token = peek();
    if (token.kind === 'number' || token.kind === 'string') {
      at++;
      return { t: 'const', value: token.value!, at: token.at };
    }
    if (token.kind === 'name') {
      at++;
      if (token.text === 'true' || token.text === 'false')
        return { t: 'const', value: token.text === 'true', at: token.at };
      if (token.text === 'nil') return { t: 'const', value: null, at: token.at };
      if (is('(')) return call(token, []);
      if (BINARY.has(token.text)) throw unexpected(token);
      return { t: 'name', name: token.text, at: token.at };
    }
    if (is('(')) {
      at++;
      const inner = expression(0);
      expect(')');
      return inner;
    }
    if (is('[')) {
      at++;
      return { t: 'array', items: list(']'), at: token.at };
    }
    if (is('{')) {
      at++;
      return map(token);
    }
    if (is('#') && closures > 0) {
      at++;
      const name = peek();
      if (name.kind === 'name' && name.at === token.at + 1 && (name.text === 'acc' || name.text === 'index')) {
        at++;
        return { t: 'pointer', name: name.text, at: token.at };
      }
      return { t: 'pointer', name: '', at: token.at };
    }
    // `.key` inside of a predicate stands for `#.key`.
    if (is('.') && closures > 0) return { t: 'pointer', name: '', at: token.at };
    throw unexpected();
  }

  function list(end: string): Node[] {
    const items: Node[] = [];
    while (!is(end)) {
      if (items.length > 0) {
        expect(',');
        if (is(end)) break;
      }
      items.push(expression(0));
    }
    at++;
    return items;
  }

  function map(token: Token): Node {
    const entries: [Node, Node][] = [];
    while (!is('}')) {
      if (entries.length > 0) {
        expect(',');
        if (is('}')) break;
      }
      const k = peek();
      let key: Node;
      if (k.kind === 'name' || k.kind === 'string' || k.kind === 'number') {
        at++;
        key = { t: 'const', value: k.kind === 'name' ? k.text : String(k.value), at: k.at };
      } else if (is('(')) key = expression(0);
      else
        throw fail(
          'a map key must be a quoted string, a number, an identifier, or an expression enclosed in parentheses',
        );
      expect(':');
      entries.push([key, expression(0)]);
    }
    at++;
    return { t: 'map', entries, at: token.at };
  }

  function call(name: Token, first: Node[]): Node {
    expect('(');
    const args = [...first];
    const predicate = PREDICATE_FUNCTIONS.has(name.text);
    let given = 0;
    while (!is(')')) {
      if (given++ > 0) {
        expect(',');
        if (is(')')) break;
      }
      args.push(predicate && args.length === 1 ? closure() : expression(0));
    }
    at++;
    return { t: 'call', name: name.text, args, at: name.at };
  }

  function closure(): Node {
    const from = peek().at;
    closures++;
    let body: Node;
    if (is('{')) {
      at++;
      body = expression(0);
      expect('}');
    } else body = expression(0);
    closures--;
    return { t: 'closure', body, at: from };
  }

  function postfix(start: Node): Node {
    let node = start;
    let optional = false;
    for (;;) {
      const token = peek();
      if (is('.') || is('?.')) {
        const skip = token.text === '?.';
        optional ||= skip;
        at++;
        if (skip && is('[')) {
          at++;
          const key = expression(0);
          expect(']');
          node = { t: 'member', object: node, key, optional: true, at: token.at };
          continue;
        }
        const name = peek();
        if (name.kind !== 'name') throw unexpected();
        at++;
        if (is('(')) {
          at++;
          node = { t: 'method', object: node, name: name.text, args: list(')'), at: name.at };
          continue;
        }
        const key: Node = { t: 'const', value: name.text, at: name.at };
        node = { t: 'member', object: node, key, optional: skip, at: name.at };
        continue;
      }
      if (is('[')) {
        at++;
        let from: Node | undefined;
        if (!is(':')) {
          from = expression(0);
          if (is(']')) {
            at++;
            node = { t: 'member', object: node, key: from, optional: false, at: token.at };
            continue;
          }
        }
        expect(':');
        const to = is(']') ? undefined : expression(0);
        expect(']');
        node = { t: 'slice', object: node, from, to, at: token.at };
        continue;
      }
      return optional ? { t: 'chain', arg: node, at: start.at } : node;
    }
  }

  if (peek().kind === 'end') throw fail('unexpected token EOF');
  const root = expression(0);
  if (peek().kind !== 'end') throw unexpected();
  return root;
}
