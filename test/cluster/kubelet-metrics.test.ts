/** Metrics of nodes, pods, containers and volumes agree with the summary of the kubelet they were taken from. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectorConfig } from '../../src/deploy/config.ts';
import { rbacOf } from '../../src/deploy/rbac.ts';
import { until } from '../helpers/agent.ts';
import { type Any, LIMIT_MS, openCluster } from './cluster.ts';
import { makeAccount, runCollector } from './collector.ts';
import { type SinkPoint, startOtlpSink } from './otlp-sink.ts';
import { deployment, ticker } from './workloads.ts';

const cluster = openCluster();

const agentConfig = (endpoint: string): CollectorConfig => ({
  receivers: {
    kubeletstats: {
      auth_type: 'serviceAccount',
      endpoint: '${env:K8S_NODE_IP}:${env:KUBELET_PORT}',
      collection_interval: '1s',
      metric_groups: ['node', 'pod', 'container', 'volume'],
      extra_metadata_labels: ['container.id', 'k8s.volume.type'],
      collect_all_network_interfaces: { node: true, pod: true },
      node: '${env:K8S_NODE_NAME}',
      k8s_api_config: { auth_type: 'serviceAccount' },
      metrics: {
        'k8s.node.uptime': { enabled: true },
        'k8s.pod.memory.node.utilization': { enabled: true },
        'k8s.container.memory_limit_utilization': { enabled: true },
      },
    },
  },
  exporters: { otlphttp: { endpoint } },
  service: {
    telemetry: { metrics: { level: 'none' } },
    pipelines: { metrics: { receivers: ['kubeletstats'], exporters: ['otlphttp'] } },
  },
});

/** A part of a summary, and what the points of it are called. While it stays the same, so must they. */
interface Section {
  readonly text: string;
  readonly points: ReadonlyMap<string, number>;
}

const key = (metric: string, entity: string, ...more: string[]): string => [metric, entity, ...more].join(' ');

function sectionsOf(summary: Any): Map<string, Section> {
  const sections = new Map<string, Section>();
  const add = (name: string, source: Any, numbers: readonly (readonly [string, number | undefined])[]): void => {
    const there = numbers.filter((n): n is readonly [string, number] => n[1] !== undefined);
    if (source && there.length > 0) sections.set(name, { text: JSON.stringify(there), points: new Map(there) });
  };
  const common = (prefix: string, entity: string, of: Any, disk: Any): void => {
    const { cpu, memory, network } = of;
    add(`cpu of ${entity}`, cpu, [
      [key(`${prefix}.cpu.time`, entity), cpu && cpu.usageCoreNanoSeconds / 1e9],
      [key(`${prefix}.cpu.usage`, entity), cpu?.usageNanoCores === undefined ? undefined : cpu.usageNanoCores / 1e9],
    ]);
    add(`memory of ${entity}`, memory, [
      [key(`${prefix}.memory.available`, entity), memory?.availableBytes],
      [key(`${prefix}.memory.usage`, entity), memory?.usageBytes],
      [key(`${prefix}.memory.rss`, entity), memory?.rssBytes],
      [key(`${prefix}.memory.working_set`, entity), memory?.workingSetBytes],
      [key(`${prefix}.memory.page_faults`, entity), memory?.pageFaults],
      [key(`${prefix}.memory.major_page_faults`, entity), memory?.majorPageFaults],
    ]);
    add(`disk of ${entity}`, disk, [
      [key(`${prefix}.filesystem.available`, entity), disk?.availableBytes],
      [key(`${prefix}.filesystem.capacity`, entity), disk?.capacityBytes],
      [key(`${prefix}.filesystem.usage`, entity), disk?.usedBytes],
    ]);
    add(
      `network of ${entity}`,
      network,
      (network?.interfaces ?? []).flatMap((i: Any) => [
        [key(`${prefix}.network.io`, entity, i.name, 'receive'), i.rxBytes],
        [key(`${prefix}.network.io`, entity, i.name, 'transmit'), i.txBytes],
        [key(`${prefix}.network.errors`, entity, i.name, 'receive'), i.rxErrors],
        [key(`${prefix}.network.errors`, entity, i.name, 'transmit'), i.txErrors],
      ]),
    );
  };
  common('k8s.node', 'node', summary.node, summary.node.fs);
  for (const pod of summary.pods) {
    const { uid } = pod.podRef;
    common('k8s.pod', uid, pod, pod['ephemeral-storage']);
    for (const c of pod.containers ?? []) common('container', `${uid}/${c.name}`, c, c.rootfs);
    for (const v of pod.volume ?? [])
      add(`volume ${uid}/${v.name}`, v, [
        [key('k8s.volume.available', `${uid}/${v.name}`), v.availableBytes],
        [key('k8s.volume.capacity', `${uid}/${v.name}`), v.capacityBytes],
        [key('k8s.volume.inodes', `${uid}/${v.name}`), v.inodes],
        [key('k8s.volume.inodes.free', `${uid}/${v.name}`), v.inodesFree],
        [key('k8s.volume.inodes.used', `${uid}/${v.name}`), v.inodesUsed],
      ]);
  }
  return sections;
}

