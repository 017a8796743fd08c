/**
 * The objects of one kind, kept as the API server has them: a list, then a watch that goes on from where it stopped.
 *
 * How to use it:
 *
 *     const api = openApiServer(settings, ctx);             // api-server.ts; one per process and account
 *     const pods = api.cache(PODS, { fieldSelector });      // one per kind and selection, however many ask
 *     const subscription = pods.subscribe({                 // starts it; at once `added` for all that is there
 *       added(pod) {}, updated(pod, before) {}, deleted(pod) {},
 *     });
 *     await pods.synced;                                     // the first list is complete; `pods.failure` says why not
 *     pods.get(uid); pods.values(); pods.size;
 *     subscription.stop();                                   // the last one stops the watch and empties the cache
 *
 * A Kind says what is kept of an object. Keep little: 100,000 pods live in one heap. Build literals of one shape, and
 * give texts that repeat (namespaces, nodes, owners, labels) through `pool.share`:
 *
 *     const PODS: Kind<PodIdentity> = {
 *       id: 'pod-identity', group: '', version: 'v1', resource: 'pods',
 *       keep: ({ metadata: m, status }, pool) => ({
 *         uid: m.uid, version: compactVersion(m.resourceVersion), name: m.name, namespace: pool.share(m.namespace ?? ''),
 *       }),
 *     };
 *
 * Two components that declare the same `id` share objects, so they must mean the same declaration.
 *
 * Listeners are called one after the other, never at the same time as the cache changes. What happened while the watch
 * was away (410, a restart of the server) is found by comparing a new list with what is kept: every listener hears of
 * each addition, change and deletion once, and of nothing that stayed as it was. An object that was deleted and made
 * anew under its name has a new uid: it is `deleted` and `added`. A listener that throws is logged and goes on.
 */
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { wait } from '../core/wait.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import type { CacheCounters } from './cache-telemetry.ts';
import { type KubernetesClient, StatusError } from './client.ts';
import { GoneError, list } from './list.ts';
import {
  type KubernetesObject,
  metadataOf,
  type ResourceType,
  resourceName,
  type Selection,
  StringPool,
} from './object.ts';
import { Trouble } from './trouble.ts';
import { NoInitialEventsError, type WatchEvent, watch } from './watch.ts';

/** What every kept object has. `version` is compactVersion(metadata.resourceVersion). */
export interface Kept {
  readonly uid: string;
  readonly version: string | number;
}

export interface Kind<T extends Kept> extends ResourceType {
  /** Names this way of keeping objects of the resource. */
  readonly id: string;
  /** `keep` looks at nothing but metadata: then nothing else is asked for. */
  readonly metadataOnly?: boolean;
  /** What is kept; undefined: as if the object were not there. May throw for what is no such object. */
  readonly keep: (object: KubernetesObject, pool: StringPool) => T | undefined;
  /** Whether nothing that matters changed; then nobody is told. Without it every new version matters. */
  readonly isSame?: (a: T, b: T) => boolean;
}

export interface CacheListener<T> {
  added?(object: T): void;
  updated?(object: T, before: T): void;
  deleted?(object: T): void;
}

export interface Subscription {
  stop(): void;
}

export interface CacheOptions {
  readonly client: KubernetesClient;
  readonly log: Logger;
  readonly counters: CacheCounters;
  /** Whether the server answers watches with initial events; shared by the caches of one server. */
  readonly server: { hasInitialEvents: boolean };
  readonly backoff?: BackoffOptions;
  readonly monotonicMs: () => number;
}

/** A watch that ends sooner than this did not work, even without an error. */
const SHORT_WATCH_MS = 1000;
/** How often the same event may fail to be read before the list is read instead. */
const MAX_BROKEN = 3;

export class ObjectCache<T extends Kept> {
  readonly kind: Kind<T>;
  readonly selection: Selection;
  readonly #options: CacheOptions;
  readonly #pool = new StringPool();
  readonly #listeners = new Set<CacheListener<T>>();
  #objects = new Map<string, T>();
  #version: string | undefined;
  #stopping: AbortController | undefined;
  #synced = Promise.withResolvers<void>();
  #isSynced = false;
  readonly #trouble: Trouble;

