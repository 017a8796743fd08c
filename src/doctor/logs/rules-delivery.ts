/** Troubles between a collector and its destinations, and of memory and queues. */
import { at, type LogRule, targetOf, who } from './rule.ts';

const exporter = 'an exporter';

export const DELIVERY_RULES: readonly LogRule[] = [
  {
    id: 'plain-http',
    isRepeated: true,
    state: 'failure',
    pattern: /server gave HTTP response to HTTPS client|first record does not look like a TLS handshake/,
    what: (m, e) => `${who(e, exporter)} speaks TLS with a port that speaks plain HTTP${at(m.input)}`,
    fix: () => 'write http:// instead of https:// in the endpoint (gRPC: tls: {insecure: true}), or take the TLS port',
  },
  {
    id: 'tls-wanted',
    isRepeated: true,
    state: 'failure',
    pattern: /Client sent an HTTP request to an HTTPS server/,
    what: (m, e) => `${who(e, exporter)} speaks plain HTTP with a port that wants TLS${at(m.input)}`,
    fix: () => 'write https:// instead of http:// in the endpoint',
  },
  {
    id: 'unknown-authority',
    isRepeated: true,
    state: 'failure',
    pattern: /x509: certificate signed by unknown authority|certificate is not trusted|self[- ]signed certificate/i,
    what: (m, e) =>
      `the certificate of the server is of an authority that ${who(e, 'the collector')} does not know${at(m.input)}`,
    fix: (m) =>
      /:10250\b/.test(m.input)
        ? 'kubelet: let the cluster sign its certificate (serverTLSBootstrap: true, on Talos rotate-server-certificates), or insecure_skip_verify: true; `sluice doctor` in the pod says which works'
        : 'set tls.ca_file to the certificate of that authority',
  },
  {
    id: 'certificate-names',
    isRepeated: true,
    state: 'failure',
    pattern:
      /x509: (?:cannot validate certificate for (\S+) because it doesn't contain any IP SANs|certificate is (?:valid for .{1,300}?|not valid for any names), (?:not|but wanted to match) (\S+))/,
    what: (m) => `the certificate of the server is not for the name ${m[1] ?? m[2]}`,
    fix: (m) =>
      /:10250\b/.test(m.input)
        ? 'kubelet: use the node name as endpoint (${env:K8S_NODE_NAME}:10250), or set server_name_override or insecure_skip_verify: true; `sluice doctor` in the pod says which works'
        : 'use a name of the certificate in the endpoint, or set tls.server_name_override to one',
  },
  {
    id: 'certificate-time',
    isRepeated: true,
    state: 'failure',
    pattern: /x509: certificate has expired or is not yet valid/,
    what: (m, e) =>
      `the certificate of the server has expired, or a clock is wrong${at(m.input)} (${who(e, 'collector')})`,
    fix: () => 'renew the certificate of the server; look at the clock of the node (timedatectl, talosctl time)',
  },
  {
    id: 'client-certificate',
    isRepeated: true,
    state: 'failure',
    pattern: /remote error: tls: (?:bad certificate|certificate required|unknown certificate authority)/,
    what: (m, e) => `the server does not accept the certificate of ${who(e, 'the collector')}${at(m.input)}`,
    fix: () => 'set tls.cert_file and tls.key_file to a pair of the authority that the server trusts',
  },
  {
    id: 'remote-write-order',
    state: 'failure',
    pattern: /out of order sample|out of bounds|duplicate sample for timestamp|too old sample/i,
    what: (m, e) => `${who(e, 'remote write')}: the destination rejects samples (${m[0].toLowerCase()})`,
    fix: () =>
      'two collectors write the same series, or one restarted with a full queue: give series a label of their node or cluster (external_labels), run one gateway; VictoriaMetrics takes such samples',
  },
  {
    id: 'remote-write-rejected',
    state: 'failure',
    pattern:
      /(?:remote[ _]write:?[^\n]{0,40}returned HTTP status |WriteRequest to remote endpoint\n(?:[^\n]*\n){0,12}?status_code=)(4(?!29)\d\d)\b/,
    what: (m, e) => `${who(e, 'remote write')}: the destination rejects requests with status ${m[1]}${at(m.input)}`,
    fix: (m) =>
      m[1] === '404' || /unsupported path/.test(m.input)
        ? 'the path is wrong: VictoriaMetrics single node takes /api/v1/write, vminsert /insert/0/prometheus/api/v1/write'
        : m[1] === '401' || m[1] === '403'
          ? 'the credentials are missing or wrong: headers.Authorization or auth.authenticator of the exporter'
          : 'the text behind `err =` says what it does not like; too long labels: shorten them in a processor',
  },
  {
    id: 'throttled',
    isRepeated: true,
    state: 'warning',
    pattern:
      /(?:HTTP [Ss]tatus (?:[Cc]ode )?|returned HTTP status |")429\b|code = ResourceExhausted(?!.{0,60}larger than max)|too many requests/i,
    what: (m, e) => `${who(e, exporter)}: the destination says that it gets too much (429)${at(m.input)}`,
    fix: () =>
      'raise its limit, or send less (filter, sampling); for remote write set retry_on_http_429: true so that nothing is dropped',
  },
  {
    id: 'too-large',
    state: 'failure',
    pattern:
      /HTTP [Ss]tatus (?:[Cc]ode )?413\b|received message (?:after decompression )?larger than max|request entity too large|max message size exceeded/i,
    what: (m, e) => `${who(e, exporter)}: requests are larger than the destination takes${at(m.input)}`,
    fix: () =>
      'batch: {send_batch_max_size: 2000}, or raise the limit of the destination (gRPC: max_recv_msg_size_mib)',
  },
  {
    id: 'not-authorised',
    isRepeated: true,
    state: 'failure',
    pattern: /HTTP [Ss]tatus (?:[Cc]ode )?(401|403)\b|code = (Unauthenticated|PermissionDenied)/,
    what: (m, e) =>
      `${who(e, exporter)}: the destination does not accept the credentials (${m[1] ?? m[2]})${at(m.input)}`,
    fix: () =>
      'set headers.Authorization or auth.authenticator of the exporter; look whether the Secret is mounted as environment',
  },
  {
    id: 'wrong-path',
    isRepeated: true,
    state: 'failure',
    pattern: /HTTP [Ss]tatus (?:[Cc]ode )?(404|405)\b/,
    what: (m, e) => `${who(e, exporter)}: nothing takes data at that path (status ${m[1]})${at(m.input)}`,
    fix: () =>
      'look at the path of the endpoint: VictoriaLogs takes OTLP below /insert/opentelemetry (v1/logs is appended), others below /v1/logs',
  },
  {
    id: 'rejected',
    state: 'failure',
    pattern: /responded with HTTP Status Code (4\d\d)\b|code = InvalidArgument/,
    what: (m, e) =>
      `${who(e, exporter)}: the destination rejects data for good${m[1] ? ` (status ${m[1]})` : ''}${at(m.input)}`,
    fix: () =>
      'the text behind Message= says why; these records are lost and counted in otelcol_exporter_send_failed_*',
  },
  {
    id: 'server-error',
    isRepeated: true,
    state: 'warning',
    pattern:
      /(?:HTTP [Ss]tatus (?:[Cc]ode )?|returned HTTP status |\nstatus_code=)(5\d\d)\b|code = Unavailable desc = (?!connection error|name resolver|dns)/,
    what: (m, e) => `${who(e, exporter)}: the destination fails${m[1] ? ` with status ${m[1]}` : ''}${at(m.input)}`,
    fix: () =>
      'look at the log of the destination; sluice waits with data of files, otelcol drops it after max_elapsed_time',
  },
  {
    id: 'no-such-host',
    isRepeated: true,
    state: 'failure',
    pattern:
      /lookup ([\w.-]+)(?: on \S+)?: (?:no such host|server misbehaving|i\/o timeout)|getaddrinfo (?:ENOTFOUND|EAI_AGAIN) ([\w.-]+)|produced zero addresses/,
    what: (m, e) => `${who(e, exporter)}: the name ${m[1] ?? m[2] ?? 'of the endpoint'} is not known`,
    fix: (m) => {
      const service = /^([\w-]+)\.([\w-]+)(?:\.svc|$)/.exec(m[1] ?? m[2] ?? '');
      return service
        ? `\`kubectl get service -n ${service[2]} ${service[1]}\` must show it; correct the endpoint or install it`
        : 'correct the endpoint; a Service of another namespace needs <service>.<namespace>.svc.cluster.local';
    },
  },
  {
    id: 'refused',
    isRepeated: true,
    state: 'failure',
    pattern: /connection refused|actively refused it|ECONNREFUSED/,
    what: (m, e) => `${who(e, exporter)}: nobody listens at the address (connection refused)${at(m.input)}`,
    fix: (m) => {
      if (/kubelet|:102[56]\d\b/.test(m.input))
        return 'endpoint: ${env:K8S_NODE_IP}:10250, with K8S_NODE_IP from fieldRef status.hostIP';
      const service = /^https?:\/\/([\w-]+)\.([\w-]+)\.svc/.exec(targetOf(m.input));
      return service
        ? `\`kubectl get endpointslices -n ${service[2]} -l kubernetes.io/service-name=${service[1]}\` must show ready pods; look at the port too`
        : 'start the destination, or correct host and port of the endpoint';
    },
  },
  {
    id: 'no-route',
    isRepeated: true,
    state: 'failure',
    pattern: /no route to host|network is unreachable|connect: connection timed out|dial tcp \S+: i\/o timeout/,
    what: (m, e) => `${who(e, exporter)}: the destination cannot be reached${at(m.input)}`,
    fix: () =>
      'a NetworkPolicy or firewall is in the way: `kubectl get networkpolicy -A`; try from the pod with `sluice doctor`',
  },
  {
    id: 'slow',
    isRepeated: true,
    state: 'warning',
    pattern: /context deadline exceeded|Client\.Timeout exceeded|code = DeadlineExceeded/,
    what: (m, e) => `${who(e, exporter)}: no answer in time${at(m.input)}`,
    fix: () =>
      'raise timeout of the component; look at the load of the other side, and at NetworkPolicies that drop packets',
  },
  {
    id: 'reset',
    isRepeated: true,
    state: 'warning',
    pattern: /connection reset by peer|broken pipe|unexpected EOF|server closed idle connection/,
    what: (m, e) => `${who(e, exporter)}: connections break${at(m.input)}`,
    fix: () => 'the other side or a proxy between restarts or closes early; a few are harmless: they are sent again',
  },
  {
    id: 'queue-full',
    isRepeated: true,
    state: 'failure',
    pattern: /sending[ _]queue is full|Dropping data because sending_queue is full/,
    what: (_, e) => `${who(e, exporter)}: its queue is full, the destination is slower than the sources`,
    fix: () =>
      'sending_queue: {num_consumers: 20, queue_size: 5000, storage: file_storage}, and find out why the destination is slow',
  },
  {
    id: 'memory-hard',
    isPrinted: true,
    state: 'failure',
    pattern:
      /Memory usage is above hard limit|JavaScript heap out of memory|runtime: out of memory|fatal error: out of memory/,
    what: (_, e) => `memory is used up (${who(e, 'process')})`,
    fix: () =>
      'raise resources.limits.memory, or take in less; a queue that fills because a destination is down is the usual cause',
  },
  {
    id: 'memory-refused',
    isRepeated: true,
    state: 'warning',
    pattern: /Memory usage is above soft limit|data refused due to high memory usage/,
    what: (_, e) => `the memory limit makes ${who(e, 'memory_limiter')} refuse data`,
    fix: () => 'raise resources.limits.memory or limit_percentage; files wait, but senders over OTLP get errors',
  },
  {
    id: 'memory-room',
    state: 'warning',
    pattern: /memory limit leaves too little room for the runtime/,
    what: () => 'the memory limit of the container is too small for the runtime',
    fix: () => 'raise resources.limits.memory (128Mi and more)',
  },
  {
    id: 'ledger-lost',
    state: 'failure',
    pattern: /^Ledger\n(?:.*\n){0,20}?lost=[1-9]/,
    what: (_, e) => `the ledger at the end says that records were lost (${who(e, 'receiver')})`,
    fix: () => 'lost_by in that line has the reasons; `sluice doctor` in the pod shows the same from its metrics',
  },
  {
    id: 'dropped',
    state: 'failure',
    pattern: /Exporting failed\. (Dropping|Rejecting) data|Batch was rejected and is lost|not retryable error/,
    what: (m, e) =>
      `${who(e, exporter)}: data is ${m[1] === 'Rejecting' ? 'given back to its sender' : 'dropped'} after failures`,
    fix: () => 'the error in the line says why; retry_on_failure: {max_elapsed_time: 0} never gives up',
  },
];
