/** Lines about Kubernetes. */
import { KUBERNETES_RULES } from './rules-kubernetes.ts';
import { console_, json, testRules } from './testing.ts';

testRules(KUBERNETES_RULES, [
  [
    'target-down',
    console_('error', 'receivers/prometheus', 'Error scraping metrics', {
      error: 'Failed to scrape http://10.0.0.1:9100/metrics: dial tcp 10.0.0.1:9100: connect: connection refused',
      'otelcol.component.id': 'prometheus',
    }),
    'prometheus: the target 10.0.0.1:9100 cannot be scraped',
    /does it listen/,
  ],
  [
    'target-down',
    console_('warn', 'internal/transaction.go:150', 'Failed to scrape Prometheus endpoint', {
      'otelcol.component.id': 'prometheus',
      'otelcol.component.kind': 'Receiver',
      scrape_timestamp: 1763884801000,
      target_labels: '{__name__="up", instance="10.0.0.1:9100", job="node"}',
    }),
    'receiver prometheus: the target 10.0.0.1:9100 cannot be scraped',
    /does it listen/,
  ],
  [
    'target-down',
    console_('warn', 'internal/transaction.go:150', 'Failed to scrape Prometheus endpoint', { scrape_timestamp: 1 }),
    'prometheus: a target cannot be scraped',
    /does it listen/,
  ],
  [
    'not-in-cluster',
    'Error: cannot start pipelines: failed to start "k8s_cluster" receiver: invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable',
    'a component looks for the cluster it runs in, and there is none',
    /kubeConfig/,
  ],
  [
    'forbidden',
    'W0202 02:13:21.602410       1 reflector.go:535] k8s.io/client-go@v0.28.4/tools/cache/reflector.go:229: failed to list *v1.Node: nodes is forbidden: User "system:serviceaccount:default:otel-collector" cannot list resource "nodes" in API group "" at the cluster scope',
    'service account default/otel-collector may not list nodes',
    /apiGroups: \[""\], resources: \["nodes"\], verbs: \["get", "list", "watch"\]/,
  ],
  [
    'forbidden',
    json('error', 'error retrieving resource lock', {
      error:
        'leases.coordination.k8s.io "x" is forbidden: User "system:serviceaccount:otel:gw" cannot get resource "leases" in API group "coordination.k8s.io" in the namespace "otel"',
    }),
    'service account otel/gw may not get leases.coordination.k8s.io in namespace otel',
    /verbs: \["get"\]\} to its Role in otel/,
  ],
  [
    'kubelet-forbidden',
    console_('error', 'scraperhelper/scrapercontroller.go:200', 'Error scraping metrics', {
      kind: 'receiver',
      name: 'kubeletstats',
      error:
        'kubelet request GET https://10.0.0.5:10250/stats/summary failed - "403 Forbidden", response: "Forbidden (user=system:serviceaccount:otel:agent, verb=get, resource=nodes, subresource=stats)"',
    }),
    'service account otel/agent may not read nodes/stats of the kubelet',
    /nodes\/stats/,
  ],
  [
    'kubelet-forbidden',
    console_('error', 'scraperhelper/scrapercontroller.go:200', 'Error scraping metrics', {
      kind: 'receiver',
      name: 'kubeletstats',
      error:
        'kubelet request GET https://10.0.0.5:10250/pods failed - "403 Forbidden", response: "Forbidden (user=system:serviceaccount:otel:agent, verb=get, resource=nodes, subresource(s)=[pods proxy])"',
    }),
    'service account otel/agent may not read nodes/pods of the kubelet',
    /nodes\/pods.*before Kubernetes 1\.33: nodes\/proxy/,
  ],
  [
    'kubelet-forbidden',
    console_('error', 'scraperhelper/scrapercontroller.go:200', 'Error scraping metrics', {
      kind: 'receiver',
      name: 'kubeletstats',
      error: `kubelet request GET https://172.20.24.255:10250/pods failed - "403 Forbidden", response: ${JSON.stringify('{"message":"forbidden: User \\"system:serviceaccount:sample:sample-collector\\" cannot get path \\"/pods\\"","code":403}\n')}`,
    }),
    'service account sample/sample-collector may not read /pods of the kubelet',
    /nodes\/pods/,
  ],
  [
    'kubelet-unauthorised',
    console_('error', 'receivers/kubelet_stats', 'Error scraping metrics', {
      'otelcol.component.id': 'kubeletstats',
      'otelcol.component.kind': 'receiver',
      error:
        'kubelet request GET https://10.0.0.5:10250/stats/summary failed - "401 Unauthorized", response: "Unauthorized"',
    }),
    'the kubelet does not accept the credentials of receiver kubeletstats',
    /serviceAccount/,
  ],
  [
    'api-unauthorised',
    'E1123 10:00:00.395926       1 reflector.go:147] k8s.io/client-go@v0.31.2/tools/cache/reflector.go:229: Failed to watch *v1.Pod: failed to list *v1.Pod: the server has asked for the client to provide credentials',
    'the API server does not accept the token',
    /automount/,
  ],
  [
    'sync',
    console_('error', 'processors/k8s_attributes', 'Timed out waiting for initial cache sync.', {}),
    'k8s_attributes: the objects of Kubernetes did not arrive in time',
    /wait_for_metadata_timeout/,
  ],
  [
    'not-in-cluster',
    'Error: cannot start pipelines: unable to load k8s config, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined',
    'a component looks for the cluster it runs in, and there is none',
    /kubeConfig/,
  ],
  [
    'scrape',
    console_('error', 'scraperhelper/controller.go:207', 'Error scraping metrics', {
      kind: 'receiver',
      name: 'hostmetrics',
      error: 'failed to read usage at /hostfs/proc: input/output error',
      scraper: 'hostmetrics',
    }),
    'receiver hostmetrics could not read some of its metrics',
    /root_path/,
  ],
]);
