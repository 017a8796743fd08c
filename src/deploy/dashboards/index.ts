/** Grafana dashboards and alert rules for what the presets collect, as files and as Kubernetes objects. */
import { stringify } from 'yaml';
import type { KubernetesObject } from '../kubernetes-object.ts';
import { PART_OF } from '../labels.ts';
import type { DashboardOptions } from '../spec.ts';
import { alertGroups } from './alerts.ts';
import { collectors } from './collectors.ts';
import type { Dashboard } from './dashboard.ts';
import { events } from './events.ts';
import { falco } from './falco.ts';
import type { Shown } from './grafana.ts';
import { nodes } from './nodes.ts';
import { pods } from './pods.ts';
import { hasData, type Sources } from './sources.ts';
import { volumes } from './volumes.ts';
import { workloads } from './workloads.ts';

export { ALERTS, type Alert, alertGroups, expressionOf } from './alerts.ts';
export type { Dashboard } from './dashboard.ts';
export { type Sources, sourcesOf } from './sources.ts';

const LABELS = { 'app.kubernetes.io/name': 'sluice-dashboards', ...PART_OF };

const MAKERS = [nodes, pods, workloads, volumes, events, falco, collectors];

/** @param sources what there is; without it, all */
export function dashboards(sources?: Sources): Dashboard[] {
  if (!sources) return MAKERS.map((make) => make());
  const shownWith = (hasDashboard: Shown['hasDashboard']): Dashboard[] =>
    MAKERS.map((make) => make({ hasData: (q) => hasData(q, sources), hasDashboard })).filter(
      (d) => (d.json['panels'] as readonly unknown[]).length > 0,
    );
  const ids = shownWith(() => true).map((d) => d.uid);
  return shownWith((uid) => ids.includes(uid));
}

export interface DashboardObjectsOptions extends Omit<DashboardOptions, 'namespace'> {
  /** What there is to show; what cannot have data is left out. Default: all. */
  sources?: Sources;
}

/** A ConfigMap per dashboard (one with all would be near the size limit), and the alert rules for operators. */
export function dashboardObjects(namespace: string, options: DashboardObjectsOptions = {}): KubernetesObject[] {
  const { sidecarLabel = { grafana_dashboard: '1' }, folder = 'Kubernetes', rules = [], sources } = options;
  return [
    ...dashboards(sources).map((d) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: d.uid.replace(/^sluice-/, 'sluice-dashboard-'),
        namespace,
        labels: { ...LABELS, ...sidecarLabel },
        annotations: { grafana_folder: folder },
      },
      data: { [`${d.uid}.json`]: dashboardText(d) },
    })),
    ...rules.map((kind) => ruleObject(kind, namespace, sources)),
  ];
}

export const ruleObject = (
  kind: 'VMRule' | 'PrometheusRule',
  namespace: string,
  sources?: Sources,
): KubernetesObject => ({
  apiVersion: kind === 'VMRule' ? 'operator.victoriametrics.com/v1beta1' : 'monitoring.coreos.com/v1',
  kind,
  metadata: { name: 'sluice', namespace, labels: LABELS },
  spec: { groups: alertGroups(sources && { sources, dashboards: dashboards(sources).map((d) => d.uid) }) },
});

const dashboardText = (d: Dashboard): string => `${JSON.stringify(d.json, null, 2)}\n`;
const yaml = (value: unknown): string => stringify(value, { lineWidth: 0 });

/** Texts by path: dashboards to import or provision, a rule file for vmalert and Prometheus, and the same as objects. */
export function dashboardFiles(namespace: string): ReadonlyMap<string, string> {
  return new Map([
    ...dashboards().map((d): [string, string] => [`grafana/${d.uid}.json`, dashboardText(d)]),
    ['alerts/rules.yaml', yaml({ groups: alertGroups() })],
    ['alerts/vmrule.yaml', yaml(ruleObject('VMRule', namespace))],
    ['alerts/prometheusrule.yaml', yaml(ruleObject('PrometheusRule', namespace))],
    ['kubernetes/configmaps.yaml', dashboardObjects(namespace).map(yaml).join('---\n')],
  ]);
}
