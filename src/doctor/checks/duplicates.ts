/** Do two collectors read the same pod logs? Then every line arrives twice. */
import { isProblem, RESOURCES } from '../cluster.ts';
import type { Check, DoctorContext } from '../context.ts';
import { count, type Finding, ok, unknown, warning } from '../finding.ts';
import { hostPathsOf, imagesOf, type Workload, workloadOf } from '../objects.ts';
import { otherAccount } from './workload-reads.ts';

/** Images of programs that send pod logs somewhere. */
const LOG_AGENTS =
  /(?:^|[/-])(sluice|otelcol[\w-]*|opentelemetry-collector[\w-]*|splunk-otel-collector|fluent-?bit|fluentd[\w-]*|promtail|vector|vlagent|filebeat|elastic-agent|alloy|grafana-agent|logstash|logging-agent|datadog-agent|newrelic-fluentbit-output|aws-for-fluent-bit|log-router|odigos-collector|signoz-otel-collector)(?=[:@]|$)|(?:^|\/)(datadog)\/agent/;
const LOG_PATHS = ['/var/log/pods', '/var/log/containers', '/var/log', '/var/lib/docker/containers', '/var/lib/docker'];

/** The name of the program; undefined for what does not read pod logs. */
export function logAgentIn(w: Workload): string | undefined {
  const paths = [...hostPathsOf(w.pod).values()].map((p) => p.replace(/(.)\/$/, '$1'));
  const reads = paths.some((p) => LOG_PATHS.includes(p) || p === '/' || p === '/var');
  if (!reads) return undefined;
  for (const image of imagesOf(w)) {
    const m = LOG_AGENTS.exec(image);
    if (m) return m[1] ?? m[2] ?? image;
  }
  // An unknown program that looks at the directory of pod logs itself, not at the whole root as node-exporter does.
  return paths.some((p) => p === '/var/log/pods' || p === '/var/log/containers')
    ? (imagesOf(w)[0] ?? w.name)
    : undefined;
}

export const duplicates: Check = {
  id: 'duplicates',
  title: 'Other collectors of the same pods',
  async run(ctx) {
    // Others than which?
    if (ctx.cluster && ctx.workloads.length === 0) return [];
    if (!ctx.cluster) return [unknown('other DaemonSets cannot be looked at', ctx.clusterProblem)];
    const all = await ctx.cluster.list(RESOURCES.daemonsets);
    if (isProblem(all))
      return [
        unknown(
          'DaemonSets of the cluster cannot be listed',
          all.problem,
          otherAccount(ctx, 'list daemonsets.apps', ''),
        ),
      ];
    return judge(
      ctx,
      all.value.map((o) => workloadOf('DaemonSet', o)),
    );
  },
};

function judge(ctx: DoctorContext, all: readonly Workload[]): Finding[] {
  const isOwn = (w: Workload): boolean =>
    ctx.workloads.some((o) => o.kind === w.kind && o.name === w.name && o.namespace === w.namespace);
  const readers = all.flatMap((w) => {
    const program = logAgentIn(w);
    return program === undefined ? [] : [{ w, program }];
  });
  const own = readers.filter(({ w }) => isOwn(w));
  const others = readers.filter(({ w }) => !isOwn(w));
  const where = ({ w, program }: (typeof readers)[number]): string => `${w.namespace}/${w.name} (${program})`;
  if (own.length > 1)
    return [
      warning(
        `${own.length} DaemonSets of namespace ${ctx.namespace} read the same pod logs: every line arrives ${own.length} times`,
        own.map(where).join(', '),
        `keep one of them: \`kubectl delete daemonset -n ${own[1]!.w.namespace} ${own[1]!.w.name}\``,
      ),
    ];
  if (own.length === 0 || others.length === 0)
    return [ok('no other DaemonSet reads pod logs', `${count(all.length, 'DaemonSet')}, by host paths and images`)];
  return others.map((o) =>
    warning(
      `${where(o)} reads pod logs too: if both send to the same place, every line is there twice`,
      `DaemonSet ${o.w.namespace}/${o.w.name} mounts ${[...hostPathsOf(o.w.pod).values()].join(', ')}`,
      `leave its namespaces out on one side, or, when sluice replaces it, \`kubectl delete daemonset -n ${o.w.namespace} ${o.w.name}\``,
    ),
  );
}
