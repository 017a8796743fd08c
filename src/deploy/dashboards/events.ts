/** Events of Kubernetes, from their log records: fields of the event itself, so they are the same with every engine. */
import { type Dashboard, dashboard, row } from './dashboard.ts';
import { bars, lines, logLines, NONE_IS_GOOD, type Shown, stat, warnAt } from './grafana.ts';
import { fieldVariable, LOGS_VARIABLE, patternVariable } from './variables.ts';

const EVENTS = 'k8s.resource.name:=events';
const CHOSEN = `${EVENTS} k8s.namespace.name:~"\${namespace:regex}" object.reason:~"\${reason:regex}" object.regarding.name:~"\${object}"`;
const TOP = 10;

const top = (fields: string, filter = ''): string =>
  `${CHOSEN}${filter} | stats by (${fields}) count() as events | sort by (events desc) | limit ${TOP}`;

export const events = (shown?: Shown): Dashboard =>
  dashboard(
    {
      uid: 'sluice-events',
      title: 'Kubernetes / Events',
      about: 'What the cluster tells about its objects: what is scheduled, pulled, killed, and what fails.',
      variables: [
        LOGS_VARIABLE,
        fieldVariable('namespace', 'Namespace', 'k8s.namespace.name', EVENTS),
        fieldVariable('reason', 'Reason', 'object.reason', EVENTS),
        patternVariable('object', 'Object'),
      ],
      rows: [
        row('Now', [
          stat({
            title: 'Warnings',
            about: 'Within the shown time.',
            width: 6,
            queries: [{ expr: `${CHOSEN} object.type:=Warning | stats count() as events`, logs: 'total' }],
            thresholds: [{ color: 'green' }, { color: 'orange', from: 1 }],
          }),
          stat({
            title: 'Normal events',
            width: 6,
            queries: [{ expr: `${CHOSEN} object.type:=Normal | stats count() as events`, logs: 'total' }],
          }),
          stat({
            title: 'Objects with warnings',
            width: 6,
            queries: [
              {
                expr: `${CHOSEN} object.type:=Warning | stats count_uniq(object.regarding.name) as objects`,
                logs: 'total',
              },
            ],
          }),
          stat({
            title: 'Containers that were killed or backed off',
            about: 'Reasons BackOff, OOMKilling, Evicted, FailedScheduling.',
            width: 6,
            queries: [
              {
                expr: `${CHOSEN} object.reason:in(BackOff, OOMKilling, Evicted, FailedScheduling) | stats count() as events`,
                logs: 'total',
              },
            ],
            thresholds: NONE_IS_GOOD,
          }),
        ]),
        row('Over time', [
          lines({
            title: 'Events',
            isBars: true,
            isStacked: true,
            decimals: 0,
            width: 24,
            colors: { Normal: 'blue', Warning: 'orange' },
            queries: [
              {
                expr: `${CHOSEN} | stats by (object.type) count() as events`,
                logs: 'range',
                legend: '{{object.type}}',
              },
            ],
          }),
          bars({
            title: 'Reasons of warnings',
            width: 8,
            decimals: 0,
            thresholds: warnAt(1, 100),
            queries: [
              { expr: top('object.reason', ' object.type:=Warning'), logs: 'total', legend: '{{object.reason}}' },
            ],
          }),
          bars({
            title: 'Objects with warnings',
            width: 8,
            decimals: 0,
            thresholds: warnAt(1, 100),
            queries: [
              {
                expr: top('object.regarding.kind, object.regarding.name', ' object.type:=Warning'),
                logs: 'total',
                legend: '{{object.regarding.kind}} {{object.regarding.name}}',
              },
            ],
          }),
          bars({
            title: 'Namespaces with warnings',
            width: 8,
            decimals: 0,
            thresholds: warnAt(1, 100),
            queries: [
              {
                expr: top('k8s.namespace.name', ' object.type:=Warning'),
                logs: 'total',
                legend: '{{k8s.namespace.name}}',
              },
            ],
          }),
        ]),
        row('Events', [
          logLines({ title: 'Warnings', expr: `${CHOSEN} object.type:=Warning` }),
          logLines({ title: 'All', expr: CHOSEN }),
        ]),
      ],
    },
    shown,
  );
