/** How otelcol spells component types: most got a name with underscores between 0.146 and 0.154; the former ones still work. */
import type { CollectorConfig, Components } from './config.ts';

/** New name → former name and the first version that knows the new one. */
const RENAMED: Readonly<Record<string, readonly [former: string, since: string]>> = {
  file_log: ['filelog', '0.149.0'],
  k8s_attributes: ['k8sattributes', '0.149.0'],
  otlp_http: ['otlphttp', '0.149.0'],
  otlp_grpc: ['otlp', '0.149.0'],
  host_metrics: ['hostmetrics', '0.154.0'],
  kubelet_stats: ['kubeletstats', '0.154.0'],
  k8s_objects: ['k8sobjects', '0.154.0'],
  resource_detection: ['resourcedetection', '0.154.0'],
  prometheus_remote_write: ['prometheusremotewrite', '0.154.0'],
};
const FORMER = new Map(Object.entries(RENAMED).map(([name, [former]]) => [former, name]));

type Section = 'extensions' | 'receivers' | 'processors' | 'exporters' | 'connectors';

function rename(id: string, to: (type: string) => string): string {
  const slash = id.indexOf('/');
  return slash < 0 ? to(id) : to(id.slice(0, slash)) + id.slice(slash);
}

/** The present name of a component id. `otlp` is a former name among exporters only. */
export const presentId = (id: string, section: Section): string =>
  rename(id, (type) => (type === 'otlp' && section !== 'exporters' ? type : (FORMER.get(type) ?? type)));

const numbers = (version: string): number[] => version.replace(/^v/, '').split('.').map(Number);

/** Negative when a is older than b. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [numbers(a), numbers(b)];
  for (let i = 0; i < 3; i++) {
    const d = (x[i] ?? 0) - (y[i] ?? 0);
    if (d !== 0) return d;
  }
  return 0;
}

/** Spells a configuration with present names as a collector of this version takes it. */
export function spelledFor(version: string, config: CollectorConfig): CollectorConfig {
  const id = (text: string): string =>
    rename(text, (type) => {
      const known = RENAMED[type];
      return known && compareVersions(version, known[1]) < 0 ? known[0] : type;
    });
  const all = (components: Components | undefined): Components | undefined =>
    components && Object.fromEntries(Object.entries(components).map(([k, v]) => [id(k), v]));
  const out: CollectorConfig = { ...config };
  for (const section of ['receivers', 'processors', 'exporters', 'connectors'] as const)
    if (config[section]) out[section] = all(config[section])!;
  const pipelines = Object.entries(config.service.pipelines).map(([name, p]) => [
    name,
    {
      receivers: p.receivers.map(id),
      ...(p.processors ? { processors: p.processors.map(id) } : {}),
      exporters: p.exporters.map(id),
    },
  ]);
  out.service = { ...config.service, pipelines: Object.fromEntries(pipelines) };
  return out;
}
