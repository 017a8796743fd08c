/** Exporters of the two destinations, and what VictoriaLogs must be told so that streams stay few and events have a message. */
import type { JsonMap } from './config.ts';
import { type Draft, escapeDollar } from './draft.ts';
import type { DestinationTls, NormalLogsDestination, NormalMetricsDestination } from './spec.ts';

export const LOGS = 'otlp_http/logs';
export const METRICS = 'prometheus_remote_write';

/** Most of the node's disk that waits for the destination of logs. */
const QUEUE_BYTES = 1024 * 1024 * 1024;

const tls = (t: DestinationTls | undefined): JsonMap =>
  t
    ? {
        tls: {
          ...(t.caFile === undefined ? {} : { ca_file: t.caFile }),
          ...(t.insecureSkipVerify === undefined ? {} : { insecure_skip_verify: t.insecureSkipVerify }),
          ...(t.serverName === undefined ? {} : { server_name_override: t.serverName }),
        },
      }
    : {};

const filled = (key: string, map: Record<string, string>): JsonMap =>
  Object.keys(map).length > 0
    ? { [key]: Object.fromEntries(Object.entries(map).map(([k, v]) => [k, escapeReferences(v)])) }
    : {};

/** `${env:NAME}` stays a reference, any other `$` is one. */
const escapeReferences = (text: string): string =>
  text
    .split(/(\$\{env:[A-Za-z_]\w*\})/)
    .map((part, i) => (i % 2 === 1 ? part : escapeDollar(part)))
    .join('');

/** Environment variables that hold the credentials of a destination; the Secret is named where the pod is made. */
export const credentialVariables = (name: 'metrics' | 'logs') => ({
  username: `${name.toUpperCase()}_DESTINATION_USERNAME`,
  password: `${name.toUpperCase()}_DESTINATION_PASSWORD`,
  token: `${name.toUpperCase()}_DESTINATION_TOKEN`,
});

function auth(draft: Draft, name: 'metrics' | 'logs'): JsonMap {
  const { basic, bearer } = draft.spec.destinations[name].authentication ?? {};
  const { username, password, token } = credentialVariables(name);
  if (bearer) {
    const id = draft.extension(`bearertokenauth/${name}`, { token: `\${env:${token}}` });
    return { auth: { authenticator: id } };
  }
  if (!basic) return {};
  const id = draft.extension(`basicauth/${name}`, {
    client_auth: { username: `\${env:${username}}`, password: `\${env:${password}}` },
  });
  return { auth: { authenticator: id } };
}

function victoriaLogsHeaders(d: NormalLogsDestination): Record<string, string> {
  if (d.kind !== 'victorialogs') return {};
  const extra = Object.entries(d.extraFields).map(([k, v]) => `${k}=${v}`);
  return {
    // Without it every resource attribute makes streams, so every restart of a pod does.
    'VL-Stream-Fields': d.streamFields.join(','),
    // `_msg` first: a record with text keeps it, whatever other fields it has.
    'VL-Msg-Field': ['_msg', ...d.messageFields].join(','),
    ...(d.ignoreFields.length > 0 ? { 'VL-Ignore-Fields': d.ignoreFields.join(',') } : {}),
    ...(extra.length > 0 ? { 'VL-Extra-Fields': extra.join(',') } : {}),
    ...(d.tenant ? { AccountID: String(d.tenant.account), ProjectID: String(d.tenant.project ?? 0) } : {}),
  };
}

export function logsExporter(draft: Draft, d: NormalLogsDestination): void {
  const isAgent = draft.tier === 'agent';
  draft.exporters[LOGS] = {
    endpoint: escapeReferences(d.url),
    compression: d.compression,
    ...filled('headers', { ...victoriaLogsHeaders(d), ...d.headers }),
    ...tls(d.tls),
    ...auth(draft, 'logs'),
    ...(d.timeout === undefined ? {} : { timeout: d.timeout }),
    // What waits in files or on the disk is never given up.
    retry_on_failure: { enabled: true, max_elapsed_time: isAgent ? '0s' : '10m' },
    ...(isAgent
      ? {
          sending_queue: d.persistentQueue
            ? { storage: draft.storage(), sizer: 'bytes', queue_size: QUEUE_BYTES, block_on_overflow: true }
            : { block_on_overflow: true },
        }
      : {}),
  };
}

export function metricsExporter(draft: Draft, d: NormalMetricsDestination): void {
  const isAgent = draft.tier === 'agent';
  const labels = {
    // Metrics of the host have no resource of their own that would tell the nodes apart.
    ...(isAgent ? { k8s_node_name: '${env:K8S_NODE_NAME}' } : {}),
    ...d.externalLabels,
  };
  draft.exporters[METRICS] = {
    endpoint: escapeReferences(d.url),
    ...(d.compression === 'zstd' ? { compression: 'zstd' } : {}),
    ...filled('headers', d.headers),
    ...tls(d.tls),
    ...auth(draft, 'metrics'),
    ...(d.timeout === undefined ? {} : { timeout: d.timeout }),
    ...filled('external_labels', labels),
    ...(draft.isSluice
      ? { promote_resource_attributes: d.labels }
      : { resource_to_telemetry_conversion: { enabled: true } }),
    // What it would tell stands on every series already.
    target_info: { enabled: false },
    disable_scope_info: true,
    ...(draft.isSluice && d.persistentQueue ? { remote_write_queue: { storage: draft.storage() } } : {}),
  };
}
