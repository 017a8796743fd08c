/** A simulated cluster behind TLS whose API server can be made to fail in every way, and which keeps a record of it all. */
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../../bench/generate.ts';
import type { KubernetesObject } from '../../../src/kubernetes/object.ts';
import type { Account } from '../../../src/kubernetes/simulated/accounts.ts';
import {
  type SeenRequest,
  type Fault as ServerFault,
  SimulatedApiServer,
} from '../../../src/kubernetes/simulated/api-server.ts';
import { SimulatedCluster } from '../../../src/kubernetes/simulated/cluster.ts';
import type { Change, Population } from '../../../src/kubernetes/simulated/population.ts';
import { type Certificate, selfSigned } from '../../helpers/certificate.ts';
import type { Fault, KubernetesPlan } from './plan.ts';
import { Requests } from './requests.ts';

export const CLIENTS = ['gateway', 'agent'] as const;
export const NODES = ['node-0', 'node-1', 'node-2'];
const TICK_MS = 60;
const SLOW_MS = 15;

type FaultOf = (request: SeenRequest) => ServerFault | undefined;

/** Lets what is written out in small pieces, or not at all for a while. */
interface Pace {
  flush(): void;
}

export class World {
  readonly cluster: SimulatedCluster;
  readonly server: SimulatedApiServer;
  readonly requests = new Requests();
  /** Every version of every event, in order. */
  readonly eventChanges: Change[] = [];
  /** The values that the label `rev` of each pod has had. */
  readonly revisions = new Map<string, Set<string>>();
  readonly #dir: string;
  readonly #random: (n: number) => number;
  readonly #accounts = new Map<string, Account>();
  readonly #clientOf = new Map<string, string>();
  readonly #sockets = new Set<Socket>();
  readonly #paces = new Set<Pace>();
  #listener: Server;
  #certificate: Certificate;
  #port = 0;
  #tokens = 0;
  #labels = 0;
  #isSlow = false;
  #isHeld = false;
  #fault: FaultOf = () => undefined;
  #isShort = false;
  #ticking: NodeJS.Timeout | undefined;

