/** Where the data of dashboards comes from, and which of it a collection has: what can never have data is left out. */
import type { Collection } from '../spec.ts';
import { at, listOf, sectionOf, textOf, textsOf, type UsedComponent, usedComponents } from '../used-components.ts';
import type { Query } from './grafana.ts';

/** `cluster`, `cluster/nodes`, `kubelet`, `kubelet/volume`, `host/disk`, `collectors`, `collectors/ledger`, `logs`, `events`, `falco` */
export type Sources = ReadonlySet<string>;

/** Computed from what is emitted, so that what a user adds by hand counts too. */
export function sourcesOf({ spec, tiers }: Collection): Sources {
  const found = new Set<string>();
  const add = (source: string, isThere = true): void => void (isThere && found.add(source));
  for (const { name, config } of tiers) {
    for (const c of usedComponents(config))
      if (c.section === 'receivers') for (const s of OF[c.type]?.(c) ?? []) add(s);
    add('collectors', spec[name]?.podMonitor !== false);
  }
  add('collectors/ledger', found.has('collectors') && spec.engine === 'sluice');
  add('falco', spec.agent?.presets.falco !== undefined);
  return found;
}

const OF: Readonly<Record<string, (receiver: UsedComponent) => readonly string[]>> = {
  k8s_cluster: ({ settings }) =>
    // In some namespaces only, it knows nothing of nodes.
    textsOf(settings['namespaces']).length + textsOf(settings['namespace']).length > 0
      ? ['cluster']
      : ['cluster', 'cluster/nodes'],
  kubelet_stats: ({ settings }) => [
    'kubelet',
    ...(textsOf(settings['metric_groups']).includes('volume') ? ['kubelet/volume'] : []),
  ],
  host_metrics: ({ settings }) => Object.keys(sectionOf(settings['scrapers'])).map((scraper) => `host/${scraper}`),
  k8s_objects: ({ settings }) =>
    listOf(settings['objects']).some((o) => textOf(at(o, 'name')) === 'events') ? ['events'] : [],
  k8s_events: () => ['events'],
  file_log: () => ['logs'],
  prometheus: () => ['collectors'],
};

/** By the names of metrics, the first that fits. */
const METRICS: readonly (readonly [RegExp, (part: string) => string])[] = [
  [/^system_cpu_load_/, () => 'host/load'],
  [/^system_([a-z]+)_/, (scraper) => `host/${scraper}`],
  [/^k8s_volume_/, () => 'kubelet/volume'],
  [/^(?:container|k8s_(?:node|pod)_(?:cpu|memory|filesystem|network|uptime))_/, () => 'kubelet'],
  [/^k8s_node_/, () => 'cluster/nodes'],
  [/^k8s_/, () => 'cluster'],
  [/^sluice_/, () => 'collectors/ledger'],
];

/** All of these are needed for an answer. */
export function sourcesOfQuery({ expr, logs }: Pick<Query, 'expr' | 'logs'>): string[] {
  if (logs)
    return [/\bfalco\./.test(expr) ? 'falco' : /NOT k8s\.resource\.name:=events/.test(expr) ? 'logs' : 'events'];
  const metrics = expr
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]|"[^"]*"/g, '')
    .replaceAll(/\b(?:by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)/g, '')
    .match(/\b(?:container|k8s|otelcol|sluice|system)_\w+/g);
  return [
    ...new Set(
      (metrics ?? []).map((metric) => {
        for (const [pattern, source] of METRICS) {
          const m = pattern.exec(metric);
          if (m) return source(m[1] ?? '');
        }
        return 'collectors';
      }),
    ),
  ];
}

export const hasData = (query: Pick<Query, 'expr' | 'logs'>, sources: Sources): boolean =>
  sourcesOfQuery(query).every((source) => sources.has(source));