  constructor(kind: Kind<T>, selection: Selection, options: CacheOptions) {
    this.kind = kind;
    this.selection = selection;
    this.#options = options;
    // The log lets only some lines of the same message pass; each kind has its own.
    this.#trouble = new Trouble(options.log, `${resourceName(kind)} cannot be read, trying on`);
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Resolves when the first list is complete. It does not reject: the cache tries on. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Why the server does not answer as it should, undefined while it does. */
  get failure(): string | undefined {
    return this.#trouble.current;
  }

  get(uid: string): T | undefined {
    return this.#objects.get(uid);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  subscribe(listener: CacheListener<T>): Subscription {
    // One object per call, so that a listener may subscribe twice.
    const own: CacheListener<T> = {
      added: (o) => listener.added?.(o),
      updated: (o, before) => listener.updated?.(o, before),
      deleted: (o) => listener.deleted?.(o),
    };
    for (const object of this.#objects.values()) this.#tell(own, (l) => l.added?.(object));
    this.#listeners.add(own);
    if (!this.#stopping) this.#start();
    return {
      stop: () => {
        if (this.#listeners.delete(own) && this.#listeners.size === 0) this.#stop();
      },
    };
  }

  #start(): void {
    const stopping = new AbortController();
    this.#stopping = stopping;
    this.#options.counters.observeSize(() => this.#objects.size);
    void this.#run(stopping.signal).catch((e: unknown) =>
      this.#options.log.error('the cache of Kubernetes objects stopped', { error: messageOf(e) }),
    );
  }

  #stop(): void {
    this.#stopping?.abort();
    this.#stopping = undefined;
    this.#options.counters.forgetSize();
    this.#objects = new Map();
    this.#pool.clear();
    this.#version = undefined;
    this.#trouble.over();
    this.#isSynced = false;
    this.#synced = Promise.withResolvers();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { monotonicMs, server, counters } = this.#options;
    const backoff = new Backoff(this.#options.backoff);
    let broken = 0;
    let wasGone = false;
    while (!signal.aborted) {
      const begun = monotonicMs();
      const versionBefore = this.#version;
      let error: unknown;
      try {
        if (this.#version !== undefined || server.hasInitialEvents) await this.#watch(signal);
        else await this.#list(signal, wasGone);
      } catch (e) {
        error = e;
      }
      if (signal.aborted) return;
      const isMoved = this.#version !== undefined && this.#version !== versionBefore;
      if (isMoved || (!error && monotonicMs() - begun >= SHORT_WATCH_MS)) {
        backoff.reset();
        broken = 0;
        wasGone = false;
      }
      if (error instanceof NoInitialEventsError) {
        server.hasInitialEvents = false;
        this.#options.log.debug('the API server has no watches with initial events; lists are read', {
          error: error.message,
        });
        continue;
      }
      if (error instanceof GoneError) {
        counters.restarted('gone');
        this.#version = undefined;
        // Once is usual; a list that is gone at once again has to wait.
        if (!wasGone) {
          wasGone = true;
          continue;
        }
      } else if (error) {
        counters.restarted('error');
        // A connection that was cut is taken up again.
        this.#trouble.tell(error, this.#isSynced && !(error instanceof StatusError));
        if (!(error instanceof StatusError) && ++broken >= MAX_BROKEN && this.#version === versionBefore) {
          broken = 0;
          if (isUnreadable(error)) this.#version = undefined;
        }
      } else if (isMoved || monotonicMs() - begun >= SHORT_WATCH_MS) {
        if (versionBefore !== undefined) counters.restarted('ended');
        continue;
      }
      await wait(backoff.next(error instanceof StatusError ? error.retryAfterMs : 0), signal);
    }
  }

  async #list(signal: AbortSignal, wasGone: boolean): Promise<void> {
    const found = new Map<string, T>();
    const { resourceVersion } = await list(
      this.#options.client,
      this.kind,
      this.selection,
      {
        signal,
        // What the server has at hand may be older than what was too old: then the newest has to come.
        resourceVersion: wasGone ? '' : '0',
        metadataOnly: this.kind.metadataOnly,
        onBytes: this.#options.counters.read,
      },
      (item) => this.#collect(JSON.parse(item.toString()), found),
    );
    if (signal.aborted) return;
    this.#options.counters.listed();
    this.#replace(found, resourceVersion);
    this.#trouble.over();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    // While the objects that exist arrive they are collected apart, and compared when they are all there.
    let found = this.#version === undefined ? new Map<string, T>() : undefined;
    const handle = (event: WatchEvent): void => {
      const version = event.object.metadata.resourceVersion;
      if (found) {
        if (event.type === 'DELETED') found.delete(event.object.metadata.uid);
        else if (event.type !== 'BOOKMARK') this.#collect(event.object, found);
        if (!event.isInitialEnd) return;
        const all = found;
        found = undefined;
        this.#options.counters.listed();
        this.#replace(all, version);
        this.#trouble.over();
        return;
      }
      if (event.type !== 'BOOKMARK') this.#apply(event);
      if (version) this.#version = version;
    };
    await watch(
      this.#options.client,
      this.kind,
      this.selection,
      {
        signal,
        resourceVersion: this.#version ?? '',
        withInitialEvents: found !== undefined,
        metadataOnly: this.kind.metadataOnly,
        onBytes: this.#options.counters.read,
        onOpen: () => {
          if (!found) this.#trouble.over();
        },
      },
      (event) => {
        if (!signal.aborted) handle(event);
      },
    );
  }

