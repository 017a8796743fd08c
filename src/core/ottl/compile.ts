/** Tree of a statement or condition → closure. Names and types are checked here; nothing is looked up when it runs. */
import type { Value } from '../../wire/otlp.ts';
import { didYouMean } from '../suggest.ts';
import type { Accessor, Get, KeyGet } from './accessor.ts';
import type { ContextName, Env } from './env.ts';
import type { FunctionDefinition, Parameter } from './function.ts';
import { callsIn, pathsIn } from './parser.ts';
import { CONTEXT_NAMES, ENUMS, PATHS, VISIBLE } from './paths.ts';
import {
  type BoolNode,
  type CallNode,
  OttlError,
  type PathNode,
  type StatementNode,
  type ValueNode,
} from './syntax.ts';
import { calculate, compare, equal, fail, goKind, goName, index, type Kind, kindOf, type OttlValue } from './values.ts';

export type FunctionTable = ReadonlyMap<string, FunctionDefinition>;

export interface CompileOptions {
  readonly context: ContextName;
  readonly functions: FunctionTable;
  /** Paths must begin with the name of a context. */
  readonly prefixed?: boolean;
}

/** A value with what is known about it. */
export interface Compiled {
  readonly at: number;
  readonly kind: Kind;
  readonly get: Get;
  readonly constant?: OttlValue;
}

export type Run = (env: Env) => void;
export type Test = (env: Env) => boolean;
/** What the resource alone tells of a condition; undefined: not enough. */
export type ResourceTest = (env: Env) => boolean | undefined;

export interface CompiledStatement {
  readonly run: Run;
  readonly where: Test | undefined;
}

const isConstant = (c: Compiled): c is Compiled & { constant: OttlValue } => c.constant !== undefined;

const constant = (at: number, value: OttlValue): Compiled => ({
  at,
  kind: kindOf(value),
  get: () => value,
  constant: value,
});

export class Compiler {
  readonly #options: CompileOptions;
  /** Set when something that was compiled may change a resource or scope, or gives another result every time. */
  writesShared = false;
  isPure = true;

  constructor(options: CompileOptions) {
    this.#options = options;
  }

  statement({ editor, where }: StatementNode): CompiledStatement {
    const definition = this.#function(editor, 'editor');
    const run = this.#invoke(editor, definition) as Run;
    return { run, where: where && this.bool(where) };
  }

