/** How problems of a configuration are told: one line each, with its place in the file, and a hint below it. */
import type { ComponentKind } from '../../core/component.ts';
import { ConfigError, type Diagnostic, messageOf } from '../../core/errors.ts';
import type { LoadedConfig } from './config.ts';
import type { Path } from './tree.ts';

/** `receivers::filelog::operators[0]::type` */
export function formatPath(path: Path): string {
  let out = '';
  for (const part of path) out += typeof part === 'number' ? `[${part}]` : out === '' ? part : `::${part}`;
  return out;
}

/**
 * Adds to what a component says about its own section where that section stands in the configuration, and what was
 * being done (`failed to create "x" receiver`) to every message.
 */
export function inComponent(
  config: LoadedConfig,
  kind: ComponentKind,
  id: string,
  error: ConfigError,
  doing?: string,
): ConfigError {
  const prefix = [`${kind}s`, id];
  return new ConfigError(
    error.diagnostics.map((d): Diagnostic => {
      const isWhole = d.path[0] === prefix[0] && d.path[1] === prefix[1];
      const path = isWhole ? d.path : [...prefix, ...d.path];
      const message = doing === undefined ? d.message : `${doing}: ${d.message}`;
      return { ...config.locate(path), ...d, path, message };
    }),
    { cause: error, headline: error.headline ?? headlineOf(kind, doing) },
  );
}

const headlineOf = (kind: ComponentKind, doing: string | undefined): string =>
  doing === undefined
    ? 'invalid configuration'
    : `failed to build ${kind === 'extension' ? 'extensions' : 'pipelines'}`;

const inOrder = (a: Diagnostic, b: Diagnostic): number =>
  (a.file ?? '') === (b.file ?? '') ? (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0) : 0;

function line(d: Diagnostic): string {
  const where = d.file === undefined ? '' : `${d.file}:${d.line ?? 1}:${d.column ?? 1}: `;
  const path = formatPath(d.path);
  return `${where}${path === '' ? '' : `${path}: `}${d.message}`;
}

/** The text behind `Error: `. */
export function formatConfigError(error: ConfigError): string {
  const list = [...error.diagnostics].sort(inOrder);
  const only = list.length === 1 ? list[0]! : undefined;
  const lines = list.flatMap((d) => [line(d), ...(d.hint === undefined ? [] : [`    ${d.hint}`])]);
  if (error.headline === undefined) return lines.join('\n');
  if (only && only.file === undefined && only.path.length === 0) return `${error.headline}: ${lines.join('\n')}`;
  return `${error.headline}:\n${lines.join('\n')}`;
}

/** Any error in the words for people. */
export const describeError = (error: unknown): string =>
  error instanceof ConfigError ? formatConfigError(error) : messageOf(error);