  #keep(object: unknown): T | undefined {
    try {
      return metadataOf(object) ? this.kind.keep(object as KubernetesObject, this.#pool) : undefined;
    } catch (e) {
      this.#options.counters.unreadable();
      this.#options.log.debug('an object of Kubernetes is not understood', { error: messageOf(e) });
      return undefined;
    }
  }

  #collect(object: unknown, into: Map<string, T>): void {
    const kept = this.#keep(object);
    if (kept) into.set(kept.uid, kept);
  }

  #apply({ type, object }: WatchEvent): void {
    const { uid } = object.metadata;
    const kept = type === 'DELETED' ? undefined : this.#keep(object);
    if (kept) this.#put(kept);
    else this.#remove(uid);
  }

  #put(kept: T): void {
    const before = this.#objects.get(kept.uid);
    if (before && before.version === kept.version) return;
    // What listeners hold stays the object that is kept: `before` is what they know, and nothing is there twice.
    if (before && this.kind.isSame?.(kept, before)) return;
    this.#objects.set(kept.uid, kept);
    if (!before) {
      this.#options.counters.added(1);
      this.#tellAll((l) => l.added?.(kept));
    } else {
      this.#options.counters.updated(1);
      this.#tellAll((l) => l.updated?.(kept, before));
    }
  }

  #remove(uid: string): void {
    const before = this.#objects.get(uid);
    if (!before) return;
    this.#objects.delete(uid);
    this.#options.counters.deleted(1);
    this.#tellAll((l) => l.deleted?.(before));
  }

  /** Deletions first: what took over a name or an address comes after what had it. */
  #replace(found: Map<string, T>, version: string): void {
    for (const uid of this.#objects.keys()) if (!found.has(uid)) this.#remove(uid);
    for (const object of found.values()) this.#put(object);
    this.#version = version;
    if (this.#isSynced) return;
    this.#isSynced = true;
    this.#synced.resolve();
  }

  #tellAll(call: (listener: CacheListener<T>) => void): void {
    for (const listener of this.#listeners) this.#tell(listener, call);
  }

  #tell(listener: CacheListener<T>, call: (listener: CacheListener<T>) => void): void {
    try {
      call(listener);
    } catch (e) {
      this.#options.log.error('a listener of Kubernetes objects failed', { error: messageOf(e) });
    }
  }
}

const isUnreadable = (error: unknown): boolean =>
  error instanceof Error && /is not JSON|of unknown form|is longer than/.test(error.message);
