import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { componentContext } from '../../../../test/helpers/component.ts';
import { type Answer, podName, podsOf, podUid, startFakeServer, summaryOf } from '../../../../test/helpers/kubelet.ts';
import type { ScrapeResult } from '../../../core/scrape.ts';
import { makeAccess } from '../../../kubernetes/access.ts';
import { KubernetesClient } from '../../../kubernetes/client.ts';
import { metricsOf } from '../../../wire/otlp-metrics.ts';
import type { KubeletStatsConfig } from './index.ts';
import definition from './index.ts';
import { KubeletScraper } from './scraper.ts';

const SIGNAL = new AbortController().signal;
const NO_METRIC_GROUPS = { auth_type: 'none', endpoint: 'http://unused' };

interface Point {
  readonly metric: string;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly value: number | bigint;
  readonly start: bigint;
}

/** A scraper against a fake kubelet, and a fake API server when the configuration asks for one. */
async function rig(t: TestContext, config: object, answers: Record<string, () => Answer>, isUsageComputed = false) {
  const server = await startFakeServer((path) => answers[path]?.() ?? { status: 404, text: 'no such path' });
  const { context, clock, lines } = componentContext('kubelet_stats', 'receiver');
  const parsed = definition.schema.parse({ ...NO_METRIC_GROUPS, ...config }) as KubeletStatsConfig;
  const client = (name: string) => new KubernetesClient(makeAccess({ url: server.url }, context), { name });
  const scraper = new KubeletScraper({
    config: parsed,
    kubelet: client('kubelet'),
    api: parsed.k8s_api_config ? client('API server') : undefined,
    isUsageComputed,
    clock,
    log: context.log,
    build: context.build,
  });
  t.after(async () => {
    await scraper.stop();
    await server.close();
  });
  const paths = () => server.requests.map((r) => r.path);
  return { scrape: () => scraper.scrape(SIGNAL), clock, lines, paths };
}

function pointsOf(result: ScrapeResult): Point[] {
  const points: Point[] = [];
  for (const g of result.groups) {
    let count = 0;
    for (const m of metricsOf(g.items)) {
      assert.ok(m.data.type === 'gauge' || m.data.type === 'sum');
      for (const p of m.data.points) {
        count++;
        points.push({
          metric: m.name,
          resource: Object.fromEntries(g.resource.attributes),
          attributes: Object.fromEntries(p.attributes),
          value: p.value as number | bigint,
          start: p.startTime,
        });
      }
    }
    assert.equal(g.count, count);
  }
  return points;
}
const valuesOf = (result: ScrapeResult, metric: string) =>
  pointsOf(result)
    .filter((p) => p.metric === metric)
    .map((p) => p.value);
const on = (...names: string[]) => Object.fromEntries(names.map((n) => [n, { enabled: true }]));

