/**
 * What is not known of a pod although it soon will be: the kubelet reports the address of a pod, the id of a container
 * and its restart only after the container has written its first lines, and the objects around pods come by other
 * watches than the pods themselves.
 */
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import { containerOf, OWNER_NAMES, restartCountOf, type Surroundings } from './enrich.ts';
import type { PodFacts } from './facts.ts';
import { textOf } from './identify.ts';
import type { Rules } from './rules.ts';

/** A name for what is lacking: the run of a container. '': nothing that the rules ask for. */
export function lacking(attributes: ReadonlyValueMap, pod: PodFacts, rules: Rules, around: Surroundings): string {
  if (pod.isIgnored) return '';
  const container = textOf(attributes, 'k8s.container.name');
  const isLacking =
    !around.isComplete ||
    (around.knowsNamespaces && !around.namespace(pod.namespace)) ||
    (pod.ip === '' && rules.has('k8s.pod.ip')) ||
    (container !== '' && lacksContainer(attributes, pod, rules)) ||
    pod.owners.some(({ kind, uid }) => {
      const owner = OWNER_NAMES[kind];
      return owner !== undefined && around.watches(owner) && !around.owner(owner, uid);
    });
  return isLacking ? `${pod.uid} ${container} ${attributes.get('k8s.container.restart_count') ?? ''}` : '';
}

function lacksContainer(attributes: ReadonlyValueMap, pod: PodFacts, rules: Rules): boolean {
  if (!rules.has('container.id', 'container.image.repo_digests', 'service.instance.id')) return false;
  const container = containerOf(attributes, pod);
  return !container?.isMade || restartCountOf(attributes, container) > container.restartCount;
}
