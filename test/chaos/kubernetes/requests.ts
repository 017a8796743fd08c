/**
 * The server's own record of who read what: whether each full list had a reason, and whether a client gave up a watch that
 * was well.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Since this long nothing may be wrong when a watch is called healthy. */
const HEALTHY_AFTER_MS = 2000;
/** What was written this short a time before a connection broke may not have arrived. */
const ON_ITS_WAY_MS = 5000;

export interface WatchedRequest {
  readonly client: string;
  /** Client, path and selectors: one cache or stream. */
  readonly key: string;
  readonly isEvents: boolean;
  /** The version that it goes on from. */
  readonly version: number;
  readonly isInitial: boolean;
  readonly openedAtMs: number;
  initialDoneAtMs: number;
  /** The server ended it, or wrote into it what nobody can read. */
  isSpoiled: boolean;
}

/** Changes of events after `after` and up to `upTo` were read from a list, which has only what is left. */
export interface Gap {
  readonly after: number;
  readonly upTo: number;
}

export class Requests {
  readonly problems: string[] = [];
  readonly gaps: Gap[] = [];
  readonly watches = new Set<WatchedRequest>();
  /** Where the first stream of events began. */
  eventsFrom: number | undefined;
  lists = 0;
  gones = 0;
  /** Of the last thing that was done to the server. */
  faultedAtMs = Number.NEGATIVE_INFINITY;
  activeFaults = 0;
  /** Caches of this client may begin anew at any time, as when it is no leader any more. */
  readonly restless = new Set<string>();
  readonly #leaving = new Set<string>();
  readonly #mayList = new Map<string, boolean>();
  /** When the last whole answer to a list was written. */
  readonly #listedAtMs = new Map<string, number>();
  readonly #goneAt = new Map<string, number>();

  /** The client is told to end: it may give up what it has, and what it begins meanwhile. */
  leaves(client: string): void {
    this.#leaving.add(client);
    this.broken(client);
  }

  /** The client starts anew: it may read everything once. */
  started(client: string): void {
    this.#leaving.delete(client);
    for (const key of this.#mayList.keys()) if (key.startsWith(`${client} `)) this.#mayList.set(key, true);
  }

  garbled(): void {
    for (const w of this.watches) {
      w.isSpoiled = true;
      this.#mayList.set(w.key, true);
    }
  }

  /** The server breaks or ends all watches, or a client is stopped. */
  broken(client?: string): void {
    const now = performance.now();
    for (const w of this.watches) {
      if (client !== undefined && w.client !== client) continue;
      w.isSpoiled = true;
      if (w.isInitial && now - w.initialDoneAtMs < ON_ITS_WAY_MS) this.#mayList.set(w.key, true);
    }
    for (const [key, atMs] of this.#listedAtMs)
      if (now - atMs < ON_ITS_WAY_MS && (client === undefined || key.startsWith(`${client} `)))
        this.#mayList.set(key, true);
  }

  /** A GET of a collection; undefined for everything else. */
  begin(client: string, url: URL, revision: () => number, req: IncomingMessage, res: ServerResponse) {
    const query = url.searchParams;
    if (req.method !== 'GET' || !/^\/(api\/v1|apis\/[^/]+\/[^/]+)\/(namespaces\/[^/]+\/)?[a-z]+$/.test(url.pathname))
      return undefined;
    const key = `${client} ${url.pathname}?${query.get('labelSelector') ?? ''}&${query.get('fieldSelector') ?? ''}`;
    const isEvents = url.pathname.endsWith('/events');
    const isWatch = query.get('watch') === '1';
    const isInitial = query.get('sendInitialEvents') === 'true';
    if (!isWatch && query.get('limit') === '1') {
      if (isEvents) this.eventsFrom ??= revision();
      return undefined;
    }
    if (isInitial || (!isWatch && !query.has('continue'))) this.#listed(client, key);
    if (!isWatch) {
      res.on('close', () => {
        const isWhole = res.statusCode === 200 && res.writableFinished && !this.#cut.has(res);
        if (isWhole) this.#listedAtMs.set(key, performance.now());
        else this.#mayList.set(key, true);
      });
      return undefined;
    }
    const now = performance.now();
    const version = Number(query.get('resourceVersion') ?? 0);
    const watch: WatchedRequest = {
      ...{ client, key, isEvents, version, isInitial, openedAtMs: now },
      initialDoneAtMs: Number.POSITIVE_INFINITY,
      isSpoiled: false,
    };
    if (isEvents) {
      this.eventsFrom ??= version;
      // Who comes back after a version that was gone has read a list of this one.
      const after = this.#goneAt.get(key);
      if (after !== undefined && version > after) {
        this.gaps.push({ after, upTo: version });
        this.#goneAt.delete(key);
      }
    }
    this.watches.add(watch);
    res.on('close', () => {
      this.watches.delete(watch);
      if (isInitial && !(performance.now() - watch.initialDoneAtMs > 0)) this.#mayList.set(key, true);
      if (watch.isSpoiled || res.writableFinished || res.statusCode !== 200) return;
      if (this.restless.has(client) || this.#leaving.has(client)) return;
      const quietMs = performance.now() - this.faultedAtMs;
      if (this.activeFaults === 0 && quietMs > HEALTHY_AFTER_MS)
        this.problems.push(`a healthy watch was given up after ${Math.round(performance.now() - now)} ms: ${key}`);
    });
    return watch;
  }

  readonly #cut = new WeakSet<ServerResponse>();

  /** The answer will not be whole. */
  cut(res: ServerResponse): void {
    this.#cut.add(res);
  }

  /** What the server writes into a watch. */
  wrote(watch: WatchedRequest, text: string): void {
    if (text.includes('k8s.io/initial-events-end')) watch.initialDoneAtMs = performance.now();
    if (!text.startsWith('{"type":"ERROR"')) return;
    watch.isSpoiled = true;
    this.#mayList.set(watch.key, true);
    if (!text.includes('"code":410')) return;
    this.gones++;
    if (watch.isEvents && !this.#goneAt.has(watch.key)) this.#goneAt.set(watch.key, watch.version);
  }

  #listed(client: string, key: string): void {
    this.lists++;
    if (this.#mayList.get(key) === false && !this.restless.has(client))
      this.problems.push(`everything was read again without a reason: ${key}`);
    this.#mayList.set(key, false);
  }
}
