/**
 * Answers HTTP requests from a population as a Kubernetes API server does: discovery, GET, LIST with pages, WATCH with
 * bookmarks and initial events, and writes. It can be told to misbehave.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../core/errors.ts';
import { type KubernetesObject, resourceName } from '../object.ts';
import { type Account, type Accounts, accountOf, forbidden, isAllowed, UNAUTHORIZED, verbOf } from './accounts.ts';
import {
  cutAfter,
  drained,
  endWithError,
  readAll,
  type Shape,
  sendEvent,
  sendJson,
  sendRefusal,
  shapeOf,
} from './answers.ts';
import { aggregatedDiscovery, groupDiscovery } from './discovery.ts';
import type { Change, Population, SimulatedResource } from './population.ts';
import { selectorTest, unknownField } from './selectors.ts';
import { notFound, type Place, write } from './writes.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly authorization: string | undefined;
}

/** Instead of the answer: a status, a broken connection, or an answer that is cut after some bytes. */
export type Fault =
  | { readonly status: number; readonly message?: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly error: { readonly code: number; readonly reason: string; readonly message: string } }
  | 'reset'
  | 'silence'
  | { readonly cutAfter: number };

export interface SimulatedApiServerOptions {
  /** Watches with initial events: answered, refused as by an older server, or failing in the stream. */
  readonly initialEvents?: 'yes' | 'refused' | 'error';
  readonly hasAggregatedDiscovery?: boolean;
  /** Of LIST, also without `limit`. */
  readonly maxPageSize?: number;
  /** Who may do what; without them anybody may do anything. */
  readonly accounts?: Accounts;
  readonly fault?: (request: SeenRequest) => Fault | undefined;
}

interface OpenWatch {
  readonly resource: string;
  readonly kind: SimulatedResource;
  readonly response: ServerResponse;
  readonly isVisible: (object: KubernetesObject) => boolean;
  readonly shape: Shape;
}

/** A list that is read page by page. */
interface Snapshot {
  readonly id: string;
  readonly objects: readonly KubernetesObject[];
}

const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const ANYBODY: Account = { user: 'system:anonymous' };
/** As Kubernetes: a bookmark every minute, and one before the server ends a watch. */
const BOOKMARK_MS = 60_000;
const LAST_BOOKMARK_MS = 2000;
/** Lists that are being read; who comes back later gets the same by way of the history. */
const MAX_SNAPSHOTS = 16;
/** Of the objects a watch begins with, as long as the client has not taken them. */
const MAX_WAITING_BYTES = 1024 * 1024;

export class SimulatedApiServer {
  readonly population: Population;
  readonly requests: SeenRequest[] = [];
  options: SimulatedApiServerOptions;
  readonly #watches = new Set<OpenWatch>();
  readonly #snapshots: Snapshot[] = [];
  readonly #forget: () => void;

