import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { link, put, rig, STAT } from '../testing.ts';
import { parsePasswd } from '../users.ts';

interface Fake {
  readonly name?: string;
  readonly state?: string;
  readonly parent?: number;
  readonly flags?: number;
  readonly user?: number;
  readonly start?: number;
  readonly startCode?: number;
  readonly argv?: readonly string[];
  readonly uid?: number;
  readonly cgroup?: string;
}

const statOf = (pid: number, f: Fake): string =>
  `${pid} (${f.name ?? 'web'}) ${f.state ?? 'S'} ${f.parent ?? 1} 1 1 0 -1 ${f.flags ?? 0} 10 0 20 0 ${f.user ?? 150} 50 0 0 20 -5 3 0 ` +
  `${f.start ?? 200} 4096 7 18446744073709551615 ${f.startCode ?? 1} 1 1 0 0 0 0 4096 0 0 0 0 17 0 0 0 2 0 0 0 0 0 0 0 0 0 0\n`;

const files = (pid: number, f: Fake = {}): Record<string, string> => ({
  [`proc/${pid}/stat`]: statOf(pid, f),
  [`proc/${pid}/statm`]: '100 20 5 1 0 9 0\n',
  [`proc/${pid}/io`]: 'rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 0\n',
  [`proc/${pid}/status`]: `Name:\t${f.name ?? 'web'}\nUid:\t${f.uid ?? 1000}\t0\t0\t0\nSigQ:\t5/96000\n`,
  [`proc/${pid}/cmdline`]: (f.argv ?? ['/usr/bin/web', '-p', '80']).map((a) => `${a}\0`).join(''),
  [`proc/${pid}/cgroup`]: f.cgroup ?? '0::/web\n',
});
const PASSWD = { 'etc/passwd': 'root:x:0:0::/root:/bin/sh\nwww:x:1000:1000::/:/bin/false\n' };
const one = (f: Fake = {}): Record<string, string> => ({ ...PASSWD, ...files(7, f) });
const QUIET = { mute_process_exe_error: true };

