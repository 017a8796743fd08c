/** Grafana dashboards and alert rules for what the presets collect, as files and as Kubernetes objects. */
import { stringify } from 'yaml';
import type { KubernetesObject } from '../kubernetes-object.ts';
import { PART_OF } from '../labels.ts';
import type { DashboardOptions } from '../spec.ts';
import { alertGroups } from './alerts.ts';
import { collectors } from './collectors.ts';
import { events } from './events.ts';
import { falco } from './falco.ts';
import type { Dashboard } from './grafana.ts';
import { nodes } from './nodes.ts';
import { pods } from './pods.ts';
import { volumes } from './volumes.ts';
import { workloads } from './workloads.ts';

export { ALERTS, type Alert, alertGroups, expressionOf } from './alerts.ts';
export type { Dashboard } from './grafana.ts';

const LABELS = { 'app.kubernetes.io/name': 'sluice-dashboards', ...PART_OF };

export const dashboards = (): Dashboard[] => [nodes(), pods(), workloads(), volumes(), events(), falco(), collectors()];

/** Alert rules as objects: none unless the spec names the operators that are there. */
export type DashboardObjectsOptions = Omit<DashboardOptions, 'namespace'>;

/** A ConfigMap per dashboard (one with all would be near the size limit), and the alert rules for operators. */
export function dashboardObjects(namespace: string, options: DashboardObjectsOptions = {}): KubernetesObject[] {
  const { sidecarLabel = { grafana_dashboard: '1' }, folder = 'Kubernetes', rules = [] } = options;
  return [
    ...dashboards().map((d) => ({
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
    ...rules.map((kind) => ruleObject(kind, namespace)),
  ];
}

export const ruleObject = (kind: 'VMRule' | 'PrometheusRule', namespace: string): KubernetesObject => ({
  apiVersion: kind === 'VMRule' ? 'operator.victoriametrics.com/v1beta1' : 'monitoring.coreos.com/v1',
  kind,
  metadata: { name: 'sluice', namespace, labels: LABELS },
  spec: { groups: alertGroups() },
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
