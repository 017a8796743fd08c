/** Lines about the way to a destination, its answers, queues and memory. */
import { DELIVERY_RULES } from './rules-delivery.ts';
import { console_, drop, json, LOGS, retry, testRules } from './testing.ts';

testRules(DELIVERY_RULES, [
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
    /kubectl get endpointslices -n logs -l kubernetes\.io\/service-name=vl` /,
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
]);