  constructor(plan: KubernetesPlan, dir: string) {
    this.#dir = dir;
    this.#random = seededRandom(plan.seed * 31 + plan.round);
    const random = this.#random;
    this.cluster = new SimulatedCluster({
      nowMs: () => Date.now() + plan.skewMs,
      random: () => random(1 << 20) / (1 << 20),
      nodes: NODES,
      hasEvents: true,
    });
    const { population } = this.cluster;
    population.onChange((c) => this.#changed(c));
    const containers = [{ name: 'app', image: 'registry.test/app:1.2' }];
    for (const [i, namespace] of ['shop', 'shop', 'bank', 'obs'].entries())
      this.cluster.deploy({ namespace, name: `app-${i}`, kind: 'Deployment', replicas: 4, containers });
    this.cluster.deploy({ namespace: 'obs', name: 'agent', kind: 'DaemonSet', replicas: 0, containers });
    for (const name of ['shop', 'bank', 'obs']) {
      const namespace = population.get('namespaces', '', name)!;
      put(population, 'namespaces', relabelled(namespace, { team: `team-of-${name}` }));
    }
    this.server = new SimulatedApiServer(population, {
      accounts: this.#accounts,
      initialEvents: plan.initialEvents,
      maxPageSize: plan.maxPageSize,
      fault: (request) => this.#fault(request),
    });
    this.#certificate = selfSigned('api');
    this.#listener = this.#makeListener();
  }

  async listen(): Promise<void> {
    await this.#open();
    this.#trust(this.#certificate.cert);
    for (const client of CLIENTS) {
      this.#giveToken(client);
      const config = {
        'current-context': 'chaos',
        contexts: [{ name: 'chaos', context: { cluster: 'chaos', user: 'chaos' } }],
        clusters: [
          {
            name: 'chaos',
            cluster: { server: `https://127.0.0.1:${this.#port}`, 'certificate-authority': join(this.#dir, 'ca.crt') },
          },
        ],
        users: [{ name: 'chaos', user: { tokenFile: join(this.#dir, `${client}.token`) } }],
      };
      writeFileSync(this.kubeconfig(client), JSON.stringify(config));
    }
  }

  kubeconfig(client: string): string {
    return join(this.#dir, `${client}.kubeconfig`);
  }

  /** Life in the cluster, until `calm`. */
  stir(): void {
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
  }

  calm(): void {
    clearInterval(this.#ticking);
  }

  async close(): Promise<void> {
    this.calm();
    this.server.close();
    this.#destroySockets();
    if (this.#listener.listening) await new Promise((resolve) => this.#listener.close(resolve));
  }

  /** Does what is wrong, and makes it right again after its time. */
  async apply({ kind, forMs }: Fault): Promise<void> {
    const { requests, server, cluster } = this;
    requests.activeFaults++;
    requests.faultedAtMs = performance.now();
    const during = async (fault: FaultOf): Promise<void> => {
      this.#fault = fault;
      await sleep(forMs);
      this.#fault = () => undefined;
    };
    /** Again and again as long as it lasts. */
    const repeatedly = async (everyMs: number, action: () => void): Promise<void> => {
      for (const end = performance.now() + forMs; performance.now() < end; await sleep(everyMs)) action();
    };
    const isList = (query: Readonly<Record<string, string>>) => !query['watch'];
    switch (kind) {
      case 'away':
        await this.#shut();
        await sleep(forMs);
        await this.#open();
        break;
      case 'silence':
        this.#hold(true);
        await during(() => 'silence');
        // As a load balancer does that has found out.
        this.#destroySockets();
        this.#hold(false);
        break;
      case 'gone':
        await repeatedly(350, () => {
          cluster.population.compact();
          this.#endWatches();
        });
        break;
      case 'slow':
        this.#isSlow = true;
        await sleep(forMs);
        this.#isSlow = false;
        for (const p of this.#paces) p.flush();
        break;
      case 'cut-list':
      case 'short-list':
        cluster.population.compact();
        this.#endWatches();
        if (kind === 'short-list') this.#isShort = true;
        else
          this.#fault = ({ query }) =>
            isList(query) && this.#random(2) ? { cutAfter: this.#random(4000) } : undefined;
        await sleep(forMs);
        this.#fault = () => undefined;
        this.#isShort = false;
        break;
      case 'cut-watch':
        await repeatedly(400, () => {
          requests.broken();
          server.breakWatches('{"type":"MODIFIED","object":{"kind":"Pod","metadata":{"name":"half');
        });
        break;
      case 'garbled-watch':
        await repeatedly(500, () => {
          requests.garbled();
          server.writeToWatches('{"type":"MODIFIED","object":{"kind":"Pod","metada\n');
        });
        break;
      case 'ended-watch':
        await repeatedly(200, () => this.#endWatches());
        break;
      case 'throttled':
        this.#endWatches();
        await during(() => ({ status: 429, message: 'too many requests', headers: { 'retry-after': '1' } }));
        break;
      case 'unavailable':
        this.#endWatches();
        await during(() => ({ status: 503, message: 'etcd has no leader' }));
        break;
      case 'resets':
        this.#destroySockets();
        await during(() => (this.#random(2) ? 'reset' : undefined));
        break;
      case 'token':
        for (const client of CLIENTS) this.#giveToken(client);
        this.#endWatches();
        break;
      case 'certificate':
        await this.#newCertificate(forMs);
        break;
      case 'kill':
      case 'rollout':
        break;
    }
    requests.activeFaults--;
    requests.faultedAtMs = performance.now();
  }

  #makeListener(): Server {
    const made = createServer(this.#certificate, (req, res) => this.#serve(req, res));
    made.on('connection', (s: Socket) => {
      this.#sockets.add(s);
      s.on('close', () => this.#sockets.delete(s)).on('error', () => {});
    });
    made.on('tlsClientError', () => {});
    return made;
  }

  async #open(): Promise<void> {
    this.#listener = this.#makeListener();
    await new Promise<void>((resolve, reject) => {
      this.#listener.once('error', reject);
      this.#listener.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (this.#listener.address() as AddressInfo).port;
  }

  async #shut(): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    this.#destroySockets();
    await closed;
  }

  #destroySockets(): void {
    this.requests.broken();
    for (const s of this.#sockets) s.resetAndDestroy();
  }

  #endWatches(): void {
    this.requests.broken();
    this.server.closeWatches();
  }

  #hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (!isHeld) for (const p of this.#paces) p.flush();
  }

  #trust(...certificates: readonly string[]): void {
    writeFileSync(join(this.#dir, 'ca.crt'), certificates.join(''));
  }

  /** The file has the new token, and the server knows only that. */
  #giveToken(client: string): void {
    const token = `token-${client}-${++this.#tokens}`;
    writeFileSync(join(this.#dir, `${client}.token`), token);
    for (const [old, { user }] of this.#accounts) if (user === client) this.#accounts.delete(old);
    this.#accounts.set(token, { user: client });
    this.#clientOf.set(token, client);
  }

  /** Announced, as rotations are, or found out by those who fail. */
  async #newCertificate(forMs: number): Promise<void> {
    const old = this.#certificate.cert;
    const isAnnounced = this.#random(2) === 0;
    const next = selfSigned('api');
    if (isAnnounced) {
      this.#trust(old, next.cert);
      await sleep(forMs);
    }
    await this.#shut();
    this.#certificate = next;
    await this.#open();
    if (!isAnnounced) await sleep(forMs);
    this.#trust(next.cert);
  }

  #serve(req: IncomingMessage, res: ServerResponse): void {
    const url = new URL(req.url ?? '/', 'http://x');
    const token = /^Bearer (.*)$/.exec(req.headers.authorization ?? '')?.[1] ?? '';
    const client = this.#clientOf.get(token) ?? 'stranger';
    const { population } = this.cluster;
    const watch = this.requests.begin(client, url, () => population.revision, req, res);
    if (watch) this.#paced(res, (text) => this.requests.wrote(watch, text));
    else if (this.#isShort && this.#random(2)) this.#shortened(res);
    this.server.handle(req, res);
  }

  /** The answer ends in good order, and what is in it does not. */
  #shortened(res: ServerResponse): void {
    const { end, writeHead } = res;
    this.requests.cut(res);
    res.writeHead = ((status: number, { 'content-length': _, ...headers }: Readonly<Record<string, string>>) =>
      writeHead.call(res, status, headers)) as typeof writeHead;
    res.end = ((text: string) => end.call(res, text.slice(0, this.#random(text.length)), 'utf8')) as typeof end;
  }

  #paced(res: ServerResponse, wrote: (text: string) => void): void {
    const { write } = res;
    const finish = res.end.bind(res);
    let waiting = '';
    let isEnding = false;
    let timer: NodeJS.Timeout | undefined;
    const out = (length: number): void => {
      const text = waiting.slice(0, length);
      waiting = waiting.slice(length);
      if (text !== '') write.call(res, text, 'utf8', undefined);
      if (waiting === '' && isEnding) finish();
    };
    const step = (): void => {
      timer = undefined;
      if (this.#isHeld) return;
      out(this.#isSlow ? 1 + this.#random(600) : waiting.length);
      if (waiting !== '') timer ??= setTimeout(step, SLOW_MS);
    };
    const pace: Pace = { flush: step };
    this.#paces.add(pace);
    res.on('close', () => {
      clearTimeout(timer);
      this.#paces.delete(pace);
    });
    res.write = ((text: string, done?: () => void) => {
      wrote(text);
      // What breaks the connection afterwards waits for nobody.
      if (done) return write.call(res, waiting + text, 'utf8', done);
      if (!this.#isSlow && !this.#isHeld && waiting === '') return write.call(res, text, 'utf8');
      waiting += text;
      timer ??= setTimeout(step, SLOW_MS);
      return true;
    }) as typeof write;
    res.end = ((text?: string) => {
      if (text) waiting += text;
      isEnding = true;
      if (waiting === '') finish();
      else timer ??= setTimeout(step, SLOW_MS);
      return res;
    }) as typeof res.end;
  }

  #changed(change: Change): void {
    if (change.resource === 'events') this.eventChanges.push(change);
    if (change.resource !== 'pods') return;
    const { uid, labels } = change.object.metadata;
    let seen = this.revisions.get(uid);
    if (!seen) this.revisions.set(uid, (seen = new Set()));
    seen.add(labels?.['rev'] ?? '');
  }

  #tick(): void {
    const { population } = this.cluster;
    const any = (resource: string): KubernetesObject | undefined => {
      const all = population.list(resource);
      return all[this.#random(all.length)];
    };
    switch (this.#random(8)) {
      case 0:
        this.cluster.replacePod();
        break;
      case 1:
        this.cluster.heartbeat(this.#random(NODES.length));
        break;
      case 2: {
        const deployment = any('deployments.apps')!;
        const status = deployment['status'] as object;
        put(population, 'deployments.apps', {
          ...deployment,
          status: { ...status, availableReplicas: this.#random(5) },
        });
        break;
      }
      case 3: {
        // As the server does with those that are an hour old.
        const old = population.list('events')[0];
        if (old && population.list('events').length > 150)
          population.remove('events', old.metadata.namespace ?? '', old.metadata.name);
        break;
      }
      case 4: {
        const repeated = any('events');
        if (repeated) put(population, 'events', { ...repeated, count: Number(repeated['count'] ?? 1) + 1 });
        break;
      }
      default: {
        const pod = any('pods')!;
        put(population, 'pods', relabelled(pod, { rev: `r${++this.#labels}` }));
      }
    }
  }
}

/** With another version of it; whatever version it had. */
function put(population: Population, resource: string, object: KubernetesObject): void {
  const { resourceVersion: _, ...metadata } = object.metadata;
  population.put(resource, { ...object, metadata });
}

const relabelled = (object: KubernetesObject, labels: Readonly<Record<string, string>>): KubernetesObject => ({
  ...object,
  metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...labels } },
});
