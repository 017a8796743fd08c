/** From the configuration and what the cluster has to the streams that are run. */
import { ConfigError } from '../../../core/errors.ts';
import type { Logger } from '../../../core/log.ts';
import { compileRegex } from '../../../core/regex.ts';
import type { DiscoveredResource } from '../../../kubernetes/discovery.ts';
import type { ResourceType, Selection } from '../../../kubernetes/object.ts';
import { positionKey } from '../../../kubernetes/position-store.ts';
import type { K8sObjectsConfig, ObjectConfig } from './index.ts';

export interface PlannedStream {
  readonly object: ObjectConfig;
  readonly type: ResourceType;
  readonly selection: Selection;
  /** Of the stored version. */
  readonly key: string;
}

export interface ResolvedObject {
  readonly object: ObjectConfig;
  readonly type: DiscoveredResource;
}

/** The resources that are meant. Throws ConfigError for one that is missing, as error_mode says, or when none is left. */
export function resolveObjects(
  config: K8sObjectsConfig,
  resources: readonly DiscoveredResource[],
  log: Logger,
): ResolvedObject[] {
  const resolved: ResolvedObject[] = [];
  for (const object of config.objects) {
    const type = resources.find((r) => r.resource === object.name && (object.group === '' || r.group === object.group));
    if (type) {
      resolved.push({ object, type });
      continue;
    }
    const all = [...new Set(resources.map((r) => r.resource))].sort().join(' ');
    const message = `resource not found: ${object.name}${object.group === '' ? '' : ` in group ${object.group}`}. Available resources in cluster: [${all}]`;
    if (config.error_mode === 'propagate') throw new ConfigError(message);
    if (config.error_mode === 'ignore') log.info(message);
  }
  if (resolved.length === 0) throw new ConfigError('no valid Kubernetes objects found to watch');
  return resolved;
}

/** `namespaces` of the cluster are needed when some are excluded. */
export function planStreams(resolved: readonly ResolvedObject[], namespaces: readonly string[]): PlannedStream[] {
  const taken = new Set<string>();
  return resolved.flatMap(({ object, type }) =>
    namespacesOf(object, type, namespaces).map((namespace) => {
      const { name, label_selector: labelSelector, field_selector: fieldSelector } = object;
      const key = freeKey(positionKey(name, namespace), `${type.group} ${labelSelector} ${fieldSelector}`, taken);
      return { object, type, selection: { namespace, labelSelector, fieldSelector }, key };
    }),
  );
}

function namespacesOf(object: ObjectConfig, type: DiscoveredResource, all: readonly string[]): readonly string[] {
  if (!type.isNamespaced) return [''];
  if (object.exclude_namespaces.length > 0) {
    const isExcluded = object.exclude_namespaces.map(({ regexp, strict }) => {
      if (strict !== '') return (n: string) => n === strict;
      const regex = compileRegex(regexp);
      return (n: string) => regex.test(n);
    });
    return all.filter((n) => !isExcluded.some((test) => test(n)));
  }
  return object.namespaces.length > 0 ? [...new Set(object.namespaces)] : [''];
}

/** otelcol's key for the first stream of a resource; others would overwrite its version. */
function freeKey(key: string, what: string, taken: Set<string>): string {
  let free = key;
  if (taken.has(free)) free = `${key} ${what.trim()}`;
  for (let n = 2; taken.has(free); n++) free = `${key} ${what.trim()} ${n}`;
  taken.add(free);
  return free;
}