describe('kubelet_stats', () => {
  it('measures node, pods, containers and volumes, each with its resource', async (t) => {
    const { scrape, paths } = await rig(
      t,
      { metric_groups: ['node', 'pod', 'container', 'volume'] },
      { '/stats/summary': () => ({ json: summaryOf({ pods: 2 }) }) },
    );
    const result = await scrape();
    assert.deepEqual(result.errors, []);
    assert.deepEqual(
      result.groups.map((g) => Object.fromEntries(g.resource.attributes)),
      [
        { 'k8s.node.name': 'node-1' },
        ...[0, 1].flatMap((i) => {
          const pod = { 'k8s.pod.uid': podUid(i), 'k8s.pod.name': podName(i), 'k8s.namespace.name': `ns-${i}` };
          const containers = i === 0 ? ['app', 'sidecar'] : ['app'];
          const volumes = ['scratch', `kube-api-access-0000${i}`];
          return [
            pod,
            ...containers.map((c) => ({ ...pod, 'k8s.container.name': c })),
            ...volumes.map((v) => ({ ...pod, 'k8s.volume.name': v })),
          ];
        }),
      ],
    );
    const node = pointsOf(result).filter((p) => p.resource['k8s.node.name']);
    assert.deepEqual(
      node.filter((p) => p.metric === 'k8s.node.network.io').map((p) => [p.attributes, p.value]),
      [
        [{ interface: 'eth0', direction: 'receive' }, 6521425n],
        [{ interface: 'eth0', direction: 'transmit' }, 13042850n],
      ],
    );
    assert.equal(node[0]!.start, BigInt(Date.UTC(2026, 10, 22, 10)) * 1_000_000n);
    assert.deepEqual(paths(), ['/stats/summary']);
  });

  it('system containers, process ids and inodes are measured when asked for', async (t) => {
    const { scrape } = await rig(
      t,
      {
        metric_groups: ['node', 'container'],
        metrics: on(
          'k8s.node.system_container.cpu.time',
          'k8s.node.system_container.memory.usage',
          'k8s.node.system_container.memory.working_set',
          'k8s.node.pid.limit',
          'k8s.node.pid.usage',
          'k8s.node.filesystem.inode.count',
          'k8s.node.filesystem.inode.free',
          'k8s.container.ephemeral_storage.usage',
        ),
      },
      { '/stats/summary': () => ({ json: summaryOf({ pods: 1 }) }) },
    );
    const result = await scrape();
    const points = pointsOf(result);
    assert.deepEqual(
      points
        .filter((p) => p.metric.startsWith('k8s.node.system_container'))
        .map((p) => [
          p.resource['k8s.node.system_container.name'],
          p.resource['k8s.node.name'],
          p.metric.slice(26),
          p.value,
        ]),
      [
        ['kubelet', 'node-1', 'cpu.time', 18],
        ['kubelet', 'node-1', 'memory.usage', 90000000n],
        ['kubelet', 'node-1', 'memory.working_set', 89995904n],
        ['pods', 'node-1', 'cpu.time', 24],
        ['pods', 'node-1', 'memory.usage', 80000000n],
        ['pods', 'node-1', 'memory.working_set', 79995904n],
      ],
    );
    assert.deepEqual(valuesOf(result, 'k8s.node.pid.limit'), [32768n]);
    assert.deepEqual(valuesOf(result, 'k8s.node.pid.usage'), [585n]);
    assert.deepEqual(valuesOf(result, 'k8s.node.filesystem.inode.count'), [16777216n]);
    assert.deepEqual(valuesOf(result, 'k8s.node.filesystem.inode.free'), [16034013n]);
    assert.deepEqual(
      points
        .filter(
          (p) => p.metric === 'k8s.container.ephemeral_storage.usage' && p.resource['k8s.container.name'] === 'app',
        )
        .map((p) => [p.attributes['fs.type'], p.value]),
      [
        ['rootfs', 61440n],
        ['logs', 24576n],
      ],
    );
  });

  it('uses of CPU between two samples of the kubelet, nothing while there is only one', async (t) => {
    const seconds = [600, 600, 615, 610, 630];
    let n = 0;
    const { scrape } = await rig(
      t,
      {},
      { '/stats/summary': () => ({ json: summaryOf({ pods: 1, seconds: seconds[n++]! }) }) },
      true,
    );
    const usage: unknown[] = [];
    for (const _ of seconds) usage.push(valuesOf(await scrape(), 'k8s.node.cpu.usage'));
    // First sight; the sample stands still; 15 s later; a sample from before; 15 s after the last good one.
    assert.deepEqual(usage, [[], [], [0.25], [], [0.25]]);
  });

  it('computes no use of CPU from a counter that went back, and goes on from there', async (t) => {
    const samples = [5e9, 1e9, 2e9];
    let n = 0;
    const json = () => ({
      node: {
        nodeName: 'n',
        cpu: { time: `2026-11-22T12:00:0${n}Z`, usageNanoCores: 7, usageCoreNanoSeconds: samples[n++] },
      },
    });
    const { scrape } = await rig(t, {}, { '/stats/summary': () => ({ json: json() }) }, true);
    const usage: unknown[] = [];
    for (const _ of samples) usage.push(valuesOf(await scrape(), 'k8s.node.cpu.usage'));
    assert.deepEqual(usage, [[], [], [1]]);
  });

  it('is exact beyond 2^53', async (t) => {
    const text =
      '{"node":{"nodeName":"n","cpu":{"usageCoreNanoSeconds":9007199254740993000},' +
      '"memory":{"usageBytes":9007199254740993,"rssBytes":9007199254740991},"network":{"name":"e","rxBytes":18446744073709551615}}}';
    const { scrape } = await rig(t, {}, { '/stats/summary': () => ({ status: 200, text }) });
    const result = await scrape();
    assert.deepEqual(valuesOf(result, 'k8s.node.memory.usage'), [9007199254740993n]);
    assert.deepEqual(valuesOf(result, 'k8s.node.memory.rss'), [9007199254740991n]);
    // As the real collector: a uint64 becomes the int64 with the same bits, and seconds are a division of doubles.
    assert.deepEqual(valuesOf(result, 'k8s.node.network.io'), [-1n]);
    assert.deepEqual(valuesOf(result, 'k8s.node.cpu.time'), [9007199254740993000 / 1e9]);
  });

  it('shares of limits, requests and of the node', async (t) => {
    const { scrape, paths } = await rig(
      t,
      {
        metric_groups: ['pod', 'container'],
        node: 'node-1',
        k8s_api_config: { auth_type: 'none' },
        metrics: on(
          'k8s.pod.cpu_limit_utilization',
          'k8s.pod.memory_request_utilization',
          'k8s.container.cpu_request_utilization',
          'k8s.container.memory.node.utilization',
        ),
      },
      {
        '/stats/summary': () => ({ json: summaryOf({ pods: 1 }) }),
        '/pods': () => ({ json: podsOf({ pods: 1 }) }),
        '/api/v1/nodes/node-1': () => ({ json: { status: { capacity: { cpu: '8', memory: '20000000Ki' } } } }),
      },
    );
    const result = await scrape();
    assert.deepEqual(valuesOf(result, 'k8s.pod.cpu_limit_utilization'), [700_000 / 1e9 / 0.4]);
    assert.deepEqual(valuesOf(result, 'k8s.pod.memory_request_utilization'), [30_000_000 / (32 * 1024 * 1024)]);
    assert.deepEqual(valuesOf(result, 'k8s.container.cpu_request_utilization'), [
      600_000 / 1e9 / 0.02,
      600_001 / 1e9 / 0.02,
    ]);
    assert.deepEqual(valuesOf(result, 'k8s.container.memory.node.utilization')[0], 20_000_000 / 20_480_000_000);
    await scrape();
    assert.equal(paths().filter((p) => p.includes('/nodes/')).length, 1, 'the capacity is asked for once');
  });

  it('a pod of which one container has no limit has no share of it', async (t) => {
    const pods = podsOf({ pods: 1 });
    const { resources } = pods.items[0]!.spec.containers[1]! as { resources: { limits: { cpu?: string } } };
    delete resources.limits.cpu;
    const { scrape } = await rig(
      t,
      { metric_groups: ['pod'], metrics: on('k8s.pod.cpu_limit_utilization', 'k8s.pod.memory_limit_utilization') },
      { '/stats/summary': () => ({ json: summaryOf({ pods: 1 }) }), '/pods': () => ({ json: pods }) },
    );
    const result = await scrape();
    assert.deepEqual(valuesOf(result, 'k8s.pod.cpu_limit_utilization'), []);
    assert.equal(valuesOf(result, 'k8s.pod.memory_limit_utilization').length, 1);
  });

  it('containers get their id; one without is left out, told once, and comes when it has one', async (t) => {
    const pods = podsOf({ pods: 1 });
    const status = pods.items[0]!.status.containerStatuses[1]!;
    const id = status.containerID;
    status.containerID = '';
    const { scrape, lines } = await rig(
      t,
      { metric_groups: ['container'], extra_metadata_labels: ['container.id'] },
      { '/stats/summary': () => ({ json: summaryOf({ pods: 1 }) }), '/pods': () => ({ json: pods }) },
    );
    const ids = async () => [...new Set(pointsOf(await scrape()).map((p) => p.resource['container.id']))];
    assert.deepEqual(await ids(), ['0'.repeat(64)]);
    assert.deepEqual(await ids(), ['0'.repeat(64)]);
    assert.deepEqual(
      lines.map((l) => [l.level, l.message, l.fields['error']]),
      [['warn', 'failed to fetch container metrics', 'container "sidecar" has an empty containerID']],
    );
    status.containerID = id;
    assert.deepEqual(await ids(), ['0'.repeat(64), `${'0'.repeat(63)}1`]);
  });

  it('a restarted container has a new id', async (t) => {
    const pods = podsOf({ pods: 1 });
    const { scrape } = await rig(
      t,
      { metric_groups: ['container'], extra_metadata_labels: ['container.id'] },
      { '/stats/summary': () => ({ json: summaryOf({ pods: 1 }) }), '/pods': () => ({ json: pods }) },
    );
    await scrape();
    pods.items[0]!.status.containerStatuses[0]!.containerID = 'cri-o://new';
    assert.equal(pointsOf(await scrape())[0]!.resource['container.id'], 'new');
  });

  it('without /pods, what does not depend on it is measured, and the rest comes back with it', async (t) => {
    let answer: Answer = { status: 403, text: 'Forbidden (user=u, verb=get, resource=nodes, subresource=proxy)' };
    const { scrape } = await rig(
      t,
      {
        metric_groups: ['node', 'pod', 'container', 'volume'],
        extra_metadata_labels: ['container.id', 'k8s.volume.type'],
      },
      { '/stats/summary': () => ({ json: summaryOf({ pods: 1 }) }), '/pods': () => answer },
    );
    const kinds = (r: ScrapeResult) => [
      ...new Set(pointsOf(r).map((p) => p.metric.split('.').slice(0, -1).join('.').split('.').slice(0, 2).join('.'))),
    ];
    const denied = await scrape();
    assert.equal(denied.errors?.length, 1);
    assert.match(String(denied.errors[0]), /GET .*\/pods failed - "403 Forbidden"/);
    assert.deepEqual(
      kinds(denied).filter((k) => k.startsWith('container') || k.startsWith('k8s.volume')),
      [],
    );
    assert.ok(valuesOf(denied, 'k8s.pod.memory.usage').length > 0);
    answer = { json: podsOf({ pods: 1 }) };
    assert.ok(valuesOf(await scrape(), 'container.memory.usage').length > 0);
  });

  it('follows claims to their volumes, remembers them, and asks again after a failure', async (t) => {
    const summary = summaryOf({ pods: 1 });
    summary.pods[0]!.volume = [{ ...summary.pods[0]!.volume[0]!, name: 'data' }];
    const pods = podsOf({ pods: 1 });
    pods.items[0]!.spec.volumes = [{ name: 'data', persistentVolumeClaim: { claimName: 'claim' } } as never];
    let volume: Answer = { status: 503, text: 'try later' };
    const { scrape, paths, clock, lines } = await rig(
      t,
      { metric_groups: ['volume'], extra_metadata_labels: ['k8s.volume.type'], k8s_api_config: { auth_type: 'none' } },
      {
        '/stats/summary': () => ({ json: summary }),
        '/pods': () => ({ json: pods }),
        '/api/v1/namespaces/ns-0/persistentvolumeclaims/claim': () => ({ json: { spec: { volumeName: 'pv' } } }),
        '/api/v1/persistentvolumes/pv': () => volume,
      },
    );
    assert.deepEqual(pointsOf(await scrape()), []);
    assert.deepEqual(
      lines.map((l) => [l.message, String(l.fields['error']).slice(0, 40)]),
      [
        [
          'Failed to gather additional volume metadata. Skipping metric collection.',
          'failed to set labels from volume claim: ',
        ],
      ],
    );
    volume = { json: { spec: { awsElasticBlockStore: { volumeID: 'vol-1', fsType: 'ext4' } } } };
    assert.deepEqual(pointsOf(await scrape()), [], 'not asked again at once');
    clock.ms += 31_000;
    const [point] = pointsOf(await scrape());
    assert.deepEqual(point!.resource, {
      'k8s.pod.uid': podUid(0),
      'k8s.pod.name': podName(0),
      'k8s.namespace.name': 'ns-0',
      'k8s.volume.name': 'data',
      'k8s.volume.type': 'awsElasticBlockStore',
      'k8s.persistentvolumeclaim.name': 'claim',
      'aws.volume.id': 'vol-1',
      'fs.type': 'ext4',
      partition: '0',
    });
    clock.ms += 31_000;
    await scrape();
    assert.equal(paths().filter((p) => p.includes('persistentvolumes')).length, 2);
  });

  it('a capacity that cannot be had costs the shares of the node only', async (t) => {
    const { scrape } = await rig(
      t,
      {
        metric_groups: ['pod'],
        node: 'n',
        k8s_api_config: { auth_type: 'none' },
        metrics: on('k8s.pod.cpu.node.utilization'),
      },
      {
        '/stats/summary': () => ({ json: summaryOf({ pods: 1 }) }),
        '/api/v1/nodes/n': () => ({ status: 403, text: '{"message":"nodes \\"n\\" is forbidden"}' }),
      },
    );
    const result = await scrape();
    assert.match(
      String(result.errors![0]),
      /^capacity of node n: API server request GET .* response: "nodes \\"n\\" is forbidden"/,
    );
    assert.deepEqual(valuesOf(result, 'k8s.pod.cpu.node.utilization'), []);
    assert.equal(valuesOf(result, 'k8s.pod.cpu.time').length, 1);
  });

  const partial: readonly [string, unknown, string[]][] = [
    ['nothing', null, []],
    ['a list', [], []],
    ['nulls', { node: null, pods: null }, []],
    ['a node without numbers', { node: { nodeName: 'n', cpu: {}, memory: null, fs: { usedBytes: null } } }, []],
    [
      'pods of which some are missing',
      {
        pods: [null, { podRef: null }, { podRef: { uid: 'u', name: 'p', namespace: 'n' }, cpu: { usageNanoCores: 5 } }],
      },
      ['k8s.pod.cpu.usage'],
    ],
    [
      'containers that have only just started',
      {
        pods: [
          { podRef: { uid: 'u' }, containers: [null, {}, { name: 'c', startTime: null, memory: { rssBytes: 1 } }] },
        ],
      },
      ['container.memory.rss'],
    ],
    ['texts for numbers', { node: { nodeName: 'n', memory: { rssBytes: '1', usageBytes: {} } } }, []],
    [
      'volumes and interfaces that are null',
      { node: { network: { name: 'e', interfaces: [null], rxErrors: 1 } }, pods: [{ podRef: {}, volume: [null, {}] }] },
      ['k8s.node.network.errors'],
    ],
  ];
  for (const [what, json, metrics] of partial)
    it(`takes what there is of a partial answer: ${what}`, async (t) => {
      const { scrape } = await rig(
        t,
        { metric_groups: ['node', 'pod', 'container', 'volume'] },
        { '/stats/summary': () => ({ json }) },
      );
      const points = pointsOf(await scrape());
      assert.deepEqual(
        points.map((p) => p.metric),
        metrics,
      );
      for (const p of points) assert.equal(p.start, 0n, 'a start that is not told is unset');
    });

  it('uptimes are whole seconds, and absent without a start', async (t) => {
    const summary = summaryOf({ pods: 2 });
    (summary.pods[1] as { startTime: unknown }).startTime = '0001-01-01T00:00:00Z';
    const { scrape, clock } = await rig(
      t,
      { metric_groups: ['pod'], metrics: on('k8s.pod.uptime') },
      { '/stats/summary': () => ({ json: summary }) },
    );
    clock.ms = Date.UTC(2026, 10, 22, 12, 0, 0, 999);
    assert.deepEqual(valuesOf(await scrape(), 'k8s.pod.uptime'), [60n]);
  });

  it('a scrape fails with the reason of the kubelet, and the next one works', async (t) => {
    let answer: Answer = { status: 500, text: 'no stats now' };
    const { scrape } = await rig(t, {}, { '/stats/summary': () => answer });
    await assert.rejects(
      scrape(),
      /GET .*\/stats\/summary failed - "500 Internal Server Error", response: "no stats now"/,
    );
    answer = { json: summaryOf({ pods: 1 }) };
    assert.ok((await scrape()).groups.length > 0);
  });

  it('forgets pods that are gone, so that what it holds is never more than one answer', async (t) => {
    let made = 0;
    const { scrape } = await rig(
      t,
      { metric_groups: ['pod'] },
      {
        '/stats/summary': () => {
          const summary = summaryOf({ pods: 1, seconds: 600 + made * 15 });
          // Away in the second scrape, back in the third.
          return { json: made++ === 1 ? { ...summary, pods: [] } : summary };
        },
      },
      true,
    );
    const usage: unknown[] = [];
    for (let i = 0; i < 4; i++) usage.push(valuesOf(await scrape(), 'k8s.pod.cpu.usage'));
    assert.deepEqual(usage, [[], [], [], [0.0007]], 'the sample from before the gap is not used');
  });
});

