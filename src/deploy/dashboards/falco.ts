/** Alerts of Falco, as the preset of that name takes them out of the text that its pods log. */
import { type Dashboard, dashboard, row } from './dashboard.ts';
import { bars, lines, logLines, NONE_IS_GOOD, type Shown, stat } from './grafana.ts';
import { fieldVariable, LOGS_VARIABLE } from './variables.ts';

/** Only alerts have a rule. */
const ALERTS = 'falco.rule:*';
const CHOSEN = `${ALERTS} falco.rule:~"\${rule:regex}" k8s.namespace.name:~"\${namespace:regex}"`;
const GRAVE = 'falco.priority:in(Emergency, Alert, Critical, Error)';
const TOP = 10;

const top = (fields: string): string =>
  `${CHOSEN} | stats by (${fields}) count() as alerts | sort by (alerts desc) | limit ${TOP}`;

export const falco = (shown?: Shown): Dashboard =>
  dashboard(
    {
      uid: 'sluice-falco',
      title: 'Kubernetes / Falco',
      about: 'Alerts of Falco: which rules, about which pods, how grave. Needs the preset falco.',
      variables: [
        LOGS_VARIABLE,
        fieldVariable('namespace', 'Namespace', 'k8s.namespace.name', ALERTS),
        fieldVariable('rule', 'Rule', 'falco.rule', ALERTS),
      ],
      from: 'now-24h',
      rows: [
        row('Now', [
          stat({
            title: 'Alerts',
            about: 'Within the shown time.',
            width: 6,
            queries: [{ expr: `${CHOSEN} | stats count() as alerts`, logs: 'total' }],
          }),
          stat({
            title: 'Error and worse',
            width: 6,
            queries: [{ expr: `${CHOSEN} ${GRAVE} | stats count() as alerts`, logs: 'total' }],
            thresholds: NONE_IS_GOOD,
          }),
          stat({
            title: 'Rules',
            width: 6,
            queries: [{ expr: `${CHOSEN} | stats count_uniq(falco.rule) as rules`, logs: 'total' }],
          }),
          stat({
            title: 'Pods',
            width: 6,
            queries: [{ expr: `${CHOSEN} | stats count_uniq(k8s.pod.name) as pods`, logs: 'total' }],
          }),
        ]),
        row('Over time', [
          lines({
            title: 'Alerts by priority',
            isBars: true,
            isStacked: true,
            decimals: 0,
            width: 24,
            colors: {
              Emergency: 'red',
              Alert: 'red',
              Critical: 'red',
              Error: 'orange',
              Warning: 'yellow',
              Notice: 'blue',
              Informational: 'green',
              Debug: 'text',
            },
            queries: [
              {
                expr: `${CHOSEN} | stats by (falco.priority) count() as alerts`,
                logs: 'range',
                legend: '{{falco.priority}}',
              },
            ],
          }),
          bars({
            title: 'Rules',
            decimals: 0,
            queries: [{ expr: top('falco.rule'), logs: 'total', legend: '{{falco.rule}}' }],
          }),
          bars({
            title: 'Pods',
            decimals: 0,
            queries: [
              {
                expr: top('k8s.namespace.name, k8s.pod.name'),
                logs: 'total',
                legend: '{{k8s.namespace.name}} / {{k8s.pod.name}}',
              },
            ],
          }),
        ]),
        row('Alerts', [
          logLines({ title: 'Error and worse', expr: `${CHOSEN} ${GRAVE}` }),
          logLines({ title: 'All', expr: CHOSEN }),
        ]),
      ],
    },
    shown,
  );
