/** Field paths (`body.a["b.c"]`): parsed once, then get, set and delete on entries without looking anything up. */
import * as z from 'zod';
import type { Value, ValueMap } from '../wire/otlp.ts';
import type { Entry } from './entry.ts';

export type FieldRoot = 'body' | 'attributes' | 'resource';

/** One part of a record. Values are found through maps only, as upstream: lists have no paths. */
export class Field {
  readonly root: FieldRoot;
  readonly keys: readonly string[];
  /** As written, for messages. */
  readonly text: string;
  readonly #last: string;

  constructor(root: FieldRoot, keys: readonly string[], text: string) {
    this.root = root;
    this.keys = keys;
    this.text = text;
    this.#last = keys.at(-1) ?? '';
  }

  get isRoot(): boolean {
    return this.keys.length === 0;
  }

  /** undefined: there is no such field; null is a value. */
  get(entry: Entry): Value | undefined {
    let value: Value | undefined =
      this.root === 'attributes' ? entry.attributes : this.root === 'body' ? entry.body : entry.resource;
    const keys = this.keys;
    for (let i = 0; i < keys.length; i++) {
      if (!(value instanceof Map)) return undefined;
      value = value.get(keys[i]!);
      if (value === undefined) return undefined;
    }
    return value;
  }

  /**
   * Makes maps on the way, in the place of whatever is there. A map is merged key by key into the map at the target.
   * Returns a message when the value cannot stand there.
   */
  set(entry: Entry, value: Value): string | undefined {
    const keys = this.keys;
    if (value instanceof Map) {
      let target = this.#rootMap(entry);
      for (let i = 0; i < keys.length; i++) target = childMap(target, keys[i]!);
      if (target !== value) for (const [k, v] of value) target.set(k, v);
      return undefined;
    }
    if (keys.length === 0) {
      if (this.root !== 'body') return `cannot set ${this.root} root`;
      entry.body = value;
      return undefined;
    }
    let target = this.#rootMap(entry);
    for (let i = 0; i < keys.length - 1; i++) target = childMap(target, keys[i]!);
    target.set(this.#last, value);
    return undefined;
  }

  /** Takes the field away; what it was, or undefined when there was none. */
  delete(entry: Entry): Value | undefined {
    const keys = this.keys;
    if (keys.length === 0) {
      if (this.root === 'body') {
        const old = entry.body;
        entry.body = null;
        return old;
      }
      const old = entry[this.root];
      entry[this.root] = new Map();
      return old;
    }
    let map: Value | undefined =
      this.root === 'attributes' ? entry.attributes : this.root === 'body' ? entry.body : entry.resource;
    for (let i = 0; i < keys.length - 1; i++) {
      if (!(map instanceof Map)) return undefined;
      map = map.get(keys[i]!);
    }
    if (!(map instanceof Map)) return undefined;
    const old = map.get(this.#last);
    if (old !== undefined) map.delete(this.#last);
    return old;
  }

  #rootMap(entry: Entry): ValueMap {
    if (this.root === 'attributes') return entry.attributes;
    if (this.root === 'resource') return entry.resource;
    if (entry.body instanceof Map) return entry.body;
    const map: ValueMap = new Map();
    entry.body = map;
    return map;
  }
}

function childMap(map: ValueMap, key: string): ValueMap {
  const child = map.get(key);
  if (child instanceof Map) return child;
  const made: ValueMap = new Map();
  map.set(key, made);
  return made;
}

export const BODY = new Field('body', [], 'body');
export const ATTRIBUTES = new Field('attributes', [], 'attributes');

/** The field, or what is wrong with the text. */
export function parseField(text: string, rootable = false): Field | { error: string } {
  const keys = splitField(text);
  if (!Array.isArray(keys)) return keys;
  const [root, ...rest] = keys;
  if (root !== 'body' && root !== 'attributes' && root !== 'resource')
    return { error: `unrecognized prefix in field ${JSON.stringify(text)}; write body, attributes or resource first` };
  if (rest.length === 0 && root !== 'body' && !rootable)
    return { error: `the whole of ${root} cannot be used here; write ${root}.<key>` };
  return new Field(root, rest, text);
}

function splitField(text: string): string[] | { error: string } {
  const bad = (why: string) => ({ error: `invalid field ${JSON.stringify(text)}: ${why}` });
  const keys: string[] = [];
  let i = 0;
  let key = '';
  // A name is due at the start and behind a dot; behind a bracket only `.` or `[` may follow.
  let due = true;
  for (;;) {
    if (due) {
      const from = i;
      while (i < text.length && text[i] !== '.' && text[i] !== '[') i++;
      key = text.slice(from, i);
      if (key === '') return bad(i < text.length || from > 0 ? 'a key is empty' : 'it is empty');
      if (key.includes(']')) return bad('found a `]` without `[`');
      keys.push(key);
      due = false;
    }
    if (i >= text.length) return keys;
    if (text[i] === '.') {
      due = true;
      i++;
      if (i >= text.length) return bad('it ends with a dot');
      continue;
    }
    if (text[i] !== '[') return bad('behind a bracket only `.` or `[` may follow');
    const quote = text[i + 1];
    if (quote !== '"' && quote !== "'") return bad('a key in brackets needs quotes');
    const end = text.indexOf(quote, i + 2);
    if (end < 0 || text[end + 1] !== ']') return bad('a bracket is not closed');
    if (end === i + 2) return bad('a key is empty');
    keys.push(text.slice(i + 2, end));
    i = end + 2;
  }
}

function schema(rootable: boolean) {
  return z.string().transform((text, ctx): Field => {
    const field = parseField(text, rootable);
    if (field instanceof Field) return field;
    ctx.addIssue({ code: 'custom', message: field.error });
    return z.NEVER;
  });
}

/** `body`, or a key somewhere below body, attributes or resource. */
export const fieldSchema = () => schema(false);
/** As fieldSchema, and bare `attributes` and `resource` too. */
export const rootableFieldSchema = () => schema(true);

/** Shares nothing with `value` that can be changed. */
export function cloneValue(value: Value): Value {
  if (value instanceof Map) return cloneMap(value);
  if (Array.isArray(value)) return value.map(cloneValue);
  return value;
}

export function cloneMap(map: ReadonlyMap<string, Value>): ValueMap {
  const copy: ValueMap = new Map();
  for (const [k, v] of map) copy.set(k, typeof v === 'object' ? cloneValue(v) : v);
  return copy;
}
