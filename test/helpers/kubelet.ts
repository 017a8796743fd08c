/**
 * A kubelet for tests and benchmarks: answers like those of a real one for any number of pods, and a server that gives
 * them, over TLS if wanted, or misbehaves when told to.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { statsSummary } from '../../src/kubernetes/simulated/kubelet.ts';

export interface MadeUpPods {
  readonly pods: number;
  /** Seconds that the counters have run; the time of the samples. */
  readonly seconds?: number;
}

const START_MS = Date.UTC(2026, 10, 22, 12);
const time = (seconds: number): string => `${new Date(START_MS + seconds * 1000).toISOString().slice(0, 19)}Z`;
const hex = (n: number, length: number): string => n.toString(16).padStart(length, '0');

export const podUid = (i: number): string => `00000000-0000-4000-8000-${hex(i, 12)}`;
export const podName = (i: number): string => `web-${hex(Math.floor(i / 10), 10)}-${hex(i, 5)}`;
const podNamespace = (i: number): string => `ns-${i % 7}`;
/** Every third pod has a sidecar, as on the node that the answers were modelled on. */
const containersOf = (i: number): string[] => (i % 3 === 0 ? ['app', 'sidecar'] : ['app']);
const tokenVolume = (i: number): string => `kube-api-access-${hex(i, 5)}`;

/** /stats/summary */
export const summaryOf = ({ pods, seconds = 600 }: MadeUpPods) =>
  statsSummary({
    node: 'node-1',
    nodeStartTime: time(-7200),
    podsStartTime: time(-3600),
    at: time(seconds),
    seconds,
    pods: Array.from({ length: pods }, (_, i) => ({
      podRef: { name: podName(i), namespace: podNamespace(i), uid: podUid(i) },
      startTime: time(-60 - i),
      containers: containersOf(i).map((name) => ({ name, startTime: time(-50 - i) })),
      volumes: ['scratch', tokenVolume(i)],
      number: i,
    })),
  });

/** /pods, with what a controller and the API server put into every pod. */
export function podsOf({ pods }: MadeUpPods) {
  return {
    kind: 'PodList',
    apiVersion: 'v1',
    metadata: {},
    items: Array.from({ length: pods }, (_, i) => ({
      metadata: {
        name: podName(i),
        namespace: podNamespace(i),
        uid: podUid(i),
        resourceVersion: String(1000 + i),
        creationTimestamp: time(-60 - i),
        labels: { app: 'web', 'pod-template-hash': hex(Math.floor(i / 10), 10) },
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `web-${hex(Math.floor(i / 10), 10)}` }],
      },
      spec: {
        nodeName: 'node-1',
        serviceAccountName: 'default',
        volumes: [
          { name: 'scratch', emptyDir: {} },
          {
            name: tokenVolume(i),
            projected: {
              defaultMode: 420,
              sources: [
                { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
                { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
              ],
            },
          },
        ],
        containers: containersOf(i).map((name) => ({
          name,
          image: 'registry.example/web:1.2.3',
          resources: { requests: { cpu: '20m', memory: '16Mi' }, limits: { cpu: '200m', memory: '128Mi' } },
          volumeMounts: [
            { name: 'scratch', mountPath: '/scratch' },
            { name: tokenVolume(i), readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
          ],
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          imagePullPolicy: 'IfNotPresent',
        })),
      },
      status: {
        phase: 'Running',
        hostIP: '10.0.0.5',
        podIP: `10.1.${i >> 8}.${i & 255}`,
        conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
          type,
          status: 'True',
          lastTransitionTime: time(-50 - i),
        })),
        containerStatuses: containersOf(i).map((name, c) => ({
          name,
          ready: true,
          restartCount: 0,
          image: 'registry.example/web:1.2.3',
          imageID: `registry.example/web@sha256:${hex(1, 64)}`,
          containerID: `containerd://${hex(i * 2 + c, 64)}`,
          state: { running: { startedAt: time(-50 - i) } },
        })),
      },
    })),
  };
}

/** What the server does with a request: a body with status 200, or something worse. */
export type Answer =
  | { readonly json: unknown }
  | { readonly status: number; readonly text: string }
  /** Takes the request and says nothing. */
  | 'silence'
  /** Sends spaces without an end. */
  | 'endless'
  /** Announces more than it sends, and hangs up. */
  | 'cut';

export interface FakeServer {
  readonly url: string;
  readonly requests: readonly { readonly path: string; readonly authorization: string; readonly clientName: string }[];
  /** Connections so far. */
  readonly connections: number;
  /** Closes the connections that are open now. */
  hangUp(): void;
  close(): Promise<void>;
}

export async function startFakeServer(answer: (path: string) => Answer, tls?: ServerOptions): Promise<FakeServer> {
  const requests: { path: string; authorization: string; clientName: string }[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const listener: RequestListener = (req, res) => {
    const peer =
      'getPeerCertificate' in req.socket
        ? (req.socket as import('node:tls').TLSSocket).getPeerCertificate()
        : undefined;
    requests.push({
      path: req.url ?? '',
      authorization: req.headers.authorization ?? '',
      clientName: [peer?.subject?.CN ?? ''].flat()[0] ?? '',
    });
    give(answer(req.url ?? ''), req, res);
  };
  const server: Server = tls ? createTlsServer(tls, listener) : createServer(listener);
  server.on(tls ? 'secureConnection' : 'connection', (s: Socket) => {
    connections++;
    sockets.add(s);
    s.on('error', () => {});
    s.on('close', () => sockets.delete(s));
  });
  const hangUp = (): void => {
    for (const s of sockets) s.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get connections() {
      return connections;
    },
    hangUp,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      hangUp();
      await closed;
    },
  };
}

function give(answer: Answer, req: IncomingMessage, res: ServerResponse): void {
  res.on('error', () => {});
  if (answer === 'silence') return;
  if (answer === 'endless') {
    const more = (): void => {
      while (!res.destroyed && res.write(' '.repeat(65536)));
      if (!res.destroyed) res.once('drain', more);
    };
    res.writeHead(200, { 'content-type': 'application/json' });
    more();
  } else if (answer === 'cut') {
    res.writeHead(200, { 'content-length': 1000 });
    res.write('{"node":', () => req.socket.destroy());
  } else if ('json' in answer) {
    const body = JSON.stringify(answer.json);
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    res.end(body);
  } else {
    res.writeHead(answer.status, { 'content-type': 'text/plain' });
    res.end(answer.text);
  }
}
