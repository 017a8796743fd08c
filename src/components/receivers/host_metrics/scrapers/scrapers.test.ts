import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { put, rig, STAT } from '../testing.ts';

const DISKSTATS = '   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14\n';
const NET_DEV = `Inter-|   Receive |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0
`;
const TCP = '  sl  local_address rem_address   st\n   0: 0100007F:1F40 00000000:0000 0A 00\n';
const MEMINFO = 'MemTotal: 1000 kB\nMemFree: 400 kB\nMemAvailable: 700 kB\nBuffers: 10 kB\nCached: 200 kB\n';
const VMSTAT = 'pgpgin 1\npgpgout 2\npswpin 3\npswpout 4\npgfault 100\npgmajfault 10\n';

interface Row {
  readonly what: string;
  readonly scrapers: unknown;
  readonly files: Readonly<Record<string, string>>;
  readonly errors: readonly (string | RegExp)[];
  /** Some of the points. */
  readonly points?: readonly string[];
  readonly count?: number;
}

const missing = (call: string, file: string): string => `${call} <root>/${file}: no such file or directory`;

const BAD: readonly Row[] = [
  {
    what: 'load without its file',
    scrapers: { load: null },
    files: {},
    errors: [missing('open', 'proc/loadavg')],
    count: 0,
  },
  ...['', 'x', '0.1 0.2', '0.1 nine 0.3 1/2 3', '\0\0\0'].map((content) => ({
    what: `load of ${JSON.stringify(content)}`,
    scrapers: { load: null },
    files: { 'proc/loadavg': content },
    errors: [`unexpected line in <root>/proc/loadavg: ${JSON.stringify(content)}`],
    count: 0,
  })),
  {
    what: 'cpu without its file',
    scrapers: { cpu: null },
    files: { 'proc/stat': '' },
    errors: ['no CPU in <root>/proc/stat'],
    count: 0,
  },
  {
    what: 'a CPU with garbage beside a good one, cut off in the last line',
    scrapers: { cpu: null },
    files: { 'proc/stat': 'cpu  1 2\ncpu0 1 2 three 4 5 6 7 8\ncpu1 1 2 3 4 5 6 7 8 0 0\ncpu2 1 2' },
    errors: [
      'unexpected line in <root>/proc/stat: "cpu0 1 2 three 4 5 6 7 8"',
      'unexpected line in <root>/proc/stat: "cpu2 1 2"',
    ],
    points: ['system.cpu.time{cpu=cpu1 state=steal} 0.08'],
    count: 8,
  },
  {
    what: 'the few columns of an old kernel',
    scrapers: { cpu: null },
    files: { 'proc/stat': 'cpu  1 2 3 4\ncpu0 1 2 3 4\n' },
    errors: [],
    points: ['system.cpu.time{cpu=cpu0 state=idle} 0.04', 'system.cpu.time{cpu=cpu0 state=steal} 0'],
    count: 8,
  },
  {
    what: 'counts of CPUs without /proc/cpuinfo',
    scrapers: {
      cpu: {
        metrics: {
          'system.cpu.time': { enabled: false },
          'system.cpu.logical.count': { enabled: true },
          'system.cpu.physical.count': { enabled: true },
          'system.cpu.frequency': { enabled: true },
        },
      },
    },
    files: { 'proc/stat': 'cpu  1 2 3 4\ncpu0 1 2 3 4\n' },
    errors: [missing('open', 'proc/cpuinfo'), missing('open', 'proc/cpuinfo')],
    points: ['system.cpu.logical.count 1'],
    count: 1,
  },
  {
    what: 'memory without its file',
    scrapers: { memory: null },
    files: {},
    errors: [missing('open', 'proc/meminfo')],
    count: 0,
  },
  {
    what: 'memory without a total',
    scrapers: { memory: null },
    files: { 'proc/meminfo': 'MemFree: 1 kB\n' },
    errors: ['no MemTotal in <root>/proc/meminfo'],
    count: 0,
  },
  {
    what: 'memory with garbage',
    scrapers: { memory: null },
    files: { 'proc/meminfo': 'MemTotal: 1000 kB\nMemFree: lots kB\n' },
    errors: ['unexpected line in <root>/proc/meminfo: "MemFree: lots kB"'],
    count: 0,
  },
  {
    what: 'memory of a kernel that does not tell what is available',
    scrapers: { memory: null },
    files: { 'proc/meminfo': MEMINFO.replace(/MemAvailable.*\n/, '') },
    errors: [],
    points: [`system.memory.usage{state=used} ${(1000 - 400 - 10 - 200) * 1024}`],
    count: 6,
  },
  {
    what: 'huge pages',
    scrapers: {
      memory: {
        metrics: {
          'system.memory.usage': { enabled: false },
          'system.memory.linux.hugepages.usage': { enabled: true },
          'system.memory.linux.hugepages.utilization': { enabled: true },
          'system.memory.linux.hugepages.page_size': { enabled: true },
        },
      },
    },
    files: { 'proc/meminfo': `${MEMINFO}HugePages_Total: 8\nHugePages_Free: 2\nHugepagesize: 2048 kB\n` },
    errors: [],
    points: [
      'system.memory.linux.hugepages.page_size 2097152',
      'system.memory.linux.hugepages.usage{system.memory.linux.hugepages.state=used} 6',
      'system.memory.linux.hugepages.utilization{system.memory.linux.hugepages.state=free} 0.25',
    ],
    count: 5,
  },
  {
    what: 'disks without their file',
    scrapers: { disk: null },
    files: {},
    errors: [missing('open', 'proc/diskstats')],
    count: 0,
  },
  {
    what: 'a disk with garbage and one with too few counters beside a good one',
    scrapers: { disk: null },
    files: { 'proc/diskstats': `8 0 sdb 1 2 x 4 5 6 7 8 9 10 11\n${DISKSTATS}8 1 sda1 1 2\n` },
    errors: [
      'unexpected line in <root>/proc/diskstats: "8 0 sdb 1 2 x 4 5 6 7 8 9 10 11"',
      'unexpected line in <root>/proc/diskstats: "8 1 sda1 1 2"',
    ],
    points: ['system.disk.io{device=sda direction=write} 3584'],
    count: 11,
  },
  {
    what: 'a disk that was never used',
    scrapers: { disk: null },
    files: { 'proc/diskstats': '7 0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n' },
    errors: [],
    count: 0,
  },
  {
    what: 'network without any file',
    scrapers: { network: { metrics: { 'system.network.conntrack.count': { enabled: true } } } },
    files: {},
    errors: [
      missing('open', 'proc/net/dev'),
      `failed to read TCP connections: ${missing('open', 'proc/net/tcp')}`,
      missing('open', 'proc/sys/net/netfilter/nf_conntrack_count'),
    ],
    count: 0,
  },
  {
    what: 'network without IPv6, an interface with garbage, an unknown TCP state',
    scrapers: { network: null },
    files: {
      'proc/net/dev': `${NET_DEV}  eth0: 1 2 three\nnocolon\n  eth1:9 0 0 0 0 0 0 0 8 0 0 0 0 0 0 0`,
      'proc/net/tcp': `${TCP}   1: a b FF 0\n   2: garbage\n   3: a b 04 0\n`,
    },
    errors: [
      'unexpected line in <root>/proc/net/dev: "eth0: 1 2 three"',
      'unexpected line in <root>/proc/net/dev: "nocolon"',
    ],
    points: [
      'system.network.connections{protocol=tcp state=LISTEN} 1',
      'system.network.connections{protocol=tcp state=FIN_WAIT1} 1',
      'system.network.connections{protocol=tcp state=FIN_WAIT_1} 0',
      'system.network.io{device=eth1 direction=receive} 9',
      'system.network.io{device=eth1 direction=transmit} 8',
    ],
    count: 13 + 2 * 8,
  },
  {
    what: 'network of the host, whose first process tells it, not of who reads',
    scrapers: { network: null },
    files: {
      'proc/net/dev': NET_DEV.replace('lo:', 'mine:'),
      'proc/net/tcp': '',
      'proc/1/net/dev': NET_DEV,
      'proc/1/net/tcp': TCP,
    },
    errors: [],
    points: [
      'system.network.io{device=lo direction=receive} 1',
      'system.network.connections{protocol=tcp state=LISTEN} 1',
    ],
    count: 12 + 8,
  },
  {
    what: 'a name with a colon',
    scrapers: { network: { metrics: { 'system.network.connections': { enabled: false } } } },
    files: { 'proc/net/dev': NET_DEV.replace('lo:', 'eth0:1:') },
    errors: [],
    points: ['system.network.io{device=eth0:1 direction=receive} 1'],
    count: 8,
  },
  {
    what: 'connection tracking with garbage',
    scrapers: {
      network: {
        include: { interfaces: ['none'], match_type: 'strict' },
        metrics: {
          'system.network.connections': { enabled: false },
          'system.network.conntrack.max': { enabled: true },
        },
      },
    },
    files: { 'proc/net/dev': NET_DEV, 'proc/sys/net/netfilter/nf_conntrack_max': 'many\n' },
    errors: [
      'failed to read conntrack info: unexpected line in <root>/proc/sys/net/netfilter/nf_conntrack_max: "many"',
    ],
    count: 0,
  },
  {
    what: 'swap with garbage, no /proc/vmstat',
    scrapers: { paging: null },
    files: { 'proc/swaps': 'Filename Type Size Used Priority\n/dev/sda2 partition 100\n' },
    errors: ['unexpected line in <root>/proc/swaps: "/dev/sda2 partition 100"', missing('open', 'proc/vmstat')],
    count: 0,
  },
  {
    what: 'swap, used in part',
    scrapers: { paging: { metrics: { 'system.paging.utilization': { enabled: true } } } },
    files: {
      'proc/swaps': 'Filename Type Size Used Priority\n/dev/sda2 partition 100 25 -2\n',
      'proc/vmstat': VMSTAT,
    },
    errors: [],
    points: [
      'system.paging.usage{device=/dev/sda2 state=used} 25600',
      'system.paging.usage{device=/dev/sda2 state=free} 76800',
      'system.paging.utilization{device=/dev/sda2 state=used} 0.25',
      `system.paging.faults{type=minor} ${90 * 4096}`,
    ],
    count: 10,
  },
  {
    what: 'paging with garbage',
    scrapers: { paging: { metrics: { 'system.paging.usage': { enabled: false } } } },
    files: { 'proc/vmstat': 'nr_free_pages 1\npgpgin -\n' },
    errors: ['unexpected line in <root>/proc/vmstat: "pgpgin -"'],
    count: 0,
  },
  {
    what: 'uptime with garbage',
    scrapers: { system: null },
    files: { 'proc/uptime': 'long\n' },
    errors: ['unexpected line in <root>/proc/uptime: "long"'],
    count: 0,
  },
  {
    what: 'uptime',
    scrapers: { system: null },
    files: { 'proc/uptime': '350735.47 234388.90\n' },
    errors: [],
    points: ['system.uptime 350735.47'],
    count: 1,
  },
  {
    what: 'processes without totals',
    scrapers: { processes: null },
    files: { 'proc/stat': 'btime 5\nprocesses 1\nprocs_running 1\n' },
    errors: ['unexpected line in <root>/proc/stat: "no blocked"'],
    count: 0,
  },
  {
    what: 'processes in every state, known and not, and one without a stat file',
    scrapers: { processes: null },
    files: {
      'proc/1/stat': '1 (a) S 0',
      'proc/2/stat': '2 (b) Z) Z 1',
      'proc/3/stat': '3 (c) X 1',
      'proc/4/stat': '',
      'proc/5/statm': '1 2 3',
      'proc/self/stat': '1 (a) S 0',
    },
    errors: [],
    points: [
      'system.processes.count{status=sleeping} 1',
      'system.processes.count{status=zombies} 1',
      'system.processes.count{status=running} 1',
      'system.processes.count{status=unknown} 2',
      'system.processes.created 7',
    ],
    count: 6,
  },
  {
    what: 'NFS on a host with neither client nor server',
    scrapers: { nfs: null },
    files: {},
    errors: [missing('open', 'proc/net/rpc/nfsd')],
    count: 0,
  },
  {
    what: 'an NFS client, with a number of numbers that is not right',
    scrapers: { nfs: null },
    files: { 'proc/net/rpc/nfs': 'net 9 4 5 1\nrpc 7 2 3\nproc3 3 1 2 3\nother 1\nproc4 3 1 2\n' },
    errors: ['unexpected field count in <root>/proc/net/rpc/nfs: "proc4 3 1 2"'],
    points: [
      'nfs.client.net.count{network.transport=tcp} 5',
      'nfs.client.rpc.retransmit.count 2',
      'nfs.client.procedure.count{onc_rpc.version=3 onc_rpc.procedure.name=GETATTR} 2',
    ],
    count: 9,
  },
  {
    what: 'an NFS server, cut off',
    scrapers: { nfs: null },
    files: { 'proc/net/rpc/nfsd': 'rc 1 2 3\nfh 4 0 0 0 0\nio 5 6\nth 8 0 0.000\nrpc 100 6 1 2 3\nproc4 2 7 8\nnet 1' },
    errors: ['unexpected line in <root>/proc/net/rpc/nfsd: "net 1"'],
    points: [
      'nfs.server.repcache.requests{nfs.server.repcache.status=nocache} 3',
      'nfs.server.thread.count 8',
      'nfs.server.rpc.count 94',
      'nfs.server.rpc.count{error.type=client} 3',
      'nfs.server.procedure.count{onc_rpc.version=4 onc_rpc.procedure.name=COMPOUND} 8',
    ],
    count: 13,
  },
];

