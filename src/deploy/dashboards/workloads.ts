/** Workloads: Deployments, StatefulSets, DaemonSets, Jobs and autoscalers, what they want and what is there. */
import { type Dashboard, dashboard, row } from './dashboard.ts';
import { bars, lines, NONE_IS_GOOD, type Shown, stat, table, warnAt } from './grafana.ts';
import { linkTo, NAMESPACE, NAMESPACE_VARIABLE, variables } from './names.ts';

const MOST = 12;
const FEWER = [{ color: 'green' as const }, { color: 'red' as const, from: 1 }];

interface Kind {
  readonly title: string;
  readonly label: string;
  readonly wanted: string;
  readonly ready: string;
}

const KINDS: readonly Kind[] = [
  {
    title: 'Deployments',
    label: 'k8s_deployment_name',
    wanted: 'k8s_deployment_desired',
    ready: 'k8s_deployment_available',
  },
  {
    title: 'StatefulSets',
    label: 'k8s_statefulset_name',
    wanted: 'k8s_statefulset_desired_pods',
    ready: 'k8s_statefulset_ready_pods',
  },
  {
    title: 'DaemonSets',
    label: 'k8s_daemonset_name',
    wanted: 'k8s_daemonset_desired_scheduled_nodes',
    ready: 'k8s_daemonset_ready_nodes',
  },
];

const by = (k: Kind): string => `by (k8s_namespace_name, ${k.label})`;
const wanted = (k: Kind): string => `max ${by(k)} (${k.wanted}{${NAMESPACE}})`;
const ready = (k: Kind): string => `max ${by(k)} (${k.ready}{${NAMESPACE}})`;

const incomplete = (k: Kind) =>
  stat({
    title: `${k.title} with pods missing`,
    queries: [{ expr: `sum((${wanted(k)} - ${ready(k)}) > bool 0)` }],
    thresholds: NONE_IS_GOOD,
  });

const list = (k: Kind) =>
  table({
    title: k.title,
    width: 8,
    labels: { k8s_namespace_name: 'Namespace', [k.label]: 'Name' },
    sortBy: 'Missing',
    links: { k8s_namespace_name: linkTo('sluice-pods', 'Pods of the namespace', { namespace: 'Namespace' }) },
    columns: [
      { title: 'Wanted', query: { expr: wanted(k) }, decimals: 0 },
      { title: 'Ready', query: { expr: ready(k) }, decimals: 0 },
      { title: 'Missing', query: { expr: `${wanted(k)} - ${ready(k)}` }, decimals: 0, thresholds: FEWER },
    ],
  });

/** By the workload that the pods are of. */
const usage = (metric: string) =>
  KINDS.map((k) => ({
    expr: `topk(${MOST}, sum ${by(k)} (${metric}{${NAMESPACE},${k.label}!=""}))`,
    legend: `{{k8s_namespace_name}} / {{${k.label}}}`,
  }));

