/** Volumes of pods: how full they are, and when they will be. */
import { type Dashboard, dashboard, row } from './dashboard.ts';
import { bars, lines, type Shown, stat, table, warnAt } from './grafana.ts';
import { linkTo, NAMESPACE, NAMESPACE_VARIABLE, variables } from './names.ts';
import {
  inodesUsed,
  volumeCapacity,
  volumeFree,
  volumeFreeInADay,
  volumeGrowth,
  volumeUsed,
} from './volume-queries.ts';

const MOST = 15;
const LEGEND = '{{k8s_namespace_name}} / {{k8s_pod_name}} / {{k8s_volume_name}}';
const SHARE = { unit: 'percentunit', max: 1, decimals: 0 };

export const volumes = (shown?: Shown): Dashboard =>
  dashboard(
    {
      uid: 'sluice-volumes',
      title: 'Kubernetes / Volumes',
      about:
        'How full volumes are and when they will be. Volumes on the disk of their node (emptyDir, configuration) are left out: see the file systems of nodes.',
      variables: variables(NAMESPACE_VARIABLE),
      from: 'now-24h',
      rows: [
        row('Now', [
          stat({ title: 'Volumes', queries: [{ expr: `count(${volumeUsed(NAMESPACE)})` }] }),
          stat({
            title: 'Above 80 %',
            queries: [{ expr: `sum((${volumeUsed(NAMESPACE)}) > bool 0.8)` }],
            thresholds: [{ color: 'green' }, { color: 'orange', from: 1 }],
          }),
          stat({
            title: 'Fullest',
            ...SHARE,
            queries: [{ expr: `max(${volumeUsed(NAMESPACE)})` }],
            thresholds: warnAt(0.8, 0.9),
          }),
          stat({
            title: 'Most inodes used',
            ...SHARE,
            queries: [{ expr: `max(${inodesUsed(NAMESPACE)})` }],
            thresholds: warnAt(0.8, 0.9),
          }),
          stat({
            title: 'Space given',
            unit: 'bytes',
            decimals: 1,
            queries: [{ expr: `sum(${volumeCapacity(NAMESPACE)})` }],
          }),
          stat({
            title: 'Space free',
            unit: 'bytes',
            decimals: 1,
            queries: [{ expr: `sum(${volumeFree(NAMESPACE)})` }],
          }),
          table({
            title: 'Volumes',
            about:
              'The growth is that of the last six hours. The claim is known when the agent asks the kubelet for pods (extraMetadata k8s.volume.type).',
            labels: {
              k8s_namespace_name: 'Namespace',
              k8s_pod_name: 'Pod',
              k8s_volume_name: 'Volume',
              k8s_persistentvolumeclaim_name: 'Claim',
            },
            sortBy: 'Used',
            links: {
              k8s_pod_name: linkTo('sluice-pods', 'This pod', { namespace: 'Namespace', pod: 'Pod' }),
            },
            columns: [
              {
                title: 'Used',
                query: { expr: volumeUsed(NAMESPACE) },
                ...SHARE,
                barTo: 1,
                thresholds: warnAt(0.8, 0.9),
              },
              { title: 'Free', query: { expr: volumeFree(NAMESPACE) }, unit: 'bytes', decimals: 1 },
              { title: 'Capacity', query: { expr: volumeCapacity(NAMESPACE) }, unit: 'bytes', decimals: 1 },
              {
                title: 'Growth per day',
                query: { expr: `${volumeGrowth(NAMESPACE)} * 86400` },
                unit: 'bytes',
                decimals: 1,
              },
              { title: 'Inodes', query: { expr: inodesUsed(NAMESPACE) }, ...SHARE, thresholds: warnAt(0.8, 0.9) },
            ],
          }),
        ]),
        row('Over time', [
          lines({
            title: 'Used',
            ...SHARE,
            hasThresholdLines: true,
            thresholds: warnAt(0.8, 0.9),
            queries: [{ expr: `topk(${MOST}, ${volumeUsed(NAMESPACE)})`, legend: LEGEND }],
          }),
          lines({
            title: 'Free',
            unit: 'bytes',
            queries: [{ expr: `bottomk(${MOST}, ${volumeFree(NAMESPACE)})`, legend: LEGEND }],
          }),
          bars({
            title: 'Full within a day at this growth',
            about: 'What would be free in 24 hours, if the last six hours go on.',
            unit: 'bytes',
            decimals: 1,
            width: 24,
            thresholds: [{ color: 'red' }, { color: 'text', from: 0 }],
            queries: [
              {
                expr: `bottomk(${MOST}, ${volumeFreeInADay(NAMESPACE)})`,
                legend: LEGEND,
              },
            ],
          }),
        ]),
      ],
    },
    shown,
  );
