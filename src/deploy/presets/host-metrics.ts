/** hostMetrics: the node's CPU, memory, disks, file systems and network, from /proc and /sys below /hostfs. */
import { ConfigError } from '../../core/errors.ts';
import type { Json, JsonMap } from '../config.ts';
import { type Draft, escapeDollar } from '../draft.ts';
import type { HostMetricsOptions, HostScraper } from './options.ts';

export const ROOT_PATH = '/hostfs';
export const SCRAPERS: readonly HostScraper[] = ['cpu', 'load', 'memory', 'disk', 'filesystem', 'network'];

/** Mount points and types that hold nothing of the node's own: as the chart has them, and mounts of containers besides. */
export const CHART_MOUNT_POINTS = [
  'dev',
  'proc',
  'sys',
  'run/k3s/containerd',
  'var/lib/docker',
  'var/lib/kubelet',
  'snap',
];
export const CHART_FILESYSTEMS = (
  'autofs binfmt_misc bpf cgroup2 configfs debugfs devpts devtmpfs fusectl hugetlbfs iso9660 mqueue nsfs overlay proc ' +
  'procfs pstore rpc_pipefs securityfs selinuxfs squashfs sysfs tracefs'
).split(' ');
const MOUNT_POINTS = [...CHART_MOUNT_POINTS, 'run/containerd', 'var/lib/containerd', 'run/netns'];
const FILESYSTEMS = [...CHART_FILESYSTEMS, 'cgroup', 'tmpfs'].sort();

export const below = (path: string): string => `^/${path}($|/)`;

export const filesystemScraper = (mountPoints: string[], types: string[]): JsonMap => ({
  exclude_mount_points: { match_type: 'regexp', mount_points: mountPoints },
  exclude_fs_types: { match_type: 'strict', fs_types: types },
});

export function hostMetrics(draft: Draft, options: HostMetricsOptions): void {
  draft.receiver('metrics', 'host_metrics', {
    collection_interval: options.interval ?? '10s',
    root_path: ROOT_PATH,
    scrapers: scrapers(options),
  });
}

const PREFIXES: readonly (readonly [prefix: string, scraper: HostScraper])[] = [
  ['system.cpu.load_average.', 'load'],
  ['system.cpu.', 'cpu'],
  ['system.memory.', 'memory'],
  ['system.linux.memory.', 'memory'],
  ['system.disk.', 'disk'],
  ['system.filesystem.', 'filesystem'],
  ['system.network.', 'network'],
  ['system.paging.', 'paging'],
  ['system.processes.', 'processes'],
  ['system.uptime', 'system'],
  ['process.', 'process'],
];

/** As the kernel writes it. */
const mountPoint = (path: string): string => path.replace(/(?!^)\/+$/, '');

const PATH = ['agent', 'presets', 'hostMetrics'] as const;

function scrapers(options: HostMetricsOptions): JsonMap {
  const isProcOnly = options.mount === 'proc';
  const out = new Map<HostScraper, JsonMap | null>();
  for (const name of SCRAPERS) if (!(isProcOnly && name === 'filesystem')) out.set(name, null);
  for (const [name, wanted] of Object.entries(options.scrapers ?? {}) as [HostScraper, boolean | JsonMap][])
    if (wanted === false) out.delete(name);
    else out.set(name, wanted === true ? (out.get(name) ?? null) : wanted);
  for (const [metric, enabled] of Object.entries(options.metrics ?? {})) {
    const scraper = PREFIXES.find(([prefix]) => metric.startsWith(prefix))?.[1];
    if (!scraper)
      throw new ConfigError([{ path: [...PATH, 'metrics', metric], message: `no scraper has the metric ${metric}` }], {
        headline: 'invalid spec',
      });
    // Switching off a metric of a scraper that is not there needs nothing.
    if (!enabled && !out.has(scraper)) continue;
    const config = out.get(scraper) ?? {};
    out.set(scraper, { ...config, metrics: { ...(config['metrics'] as JsonMap | undefined), [metric]: { enabled } } });
  }
  if (out.has('filesystem')) {
    const defaults = filesystemScraper(
      [...MOUNT_POINTS.map(below), ...(options.excludeMountPoints ?? []).map(escapeDollar)],
      [...FILESYSTEMS, ...(options.excludeFilesystems ?? [])],
    );
    // By name, so that nothing else has to be mounted.
    const named: JsonMap = Array.isArray(options.mount)
      ? { include_mount_points: { match_type: 'strict', mount_points: options.mount.map(mountPoint) } }
      : {};
    out.set('filesystem', { ...named, ...defaults, ...out.get('filesystem') });
  }
  return Object.fromEntries<Json>(out);
}
