/** Troubles with the configuration and with starting. */
import { type LogRule, who } from './rule.ts';

const VALIDATE = '`sluice validate --config FILE` shows file, line and column';

export const CONFIG_RULES: readonly LogRule[] = [
  {
    id: 'removed-component',
    isPrinted: true,
    state: 'failure',
    pattern: /unknown type: \\*"(\w+)\\*" for id: \\*"([^"\\]+)\\*"/,
    what: (m) => `the configuration names ${m[2]}, a component that this collector does not have`,
    fix: (m) =>
      m[1] === 'logging'
        ? 'the logging exporter was removed: use debug'
        : `\`sluice components\` lists them; ${m[1]} may have another name now, or be in another distribution`,
  },
  {
    id: 'unknown-key',
    isPrinted: true,
    state: 'failure',
    pattern: /has invalid keys: ([^\n"]+)/,
    what: (m) => `the configuration has keys that nothing knows: ${m[1]}`,
    fix: () => `correct or remove them; ${VALIDATE}`,
  },
  {
    id: 'reference',
    isPrinted: true,
    state: 'failure',
    pattern: /references (\w+) \\*"([^"\\]+)\\*" which is not configured/,
    what: (m) => `a pipeline names the ${m[1]} ${m[2]}, which is not configured`,
    fix: (m) => `add it below ${m[1]}s:, or take it out of service.pipelines`,
  },
  {
    id: 'unmarshal',
    isPrinted: true,
    state: 'failure',
    pattern: /cannot unmarshal the configuration|error decoding '|yaml: (?:line \d+|unmarshal)|failed to get config/,
    what: () => 'the configuration cannot be read',
    fix: () => `the lines below it say where; ${VALIDATE}`,
  },
  {
    id: 'invalid',
    isPrinted: true,
    state: 'failure',
    pattern: /invalid configuration(?:: ([^\n]+))?/,
    what: (m) => `the configuration breaks a rule${m[1] ? `: ${m[1]}` : ''}`,
    fix: () => VALIDATE,
  },
  {
    id: 'no-environment',
    state: 'warning',
    pattern: /[Cc]onfiguration references unset environment variable\n(?:.*\n){0,20}?(\w+)/,
    what: (m) => `the configuration uses the variable ${m[1]}, which is not set`,
    fix: (m) =>
      /NODE_(?:NAME|IP)|POD_IP/.test(m[1]!)
        ? `env of the container: {name: ${m[1]}, valueFrom: {fieldRef: {fieldPath: ${/NODE_NAME/.test(m[1]!) ? 'spec.nodeName' : /NODE_IP/.test(m[1]!) ? 'status.hostIP' : 'status.podIP'}}}}`
        : `set ${m[1]} in env of the container, or give a default: \${env:${m[1]}:-default}`,
  },
  {
    id: 'architecture',
    isPrinted: true,
    state: 'failure',
    // Said by the container runtime in place of the program.
    pattern: /\bexec (\S+): exec format error/,
    what: (m) => `${m[1]} is not made for the architecture of this machine`,
    fix: () => 'npm run image without --arch makes the image for amd64 and arm64; push both: skopeo copy --all',
  },
  {
    id: 'port-taken',
    isPrinted: true,
    state: 'failure',
    pattern:
      /(?:listen \w+ (\S+): )?bind: address already in use|EADDRINUSE[^\n]{0,200}?(?:address already in use )?(\S*:\d+)/,
    what: (m, e) => `a port is taken already${m[1] || m[2] ? ` (${m[1] ?? m[2]})` : ''} (${who(e, 'service')})`,
    fix: () => 'two collectors share a network: take away hostPort or hostNetwork, or give one another port',
  },
  {
    id: 'start',
    isPrinted: true,
    state: 'failure',
    pattern:
      /(?:failed to build pipelines|cannot (?:start|setup) (?:pipelines|extensions|exporters)|failed to (?:create|start) "[^"]+" \w+[^:\n]{0,100}): ([^\n]{1,200})/,
    what: (m) => `the collector does not start: ${m[1]}`,
    fix: () => VALIDATE,
  },
  {
    id: 'reload',
    state: 'warning',
    pattern:
      /Configuration was not reloaded; the old one keeps running|The new configuration did not start; going back/,
    what: () => 'a new configuration was not taken; the old one runs on',
    fix: () => `the error in the line says why; ${VALIDATE}`,
  },
  {
    id: 'deprecated',
    state: 'warning',
    pattern: /\\*"([\w]+)\\*" alias is deprecated; use \\*"([\w]+)\\*" instead/,
    what: (m) => `${m[1]} is the former name of ${m[2]}`,
    fix: (m) => `write ${m[2]} in the configuration; ${m[1]} works as long as upstream accepts it`,
  },
  {
    id: 'panic',
    isPrinted: true,
    state: 'failure',
    pattern: /^(?:panic: |fatal error: |Uncaught |Unhandled error)/m,
    what: () => 'the collector crashed',
    fix: () => 'report it with the lines that follow; the pod begins again by itself',
  },
];
