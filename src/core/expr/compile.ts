/** Tree of an expression → one closure. Nothing is looked up by name when it runs. */
import { compileRegex } from '../regex.ts';
import { BUILTINS, PREDICATES, RESULT_KINDS } from './builtins.ts';
import { ExprSyntaxError, type Node, positionOf } from './parser.ts';
import {
  add,
  arithmetic,
  type ExprValue,
  equal,
  goKindName,
  goName,
  Instant,
  type Kind,
  order,
  tooLarge,
} from './values.ts';

/** Variables of predicates (`#`, `#acc`, `#index`) and of `let`. */
export interface Frame {
  readonly parent: Frame | undefined;
  value: ExprValue;
  index: number;
  acc: ExprValue;
}

export type Run<E> = (env: E, frame: Frame | undefined) => ExprValue;

export type HostFunction = (args: readonly ExprValue[]) => ExprValue;

export interface Names<E> {
  readonly variables: ReadonlyMap<string, (env: E) => ExprValue>;
  readonly functions: ReadonlyMap<string, HostFunction>;
}

interface Compiled<E> {
  readonly run: Run<E>;
  readonly kind: Kind;
  readonly constant?: boolean;
}

/** `?.` met nil: the rest of the chain is skipped. */
const SKIP: ExprValue = Object.freeze([]) as readonly ExprValue[];
const MAX_RANGE = 1_000_000;
const MAX_DEPTH = 800;

type Scope = { readonly kind: 'predicate' } | { readonly kind: 'let'; readonly name: string };

