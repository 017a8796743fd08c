/** Which include and exclude rules of file_log decide about a file. */
import { compileGlob, matchesGlob } from '../../core/glob.ts';
import { textsOf } from '../../deploy/used-components.ts';
import { spanText } from '../clocks.ts';
import type { ConfiguredComponent, DoctorContext, Tier } from '../context.ts';
import { count, type Finding, failure, ok, some, unknown, warning } from '../finding.ts';
import { fieldsOf } from '../objects.ts';
import { STARTING_MS } from '../starting.ts';
import { isActive, type LogFile, type Subject } from './subject.ts';

export interface Match {
  readonly tier: Tier;
  readonly receiver: ConfiguredComponent;
  readonly file: LogFile;
}

export interface Verdict {
  readonly include: string | undefined;
  readonly exclude: string | undefined;
}

export function verdictOf(config: unknown, path: string): Verdict {
  const first = (key: string) => textsOf(fieldsOf(config)[key]).find((g) => matchesGlob(compileGlob(g), path));
  return { include: first('include'), exclude: first('exclude') };
}

export const fileLogs = (tiers: readonly Tier[]): { tier: Tier; receiver: ConfiguredComponent }[] =>
  tiers.flatMap((tier) =>
    [...(tier.config?.receivers.values() ?? [])]
      .filter((c) => c.entry.id === 'file_log' && tier.config!.pipelines.some((p) => p.receivers.includes(c.id)))
      .map((receiver) => ({ tier, receiver })),
  );

export function matchFiles(ctx: DoctorContext, s: Subject): { matches: Match[]; findings: Finding[] } {
  const { tiers } = ctx;
  const receivers = fileLogs(tiers);
  if (tiers.every((t) => t.config === undefined))
    return {
      matches: [],
      findings: [
        unknown(
          'which rule decides is not known without a configuration',
          tiers.map((t) => `${t.origin}: ${t.problem}`).join('; ') ||
            (ctx.cluster
              ? ctx.workloadsProblem || `no collector runs in namespace ${ctx.namespace}`
              : ctx.clusterProblem),
          'say where the collectors run with --collectors NAMESPACE, or give the configuration with --config FILE',
        ),
      ],
    };
  if (receivers.length === 0)
    return {
      matches: [],
      findings: [
        failure(
          'no pipeline reads files',
          `${tiers.map((t) => t.origin).join(', ') || 'no configuration'}: no file_log in a pipeline`,
          'add the preset logsCollection, or a file_log receiver',
        ),
      ],
    };
  const matches: Match[] = [];
  const findings: Finding[] = [];
  if (s.files.length === 0) {
    const there = s.pod ? s.notStarted.join(', ') || 'it has no container status yet' : s.podProblem;
    if (s.pod && s.ageMs < STARTING_MS)
      return {
        matches,
        findings: [
          unknown(
            `${s.namespace}/${s.name} has just begun, and has no log file yet`,
            `it was made ${spanText(s.ageMs)} ago; ${there}`,
            'ask again in a minute',
          ),
        ],
      };
    return {
      matches,
      findings: [
        unknown(
          `no log file of ${s.namespace}/${s.name} is known`,
          `${there}; no directory ${s.namespace}_${s.name}_* here`,
          `\`kubectl get pod -n ${s.namespace} ${s.name}\`: does it run, and has it written to stdout?`,
        ),
      ],
    };
  }
  for (const name of s.files.length > 0 && !s.isHere ? s.notStarted : [])
    findings.push(unknown(`${name}, and has no log file yet`, `status of ${s.namespace}/${s.name}`));
  if (s.former.length > 0)
    findings.push(
      ok(
        `${count(s.former.length, 'file')} of former pods of that name ${s.former.length === 1 ? 'is' : 'are'} here, too`,
        `${some(
          s.former.map((f) => f.path),
          2,
        )}; the kubelet deletes them soon`,
      ),
    );
  for (const file of s.files) {
    const taken: string[] = [];
    const refused: string[] = [];
    for (const { tier, receiver } of receivers) {
      const { include, exclude } = verdictOf(receiver.value, file.path);
      const name = `${receiver.id} of ${tier.name}`;
      if (include === undefined) refused.push(`${name}: no include matches`);
      else if (exclude !== undefined)
        refused.push(`${name}: include ${include} matches, and so does exclude ${exclude}`);
      else {
        taken.push(`${name}: include ${include}`);
        matches.push({ tier, receiver, file });
      }
    }
    const what = `${file.path}`;
    const how = [...taken, ...refused].join('; ');
    if (taken.length === 1) findings.push(ok(`${what} is read`, how));
    else if (taken.length > 1)
      findings.push(
        warning(
          `${what} is read ${taken.length} times: its lines arrive as often`,
          how,
          'exclude it from all but one of these receivers',
        ),
      );
    else if (!isActive(file))
      findings.push(ok(`${what} was rotated; it is not matched by name, and read to its end by the one it had`, how));
    else if (refused.some((r) => r.includes(' exclude ')))
      findings.push(warning(`${what} is left out by a rule`, how, 'is it meant? Otherwise take the exclude rule away'));
    else
      findings.push(
        failure(`${what} is not read`, how, 'add a glob for it to include; /var/log/pods/*/*/*.log has all pods'),
      );
  }
  return { matches, findings };
}
