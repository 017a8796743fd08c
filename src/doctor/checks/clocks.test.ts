import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { readingOf, spanText } from '../clocks.ts';
import { deploy, findings, NOON_MS, nodeDraft, startCluster, told } from '../testing.ts';
import { clocks } from './clocks.ts';

const S = 1000;

async function withCluster(t: TestContext) {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  /** When the kubelet of the node says that it renewed its Lease, by what it is off. */
  const lease = (name: string, ms: number): void =>
    void cluster.population.put('leases.coordination.k8s.io', {
      metadata: { name, namespace: 'kube-node-lease' },
      spec: { leaseDurationSeconds: 40, renewTime: new Date(cluster.nowMs + ms).toISOString().replace('Z', '000Z') },
    });
  return { cluster, lease };
}

/** A destination whose clock is off. */
async function destination(t: TestContext, aheadMs: number): Promise<string> {
  const server = createServer((req, res) => {
    res.setHeader('date', new Date(NOON_MS + aheadMs).toUTCString());
    req.resume().on('end', () => res.writeHead(200).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const sendingTo = (url: string): string =>
  `receivers: {otlp: {protocols: {http: {}}}}\nexporters: {otlp_http: {endpoint: "${url}"}}\nservice: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [otlp], exporters: [otlp_http]}}}`;

test('clocks that agree', async (t) => {
  const { cluster, lease } = await withCluster(t);
  // Kubelets renew every ten seconds; headers have whole seconds.
  lease('worker-1', -9 * S);
  cluster.nowMs += 20 * S;
  const url = await destination(t, -29 * S);
  const [found, ...more] = await findings(clocks, cluster.url);
  assert.deepEqual([told([found!])[0], more], ['ok: the clocks agree', []]);
  assert.equal(found!.how, 'less than 30 s between: this machine, the API server, 1 node');
  const inside = await findings(clocks, cluster.url, { isInside: true, config: sendingTo(url) });
  // Twenty seconds ahead and twenty-nine behind, each against ours.
  assert.deepEqual(told(inside), ['ok: the clocks agree']);
});

test('a node whose clock is off is told by the Lease that its kubelet renews', async (t) => {
  const { cluster, lease } = await withCluster(t);
  const table: [number, string[]][] = [
    [
      31 * S,
      [
        'warning: the clock of node worker-1 is 31 s ahead: records come from the future, where queries up to now do not look',
      ],
    ],
    [
      4 * 3600 * S,
      [
        'failure: the clock of node worker-1 is 4 h ahead: records come from the future, where queries up to now do not look',
      ],
    ],
    // A kubelet that has just died is Ready for a while.
    [-60 * S, ['ok: the clocks agree']],
    [-90 * S, ['warning: the clock of node worker-1 is 80 s behind: records come late into queries and alerts']],
  ];
  for (const [ms, what] of table) {
    lease('worker-1', ms);
    const found = await findings(clocks, cluster.url);
    assert.deepEqual(told(found), what);
    if (found[0]!.state === 'ok') continue;
    assert.match(found[0]!.how, /^Lease kube-node-lease\/worker-1 was written at 2026-11-22T\d\d:\d\d:\d\d/);
    assert.match(found[0]!.fix!, /^on worker-1: `chronyc makestep`.*`talosctl -n worker-1 time`/);
  }
  // What a node that is gone has written last says nothing about its clock.
  cluster.population.put('nodes', nodeDraft('worker-1', { isReady: false }));
  lease('worker-1', -3600 * S);
  assert.deepEqual(told(await findings(clocks, cluster.url)), ['ok: the clocks agree']);
});

test('many nodes are told together', async (t) => {
  const { cluster, lease } = await withCluster(t);
  for (let i = 0; i < 300; i++) {
    cluster.population.put('nodes', nodeDraft(`n-${String(i).padStart(3, '0')}`));
    lease(`n-${String(i).padStart(3, '0')}`, (i === 7 ? 900 : 60) * S);
  }
  assert.deepEqual(told(await findings(clocks, cluster.url)), [
    'failure: the clock of 300 nodes (n-007, n-000, n-001, n-002, n-003 and 295 more) is 15 min ahead at most: records come from the future, where queries up to now do not look',
  ]);
});

test('a third clock tells whether ours or that of the API server is off', async (t) => {
  const { cluster } = await withCluster(t);
  cluster.nowMs += 120 * S;
  const [ours] = await findings(clocks, cluster.url);
  assert.equal(told([ours!])[0], 'warning: the clock of this machine is 2 min behind that of the API server');
  assert.match(
    ours!.how,
    /^header Date of the API server: Sun, 22 Nov 2026 12:02:00 GMT, when it was Sun, 22 Nov 2026 12:00:00 GMT here$/,
  );
  const env = { K8S_NODE_NAME: 'worker-1' };
  const [own] = await findings(clocks, cluster.url, {
    isInside: true,
    env,
    config: sendingTo(await destination(t, 121 * S)),
  });
  assert.equal(
    told([own!])[0],
    'warning: the clock of node worker-1 is 2 min behind that of the API server: records come late into queries and alerts',
  );
  const [theirs] = await findings(clocks, cluster.url, { config: sendingTo(await destination(t, 0)) });
  assert.equal(told([theirs!])[0], 'warning: the clock of the API server is 2 min ahead');
  assert.match(theirs!.how, /; http:\/\/127\.0\.0\.1:\d+ agrees with this machine$/);
});

test('a destination whose clock is off, with a cluster and without', async (t) => {
  const { cluster } = await withCluster(t);
  const url = await destination(t, -600 * S);
  const table: [string | undefined, string][] = [
    [cluster.url, 'the cluster'],
    [undefined, 'this machine'],
  ];
  for (const [api, whose] of table)
    assert.deepEqual(
      told(await findings(clocks, api, { config: sendingTo(url) })).filter((f) => !f.startsWith('ok')),
      [
        `failure: the clock of ${url} is 10 min behind that of ${whose}: records come from the future, where queries up to now do not look`,
      ],
    );
});

test('who may not see Leases is served by the state of the nodes, and nothing that can be asked is nothing', async (t) => {
  const hidden = new Set(['/leases']);
  const cluster = await startCluster({
    fault: ({ path }) =>
      [...hidden].some((h) => path.includes(h)) ? { status: 403, message: 'forbidden' } : undefined,
  });
  t.after(() => cluster.stop());
  deploy(cluster);
  const table: [number, string][] = [
    [-290, 'ok: the clocks agree'],
    [-400, 'warning: the clock of node worker-1 is 100 s behind: records come late into queries and alerts'],
    [
      40,
      'warning: the clock of node worker-1 is 40 s ahead: records come from the future, where queries up to now do not look',
    ],
  ];
  for (const [s, what] of table) {
    const lastHeartbeatTime = new Date(cluster.nowMs + s * S).toISOString();
    const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime }];
    cluster.population.put('nodes', { ...nodeDraft('worker-1'), status: { conditions } });
    assert.deepEqual(told(await findings(clocks, cluster.url)), [what]);
  }
  hidden.add('/nodes');
  assert.deepEqual(told(await findings(clocks, cluster.url)), [
    'ok: the clocks agree',
    'unknown: the clocks of the nodes cannot be looked at',
  ]);
  assert.deepEqual(await findings(clocks, undefined), []);
});

test('the time that an answer took is not held against a clock', () => {
  const clock = { nowMs: () => NOON_MS, nowUnixNano: () => 0n, monotonicMs: () => 0 };
  const at = (ms: number) => new Date(NOON_MS + ms).toUTCString();
  assert.equal(readingOf(at(-3 * S), NOON_MS - 10 * S, clock)!.aheadMs, 0);
  assert.equal(readingOf(at(-20 * S), NOON_MS - 10 * S, clock)!.aheadMs, -9 * S);
  assert.equal(readingOf(at(5 * S), NOON_MS - 10 * S, clock)!.aheadMs, 5 * S);
  assert.equal(readingOf('soon', NOON_MS, clock), undefined);
  assert.equal(readingOf(undefined, NOON_MS, clock), undefined);
});

test('spans of time as people say them', () => {
  const table: [number, string][] = [
    [31_400, '31 s'],
    [-119_000, '119 s'],
    [120_000, '2 min'],
    [7_200_000, '2 h'],
    [200_000_000, '2 days'],
  ];
  for (const [ms, text] of table) assert.equal(spanText(ms), text);
});
