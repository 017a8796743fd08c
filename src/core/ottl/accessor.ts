/** Places that statements read and write: a field of a message, a map, or something inside of them. */
import type { Value, ValueMap } from '../../wire/otlp.ts';
import { copyMap, copyValue, Key, LazyMap } from '../edit/lazy-map.ts';
import type { FieldKind, Message } from '../edit/message.ts';
import { valueText } from '../edit/values.ts';
import type { Env } from './env.ts';
import { fail, goKind, goName, Instant, index, type Kind, kindOf, type OttlValue, toValue } from './values.ts';

export type Get = (env: Env) => OttlValue;

export interface Accessor {
  readonly kind: Kind;
  readonly get: Get;
  /** Absent: the place can only be read. */
  readonly set?: (env: Env, v: OttlValue) => void;
  /** The container that stands there, which the caller is going to change in place. */
  readonly update?: Get;
}

type MessageOf = (env: Env) => Message;

const expect = (kind: Kind, v: OttlValue): void => {
  if (kindOf(v) !== kind) fail(`expects ${goKind(kind)} but got ${goName(v)}`);
};

const SEEN_AS: Readonly<Partial<Record<FieldKind, Kind>>> = {
  bool: 'bool',
  double: 'float',
  string: 'string',
  bytes: 'bytes',
  doubles: 'list',
  fixed64s: 'list',
  varints: 'list',
};

/** A field with a type of its own. */
export function field(message: MessageOf, number: number, kind: FieldKind): Accessor {
  const seen = SEEN_AS[kind] ?? 'int';
  return {
    kind: seen,
    get: (env) => message(env).get(number, kind) as Value,
    set(env, v) {
      expect(seen, v);
      message(env).set(number, kind, copyValue(v as Value));
    },
  };
}

/** A field of nanoseconds, seen as time.Time. */
export function timeField(message: MessageOf, number: number): Accessor {
  return {
    kind: 'time',
    get: (env) => new Instant(message(env).get(number, 'fixed64') as bigint),
    set(env, v) {
      if (!(v instanceof Instant)) return fail(`expects time.Time but got ${goName(v)}`);
      message(env).set(number, 'fixed64', BigInt.asUintN(64, v.ns));
    },
  };
}

/** Ids have a fixed length; one that is not set is all zeros. */
export function idField(message: MessageOf, number: number, length: number): Accessor {
  const none = new Uint8Array(length);
  return {
    kind: 'bytes',
    get(env) {
      const id = message(env).get(number, 'bytes') as Uint8Array;
      return id.length === 0 ? none : id;
    },
    set(env, v) {
      if (!(v instanceof Uint8Array) || v.length !== length)
        return fail(`expects ${length} bytes but got ${goName(v)}`);
      message(env).set(number, 'bytes', v);
    },
  };
}

const hex = (b: Uint8Array): string => Buffer.from(b.buffer, b.byteOffset, b.length).toString('hex');

/** The same id as hexadecimal text; '' when it is not set. */
export function idText(message: MessageOf, number: number, length: number): Accessor {
  return {
    kind: 'string',
    get: (env) => hex(message(env).get(number, 'bytes') as Uint8Array),
    set(env, v) {
      expect('string', v);
      const id = Buffer.from(v as string, 'hex');
      if (id.length !== length || (v as string).length !== length * 2) fail(`expects ${length * 2} hexadecimal digits`);
      message(env).set(number, 'bytes', new Uint8Array(id));
    },
  };
}

/** The key when it is known at the start. */
export type KeyGet = { readonly constant: string | bigint } | { readonly get: Get };

const keyValue = (key: KeyGet, env: Env): string | bigint => {
  if ('constant' in key) return key.constant;
  const v = key.get(env);
  return typeof v === 'string' || typeof v === 'bigint' ? v : fail(`unsupported key type ${goName(v)}`);
};

