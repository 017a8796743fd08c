/** `collection()`: from what a user wrote to what everything else is made from. */
import { tierConfig } from './config.ts';
import { normalSpec } from './normal.ts';
import type { Collection, Spec } from './spec.ts';

/**
 * Agents on every node and a gateway in the cluster, from presets. Throws a ConfigError that says all that is wrong.
 *
 *     collection({
 *       clusterName: 'home',
 *       agent: { presets: { kubeletMetrics: { tls: 'skip' }, falco: true } },
 *       gateway: { presets: { kubernetesEvents: { excludeNamespaces: ['ci'] } } },
 *     })
 */
export function collection(input: Spec = {}): Collection {
  const spec = normalSpec(input);
  const names = (['agent', 'gateway'] as const).filter((name) => spec[name] !== undefined);
  return { spec, tiers: names.map((name) => ({ name, config: tierConfig(spec, name) })) };
}
