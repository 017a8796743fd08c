/** Nodes: what they have, what is used, and what is wrong with them. */
import { type Dashboard, dashboard, row } from './dashboard.ts';
import { bars, lines, NONE_IS_GOOD, type Shown, stat, table, warnAt } from './grafana.ts';
import { linkTo, NODE, NODE_VARIABLE, REAL_DISK, REAL_INTERFACE, variables } from './names.ts';

const RATE = '[$__rate_interval]';

const BY = 'by (k8s_node_name)';
const cpuUsed = `1 - sum ${BY} (rate(system_cpu_time_seconds_total{${NODE},state=~"idle|wait"}${RATE})) / sum ${BY} (rate(system_cpu_time_seconds_total{${NODE}}${RATE}))`;
const memoryUsed = `max ${BY} (k8s_node_memory_working_set_bytes{${NODE}}) / max ${BY} (k8s_node_memory_working_set_bytes{${NODE}} + k8s_node_memory_available_bytes{${NODE}})`;
const filesystemUsed = (by: string): string =>
  `sum by (${by}) (system_filesystem_usage_bytes{${NODE},state="used"}) / sum by (${by}) (system_filesystem_usage_bytes{${NODE},state=~"used|free"})`;
const fullest = `max ${BY} (${filesystemUsed('k8s_node_name, mountpoint')})`;
const load = `max ${BY} (system_cpu_load_average_5m{${NODE}}) / count ${BY} (count by (k8s_node_name, cpu) (system_cpu_time_seconds_total{${NODE}}))`;
const PRESSURES = ['memory', 'disk', 'pid'];
const pressure = PRESSURES.map((p) => `sum ${BY} (k8s_node_condition_${p}_pressure{${NODE}} == bool 1)`).join(' + ');
const requested = (resource: string, unit: string): string =>
  `sum ${BY} (k8s_container_${resource}_request${unit}{${NODE}}) / max ${BY} (k8s_node_allocatable_${resource}${unit}{${NODE}})`;

const SHARE = { unit: 'percentunit', max: 1, decimals: 0 };