/** A container that is going to be changed. */
function step(container: Value, key: string | bigint): Value | undefined {
  if (container instanceof LazyMap && typeof key === 'string') return container.getForUpdate(key);
  return index(container, key) as Value;
}

function put(container: Value, key: string | bigint, value: Value): void {
  if (container instanceof Map) {
    if (typeof key !== 'string') fail('map must be indexed by a string');
    container.set(key, value);
  } else if (Array.isArray(container)) {
    if (typeof key !== 'bigint') fail('slice must be indexed by an int');
    if (key < 0n || key >= BigInt(container.length)) fail(`index ${key} out of bounds`);
    container[Number(key)] = value;
  } else fail(`type ${goName(container)} does not support indexing`);
}

/** Something inside of `root`, below one or more keys. Maps on the way are made when they are not there. */
function below(root: Accessor, keys: readonly KeyGet[]): Accessor {
  const last = keys.at(-1)!;
  const way = keys.slice(0, -1);
  const get: Get = (env) => {
    let v = root.get(env);
    for (const key of keys) v = index(v, keyValue(key, env));
    return v;
  };
  const { update } = root;
  if (!update) return { kind: 'any', get };
  const container = (env: Env): Value => {
    let v = update(env) as Value;
    for (const key of way) {
      const k = keyValue(key, env);
      let inner = step(v, k);
      if (inner === null || inner === undefined) put(v, k, (inner = new Map()));
      v = inner;
    }
    return v;
  };
  return {
    kind: 'any',
    get,
    set(env, v) {
      put(container(env), keyValue(last, env), copyValue(toValue(v)));
    },
    update(env) {
      // Looked at first: reading must not make maps on the way.
      const found = get(env);
      return found !== null && typeof found === 'object' ? (step(container(env), keyValue(last, env)) ?? null) : found;
    },
  };
}

/** `attributes`, `metadata`: a map of its own. */
export function mapField(map: (env: Env) => LazyMap, keys: readonly KeyGet[]): Accessor {
  const root: Accessor = {
    kind: 'map',
    get: map,
    update: map,
    set(env, v) {
      if (!(v instanceof Map)) return fail(`expects pcommon.Map but got ${goName(v)}`);
      const target = map(env);
      const entries = copyMap(v);
      target.clear();
      for (const [k, item] of entries) target.set(k, item);
    },
  };
  const [first] = keys;
  if (!first) return root;
  if (keys.length > 1 || !('constant' in first) || typeof first.constant !== 'string') return below(root, keys);
  const key = new Key(first.constant);
  return {
    kind: 'any',
    get: (env) => map(env).getKey(key) ?? null,
    set(env, v) {
      map(env).setKey(key, copyValue(toValue(v)));
    },
    update: (env) => map(env).getForUpdate(key.text) ?? null,
  };
}

export function cacheField(keys: readonly KeyGet[]): Accessor {
  const root: Accessor = {
    kind: 'map',
    get: (env) => env.cache,
    update: (env) => env.cache,
    set(env, v) {
      if (!(v instanceof Map)) return fail(`expects pcommon.Map but got ${goName(v)}`);
      env.cache = copyMap(v as ValueMap);
    },
  };
  return keys.length > 0 ? below(root, keys) : root;
}

/** A field that holds any value (the body of a log record). */
export function anyField(message: MessageOf, number: number, keys: readonly KeyGet[]): Accessor {
  const root: Accessor = {
    kind: 'any',
    get: (env) => message(env).get(number, 'any') as Value,
    set: (env, v) => message(env).set(number, 'any', copyValue(toValue(v))),
    update: (env) => message(env).getForUpdate(number),
  };
  return keys.length > 0 ? below(root, keys) : root;
}

export function anyText(message: MessageOf, number: number): Accessor {
  return {
    kind: 'string',
    get: (env) => valueText(message(env).get(number, 'any') as Value),
    set(env, v) {
      expect('string', v);
      message(env).set(number, 'any', v as string);
    },
  };
}
