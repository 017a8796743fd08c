/** The table of commands and flags: what is accepted, and what --help says. Code of a command is loaded when it is used. */
import type { Arguments } from './arguments.ts';

export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** `list` may be given several times. */
  readonly type: 'list' | 'text' | 'bool';
  /** Stands for the value in --help. */
  readonly value?: string;
  readonly default?: string | boolean;
  readonly help: string;
}

export interface CommandModule {
  /** Gives the exit code. */
  readonly run: (args: Arguments) => Promise<number>;
}

export interface Command {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** Names of what may follow, for --help; undefined: nothing may. */
  readonly operands?: string;
  readonly flags: readonly Flag[];
  /** All that follows goes to the command as it is. */
  readonly isRaw?: boolean;
  readonly load: () => Promise<CommandModule>;
}

const CONFIG_FLAGS: readonly Flag[] = [
  {
    name: 'config',
    type: 'list',
    value: 'URI',
    help: 'Configuration: a path, file:PATH, env:NAME or yaml:TEXT; may be repeated, later ones win',
  },
  {
    name: 'set',
    type: 'list',
    value: 'KEY=VALUE',
    help: 'Sets one value after all of --config, e.g. --set=processors.batch.timeout=2s; may be repeated',
  },
  { name: 'feature-gates', type: 'list', value: 'IDS', help: 'Comma list of feature gates; -id turns one off' },
];

/** How `doctor` and `why` find a cluster and a configuration. */
const CLUSTER_FLAGS: readonly Flag[] = [
  {
    name: 'config',
    type: 'list',
    value: 'URI',
    help: 'Configuration to look at; without it those in the ConfigMaps of the namespace, in a pod /conf/relay.yaml',
  },
  {
    name: 'kubeconfig',
    type: 'text',
    value: 'FILE',
    help: 'How to reach the cluster; without it KUBECONFIG or ~/.kube/config, in a pod its service account',
  },
  { name: 'context', type: 'text', value: 'NAME', help: 'Context of the kubeconfig; its current one without' },
];
const FORMAT_FLAG: Flag = { name: 'format', type: 'text', value: 'FORMAT', default: 'text', help: 'text or json' };

export const GLOBAL_FLAGS: readonly Flag[] = [
  { name: 'help', short: 'h', type: 'bool', help: 'Show this help' },
  { name: 'version', short: 'v', type: 'bool', help: 'Show the version' },
];

export const COMMANDS: readonly Command[] = [
  {
    name: 'run',
    summary: 'Run the collector; the same as no command',
    flags: CONFIG_FLAGS,
    load: () => import('./run.ts'),
  },
  {
    name: 'validate',
    summary: 'Check a configuration and build its pipelines without starting them; silent when fine',
    flags: CONFIG_FLAGS,
    load: () => import('./validate.ts'),
  },
  {
    name: 'print-config',
    aliases: ['print-initial-config'],
    summary: 'Show the configuration with everything resolved and all defaults',
    flags: [
      ...CONFIG_FLAGS,
      {
        name: 'mode',
        type: 'text',
        value: 'MODE',
        default: 'redacted',
        help: 'redacted hides secrets, unredacted shows them',
      },
      { name: 'format', type: 'text', value: 'FORMAT', default: 'yaml', help: 'yaml or json' },
      { name: 'validate', type: 'bool', default: true, help: '--validate=false prints also what breaks a rule' },
    ],
    load: () => import('./print-config.ts'),
  },
  {
    name: 'components',
    summary: 'List the components that are built in',
    flags: [],
    load: () => import('./components.ts'),
  },
  {
    name: 'schema',
    summary: 'Print the JSON Schema of the configuration, for editors',
    flags: [],
    load: () => import('./schema.ts'),
  },
  {
    name: 'featuregate',
    summary: 'List the feature gates, or show one',
    operands: '[ID]',
    flags: [CONFIG_FLAGS[2]!],
    load: () => import('./featuregate.ts'),
  },
  {
    name: 'doctor',
    summary: 'Say what is wrong with a deployment, how it is known, and the one-line fix; exit code 1 on a failure',
    flags: [
      ...CLUSTER_FLAGS,
      {
        name: 'namespace',
        short: 'n',
        type: 'text',
        value: 'NAME',
        help: 'Where the collectors run; without it opentelemetry, in a pod its own',
      },
      {
        name: 'from-logs',
        type: 'text',
        value: 'FILE',
        help: 'Read a saved log of sluice or otelcol instead; - is standard input',
      },
      FORMAT_FLAG,
    ],
    load: () => import('./doctor.ts'),
  },
  {
    name: 'why',
    summary: 'Follow the lines of one pod: rule that takes them, parsing, metadata, destination, last delivery',
    operands: 'POD',
    flags: [
      ...CLUSTER_FLAGS,
      {
        name: 'namespace',
        short: 'n',
        type: 'text',
        value: 'NAME',
        default: 'default',
        help: 'Of the pod; or write NAMESPACE/POD',
      },
      { name: 'container', short: 'c', type: 'text', value: 'NAME', help: 'Only this container' },
      {
        name: 'collectors',
        type: 'text',
        value: 'NAME',
        help: 'Namespace where the collectors run; without it opentelemetry, in a pod its own',
      },
      FORMAT_FLAG,
    ],
    load: () => import('./why.ts'),
  },
  {
    name: 'render',
    summary: 'Make Kubernetes objects of a spec (YAML or TypeScript)',
    operands: 'SPEC',
    flags: [
      {
        name: 'out',
        short: 'o',
        type: 'text',
        value: 'DIR',
        default: '-',
        help: 'Directory for one file per object, a file ending in .yaml or .json, or - for stdout',
      },
      { name: 'format', type: 'text', value: 'FORMAT', help: 'yaml or json; by default as --out ends, else yaml' },
    ],
    load: () => import('./render.ts'),
  },
  {
    name: 'diff',
    summary: 'Show what a spec changes against a former render or the cluster; security first',
    operands: 'SPEC [FORMER]',
    flags: [
      { name: 'context', type: 'text', value: 'NAME', help: 'Context of the kubeconfig; by default its current one' },
      { name: 'json', type: 'bool', help: 'The changes as JSON' },
    ],
    load: () => import('./diff.ts'),
  },
  {
    name: 'dashboards',
    summary: 'Write Grafana dashboards and alert rules for what the presets collect',
    flags: [
      {
        name: 'out',
        short: 'o',
        type: 'text',
        value: 'DIR',
        help: 'Directory; what is there under the same names is replaced',
      },
      {
        name: 'namespace',
        short: 'n',
        type: 'text',
        value: 'NAME',
        default: 'opentelemetry',
        help: 'Of the ConfigMaps and rule objects',
      },
    ],
    load: () => import('./dashboards.ts'),
  },
  {
    name: 'up',
    summary: 'Run both tiers on this machine, with an embedded store and the console',
    operands: '[…]',
    flags: [],
    isRaw: true,
    load: () => import('./up.ts'),
  },
];

export const findCommand = (word: string): Command | undefined =>
  COMMANDS.find((c) => c.name === word || c.aliases?.includes(word));
