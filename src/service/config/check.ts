/** Rules about the configuration as a whole: something is configured, references lead somewhere, components know the signals asked of them. */
import type { ComponentKind } from '../../core/component.ts';
import { didYouMean } from '../../core/suggest.ts';
import type { PipelineConfig } from './config.ts';
import type { Loading } from './load.ts';
import type { ServiceSection } from './service-section.ts';
import { locate, type MapNode, type Path } from './tree.ts';

/** `below` leads from the path that is told to the item that the position shall be of. */
type Refuse = (path: Path, message: string, hint?: string, below?: Path) => void;

export function checkReferences(loading: Loading, service: ServiceSection): void {
  const { root, ids, gates } = loading;
  const refuse: Refuse = (path, message, hint, below = []) => {
    loading.problems.push({
      path,
      message,
      isRule: true,
      ...locate(root, [...path, ...below]),
      ...(hint ? { hint } : {}),
    });
  };
  if ((root as MapNode).entries.size === 0) {
    refuse([], 'empty configuration file');
    return;
  }
  const mayBeEmpty = gates.get('service.AllowNoPipelines') === true;
  if (!mayBeEmpty) {
    if (ids.receiver.size === 0 && ids.connector.size === 0)
      refuse([], 'no receiver configuration specified in config');
    if (ids.exporter.size === 0 && ids.connector.size === 0)
      refuse([], 'no exporter configuration specified in config');
  }
  for (const id of ids.connector) {
    for (const kind of ['exporter', 'receiver'] as const)
      if (ids[kind].has(id))
        refuse(
          ['connectors', id],
          `ambiguous ID: Found both ${JSON.stringify(id)} ${kind} and ${JSON.stringify(id)} connector. Change one of the components' IDs to eliminate ambiguity (e.g. rename ${JSON.stringify(id)} connector to ${JSON.stringify(`${id}/connector`)})`,
        );
  }
  if (!service.isRead) return;
  service.extensions.forEach((id, i) => {
    if (!ids.extension.has(id))
      refuse(['service', 'extensions'], missing('extension', id), hintFor(loading, ['extension'], id), [i]);
  });
  if (!mayBeEmpty && service.pipelines.length === 0 && !loading.problems.some((p) => p.path[1] === 'pipelines'))
    refuse(['service', 'pipelines'], 'service must have at least one pipeline');
  for (const pipeline of service.pipelines) checkPipeline(loading, pipeline, refuse);
}

const missing = (kind: ComponentKind, id: string): string =>
  `references ${kind} ${JSON.stringify(id)} which is not configured`;

function hintFor(loading: Loading, kinds: readonly ComponentKind[], id: string): string | undefined {
  const candidates = kinds.flatMap((kind) => [...loading.ids[kind]]);
  return (
    didYouMean(id, candidates) ??
    (candidates.length > 0 ? `configured: ${candidates.slice(0, 20).join(', ')}` : undefined)
  );
}

function checkPipeline(loading: Loading, pipeline: PipelineConfig, refuse: Refuse): void {
  const path = ['service', 'pipelines', pipeline.id];
  const { ids } = loading;
  if (pipeline.receivers.length === 0) refuse(path, 'must have at least one receiver');
  if (pipeline.exporters.length === 0) refuse(path, 'must have at least one exporter');
  for (const kind of ['receiver', 'processor', 'exporter'] as const) {
    const kinds: ComponentKind[] = kind === 'processor' ? [kind] : [kind, 'connector'];
    const told = new Set<string>();
    for (const [i, id] of pipeline[`${kind}s`].entries()) {
      const below = [`${kind}s`, i];
      if (told.has(id)) {
        if (kind === 'processor')
          refuse(path, `references processor ${JSON.stringify(id)} multiple times`, undefined, below);
        continue;
      }
      told.add(id);
      if (!kinds.some((k) => ids[k].has(id))) refuse(path, missing(kind, id), hintFor(loading, kinds, id), below);
      else if (!takes(loading, kind, id, pipeline)) refuse(path, unsupported(kind, id, pipeline), undefined, below);
    }
  }
}

const unsupported = (kind: ComponentKind, id: string, pipeline: PipelineConfig): string =>
  `failed to create ${JSON.stringify(id)} ${kind} for data type ${JSON.stringify(pipeline.signal)}: telemetry type is not supported`;

function takes(
  loading: Loading,
  kind: 'receiver' | 'processor' | 'exporter',
  id: string,
  pipeline: PipelineConfig,
): boolean {
  const definition = loading.components[kind].get(id)?.definition;
  if (!definition || !('signals' in definition) || definition.kind === 'connector') return true;
  return definition.signals.includes(pipeline.signal);
}
