/** `sluice/deploy`: from a typed spec to Kubernetes objects. */
export type { CollectorConfig, Json, TierName } from './config.ts';
export type { Collection, NormalSpec, Spec } from './spec.ts';