  #function(call: CallNode, kind: 'editor' | 'converter'): FunctionDefinition {
    const { functions, context } = this.#options;
    const found = functions.get(call.name);
    if (found?.kind === kind && (!found.contexts || found.contexts.includes(context))) return found;
    const names = [...functions].filter(([, f]) => f.kind === kind).map(([name]) => name);
    const hint = didYouMean(call.name, names);
    const where = found?.kind === kind ? ` in context ${context}` : '';
    throw new OttlError(`undefined function ${JSON.stringify(call.name)}${where}${hint ? `; ${hint}` : ''}`, call.at);
  }

  #invoke(call: CallNode, definition: FunctionDefinition): (env: Env) => OttlValue | undefined {
    const { params } = definition;
    const given = new Map<string, ValueNode>();
    call.args.forEach(({ name, value }, i) => {
      const param = name === undefined ? params[i] : params.find((p) => p.name === name || p.name === snake(name));
      if (name !== undefined && !param) throw new OttlError(`no such parameter: ${name}`, value.at);
      if (!param)
        throw new OttlError(
          `incorrect number of arguments for function ${JSON.stringify(call.name)}. Expected: ${params.length} Received: ${call.args.length}`,
          call.at,
        );
      given.set(param.name, value);
    });
    const required = params.filter((p) => !p.optional);
    const missing = required.find((p) => !given.has(p.name));
    if (missing)
      throw new OttlError(
        `incorrect number of arguments for function ${JSON.stringify(call.name)}. Expected: ${required.length} Received: ${call.args.length} (missing: ${missing.name})`,
        call.at,
      );
    const args: Record<string, unknown> = {};
    params.forEach((param, i) => {
      const node = given.get(param.name);
      if (node) args[param.name] = this.#argument(node, param, call.name, i);
    });
    if (definition.isImpure) this.isPure = false;
    try {
      return definition.make(args as never);
    } catch (error) {
      if (error instanceof OttlError) throw error;
      throw new OttlError(
        `couldn't create function ${JSON.stringify(call.name)}: ${error instanceof Error ? error.message : String(error)}`,
        call.at,
      );
    }
  }

  #argument(node: ValueNode, param: Parameter, name: string, position: number): unknown {
    const wrong = (message: string): OttlError =>
      new OttlError(
        `error while parsing arguments for call to ${JSON.stringify(name)}: invalid argument at position ${position}: ${message}`,
        node.at,
      );
    const { type } = param;
    if (type === 'target') {
      if (node.t !== 'path') throw wrong('must be a path');
      const accessor = this.accessor(node);
      if (!accessor.set) throw wrong('cannot be changed');
      return accessor;
    }
    if (type === 'function') {
      if (node.t !== 'symbol') throw wrong('must be the name of a converter');
      const call: CallNode = { t: 'call', at: node.at, name: node.name, args: [], keys: [] };
      const definition = this.#function(call, 'converter');
      const first = definition.params[0];
      if (!first || definition.params.some((p, i) => i > 0 && !p.optional))
        throw wrong(`${node.name} does not take one value`);
      let input: OttlValue = null;
      const run = definition.make({
        [first.name]:
          first.type === 'pattern' ? undefined : typed({ at: node.at, kind: 'any', get: () => input }, first, wrong),
      } as never);
      return (env: Env, value: OttlValue): OttlValue => {
        input = value;
        return run(env) ?? null;
      };
    }
    if (type.startsWith('list:')) {
      const item: Parameter = { ...param, type: type.slice('list:'.length) as Parameter['type'] };
      if (node.t !== 'list') throw wrong('must be a list');
      return node.items.map((i) => this.#argument(i, item, name, position));
    }
    const value = this.value(node);
    if (type.startsWith('literal:')) {
      const kind = type.slice('literal:'.length);
      if (!isConstant(value) || value.kind !== kind) {
        if (kind === 'float' && isConstant(value) && value.kind === 'int') return Number(value.constant);
        throw wrong(`must be a literal ${goKind(kind as Kind)}`);
      }
      return value.constant;
    }
    return typed(value, param, wrong);
  }

  value(node: ValueNode): Compiled {
    const { at } = node;
    switch (node.t) {
      case 'literal':
        return constant(at, node.value);
      case 'symbol': {
        const value = ENUMS[this.#options.context].get(node.name);
        if (value === undefined)
          throw new OttlError(
            `enum symbol not found: ${node.name}${hintOf(node.name, ENUMS[this.#options.context].keys())}`,
            at,
          );
        return constant(at, value);
      }
      case 'path': {
        const { get, kind } = this.accessor(node);
        return { at, get, kind };
      }
      case 'call': {
        const definition = this.#function(node, 'converter');
        const run = this.#invoke(node, definition) as Get;
        if (node.keys.length === 0) return { at, get: run, kind: definition.returns ?? 'any' };
        const keys = node.keys.map((k) => this.value(k).get);
        const get: Get = (env) => {
          let v = run(env);
          for (const key of keys) v = index(v, key(env));
          return v;
        };
        return { at, get, kind: 'any' };
      }
      case 'list': {
        const items = node.items.map((i) => this.value(i));
        if (items.every(isConstant)) {
          const list = items.map((i) => i.constant) as Value[];
          return { ...constant(at, list), get: () => [...list] };
        }
        const gets = items.map((i) => i.get);
        return { at, kind: 'list', get: (env) => gets.map((g) => g(env)) as Value[] };
      }
      case 'map': {
        const entries = node.entries.map(([k, v]) => [k, this.value(v).get] as const);
        return { at, kind: 'map', get: (env) => new Map(entries.map(([k, g]) => [k, g(env) as Value])) };
      }
      case 'math': {
        const { op } = node;
        const left = this.value(node.left);
        const right = this.value(node.right);
        const get: Get = (env) => calculate(op, left.get(env), right.get(env));
        if (!isConstant(left) || !isConstant(right))
          return { at, get, kind: left.kind === right.kind ? left.kind : 'any' };
        try {
          return constant(at, calculate(op, left.constant, right.constant));
        } catch (error) {
          throw new OttlError(error instanceof Error ? error.message : String(error), at);
        }
      }
    }
  }

  accessor(node: PathNode): Accessor {
    const { context, prefixed } = this.#options;
    const visible = VISIBLE[context];
    const [first] = node.segments;
    let owner: ContextName = context;
    let segments = node.segments;
    const named = CONTEXT_NAMES.get(first!.name);
    if (named && node.segments.length > 1 && first!.keys.length === 0) {
      if (!visible.includes(named))
        throw new OttlError(`path ${JSON.stringify(this.#text(node))} cannot be used in context ${context}`, node.at);
      owner = named;
      segments = node.segments.slice(1);
    } else if (prefixed) {
      const options = visible.map((c) => JSON.stringify(`${c}.${this.#text(node)}`)).join(', ');
      throw new OttlError(
        `missing context name for path ${JSON.stringify(this.#text(node))}, possibly valid options are: ${options}`,
        node.at,
      );
    }
    const table = PATHS[owner];
    const name = segments.map((s) => s.name).join('.');
    const definition = table.get(name);
    const last = segments.length - 1;
    const keyed = segments.findIndex((s) => s.keys.length > 0);
    if (!definition)
      throw new OttlError(
        `segment ${JSON.stringify(name)} from path ${JSON.stringify(this.#text(node))} is not a valid path nor a valid OTTL keyword for the ${owner} context${hintOf(name, table.keys())}`,
        node.at,
      );
    if (keyed >= 0 && (keyed !== last || !definition.isIndexable))
      throw new OttlError(`path ${JSON.stringify(this.#text(node))} cannot be indexed`, node.at);
    if (name === 'cache' && owner !== context)
      throw new OttlError(`access to cache must be performed using the same statement's context ${context}`, node.at);
    const keys = segments[last]!.keys.map((k): KeyGet => {
      const key = this.value(k);
      if (!isConstant(key)) return { get: key.get };
      if (typeof key.constant === 'string' || typeof key.constant === 'bigint') return { constant: key.constant };
      throw new OttlError(`unsupported key type ${goKind(key.kind)}`, k.at);
    });
    try {
      const accessor = definition.make(keys);
      if ((owner !== 'resource' && owner !== 'scope') || context === owner) return accessor;
      return this.#watched(accessor);
    } catch (error) {
      throw new OttlError(error instanceof Error ? error.message : String(error), node.at);
    }
  }

  /** Notes when a statement takes a place above its record for writing. */
  #watched(accessor: Accessor): Accessor {
    const note = (): void => {
      this.writesShared = true;
    };
    const { set, update } = accessor;
    return {
      kind: accessor.kind,
      get: accessor.get,
      get set() {
        note();
        return set;
      },
      get update() {
        note();
        return update;
      },
    } as Accessor;
  }

  #text(node: PathNode): string {
    return node.segments.map((s) => s.name + s.keys.map(keyText).join('')).join('.');
  }

  bool(node: BoolNode): Test {
    switch (node.t) {
      case 'const': {
        const { value } = node;
        return () => value;
      }
      case 'not': {
        const item = this.bool(node.item);
        return (env) => !item(env);
      }
      case 'and': {
        const items = node.items.map((i) => this.bool(i));
        return (env) => {
          for (const item of items) if (!item(env)) return false;
          return true;
        };
      }
      case 'or': {
        const items = node.items.map((i) => this.bool(i));
        return (env) => {
          for (const item of items) if (item(env)) return true;
          return false;
        };
      }
      case 'call-bool': {
        const { get, kind } = this.value(node.call);
        if (kind !== 'any' && kind !== 'bool')
          throw new OttlError(
            `converter ${JSON.stringify(node.call.name)} gives ${goKind(kind)}, not a boolean`,
            node.at,
          );
        if (kind === 'bool') return get as Test;
        return (env) => {
          const v = get(env);
          return typeof v === 'boolean' ? v : fail(`value returned is not of type bool but ${goName(v)}`);
        };
      }
      case 'compare':
        return this.#compare(node);
    }
  }

  /**
   * The part of a condition that the resource decides, for all records below it at once; undefined when there is none. From
   * the first thing on that needs more nothing is looked at: what comes behind might fail for a record and must then be told.
   */
  resourceTest(node: BoolNode): ResourceTest | undefined {
    switch (node.t) {
      case 'not': {
        const item = this.resourceTest(node.item);
        return (
          item &&
          ((env) => {
            const v = item(env);
            return v === undefined ? undefined : !v;
          })
        );
      }
      case 'and':
      case 'or': {
        const items = node.items.map((i) => this.resourceTest(i));
        if (!items[0]) return undefined;
        const last = node.t === 'or';
        return (env) => {
          for (const item of items) {
            const v = item?.(env);
            if (v === undefined || v === last) return v;
          }
          return !last;
        };
      }
      default:
        return this.#isOfResource(node) ? this.bool(node) : undefined;
    }
  }

  #isOfResource(node: BoolNode): boolean {
    const { functions, context } = this.#options;
    for (const { segments } of pathsIn(node)) {
      const isNamed = segments.length > 1 && CONTEXT_NAMES.get(segments[0]!.name) === 'resource';
      if (!isNamed && (context !== 'resource' || CONTEXT_NAMES.has(segments[0]!.name))) return false;
      if (segments[isNamed ? 1 : 0]!.name === 'cache') return false;
    }
    for (const name of callsIn(node)) {
      const definition = functions.get(name);
      if (!definition || definition.contexts || definition.isImpure) return false;
    }
    return true;
  }

  #compare({ op, left: l, right: r }: Extract<BoolNode, { t: 'compare' }>): Test {
    const left = this.value(l);
    const right = this.value(r);
    const { get } = left;
    const other = right.get;
    if (isConstant(right) && (op === '==' || op === '!=')) {
      const want = right.constant;
      const is = op === '==';
      if (want === null || typeof want === 'string' || typeof want === 'boolean')
        return (env) => (get(env) === want) === is;
      return (env) => equal(get(env), want) === is;
    }
    return (env) => compare(op, get(env), other(env));
  }
}

