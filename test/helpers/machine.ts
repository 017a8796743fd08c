/** This machine by /proc and statfs, in the names that remote write gives to what host_metrics measures. */
import { readFileSync, statfsSync } from 'node:fs';

export const isIdle = (labels: Readonly<Record<string, string>>): boolean =>
  ['idle', 'wait'].includes(labels['state'] ?? '');

/** What /proc and statfs say now, by name and labels as remote write makes them. */
export function machine(): Map<string, { value: number; isCounter: boolean }> {
  const found = new Map<string, { value: number; isCounter: boolean }>();
  const put = (name: string, labels: Record<string, string>, value: number): void => {
    // The kernel takes back idle and wait time now and then.
    found.set(keyOf({ __name__: name, ...labels }), { value, isCounter: name.endsWith('_total') && !isIdle(labels) });
  };
  const rows = (file: string): string[][] =>
    readFileSync(`/proc/${file}`, 'utf8')
      .trim()
      .split('\n')
      .map((l) => l.trim().split(/[\s:]+/));

  const cpuStates = ['user', 'nice', 'system', 'idle', 'wait', 'interrupt', 'softirq', 'steal'];
  for (const [cpu, ...ticks] of rows('stat').filter((r) => /^cpu\d/.test(r[0]!)))
    for (const [i, state] of cpuStates.entries())
      put('system_cpu_time_seconds_total', { cpu: cpu!, state }, Number(ticks[i]) / 100);

  const kib = new Map(rows('meminfo').map(([name, n]) => [name!, Number(n) * 1024]));
  const memory = (state: string, bytes: number): void => put('system_memory_usage_bytes', { state }, bytes);
  memory('free', kib.get('MemFree')!);
  memory('buffered', kib.get('Buffers')!);
  memory('cached', kib.get('Cached')! + kib.get('SReclaimable')!);
  memory('slab_reclaimable', kib.get('SReclaimable')!);
  memory('slab_unreclaimable', kib.get('SUnreclaim')!);
  memory('used', kib.get('MemTotal')! - kib.get('MemAvailable')!);

  for (const [, , device, ...c] of rows('diskstats').filter((r) => r.slice(3).some((n) => n !== '0'))) {
    for (const [direction, i] of [
      ['read', 0],
      ['write', 4],
    ] as const) {
      put('system_disk_operations_total', { device: device!, direction }, Number(c[i]));
      put('system_disk_merged_total', { device: device!, direction }, Number(c[i + 1]));
      put('system_disk_io_bytes_total', { device: device!, direction }, Number(c[i + 2]) * 512);
      put('system_disk_operation_time_seconds_total', { device: device!, direction }, Number(c[i + 3]) / 1000);
    }
    put('system_disk_io_time_seconds_total', { device: device! }, Number(c[9]) / 1000);
  }

  for (const [device, ...c] of rows('net/dev').slice(2))
    for (const [direction, i] of [
      ['receive', 0],
      ['transmit', 8],
    ] as const)
      for (const [k, name] of ['io_bytes', 'packets', 'errors', 'dropped'].entries())
        put(`system_network_${name}_total`, { device: device!, direction }, Number(c[i + k]));

  const { blocks, bfree, bavail, bsize, files, ffree } = statfsSync('/');
  const usage = (state: string, n: number): void => put('system_filesystem_usage_bytes', { mountpoint: '/', state }, n);
  usage('used', (blocks - bfree) * bsize);
  usage('free', bavail * bsize);
  usage('reserved', (bfree - bavail) * bsize);
  put('system_filesystem_inodes_usage', { mountpoint: '/', state: 'used' }, files - ffree);
  put('system_filesystem_inodes_usage', { mountpoint: '/', state: 'free' }, ffree);
  return found;
}

/** Attributes of the point; of file systems only the mount point, which the others follow from. */
export function keyOf(labels: Readonly<Record<string, string>>): string {
  const isFilesystem = labels['__name__']!.startsWith('system_filesystem');
  return Object.entries(labels)
    .filter(([k]) => !k.startsWith('otel_scope_') && !(isFilesystem && ['device', 'mode', 'type'].includes(k)))
    .map(([k, v]) => `${k}=${v}`)
    .sort()
    .join(' ');
}
