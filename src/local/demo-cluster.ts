/**
 * The cluster around the demo workload: its pods are on one node with a kubelet, others run on two more nodes, where
 * pods come and go and leave events behind. An API server and the kubelet answer on this machine only.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { SimulatedApiServer } from '../kubernetes/simulated/api-server.ts';
import { SimulatedCluster } from '../kubernetes/simulated/cluster.ts';
import { SimulatedKubelet } from '../kubernetes/simulated/kubelet.ts';
import type { SimulatedApp } from '../kubernetes/simulated/objects.ts';
import { seeded } from './workload/apps.ts';
import type { Workload } from './workload/workload.ts';

/** The node whose containers write the logs. */
const LOCAL_NODE = 'node-1';
const OTHER_NODES = ['node-2', 'node-3'];
const REPLACE_MS = 4000;
const HEARTBEAT_MS = 20_000;
/** As often as a real server. */
const BOOKMARK_MS = 60_000;

const other = (namespace: string, name: string, replicas: number, image: string): SimulatedApp => ({
  namespace,
  name,
  kind: 'Deployment',
  replicas,
  containers: [{ name, image }],
  nodes: OTHER_NODES,
});

/** Workloads whose logs nobody reads here. */
const OTHERS: readonly SimulatedApp[] = [
  other('payments', 'gateway', 3, 'registry.example/payments/gateway:4.1.0'),
  other('payments', 'ledger', 2, 'registry.example/payments/ledger:2.0.5'),
  other('search', 'indexer', 2, 'registry.example/search/indexer:1.3.3'),
  other('search', 'query', 3, 'registry.example/search/query:1.3.3'),
  other('monitoring', 'grafana', 1, 'docker.io/grafana/grafana:13.1.0'),
  other('kube-system', 'coredns', 2, 'registry.k8s.io/coredns/coredns:v1.13.1'),
  {
    namespace: 'kube-system',
    name: 'kube-proxy',
    kind: 'DaemonSet',
    replicas: 0,
    containers: [{ name: 'kube-proxy', image: 'registry.k8s.io/kube-proxy:v1.34.0' }],
    nodes: OTHER_NODES,
  },
];

export interface DemoClusterOptions {
  readonly clock: Clock;
  readonly seed: number;
  readonly workload: Workload;
}

export class DemoCluster {
  readonly node = LOCAL_NODE;
  readonly #cluster: SimulatedCluster;
  readonly #api: SimulatedApiServer;
  readonly #kubelet: SimulatedKubelet;
  readonly #servers: Server[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #beats = 0;
  apiUrl = '';
  kubeletUrl = '';

  constructor({ clock, seed, workload }: DemoClusterOptions) {
    const nowMs = (): number => clock.nowMs();
    this.#cluster = new SimulatedCluster({
      nowMs,
      random: seeded(seed),
      nodes: [LOCAL_NODE, ...OTHER_NODES],
      hasEvents: true,
    });
    for (const { app, pods } of workload.apps)
      this.#cluster.deploy(
        {
          ...app,
          containers: [{ name: app.container, image: app.image }],
          version: app.image.slice(app.image.lastIndexOf(':') + 1),
          nodes: [LOCAL_NODE],
        },
        pods.map((pod) => ({ ...pod, node: LOCAL_NODE })),
      );
    for (const app of OTHERS) this.#cluster.deploy(app);
    this.#api = new SimulatedApiServer(this.#cluster.population);
    this.#kubelet = new SimulatedKubelet({ node: LOCAL_NODE, pods: () => this.#cluster.podsOf(LOCAL_NODE), nowMs });
  }

  get nodes(): number {
    return this.#cluster.nodes.length;
  }

  get pods(): number {
    return this.#cluster.population.list('pods').length;
  }

  /** Events that the API server has been given. */
  get events(): number {
    return this.#cluster.events;
  }

  async start(): Promise<void> {
    this.apiUrl = await this.#listen(this.#api.handle);
    this.kubeletUrl = await this.#listen(this.#kubelet.handle);
    const every = (ms: number, f: () => void): void => void this.#timers.push(setInterval(f, ms).unref());
    every(REPLACE_MS, () => this.#cluster.replacePod());
    every(HEARTBEAT_MS, () => this.#cluster.heartbeat(this.#beats++));
    every(BOOKMARK_MS, () => this.#api.bookmark());
  }

  /** From now on nothing happens; it still answers. */
  pause(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  async close(): Promise<void> {
    this.pause();
    this.#api.close();
    await Promise.all(
      this.#servers.map((server) => {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        return closed;
      }),
    );
  }

  /** What finds the API server, for collectors and for kubectl. */
  kubeconfig(): string {
    return `${JSON.stringify(
      {
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'sluice-up',
        clusters: [{ name: 'sluice-up', cluster: { server: this.apiUrl } }],
        users: [{ name: 'nobody', user: {} }],
        contexts: [{ name: 'sluice-up', context: { cluster: 'sluice-up', user: 'nobody' } }],
      },
      undefined,
      2,
    )}\n`;
  }

  #listen(handle: RequestListener): Promise<string> {
    const server = createServer((req, res) => {
      // No web page elsewhere can reach it through a name of its own.
      if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(req.headers.host ?? '')) {
        res.writeHead(403).end();
        return;
      }
      handle(req, res);
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    });
  }
}
