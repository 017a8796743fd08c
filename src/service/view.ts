/** The configuration that runs, as components such as zpages show it. */
import type { ServiceView } from '../core/component.ts';
import type { LoadedConfig } from './config/config.ts';
import { gates } from './config/gates.ts';

export const viewOf = (config: Pick<LoadedConfig, 'service' | 'gates'>): ServiceView => ({
  pipelines: config.service.pipelines.map(({ id, signal, receivers, processors, exporters }) => ({
    id,
    signal,
    receivers,
    processors,
    exporters,
  })),
  extensions: config.service.extensions,
  gates: gates.map(({ id, stage, description }) => ({
    id,
    stage,
    description,
    isEnabled: config.gates.get(id) ?? false,
  })),
});
