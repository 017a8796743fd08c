/** Records that went on without the metadata of their pod, and why. */
import type { Check } from '../context.ts';
import { type Finding, failure, ok, warning } from '../finding.ts';
import type { Sample } from './metrics-text.ts';
import { laterMetrics, type SelfMetrics, selfMetrics, sums } from './self-metrics.ts';

/** Below it, pods that were gone before their lines were read. */
const MANY = 0.01;

const ADVICE: Readonly<Record<string, string>> = {
  'no association':
    'pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}], and the container operator, which sets k8s.pod.uid',
  'unknown pod':
    'is filter.node the node of this agent, and may it list pods (the check "Rights" asks)? Otherwise wait_for_metadata: true, and raise wait_for_pod.timeout',
  'excluded pod': 'exclude.pods of k8s_attributes leaves them out on purpose',
};

export const metadata: Check = {
  id: 'metadata',
  title: 'Metadata of pods on records',
  async run(ctx) {
    const all = await selfMetrics(ctx);
    const out: Finding[] = [];
    for (const m of all.read) {
      const hasUnknown = (unmatchedIn(m.samples).get(UNKNOWN_POD) ?? 0) > 0;
      out.push(...ofCollector(m, hasUnknown ? await laterMetrics(ctx, m.source) : undefined));
    }
    return out;
  },
};

const UNKNOWN_POD = 'unknown pod';

/** Metrics of nodes, namespaces and hosts have no pod, and need none. */
function unmatchedIn(samples: readonly Sample[]): Map<string, number> {
  const counted = samples.filter(
    (s) => s.labels['reason'] !== 'no association' || s.labels['otelcol_signal'] === 'logs',
  );
  return sums(counted, 'sluice_processor_k8s_attributes_unmatched_records', 'reason');
}

const acceptedIn = (samples: readonly Sample[]): number =>
  [...sums(samples, /^otelcol_receiver_accepted_/, '').values()].reduce((a, b) => a + b, 0);

/** A pod that has just begun is not known for a moment: what counts is whether more such records come. */
function isOver(reason: string, n: number, accepted: number, share: number, later: SelfMetrics | undefined): boolean {
  if (reason !== UNKNOWN_POD || !later) return false;
  const comeOthers = acceptedIn(later.samples) > accepted;
  return (unmatchedIn(later.samples).get(reason) ?? 0) === n && (comeOthers || share <= MANY);
}

function ofCollector({ source, samples }: SelfMetrics, later: SelfMetrics | undefined): Finding[] {
  const unmatched = unmatchedIn(samples);
  const tried = sums(samples, 'otelcol_k8s_pod_association', 'status');
  const errors =
    (tried.get('error') ?? 0) +
    [...sums(samples, 'otelcol_otelsvc_k8s_pod_table_miss', '').values()].reduce((a, b) => a + b, 0);
  const accepted = acceptedIn(samples);
  const out: Finding[] = [];
  let past = '';
  for (const [reason, n] of unmatched) {
    if (n === 0 || reason === 'excluded pod') continue;
    const share = accepted === 0 ? 1 : n / accepted;
    const how = `${source}: sluice_processor_k8s_attributes_unmatched_records{reason="${reason}"} ${n} of ${accepted} accepted`;
    const fix = ADVICE[reason] ?? '`sluice why POD` shows what is attached';
    if (!isOver(reason, n, accepted, share, later)) {
      const make = share > MANY ? failure : warning;
      out.push(make(`records have no metadata of their pod (${reason})`, how, fix));
    } else if (share > MANY)
      out.push(
        warning(`records had no metadata of their pod for a while (${reason})`, `${how}, none of them now`, fix),
      );
    else past = `; ${n} of ${accepted} records came when their pod was not known yet, none of them now`;
  }
  if (out.length > 0) return out;
  const success = tried.get('success') ?? 0;
  if (success + errors === 0 && past === '') return [];
  if (unmatched.size === 0 && errors > 0)
    return [
      warning(
        'some resources found no pod',
        `${source}: ${errors} of ${errors + success} look-ups failed`,
        '`sluice why POD` shows what is attached',
      ),
    ];
  return [
    ok(
      'records have the metadata of their pods',
      `${source}: otelcol_k8s_pod_association success ${success}, error ${errors}${past}`,
    ),
  ];
}
