/** talos: logs of the services of Talos, from their files in /var/log or over TCP as `machine.logging.destinations` sends them. */
import type { Json, JsonMap } from '../config.ts';
import type { Draft } from '../draft.ts';
import type { TalosOptions } from './options.ts';

const NODE = { 'k8s.node.name': '${env:K8S_NODE_NAME}', 'service.namespace': 'talos' };
const log = (service: string): string => `/var/log/${service}.log`;
const quietly = { on_error: 'send_quiet' };

export function talos(draft: Draft, options: TalosOptions): void {
  if (options.from === 'tcp') {
    overTcp(draft, options);
    return;
  }
  const storage: JsonMap =
    draft.spec.agent?.presets.logsCollection?.checkpoints === false ? {} : { storage: draft.storage() };
  const common = {
    include_file_name: true,
    include_file_path: false,
    start_at: 'storage' in storage ? 'beginning' : 'end',
    ...storage,
    retry_on_failure: { enabled: true, max_elapsed_time: '0s' },
  };
  draft.receiver('logs', 'file_log/talos', {
    include: options.services ? options.services.map(log) : [log('*')],
    exclude: (options.excludeServices ?? []).map(log),
    ...common,
    resource: NODE,
    operators: [
      {
        type: 'regex_parser',
        id: 'service',
        parse_from: 'attributes["log.file.name"]',
        regex: '^(?P<service>.+)\\.log$',
        ...quietly,
      },
      { type: 'move', from: 'attributes.service', to: 'resource["service.name"]', ...quietly },
    ],
  });
  if (!options.audit) return;
  draft.receiver('logs', 'file_log/talos-audit', {
    include: ['/var/log/audit/kube/*.log'],
    ...common,
    resource: { ...NODE, 'service.name': 'kube-apiserver-audit' },
    operators: [
      {
        type: 'json_parser',
        id: 'json',
        parse_to: 'attributes.audit',
        ...quietly,
        timestamp: {
          parse_from: 'attributes.audit.stageTimestamp',
          layout_type: 'gotime',
          layout: '2006-01-02T15:04:05.999999999Z07:00',
        },
      },
    ],
  });
}

/** Lines are objects: msg, talos-level, talos-service, talos-time. */
function overTcp(draft: Draft, options: TalosOptions): void {
  const operators: Json[] = [
    {
      type: 'json_parser',
      id: 'json',
      ...quietly,
      timestamp: {
        parse_from: 'attributes["talos-time"]',
        layout_type: 'gotime',
        layout: '2006-01-02T15:04:05.999999999Z07:00',
      },
      severity: { parse_from: 'attributes["talos-level"]' },
    },
    { type: 'move', from: 'attributes["talos-service"]', to: 'resource["service.name"]', ...quietly },
    { type: 'move', from: 'attributes.msg', to: 'body', ...quietly },
    ...['talos-time', 'talos-level'].map((key) => ({ type: 'remove', field: `attributes["${key}"]`, ...quietly })),
  ];
  draft.receiver('logs', 'tcplog/talos', {
    listen_address: `0.0.0.0:${options.port ?? 5140}`,
    resource: NODE,
    operators,
  });
}
