/** Lines about configuration and start. */
import { CONFIG_RULES } from './rules-config.ts';
import { console_, json, testRules } from './testing.ts';

testRules(CONFIG_RULES, [
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
    'architecture',
    'exec /usr/local/bin/sluice: exec format error',
    '/usr/local/bin/sluice is not made for the architecture of this machine',
    /skopeo copy --all/,
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
]);
