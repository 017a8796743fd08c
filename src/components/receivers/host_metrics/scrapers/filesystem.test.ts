import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { settled } from '../../../../../test/helpers/component.ts';
import { Host } from '../host.ts';
import { MountTable } from '../mounts.ts';
import { PatientStatfs, type Sizes, type Statfs } from '../statfs.ts';
import { hostOf, link, parse, put, rig, scrapeOnce } from '../testing.ts';
import { makeFilesystemScraper } from './filesystem.ts';

const FILESYSTEMS = 'nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tzfs\nnodev\tnfs4\n\text4\n\txfs\n\tbtrfs\n';
const SIZES: Sizes = { bsize: 4096, blocks: 100, bfree: 60, bavail: 50, files: 10, ffree: 4 };

const mountinfo = (...lines: readonly string[]): Record<string, string> => ({
  'proc/1/mountinfo': `${lines.join('\n')}\n`,
  'proc/filesystems': FILESYSTEMS,
});
const ROOT = '27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw';

describe('mount table', () => {
  const rows: readonly [
    what: string,
    files: Record<string, string>,
    isVirtualIncluded: boolean,
    want: readonly string[],
  ][] = [
    [
      'file systems with devices, zfs too, others only when asked for',
      mountinfo(
        ROOT,
        '28 27 0:21 / /proc rw - proc proc rw',
        '29 27 0:30 / /tank rw - zfs tank rw',
        '30 27 0:31 / /none rw - ext4 none rw',
      ),
      false,
      ['/dev/sda1 / ext4 rw', 'tank /tank zfs rw'],
    ],
    [
      'all of them',
      mountinfo(ROOT, '28 27 0:21 / /proc rw - proc proc rw'),
      true,
      ['/dev/sda1 / ext4 rw', 'proc /proc proc rw'],
    ],
    [
      'no bind mounts, but subvolumes of btrfs',
      mountinfo(
        '27 1 0:25 /@ / rw,relatime - btrfs /dev/sda1 rw,ssd,subvolid=256,subvol=/@',
        '28 27 0:25 /@home /home rw - btrfs /dev/sda1 rw,ssd,subvolid=257,subvol=/@home',
        '29 27 0:25 /@/etc /mnt/etc rw - btrfs /dev/sda1 rw,ssd,subvolid=256,subvol=/@',
        '30 27 8:2 /pods/x /var/lib/kubelet/pods/x rw - ext4 /dev/sdb rw',
      ),
      false,
      ['/dev/sda1 / btrfs rw', '/dev/sda1 /home btrfs rw'],
    ],
    [
      'one of a mount point and a device, spaces and backslashes in names, read-only by either side',
      mountinfo(
        '27 1 8:1 / /a\\040b\\134c ro - ext4 /dev/sda1 rw',
        '28 1 8:1 / /a\\040b\\134c ro - ext4 /dev/sda1 rw',
        '29 1 8:2 / /d rw master:1 propagate_from:2 - ext4 /dev/sda2 ro',
        '30 1 8:3 / /e relatime - ext4 /dev/sda3 seclabel',
      ),
      false,
      ['/dev/sda1 /a b\\c ext4 ro', '/dev/sda2 /d ext4 ro', '/dev/sda3 /e ext4 unknown'],
    ],
    [
      'the older table when there is no mountinfo',
      { 'proc/1/mounts': '/dev/sda1 / ext4 ro,relatime 0 0\n', 'proc/filesystems': FILESYSTEMS },
      false,
      ['/dev/sda1 / ext4 ro'],
    ],
    [
      'our own table when that of init is not there',
      { 'proc/self/mountinfo': ROOT, 'proc/filesystems': FILESYSTEMS },
      false,
      ['/dev/sda1 / ext4 rw'],
    ],
  ];
  for (const [what, files, isVirtualIncluded, want] of rows)
    it(`holds ${what}`, (t: TestContext) => {
      const { host } = hostOf(t, files);
      const table = new MountTable(host, isVirtualIncluded);
      const mounts = table.read((problem) => assert.fail(problem));
      assert.deepEqual(
        mounts.map((m) => `${m.device} ${m.mountPoint} ${m.type} ${m.mode}`),
        want,
      );
      assert.equal(
        table.read(() => {}),
        mounts,
        'an unchanged table is not read again',
      );
    });

  it('names devices as the host does: behind /dev/mapper, and of /dev/root', (t) => {
    const { root, host } = hostOf(
      t,
      mountinfo(
        '27 1 8:1 / / rw - ext4 /dev/root rw',
        '28 27 253:0 / /var rw - ext4 /dev/mapper/vg-var rw',
        '29 27 253:1 / /srv rw - ext4 /dev/mapper/gone rw',
      ),
    );
    put(root, 'dev/dm-0', '');
    link(root, 'dev/mapper/vg-var', '../dm-0');
    link(root, 'sys/dev/block/8:1', '../../devices/pci0000:00/block/sda/sda1');
    const mounts = new MountTable(host, false).read((problem) => assert.fail(problem));
    assert.deepEqual(
      mounts.map((m) => m.device),
      ['/dev/sda1', '/dev/dm-0', '/dev/mapper/gone'],
    );
  });

  it('tells lines that are none, and holds the others', (t) => {
    const { root, host } = hostOf(t, mountinfo('27 1 8:1 / /', '', ROOT, '\0\0'));
    const told: string[] = [];
    const mounts = new MountTable(host, false).read((problem) => told.push(problem.replace(root, '<root>')));
    assert.deepEqual(told, [
      'unexpected line in <root>/proc/1/mountinfo: "27 1 8:1 / /"',
      'unexpected line in <root>/proc/1/mountinfo: "\\u0000\\u0000"',
    ]);
    assert.equal(mounts.length, 1);
  });
});

