/** Records that went on without the metadata of their pod, and why. */
import type { Check } from '../context.ts';
import { type Finding, failure, ok, warning } from '../finding.ts';
import { selfMetrics, sums, withoutMetrics } from './self-metrics.ts';

/** Below it, pods that were gone before their lines were read. */
const MANY = 0.01;

const ADVICE: Readonly<Record<string, string>> = {
  'no association':
    'pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}], and the container operator, which sets k8s.pod.uid',
  'unknown pod':
    'wait_for_metadata: true; is filter.node the node of this agent, and may it list pods? The check "Rights" asks',
  'excluded pod': 'exclude.pods of k8s_attributes leaves them out on purpose',
};

export const metadata: Check = {
  id: 'metadata',
  title: 'Metadata of pods on records',
  async run(ctx) {
    const all = await selfMetrics(ctx);
    const missing = withoutMetrics(all, 'unmatched metadata');
    if (missing) return ctx.tiers.some(usesMetadata) ? [missing] : [];
    return all.read.flatMap(({ source, samples }): Finding[] => {
      // Metrics of nodes, namespaces and hosts have no pod, and need none.
      const counted = samples.filter(
        (s) => s.labels['reason'] !== 'no association' || s.labels['otelcol_signal'] === 'logs',
      );
      const unmatched = sums(counted, 'sluice_processor_k8s_attributes_unmatched_records', 'reason');
      const tried = sums(samples, 'otelcol_k8s_pod_association', 'status');
      const errors =
        (tried.get('error') ?? 0) +
        [...sums(samples, 'otelcol_otelsvc_k8s_pod_table_miss', '').values()].reduce((a, b) => a + b, 0);
      const accepted = [...sums(samples, /^otelcol_receiver_accepted_/, '').values()].reduce((a, b) => a + b, 0);
      const out: Finding[] = [];
      for (const [reason, n] of unmatched) {
        if (n === 0 || reason === 'excluded pod') continue;
        const share = accepted === 0 ? 1 : n / accepted;
        const how = `${source}: sluice_processor_k8s_attributes_unmatched_records{reason="${reason}"} ${n} of ${accepted} accepted`;
        const make = share > MANY ? failure : warning;
        out.push(
          make(
            `records have no metadata of their pod (${reason})`,
            how,
            ADVICE[reason] ?? 'sluice why POD shows what is attached',
          ),
        );
      }
      if (out.length > 0) return out;
      const success = tried.get('success') ?? 0;
      if (success + errors === 0) return [];
      if (unmatched.size === 0 && errors > 0)
        return [
          warning(
            'some resources found no pod',
            `${source}: ${errors} of ${errors + success} look-ups failed`,
            'sluice why POD shows what is attached',
          ),
        ];
      return [
        ok(
          'records have the metadata of their pods',
          `${source}: otelcol_k8s_pod_association success ${success}, error ${errors}`,
        ),
      ];
    });
  },
};

const usesMetadata = (t: {
  config: { processors: ReadonlyMap<string, { entry: { id: string } }> } | undefined;
}): boolean => [...(t.config?.processors.values() ?? [])].some((c) => c.entry.id === 'k8s_attributes');