export function compileTree<E>(root: Node, text: string, names: Names<E>): { run: Run<E>; kind: Kind } {
  const fail = (message: string, node: Node) => new ExprSyntaxError(`${message} (${positionOf(text, node.at)})`);
  const scopes: Scope[] = [];

  /** How many frames up the innermost scope is that `test` takes. */
  function framesUp(test: (s: Scope) => boolean): number {
    for (let i = scopes.length - 1; i >= 0; i--) if (test(scopes[i]!)) return scopes.length - 1 - i;
    return -1;
  }

  function constantOf(c: Compiled<E>): ExprValue {
    return c.run(undefined as E, undefined);
  }

  let depth = 0;

  function compile(node: Node): Compiled<E> {
    // Chains (a + b + c …) are as deep as they are long.
    if (++depth > MAX_DEPTH) throw fail('the expression is nested too deep', node);
    const compiled = compileNode(node);
    depth--;
    return compiled;
  }

  function compileNode(node: Node): Compiled<E> {
    switch (node.t) {
      case 'const': {
        const value = node.value;
        const kind: Kind =
          value === null
            ? 'nil'
            : typeof value === 'bigint'
              ? 'int'
              : typeof value === 'number'
                ? 'float'
                : typeof value === 'string'
                  ? 'string'
                  : 'bool';
        return { run: () => value, kind, constant: true };
      }
      case 'name':
        return variable(node);
      case 'pointer':
        return pointer(node);
      case 'unary':
        return unary(node);
      case 'binary':
        return binary(node);
      case 'chain': {
        const { run } = compile(node.arg);
        return {
          run: (e, f) => {
            const v = run(e, f);
            return v === SKIP ? null : v;
          },
          kind: 'any',
        };
      }
      case 'member':
        return member(node);
      case 'slice':
        return slice(node);
      case 'method':
        return method(node);
      case 'call':
        return call(node);
      case 'closure':
        throw fail('a predicate cannot stand here', node);
      case 'if': {
        const test = boolean(node.test);
        const yes = compile(node.yes);
        const no = compile(node.no);
        return {
          run: (e, f) => (test(e, f) ? yes.run(e, f) : no.run(e, f)),
          kind: yes.kind === no.kind ? yes.kind : 'any',
        };
      }
      case 'array': {
        const items = node.items.map(compile);
        const runs = items.map((i) => i.run);
        if (items.every((i) => i.constant)) {
          const list = runs.map((r) => r(undefined as E, undefined));
          return { run: () => list, kind: 'array', constant: true };
        }
        return { run: (e, f) => runs.map((r) => r(e, f)), kind: 'array' };
      }
      case 'map': {
        const entries = node.entries.map(([k, v]) => [compile(k).run, compile(v).run] as const);
        return {
          run: (e, f) => {
            const out = new Map<string, ExprValue>();
            for (const [k, v] of entries) {
              const key = k(e, f);
              if (typeof key !== 'string') throw new Error(`cannot use ${goName(key)} as a key for map`);
              out.set(key, v(e, f));
            }
            return out;
          },
          kind: 'map',
        };
      }
      case 'let': {
        if (names.variables.has(node.name) || names.functions.has(node.name) || BUILTINS.has(node.name))
          throw fail(`cannot redeclare ${node.name}`, node);
        const value = compile(node.value).run;
        scopes.push({ kind: 'let', name: node.name });
        const body = compile(node.body);
        scopes.pop();
        return { run: (e, f) => body.run(e, { parent: f, value: value(e, f), index: 0, acc: null }), kind: body.kind };
      }
    }
  }

  function frameAt(up: number): (f: Frame | undefined) => Frame {
    if (up === 0) return (f) => f!;
    return (f) => {
      let frame = f!;
      for (let i = 0; i < up; i++) frame = frame.parent!;
      return frame;
    };
  }

  function variable(node: Node & { t: 'name' }): Compiled<E> {
    const up = framesUp((s) => s.kind === 'let' && s.name === node.name);
    if (up >= 0) {
      const at = frameAt(up);
      return { run: (_e, f) => at(f).value, kind: 'any' };
    }
    const get = names.variables.get(node.name);
    // Names that nobody defined are nil, as upstream allows undefined variables.
    return get ? { run: (e) => get(e), kind: 'any' } : { run: () => null, kind: 'any' };
  }

  function pointer(node: Node & { t: 'pointer' }): Compiled<E> {
    const at = frameAt(framesUp((s) => s.kind === 'predicate'));
    if (node.name === 'acc') return { run: (_e, f) => at(f).acc, kind: 'any' };
    if (node.name === 'index') return { run: (_e, f) => BigInt(at(f).index), kind: 'int' };
    return { run: (_e, f) => at(f).value, kind: 'any' };
  }

  /** The node as a condition: a value that is not a bool is an error, at once when it is known before. */
  function boolean(node: Node): (e: E, f: Frame | undefined) => boolean {
    const c = compile(node);
    if (c.kind !== 'bool' && c.kind !== 'any')
      throw fail(`non-bool expression (type ${goKindName(c.kind)}) used as condition`, node);
    const run = c.run;
    return (e, f) => {
      const v = run(e, f);
      if (typeof v !== 'boolean') throw new Error(`interface conversion: interface {} is ${goName(v)}, not bool`);
      return v;
    };
  }

  function unary(node: Node & { t: 'unary' }): Compiled<E> {
    if (node.op === 'not') {
      const test = boolean(node.arg);
      return { run: (e, f) => !test(e, f), kind: 'bool' };
    }
    const { run, kind } = compile(node.arg);
    if (kind !== 'any' && kind !== 'int' && kind !== 'float')
      throw fail(`invalid operation: ${node.op} (mismatched type ${goKindName(kind)})`, node);
    const minus = node.op === '-';
    return {
      run: (e, f) => {
        const v = run(e, f);
        if (typeof v === 'bigint') return minus ? BigInt.asIntN(64, -v) : v;
        if (typeof v === 'number') return minus ? -v : v;
        throw new Error(`invalid operation: ${node.op} ${goName(v)}`);
      },
      kind,
    };
  }

  function binary(node: Node & { t: 'binary' }): Compiled<E> {
    const { op } = node;
    if (op === 'and' || op === 'or') {
      const l = boolean(node.left);
      const r = boolean(node.right);
      return { run: op === 'and' ? (e, f) => l(e, f) && r(e, f) : (e, f) => l(e, f) || r(e, f), kind: 'bool' };
    }
    const left = compile(node.left);
    const right = compile(node.right);
    const l = left.run;
    const r = right.run;
    const mismatch = () =>
      fail(`invalid operation: ${op} (mismatched types ${goKindName(left.kind)} and ${goKindName(right.kind)})`, node);
    const known = (k: Kind) => k !== 'any' && k !== 'nil';
    const number = (k: Kind) => k === 'int' || k === 'float';
    switch (op) {
      case '??':
        return {
          run: (e, f) => {
            const v = l(e, f);
            return v === null || v === undefined || v === SKIP ? r(e, f) : v;
          },
          kind: left.kind === right.kind ? left.kind : 'any',
        };
      case '==':
      case '!=': {
        if (
          known(left.kind) &&
          known(right.kind) &&
          left.kind !== right.kind &&
          !(number(left.kind) && number(right.kind))
        )
          throw mismatch();
        return {
          run: op === '==' ? (e, f) => equal(l(e, f), r(e, f)) : (e, f) => !equal(l(e, f), r(e, f)),
          kind: 'bool',
        };
      }
      case '<':
      case '<=':
      case '>':
      case '>=': {
        for (const k of [left.kind, right.kind])
          if (k === 'bool' || k === 'nil' || k === 'array' || k === 'map') throw mismatch();
        if (
          known(left.kind) &&
          known(right.kind) &&
          left.kind !== right.kind &&
          !(number(left.kind) && number(right.kind))
        )
          throw mismatch();
        if (op === '<') return { run: (e, f) => order(op, l(e, f), r(e, f)) < 0, kind: 'bool' };
        if (op === '<=') return { run: (e, f) => order(op, l(e, f), r(e, f)) <= 0, kind: 'bool' };
        if (op === '>') return { run: (e, f) => order(op, l(e, f), r(e, f)) > 0, kind: 'bool' };
        return { run: (e, f) => order(op, l(e, f), r(e, f)) >= 0, kind: 'bool' };
      }
      case '+': {
        if (
          known(left.kind) &&
          known(right.kind) &&
          left.kind !== 'time' &&
          right.kind !== 'time' &&
          left.kind !== right.kind &&
          !(number(left.kind) && number(right.kind))
        )
          throw mismatch();
        return { run: (e, f) => add(l(e, f), r(e, f)), kind: left.kind === right.kind ? left.kind : 'any' };
      }
      case '-':
      case '*':
      case '/':
      case '%':
      case '**': {
        for (const k of [left.kind, right.kind])
          if (known(k) && !number(k) && !(op === '-' && k === 'time')) throw mismatch();
        return {
          run: (e, f) => arithmetic(op, l(e, f), r(e, f)),
          kind: op === '/' || op === '**' ? 'float' : op === '%' ? 'int' : 'any',
        };
      }
      case '..':
        return {
          run: (e, f) => {
            const a = l(e, f);
            const b = r(e, f);
            if (typeof a !== 'bigint' || typeof b !== 'bigint')
              throw new Error(`invalid operation: ${goName(a)} .. ${goName(b)}`);
            if (b - a >= MAX_RANGE) throw tooLarge();
            const out: ExprValue[] = [];
            for (let i = a; i <= b; i++) out.push(i);
            return out;
          },
          kind: 'array',
        };
      case 'in':
        return membership(l, right);
      case 'matches':
        return matches(node, left, right);
      default: {
        for (const k of [left.kind, right.kind]) if (known(k) && k !== 'string') throw mismatch();
        return { run: textTest(op, l, r), kind: 'bool' };
      }
    }
  }

  function textTest(op: string, l: Run<E>, r: Run<E>): Run<E> {
    const test =
      op === 'contains'
        ? (a: string, b: string) => a.includes(b)
        : op === 'startsWith'
          ? (a: string, b: string) => a.startsWith(b)
          : (a: string, b: string) => a.endsWith(b);
    return (e, f) => {
      const a = l(e, f);
      const b = r(e, f);
      if (typeof a === 'string' && typeof b === 'string') return test(a, b);
      if (a === null || a === undefined || b === null || b === undefined) return false;
      throw new Error(`interface conversion: interface {} is ${goName(typeof a === 'string' ? b : a)}, not string`);
    };
  }

  function membership(l: Run<E>, right: Compiled<E>): Compiled<E> {
    if (right.kind === 'int' || right.kind === 'float' || right.kind === 'bool')
      throw new ExprSyntaxError(`invalid operation: in (mismatched type ${goKindName(right.kind)})`);
    if (right.constant && right.kind === 'array') {
      const list = constantOf(right) as readonly ExprValue[];
      const texts = new Set<ExprValue>(list.filter((v) => typeof v === 'string'));
      return {
        run: (e, f) => {
          const v = l(e, f);
          return typeof v === 'string' ? texts.has(v) : list.some((item) => equal(v, item));
        },
        kind: 'bool',
      };
    }
    const r = right.run;
    return {
      run: (e, f) => {
        const item = l(e, f);
        const container = r(e, f);
        if (container === null || container === undefined) return false;
        if (container instanceof Map) {
          if (item === null || item === undefined) return false;
          if (typeof item !== 'string') throw new Error(`cannot use ${goName(item)} as a map key`);
          return container.has(item);
        }
        if (Array.isArray(container)) return container.some((v) => equal(item, v));
        throw new Error(`operator "in" not defined on ${goName(container)}`);
      },
      kind: 'bool',
    };
  }

  function matches(node: Node & { t: 'binary' }, left: Compiled<E>, right: Compiled<E>): Compiled<E> {
    for (const k of [left.kind, right.kind])
      if (k !== 'any' && k !== 'string' && k !== 'nil')
        throw fail(
          `invalid operation: matches (mismatched types ${goKindName(left.kind)} and ${goKindName(right.kind)})`,
          node,
        );
    const l = left.run;
    const subject = (v: ExprValue): string | undefined => {
      if (typeof v === 'string') return v;
      if (v === null || v === undefined) return undefined;
      throw new Error(`interface conversion: interface {} is ${goName(v)}, not string`);
    };
    if (node.right.t === 'const' && typeof node.right.value === 'string') {
      let regex: ReturnType<typeof compileRegex>;
      try {
        regex = compileRegex(node.right.value);
      } catch (error) {
        throw fail((error as Error).message, node.right);
      }
      return {
        run: (e, f) => {
          const text = subject(l(e, f));
          return text !== undefined && regex.test(text);
        },
        kind: 'bool',
      };
    }
    const r = right.run;
    let last = '';
    let compiled: ReturnType<typeof compileRegex> | undefined;
    return {
      run: (e, f) => {
        const text = subject(l(e, f));
        const pattern = subject(r(e, f));
        if (text === undefined || pattern === undefined) return false;
        if (!compiled || last !== pattern) {
          compiled = compileRegex(pattern);
          last = pattern;
        }
        return compiled.test(text);
      },
      kind: 'bool',
    };
  }

  function member(node: Node & { t: 'member' }): Compiled<E> {
    const object = compile(node.object).run;
    const { optional } = node;
    if (node.key.t === 'const' && typeof node.key.value === 'string') {
      const key = node.key.value;
      return {
        run: (e, f) => {
          const o = object(e, f);
          if (o instanceof Map) return o.get(key);
          if (o === SKIP) return SKIP;
          if (optional && (o === null || o === undefined)) return SKIP;
          throw new Error(`cannot fetch ${key} from ${goName(o)}`);
        },
        kind: 'any',
      };
    }
    const k = compile(node.key).run;
    return {
      run: (e, f) => {
        const o = object(e, f);
        if (o === SKIP) return SKIP;
        if (optional && (o === null || o === undefined)) return SKIP;
        return fetch(o, k(e, f));
      },
      kind: 'any',
    };
  }

  function slice(node: Node & { t: 'slice' }): Compiled<E> {
    const object = compile(node.object).run;
    const from = node.from && compile(node.from).run;
    const to = node.to && compile(node.to).run;
    return {
      run: (e, f) => {
        const o = object(e, f);
        if (o === SKIP) return SKIP;
        if (typeof o !== 'string' && !Array.isArray(o)) throw new Error(`cannot slice ${goName(o)}`);
        const length = o.length;
        const bound = (v: ExprValue, missing: number) => {
          if (v === undefined) return missing;
          if (typeof v !== 'bigint') throw new Error(`cannot slice with ${goName(v)}`);
          const n = Number(v);
          return Math.min(length, Math.max(0, n < 0 ? n + length : n));
        };
        const a = bound(from?.(e, f), 0);
        const b = bound(to?.(e, f), length);
        return o.slice(a, Math.max(a, b));
      },
      kind: 'any',
    };
  }

  function method(node: Node & { t: 'method' }): Compiled<E> {
    const object = compile(node.object).run;
    const { name } = node;
    if (node.args.length > 0 || !METHODS.has(name)) throw fail(`unknown method ${name}`, node);
    const get = METHODS.get(name)!;
    return {
      run: (e, f) => {
        const o = object(e, f);
        if (o === SKIP) return SKIP;
        if (!(o instanceof Instant)) throw new Error(`cannot fetch ${name} from ${goName(o)}`);
        return get(o);
      },
      kind: 'any',
    };
  }

  function call(node: Node & { t: 'call' }): Compiled<E> {
    const { name } = node;
    const predicate = PREDICATES.get(name);
    if (predicate && (node.args[1]?.t === 'closure' || !BUILTINS.has(name))) {
      if (node.args.length < 1 || node.args.length > (name === 'reduce' || name === 'sortBy' ? 3 : 2))
        throw fail(`invalid number of arguments for ${name}`, node);
      const closure = node.args[1];
      const list = compile(node.args[0]!).run;
      let body: Run<E> | undefined;
      if (closure?.t === 'closure') {
        scopes.push({ kind: 'predicate' });
        body = compile(closure.body).run;
        scopes.pop();
      } else if (closure || name !== 'count') throw fail(`${name} takes a list and a predicate`, node);
      const extra = node.args[2] ? compile(node.args[2]).run : undefined;
      return {
        run: (e, f) => {
          const items = list(e, f);
          const array = Array.isArray(items) ? (items as readonly ExprValue[]) : undefined;
          if (!array) throw new Error(`builtin ${name} takes only array (got ${goName(items)})`);
          const frame: Frame = { parent: f, value: null, index: 0, acc: null };
          const at = (i: number, acc?: ExprValue): ExprValue => {
            if (!body) return array[i];
            frame.value = array[i];
            frame.index = i;
            frame.acc = acc;
            return body(e, frame);
          };
          return predicate(array, at, extra?.(e, f));
        },
        kind: RESULT_KINDS.get(name) ?? 'any',
      };
    }
    const fn = names.functions.get(name) ?? BUILTINS.get(name);
    if (!fn) throw fail(`unknown name ${name}`, node);
    const args = node.args.map((a) => compile(a).run);
    const kind = RESULT_KINDS.get(name) ?? 'any';
    if (args.length === 1) {
      const only = args[0]!;
      return { run: (e, f) => fn([only(e, f)]), kind };
    }
    return { run: (e, f) => fn(args.map((a) => a(e, f))), kind };
  }

  return compile(root);
}

