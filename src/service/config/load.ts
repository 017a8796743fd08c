/** From sources to a typed configuration: read, merge, replace references, parse every section, check what refers to what. All problems are told at once. */
import { type RegistryEntry, registry } from '../../components/index.ts';
import type { AnyDefinition, ComponentKind } from '../../core/component.ts';
import { ConfigError, type Diagnostic, messageOf } from '../../core/errors.ts';
import { didYouMean } from '../../core/suggest.ts';
import { checkReferences } from './check.ts';
import type { ComponentConfig, ConfigWarning, LoadedConfig } from './config.ts';
import { expandTree } from './expand.ts';
import { selectGates } from './gates.ts';
import { parseId } from './ids.ts';
import type { Problem } from './issues.ts';
import { parseSection } from './parse-section.ts';
import { parseService } from './service-section.ts';
import { type ConfigSources, type Environment, type ReadFile, readSources, retriever } from './sources.ts';
import { locate, locateKey, type MapNode, type Node, nodeAt, type Path, toData } from './tree.ts';

export type { ConfigSources, Environment } from './sources.ts';

export const KINDS = [
  'receiver',
  'processor',
  'exporter',
  'connector',
  'extension',
] as const satisfies readonly ComponentKind[];
const SECTIONS = [...KINDS.map((kind) => `${kind}s`), 'service'];

export interface LoadOptions {
  /** As selectGates gives them; their defaults without. */
  readonly gates?: ReadonlyMap<string, boolean>;
  /** Lets pass what has the right shape but breaks a rule; the value of such a component is what was written. */
  readonly ignoreRules?: boolean;
  /** Is told of components that are not known or not understood, which are then left out. */
  readonly leaveOut?: ((path: Path, message: string) => void) | undefined;
  /** The components that configurations may name; those built in when not given. */
  readonly entries?: readonly RegistryEntry[];
  /** Instead of reading the files that references name: for configurations of others, which must not read ours. */
  readonly readFile?: ReadFile;
}

/** Components and positions of a configuration that is being loaded, and what is wrong with it so far. */
export interface Loading {
  readonly root: Node;
  readonly components: Readonly<Record<ComponentKind, Map<string, ComponentConfig>>>;
  /** Every id that is written, with problems or without: references to them are fine. */
  readonly ids: Readonly<Record<ComponentKind, Set<string>>>;
  readonly gates: ReadonlyMap<string, boolean>;
  readonly ignoreRules: boolean;
  readonly leaveOut: LoadOptions['leaveOut'];
  readonly entries: readonly RegistryEntry[];
  readonly problems: Problem[];
}

/** Merged and with references replaced, before any schema: what `print-config` and reload compare. */
export function resolveSources(
  sources: ConfigSources,
  env: Environment,
  gates?: ReadonlyMap<string, boolean>,
  readFile?: ReadFile,
): { root: Node; warnings: ConfigWarning[] } {
  const warnings: ConfigWarning[] = [];
  const appends = gates?.get('confmap.enableMergeAppendOption') === true ? isAppended : undefined;
  const merged = readSources(sources, env, appends);
  return { root: expandTree(merged, retriever(env, warnings, readFile)), warnings };
}

const isAppended = (path: Path): boolean =>
  path[0] === 'service' &&
  ((path.length === 2 && path[1] === 'extensions') || ['receivers', 'exporters'].includes(String(path.at(-1))));

export async function loadConfig(
  sources: ConfigSources,
  env: Environment,
  options: LoadOptions = {},
): Promise<LoadedConfig> {
  const gates = options.gates ?? selectGates([]).enabled;
  const { root, warnings } = resolveSources(sources, env, gates, options.readFile);
  const loading: Loading = {
    root,
    components: {
      receiver: new Map(),
      processor: new Map(),
      exporter: new Map(),
      connector: new Map(),
      extension: new Map(),
    },
    ids: { receiver: new Set(), processor: new Set(), exporter: new Set(), connector: new Set(), extension: new Set() },
    gates,
    ignoreRules: options.ignoreRules === true,
    leaveOut: options.leaveOut,
    entries: options.entries ?? registry,
    problems: [],
  };
  checkTopLevel(loading);
  for (const kind of KINDS) await loadKind(loading, kind);
  const service = parseService(loading);
  if (!loading.ignoreRules) checkReferences(loading, service);
  if (loading.problems.length > 0 || !service.telemetry) throw refusal(loading.problems);
  const { receiver, processor, exporter, connector, extension } = loading.components;
  return {
    receivers: receiver,
    processors: processor,
    exporters: exporter,
    connectors: connector,
    extensions: extension,
    service: { extensions: service.extensions, pipelines: service.pipelines, telemetry: service.telemetry },
    warnings: [...warnings, ...aliasWarnings(loading, service)],
    gates,
    locate: (path) => locate(root, path),
  };
}

function refusal(problems: readonly Problem[]): ConfigError {
  const headline = problems.every((p) => p.isRule)
    ? 'invalid configuration'
    : 'failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s)';
  return new ConfigError(
    problems.map(({ isRule: _, ...diagnostic }): Diagnostic => diagnostic),
    { headline },
  );
}