  constructor(population: Population, options: SimulatedApiServerOptions = {}) {
    this.population = population;
    this.options = options;
    this.#forget = population.onChange((c) => this.#changed(c));
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  readonly handle = (req: IncomingMessage, res: ServerResponse): void => {
    const url = new URL(req.url ?? '/', 'http://x');
    const seen: SeenRequest = {
      method: req.method ?? 'GET',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      authorization: req.headers.authorization,
    };
    this.requests.push(seen);
    this.#answer(req, res, seen).catch((e: unknown) => {
      if (res.headersSent) res.destroy();
      else sendRefusal(res, { code: 500, reason: 'InternalError', message: messageOf(e) });
    });
  };

  /** Ends the watches as a server does that goes down. */
  closeWatches(): void {
    for (const w of this.#watches) w.response.end();
    this.#watches.clear();
  }

  /** Breaks the connections of the watches; before that, this text is sent. */
  breakWatches(text = ''): void {
    for (const w of this.#watches) {
      if (text === '') w.response.socket?.resetAndDestroy();
      else w.response.write(text, () => w.response.socket?.destroy());
    }
    this.#watches.clear();
  }

  /** Tells watches up to where they have seen everything. */
  bookmark(): void {
    for (const w of this.#watches) this.#tellBookmark(w);
  }

  /** Writes into the watches what no server should. */
  writeToWatches(text: string): void {
    for (const w of this.#watches) w.response.write(text);
  }

  close(): void {
    this.#forget();
    this.closeWatches();
  }

  async #answer(req: IncomingMessage, res: ServerResponse, seen: SeenRequest): Promise<void> {
    const fault = this.options.fault?.(seen);
    if (fault !== undefined) {
      if (fault === 'reset') res.socket?.resetAndDestroy();
      else if (fault === 'silence') return;
      else if ('cutAfter' in fault) cutAfter(res, fault.cutAfter);
      else if ('error' in fault) {
        res.writeHead(200, { 'content-type': 'application/json' });
        endWithError(res, fault.error);
      } else {
        const { status, message = 'as told', headers = {} } = fault;
        sendRefusal(res, { code: status, reason: '', message, headers });
      }
      if (fault === 'reset' || !('cutAfter' in fault)) return;
    }
    const { path, query, method } = seen;
    if (path === '/healthz' || path === '/readyz' || path === '/livez') {
      res.end('ok');
      return;
    }
    const { accounts } = this.options;
    const account = accounts ? accountOf(accounts, seen.authorization) : ANYBODY;
    if (!account) return sendRefusal(res, UNAUTHORIZED);
    if (path === '/version') return sendJson(res, 200, { major: '1', minor: '34', gitVersion: 'v1.34.0' });
    const wantsAggregated =
      /apidiscovery/.test(req.headers.accept ?? '') && this.options.hasAggregatedDiscovery !== false;
    const discovered = wantsAggregated
      ? aggregatedDiscovery(path, this.population.resources)
      : groupDiscovery(path, this.population.resources);
    if (discovered) {
      const type = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
      return sendJson(res, 200, discovered, wantsAggregated ? type : undefined);
    }
    if (path === REVIEWS && method === 'POST') return this.#review(req, res, account);
    const place = this.#place(path);
    if (!place) {
      const isKnownGroup = this.population.resources.some((r) => path.startsWith(`${rootOf(r)}/`));
      if (isKnownGroup)
        return sendRefusal(res, {
          code: 404,
          reason: 'NotFound',
          message: 'the server could not find the requested resource',
          details: {},
        });
      res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' });
      res.end('404 page not found\n');
      return;
    }
    const isWatch = query['watch'] === '1' || query['watch'] === 'true';
    const { type, namespace } = place;
    const attempt = { verb: verbOf(method, place.name !== '', isWatch), type, namespace };
    if (!isAllowed(account, attempt)) return sendRefusal(res, forbidden(account, attempt));
    if (method !== 'GET') return write(this.population, req, res, method, place);
    const field = unknownField(place.resource, query['fieldSelector'] ?? '');
    if (field !== undefined)
      return sendRefusal(res, { code: 400, reason: 'BadRequest', message: `field label not supported: ${field}` });
    const shape = shapeOf(req.headers.accept);
    if (isWatch) return await this.#watch(res, query, place, shape);
    if (place.name === '') return this.#list(res, query, place, shape);
    const object = this.population.get(place.resource, place.namespace, place.name);
    if (object) sendJson(res, 200, shape.object(object));
    else sendRefusal(res, notFound(place));
  }

  #place(path: string): Place | undefined {
    const m = /^\/(?:api|apis\/([^/]+))\/([^/]+)(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+))?$/.exec(path);
    if (!m) return undefined;
    const [, group = '', version, namespace = '', resource, name = ''] = m.map((p) => p && decodeURIComponent(p));
    const type = this.population.resources.find(
      (r) => r.group === group && r.version === version && r.resource === resource,
    );
    return type && { type, resource: resourceName(type), namespace, name };
  }

  #list(res: ServerResponse, query: SeenRequest['query'], { type, resource, namespace }: Place, shape: Shape): void {
    const isSelected = selectorTest(query['labelSelector'] ?? '', query['fieldSelector'] ?? '');
    let revision = this.population.revision;
    let start = 0;
    if (query['continue']) {
      const text = Buffer.from(query['continue'], 'base64').toString();
      const token = JSON.parse(text) as { rv: number; start: number };
      if (token.rv < this.population.compactedRevision) {
        const message = 'The provided continue parameter is too old to display a consistent list result.';
        sendRefusal(res, { code: 410, reason: 'Expired', message });
        return;
      }
      ({ rv: revision, start } = token);
    } else if (Number(query['resourceVersion'] ?? 0) > revision) {
      const message = `Timeout: Too large resource version: ${query['resourceVersion']}, current: ${revision}`;
      const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
      sendRefusal(res, { code: 504, reason: 'Timeout', message, details: { causes, retryAfterSeconds: 1 } });
      return;
    }
    const id = JSON.stringify([resource, namespace, query['labelSelector'], query['fieldSelector'], revision]);
    const all =
      this.#snapshots.find((s) => s.id === id)?.objects ??
      this.#at(resource, revision).filter(
        (o) => (namespace === '' || o.metadata.namespace === namespace) && isSelected(o),
      );
    const limit = Math.min(Number(query['limit']) || Infinity, this.options.maxPageSize ?? Infinity);
    const items = all.slice(start, limit === Infinity ? undefined : start + limit);
    const left = all.length - start - items.length;
    if (start === 0 && left > 0) {
      this.#snapshots.push({ id, objects: all });
      if (this.#snapshots.length > MAX_SNAPSHOTS) this.#snapshots.shift();
    }
    const next = Buffer.from(JSON.stringify({ rv: revision, start: start + items.length })).toString('base64');
    const isCounted = !query['labelSelector'] && !query['fieldSelector'];
    const { kind, apiVersion } = shape.type({ kind: type.kind, apiVersion: apiVersionOf(type) });
    sendJson(res, 200, {
      kind: `${kind}List`,
      apiVersion,
      metadata: {
        resourceVersion: String(revision),
        ...(left > 0 ? { continue: next, ...(isCounted ? { remainingItemCount: left } : {}) } : {}),
      },
      items: items.map(shape.item),
    });
  }

  /** The objects as they were at a revision. */
  #at(resource: string, revision: number): KubernetesObject[] {
    if (revision >= this.population.revision) return this.population.list(resource);
    const keyOf = (o: KubernetesObject) => `${o.metadata.namespace ?? ''}/${o.metadata.name}`;
    const objects = new Map(this.population.list(resource).map((o) => [keyOf(o), o]));
    for (const change of this.population.since(resource, revision)?.reverse() ?? [])
      if (change.before) objects.set(keyOf(change.object), change.before);
      else objects.delete(keyOf(change.object));
    return [...objects.keys()].sort().map((k) => objects.get(k)!);
  }

  async #watch(res: ServerResponse, query: SeenRequest['query'], place: Place, shape: Shape): Promise<void> {
    const { type, resource, namespace, name } = place;
    const wantsInitial = query['sendInitialEvents'] === 'true';
    if (wantsInitial && this.options.initialEvents === 'refused') {
      const message =
        'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled';
      sendRefusal(res, { code: 422, reason: 'Invalid', message });
      return;
    }
    const since = Number(query['resourceVersion'] || 0);
    const missed = since > 0 && !wantsInitial ? this.population.since(resource, since) : [];
    res.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
    res.flushHeaders();
    if (wantsInitial && this.options.initialEvents === 'error') {
      const message =
        'a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled';
      endWithError(res, { code: 500, reason: 'InternalError', message });
      return;
    }
    if (!missed) {
      const message = `too old resource version: ${since} (${this.population.compactedRevision})`;
      endWithError(res, { code: 410, reason: 'Expired', message });
      return;
    }
    const isSelected = selectorTest(query['labelSelector'] ?? '', query['fieldSelector'] ?? '');
    const watch: OpenWatch = {
      resource,
      kind: type,
      response: res,
      isVisible: (o) =>
        (namespace === '' || o.metadata.namespace === namespace) &&
        (name === '' || o.metadata.name === name) &&
        isSelected(o),
      shape,
    };
    const { revision } = this.population;
    if (wantsInitial || since === 0)
      for (const o of this.population.list(resource)) {
        if (!watch.isVisible(o)) continue;
        sendEvent(res, 'ADDED', shape.object(o));
        if (res.writableLength < MAX_WAITING_BYTES) continue;
        await drained(res);
        if (res.closed) return;
      }
    // What happened while the client took its time.
    for (const change of this.population.since(resource, revision) ?? []) tell(watch, change);
    if (wantsInitial) this.#tellBookmark(watch, { 'k8s.io/initial-events-end': 'true' });
    for (const change of missed) tell(watch, change);
    this.#watches.add(watch);
    const lifeMs = (Number(query['timeoutSeconds']) || 3600) * 1000;
    const bookmark = () => this.#tellBookmark(watch);
    const timers = [setTimeout(() => res.end(), lifeMs)];
    if (query['allowWatchBookmarks'] === 'true')
      timers.push(setInterval(bookmark, BOOKMARK_MS), setTimeout(bookmark, Math.max(0, lifeMs - LAST_BOOKMARK_MS)));
    for (const t of timers) t.unref();
    res.on('close', () => {
      for (const t of timers) clearTimeout(t);
      this.#watches.delete(watch);
    });
  }

  #tellBookmark({ kind, response, shape }: OpenWatch, annotations?: Readonly<Record<string, string>>): void {
    const type = shape.type({ kind: kind.kind, apiVersion: apiVersionOf(kind) });
    const metadata = { resourceVersion: String(this.population.revision), creationTimestamp: null, annotations };
    sendEvent(response, 'BOOKMARK', { ...type, metadata });
  }

  /** Answers whether the account may do what it asks about. */
  async #review(req: IncomingMessage, res: ServerResponse, account: Account): Promise<void> {
    const review = JSON.parse((await readAll(req)).toString()) as {
      spec?: { resourceAttributes?: ReviewedAttributes };
    };
    const { verb = '', group = '', resource = '', namespace = '' } = review.spec?.resourceAttributes ?? {};
    const allowed = isAllowed(account, { verb, type: { group, resource }, namespace });
    sendJson(res, 201, { ...review, status: { allowed } });
  }

  #changed(change: Change): void {
    for (const w of this.#watches) if (w.resource === change.resource) tell(w, change);
  }
}

interface ReviewedAttributes {
  readonly verb?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly namespace?: string;
}

const apiVersionOf = ({ group, version }: SimulatedResource): string =>
  group === '' ? version : `${group}/${version}`;
const rootOf = (type: SimulatedResource): string => `/${type.group === '' ? 'api' : 'apis'}/${apiVersionOf(type)}`;

function tell(watch: OpenWatch, { type, object, before }: Change): void {
  const { response, shape } = watch;
  const was = before !== undefined && watch.isVisible(before);
  const is = type !== 'DELETED' && watch.isVisible(object);
  if (is) sendEvent(response, was ? 'MODIFIED' : 'ADDED', shape.object(object));
  // What leaves is told as it was, with the version of the change.
  else if (was) {
    const { resourceVersion } = object.metadata;
    sendEvent(response, 'DELETED', shape.object({ ...before, metadata: { ...before.metadata, resourceVersion } }));
  }
}
