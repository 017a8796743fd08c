/** Changes to a configuration: a map merges, a list replaces, and operators edit both; the same in TypeScript and YAML. */
import type { Json } from './config.ts';

/** Which items of a list: the item itself, or maps that have these members (`{id: 'container-parser'}`). */
export type ItemMatch = Json;

/** Edits of a list; several in one object apply in the order remove, replaceItem, insertBefore, insertAfter, prepend, append. */
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
/** The key goes away; for a component, also from all pipelines and from service.extensions. */
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
