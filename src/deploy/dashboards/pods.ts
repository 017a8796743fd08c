/** Pods and their containers: what they use of what they asked for, how often they restart, and their logs. */
import { type Dashboard, dashboard, row } from './dashboard.ts';
import { lines, logLines, NONE_IS_GOOD, type Shown, stat, table, warnAt } from './grafana.ts';
import { linkTo, NAMESPACE_VARIABLE, POD, POD_VARIABLE, variablesWithLogs } from './names.ts';

const RATE = '[$__rate_interval]';
const RANGE = '[$__range]';
/** Lines per chart: more cannot be told apart. */
const MOST = 15;

const BY_POD = 'by (k8s_namespace_name, k8s_pod_name)';
const BY_CONTAINER = 'by (k8s_namespace_name, k8s_pod_name, k8s_container_name)';
const LEGEND = '{{k8s_pod_name}} / {{k8s_container_name}}';

const cpu = `max ${BY_CONTAINER} (container_cpu_usage{${POD}})`;
const memory = `max ${BY_CONTAINER} (container_memory_working_set_bytes{${POD}})`;
const cpuLimit = `max ${BY_CONTAINER} (k8s_container_cpu_limit{${POD}})`;
const memoryLimit = `max ${BY_CONTAINER} (k8s_container_memory_limit_bytes{${POD}})`;
const restarts = (by: string): string => `sum ${by} (increase(k8s_container_restarts{${POD}}${RANGE}))`;

