/** Runs the checks of `sluice doctor`, each for itself: one that fails does not keep the others from telling. */
import { messageOf } from '../core/errors.ts';
import { agents } from './checks/agents.ts';
import { clocks } from './checks/clocks.ts';
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
import { victoriaLogs } from './checks/victoria-logs.ts';
import type { Check, CheckResult, DoctorContext } from './context.ts';
import { unknown } from './finding.ts';

/** In the order of a deployment: first what keeps pods away, then what they may, then what they do. */
export const CHECKS: readonly Check[] = [
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
  delivery,
  rotation,
  metadata,
  logs,
  duplicates,
];

export async function runChecks(ctx: DoctorContext, checks: readonly Check[] = CHECKS): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const { id, title, run } of checks) {
    try {
      const findings = await run(ctx);
      if (findings.length > 0) results.push({ id, title, findings });
    } catch (e) {
      results.push({ id, title, findings: [unknown('the check itself failed', messageOf(e), 'please report it')] });
    }
  }
  return results;
}
