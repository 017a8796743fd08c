/** Runs the checks of `sluice doctor`, each for itself: one that fails does not keep the others from telling. */
import { messageOf } from '../core/errors.ts';
import { agents } from './checks/agents.ts';
import { clocks } from './checks/clocks.ts';
import { cluster } from './checks/cluster.ts';
import { configuration } from './checks/configuration.ts';
import { delivery } from './checks/delivery.ts';
import { destinations } from './checks/destinations.ts';
import { duplicates } from './checks/duplicates.ts';
import { kubelet } from './checks/kubelet.ts';
import { logs } from './checks/logs.ts';
import { metadata } from './checks/metadata.ts';
import { podLogs } from './checks/pod-logs.ts';
import { podSecurity } from './checks/pod-security.ts';
import { pods } from './checks/pods.ts';
import { rights } from './checks/rights.ts';
import { rotation } from './checks/rotation.ts';
import { storedLogs } from './checks/stored-logs.ts';
import { victoriaLogs } from './checks/victoria-logs.ts';
import type { Check, CheckResult, DoctorContext } from './context.ts';
import { type Finding, STATES, unknown } from './finding.ts';

/** In the order of a deployment: first what keeps pods away, then what they may, then what they do. */
export const CHECKS: readonly Check[] = [
  cluster,
  configuration,
  podSecurity,
  agents,
  pods,
  podLogs,
  rights,
  kubelet,
  destinations,
  clocks,
  victoriaLogs,
  storedLogs,
  delivery,
  rotation,
  metadata,
  logs,
  duplicates,
];

export async function runChecks(ctx: DoctorContext, checks: readonly Check[] = CHECKS): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  const skipped: string[] = [];
  for (const { id, title, run } of checks) {
    try {
      const findings = folded(await run(ctx));
      // That the cluster is away is said once.
      const isSaid = id !== cluster.id && !ctx.cluster && findings.length > 0 && findings.every(isAway(ctx));
      if (isSaid) skipped.push(title);
      else if (findings.length > 0) results.push({ id, title, findings });
    } catch (e) {
      results.push({ id, title, findings: [unknown('the check itself failed', messageOf(e), 'please report it')] });
    }
  }
  if (skipped.length === 0) return results;
  return results.map((r) =>
    r.id !== cluster.id
      ? r
      : { ...r, findings: r.findings.map((f) => ({ ...f, how: `${f.how}; not looked at: ${skipped.join(', ')}` })) },
  );
}

const isAway =
  (ctx: DoctorContext) =>
  ({ state, how }: Finding): boolean =>
    state === 'unknown' && how === ctx.clusterProblem;

/** The same of several pods, or of several signals of an exporter, is told once, with the evidence of the first; what is worst comes first. */
function folded(findings: readonly Finding[]): Finding[] {
  const groups = Map.groupBy(findings, ({ state, what }) => `${state} ${what}`);
  return [...groups.values()]
    .map(([first, ...same]) =>
      same.length === 0 ? first! : { ...first!, how: `${first!.how}; and ${same.length} more of the kind` },
    )
    .sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state));
}
