/** For tests: a simulated API server that listens, an account for it, and a log of what a cache told. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type LogLine, ManualClock, recordingLog } from '../../test/helpers/component.ts';
import type { StorageClient } from '../core/storage.ts';
import { TelemetryRegistry } from '../core/telemetry.ts';
import { type Access, makeAccess } from './access.ts';
import { ApiServer, type ApiServerOptions } from './api-server.ts';
import type { CacheListener, Kept, Kind } from './cache.ts';
import { compactVersion } from './object.ts';
import { SimulatedApiServer, type SimulatedApiServerOptions } from './simulated/api-server.ts';
import { type Draft, Population, type SimulatedResource } from './simulated/population.ts';

/** A storage extension whose content can be looked at. */
export class MemoryStorage {
  readonly content = new Map<string, string>();
  isClosed = false;
  readonly client = async (): Promise<StorageClient> => ({
    get: (k) => (this.content.has(k) ? Buffer.from(this.content.get(k)!) : undefined),
    set: (k, v) => void this.content.set(k, Buffer.from(v).toString()),
    delete: (k) => void this.content.delete(k),
    batch: (ops) => {
      if (this.isClosed) throw new Error('closed');
      for (const o of ops)
        if (o.op === 'set') this.content.set(o.key, Buffer.from(o.value).toString());
        else this.content.delete(o.key);
    },
    walk: () => {},
    close: () => {},
  });
}

export interface RunningApiServer {
  readonly url: string;
  readonly server: SimulatedApiServer;
  readonly population: Population;
  /** Connections that were made. */
  readonly connections: number;
  stop(): Promise<void>;
}

export async function startApiServer(
  options: SimulatedApiServerOptions = {},
  resources?: readonly SimulatedResource[],
): Promise<RunningApiServer> {
  const population = new Population({ nowMs: () => Date.UTC(2026, 10, 22, 12), ...(resources ? { resources } : {}) });
  const server = new SimulatedApiServer(population, options);
  const listener = createServer(server.handle);
  let connections = 0;
  listener.on('connection', () => connections++);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    server,
    population,
    get connections() {
      return connections;
    },
    async stop() {
      server.close();
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

export const accessTo = (url: string, token = 'secret'): Access =>
  makeAccess({ url, token: { text: token } }, { clock: new ManualClock(), log: recordingLog([]) });

/** An ApiServer whose waits are short. */
export function testApi(url: string, options: Partial<ApiServerOptions> = {}, access = accessTo(url)) {
  const lines: LogLine[] = [];
  const telemetry = new TelemetryRegistry();
  const api = new ApiServer(access, {
    clock: { nowMs: () => Date.now(), nowUnixNano: () => 0n, monotonicMs: () => performance.now() },
    log: recordingLog(lines),
    telemetry,
    backoff: { initialMs: 5, maxMs: 20 },
    ...options,
  });
  return { api, lines, telemetry };
}

export interface TestPod extends Kept {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
}

export const TEST_PODS: Kind<TestPod> = {
  id: 'test-pods',
  group: '',
  version: 'v1',
  resource: 'pods',
  keep: ({ metadata, spec }, pool) => ({
    uid: metadata.uid,
    version: compactVersion(metadata.resourceVersion),
    name: metadata.name,
    namespace: pool.share(metadata.namespace ?? ''),
    node: pool.share((spec as { nodeName?: string } | undefined)?.nodeName ?? ''),
  }),
};

export const pod = (name: string, node = 'node-1', namespace = 'shop'): Draft => ({
  metadata: { name, namespace, labels: { app: name.split('-')[0] } },
  spec: { nodeName: node, containers: [{ name: 'app', image: 'tick:1' }] },
  status: { phase: 'Running' },
});

/** Writes down what it hears, and keeps the state that follows from it. */
export function recordingListener() {
  const heard: string[] = [];
  const state = new Map<string, TestPod>();
  const listener: CacheListener<TestPod> = {
    added(p) {
      if (state.has(p.uid)) heard.push(`TWICE ${p.name}`);
      heard.push(`+${p.name}`);
      state.set(p.uid, p);
    },
    updated(p, before) {
      if (state.get(p.uid) !== before) heard.push(`WRONG BEFORE ${p.name}`);
      heard.push(`~${p.name}@${p.node}`);
      state.set(p.uid, p);
    },
    deleted(p) {
      if (!state.delete(p.uid)) heard.push(`UNKNOWN ${p.name}`);
      heard.push(`-${p.name}`);
    },
  };
  return { heard, state, listener };
}
