/** Changes to a configuration: a map merges, a list replaces, and operators edit both; the same in TypeScript and YAML. */
import { ConfigError } from '../core/errors.ts';
import type { Json, JsonMap } from './config.ts';

/** Which items of a list: the item itself, or maps that have these members (`{id: 'container-parser'}`). */
export type ItemMatch = Json;

/** Edits of a list; several in one object apply in this order: remove, replaceItem, insertBefore, insertAfter, prepend, append. */
export interface ListEdit {
  /** Items put behind the list. */
  $append?: Json[];
  /** Items put before the list. */
  $prepend?: Json[];
  /** Items put before the first one that matches. */
  $insertBefore?: { match: ItemMatch; items: Json[] };
  /** Items put behind the last one that matches. */
  $insertAfter?: { match: ItemMatch; items: Json[] };
  /** Items that match are taken out. */
  $remove?: ItemMatch[];
  /** The items that match become this one. */
  $replaceItem?: { match: ItemMatch; item: Json };
}
/** The value becomes this one; a map is not merged with what was there. */
export interface Replace {
  $replace: Json;
}
/** The key goes away; a component also from all pipelines and from service.extensions. */
export interface Remove {
  $remove: true;
}
/** A part of a configuration: JSON, with operators at any place. */
export type Edit = null | boolean | number | string | Json[] | ListEdit | Replace | Remove | { [key: string]: Edit };

/** Edits in the shape of the configuration. */
export interface ConfigEdits {
  extensions?: Record<string, Edit>;
  receivers?: Record<string, Edit>;
  processors?: Record<string, Edit>;
  exporters?: Record<string, Edit>;
  connectors?: Record<string, Edit>;
  service?: Record<string, Edit>;
}

export const append = (...items: Json[]): ListEdit => ({ $append: items });
export const prepend = (...items: Json[]): ListEdit => ({ $prepend: items });
export const insertBefore = (match: ItemMatch, ...items: Json[]): ListEdit => ({ $insertBefore: { match, items } });
export const insertAfter = (match: ItemMatch, ...items: Json[]): ListEdit => ({ $insertAfter: { match, items } });
/** Without arguments the key itself; with some, these items of the list. */
export function remove(): Remove;
export function remove(...items: ItemMatch[]): ListEdit;
export function remove(...items: ItemMatch[]): Remove | ListEdit {
  return items.length === 0 ? { $remove: true } : { $remove: items };
}
export const replace = (value: Json): Replace => ({ $replace: value });
export const replaceItem = (match: ItemMatch, item: Json): ListEdit => ({ $replaceItem: { match, item } });

type Path = readonly (string | number)[];

const OPERATORS = ['$append', '$prepend', '$insertBefore', '$insertAfter', '$remove', '$replaceItem', '$replace'];

export const isMap = (v: unknown): v is JsonMap => typeof v === 'object' && v !== null && !Array.isArray(v);

/** Stands for "this key goes away". */
export const GONE = Symbol('gone');

const failed = (path: Path, message: string, hint?: string): ConfigError =>
  new ConfigError([{ path, message, ...(hint ? { hint } : {}) }], { headline: 'invalid spec' });

/** What `base` becomes. Neither argument is changed. */
export function applyEdit(base: Json | undefined, edit: Edit, path: Path): Json | typeof GONE {
  if (!isMap(edit)) return structuredClone(edit) as Json;
  const operators = Object.keys(edit).filter((k) => k.startsWith('$'));
  if (operators.length > 0) return operate(base, edit, operators, path);
  const out: JsonMap = isMap(base) ? { ...base } : {};
  for (const [key, inner] of Object.entries(edit)) {
    const next = applyEdit(out[key], inner as Edit, [...path, key]);
    if (next === GONE) delete out[key];
    else out[key] = next;
  }
  return out;
}

function operate(base: Json | undefined, edit: JsonMap, operators: string[], path: Path): Json | typeof GONE {
  const unknown = operators.find((o) => !OPERATORS.includes(o));
  if (unknown) throw failed([...path, unknown], `unknown operator ${unknown}`, `operators: ${OPERATORS.join(', ')}`);
  const stray = Object.keys(edit).find((k) => !k.startsWith('$'));
  if (stray !== undefined)
    throw failed([...path, stray], 'a map has either operators or keys', 'put the operator inside of the key it edits');
  if (edit['$remove'] === true || '$replace' in edit) {
    if (operators.length > 1) throw failed(path, `${operators.join(' and ')} cannot stand together`);
    if (edit['$remove'] !== true) return structuredClone(edit['$replace'] as Json);
    if (base === undefined)
      throw failed(path, 'there is nothing to remove', 'render without the edit to see what there is');
    return GONE;
  }
  if (base !== undefined && base !== null && !Array.isArray(base))
    throw failed(path, `${operators.join(', ')} edit lists, and this is none`, 'use keys, or $replace');
  return editList([...(base ?? [])] as Json[], edit as ListEdit, path);
}

function editList(list: Json[], edit: ListEdit, path: Path): Json[] {
  const found = (op: string, match: ItemMatch | undefined): number[] => {
    const at = list.flatMap((item, i) => (match !== undefined && matches(item, match) ? [i] : []));
    if (at.length === 0)
      throw failed(
        [...path, op],
        `no item matches ${JSON.stringify(match)}`,
        `the list: ${list.map(shown).join(', ') || 'empty'}`,
      );
    return at;
  };
  for (const match of edit.$remove ?? []) {
    const gone = found('$remove', match);
    list = list.filter((_, i) => !gone.includes(i));
  }
  const { $replaceItem: swap, $insertBefore: before, $insertAfter: after } = edit;
  if (swap) for (const i of found('$replaceItem', swap.match)) list[i] = structuredClone(swap.item);
  if (before) list.splice(found('$insertBefore', before.match)[0]!, 0, ...structuredClone(before.items));
  if (after) list.splice(found('$insertAfter', after.match).at(-1)! + 1, 0, ...structuredClone(after.items));
  return [...structuredClone(edit.$prepend ?? []), ...list, ...structuredClone(edit.$append ?? [])];
}

const shown = (item: Json): string => {
  const name = isMap(item) ? (item['id'] ?? item['name'] ?? item['type']) : item;
  return JSON.stringify(isMap(item) && typeof name === 'string' ? { id: name } : item);
};

/** Maps match when they have all members of the pattern; everything else by equality. */
function matches(item: Json, pattern: ItemMatch): boolean {
  if (!isMap(pattern)) return JSON.stringify(item) === JSON.stringify(pattern);
  return isMap(item) && Object.entries(pattern).every(([k, v]) => JSON.stringify(item[k]) === JSON.stringify(v));
}