const entityOf = ({ resource: r }: SinkPoint): string => {
  const part = r['k8s.container.name'] ?? r['k8s.volume.name'];
  return r['k8s.pod.uid'] === undefined ? 'node' : `${r['k8s.pod.uid']}${part === undefined ? '' : `/${part}`}`;
};
const keyOf = (p: SinkPoint): string =>
  key(p.name, entityOf(p), ...(['interface', 'direction'] as const).flatMap((a) => (p.attributes[a] as string) ?? []));

test('metrics of the kubelet agree with its summary', async (t) => {
  const namespace = await cluster.namespace(t, 'kubelet');
  const limits = { memory: '64Mi' };
  await cluster.apply(
    deployment(namespace, 'web', 1, ticker({ everyMs: 1000, resources: { limits } }), ticker({ container: 'sidecar' })),
  );
  await cluster.kubectl(['-n', namespace, 'rollout', 'status', 'deployment/web', '--timeout=120s']);
  const [pod] = await cluster.list('pods', '-n', namespace);
  const node = await cluster.get('node', cluster.nodeName);

  const sink = await startOtlpSink(t);
  const config = agentConfig(sink.url);
  const account = await makeAccount(t, cluster, namespace, 'agent', rbacOf(config));
  const agent = await runCollector(t, cluster, account, config, { env: { KUBELET_PORT: String(cluster.kubeletPort) } });

  const path = `/api/v1/nodes/${cluster.nodeName}/proxy/stats/summary`;
  const summary = async () => sectionsOf(JSON.parse(await cluster.kubectl(['get', '--raw', path])));
  const agreed = new Set<string>();
  let missing: string[] = [];
  await until(
    async () => {
      const before = await summary();
      // The scrape that is under way may have begun before the summary was taken.
      const times = () => [...new Set(sink.points.map((p) => p.timeMs))].sort((a, b) => a - b);
      const last = times().at(-1) ?? 0;
      await until(() => times().filter((ms) => ms > last).length >= 3, 'scrapes');
      const scrape = times().filter((ms) => ms > last)[1];
      const points = new Map(sink.points.filter((p) => p.timeMs === scrape).map((p) => [keyOf(p), p.value]));
      const after = await summary();
      for (const [name, { text, points: expected }] of before) {
        if (after.get(name)?.text !== text) continue;
        for (const [k, value] of expected) assert.equal(points.get(k), value, k);
        agreed.add(name);
      }
      missing = [...after.keys()].filter((name) => before.has(name) && !agreed.has(name));
      return missing.length === 0 && agreed.has(`volume ${pod.metadata.uid}/${pod.spec.volumes[0].name}`);
    },
    'every part of the summary to stay the same over a scrape once',
    LIMIT_MS,
  ).catch((e) => assert.fail(`${e.message}; it has not for ${missing.join(', ')}`));

  // The names of things are those of kubectl.
  for (const status of pod.status.containerStatuses) {
    const point = sink.points.findLast((p) => entityOf(p) === `${pod.metadata.uid}/${status.name}`);
    assert.deepEqual(point?.resource, {
      'k8s.pod.uid': pod.metadata.uid,
      'k8s.pod.name': pod.metadata.name,
      'k8s.namespace.name': namespace,
      'k8s.container.name': status.name,
      'container.id': status.containerID.replace(/^.*:\/\//, ''),
    });
  }
  const volume = sink.points.findLast(
    (p) => p.resource['k8s.volume.name'] && p.resource['k8s.pod.uid'] === pod.metadata.uid,
  );
  assert.equal(volume?.resource['k8s.volume.name'], pod.spec.volumes[0].name);

  // Shares of limits and of the node's capacity.
  const value = (name: string, entity: string) =>
    sink.points.findLast((p) => p.name === name && entityOf(p) === entity);
  const share = value('k8s.container.memory_limit_utilization', `${pod.metadata.uid}/ticker`)!;
  const used = sink.points.find(
    (p) =>
      p.name === 'container.memory.usage' && p.timeMs === share.timeMs && entityOf(p) === `${pod.metadata.uid}/ticker`,
  )!;
  assert.equal(share.value, used.value / (64 * 1024 * 1024));
  const ofNode = value('k8s.pod.memory.node.utilization', pod.metadata.uid)!;
  const ofPod = sink.points.find(
    (p) => p.name === 'k8s.pod.memory.usage' && p.timeMs === ofNode.timeMs && entityOf(p) === pod.metadata.uid,
  )!;
  const capacityKiB = Number(/^(\d+)Ki$/.exec(node.status.capacity.memory)![1]);
  assert.equal(ofNode.value, ofPod.value / (capacityKiB * 1024));
  assert.doesNotMatch(agent.output, /forbidden|\terror\t/);
});
