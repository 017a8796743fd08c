/** Where configuration comes from: `--config` URIs (`file:`, plain paths, `env:`, `yaml:`), `--set`, and references to the environment. */
import { readFileSync } from 'node:fs';
import { isAbsolute, normalize, relative } from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import type { ConfigWarning } from './config.ts';
import type { Retrieve } from './expand.ts';
import { type Appends, type MapEntry, type MapNode, mergeNodes, type Node } from './tree.ts';
import { parseYaml, YamlError } from './yaml.ts';

export interface ConfigSources {
  /** In order, as given to `--config`. */
  readonly configs: readonly string[];
  /** In order, as given to `--set`: `a.b=value`. Applied after all configs. */
  readonly sets?: readonly string[];
}
export type Environment = Readonly<Record<string, string | undefined>>;

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]+):(.*)$/s;
const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

const failed = (reason: string): ConfigError =>
  new ConfigError(`failed to get config: cannot resolve the configuration: ${reason}`);
const cannotRetrieve = (reason: string): ConfigError => failed(`cannot retrieve the configuration: ${reason}`);

/** Reads, parses and merges all sources; references are still in it. */
export function readSources(sources: ConfigSources, env: Environment, appends?: Appends): Node {
  if (sources.configs.length === 0) throw new ConfigError('at least one config flag must be provided');
  let merged: Node = { kind: 'map', entries: new Map(), at: { file: sources.configs[0]!, line: 1, column: 1 } };
  for (const uri of sources.configs) merged = mergeNodes(merged, readSource(uri, env), appends);
  for (const set of sources.sets ?? []) merged = mergeNodes(merged, readSet(set), appends);
  return merged;
}

function readSource(uri: string, env: Environment): Node {
  const m = SCHEME.exec(uri);
  const [scheme, opaque] = m ? [m[1]!, m[2]!] : ['file', uri];
  if (scheme === 'file') {
    const path = normalize(opaque);
    return asMap(readText(path), displayPath(path));
  }
  if (scheme === 'yaml') return asMap(opaque, 'yaml');
  if (scheme === 'env') {
    if (!NAME.test(opaque)) throw cannotRetrieve(invalidName(opaque));
    return asMap(env[opaque] ?? '', `env:${opaque}`);
  }
  throw failed(`unsupported scheme on URI ${JSON.stringify(uri)}`);
}

/** Short where it can be: people read these in error messages. */
function displayPath(path: string): string {
  if (!isAbsolute(path)) return path;
  const near = relative('.', path);
  return near.startsWith('..') || near === '' ? path : near;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason =
      code === 'ENOENT'
        ? `open ${path}: no such file or directory`
        : code === 'EACCES'
          ? `open ${path}: permission denied`
          : code === 'EISDIR'
            ? `read ${path}: is a directory`
            : (error as Error).message;
    throw cannotRetrieve(`unable to read the file file:${path}: ${reason}`);
  }
}

function asMap(text: string, file: string): MapNode {
  let node: Node;
  try {
    node = parseYaml(text, file);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new ConfigError([{ path: [], message: error.message, ...error.at }], {
      headline:
        'failed to get config: cannot resolve the configuration: cannot retrieve the configuration: the contents are not valid YAML',
    });
  }
  if (node.kind === 'scalar' && node.value === null) return { kind: 'map', entries: new Map(), at: node.at };
  if (node.kind !== 'map') throw failed(`retrieved value (type=${goType(node)}) cannot be used as a Conf (${file})`);
  return expandKeys(node);
}

const goType = (node: Node): string =>
  node.kind === 'list'
    ? '[]interface {}'
    : node.kind === 'map'
      ? 'map[string]interface {}'
      : typeof node.value === 'number'
        ? 'int'
        : typeof node.value;

/** `a::b: v` in a top-level key is `a: {b: v}`. */
function expandKeys(node: MapNode): MapNode {
  let out: Node = { kind: 'map', entries: new Map(), at: node.at };
  for (const [key, entry] of node.entries) {
    const parts = key.split('::');
    let inner: Node = entry.node;
    for (const part of parts.slice(1).reverse())
      inner = {
        kind: 'map',
        at: entry.node.at,
        entries: new Map<string, MapEntry>([[part, { keyAt: entry.keyAt, node: inner }]]),
      };
    out = mergeNodes(out, {
      kind: 'map',
      at: node.at,
      entries: new Map([[parts[0]!, { keyAt: entry.keyAt, node: inner }]]),
    });
  }
  return out as MapNode;
}

function readSet(set: string): Node {
  const eq = set.indexOf('=');
  if (eq < 0) throw new ConfigError(`invalid --set flag ${JSON.stringify(set)}: missing equal sign`);
  const file = `--set ${set.slice(0, eq)}`;
  const at = { file, line: 1, column: 1 };
  let node: Node;
  try {
    node = parseYaml(set.slice(eq + 1), file);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new ConfigError([{ path: [], message: error.message, ...error.at }], {
      headline: `failed to get config: cannot parse the value of --set ${set.slice(0, eq)}`,
    });
  }
  for (const part of set.slice(0, eq).trim().replaceAll('.', '::').split('::').reverse())
    node = { kind: 'map', at, entries: new Map<string, MapEntry>([[part, { keyAt: at, node }]]) };
  return node;
}

/** The text of a file that a reference names. */
export type ReadFile = (path: string) => string;

const invalidName = (name: string): string =>
  `environment variable ${JSON.stringify(name)} has invalid name: must match regex ${NAME.source}`;

/** Answers references; says in `warnings` which variables were not there. */
export function retriever(env: Environment, warnings: ConfigWarning[], readFile: ReadFile = readText): Retrieve {
  const told = new Set<string>();
  const tell = (warning: ConfigWarning, name: string): void => {
    if (told.has(name)) return;
    told.add(name);
    warnings.push(warning);
  };
  return (scheme, opaque) => {
    if (scheme === 'yaml') return opaque;
    if (scheme === 'file') return readFile(normalize(opaque));
    if (scheme !== 'env')
      throw new Error(
        `scheme ${JSON.stringify(scheme)} is not supported for uri ${JSON.stringify(`${scheme}:${opaque}`)}`,
      );
    const split = opaque.indexOf(':-');
    const name = split < 0 ? opaque : opaque.slice(0, split);
    if (!NAME.test(name)) throw new Error(invalidName(name));
    const value = env[name];
    if (value === undefined) {
      if (split >= 0) return opaque.slice(split + 2);
      tell({ level: 'warn', message: 'Configuration references unset environment variable', fields: { name } }, name);
      return '';
    }
    if (value === '')
      tell({ level: 'info', message: 'Configuration references empty environment variable', fields: { name } }, name);
    return value;
  };
}