export const nodes = (shown?: Shown): Dashboard =>
  dashboard(
    {
      uid: 'sluice-nodes',
      title: 'Kubernetes / Nodes',
      about: 'What nodes have, what is used of it, and which of them are in trouble.',
      variables: variables(NODE_VARIABLE),
      rows: [
        row('Now', [
          stat({ title: 'Nodes', queries: [{ expr: `count(k8s_node_condition_ready{${NODE}})` }] }),
          stat({
            title: 'Not ready',
            about: 'Nodes whose condition Ready is False or Unknown.',
            queries: [{ expr: `sum(k8s_node_condition_ready{${NODE}} != bool 1)` }],
            thresholds: NONE_IS_GOOD,
          }),
          stat({
            title: 'Under pressure',
            about: 'Nodes that tell of memory, disk or PID pressure.',
            queries: [{ expr: `sum((${pressure}) > bool 0)` }],
            thresholds: NONE_IS_GOOD,
          }),
          stat({ title: 'CPU', ...SHARE, queries: [{ expr: `avg(${cpuUsed})` }], thresholds: warnAt(0.8, 0.9) }),
          stat({ title: 'Memory', ...SHARE, queries: [{ expr: `avg(${memoryUsed})` }], thresholds: warnAt(0.8, 0.9) }),
          stat({
            title: 'Fullest file system',
            ...SHARE,
            queries: [{ expr: `max(${fullest})` }],
            thresholds: warnAt(0.8, 0.9),
          }),
          table({
            title: 'Nodes',
            about: 'Load is that of the last five minutes per logical CPU; above 1, something waits.',
            labels: { k8s_node_name: 'Node' },
            sortBy: 'CPU',
            links: { k8s_node_name: linkTo('sluice-nodes', 'Only this node', { node: 'Node' }) },
            columns: [
              {
                title: 'Ready',
                query: { expr: `max ${BY} (k8s_node_condition_ready{${NODE}})` },
                words: {
                  1: { text: 'Ready', color: 'green' },
                  0: { text: 'Not ready', color: 'red' },
                  [-1]: { text: 'Unknown', color: 'red' },
                },
              },
              { title: 'CPU', query: { expr: cpuUsed }, ...SHARE, barTo: 1, thresholds: warnAt(0.8, 0.9) },
              { title: 'Memory', query: { expr: memoryUsed }, ...SHARE, barTo: 1, thresholds: warnAt(0.8, 0.9) },
              {
                title: 'Fullest file system',
                query: { expr: fullest },
                ...SHARE,
                barTo: 1,
                thresholds: warnAt(0.8, 0.9),
              },
              { title: 'Load', query: { expr: load }, decimals: 2, thresholds: warnAt(1, 2) },
              { title: 'Pods', query: { expr: `count ${BY} (k8s_pod_phase{${NODE}} == 2)` }, decimals: 0 },
            ],
          }),
        ]),
        row('CPU and memory', [
          lines({ title: 'CPU', ...SHARE, queries: [{ expr: cpuUsed, legend: '{{k8s_node_name}}' }] }),
          lines({
            title: 'Memory',
            about: 'Working set: what the kubelet evicts pods by.',
            ...SHARE,
            queries: [{ expr: memoryUsed, legend: '{{k8s_node_name}}' }],
          }),
          lines({
            title: 'CPU by what it does',
            about: 'In cores, of all chosen nodes.',
            isStacked: true,
            queries: [
              {
                expr: `sum by (state) (rate(system_cpu_time_seconds_total{${NODE},state!="idle"}${RATE}))`,
                legend: '{{state}}',
              },
            ],
          }),
          lines({ title: 'Load per CPU', queries: [{ expr: load, legend: '{{k8s_node_name}}' }], decimals: 2 }),
        ]),
        row('Reserved', [
          lines({
            title: 'CPU that pods request, of what can be given',
            unit: 'percentunit',
            queries: [{ expr: requested('cpu', ''), legend: '{{k8s_node_name}}' }],
          }),
          lines({
            title: 'Memory that pods request, of what can be given',
            unit: 'percentunit',
            queries: [{ expr: requested('memory', '_bytes'), legend: '{{k8s_node_name}}' }],
          }),
        ]),
        row('Disks', [
          bars({
            title: 'Fullest file systems',
            ...SHARE,
            min: 0,
            thresholds: warnAt(0.8, 0.9),
            queries: [
              {
                expr: `topk(12, ${filesystemUsed('k8s_node_name, mountpoint')})`,
                legend: '{{k8s_node_name}} {{mountpoint}}',
              },
            ],
          }),
          lines({
            title: 'Time disks were busy',
            about: 'Share of time in which a disk had something to do.',
            unit: 'percentunit',
            queries: [
              {
                expr: `max by (k8s_node_name, device) (rate(system_disk_io_time_seconds_total{${NODE},${REAL_DISK}}${RATE}))`,
                legend: '{{k8s_node_name}} {{device}}',
              },
            ],
          }),
          lines({
            title: 'Read and written',
            about: 'Written is below zero.',
            unit: 'Bps',
            width: 24,
            below: '.* write',
            queries: [
              {
                expr: `sum by (k8s_node_name, direction) (rate(system_disk_io_bytes_total{${NODE},${REAL_DISK}}${RATE}))`,
                legend: '{{k8s_node_name}} {{direction}}',
              },
            ],
          }),
        ]),
        row('Network', [
          lines({
            title: 'Received and sent',
            about: 'Of real interfaces. Sent is below zero.',
            unit: 'Bps',
            below: '.* transmit',
            queries: [
              {
                expr: `sum by (k8s_node_name, direction) (rate(system_network_io_bytes_total{${NODE},${REAL_INTERFACE}}${RATE}))`,
                legend: '{{k8s_node_name}} {{direction}}',
              },
            ],
          }),
          lines({
            title: 'Errors and dropped packets',
            about: 'Of real interfaces, per second.',
            queries: [
              {
                expr: `sum ${BY} (rate(system_network_errors_total{${NODE},${REAL_INTERFACE}}${RATE}))`,
                legend: '{{k8s_node_name}} errors',
              },
              {
                expr: `sum ${BY} (rate(system_network_dropped_total{${NODE},${REAL_INTERFACE}}${RATE}))`,
                legend: '{{k8s_node_name}} dropped',
              },
            ],
          }),
        ]),
      ],
    },
    shown,
  );
