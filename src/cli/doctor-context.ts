/** For `doctor` and `why`: finds the cluster and loads configurations with the service's own loader. */
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { SILENT } from '../core/log.ts';
import type { CollectorConfig, Json } from '../deploy/config.ts';
import { findAccess } from '../doctor/access.ts';
import type { DoctorConfig } from '../doctor/context.ts';
import { type ConfigLoader, gather, NOT_READ } from '../doctor/gather.ts';
import type { LoadedConfig } from '../service/config/config.ts';
import { describeError } from '../service/config/diagnostics.ts';
import { loadConfig } from '../service/config/load.ts';
import type { Arguments } from './arguments.ts';

const CONTEXT = { clock: SYSTEM_CLOCK, log: SILENT };

/** `namespace`: of the collectors. */
export function doctorContext(args: Arguments, namespace = args.texts['namespace']!) {
  const kubeconfig = args.texts['kubeconfig']!;
  const context = args.texts['context']!;
  const found = findAccess({ kubeconfig, context, env: process.env, ...CONTEXT });
  const sources = args.lists['config'] ?? [];
  return gather({
    ...CONTEXT,
    ...found,
    namespace: namespace || found.ownNamespace || 'opentelemetry',
    sources,
    isClusterMeant: sources.length === 0 || kubeconfig !== '' || context !== '',
    load,
    signal: AbortSignal.timeout(120_000),
  });
}

export const load: ConfigLoader = async (configs, env, { isStrict, isOwn }) => {
  // A ConfigMap must not make the machine of who looks at it read its files.
  const files = isOwn ? {} : { readFile: () => NOT_READ };
  let problem: string | undefined;
  try {
    const strict = await loadConfig({ configs, sets: [] }, env, files);
    return { config: fromLoaded(strict), problem };
  } catch (e) {
    problem = describeError(e);
  }
  try {
    const loose = await loadConfig({ configs, sets: [] }, env, { ...files, ignoreRules: true });
    // Elsewhere, files and directories that the rules ask for are not those of the pod.
    return { config: fromLoaded(loose), problem: isStrict ? problem : undefined };
  } catch (e) {
    problem = describeError(e);
  }
  try {
    const leftOut = new Map<string, string>();
    const leaveOut = (path: readonly (string | number)[], message: string) => {
      const key = path.slice(0, 2).join('::');
      if (!leftOut.has(key)) leftOut.set(key, message);
    };
    const parts = await loadConfig({ configs, sets: [] }, env, { ...files, ignoreRules: true, leaveOut });
    return { config: fromLoaded(parts), problem, leftOut: [...leftOut.keys()] };
  } catch {
    return { config: undefined, problem };
  }
};

function fromLoaded(loaded: LoadedConfig): DoctorConfig {
  const { receivers, processors, exporters, connectors, extensions, service, gates } = loaded;
  const raw = (section: LoadedConfig['receivers']): Record<string, Json> =>
    Object.fromEntries([...section].map(([id, c]) => [id, (c.raw ?? null) as Json]));
  const data: CollectorConfig = {
    receivers: raw(receivers),
    processors: raw(processors),
    exporters: raw(exporters),
    connectors: raw(connectors),
    extensions: raw(extensions),
    service: {
      extensions: [...service.extensions],
      pipelines: Object.fromEntries(
        service.pipelines.map((p) => [
          p.id,
          { receivers: [...p.receivers], processors: [...p.processors], exporters: [...p.exporters] },
        ]),
      ),
    },
  };
  const { level, readers } = service.telemetry.metrics;
  return {
    receivers,
    processors,
    exporters,
    connectors,
    extensions,
    gates,
    pipelines: service.pipelines,
    metrics: level === 'none' ? [] : readers.flatMap((r) => r.pull?.exporter.prometheus ?? []),
    data,
    warnings: loaded.warnings
      .filter((w) => w.level === 'warn')
      .map((w) => [w.message, ...Object.values(w.fields).map(String)].join(' ')),
  };
}