describe('file system scraper', () => {
  it('has the same mount points with a slash at the end of the root', (t) => {
    const { host } = hostOf(t, {});
    const withSlash = new Host(`${host.rootPath}//`, host.ctx);
    assert.equal(withSlash.rootPath, host.rootPath);
    assert.equal(new Host('/', host.ctx).proc('stat'), '/proc/stat');
    assert.equal(new Host('', host.ctx).proc('stat'), '/proc/stat');
  });

  const made = (t: TestContext, files: Record<string, string>, config: unknown, statfs: Statfs, timeoutMs?: number) => {
    const built = hostOf(t, files);
    const own = parse({ filesystem: config }).scrapers.filesystem!;
    const options = { statfs, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    const scraper = makeFilesystemScraper(own, built.host, options);
    return { ...built, scrape: () => scrapeOnce(scraper, built.root) };
  };
  const told = (lines: readonly { level: string; message: string; fields: object }[]): unknown[] =>
    lines.map((l) => [l.level, l.message, (l.fields as { mountpoint?: string }).mountpoint]);

  it('measures below the root, as the host names it', async (t) => {
    const asked: string[] = [];
    const { root, scrape } = made(
      t,
      mountinfo(ROOT, '28 27 8:2 / /data rw - xfs /dev/sdb rw'),
      { metrics: { 'system.filesystem.utilization': { enabled: true } } },
      async (path) => {
        asked.push(path);
        return SIZES;
      },
    );
    const { points, errors } = await scrape();
    assert.deepEqual(errors, []);
    assert.deepEqual(
      asked.map((p) => p.replace(root, '<root>')),
      ['<root>/', '<root>/data'],
    );
    const where = 'device=/dev/sda1 mode=rw mountpoint=/ type=ext4';
    assert.deepEqual(
      points.filter((p) => p.includes('/dev/sda1')),
      [
        `system.filesystem.inodes.usage{${where} state=used} 6`,
        `system.filesystem.inodes.usage{${where} state=free} 4`,
        `system.filesystem.usage{${where} state=used} ${40 * 4096}`,
        `system.filesystem.usage{${where} state=free} ${50 * 4096}`,
        `system.filesystem.usage{${where} state=reserved} ${10 * 4096}`,
        `system.filesystem.utilization{${where}} ${40 / 90}`,
      ],
    );
  });

  it('does not put the root before a mount point that has it already', async (t) => {
    const asked: string[] = [];
    const statfs: Statfs = async (path) => {
      asked.push(path);
      return SIZES;
    };
    const { root, scrape } = made(t, { 'proc/filesystems': FILESYSTEMS }, {}, statfs);
    put(
      root,
      'proc/self/mountinfo',
      `27 1 8:1 / ${root} rw - ext4 /dev/sda1 rw\n28 1 8:2 / ${root}/a rw - ext4 /dev/sda2 rw`,
    );
    await scrape();
    assert.deepEqual(asked, [root, `${root}/a`]);
  });

  it('keeps a mount only when device, type and mount point pass', async (t) => {
    const files = mountinfo(
      ROOT,
      '28 27 8:2 / /data rw - xfs /dev/sdb rw',
      '29 27 8:3 / /var/lib/kubelet/x rw - ext4 /dev/sdc rw',
      '30 27 8:4 / /var rw - ext4 /dev/sdd rw',
    );
    const config = {
      exclude_devices: { devices: ['/dev/sdd'], match_type: 'strict' },
      include_fs_types: { fs_types: ['^ext'], match_type: 'regexp' },
      exclude_mount_points: { mount_points: ['/var/lib/kubelet/.*'], match_type: 'regexp' },
    };
    const { scrape } = made(t, files, config, async () => SIZES);
    const mountPoints = (await scrape()).points.map((p) => /mountpoint=(\S+)/.exec(p)![1]);
    assert.deepEqual([...new Set(mountPoints)], ['/']);
  });

  it('warns once of a mount that cannot be read, tells when it can be again, and measures the others', async (t) => {
    let isBroken = true;
    const statfs: Statfs = async (path) => {
      if (path.endsWith('/data') && isBroken) throw Object.assign(new Error('EACCES'), { errno: -13, code: 'EACCES' });
      return SIZES;
    };
    const { root, lines, scrape } = made(t, mountinfo(ROOT, '28 27 8:2 / /data rw - xfs /dev/sdb rw'), {}, statfs);
    for (let i = 0; i < 3; i++) {
      const { points, errors, failedPoints } = await scrape();
      assert.deepEqual([points.length, errors.length, failedPoints], [5, 0, 1]);
    }
    assert.deepEqual(told(lines), [['warn', 'File system cannot be read', '/data']]);
    assert.equal(lines[0]!.fields['error'], `failed to read usage at ${join(root, 'data')}: permission denied`);
    isBroken = false;
    assert.equal((await scrape()).points.length, 10);
    assert.deepEqual(told(lines.slice(1)), [['info', 'File system can be read again', '/data']]);
  });

  it('does not wait for mounts that hang: asks each once, leaves threads to others, and takes them up again', async (t) => {
    const asked: string[] = [];
    const release: (() => void)[] = [];
    let isBack = false;
    const statfs: Statfs = (path) => {
      asked.push(path.slice(path.lastIndexOf('/')));
      if (!path.includes('/nfs') || isBack) return Promise.resolve(SIZES);
      return new Promise((resolve) => void release.push(() => resolve(SIZES)));
    };
    const nfs = (n: number): string => `${40 + n} 27 0:${n} / /nfs${n} rw - nfs4 server:/${n} rw`;
    const { lines, scrape } = made(
      t,
      mountinfo(ROOT, nfs(1), nfs(2), nfs(3), '50 27 8:2 / /data rw - ext4 /dev/sdb rw'),
      { include_virtual_filesystems: true },
      statfs,
      5,
    );
    for (const _ of [1, 2, 3]) {
      const { points, failedPoints } = await scrape();
      assert.equal(points.length, 10, 'those that answer');
      assert.equal(failedPoints, 3, 'two that hang, and one that is not asked');
    }
    assert.deepEqual(asked, ['/', '/data', '/nfs1', '/nfs2', '/', '/data', '/', '/data']);
    assert.deepEqual(told(lines), [
      ['warn', 'File system cannot be read', '/nfs1'],
      ['warn', 'File system cannot be read', '/nfs2'],
      ['warn', 'File system cannot be read', '/nfs3'],
    ]);
    assert.match(String(lines[0]!.fields['error']), /no answer within 0.005s/);
    assert.match(String(lines[2]!.fields['error']), /not asked while 2 other file systems do not answer/);
    isBack = true;
    for (const answer of release) answer();
    await settled();
    assert.equal((await scrape()).points.length, 25);
    assert.equal(lines.filter((l) => l.level === 'info').length, 3);
  });

  it('has nothing and says so when there is no mount table', async (t) => {
    const { root, scrape } = made(t, {}, {}, async () => SIZES);
    rmSync(join(root, 'proc/1'), { recursive: true, force: true });
    const { points, errors } = await scrape();
    assert.deepEqual([points, errors], [[], ['open <root>/proc/self/mounts: no such file or directory']]);
  });

  it('needs the list of types to leave out virtual file systems, and asks for it again', async (t) => {
    const { root, scrape } = await rig(t, { 'proc/1/mountinfo': ROOT }, { filesystem: null });
    assert.deepEqual((await scrape()).errors, ['open <root>/proc/filesystems: no such file or directory']);
    put(root, 'proc/filesystems', FILESYSTEMS);
    const { points, errors } = await scrape();
    assert.deepEqual([points.length, errors], [5, []]);
  });
});

describe('statfs with a limit', () => {
  it('answers with sizes, with the reason of a failure, and with neither while it waits', async () => {
    const never = new PatientStatfs(1, () => new Promise(() => {}));
    assert.deepEqual(await never.ask('/a'), { error: 'no answer within 0.001s' });
    assert.deepEqual(await never.ask('/a'), { isWaiting: true });
    assert.deepEqual(await never.ask('/b'), { error: 'no answer within 0.001s' });
    assert.deepEqual(await never.ask('/c'), { error: 'not asked while 2 other file systems do not answer' });
    const real = new PatientStatfs(60_000);
    const answer = await real.ask('/');
    assert.ok('sizes' in answer && answer.sizes.blocks > 0);
    assert.deepEqual(await real.ask('/no/such/directory'), { error: 'no such file or directory' });
  });
});