describe('process scraper', () => {
  it('measures a process, with its names, its user and the time of its start', async (t) => {
    const on = (...names: string[]): object =>
      Object.fromEntries(names.map((n) => [`process.${n}`, { enabled: true }]));
    const metrics = on(
      'memory.utilization',
      'disk.operations',
      'paging.faults',
      'threads',
      'context_switches',
      'open_file_descriptors',
      'signals_pending',
      'uptime',
    );
    const { root, clock, scrape } = await rig(
      t,
      {
        ...one(),
        'proc/meminfo': 'MemTotal: 400 kB\n',
        'proc/7/task/7/status': 'voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n',
        'proc/7/task/8/status': 'voluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t1\n',
        'proc/7/fd/0': '',
        'proc/7/fd/1': '',
      },
      { process: { metrics } },
    );
    link(root, 'proc/7/exe', '/usr/bin/web');
    clock.ms = 1_700_000_012_000;
    const { points, errors, resources, startTimes } = await scrape();
    assert.deepEqual(errors, []);
    assert.deepEqual(resources, [
      {
        'process.pid': 7n,
        'process.parent_pid': 1n,
        'process.executable.name': 'web',
        'process.executable.path': '/usr/bin/web',
        'process.owner': 'www',
        'process.command': '/usr/bin/web',
        'process.command_line': '/usr/bin/web -p 80',
      },
    ]);
    assert.deepEqual(points, [
      'process.context_switches{type=voluntary} 6',
      'process.context_switches{type=involuntary} 3',
      'process.cpu.time{state=user} 1.5',
      'process.cpu.time{state=system} 0.5',
      'process.cpu.time{state=wait} 0.02',
      'process.disk.io{direction=read} 1',
      'process.disk.io{direction=write} 2',
      'process.disk.operations{direction=read} 3',
      'process.disk.operations{direction=write} 4',
      'process.memory.usage 81920',
      'process.memory.utilization 20',
      'process.memory.virtual 409600',
      'process.open_file_descriptors 2',
      'process.paging.faults{type=major} 20',
      'process.paging.faults{type=minor} 10',
      'process.signals_pending 5',
      'process.threads 3',
      'process.uptime 10',
    ]);
    assert.ok(startTimes.every((s) => s === 1_700_000_002n * 1_000_000_000n));
  });

  const LONG = 'kube-controller';
  const names: readonly [what: string, process: Fake, name: string][] = [
    ['spaces and parentheses', { name: 'a b) c', argv: [] }, 'a b) c'],
    [
      'a name that the kernel cut',
      { name: LONG, argv: ['/usr/bin/kube-controller-manager', '-v'] },
      'kube-controller-manager',
    ],
    ['a cut name that the command does not begin with', { name: LONG, argv: ['python3', 'x.py'] }, LONG],
    ['a short name beside another command', { name: 'nginx', argv: ['nginx: worker process'] }, 'nginx'],
  ];
  for (const [what, process, want] of names)
    it(`knows the name: ${what}`, async (t) => {
      const { scrape } = await rig(t, one(process), { process: QUIET });
      assert.equal((await scrape()).resources[0]!['process.executable.name'], want);
    });

  const V1 = '12:pids:/kubepods/pod1/c1\n3:cpu,cpuacct:/kubepods/pod1/c1\n1:name=systemd:/kubepods/pod1/c1\n';
  const cgroups: readonly [what: string, file: string, attribute: string][] = [
    ['version 2', '0::/system.slice/web.service\n', '0::/system.slice/web.service'],
    ['version 1', V1, V1.trimEnd()],
    ['both', `${V1}0::/kubepods/pod1/c1\n`, `${V1}0::/kubepods/pod1/c1`],
    ['a process that is in none', '', ''],
  ];
  for (const [what, file, want] of cgroups)
    it(`tells the cgroups of a host with ${what}`, async (t) => {
      const switches = { 'process.cgroup': { enabled: true }, 'process.linux.cgroup': { enabled: true } };
      const { scrape } = await rig(t, one({ cgroup: file }), { process: { resource_attributes: switches } });
      const [resource] = (await scrape()).resources;
      assert.equal(resource!['process.cgroup'], want);
      assert.equal(resource!['process.linux.cgroup'], want);
    });

  it('leaves out a process without cgroup file when that is asked for, and says so unless muted', async (t) => {
    const resource_attributes = { 'process.cgroup': { enabled: true } };
    for (const mute_process_cgroup_error of [false, true]) {
      const config = { process: { resource_attributes, mute_process_cgroup_error } };
      const { root, scrape } = await rig(t, one(), config);
      rmSync(join(root, 'proc/7/cgroup'));
      // A directory cannot be read as a file, which is no sign of a process that has ended.
      put(root, 'proc/7/cgroup/x', '');
      const { resources, errors } = await scrape();
      assert.deepEqual(resources, []);
      assert.deepEqual(
        errors,
        mute_process_cgroup_error
          ? []
          : ['error reading process cgroup for pid 7: read <root>/proc/7/cgroup: illegal operation on a directory'],
      );
    }
  });

  it('chooses by name and by attributes, and forgets what has ended', async (t) => {
    const all = {
      ...PASSWD,
      ...files(7),
      ...files(8, { name: 'db' }),
      ...files(9, { name: 'websocket', uid: 0 }),
      'proc/self/stat': statOf(7, {}),
      'proc/notanumber/stat': '',
    };
    const pids = async (config: object): Promise<unknown[]> =>
      (await (await rig(t, all, { process: config })).scrape()).resources.map((r) => r['process.pid']);
    assert.deepEqual(await pids({}), [7n, 8n, 9n]);
    assert.deepEqual(await pids({ include: { names: ['web', 'db'], match_type: 'strict' } }), [7n, 8n]);
    assert.deepEqual(await pids({ exclude: { names: ['^web'], match_type: 'regexp' } }), [8n]);
    const root = { 'process.owner': { metrics_include: [{ strict: 'root' }] } };
    assert.deepEqual(await pids({ resource_attributes: root }), [9n]);
  });

  it('computes utilization over the CPUs from the second scrape on, also after the names were read again', async (t) => {
    const metrics = { 'process.cpu.utilization': { enabled: true }, 'process.cpu.time': { enabled: false } };
    const cpus = `cpu 0\ncpu0 0\ncpu1 0\n${STAT}`;
    const { root, clock, scrape } = await rig(t, { ...one(), 'proc/stat': cpus }, { process: { metrics } });
    const utilization = async (): Promise<readonly string[]> =>
      (await scrape()).points.filter((p) => p.startsWith('process.cpu'));
    assert.deepEqual(await utilization(), []);
    clock.ms += 100_000;
    put(root, 'proc/7/stat', statOf(7, { user: 10_150 }));
    assert.deepEqual(await utilization(), [
      'process.cpu.utilization{state=user} 0.5',
      'process.cpu.utilization{state=system} 0',
      'process.cpu.utilization{state=wait} 0',
    ]);
    // Another process with the same id.
    put(root, 'proc/7/stat', statOf(7, { start: 900 }));
    assert.deepEqual(await utilization(), []);
  });

  it('reads names again when another program runs, and titles after a minute', async (t) => {
    const { root, clock, scrape } = await rig(t, one(), { process: QUIET });
    const command = async (): Promise<unknown> => (await scrape()).resources[0]!['process.command'];
    assert.equal(await command(), '/usr/bin/web');
    put(root, 'proc/7/cmdline', 'web: idle\0');
    clock.ms += 59_000;
    assert.equal(await command(), '/usr/bin/web');
    clock.ms += 1_000;
    assert.equal(await command(), 'web: idle');
    put(root, 'proc/7/cmdline', '/bin/other\0');
    put(root, 'proc/7/stat', statOf(7, { startCode: 2 }));
    assert.equal(await command(), '/bin/other');
  });

  it('waits until a process is old enough', async (t) => {
    const { clock, scrape } = await rig(t, one(), { process: { scrape_process_delay: '10s' } });
    clock.ms = 1_700_000_002_000 + 9_000;
    assert.deepEqual((await scrape()).resources, []);
    clock.ms += 2_000;
    assert.equal((await scrape()).resources.length, 1);
  });

  it('says nothing of processes that end, kernel threads and zombies', async (t) => {
    const { root, scrape } = await rig(
      t,
      {
        ...one({ name: 'zombie', state: 'Z', argv: [] }),
        'proc/2/stat': statOf(2, { name: 'kthreadd', flags: 0x200000 }),
        'proc/2/status': 'Uid:\t0\n',
        'proc/2/io': 'rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\n',
        ...files(9, { name: 'ends' }),
        'proc/10/status': 'Uid:\t0\n',
      },
      { process: null },
    );
    rmSync(join(root, 'proc/9/status'));
    const { resources, errors, points } = await scrape();
    assert.deepEqual(errors, []);
    assert.deepEqual(
      resources.map((r) => [r['process.executable.name'], r['process.command'], r['process.executable.path']]),
      [
        ['kthreadd', '', ''],
        ['zombie', '', ''],
      ],
    );
    assert.ok(points.includes('process.memory.usage 0'));
  });

  const bad: readonly [what: string, change: Record<string, string>, error: string | undefined, points: number][] = [
    [
      'stat is empty',
      { 'proc/7/stat': '' },
      'error reading process name for pid 7: unexpected line in <root>/proc/7/stat: ""',
      0,
    ],
    [
      'stat is cut off',
      { 'proc/7/stat': '7 (web) S 1 1' },
      'error reading process name for pid 7: unexpected line in <root>/proc/7/stat: "7 (web) S 1 1"',
      0,
    ],
    [
      'stat is garbage',
      { 'proc/7/stat': ')(' },
      'error reading process name for pid 7: unexpected line in <root>/proc/7/stat: ")("',
      0,
    ],
    [
      'statm is cut off',
      { 'proc/7/statm': '100' },
      'error reading memory info for process "web" (pid 7): unexpected line in <root>/proc/7/statm: "100"',
      5,
    ],
    [
      'io is cut off',
      { 'proc/7/io': 'rchar: 1\n' },
      'error reading disk usage for process "web" (pid 7): unexpected line in <root>/proc/7/io: ""',
      5,
    ],
    [
      'io is garbage',
      { 'proc/7/io': 'rchar: x\nwchar: 1\nsyscr: 1\nsyscw: 1\n' },
      'error reading disk usage for process "web" (pid 7): unexpected line in <root>/proc/7/io: "{\\"rchar\\":null,\\"wchar\\":1,\\"syscr\\":1,\\"syscw\\":1}"',
      5,
    ],
    [
      'status has no user',
      { 'proc/7/status': 'Name:\tweb\n' },
      'error reading username for process "web" (pid 7): no Uid in status',
      7,
    ],
    [
      'the user has no name',
      { 'proc/7/status': 'Uid:\t4000000000\n' },
      'error reading username for process "web" (pid 7): user: unknown userid 4000000000',
      7,
    ],
    [
      'stat is of a kernel without the last fields',
      { 'proc/7/stat': statOf(7, {}).split(' ').slice(0, 24).join(' ') },
      undefined,
      7,
    ],
  ];
  for (const [what, change, error, count] of bad)
    it(`measures what it can when ${what}`, async (t) => {
      const { scrape } = await rig(t, { ...one(), ...change }, { process: null });
      const { points, errors } = await scrape();
      assert.deepEqual(errors, error === undefined ? [] : [error]);
      assert.equal(points.length, count, points.join('\n'));
    });

  it('tells the first of many equal errors and their number, or nothing when they are muted', async (t) => {
    const many = Object.assign({}, ...[11, 12, 13].map((pid) => files(pid, { uid: 4_000_000_000 })));
    const told = async (config: object): Promise<readonly string[]> =>
      (await (await rig(t, many, { process: config })).scrape()).errors;
    assert.deepEqual(await told({}), [
      'error reading username for process "web" (pid 11): user: unknown userid 4000000000; and 2 more',
    ]);
    assert.deepEqual(await told({ mute_process_user_error: true }), []);
    assert.deepEqual(await told({ mute_process_all_errors: true }), []);
  });

  it('has a limit to nothing: a thousand processes come in pieces', async (t) => {
    const many = Object.assign({}, PASSWD, ...Array.from({ length: 200 }, (_, i) => files(1000 + i)));
    const { scrape } = await rig(t, many, { process: null });
    assert.equal((await scrape()).resources.length, 200);
  });

  it('cannot list processes without /proc', async (t) => {
    const { root, scrape } = await rig(t, {}, { process: null });
    rmSync(join(root, 'proc'), { recursive: true });
    await assert.rejects(scrape(), /open .*\/proc: no such file or directory/);
  });
});

describe('users', () => {
  it('are read from /etc/passwd, whatever is in it', () => {
    assert.deepEqual(
      [...parsePasswd('root:x:0:0\ntoor:x:0:0\n# comment\n:x:5:\nbad:x:five:\n+::::::\nweb:x:33:33:::\nlast:*:34')],
      [
        [0, 'root'],
        [33, 'web'],
        [34, 'last'],
      ],
    );
  });

  it('have a new name when the file has changed', async (t) => {
    const { root, clock, scrape } = await rig(t, one(), { process: QUIET });
    const owner = async (): Promise<unknown> => (await scrape()).resources[0]!['process.owner'];
    assert.equal(await owner(), 'www');
    put(root, 'etc/passwd', 'webserver:x:1000:1000::/:/bin/false\n');
    clock.ms += 60_000;
    assert.equal(await owner(), 'webserver');
  });
});
