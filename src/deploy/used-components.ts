/** The components that a configuration really runs, under one spelling, with readers for settings of any shape. */
import type { CollectorConfig, Json } from './config.ts';

export type Section = Readonly<Record<string, unknown>>;
export type SectionName = 'receivers' | 'processors' | 'exporters' | 'connectors' | 'extensions';

export interface UsedComponent {
  readonly section: SectionName;
  /** As it is written: `k8sattributes/own`. */
  readonly id: string;
  /** In today's spelling: `k8s_attributes`. */
  readonly type: string;
  readonly settings: Section;
  /** Of the pipelines that use it; empty for extensions. */
  readonly signals: readonly string[];
}

/** Former names that collectors still take. */
const RENAMED: Readonly<Record<string, string>> = {
  filelog: 'file_log',
  hostmetrics: 'host_metrics',
  k8sattributes: 'k8s_attributes',
  k8sobjects: 'k8s_objects',
  kubeletstats: 'kubelet_stats',
  loadbalancing: 'load_balancing',
  otlphttp: 'otlp_http',
  prometheusremotewrite: 'prometheus_remote_write',
  resourcedetection: 'resource_detection',
  healthcheck: 'health_check',
};

export function typeOf(id: string): string {
  const type = id.split('/')[0]!.trim();
  return RENAMED[type] ?? type;
}

export function usedComponents(config: CollectorConfig): UsedComponent[] {
  const used = new Map<string, { section: SectionName; id: string; signals: Set<string> }>();
  const use = (section: SectionName, id: string, signal?: string): void => {
    const key = `${section} ${id}`;
    const known = used.get(key) ?? { section, id, signals: new Set<string>() };
    if (signal !== undefined) known.signals.add(signal);
    used.set(key, known);
  };
  for (const id of textsOf(config.service.extensions)) use('extensions', id);
  const has = (section: SectionName, id: string): boolean => Object.hasOwn(config[section] ?? {}, id);
  for (const [pipeline, members] of Object.entries(config.service.pipelines)) {
    const signal = typeOf(pipeline);
    const { receivers, processors, exporters } = sectionOf(members);
    for (const id of textsOf(receivers)) use(has('connectors', id) ? 'connectors' : 'receivers', id, signal);
    for (const id of textsOf(processors)) use('processors', id, signal);
    for (const id of textsOf(exporters)) use(has('connectors', id) ? 'connectors' : 'exporters', id, signal);
  }
  return [...used.values()].map(({ section, id, signals }) => ({
    section,
    id,
    type: typeOf(id),
    settings: sectionOf(config[section]?.[id]),
    signals: [...signals],
  }));
}

export const sectionOf = (value: unknown): Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Section) : {};

/** The value at a path; undefined where something on the way is missing. */
export function at(value: unknown, ...path: string[]): unknown {
  let inner = value;
  for (const key of path) inner = sectionOf(inner)[key];
  return inner;
}

export const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** A list of texts; one text stands for a list of one, as in otelcol. */
export const textsOf = (value: unknown): readonly string[] =>
  typeof value === 'string' ? (value === '' ? [] : [value]) : listOf(value).map(textOf).filter(Boolean);

/** What only the running collector will know (`${env:ON}`) counts as on. */
export function isOn(value: unknown, otherwise: boolean): boolean {
  if (value === undefined || value === null) return otherwise;
  if (typeof value === 'boolean') return value;
  return !/^(false|no|off|0|n|f|)$/i.test(String(value));
}

/** `${env:NAME}`, `${env:NAME:-default}` and `${NAME}` of a text; `$$` escapes. */
export function variablesOf(text: string): { readonly name: string; readonly fallback: string | undefined }[] {
  const found: { name: string; fallback: string | undefined }[] = [];
  for (const [, name, fallback] of text
    .replaceAll('$$', '')
    .matchAll(/\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g))
    found.push({ name: name!, fallback });
  return found;
}

/** Every text inside of a value. */
export function* textsIn(value: Json | unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (Array.isArray(value)) for (const inner of value) yield* textsIn(inner);
  else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) yield* textsIn(inner);
}