describe('configuration of kubelet_stats', () => {
  const rows: readonly [string, object, RegExp][] = [
    [
      'an unknown group',
      { metric_groups: ['pods'] },
      /invalid entry in metric_groups: \\"pods\\"; use container, pod, node, volume/,
    ],
    ['an unknown label', { extra_metadata_labels: ['a'] }, /label \\"a\\" is not supported/],
    [
      'a label twice',
      { extra_metadata_labels: ['container.id', 'container.id'] },
      /duplicate metadata label: \\"container\.id\\"/,
    ],
    [
      'an unknown way of authentication',
      { auth_type: 'token' },
      /invalid authType for kubernetes: token; use one of none, tls, serviceAccount, kubeConfig/,
    ],
    [
      'shares of a node without its name',
      { metrics: on('k8s.pod.cpu.node.utilization'), k8s_api_config: { auth_type: 'none' } },
      /for k8s\.pod\.cpu\.node\.utilization node setting is required/,
    ],
    [
      'shares of a node without the API',
      { metrics: on('k8s.pod.cpu.node.utilization'), node: 'n' },
      /for k8s\.pod\.cpu\.node\.utilization k8s_api_config setting is required/,
    ],
    ['tls towards the API', { k8s_api_config: { auth_type: 'tls' } }, /invalid authType for kubernetes: tls/],
    ['an unknown metric', { metrics: on('k8s.pod.cpu') }, /k8s\.pod\.cpu/],
    ['an interval of zero', { collection_interval: '0s' }, /collection_interval.*requires positive value/],
  ];
  for (const [what, config, message] of rows)
    it(`refuses ${what}`, () => {
      const parsed = definition.schema.safeParse(config);
      assert.match(JSON.stringify(parsed.error?.issues), message);
    });

  it('a list given as text is a list, and null is the default', () => {
    const parsed = definition.schema.parse({ metric_groups: 'node,pod', k8s_api_config: undefined });
    assert.deepEqual((parsed as KubeletStatsConfig).metric_groups, ['node', 'pod']);
    assert.deepEqual((definition.schema.parse(null) as KubeletStatsConfig).metric_groups, ['container', 'pod', 'node']);
  });
});