export const workloads = (shown?: Shown): Dashboard =>
  dashboard(
    {
      uid: 'sluice-workloads',
      title: 'Kubernetes / Workloads',
      about: 'What Deployments, StatefulSets, DaemonSets, Jobs and autoscalers want, and what is there.',
      variables: variables(NAMESPACE_VARIABLE),
      rows: [
        row('Now', [
          ...KINDS.map(incomplete),
          stat({
            title: 'Jobs with failed pods',
            queries: [{ expr: `sum(k8s_job_failed_pods{${NAMESPACE}} > bool 0)` }],
            thresholds: NONE_IS_GOOD,
          }),
          stat({
            title: 'Pods pending',
            queries: [{ expr: `sum(k8s_pod_phase{${NAMESPACE}} == bool 1)` }],
            thresholds: NONE_IS_GOOD,
          }),
          stat({
            title: 'Autoscalers at their end',
            about: 'They run as many pods as they may.',
            queries: [
              {
                expr: `sum((max by (k8s_namespace_name, k8s_hpa_name) (k8s_hpa_max_replicas{${NAMESPACE}}) - max by (k8s_namespace_name, k8s_hpa_name) (k8s_hpa_current_replicas{${NAMESPACE}})) <= bool 0)`,
              },
            ],
            thresholds: [{ color: 'green' }, { color: 'orange', from: 1 }],
          }),
        ]),
        row('What is wanted and what is there', KINDS.map(list)),
        row('Usage', [
          lines({
            title: 'CPU',
            about: `In cores; of each kind the ${MOST} that use most.`,
            queries: usage('k8s_pod_cpu_usage'),
          }),
          lines({
            title: 'Memory',
            about: `Working set; of each kind the ${MOST} that use most.`,
            unit: 'bytes',
            queries: usage('k8s_pod_memory_working_set_bytes'),
          }),
          lines({
            title: 'Pods by phase',
            isStacked: true,
            decimals: 0,
            queries: [
              { expr: `sum(k8s_pod_phase{${NAMESPACE}} == bool 1)`, legend: 'Pending' },
              { expr: `sum(k8s_pod_phase{${NAMESPACE}} == bool 2)`, legend: 'Running' },
              { expr: `sum(k8s_pod_phase{${NAMESPACE}} == bool 3)`, legend: 'Succeeded' },
              { expr: `sum(k8s_pod_phase{${NAMESPACE}} == bool 4)`, legend: 'Failed' },
            ],
            colors: { Pending: 'orange', Running: 'green', Succeeded: 'blue', Failed: 'red' },
          }),
          bars({
            title: 'Containers that restart most',
            about: 'Within the shown time.',
            decimals: 0,
            thresholds: warnAt(1, 10),
            queries: [
              {
                expr: `topk(${MOST}, sum by (k8s_namespace_name, k8s_pod_name, k8s_container_name) (increase(k8s_container_restarts{${NAMESPACE}}[$__range])))`,
                legend: '{{k8s_namespace_name}} / {{k8s_pod_name}} / {{k8s_container_name}}',
              },
            ],
          }),
        ]),
        row('Jobs, autoscalers and quotas', [
          table({
            title: 'Jobs',
            width: 8,
            labels: { k8s_namespace_name: 'Namespace', k8s_job_name: 'Job' },
            sortBy: 'Failed',
            columns: [
              {
                title: 'Active',
                query: { expr: `max by (k8s_namespace_name, k8s_job_name) (k8s_job_active_pods{${NAMESPACE}})` },
              },
              {
                title: 'Succeeded',
                query: { expr: `max by (k8s_namespace_name, k8s_job_name) (k8s_job_successful_pods{${NAMESPACE}})` },
              },
              {
                title: 'Failed',
                query: { expr: `max by (k8s_namespace_name, k8s_job_name) (k8s_job_failed_pods{${NAMESPACE}})` },
                thresholds: FEWER,
              },
            ],
          }),
          table({
            title: 'Autoscalers',
            width: 8,
            labels: { k8s_namespace_name: 'Namespace', k8s_hpa_name: 'Autoscaler' },
            columns: (['min', 'current', 'desired', 'max'] as const).map((what) => ({
              title: `${what[0]!.toUpperCase()}${what.slice(1)}`,
              query: { expr: `max by (k8s_namespace_name, k8s_hpa_name) (k8s_hpa_${what}_replicas{${NAMESPACE}})` },
            })),
          }),
          table({
            title: 'Quotas',
            width: 8,
            labels: { k8s_namespace_name: 'Namespace', k8s_resourcequota_name: 'Quota', resource: 'Resource' },
            sortBy: 'Used',
            columns: [
              {
                title: 'Used',
                unit: 'percentunit',
                decimals: 0,
                barTo: 1,
                thresholds: warnAt(0.8, 1),
                query: {
                  expr: `max by (k8s_namespace_name, k8s_resourcequota_name, resource) (k8s_resource_quota_used{${NAMESPACE}}) / max by (k8s_namespace_name, k8s_resourcequota_name, resource) (k8s_resource_quota_hard_limit{${NAMESPACE}} > 0)`,
                },
              },
            ],
          }),
        ]),
      ],
    },
    shown,
  );
