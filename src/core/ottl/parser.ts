/** Tokens of OTTL → tree. Precedence: `not`, `and`, `or`; `*` and `/` before `+` and `-`. */
import { lex, type Token, unquote } from './lexer.ts';
import {
  type Argument,
  type BoolNode,
  type CallNode,
  type Op,
  OttlError,
  type PathNode,
  type PathSegment,
  type StatementNode,
  type ValueNode,
} from './syntax.ts';

const MAX_DEPTH = 100;
const OPS: ReadonlySet<string> = new Set(['==', '!=', '<', '>', '<=', '>=']);
const WORDS: ReadonlySet<string> = new Set(['and', 'or', 'not', 'true', 'false', 'nil', 'where']);

class Parser {
  readonly #tokens: readonly Token[];
  #i = 0;
  #depth = 0;

  constructor(text: string) {
    this.#tokens = lex(text);
  }

  get #token(): Token {
    return this.#tokens[this.#i]!;
  }

  #peek(n = 1): Token {
    return this.#tokens[Math.min(this.#i + n, this.#tokens.length - 1)]!;
  }

  #fail(expected: string): OttlError {
    const { text, at } = this.#token;
    return new OttlError(`unexpected token ${JSON.stringify(text)} (expected ${expected})`, at, true);
  }

  #is(text: string): boolean {
    const { kind } = this.#token;
    return this.#token.text === text && kind !== 'string';
  }

  #take(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#i++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#fail(JSON.stringify(text));
  }

  #nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new OttlError('nested too deep', this.#token.at, true);
    const out = parse();
    this.#depth--;
    return out;
  }

  statement(): StatementNode {
    const { kind, text, at } = this.#token;
    if (kind === 'upper')
      throw new OttlError(`editor names must start with a lowercase letter but got ${JSON.stringify(text)}`, at, true);
    if (kind !== 'lower' || WORDS.has(text)) throw this.#fail('an editor');
    this.#i++;
    const editor = this.#call(text, at);
    if (editor.keys.length > 0) throw new OttlError('an editor cannot be indexed', at, true);
    const where = this.#take('where') ? this.bool() : undefined;
    this.end(where ? '"and", "or" or the end' : '"where" or the end');
    return { editor, where };
  }

  end(expected: string): void {
    if (this.#token.kind !== 'end') throw this.#fail(expected);
  }

  bool(): BoolNode {
    return this.#nested(() => {
      const { at } = this.#token;
      const items = [this.#and()];
      while (this.#take('or')) items.push(this.#and());
      return items.length === 1 ? items[0]! : { t: 'or', at, items };
    });
  }

  #and(): BoolNode {
    const { at } = this.#token;
    const items = [this.#not()];
    while (this.#take('and')) items.push(this.#not());
    return items.length === 1 ? items[0]! : { t: 'and', at, items };
  }

  #not(): BoolNode {
    const { at } = this.#token;
    if (this.#take('not')) return this.#nested(() => ({ t: 'not', at, item: this.#not() }));
    if (!this.#is('(')) return this.#term();
    // A parenthesis holds a boolean expression, or it begins the left side of a comparison.
    const start = this.#i;
    const depth = this.#depth;
    let first: unknown;
    try {
      return this.#term();
    } catch (error) {
      if (!(error instanceof OttlError)) throw error;
      first = error;
    }
    this.#i = start + 1;
    this.#depth = depth;
    try {
      const inner = this.bool();
      this.#expect(')');
      return inner;
    } catch (error) {
      // The reading that came further is the one that was meant.
      if (first instanceof OttlError && error instanceof OttlError && first.at > error.at) throw first;
      throw error;
    }
  }

  #term(): BoolNode {
    const { at } = this.#token;
    const left = this.#value();
    const op = this.#token;
    if (op.kind === 'op' && OPS.has(op.text)) {
      this.#i++;
      return { t: 'compare', at, op: op.text as Op, left, right: this.#value() };
    }
    if (left.t === 'call') return { t: 'call-bool', at, call: left };
    if (left.t === 'literal' && typeof left.value === 'boolean') return { t: 'const', at, value: left.value };
    throw this.#fail('a comparison: ==, !=, <, <=, > or >=');
  }

  #value(): ValueNode {
    return this.#nested(() => {
      let left = this.#product();
      for (;;) {
        const { at, text, kind } = this.#token;
        if (kind !== 'op' || (text !== '+' && text !== '-')) return left;
        this.#i++;
        left = { t: 'math', at, op: text, left, right: this.#product() };
      }
    });
  }

  #product(): ValueNode {
    let left = this.#factor();
    for (;;) {
      const { at, text, kind } = this.#token;
      if (kind !== 'op' || (text !== '*' && text !== '/')) return left;
      this.#i++;
      left = { t: 'math', at, op: text, left, right: this.#factor() };
    }
  }

  #factor(): ValueNode {
    const token = this.#token;
    const { at, kind, text } = token;
    switch (kind) {
      case 'string':
        this.#i++;
        return { t: 'literal', at, value: unquote(token) };
      case 'int':
      case 'float':
        this.#i++;
        return { t: 'literal', at, value: number(token, '') };
      case 'bytes':
        this.#i++;
        if (text.length % 2 === 1) throw new OttlError(`invalid bytes ${text}: odd number of digits`, at, true);
        return { t: 'literal', at, value: new Uint8Array(Buffer.from(text.slice(2), 'hex')) };
      case 'upper':
        this.#i++;
        return this.#is('(') ? this.#call(text, at) : { t: 'symbol', at, name: text };
      case 'lower':
        return this.#word();
      case 'op':
        return this.#operator(token);
      default:
        throw this.#fail('a value');
    }
  }

  #operator({ text, at }: Token): ValueNode {
    if (text === '[') return this.#nested(() => this.#list(at));
    if (text === '{') return this.#nested(() => this.#map(at));
    if (text === '(') {
      this.#i++;
      const inner = this.#value();
      this.#expect(')');
      return inner;
    }
    const next = this.#peek();
    if ((text === '-' || text === '+') && (next.kind === 'int' || next.kind === 'float')) {
      this.#i += 2;
      return { t: 'literal', at, value: number(next, text) };
    }
    throw this.#fail('a value');
  }

  #word(): ValueNode {
    const { text, at } = this.#token;
    if (text === 'true' || text === 'false' || text === 'nil') {
      this.#i++;
      return { t: 'literal', at, value: text === 'nil' ? null : text === 'true' };
    }
    if (WORDS.has(text)) throw this.#fail('a value');
    if (this.#peek().text === '(' && this.#peek().kind === 'op')
      throw new OttlError(
        `converter names must start with an uppercase letter but got ${JSON.stringify(text)}`,
        at,
        true,
      );
    return this.#path();
  }

  #path(): PathNode {
    const { at } = this.#token;
    const segments: PathSegment[] = [];
    do {
      const { kind, text } = this.#token;
      if (kind !== 'lower') throw this.#fail('a field');
      this.#i++;
      segments.push({ name: text, keys: this.#keys() });
    } while (this.#take('.'));
    const last = this.#tokens[this.#i - 1]!;
    return { t: 'path', at, end: last.at + last.text.length, segments };
  }

  #keys(): ValueNode[] {
    const keys: ValueNode[] = [];
    while (this.#take('[')) {
      keys.push(this.#value());
      this.#expect(']');
    }
    return keys;
  }

  #call(name: string, at: number): CallNode {
    this.#expect('(');
    const args: Argument[] = [];
    if (!this.#take(')')) {
      do {
        const next = this.#peek();
        let argument: string | undefined;
        if (this.#token.kind === 'lower' && next.kind === 'op' && next.text === '=') {
          argument = this.#token.text;
          this.#i += 2;
        } else if (args.at(-1)?.name !== undefined)
          throw new OttlError('unnamed argument used after named argument', this.#token.at, true);
        args.push({ name: argument, value: this.#value() });
      } while (this.#take(','));
      this.#expect(')');
    }
    return { t: 'call', at, name, args, keys: this.#keys() };
  }

  #list(at: number): ValueNode {
    this.#expect('[');
    const items: ValueNode[] = [];
    if (!this.#take(']')) {
      do items.push(this.#value());
      while (this.#take(','));
      this.#expect(']');
    }
    return { t: 'list', at, items };
  }

  #map(at: number): ValueNode {
    this.#expect('{');
    const entries: [string, ValueNode][] = [];
    if (!this.#take('}')) {
      do {
        const key = this.#token;
        if (key.kind !== 'string') throw this.#fail('a key in quotes');
        this.#i++;
        this.#expect(':');
        entries.push([unquote(key), this.#value()]);
      } while (this.#take(','));
      this.#expect('}');
    }
    return { t: 'map', at, entries };
  }
}

function number(token: Token, sign: string): bigint | number {
  if (token.kind === 'float') return Number(sign + token.text);
  const n = BigInt(token.text) * (sign === '-' ? -1n : 1n);
  if (BigInt.asIntN(64, n) !== n) throw new OttlError(`${sign}${token.text} does not fit into 64 bits`, token.at, true);
  return n;
}

export const parseStatement = (text: string): StatementNode => new Parser(text).statement();

export function parseCondition(text: string): BoolNode {
  const parser = new Parser(text);
  const condition = parser.bool();
  parser.end('"and", "or" or the end');
  return condition;
}

/** Every path in a tree, for finding out which context it needs. */
export function* pathsIn(node: ValueNode | BoolNode): Generator<PathNode> {
  switch (node.t) {
    case 'path':
      yield node;
      for (const s of node.segments) for (const k of s.keys) yield* pathsIn(k);
      return;
    case 'call':
      for (const a of node.args) yield* pathsIn(a.value);
      for (const k of node.keys) yield* pathsIn(k);
      return;
    case 'list':
    case 'and':
    case 'or':
      for (const i of node.items) yield* pathsIn(i);
      return;
    case 'map':
      for (const [, v] of node.entries) yield* pathsIn(v);
      return;
    case 'math':
    case 'compare':
      yield* pathsIn(node.left);
      yield* pathsIn(node.right);
      return;
    case 'not':
      yield* pathsIn(node.item);
      return;
    case 'call-bool':
      yield* pathsIn(node.call);
      return;
  }
}

/** Names of all functions in a tree. */
export function* callsIn(node: ValueNode | BoolNode): Generator<string> {
  switch (node.t) {
    case 'call':
      yield node.name;
      for (const a of node.args) yield* callsIn(a.value);
      for (const k of node.keys) yield* callsIn(k);
      return;
    case 'path':
      for (const s of node.segments) for (const k of s.keys) yield* callsIn(k);
      return;
    case 'list':
    case 'and':
    case 'or':
      for (const i of node.items) yield* callsIn(i);
      return;
    case 'map':
      for (const [, v] of node.entries) yield* callsIn(v);
      return;
    case 'math':
    case 'compare':
      yield* callsIn(node.left);
      yield* callsIn(node.right);
      return;
    case 'not':
      yield* callsIn(node.item);
      return;
    case 'call-bool':
      yield* callsIn(node.call);
      return;
  }
}
