/**
 * falco: JSON alerts among the text of Falco's logs. What becomes of an alert: its output is the body; time and severity are
 * set; `falco.rule`, `falco.priority`, `falco.source`, `falco.hostname`, `falco.tags` (list) and `falco.output_fields` (map)
 * are attributes. An alert about a pod gets the resource of that pod: k8s_attributes then finds the pod by name.
 */
import type { Json } from '../config.ts';
import { allOf, type PodGlob } from '../pod-globs.ts';
import type { FalcoOptions } from './options.ts';

/** Falco's priorities, the highest first, as severities of OpenTelemetry (as syslog maps to them). */
export const PRIORITIES = [
  ['emergency', 'fatal'],
  ['alert', 'error3'],
  ['critical', 'error2'],
  ['error', 'error'],
  ['warning', 'warn'],
  ['notice', 'info2'],
  ['informational', 'info'],
  ['debug', 'debug'],
] as const;

export const falcoGlobs = (options: FalcoOptions): PodGlob[] =>
  allOf({
    namespaces: options.namespaces,
    pods: options.pods ?? ['falco*'],
    containers: options.containers ?? ['falco'],
  });

/** The four members that every alert has; other JSON of Falco (its own log with json_output) lacks output_fields. */
const IS_ALERT = ['"output"', '"output_fields"', '"priority"', '"rule"']
  .map((key) => `body contains ${JSON.stringify(key)}`)
  .reduce((all, one) => `${all} and ${one}`, 'body startsWith "{"');

const FIELDS = 'attributes["falco.output_fields"]';
const isText = (key: string): string => `${FIELDS}["${key}"] != nil and ${FIELDS}["${key}"] != ""`;

const quietly = { on_error: 'send_quiet' };
const move = (from: string, to: string): Json => ({ type: 'move', from, to, ...quietly });

export function falcoOperators(options: FalcoOptions): Json[] {
  const end = { type: 'noop', id: 'falco-end' };
  return [
    {
      type: 'router',
      id: 'falco-router',
      routes: [{ expr: IS_ALERT, output: 'falco-alert' }],
      // Without a default, what is no alert goes nowhere.
      ...(options.alertsOnly ? {} : { default: end.id }),
    },
    {
      type: 'json_parser',
      id: 'falco-alert',
      parse_to: 'attributes.falco',
      ...quietly,
      timestamp: {
        parse_from: 'attributes.falco.time',
        layout_type: 'gotime',
        layout: '2006-01-02T15:04:05.999999999Z07:00',
      },
      severity: {
        parse_from: 'attributes.falco.priority',
        preset: 'none',
        mapping: Object.fromEntries(PRIORITIES.map(([priority, severity]) => [severity, priority])),
      },
    },
    ...belowMinimum(options),
    move('attributes.falco.output', 'body'),
    ...['rule', 'priority', 'source', 'hostname', 'tags', 'output_fields'].map((key) =>
      move(`attributes.falco.${key}`, `attributes["falco.${key}"]`),
    ),
    { type: 'remove', field: 'attributes.falco', ...quietly },
    ...((options.attributeToPod ?? true) ? toPod(end.id) : []),
    end,
  ];
}

function belowMinimum({ minimumPriority }: FalcoOptions): Json[] {
  const rank = PRIORITIES.findIndex(([p]) => p === minimumPriority);
  const below = rank < 0 ? [] : PRIORITIES.slice(rank + 1).map(([p]) => p.charAt(0).toUpperCase() + p.slice(1));
  if (below.length === 0) return [];
  return [
    {
      type: 'filter',
      id: 'falco-minimum',
      expr: `attributes.falco != nil and attributes.falco.priority in ${JSON.stringify(below)}`,
    },
  ];
}

/** The pod that an alert is about, when it is about one. */
function toPod(end: string): Json[] {
  const copy = (field: string, to: string, condition?: string): Json => ({
    type: 'copy',
    from: `${FIELDS}["${field}"]`,
    to: `resource["${to}"]`,
    ...(condition ? { if: condition } : {}),
    ...quietly,
  });
  const own = ['k8s.pod.uid', 'k8s.container.name', 'k8s.container.restart_count'];
  return [
    {
      type: 'router',
      id: 'falco-pod-router',
      routes: [
        { expr: `${FIELDS} != nil and ${isText('k8s.pod.name')} and ${isText('k8s.ns.name')}`, output: 'falco-pod' },
      ],
      default: end,
    },
    { ...(copy('k8s.pod.name', 'k8s.pod.name') as object), id: 'falco-pod' } as Json,
    copy('k8s.ns.name', 'k8s.namespace.name'),
    ...own.map((key) => ({ type: 'remove', field: `resource["${key}"]`, ...quietly })),
    copy('k8s.pod.uid', 'k8s.pod.uid', isText('k8s.pod.uid')),
    copy('container.name', 'k8s.container.name', isText('container.name')),
  ];
}
