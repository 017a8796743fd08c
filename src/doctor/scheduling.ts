/** Why the scheduler would not put a pod of a DaemonSet on a node: taints, node selectors, required affinity. */
import type { KubernetesObject } from '../kubernetes/object.ts';
import { type Fields, fieldsOf, listOf, mapOf, textOf, textsOf } from './objects.ts';

/** What the controller of DaemonSets tolerates for its pods by itself. */
const TOLERATED_ANYWAY: readonly (readonly [key: string, effect: string])[] = [
  ['node.kubernetes.io/not-ready', 'NoExecute'],
  ['node.kubernetes.io/unreachable', 'NoExecute'],
  ['node.kubernetes.io/disk-pressure', 'NoSchedule'],
  ['node.kubernetes.io/memory-pressure', 'NoSchedule'],
  ['node.kubernetes.io/pid-pressure', 'NoSchedule'],
  ['node.kubernetes.io/unschedulable', 'NoSchedule'],
];

export interface Obstacle {
  readonly what: string;
  /** A setting of the agent. */
  readonly fix: string;
}

const taintText = ({ key, value, effect }: Fields): string =>
  `${textOf(key)}${textOf(value) === '' ? '' : `=${textOf(value)}`}:${textOf(effect)}`;

export function tolerates(tolerations: readonly Fields[], taint: Fields): boolean {
  return tolerations.some((t) => {
    if (textOf(t['effect']) !== '' && t['effect'] !== taint['effect']) return false;
    const operator = textOf(t['operator']) || 'Equal';
    if (textOf(t['key']) === '') return operator === 'Exists';
    if (t['key'] !== taint['key']) return false;
    return operator === 'Exists' || textOf(t['value']) === textOf(taint['value']);
  });
}

function matchesTerm(term: Fields, labels: Readonly<Record<string, string>>, name: string): boolean {
  const holds = (value: string | undefined, e: Fields): boolean => {
    const values = textsOf(e['values']);
    switch (e['operator']) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      case 'Gt':
        return Number(value) > Number(values[0]);
      case 'Lt':
        return Number(value) < Number(values[0]);
      default:
        return false;
    }
  };
  const expressions = listOf(term['matchExpressions']);
  const fields = listOf(term['matchFields']);
  // A term without anything matches nothing.
  if (expressions.length + fields.length === 0) return false;
  return expressions.every((e) => holds(labels[textOf(e['key'])], e)) && fields.every((e) => holds(name, e));
}

/** Empty: nothing of the specification keeps the pod from the node. */
export function obstaclesOf(pod: Fields, node: KubernetesObject): Obstacle[] {
  const out: Obstacle[] = [];
  const labels = node.metadata.labels ?? {};
  const tolerations = listOf(pod['tolerations']);
  for (const taint of listOf(fieldsOf(node['spec'])['taints'])) {
    if (taint['effect'] === 'PreferNoSchedule' || tolerates(tolerations, taint)) continue;
    const { key, effect } = taint;
    if (TOLERATED_ANYWAY.some(([k, e]) => k === key && e === effect)) continue;
    if (key === 'node.kubernetes.io/network-unavailable' && pod['hostNetwork'] === true) continue;
    out.push({
      what: `its taint ${taintText(taint)} is not tolerated`,
      fix: `tolerations: [{key: ${textOf(key)}, operator: Exists, effect: ${textOf(effect)}}], or [{operator: Exists}] for every node`,
    });
  }
  for (const [key, value] of Object.entries(mapOf(pod['nodeSelector'])))
    if (labels[key] !== value)
      out.push({
        what: `nodeSelector wants ${key}=${value}, and the node has ${labels[key] === undefined ? 'no such label' : labels[key]}`,
        fix: `remove ${key} from nodeSelector, or \`kubectl label node ${node.metadata.name} ${key}=${value}\``,
      });
  const required = fieldsOf(
    fieldsOf(fieldsOf(pod['affinity'])['nodeAffinity'])['requiredDuringSchedulingIgnoredDuringExecution'],
  );
  const terms = listOf(required['nodeSelectorTerms']);
  if (terms.length > 0 && !terms.some((t) => matchesTerm(t, labels, node.metadata.name)))
    out.push({
      what: 'the required node affinity does not match its labels',
      fix: 'affinity.nodeAffinity: take the term out, or give the node the label it asks for',
    });
  return out;
}
