/** The mount table of the host, as its init process sees it. */
import type { Host } from './host.ts';
import { unexpectedLine } from './host.ts';
import { Lines } from './lines.ts';
import { isMissing } from './proc-reader.ts';

export interface Mount {
  readonly device: string;
  /** As the host sees it. */
  readonly mountPoint: string;
  readonly type: string;
  readonly mode: 'rw' | 'ro' | 'unknown';
}

interface MountLine {
  readonly deviceId: string;
  /** Directory of the file system that is mounted; '/' when it is the whole. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  readonly type: string;
  readonly device: string;
  readonly superOptions: readonly string[];
}

/** Spaces and such stand as \040 in these files. */
const unescaped = (text: string): string =>
  text.includes('\\')
    ? text.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    : text;

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`; undefined when it is not so. */
function mountinfoLine(line: Lines): MountLine | undefined {
  line.skip(2);
  const deviceId = line.word();
  const root = unescaped(line.word());
  const mountPoint = unescaped(line.word());
  const options = line.word().split(',');
  let word = line.word();
  while (word !== '-' && word !== '') word = line.word();
  const type = line.word();
  const device = unescaped(line.word());
  if (device === '') return undefined;
  return { deviceId, root, mountPoint, options, type, device, superOptions: line.word().split(',') };
}

/** `/dev/sda1 / ext4 rw,relatime 0 0` */
function mountsLine(line: Lines): MountLine | undefined {
  const device = unescaped(line.word());
  const mountPoint = unescaped(line.word());
  const type = line.word();
  const options = line.word().split(',');
  if (options[0] === '') return undefined;
  return { deviceId: '', root: '/', mountPoint, options, type, device, superOptions: [] };
}

function modeOf(m: MountLine): Mount['mode'] {
  if (m.options.includes('ro') || m.superOptions.includes('ro')) return 'ro';
  return m.options.includes('rw') ? 'rw' : 'unknown';
}

/** A directory mounted a second time. What btrfs mounts is always a subvolume, which is none. */
const isBind = (m: MountLine): boolean => m.root !== '/' && !m.superOptions.includes(`subvol=${m.root}`);

/** Types whose server or daemon may be gone. */
const REMOTE = /^(nfs|cifs|smb|fuse|ceph|glusterfs|9p|afs|lustre|beegfs|gpfs|gfs2|ocfs2)/;

/** Tried in turn; only the last answers for an error. */
const FILES = ['1/mountinfo', '1/mounts', 'self/mountinfo', 'self/mounts'] as const;

export class MountTable {
  readonly #host: Host;
  readonly #isVirtualIncluded: boolean;
  #bytes = Buffer.alloc(0);
  #mounts: readonly Mount[] = [];

  constructor(host: Host, isVirtualIncluded: boolean) {
    this.#host = host;
    this.#isVirtualIncluded = isVirtualIncluded;
  }

  /** Every mount point and device once, those that may hang last. The list is made anew only when the table has changed. */
  read(tell: (problem: string) => void): readonly Mount[] {
    const { path, bytes } = this.#file();
    if (bytes.equals(this.#bytes)) return this.#mounts;
    const copy = Buffer.from(bytes);
    const parse = path.endsWith('mountinfo') ? mountinfoLine : mountsLine;
    const mounted: MountLine[] = [];
    const line = new Lines(copy);
    while (line.next()) {
      const start = line.pos;
      if (!line.more()) continue;
      const mount = parse(line);
      if (mount) mounted.push(mount);
      else {
        line.pos = start;
        tell(unexpectedLine(path, line.rest()));
      }
    }
    const types = this.#isVirtualIncluded ? undefined : this.#typesWithDevice();
    const wanted = types ? mounted.filter((m) => m.device !== 'none' && types.has(m.type) && !isBind(m)) : mounted;
    const found = new Map<string, Mount>();
    for (const m of wanted) {
      const device = this.#deviceName(m);
      const key = `${m.mountPoint}\n${device}`;
      if (!found.has(key)) found.set(key, { device, mountPoint: m.mountPoint, type: m.type, mode: modeOf(m) });
    }
    this.#bytes = copy;
    return (this.#mounts = [...found.values()].sort(
      (a, b) => Number(REMOTE.test(a.type)) - Number(REMOTE.test(b.type)),
    ));
  }

  #file(): { path: string; bytes: Buffer } {
    for (const [i, file] of FILES.entries()) {
      const path = this.#host.proc(file);
      try {
        return { path, bytes: this.#host.reader.read(path) };
      } catch (error) {
        if (i === FILES.length - 1) throw error;
      }
    }
    throw new Error('unreachable');
  }

  #typesWithDevice(): ReadonlySet<string> {
    const types = new Set<string>();
    const line = this.#host.reader.lines(this.#host.proc('filesystems'));
    while (line.next()) {
      const isVirtual = line.take('nodev');
      const type = line.word();
      // zfs has devices of its own.
      if (type !== '' && (!isVirtual || type === 'zfs')) types.add(type);
    }
    return types;
  }

  #deviceName(m: MountLine): string {
    const { reader, rootPath } = this.#host;
    try {
      if (m.device.startsWith('/dev/mapper/')) {
        const path = reader.realPath(this.#host.path(m.device));
        return rootPath !== '' && path.startsWith(`${rootPath}/`) ? path.slice(rootPath.length) : path;
      }
      if (m.device === '/dev/root' && m.deviceId !== '') {
        const target = reader.link(this.#host.path('sys/dev/block', m.deviceId));
        return `/dev/${target.slice(target.lastIndexOf('/') + 1)}`;
      }
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    return m.device;
  }
}
