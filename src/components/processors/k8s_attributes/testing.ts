/** For tests: an API server without a network whose events arrive at once, and pods to put into it. */
import { collector, componentContext, TestSource } from '../../../../test/helpers/component.ts';
import { type Group, makeBatch, type Signal } from '../../../core/batch.ts';
import type { Processor } from '../../../core/component.ts';
import { type Resource, resourceOf } from '../../../core/resource.ts';
import type { ApiServer } from '../../../kubernetes/api-server.ts';
import type { CacheListener, Kept, Kind } from '../../../kubernetes/cache.ts';
import { type KubernetesObject, StringPool } from '../../../kubernetes/object.ts';
import type { Value } from '../../../wire/otlp.ts';
import type { Cluster } from './cluster.ts';
import { schema } from './config.ts';
import { clusterKey, makeK8sAttributes, type Servers } from './processor.ts';

type Loose = Readonly<Record<string, unknown>>;

export function object(metadata: Loose, rest: Loose = {}): KubernetesObject {
  return { metadata: { resourceVersion: '1', ...metadata }, ...rest } as unknown as KubernetesObject;
}

export const uidOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

/** A pod of a deployment, with one container. */
export function pod(
  n: number,
  { metadata = {}, spec = {}, status = {} }: { metadata?: Loose; spec?: Loose; status?: Loose } = {},
) {
  return object(
    {
      name: `web-6c85f59dbf-${n}`,
      namespace: 'shop',
      uid: uidOf(n),
      creationTimestamp: '2026-11-22T20:25:56Z',
      ...metadata,
    },
    {
      spec: { nodeName: 'node-1', containers: [{ name: 'app', image: 'registry.test:5000/web:1.2' }], ...spec },
      status: {
        podIP: `10.0.0.${n}`,
        startTime: new Date(Date.UTC(2026, 10, 22) + n * 1000).toISOString(),
        containerStatuses: [{ name: 'app', containerID: `containerd://c${n}`, restartCount: 0, imageID: '' }],
        ...status,
      },
    },
  );
}

interface FakeCache {
  readonly kind: Kind<Kept>;
  readonly objects: Map<string, Kept>;
  readonly listeners: Set<CacheListener<Kept>>;
}

export class FakeApi {
  readonly caches: FakeCache[] = [];
  readonly #objects = new Map<string, Map<string, KubernetesObject>>();
  #version = 1;

  get api(): ApiServer {
    return {
      cache: (kind: Kind<Kept>) => {
        const cache: FakeCache = { kind, objects: new Map(), listeners: new Set() };
        this.caches.push(cache);
        return {
          kind,
          isSynced: true,
          synced: Promise.resolve(),
          failure: undefined,
          subscribe: (listener: CacheListener<Kept>) => {
            cache.listeners.add(listener);
            for (const o of this.#of(kind.resource).values()) {
              const kept = kind.keep(o, new StringPool())!;
              cache.objects.set(kept.uid, kept);
              listener.added?.(kept);
            }
            return { stop: () => cache.listeners.delete(listener) };
          },
        };
      },
    } as unknown as ApiServer;
  }

  #of(resource: string): Map<string, KubernetesObject> {
    let objects = this.#objects.get(resource);
    if (!objects) this.#objects.set(resource, (objects = new Map()));
    return objects;
  }

  put(resource: string, o: KubernetesObject): void {
    const versioned = { ...o, metadata: { ...o.metadata, resourceVersion: String(++this.#version) } };
    this.#of(resource).set(o.metadata.uid, versioned);
    for (const c of this.caches.filter((x) => x.kind.resource === resource)) {
      const kept = c.kind.keep(versioned, new StringPool())!;
      const before = c.objects.get(kept.uid);
      c.objects.set(kept.uid, kept);
      if (before && c.kind.isSame?.(kept, before)) continue;
      for (const l of c.listeners) before ? l.updated?.(kept, before) : l.added?.(kept);
    }
  }

  remove(resource: string, uid: string): void {
    this.#of(resource).delete(uid);
    for (const c of this.caches.filter((x) => x.kind.resource === resource)) {
      const before = c.objects.get(uid);
      c.objects.delete(uid);
      if (before) for (const l of c.listeners) l.deleted?.(before);
    }
  }

  /** The same objects, and nobody who has seen how they came to be. */
  copy(): FakeApi {
    const other = new FakeApi();
    for (const [resource, objects] of this.#objects) for (const o of objects.values()) other.put(resource, o);
    return other;
  }
}

export const resource = (attributes: Readonly<Record<string, Value>>): Resource =>
  resourceOf(new Map(Object.entries(attributes)));

export interface RunningOptions {
  readonly signal?: Signal;
  readonly kubelet?: Servers['kubelet'];
  readonly gates?: ReadonlyMap<string, boolean>;
  readonly answer?: (call: number) => void | Promise<void>;
}

export async function running(config: object, api: ApiServer, options: RunningOptions = {}) {
  const surroundings = componentContext('k8s_attributes', 'processor');
  const next = collector((_b, call) => options.answer?.(call));
  const { signal = 'logs', gates } = options;
  const context = {
    ...surroundings.context,
    ...(gates ? { gates } : {}),
    signal,
    pipelineId: 'logs',
    next: next.consumer,
  };
  const parsed = schema.parse(config);
  const processor: Processor = makeK8sAttributes(parsed, context, { api, kubelet: options.kubelet });
  await processor.start?.();
  const source = new TestSource(true);
  const group = (attributes: Readonly<Record<string, Value>>): Group => source.group(['x'], resource(attributes));
  return {
    ...surroundings,
    processor,
    next,
    source,
    group,
    get cluster(): Cluster {
      return surroundings.host.shared<Cluster>(clusterKey(parsed), () => {
        throw new Error('no cluster');
      });
    },
    consume: (...resources: Readonly<Record<string, Value>>[]) =>
      processor.consume(makeBatch(signal, resources.map(group))),
    async enriched(attributes: Readonly<Record<string, Value>>, peer = ''): Promise<Record<string, Value>> {
      const before = next.batches.length;
      await processor.consume(makeBatch(signal, [group(attributes)], undefined, peer));
      return Object.fromEntries(next.batches[before]!.groups[0]!.resource.attributes);
    },
    stop: async () => processor.stop?.(AbortSignal.timeout(5000)),
  };
}
