/** Label and field selectors as the API server reads them. */
import type { KubernetesObject } from '../object.ts';

type Test = (object: KubernetesObject) => boolean;

/** Terms of `a=b,c in (d,e)`: commas inside of parentheses do not divide. */
const termsOf = (selector: string): string[] =>
  (selector.match(/[^,(]+(\([^)]*\))?/g) ?? []).map((t) => t.trim()).filter((t) => t !== '');

function labelTest(term: string): Test {
  const labels = (o: KubernetesObject) => o.metadata.labels ?? {};
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
  if (set) {
    const values = set[3]!.split(',').map((s) => s.trim());
    return (o) => values.includes(labels(o)[set[1]!] ?? '') === (set[2] === 'in');
  }
  const pair = /^([^=!]+?)\s*(!=|==|=)\s*(.*)$/.exec(term);
  if (pair) return (o) => (labels(o)[pair[1]!] === pair[3]) === (pair[2] !== '!=');
  if (term.startsWith('!')) return (o) => labels(o)[term.slice(1).trim()] === undefined;
  return (o) => labels(o)[term] !== undefined;
}

function fieldTest(term: string): Test {
  const pair = /^([^=!]+?)\s*(!=|==|=)\s*(.*)$/.exec(term);
  if (!pair) return () => true;
  const path = pair[1]!.split('.');
  return (o) => {
    let value: unknown = o;
    for (const key of path) value = (value as Record<string, unknown> | undefined)?.[key];
    return (String(value ?? '') === pair[3]) === (pair[2] !== '!=');
  };
}

export function selectorTest(labelSelector: string, fieldSelector: string): Test {
  const tests = [...termsOf(labelSelector).map(labelTest), ...termsOf(fieldSelector).map(fieldTest)];
  return (object) => tests.every((t) => t(object));
}

const OF_ALL = ['metadata.name', 'metadata.namespace'];
const OF_RESOURCE: Readonly<Record<string, readonly string[]>> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  events: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  nodes: ['spec.unschedulable'],
  namespaces: ['status.phase'],
};

/** The field of the selector that the server does not select by. */
export function unknownField(resource: string, fieldSelector: string): string | undefined {
  const known = [...OF_ALL, ...(OF_RESOURCE[resource] ?? [])];
  return termsOf(fieldSelector)
    .map((t) => t.split(/[!=]/)[0]!.trim())
    .find((f) => !known.includes(f));
}
