/** `sluice/deploy`: from a typed spec to configurations and Kubernetes objects. */
export { collection } from './collection.ts';
export type { CollectorConfig, Components, Json, Pipeline, TierName } from './config.ts';
export { tierConfig } from './config.ts';
export type { ConfigEdits, Edit, ItemMatch, ListEdit, Remove, Replace } from './edit.ts';
export { append, insertAfter, insertBefore, prepend, remove, replace, replaceItem } from './edit.ts';
export { normalSpec } from './normal.ts';
export type * from './presets/options.ts';
export { collectionFromYaml } from './read.ts';
export type * from './spec.ts';