function checkTopLevel({ root, problems }: Loading): void {
  const { entries } = root as MapNode;
  for (const key of entries.keys()) {
    if (SECTIONS.includes(key)) continue;
    const hint = didYouMean(key, SECTIONS);
    problems.push({
      path: [],
      message: `the configuration has invalid keys: ${key}`,
      isRule: false,
      ...locateKey(root, [key]),
      ...(hint ? { hint } : {}),
    });
  }
}

const find = ({ entries }: Loading, kind: ComponentKind, type: string): RegistryEntry | undefined =>
  entries.find((e) => e.kind === kind && (e.id === type || e.aliases.includes(type)));

/** What to say of types that were taken out or are often meant. */
const GONE: Readonly<Record<string, string>> = {
  'exporter logging': 'the logging exporter was removed; use the debug exporter',
};

function unknownType(
  loading: Loading,
  kind: ComponentKind,
  type: string,
  id: string,
): { message: string; hint?: string } {
  const valid = loading.entries
    .filter((e) => e.kind === kind)
    .flatMap((e) => [e.id, ...e.aliases])
    .sort();
  const hint = GONE[`${kind} ${type}`] ?? didYouMean(type, valid) ?? otherKind(loading, kind, type);
  return {
    message: `'${kind}s' unknown type: ${JSON.stringify(type)} for id: ${JSON.stringify(id)} (valid values: [${valid.join(' ')}])`,
    ...(hint ? { hint } : {}),
  };
}

function otherKind(loading: Loading, kind: ComponentKind, type: string): string | undefined {
  const other = KINDS.find((k) => k !== kind && find(loading, k, type));
  return other && `${JSON.stringify(type)} is a type of ${other}; write it below ${other}s`;
}

async function loadKind(loading: Loading, kind: ComponentKind): Promise<void> {
  const { root, problems, ids, components } = loading;
  const section = `${kind}s`;
  const node = nodeAt(root, [section]);
  if (!node || (node.kind === 'scalar' && node.value === null)) return;
  if (node.kind !== 'map') {
    const given = node.kind === 'list' ? 'slice' : typeof node.value;
    problems.push({
      path: [section],
      message: `expected a map or struct, got ${JSON.stringify(given)}`,
      isRule: false,
      ...locate(root, [section]),
    });
    return;
  }
  for (const key of node.entries.keys()) {
    const path = [section, key];
    const refuse = (message: string, hint?: string): void => {
      problems.push({ path, message, isRule: false, ...locateKey(root, path), ...(hint ? { hint } : {}) });
    };
    const id = parseId(key);
    if ('error' in id) {
      refuse(id.error);
      continue;
    }
    if (ids[kind].has(id.id)) {
      refuse(`duplicate name ${JSON.stringify(key)} after unmarshaling ${id.id}`);
      continue;
    }
    ids[kind].add(id.id);
    const entry = find(loading, kind, id.type);
    if (!entry) {
      const { message, hint } = unknownType(loading, kind, id.type, id.id);
      if (loading.leaveOut) loading.leaveOut(path, message);
      else refuse(message, hint);
      continue;
    }
    let definition: AnyDefinition;
    try {
      definition = (await entry.load()).default;
    } catch (error) {
      refuse(`the component could not be loaded: ${messageOf(error)}`);
      continue;
    }
    const parsed = parseSection(definition.schema, root, path);
    const found = loading.ignoreRules ? parsed.problems.filter((p) => !p.isRule) : parsed.problems;
    if (loading.leaveOut) for (const { message } of found) loading.leaveOut(path, message);
    else problems.push(...found);
    if (found.length > 0) continue;
    components[kind].set(id.id, {
      kind,
      ...id,
      entry,
      definition,
      raw: parsed.raw,
      value: parsed.problems.length > 0 ? parsed.raw : parsed.value,
    });
  }
}

function aliasWarnings(
  loading: Loading,
  service: { readonly extensions: readonly string[]; readonly pipelines: LoadedConfig['service']['pipelines'] },
): ConfigWarning[] {
  const used: Readonly<Record<ComponentKind, readonly string[]>> = {
    receiver: service.pipelines.flatMap((p) => p.receivers),
    processor: service.pipelines.flatMap((p) => p.processors),
    exporter: service.pipelines.flatMap((p) => p.exporters),
    connector: service.pipelines.flatMap((p) => p.exporters),
    extension: service.extensions,
  };
  return KINDS.flatMap((kind) =>
    [...new Set(used[kind])].flatMap((id): ConfigWarning[] => {
      const component = loading.components[kind].get(id);
      if (!component || component.type === component.entry.id) return [];
      const message = `${JSON.stringify(component.type)} alias is deprecated; use ${JSON.stringify(component.entry.id)} instead`;
      return [{ level: 'warn', message, fields: {}, component: { kind, id } }];
    }),
  );
}

/** The whole configuration as plain data, references replaced. */
export const resolvedData = (sources: ConfigSources, env: Environment): unknown =>
  toData(resolveSources(sources, env).root);
