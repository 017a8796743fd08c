import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLine } from './line.ts';
import { LOG_RULES } from './rules.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const console_ = (level: string, caller: string, message: string, fields: object): string =>
  `2026-11-23T10:00:00.000Z\t${level}\t${caller}\t${message}\t${JSON.stringify(fields)}`;
const json = (level: string, message: string, fields: object): string =>
  JSON.stringify({ level, ts: 1795428000.25, caller: 'internal/queue_sender.go:128', msg: message, ...fields });
const LOGS = {
  'otelcol.component.id': 'otlphttp/logs',
  'otelcol.component.kind': 'Exporter',
  'otelcol.signal': 'logs',
};
const OLD = { kind: 'exporter', data_type: 'logs', name: 'otlphttp/logs' };
const RETRY = 'Exporting failed. Will retry the request after interval.';
const retry = (error: string) =>
  console_('info', 'internal/retry_sender.go:133', RETRY, { ...LOGS, error, interval: '5s' });
const drop = (error: string) =>
  json('error', 'Exporting failed. Dropping data.', {
    ...OLD,
    error,
    dropped_items: 20,
    stacktrace: 'go.opentelemetry.io/x\n\tx.go:1',
  });

/** Rule, a line as collectors write it, and what is made of it; the fix only by a word that must be in it. */
const TABLE: readonly (readonly [id: string, line: string, what: string, fix: RegExp])[] = [
  [
    'plain-http',
    retry(
      'failed to make an HTTP request: Post "https://vl.logs.svc:9428/insert/opentelemetry/v1/logs": http: server gave HTTP response to HTTPS client',
    ),
    'exporter otlphttp/logs speaks TLS with a port that speaks plain HTTP (https://vl.logs.svc:9428)',
    /http:\/\//,
  ],
  [
    'plain-http',
    retry(
      'rpc error: code = Unavailable desc = connection error: desc = "transport: authentication handshake failed: tls: first record does not look like a TLS handshake"',
    ),
    'exporter otlphttp/logs speaks TLS with a port that speaks plain HTTP',
    /insecure: true/,
  ],
  [
    'tls-wanted',
    drop(
      'Permanent error: error exporting items, request to http://a:4318/v1/logs responded with HTTP Status Code 400, Message=Client sent an HTTP request to an HTTPS server.',
    ),
    'exporter otlphttp/logs speaks plain HTTP with a port that wants TLS (http://a:4318)',
    /https:\/\//,
  ],
  [
    'unknown-authority',
    retry(
      'failed to make an HTTP request: Post "https://vl:9428/v1/logs": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    ),
    'the certificate of the server is of an authority that exporter otlphttp/logs does not know (https://vl:9428)',
    /tls\.ca_file/,
  ],
  [
    'unknown-authority',
    console_('error', 'scraperhelper/controller.go:207', 'Error scraping metrics', {
      kind: 'receiver',
      name: 'kubeletstats',
      error:
        'Get "https://10.0.0.5:10250/stats/summary": tls: failed to verify certificate: x509: certificate signed by unknown authority',
      scraper: 'kubeletstats',
    }),
    'the certificate of the server is of an authority that receiver kubeletstats does not know (https://10.0.0.5:10250)',
    /serverTLSBootstrap/,
  ],
  [
    'certificate-names',
    console_('error', 'scraperhelper/controller.go:207', 'Error scraping metrics', {
      kind: 'receiver',
      name: 'kubeletstats',
      error: `Get "https://10.0.0.5:10250/stats/summary": tls: failed to verify certificate: x509: cannot validate certificate for 10.0.0.5 because it doesn't contain any IP SANs`,
      scraper: 'kubeletstats',
    }),
    'the certificate of the server is not for the name 10.0.0.5',
    /K8S_NODE_NAME/,
  ],
  [
    'certificate-names',
    retry(
      'failed to make an HTTP request: Post "https://logs.example.com/v1/logs": tls: failed to verify certificate: x509: certificate is valid for a.example.com, b.example.com, not logs.example.com',
    ),
    'the certificate of the server is not for the name logs.example.com',
    /server_name_override/,
  ],
  [
    'certificate-time',
    retry(
      'Post "https://vl:1/": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-23T10:00:00Z is after 2026-01-01T00:00:00Z',
    ),
    'the certificate of the server has expired, or a clock is wrong (https://vl:1) (exporter otlphttp/logs)',
    /renew/,
  ],
  [
    'client-certificate',
    retry('Post "https://vl:1/": remote error: tls: bad certificate'),
    'the server does not accept the certificate of exporter otlphttp/logs (https://vl:1)',
    /tls\.cert_file/,
  ],
  [
    'remote-write-order',
    console_('error', 'internal/queue_sender.go:128', 'Exporting failed. Dropping data.', {
      kind: 'exporter',
      data_type: 'metrics',
      name: 'prometheusremotewrite',
      error:
        'Permanent error: Permanent error: Permanent error: remote write returned HTTP status 400 Bad Request; err = %!w(<nil>): out of order sample\n',
      dropped_items: 8,
    }),
    'exporter prometheusremotewrite: the destination rejects samples (out of order sample)',
    /external_labels/,
  ],
  [
    'remote-write-rejected',
    console_('error', 'exporters/prometheus_remote_write', 'Exporting failed. Dropping data.', {
      'otelcol.component.id': 'prometheusremotewrite',
      'otelcol.component.kind': 'exporter',
      error: 'remote_write: returned HTTP status 404 Not Found; err = 404 page not found',
      dropped_items: 8,
    }),
    'exporter prometheusremotewrite: the destination rejects requests with status 404',
    /insert\/0\/prometheus/,
  ],
  [
    'remote-write-rejected',
    json('error', 'Exporting failed. Dropping data.', {
      kind: 'exporter',
      name: 'prometheusremotewrite',
      error: 'Permanent error: remote write returned HTTP status 401 Unauthorized; err = %!w(<nil>): unauthorized',
    }),
    'exporter prometheusremotewrite: the destination rejects requests with status 401',
    /Authorization/,
  ],
  [
    'remote-write-rejected',
    console_(
      'error',
      'prometheusremotewriteexporter@v0.149.0/exporter.go:491',
      'failed to send WriteRequest to remote endpoint',
      {
        'otelcol.component.id': 'prometheusremotewrite',
        'otelcol.component.kind': 'exporter',
        'otelcol.signal': 'metrics',
        status_code: 404,
        status: '404 Not Found',
        endpoint: 'http://vm:8428/api/v1/writ',
        retry_attempt: 1,
        error: 'no',
      },
    ),
    'exporter prometheusremotewrite: the destination rejects requests with status 404 (http://vm:8428)',
    /insert\/0\/prometheus/,
  ],
  [
    'server-error',
    console_(
      'error',
      'prometheusremotewriteexporter@v0.149.0/exporter.go:491',
      'failed to send WriteRequest to remote endpoint',
      {
        'otelcol.component.id': 'prometheusremotewrite',
        'otelcol.component.kind': 'exporter',
        'otelcol.signal': 'metrics',
        status_code: 503,
        status: '503 Service Unavailable',
        endpoint: 'http://vm:8428/api/v1/writ',
        retry_attempt: 1,
        error: 'no',
      },
    ),
    'exporter prometheusremotewrite: the destination fails with status 503 (http://vm:8428)',
    /log of the destination/,
  ],
  [
    'throttled',
    console_(
      'error',
      'prometheusremotewriteexporter@v0.149.0/exporter.go:491',
      'failed to send WriteRequest to remote endpoint',
      {
        'otelcol.component.id': 'prometheusremotewrite',
        'otelcol.component.kind': 'exporter',
        'otelcol.signal': 'metrics',
        status_code: 429,
        status: '429 Too Many Requests',
        endpoint: 'http://vm:8428/api/v1/writ',
        retry_attempt: 1,
        error: 'no',
      },
    ),
    'exporter prometheusremotewrite: the destination says that it gets too much (429) (http://vm:8428)',
    /retry_on_http_429/,
  ],
  [
    'throttled',
    drop(
      'no more retries left: Throttle (0s), error: error exporting items, request to https://otlp.example.com/otlp/v1/traces responded with HTTP Status Code 429, Message=slow down, Details=[]',
    ),
    'exporter otlphttp/logs: the destination says that it gets too much (429) (https://otlp.example.com)',
    /raise its limit/,
  ],
  [
    'throttled',
    console_(
      'error',
      'exporters/prometheus_remote_write',
      'remote_write: failed to send WriteRequest to remote endpoint',
      {
        'otelcol.component.id': 'prometheusremotewrite',
        'otelcol.component.kind': 'exporter',
        status_code: 429,
        status: '429 Too Many Requests',
        endpoint: 'http://vm:8428/api/v1/write',
        error: '',
      },
    ),
    'exporter prometheusremotewrite: the destination says that it gets too much (429) (http://vm:8428)',
    /retry_on_http_429/,
  ],
  [
    'too-large',
    drop(
      'Permanent error: error exporting items, request to http://vl:9428/v1/logs responded with HTTP Status Code 413',
    ),
    'exporter otlphttp/logs: requests are larger than the destination takes (http://vl:9428)',
    /send_batch_max_size/,
  ],
  [
    'too-large',
    drop(
      'Permanent error: rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5242881 vs. 4194304)',
    ),
    'exporter otlphttp/logs: requests are larger than the destination takes',
    /max_recv_msg_size_mib/,
  ],
  [
    'not-authorised',
    drop(
      'not retryable error: Permanent error: rpc error: code = Unauthenticated desc = error exporting items, request to https://l.example.com/v1/logs responded with HTTP Status Code 401',
    ),
    'exporter otlphttp/logs: the destination does not accept the credentials (Unauthenticated) (https://l.example.com)',
    /Authorization/,
  ],
  [
    'wrong-path',
    drop(
      'not retryable error: Permanent error: error exporting items, request to http://vl:9428/v1/logs responded with HTTP Status Code 404',
    ),
    'exporter otlphttp/logs: nothing takes data at that path (status 404) (http://vl:9428)',
    /insert\/opentelemetry/,
  ],
  [
    'rejected',
    drop(
      'not retryable error: Permanent error: rpc error: code = InvalidArgument desc = error exporting items, request to http://p:9090/api/v1/otlp/v1/metrics responded with HTTP Status Code 400',
    ),
    'exporter otlphttp/logs: the destination rejects data for good (http://p:9090)',
    /send_failed/,
  ],
  [
    'server-error',
    retry('error exporting items, request to http://vl:9428/v1/logs responded with HTTP Status Code 503'),
    'exporter otlphttp/logs: the destination fails with status 503 (http://vl:9428)',
    /log of the destination/,
  ],
  [
    'no-such-host',
    retry(
      'failed to make an HTTP request: Post "http://victoria-logs.logs.svc.cluster.local:9428/v1/logs": dial tcp: lookup victoria-logs.logs.svc.cluster.local on 10.96.0.10:53: no such host',
    ),
    'exporter otlphttp/logs: the name victoria-logs.logs.svc.cluster.local is not known',
    /kubectl get service -n logs victoria-logs/,
  ],
  [
    'no-such-host',
    retry('rpc error: code = Unavailable desc = name resolver error: produced zero addresses'),
    'exporter otlphttp/logs: the name of the endpoint is not known',
    /cluster\.local/,
  ],
  [
    'refused',
    retry(
      'failed to make an HTTP request: Post "http://vl.logs.svc.cluster.local:9428/v1/logs": dial tcp 10.1.2.3:9428: connect: connection refused',
    ),
    'exporter otlphttp/logs: nobody listens at the address (connection refused) (http://vl.logs.svc.cluster.local:9428)',
    /kubectl get endpointslices -n logs -l kubernetes\.io\/service-name=vl /,
  ],
  [
    'refused',
    drop(
      'interrupted due to shutdown: failed to make an HTTP request: Post "http://127.0.0.1:4320/v1/metrics": dial tcp 127.0.0.1:4320: connectex: No connection could be made because the target machine actively refused it.',
    ),
    'exporter otlphttp/logs: nobody listens at the address (connection refused) (http://127.0.0.1:4320)',
    /host and port/,
  ],
  [
    'refused',
    console_('error', 'kubeletstatsreceiver@v0.149.0/scraper.go:106', 'call to /stats/summary endpoint failed', {
      'otelcol.component.id': 'kubeletstats',
      'otelcol.component.kind': 'receiver',
      error: 'Get "https://127.0.0.1:10250/stats/summary": dial tcp 127.0.0.1:10250: connect: connection refused',
    }),
    'receiver kubeletstats: nobody listens at the address (connection refused) (https://127.0.0.1:10250)',
    /K8S_NODE_IP/,
  ],
  [
    'not-in-cluster',
    'Error: cannot start pipelines: failed to start "k8s_cluster" receiver: invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable',
    'a component looks for the cluster it runs in, and there is none',
    /kubeConfig/,
  ],
  [
    'no-route',
    retry('Post "http://10.9.9.9:9428/v1/logs": dial tcp 10.9.9.9:9428: connect: no route to host'),
    'exporter otlphttp/logs: the destination cannot be reached (http://10.9.9.9:9428)',
    /NetworkPolicy/,
  ],
  [
    'slow',
    retry(
      'failed to make an HTTP request: Post "http://vl:9428/v1/logs": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
    ),
    'exporter otlphttp/logs: no answer in time (http://vl:9428)',
    /timeout/,
  ],
  [
    'reset',
    retry('Post "http://vl:9428/v1/logs": read tcp 10.0.0.1:40000->10.0.0.2:9428: read: connection reset by peer'),
    'exporter otlphttp/logs: connections break (http://vl:9428)',
    /proxy/,
  ],
  [
    'queue-full',
    json('error', 'Exporting failed. Rejecting data.', {
      ...LOGS,
      error: 'sending queue is full',
      rejected_items: 100,
    }),
    'exporter otlphttp/logs: its queue is full, the destination is slower than the sources',
    /num_consumers/,
  ],
  [
    'queue-full',
    '{"level":"error","ts":1603846177.78816,"caller":"exporterhelper/queued_retry.go:150","msg":"Dropping data because sending_queue is full. Try increasing queue_size.","component_kind":"exporter","component_type":"otlphttp","component_name":"otlphttp","dropped_items":12}',
    'exporter otlphttp: its queue is full, the destination is slower than the sources',
    /queue_size/,
  ],
  [
    'memory-hard',
    console_('warn', 'memorylimiter@v0.120.0/memorylimiter.go:199', 'Memory usage is above hard limit. Forcing a GC.', {
      kind: 'processor',
      name: 'memory_limiter',
      cur_mem_mib: 420,
    }),
    'memory is used up (processor memory_limiter)',
    /limits\.memory/,
  ],
  [
    'memory-hard',
    'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
    'memory is used up (process)',
    /limits\.memory/,
  ],
  [
    'memory-refused',
    console_('warn', 'memorylimiter/memorylimiter.go:215', 'Memory usage is above soft limit. Refusing data.', {
      kind: 'processor',
      name: 'memory_limiter',
      cur_mem_mib: 380,
    }),
    'the memory limit makes processor memory_limiter refuse data',
    /limit_percentage/,
  ],
  [
    'memory-refused',
    json('error', 'Scraped metrics were refused', {
      'otelcol.component.id': 'hostmetrics',
      'otelcol.component.kind': 'receiver',
      error: 'data refused due to high memory usage',
    }),
    'the memory limit makes receiver hostmetrics refuse data',
    /OTLP/,
  ],
  [
    'memory-room',
    console_(
      'warn',
      'processors/memory_limiter',
      'The memory limit leaves too little room for the runtime itself; lower it or give the container more',
      {},
    ),
    'the memory limit of the container is too small for the runtime',
    /128Mi/,
  ],
  [
    'ledger-lost',
    console_('info', 'service', 'Ledger', {
      'otelcol.component.id': 'filelog',
      records: { read: 10, delivered: 7, lost: 3 },
      bytes: { read: 100, lost: 30 },
      lost_by: { 'rejected: 400': 3 },
    }),
    'the ledger at the end says that records were lost (filelog)',
    /lost_by/,
  ],
  [
    'dropped',
    console_('error', 'receivers/file_log', 'Batch was rejected and is lost', {
      'otelcol.component.id': 'filelog',
      'otelcol.component.kind': 'receiver',
      error: 'no',
      log_records: 5,
    }),
    'receiver filelog: data is dropped after failures',
    /max_elapsed_time/,
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
  [
    'pod-logs-denied',
    '2024-12-18T14:41:27.020Z\terror\tfileconsumer/file.go:189\tFailed to open file\t{"kind": "receiver", "name": "filelog/k8s", "data_type": "logs", "component": "fileconsumer", "error": "open /var/log/pods/argocd_argocd-dex-server-8496698f-bg9tn_9801c57e/copyutil/0.log: permission denied"}',
    '/var/log/pods may not be read',
    /runAsUser: 0/,
  ],
  [
    'pod-logs-denied',
    console_('warn', 'fileconsumer/file.go:49', 'finding files', {
      kind: 'receiver',
      name: 'filelog',
      error: `find files with '/var/log/pods/*/*/*.log' pattern: open .: permission denied`,
    }),
    '/var/log/pods may not be read',
    /runAsUser: 0/,
  ],
  [
    'pod-logs-denied',
    console_('error', 'receivers/file_log', 'Failed to open file', {
      path: '/var/log/pods/a_b_c/d/0.log',
      error: "EACCES: permission denied, open '/var/log/pods/a_b_c/d/0.log'",
    }),
    '/var/log/pods may not be read',
    /SCC/,
  ],
  [
    'storage-denied',
    'Error: cannot start extensions: failed to create directory: mkdir /var/lib/otelcol/storage: permission denied',
    'offsets cannot be stored in /var/lib/otelcol/storage',
    /hostPath/,
  ],
  [
    'storage-missing',
    'Error: invalid configuration: extensions::file_storage: directory must exist: stat /var/lib/otelcol: no such file or directory. You can enable the create_directory option to automatically create it',
    'the directory /var/lib/otelcol of a storage extension is not there',
    /create_directory: true/,
  ],
  [
    'storage-locked',
    'Error: cannot start pipelines: failed to start "filelog" receiver: storage client: /var/lib/otelcol/receiver_filelog_ is in use: timeout after 1s. Does another collector, or another extension here, use the same directory?',
    'another process holds the stored offsets (/var/lib/otelcol/receiver_filelog_)',
    /maxSurge: 0/,
  ],
  [
    'disk-full',
    json('error', 'Failed to store offsets; trying again', {
      'otelcol.component.id': 'filelog',
      error: 'database or disk is full',
    }),
    'a disk is full (filelog)',
    /max_size/,
  ],
  [
    'offsets-damaged',
    console_('error', 'receivers/file_log', 'Stored offsets are damaged; going on with what can be read', {
      'otelcol.component.id': 'filelog',
      'otelcol.component.kind': 'receiver',
    }),
    'stored offsets were damaged (receiver filelog); some lines may have been read twice',
    /fsync/,
  ],
  [
    'rotated-away',
    console_('error', 'receivers/file_log', 'File was deleted or truncated before all of it was read', {
      'otelcol.component.id': 'filelog',
      'otelcol.component.kind': 'receiver',
      path: '/var/log/pods/shop_web-1_0000-11/app/0.log',
      bytes: 5000,
    }),
    'lines of shop/web-1 (container app) were rotated away before they were read',
    /containerLogMaxSize/,
  ],
  [
    'many-files',
    json('error', 'Failed to open file', { error: 'open /x/y.log: too many open files' }),
    'the process has too many files open',
    /max_concurrent_files/,
  ],
  [
    'inotify',
    console_('warn', 'receivers/file_log', 'Cannot watch directories; polling instead', {
      directory: '/var/log/pods',
      error: 'ENOSPC: System limit for number of file watchers reached',
    }),
    'the kernel gives no more inotify watches; files are polled',
    /max_user_watches/,
  ],
  [
    'no-files',
    console_('warn', 'fileconsumer/file.go:49', 'finding files', {
      kind: 'receiver',
      name: 'filelog',
      error: 'no files match the configured criteria',
    }),
    'receiver filelog: there are no files under its globs',
    /sluice why/,
  ],
  [
    'files-denied',
    '2024-12-18T14:41:27.020Z\terror\tfileconsumer/file.go:189\tFailed to open file\t{"kind": "receiver", "name": "filelog/2", "data_type": "logs", "component": "fileconsumer", "error": "open /var/lib/rancher/rke2/server/logs/audit.log: permission denied"}',
    '/var/lib/rancher/rke2/server/logs may not be read',
    /user that may read/,
  ],
  [
    'parser',
    console_('error', 'helper/transformer.go:154', 'Failed to process entry', {
      kind: 'receiver',
      name: 'filelog',
      operator_id: 'json_parser',
      error: 'expected { character for map value',
      action: 'send',
    }),
    'receiver filelog: an operator cannot parse lines',
    /send_quiet/,
  ],
  [
    'long-path',
    console_('error', 'helper/transformer.go:154', 'Failed to process entry', {
      kind: 'receiver',
      name: 'filelog',
      operator_id: 'container-parser',
      error: 'regex pattern does not match',
    }),
    'receiver filelog: an expression does not fit lines or paths',
    /include_file_path/,
  ],
  [
    'removed-component',
    `'exporters' unknown type: "logging" for id: "logging" (valid values: [debug file nop otlp otlphttp])`,
    'the configuration names logging, a component that this collector does not have',
    /use debug/,
  ],
  [
    'unknown-key',
    "'exporters' error reading configuration for \"otlphttp\": decoding failed due to the following error(s): '' has invalid keys: endpont",
    'the configuration has keys that nothing knows: endpont',
    /sluice validate/,
  ],
  [
    'reference',
    'service::pipelines::logs: references exporter "otlphttp/x" which is not configured',
    'a pipeline names the exporter otlphttp/x, which is not configured',
    /exporters:/,
  ],
  [
    'unmarshal',
    'Error: failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):',
    'the configuration cannot be read',
    /sluice validate/,
  ],
  [
    'invalid',
    'Error: invalid configuration: processors::batch: send_batch_max_size must be greater or equal to send_batch_size',
    'the configuration breaks a rule: processors::batch: send_batch_max_size must be greater or equal to send_batch_size',
    /sluice validate/,
  ],
  [
    'no-environment',
    console_('warn', 'service', 'Configuration references unset environment variable', { name: 'K8S_NODE_IP' }),
    'the configuration uses the variable K8S_NODE_IP, which is not set',
    /status\.hostIP/,
  ],
  [
    'start',
    `Error: failed to build pipelines: failed to create "filelog" receiver for data type "logs": 'include' must be specified`,
    `the collector does not start: failed to create "filelog" receiver for data type "logs": 'include' must be specified`,
    /sluice validate/,
  ],
  [
    'start',
    json('error', 'error found during service initialization', {
      error: `cannot start pipelines: failed to start "filelog" receiver: storage client: storage extension 'file_storage' not found`,
    }),
    `the collector does not start: failed to start "filelog" receiver: storage client: storage extension 'file_storage' not found`,
    /sluice validate/,
  ],
  [
    'port-taken',
    'Error: cannot start pipelines: listen tcp 0.0.0.0:4317: bind: address already in use',
    'a port is taken already (0.0.0.0:4317) (service)',
    /hostPort/,
  ],
  [
    'reload',
    console_('error', 'service', 'Configuration was not reloaded; the old one keeps running', { error: 'x' }),
    'a new configuration was not taken; the old one runs on',
    /validate/,
  ],
  [
    'deprecated',
    console_('warn', 'service', '"filelog" alias is deprecated; use "file_log" instead', {
      'otelcol.component.id': 'filelog',
    }),
    'filelog is the former name of file_log',
    /write file_log/,
  ],
  [
    'panic',
    'panic: runtime error: invalid memory address or nil pointer dereference',
    'the collector crashed',
    /report/,
  ],
];

for (const [id, line, what, fix] of TABLE)
  test(`a log line is known as ${id}: ${line.slice(0, 60)}…`, () => {
    const entry = readLine(line, NOW);
    assert.ok(entry);
    const rule = LOG_RULES.find((r) => r.pattern.test(entry.text));
    assert.equal(rule?.id, id, entry.text);
    const match = rule!.pattern.exec(entry.text)!;
    assert.equal(rule!.what(match, entry), what);
    assert.match(rule!.fix(match, entry), fix);
    assert.doesNotMatch(rule!.fix(match, entry), /\n/, 'a fix is one line');
  });

test('every rule has a line of its own, and ids are used once', () => {
  const ids = LOG_RULES.map((r) => r.id);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(
    ids.filter((id) => !TABLE.some((t) => t[0] === id)),
    [],
  );
});

test('lines of a collector that is well are nobody’s trouble', () => {
  const fine = [
    console_('info', 'service', 'Everything is ready. Begin running and processing data.', {}),
    console_('info', 'service', 'Ledger', { records: { read: 10, delivered: 10, lost: 0 }, lost_by: {} }),
    console_('info', 'receivers/file_log', 'Started watching file', { path: '/var/log/pods/a_b_c/d/0.log' }),
    console_('info', 'service', 'Starting extensions...', {}),
    json('info', 'Serving metrics', { address: 'localhost:8888' }),
    'I1123 10:00:00.395926       1 leaderelection.go:257] attempting to acquire leader lease opentelemetry/gw...',
  ];
  for (const line of fine) {
    const entry = readLine(line, NOW)!;
    assert.equal(LOG_RULES.find((r) => r.pattern.test(entry.text))?.id, undefined, line);
  }
});

test('no pattern takes long, whatever the line', () => {
  const pieces = [
    '"',
    'a',
    '\n',
    'a\n',
    '\\"a',
    '/var/lib/',
    'open ',
    'open /var/log/pods ',
    'mkdir /',
    'listen tcp ',
    'User "a" cannot get resource ',
    'failed to start "a" x',
    'x509: certificate is valid for ',
    'Failed to process entry\n',
    'WriteRequest to remote endpoint\n',
    'Configuration references unset environment variable\n',
  ];
  const bad = pieces.map((p) => p.repeat(Math.ceil(32_000 / p.length)));
  for (const text of bad)
    for (const rule of LOG_RULES) {
      const start = performance.now();
      rule.pattern.test(text);
      assert.ok(performance.now() - start < 1000, `${rule.id} on ${text.slice(0, 20)}`);
    }
});