describe('host_metrics scrapers, whatever the files hold', () => {
  for (const row of BAD)
    it(row.what, async (t: TestContext) => {
      const { scrape } = await rig(t, row.files, row.scrapers);
      const { points, errors, failedPoints } = await scrape();
      assert.deepEqual(errors, row.errors);
      assert.equal(failedPoints > 0, errors.length > 0);
      for (const p of row.points ?? []) assert.ok(points.includes(p), `${p} is missing in\n${points.join('\n')}`);
      if (row.count !== undefined) assert.equal(points.length, row.count, points.join('\n'));
    });

  it('starts all points at the time of boot, or without it at now less uptime', async (t) => {
    const files = { 'proc/uptime': '100.5 1\n' };
    const known = await rig(t, files, { system: null });
    assert.deepEqual((await known.scrape()).startTimes, [1_700_000_000n * 1_000_000_000n]);
    const unknown = await rig(t, { ...files, 'proc/stat': 'cpu 1\n' }, { system: null });
    const want = BigInt(Math.floor(unknown.clock.ms / 1000 - 100.5)) * 1_000_000_000n;
    assert.deepEqual((await unknown.scrape()).startTimes, [want]);
    const lost = await rig(t, { ...files, 'proc/stat': 'btime soon\n' }, { load: null });
    rmSync(join(lost.root, 'proc/uptime'));
    put(lost.root, 'proc/loadavg', '1 2 3\n');
    assert.deepEqual((await lost.scrape()).startTimes, [0n, 0n, 0n]);
  });

  it('computes utilization from the second scrape on, of CPUs that stay; time taken back counts as none', async (t) => {
    const on = { 'system.cpu.utilization': { enabled: true }, 'system.cpu.time': { enabled: false } };
    const { root, scrape } = await rig(
      t,
      { 'proc/stat': 'cpu 0\ncpu0 0 0 0 100 50 0 0 0\n' },
      { cpu: { metrics: on } },
    );
    assert.deepEqual((await scrape()).points, []);
    put(root, 'proc/stat', 'cpu 0\ncpu0 10 0 0 130 40 0 0 0\ncpu1 5 0 0 0 0 0 0 0\n');
    const second = await scrape();
    assert.equal(second.points.length, 8);
    assert.ok(second.points.includes('system.cpu.utilization{cpu=cpu0 state=user} 0.25'), second.points.join('\n'));
    assert.ok(second.points.includes('system.cpu.utilization{cpu=cpu0 state=wait} 0'));
    const third = await scrape();
    assert.equal(third.points.length, 16);
    assert.ok(
      third.points.every((p) => p.endsWith(' 0')),
      'no time has passed',
    );
  });

  it('counts cores by their siblings, or else by chip and core', async (t) => {
    const off = { 'system.cpu.time': { enabled: false }, 'system.cpu.physical.count': { enabled: true } };
    const cpu = (n: number): string => `processor : ${n}\nphysical id : 0\ncore id : 0\ncpu MHz : 1000.5\n\n`;
    const files = { 'proc/stat': 'cpu 0\ncpu0 1\ncpu1 1\n', 'proc/cpuinfo': cpu(0) + cpu(1) };
    const byCore = await rig(t, files, { cpu: { metrics: off } });
    assert.deepEqual((await byCore.scrape()).points, ['system.cpu.physical.count 1']);
    const siblings = {
      ...files,
      'sys/devices/system/cpu/cpu0/topology/core_cpus_list': '0\n',
      'sys/devices/system/cpu/cpu1/topology/thread_siblings_list': '1\n',
    };
    const bySiblings = await rig(t, siblings, { cpu: { metrics: off } });
    assert.deepEqual((await bySiblings.scrape()).points, ['system.cpu.physical.count 2']);
    const frequency = { 'system.cpu.time': { enabled: false }, 'system.cpu.frequency': { enabled: true } };
    const measured = await rig(t, files, { cpu: { metrics: frequency } });
    assert.deepEqual((await measured.scrape()).points, [
      'system.cpu.frequency{cpu=cpu0} 1000500000',
      'system.cpu.frequency{cpu=cpu1} 1000500000',
    ]);
  });

  it('divides load averages by the CPUs that are online', async (t) => {
    const files = { 'proc/stat': `cpu 0\ncpu0 1\ncpu3 1\n${STAT}`, 'proc/loadavg': '1.00 2.00 3.00 1/2 3\n' };
    const { scrape } = await rig(t, files, { load: { cpu_average: true } });
    assert.deepEqual((await scrape()).points, [
      'system.cpu.load_average.15m 1.5',
      'system.cpu.load_average.1m 0.5',
      'system.cpu.load_average.5m 1',
    ]);
  });

  it('counts memory that is not available as used, or without the gate what is neither free nor cache', async (t) => {
    const used = async (gate: boolean): Promise<string | undefined> => {
      const gates = new Map([['receiver.hostmetricsreceiver.UseLinuxMemAvailable', gate]]);
      const { scrape } = await rig(t, { 'proc/meminfo': MEMINFO }, { memory: null }, gates);
      return (await scrape()).points.find((p) => p.includes('state=used'));
    };
    assert.equal(await used(true), `system.memory.usage{state=used} ${300 * 1024}`);
    assert.equal(await used(false), `system.memory.usage{state=used} ${390 * 1024}`);
  });

  it('counts connections of a table of any size', async (t) => {
    const line = '   1: 0100007F:1F41 00000000:0000 01 00000000:00000000 00:00000000 00000000  1000        0 9001 1\n';
    const files = { 'proc/net/dev': NET_DEV, 'proc/net/tcp': TCP + line.repeat(20_000), 'proc/net/tcp6': TCP };
    const { scrape } = await rig(t, files, { network: null });
    const { points } = await scrape();
    assert.ok(points.includes('system.network.connections{protocol=tcp state=ESTABLISHED} 20000'));
    assert.ok(points.includes('system.network.connections{protocol=tcp state=LISTEN} 2'));
  });

  it('reads a file that grows beyond the buffer, and one without an end of line', async (t) => {
    const { root, scrape } = await rig(t, { 'proc/diskstats': DISKSTATS }, { disk: null });
    assert.equal((await scrape()).points.length, 11);
    const many = Array.from({ length: 2000 }, (_, i) => `8 0 sd${i} 1 2 3 4 5 6 7 8 9 10 11\n`).join('');
    put(root, 'proc/diskstats', many.trimEnd());
    assert.equal((await scrape()).points.length, 22_000);
  });

  const FILTERS: readonly [string, unknown, readonly string[]][] = [
    ['no filter', {}, ['lo', 'eth0', 'veth1']],
    ['exact names', { include: { interfaces: ['eth0', 'eth'], match_type: 'strict' } }, ['eth0']],
    ['a part of the name', { include: { interfaces: ['eth'], match_type: 'regexp' } }, ['eth0', 'veth1']],
    ['whole names by anchors', { include: { interfaces: ['^eth'], match_type: 'regexp' } }, ['eth0']],
    ['excluded', { exclude: { interfaces: ['^v', 'lo'], match_type: 'regexp' } }, ['eth0']],
    [
      'included and excluded',
      {
        include: { interfaces: ['eth'], match_type: 'regexp' },
        exclude: { interfaces: ['eth0'], match_type: 'strict' },
      },
      ['veth1'],
    ],
    ['an empty list', { include: { interfaces: [] } }, ['lo', 'eth0', 'veth1']],
  ];
  for (const [what, filter, want] of FILTERS)
    it(`keeps interfaces: ${what}`, async (t) => {
      const counters = '1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n';
      const files = { 'proc/net/dev': `\n\nlo:${counters}eth0: ${counters}veth1: ${counters}` };
      const metrics = { 'system.network.connections': { enabled: false } };
      const { scrape } = await rig(t, files, { network: { ...(filter as object), metrics } });
      const devices = (await scrape()).points.map((p) => /device=(\S+)/.exec(p)![1]);
      assert.deepEqual([...new Set(devices)], want);
    });
});