export function fetch(o: ExprValue, key: ExprValue): ExprValue {
  if (o instanceof Map) {
    if (typeof key !== 'string') throw new Error(`cannot use ${goName(key)} to index map[string]interface {}`);
    return o.get(key);
  }
  if (Array.isArray(o) && (typeof key === 'bigint' || typeof key === 'number')) {
    const n = Math.trunc(Number(key));
    const i = n < 0 ? n + o.length : n;
    if (i < 0 || i >= o.length) throw new Error(`index out of range: ${n} (array length is ${o.length})`);
    return o[i];
  }
  throw new Error(`cannot fetch ${typeof key === 'string' ? key : String(key)} from ${goName(o)}`);
}

const METHODS: ReadonlyMap<string, (t: Instant) => ExprValue> = new Map<string, (t: Instant) => ExprValue>([
  ['Unix', (t) => t.unixNano / 1_000_000_000n],
  ['UnixMilli', (t) => t.unixNano / 1_000_000n],
  ['UnixMicro', (t) => t.unixNano / 1000n],
  ['UnixNano', (t) => t.unixNano],
  ['Year', (t) => BigInt(t.date().getUTCFullYear())],
  ['Month', (t) => BigInt(t.date().getUTCMonth() + 1)],
  ['Day', (t) => BigInt(t.date().getUTCDate())],
  ['Hour', (t) => BigInt(t.date().getUTCHours())],
  ['Minute', (t) => BigInt(t.date().getUTCMinutes())],
  ['Second', (t) => BigInt(t.date().getUTCSeconds())],
  ['String', (t) => t.toString()],
]);
