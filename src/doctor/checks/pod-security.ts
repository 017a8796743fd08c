/** Does the namespace let the pods in? Talos enforces `baseline` everywhere, and then an agent without the label has no pod at all. */
import { isProblem, RESOURCES } from '../cluster.ts';
import type { Check, DoctorContext } from '../context.ts';
import { type Finding, failure, ok, unknown, warning } from '../finding.ts';
import { isRunning, type Workload } from '../objects.ts';
import { baselineViolations } from '../pod-security.ts';
import { failedCreates, podsOf } from './workload-reads.ts';

const LABEL = 'pod-security.kubernetes.io/enforce';

export const podSecurity: Check = {
  id: 'pod-security',
  title: 'Pod Security',
  async run(ctx) {
    if (!ctx.cluster) return [unknown('Pod Security cannot be looked at', ctx.clusterProblem)];
    const out: Finding[] = [];
    for (const w of ctx.workloads) out.push(...(await ofWorkload(ctx, w)));
    return out;
  },
};

async function ofWorkload(ctx: DoctorContext, w: Workload): Promise<Finding[]> {
  const namespace = await ctx.cluster!.get(RESOURCES.namespaces, '', w.namespace);
  const level = isProblem(namespace) ? undefined : (namespace.value.metadata.labels?.[LABEL] ?? '');
  const violations = baselineViolations(w.pod);
  const refusal = (await failedCreates(ctx, w)).find((m) => m.includes('violates PodSecurity'));
  const label = `kubectl label namespace ${w.namespace} ${LABEL}=privileged --overwrite`;
  const fix =
    violations.length > 0
      ? label
      : `let the pod fulfil the level (runAsNonRoot, drop ALL, seccompProfile RuntimeDefault), or ${label}`;
  const pods = await podsOf(ctx, w);
  const runs = !isProblem(pods) && pods.value.some(isRunning);
  const enforced = /violates PodSecurity "(\w+):/.exec(refusal ?? '')?.[1];
  if (refusal !== undefined && level === 'privileged')
    return [
      warning(
        `Pod Security refused the pods of ${w.name} until the namespace ${w.namespace} got its label; the controller tries again by itself, ever more seldom`,
        `event FailedCreate of ${w.kind} ${w.name}: ${refusal}; the namespace has ${LABEL}=${level} now`,
        `kubectl rollout restart -n ${w.namespace} ${w.kind.toLowerCase()}/${w.name}`,
      ),
    ];
  if (refusal !== undefined)
    return [
      failure(
        `Pod Security refuses the pods of ${w.name}: the namespace ${w.namespace} enforces ${enforced}`,
        `event FailedCreate of ${w.kind} ${w.name}: ${refusal}` +
          (level === '' ? '; the namespace has no label of its own, so the level is the default of the cluster' : ''),
        fix,
      ),
    ];
  if (level === undefined)
    return [
      unknown(`the labels of namespace ${w.namespace} cannot be read`, isProblem(namespace) ? namespace.problem : ''),
    ];
  const shown = level === '' ? `has no label ${LABEL}` : `has ${LABEL}=${level}`;
  if (violations.length === 0)
    return [ok(`the pods of ${w.name} ask for nothing that baseline refuses`, `namespace ${w.namespace} ${shown}`)];
  const needs = `${w.kind} ${w.name} has ${violations.join(', ')}; namespace ${w.namespace} ${shown}`;
  if (level === 'privileged') return [ok(`the namespace ${w.namespace} lets the pods of ${w.name} in`, needs)];
  if (level !== '')
    return [
      failure(
        `the namespace ${w.namespace} enforces ${level}, and ${w.name} needs privileged`,
        `${needs}${runs ? '; pods that run already stay until they are replaced' : ''}`,
        label,
      ),
    ];
  // The default of the cluster lets in what runs.
  if (runs) return [ok(`the namespace ${w.namespace} lets the pods of ${w.name} in`, `${needs}, and they run`)];
  return [
    warning(
      `the namespace ${w.namespace} has no Pod Security label, and ${w.name} needs privileged where baseline is the default (Talos)`,
      needs,
      label,
    ),
  ];
}
