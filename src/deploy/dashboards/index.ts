/** Grafana dashboards and alert rules for what the presets collect, as files and as Kubernetes objects. */
import { stringify } from 'yaml';
import type { KubernetesObject } from '../kubernetes-object.ts';
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

export const dashboards = (): Dashboard[] => [nodes(), pods(), workloads(), volumes(), events(), falco(), collectors()];

export interface DashboardObjectsOptions {
  /** Label of the ConfigMaps that the sidecar of Grafana looks for. Default `grafana_dashboard: "1"`. */
  readonly sidecarLabel?: { readonly [key: string]: string };
  /** Folder in Grafana, for sidecars that look at the annotation `grafana_folder`. Default `Kubernetes`. */
  readonly folder?: string;
  /** Kinds of rule objects: those whose operator is there. Default none. */
  readonly rules?: readonly ('VMRule' | 'PrometheusRule')[];
}

const PART_OF = { 'app.kubernetes.io/name': 'sluice-dashboards', 'app.kubernetes.io/part-of': 'sluice' };

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
        labels: { ...PART_OF, ...sidecarLabel },
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
  metadata: { name: 'sluice', namespace, labels: PART_OF },
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