const keyText = (k: ValueNode): string =>
  k.t === 'literal' ? `[${typeof k.value === 'string' ? JSON.stringify(k.value) : String(k.value)}]` : '[…]';

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

function hintOf(name: string, names: Iterable<string>): string {
  const hint = didYouMean(name, names);
  return hint ? `; ${hint}` : '';
}

const EXPECTED: Readonly<Record<string, readonly Kind[]>> = {
  string: ['string'],
  int: ['int'],
  float: ['float'],
  bool: ['bool'],
  map: ['map'],
  list: ['list'],
  time: ['time'],
  duration: ['duration'],
};

/** A getter that fails for values of another type; known values are checked now. */
function typed(value: Compiled, param: Parameter, wrong: (message: string) => OttlError): unknown {
  const { type } = param;
  if (type === 'any') return value.get;
  if (type === 'value') return value;
  if (type === 'pattern') {
    if (value.kind !== 'any' && value.kind !== 'string') throw wrong(`expected string but got ${goKind(value.kind)}`);
    return value;
  }
  const expected = EXPECTED[type];
  if (!expected) throw new Error(`unknown parameter type ${type}`);
  const { get } = value;
  if (value.kind !== 'any' && value.kind !== 'nil' && !expected.includes(value.kind))
    throw wrong(`expected ${goKind(expected[0]!)} but got ${goKind(value.kind)}`);
  if (isConstant(value) && value.constant !== null) return get;
  return (env: Env): OttlValue => {
    const v = get(env);
    if (!expected.includes(kindOf(v)))
      fail(`expected ${goKind(expected[0]!)} but got ${v === null ? 'nil' : goName(v)}`);
    return v;
  };
}
