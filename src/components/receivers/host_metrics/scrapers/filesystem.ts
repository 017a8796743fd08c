/** Use of mounted file systems. */
import { join } from 'node:path';
import { type AttributeSet, attributeSet } from '../../../../core/metrics/attribute-set.ts';
import type { Scraper } from '../../../../core/scrape.ts';
import { FILESYSTEM } from '../catalogue/filesystem.ts';
import type { FilesystemConfig } from '../config.ts';
import { keeps } from '../filter.ts';
import { type Host, Remembered } from '../host.ts';
import { type Mount, MountTable } from '../mounts.ts';
import { PatientStatfs, type Sizes, type Statfs } from '../statfs.ts';

const TIMEOUT_MS = 2000;

interface MountSets {
  readonly isKept: boolean;
  readonly used: AttributeSet;
  readonly free: AttributeSet;
  readonly reserved: AttributeSet;
  readonly all: AttributeSet;
}

export function makeFilesystemScraper(
  config: FilesystemConfig,
  host: Host,
  options: { readonly statfs?: Statfs; readonly timeoutMs?: number } = {},
): Scraper {
  const builder = host.builder(FILESYSTEM, config.metrics);
  const usage = builder.stream('system.filesystem.usage');
  const inodes = builder.stream('system.filesystem.inodes.usage');
  const utilization = builder.stream('system.filesystem.utilization');
  const keepsDevice = keeps(config.include_devices, config.exclude_devices);
  const keepsType = keeps(config.include_fs_types, config.exclude_fs_types);
  const keepsMountPoint = keeps(config.include_mount_points, config.exclude_mount_points);
  const table = new MountTable(host, config.include_virtual_filesystems);
  const statfs = new PatientStatfs(options.timeoutMs ?? TIMEOUT_MS, options.statfs);
  const known = new Remembered<Mount, MountSets>();
  /** What was said about a mount point, so that it is said once. */
  let told = new Map<string, string>();

  const makeSets = (mount: Mount): MountSets => {
    const { device, mode, mountPoint: mountpoint, type } = mount;
    const set = (state: string): AttributeSet => attributeSet({ device, mode, mountpoint, type, state });
    return {
      isKept: keepsDevice(device) && keepsType(type) && keepsMountPoint(mountpoint),
      used: set('used'),
      free: set('free'),
      reserved: set('reserved'),
      all: attributeSet({ device, mode, mountpoint, type }),
    };
  };

  /** Where the host's mount point is for us. In the mount table of our own container it is there already. */
  const ours = (mountPoint: string): string =>
    host.rootPath === '' || mountPoint === host.rootPath || mountPoint.startsWith(`${host.rootPath}/`)
      ? mountPoint
      : join(host.rootPath, mountPoint);

  function record(s: Sizes, sets: MountSets): void {
    const total = s.blocks * s.bsize;
    const used = (s.blocks - s.bfree) * s.bsize;
    const free = s.bavail * s.bsize;
    usage.point(used, sets.used);
    usage.point(free, sets.free);
    usage.point(total - used - free, sets.reserved);
    inodes.point(s.files - s.ffree, sets.used);
    inodes.point(s.ffree, sets.free);
    utilization.point(used + free > 0 ? used / (used + free) : 0, sets.all);
  }

  return host.scraper('filesystem', builder, async (problems, signal) => {
    const mounts = table.read((text) => problems.add(text));
    const saidNow = new Map<string, string>();
    for (const mount of mounts) {
      const sets = known.get(mount, () => makeSets(mount));
      if (!sets.isKept) continue;
      const path = ours(mount.mountPoint);
      const answer = await statfs.ask(path);
      if (signal.aborted) return;
      const before = told.get(path);
      if ('sizes' in answer) {
        record(answer.sizes, sets);
        if (before !== undefined)
          host.ctx.log.info('File system can be read again', { mountpoint: mount.mountPoint, device: mount.device });
        continue;
      }
      problems.failedPoints++;
      const error = 'error' in answer ? `failed to read usage at ${path}: ${answer.error}` : (before ?? '');
      saidNow.set(path, error);
      if (error !== before)
        host.ctx.log.warn('File system cannot be read', {
          mountpoint: mount.mountPoint,
          device: mount.device,
          type: mount.type,
          error,
        });
    }
    told = saidNow;
    known.forgetOthers();
  });
}
