/** `sluice/deploy`: from a typed spec to configurations and Kubernetes objects. */
export { collection } from './collection.ts';
export type { CollectorConfig, Components, Json, Pipeline, TierName } from './config.ts';
export { tierConfig } from './config.ts';
export {
  alertGroups,
  type DashboardObjectsOptions,
  dashboardFiles,
  dashboardObjects,
  dashboards,
} from './dashboards/index.ts';
export { type Change, describeDiff, diffObjects, type ObjectDiff } from './diff.ts';
export type { ConfigEdits, Edit, ItemMatch, ListEdit, Remove, Replace } from './edit.ts';
export { append, insertAfter, insertBefore, prepend, remove, replace, replaceItem } from './edit.ts';
export type { KubernetesObject } from './kubernetes-object.ts';
export { type HostPath, type Listening, type Needs, needsOf } from './needs.ts';
export { normalSpec } from './normal.ts';
export { configYaml, objectsOf, objectsOf as objects } from './objects.ts';
export type * from './presets/options.ts';
export { type PolicyRule, type Rbac, type RbacOptions, type Right, rbacOf, rightsOf } from './rbac.ts';
export { collectionFromYaml, fromYaml } from './read.ts';
export { type Format, parseObjects, toFiles, toJson, toYaml } from './render.ts';
export type * from './spec.ts';
