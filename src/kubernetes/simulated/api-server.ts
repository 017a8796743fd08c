/**
 * Answers HTTP requests from a population as a Kubernetes API server does: discovery, GET, LIST with pages, WATCH with
 * bookmarks and initial events, and writes. It can be told to misbehave.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../core/errors.ts';
import { type KubernetesObject, resourceName } from '../object.ts';
import { aggregatedDiscovery, groupDiscovery } from './discovery.ts';
import { type Change, ConflictError, type Draft, type Population, type SimulatedResource } from './population.ts';
import { selectorTest } from './selectors.ts';

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
  readonly fault?: (request: SeenRequest) => Fault | undefined;
}

interface OpenWatch {
  readonly resource: string;
  readonly kind: SimulatedResource;
  readonly response: ServerResponse;
  readonly isVisible: (object: KubernetesObject) => boolean;
}

interface Place {
  readonly type: SimulatedResource;
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

/** A list that is read page by page. */
interface Snapshot {
  readonly id: string;
  readonly objects: readonly KubernetesObject[];
}

const MAX_BODY_BYTES = 4 * 1024 * 1024;
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
      else sendStatus(res, 500, 'InternalError', messageOf(e));
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
    for (const w of this.#watches) send(w.response, 'BOOKMARK', this.#bookmarkOf(w.kind));
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
        send(res, 'ERROR', { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', ...fault.error });
        res.end();
      } else sendStatus(res, fault.status, '', fault.message ?? 'as told', fault.headers);
      if (fault === 'reset' || !('cutAfter' in fault)) return;
    }
    const { path, query, method } = seen;
    if (path === '/healthz' || path === '/readyz' || path === '/livez') {
      res.end('ok');
      return;
    }
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
    const place = this.#place(path);
    if (!place) {
      res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' });
      res.end('404 page not found\n');
      return;
    }
    if (method !== 'GET') return this.#write(req, res, method, place);
    if (query['watch'] === '1' || query['watch'] === 'true') return await this.#watch(res, query, place);
    if (place.name === '') return this.#list(res, query, place);
    const object = this.population.get(place.resource, place.namespace, place.name);
    if (object) sendJson(res, 200, object);
    else sendStatus(res, 404, 'NotFound', `${resourceName(place.type)} "${place.name}" not found`);
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

  #list(res: ServerResponse, query: SeenRequest['query'], { type, resource, namespace }: Place): void {
    const isSelected = selectorTest(query['labelSelector'] ?? '', query['fieldSelector'] ?? '');
    let revision = this.population.revision;
    let start = 0;
    if (query['continue']) {
      const text = Buffer.from(query['continue'], 'base64').toString();
      const token = JSON.parse(text) as { rv: number; start: number };
      if (token.rv < this.population.compactedRevision) {
        sendStatus(
          res,
          410,
          'Expired',
          'The provided continue parameter is too old to display a consistent list result.',
        );
        return;
      }
      ({ rv: revision, start } = token);
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
    sendJson(res, 200, {
      kind: `${type.kind}List`,
      apiVersion: type.group === '' ? type.version : `${type.group}/${type.version}`,
      metadata: {
        resourceVersion: String(revision),
        ...(left > 0 ? { continue: next, remainingItemCount: left } : {}),
      },
      // Items of typed lists do not say what they are.
      items: items.map(({ kind: _, apiVersion: __, ...o }) => o),
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

  async #watch(res: ServerResponse, query: SeenRequest['query'], place: Place): Promise<void> {
    const { type, resource, namespace, name } = place;
    const wantsInitial = query['sendInitialEvents'] === 'true';
    if (wantsInitial && this.options.initialEvents === 'refused') {
      sendStatus(
        res,
        422,
        'Invalid',
        'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
      );
      return;
    }
    const since = Number(query['resourceVersion'] || 0);
    const missed = since > 0 && !wantsInitial ? this.population.since(resource, since) : [];
    res.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
    res.flushHeaders();
    const fail = (code: number, reason: string, message: string): void => {
      send(res, 'ERROR', { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code });
      res.end();
    };
    if (wantsInitial && this.options.initialEvents === 'error') {
      fail(
        500,
        'InternalError',
        'a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled',
      );
      return;
    }
    if (!missed) {
      fail(410, 'Expired', `too old resource version: ${since} (${this.population.compactedRevision})`);
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
    };
    const { revision } = this.population;
    if (wantsInitial || since === 0)
      for (const o of this.population.list(resource)) {
        if (!watch.isVisible(o)) continue;
        send(res, 'ADDED', o);
        if (res.writableLength < MAX_WAITING_BYTES) continue;
        await drained(res);
        if (res.closed) return;
      }
    // What happened while the client took its time.
    for (const change of this.population.since(resource, revision) ?? []) tell(watch, change);
    if (wantsInitial) send(res, 'BOOKMARK', this.#bookmarkOf(type, { 'k8s.io/initial-events-end': 'true' }));
    for (const change of missed) tell(watch, change);
    this.#watches.add(watch);
    const timer = setTimeout(() => res.end(), (Number(query['timeoutSeconds']) || 3600) * 1000);
    timer.unref();
    res.on('close', () => {
      clearTimeout(timer);
      this.#watches.delete(watch);
    });
  }

  #bookmarkOf(type: SimulatedResource, annotations?: Readonly<Record<string, string>>) {
    return {
      kind: type.kind,
      apiVersion: type.group === '' ? type.version : `${type.group}/${type.version}`,
      metadata: { resourceVersion: String(this.population.revision), creationTimestamp: null, annotations },
    };
  }

  #changed(change: Change): void {
    for (const w of this.#watches) if (w.resource === change.resource) tell(w, change);
  }

  async #write(req: IncomingMessage, res: ServerResponse, method: string, place: Place): Promise<void> {
    const { resource, namespace, name } = place;
    if (method === 'DELETE') {
      const gone = this.population.remove(resource, namespace, name);
      return gone ? sendJson(res, 200, gone) : sendStatus(res, 404, 'NotFound', `${resource} "${name}" not found`);
    }
    let draft: Draft;
    try {
      draft = JSON.parse((await readAll(req)).toString()) as Draft;
    } catch (e) {
      return sendStatus(res, 400, 'BadRequest', messageOf(e));
    }
    const target = { ...draft, metadata: { ...draft.metadata, ...(namespace ? { namespace } : {}) } };
    const there = this.population.get(resource, namespace, target.metadata.name);
    if (method === 'POST' && there)
      return sendStatus(res, 409, 'AlreadyExists', `${resource} "${target.metadata.name}" already exists`);
    if (method === 'PUT' && !there) return sendStatus(res, 404, 'NotFound', `${resource} "${name}" not found`);
    if (method !== 'POST' && method !== 'PUT') return sendStatus(res, 405, 'MethodNotAllowed', method);
    try {
      sendJson(res, method === 'POST' ? 201 : 200, this.population.put(resource, target));
    } catch (e) {
      if (!(e instanceof ConflictError)) throw e;
      sendStatus(res, 409, 'Conflict', e.message);
    }
  }
}

function tell(watch: OpenWatch, { type, object, before }: Change): void {
  const was = before !== undefined && watch.isVisible(before);
  const is = type !== 'DELETED' && watch.isVisible(object);
  if (is) send(watch.response, was ? 'MODIFIED' : 'ADDED', object);
  else if (was) send(watch.response, 'DELETED', object);
}

/** Until the client has taken what was written, or is gone. */
function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      res.off('drain', done).off('close', done);
      resolve();
    };
    res.on('drain', done).on('close', done);
  });
}

const send = (res: ServerResponse, type: string, object: unknown): boolean =>
  res.write(`${JSON.stringify({ type, object })}\n`);

function sendJson(res: ServerResponse, status: number, body: unknown, type = 'application/json'): void {
  const text = JSON.stringify(body);
  res.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  res.end(text);
}

function sendStatus(
  res: ServerResponse,
  code: number,
  reason: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
  });
  res.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers });
  res.end(text);
}

/** Lets the answer begin, and breaks the connection after so many bytes of it. */
function cutAfter(res: ServerResponse, bytes: number): void {
  const whole = res.end.bind(res);
  res.end = ((text: string) => {
    res.write(text.slice(0, bytes), () => res.socket?.destroy());
    return res;
  }) as typeof whole;
}

async function readAll(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error('the body is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
