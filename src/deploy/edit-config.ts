/** The user's edits on a whole configuration: former names are understood, removed components leave all pipelines, references are checked. */
import { ConfigError, type Diagnostic } from '../core/errors.ts';
import { didYouMean } from '../core/suggest.ts';
import type { CollectorConfig, Components, Json, JsonMap, Pipeline } from './config.ts';
import { applyEdit, type ConfigEdits, type Edit, GONE, isMap } from './edit.ts';
import { presentId } from './spelling.ts';

const SECTIONS = ['extensions', 'receivers', 'processors', 'exporters', 'connectors'] as const;
type Path = readonly (string | number)[];

/** `path` says where the edits stand in the spec. */
export function editConfig(config: CollectorConfig, edits: ConfigEdits, path: Path): CollectorConfig {
  const out: CollectorConfig = structuredClone(config);
  const removed = new Set<string>();
  const added: { section: (typeof SECTIONS)[number]; written: string }[] = [];
  for (const section of SECTIONS) {
    const edit = edits[section];
    if (!edit) continue;
    const components: Components = { ...out[section] };
    for (const [written, change] of Object.entries(edit)) {
      const id = idIn(components, written, section);
      if (!(id in components)) added.push({ section, written });
      const next = applyEdit(components[id], change, [...path, section, written]);
      if (next === GONE) {
        delete components[id];
        removed.add(`${section}/${id}`);
      } else components[id] = next;
    }
    out[section] = components;
  }
  if (edits.service) out.service = editService(out, edits.service, [...path, 'service']);
  dropReferences(out, removed);
  const problems = [...danglingReferences(out, path), ...withoutEffect(config, out, added, path)];
  if (problems.length > 0) throw new ConfigError(problems, { headline: 'invalid spec' });
  return withoutUnused(out);
}

/** The component that is meant: as written, or by its other name. */
function idIn(components: Components, written: string, section: (typeof SECTIONS)[number]): string {
  if (written in components) return written;
  const present = presentId(written, section);
  return Object.keys(components).find((id) => presentId(id, section) === present) ?? written;
}

/** Items of pipelines may be written by their former names too. */
function editService(config: CollectorConfig, edit: Record<string, Edit>, path: Path): CollectorConfig['service'] {
  const edited = applyEdit(config.service as unknown as Json, translate(config, edit), path);
  if (edited === GONE || !isMap(edited) || !isMap(edited['pipelines']))
    throw new ConfigError([{ path, message: 'service.pipelines must stay a map' }], { headline: 'invalid spec' });
  for (const [name, pipeline] of Object.entries(edited['pipelines'])) {
    const lists = isMap(pipeline) ? [pipeline['receivers'], pipeline['processors'] ?? [], pipeline['exporters']] : [];
    if (lists.length === 0 || !lists.every(Array.isArray))
      throw new ConfigError(
        [
          {
            path: [...path, 'pipelines', name],
            message: 'a pipeline has lists of receivers, processors and exporters',
          },
        ],
        { headline: 'invalid spec' },
      );
  }
  return edited as unknown as CollectorConfig['service'];
}

function translate(config: CollectorConfig, edit: Record<string, Edit>): Edit {
  const pipelines = edit['pipelines'];
  if (!isMap(pipelines)) return edit as Edit;
  const inSection = (section: 'receivers' | 'processors' | 'exporters', value: Json): Json => {
    if (typeof value === 'string') return idIn(config[section] ?? {}, value, section);
    if (Array.isArray(value)) return value.map((v) => inSection(section, v));
    return isMap(value) ? mapValues(value, (v) => inSection(section, v)) : value;
  };
  return {
    ...edit,
    pipelines: mapValues(pipelines as JsonMap, (p) =>
      isMap(p)
        ? Object.fromEntries(
            Object.entries(p).map(([k, v]) => [
              k,
              k === 'receivers' || k === 'processors' || k === 'exporters' ? inSection(k, v) : v,
            ]),
          )
        : p,
    ),
  } as Edit;
}

const mapValues = (map: JsonMap, f: (value: Json) => Json): JsonMap =>
  Object.fromEntries(Object.entries(map).map(([k, v]) => [k, f(v)]));

const ROLES = ['receivers', 'processors', 'exporters'] as const;

function dropReferences(config: CollectorConfig, removed: ReadonlySet<string>): void {
  const { service } = config;
  if (service.extensions) service.extensions = service.extensions.filter((id) => !removed.has(`extensions/${id}`));
  for (const pipeline of Object.values(service.pipelines))
    for (const role of ROLES)
      if (pipeline[role])
        pipeline[role] = pipeline[role].filter(
          (id) => !removed.has(`${role}/${id}`) && !removed.has(`connectors/${id}`),
        );
}

function danglingReferences(config: CollectorConfig, path: Path): Diagnostic[] {
  const problems: Diagnostic[] = [];
  const known = (role: (typeof ROLES)[number]): string[] => [
    ...Object.keys(config[role] ?? {}),
    ...(role === 'processors' ? [] : Object.keys(config.connectors ?? {})),
  ];
  for (const [name, pipeline] of Object.entries(config.service.pipelines))
    for (const role of ROLES) {
      const ids = known(role);
      for (const id of pipeline[role] ?? [])
        if (!ids.includes(id)) problems.push(missing([...path, 'service', 'pipelines', name, role], id, role, ids));
    }
  const extensions = Object.keys(config.extensions ?? {});
  for (const id of config.service.extensions ?? [])
    if (!extensions.includes(id))
      problems.push(missing([...path, 'service', 'extensions'], id, 'extensions', extensions));
  return problems;
}

/** What an edit adds and nothing uses was most likely meant to change what is there. */
function withoutEffect(
  before: CollectorConfig,
  after: CollectorConfig,
  added: readonly { section: (typeof SECTIONS)[number]; written: string }[],
  path: Path,
): Diagnostic[] {
  const pipelines = Object.values(after.service.pipelines);
  const isUsed = (section: string, id: string): boolean =>
    section === 'extensions'
      ? after.service.extensions?.includes(id) === true
      : pipelines.some((p) => ROLES.some((role) => p[role]?.includes(id)));
  return added
    .filter(({ section, written }) => after[section]?.[written] !== undefined && !isUsed(section, written))
    .map(({ section, written }) => ({
      path: [...path, section, written],
      message:
        section === 'extensions'
          ? `${written} is new, and not among service.extensions`
          : `${written} is new, and in no pipeline`,
      hint:
        didYouMean(written, Object.keys(before[section] ?? {})) ??
        `add it with $append under service.${section === 'extensions' ? 'extensions' : 'pipelines'}`,
    }));
}

const missing = (path: Path, id: string, section: string, known: string[]): Diagnostic => ({
  path,
  message: `${id} is not among the ${section}`,
  hint: didYouMean(id, known) ?? `add it under ${section}, or leave it out here`,
});

/** A pipeline without a receiver or without an exporter does nothing; neither does what only it used. */
function withoutUnused(config: CollectorConfig): CollectorConfig {
  const runs = (p: Pipeline): boolean => p.receivers.length > 0 && p.exporters.length > 0;
  const { pipelines } = config.service;
  for (const name of Object.keys(pipelines)) {
    const pipeline = pipelines[name]!;
    if (runs(pipeline)) continue;
    delete pipelines[name];
    for (const role of ROLES)
      for (const id of pipeline[role] ?? [])
        if (!Object.values(pipelines).some((p) => p[role]?.includes(id))) delete config[role]?.[id];
  }
  for (const section of SECTIONS)
    if (config[section] && Object.keys(config[section]).length === 0 && section !== 'receivers') delete config[section];
  return config;
}