export const pods = (shown?: Shown): Dashboard =>
  dashboard(
    {
      uid: 'sluice-pods',
      title: 'Kubernetes / Pods',
      about: 'What pods use of what they asked for, how often they restart, and what they log.',
      variables: variablesWithLogs(NAMESPACE_VARIABLE, POD_VARIABLE),
      rows: [
        row('Now', [
          stat({ title: 'Running', queries: [{ expr: `sum(k8s_pod_phase{${POD}} == bool 2)` }] }),
          stat({
            title: 'Pending or failed',
            queries: [{ expr: `sum(k8s_pod_phase{${POD}} == bool 1) + sum(k8s_pod_phase{${POD}} == bool 4)` }],
            thresholds: NONE_IS_GOOD,
          }),
          stat({
            title: 'Containers not ready',
            about: 'Of running pods.',
            queries: [
              {
                expr: `sum((k8s_container_ready{${POD}} == bool 0) and on (k8s_namespace_name, k8s_pod_name) (k8s_pod_phase{${POD}} == 2))`,
              },
            ],
            thresholds: NONE_IS_GOOD,
          }),
          stat({
            title: 'Restarts',
            about: 'Within the shown time.',
            decimals: 0,
            queries: [{ expr: restarts('') }],
            thresholds: warnAt(1, 10),
          }),
          stat({
            title: 'CPU of requests',
            about: 'What is used, of what the containers that have requests asked for.',
            unit: 'percentunit',
            decimals: 0,
            queries: [
              {
                expr: `sum(${cpu} and ${BY_CONTAINER.replace('by', 'on')} k8s_container_cpu_request{${POD}}) / sum(k8s_container_cpu_request{${POD}})`,
              },
            ],
          }),
          stat({
            title: 'Memory of requests',
            about: 'What is used, of what the containers that have requests asked for.',
            unit: 'percentunit',
            decimals: 0,
            queries: [
              {
                expr: `sum(${memory} and ${BY_CONTAINER.replace('by', 'on')} k8s_container_memory_request_bytes{${POD}}) / sum(k8s_container_memory_request_bytes{${POD}})`,
              },
            ],
          }),
          table({
            title: 'Pods',
            labels: { k8s_namespace_name: 'Namespace', k8s_pod_name: 'Pod' },
            sortBy: 'Restarts',
            links: {
              k8s_pod_name: linkTo('sluice-pods', 'Only this pod', { namespace: 'Namespace', pod: 'Pod' }),
            },
            columns: [
              {
                title: 'Phase',
                query: { expr: `max ${BY_POD} (k8s_pod_phase{${POD}})` },
                words: {
                  1: { text: 'Pending', color: 'orange' },
                  2: { text: 'Running', color: 'green' },
                  3: { text: 'Succeeded', color: 'text' },
                  4: { text: 'Failed', color: 'red' },
                  5: { text: 'Unknown', color: 'red' },
                },
              },
              {
                title: 'Not ready',
                query: { expr: `sum ${BY_POD} (k8s_container_ready{${POD}} == bool 0)` },
                decimals: 0,
                thresholds: NONE_IS_GOOD,
              },
              { title: 'Restarts', query: { expr: restarts(BY_POD) }, decimals: 0, thresholds: warnAt(1, 10) },
              { title: 'CPU', query: { expr: `sum ${BY_POD} (${cpu})` }, decimals: 3 },
              {
                title: 'CPU of limit',
                query: { expr: `max ${BY_POD} (${cpu} / ${cpuLimit})` },
                unit: 'percentunit',
                decimals: 0,
                thresholds: warnAt(0.8, 0.95),
              },
              { title: 'Memory', query: { expr: `sum ${BY_POD} (${memory})` }, unit: 'bytes', decimals: 1 },
              {
                title: 'Memory of limit',
                query: { expr: `max ${BY_POD} (${memory} / ${memoryLimit})` },
                unit: 'percentunit',
                decimals: 0,
                thresholds: warnAt(0.8, 0.95),
              },
            ],
          }),
        ]),
        row('CPU and memory', [
          lines({
            title: 'CPU',
            about: `In cores; the ${MOST} containers that use most.`,
            queries: [{ expr: `topk(${MOST}, ${cpu})`, legend: LEGEND }],
          }),
          lines({
            title: 'Memory',
            about: `Working set; the ${MOST} containers that use most.`,
            unit: 'bytes',
            queries: [{ expr: `topk(${MOST}, ${memory})`, legend: LEGEND }],
          }),
          lines({
            title: 'CPU of limit',
            about: 'At 100 % a container is slowed down.',
            unit: 'percentunit',
            hasThresholdLines: true,
            thresholds: [{ color: 'text' }, { color: 'red', from: 1 }],
            queries: [{ expr: `topk(${MOST}, ${cpu} / ${cpuLimit})`, legend: LEGEND }],
          }),
          lines({
            title: 'Memory of limit',
            about: 'At 100 % a container is killed.',
            unit: 'percentunit',
            hasThresholdLines: true,
            thresholds: [{ color: 'text' }, { color: 'red', from: 1 }],
            queries: [{ expr: `topk(${MOST}, ${memory} / ${memoryLimit})`, legend: LEGEND }],
          }),
        ]),
        row('Restarts, network and disk', [
          lines({
            title: 'Restarts',
            about: 'In the last fifteen minutes.',
            isBars: true,
            decimals: 0,
            width: 8,
            queries: [
              { expr: `sum ${BY_CONTAINER} (increase(k8s_container_restarts{${POD}}[15m])) > 0`, legend: LEGEND },
            ],
          }),
          lines({
            title: 'Received and sent',
            about: 'Sent is below zero.',
            unit: 'Bps',
            width: 8,
            below: '.* transmit',
            queries: [
              {
                expr: `topk(${MOST}, sum by (k8s_namespace_name, k8s_pod_name, direction) (rate(k8s_pod_network_io_bytes_total{${POD}}${RATE})))`,
                legend: '{{k8s_pod_name}} {{direction}}',
              },
            ],
          }),
          lines({
            title: 'Written into containers and local volumes',
            about: 'Ephemeral storage; it is on the disk of the node.',
            unit: 'bytes',
            width: 8,
            queries: [
              {
                expr: `topk(${MOST}, max ${BY_POD} (k8s_pod_filesystem_usage_bytes{${POD}}))`,
                legend: '{{k8s_pod_name}}',
              },
            ],
          }),
        ]),
        row('Logs', [
          logLines({
            title: 'Logs of these pods',
            expr: '{"k8s.namespace.name"=~"${namespace:regex}","k8s.pod.name"=~"${pod:regex}"} NOT k8s.resource.name:=events',
          }),
        ]),
      ],
    },
    shown,
  );
