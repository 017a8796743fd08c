/** What the collectors themselves complain about: the last lines of their logs, through the API server. */
import { isProblem } from '../cluster.ts';
import type { Check, DoctorContext } from '../context.ts';
import { type Finding, unknown } from '../finding.ts';
import { findingsOf, LogReading } from '../logs/read-log.ts';
import type { Workload } from '../objects.ts';
import { containersOf, textOf } from '../objects.ts';
import { podsOf } from './workload-reads.ts';

const MAX_PODS = 5;
const LINES = 2000;

export const logs: Check = {
  id: 'logs',
  title: 'Logs of the collectors',
  async run(ctx) {
    // In the pod, its account has no right to read logs, and needs none.
    if (ctx.isInside) return [];
    if (!ctx.cluster)
      return [
        unknown('the logs cannot be read', ctx.clusterProblem, '`sluice doctor --from-logs FILE` reads a saved one'),
      ];
    const out: Finding[] = [];
    for (const w of ctx.workloads) out.push(...(await ofWorkload(ctx, w)));
    return out;
  },
};

async function ofWorkload(ctx: DoctorContext, w: Workload): Promise<Finding[]> {
  const pods = await podsOf(ctx, w);
  if (isProblem(pods)) return [unknown(`the pods of ${w.name} cannot be listed`, pods.problem)];
  const reading = new LogReading(ctx.clock.nowMs());
  const names: string[] = [];
  const problems: string[] = [];
  const [container] = containersOf(w.pod);
  for (const p of pods.value.slice(0, MAX_PODS)) {
    const { name } = p.metadata;
    const query = `tailLines=${LINES}&container=${encodeURIComponent(textOf(container?.['name']))}`;
    const text = await ctx.cluster!.text(`/api/v1/namespaces/${w.namespace}/pods/${name}/log?${query}`);
    if (isProblem(text)) {
      problems.push(text.problem);
      continue;
    }
    names.push(name);
    reading.nextLog();
    for (const line of text.value.split('\n')) reading.line(line);
  }
  if (names.length === 0)
    return problems.length === 0
      ? []
      : [
          unknown(
            `the logs of ${w.name} cannot be read`,
            problems[0]!,
            `kubectl logs -n ${w.namespace} -l ${w.selector} --tail=-1 | sluice doctor --from-logs -`,
          ),
        ];
  return findingsOf(
    reading.summary,
    `last ${LINES} lines of ${names.length === 1 ? names[0] : `${names.length} pods of ${w.name}`}`,
    ctx.serverNowMs(),
  );
}
