/** Reads objects of Kubernetes for checks: each thing once, refusals as values, so that a check can say what it could not see. */
import { messageOf } from '../core/errors.ts';
import { type KubernetesClient, StatusError } from '../kubernetes/client.ts';
import { BodyBuffer } from '../kubernetes/exchange.ts';
import { type KubernetesObject, pathOf, type ResourceType, type Selection, withQuery } from '../kubernetes/object.ts';

export interface Problem {
  readonly problem: string;
  /** Of the answer; 0 without one. */
  readonly status: number;
}
export type Read<T> = { readonly value: T } | Problem;
export const isProblem = (read: Read<unknown>): read is Problem => 'problem' in read;

const core = (resource: string): ResourceType => ({ group: '', version: 'v1', resource });
const apps = (resource: string): ResourceType => ({ group: 'apps', version: 'v1', resource });
export const RESOURCES = {
  pods: core('pods'),
  nodes: core('nodes'),
  namespaces: core('namespaces'),
  events: core('events'),
  services: core('services'),
  configmaps: core('configmaps'),
  daemonsets: apps('daemonsets'),
  deployments: apps('deployments'),
  statefulsets: apps('statefulsets'),
  leases: { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' },
  endpointslices: { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' },
} as const satisfies Record<string, ResourceType>;

const PAGE = 500;
/** A list is read so far; a check that sees less than everything says so. */
const MAX_OBJECTS = 5000;
const TIMEOUT_MS = 15_000;
const MAX_LOG_BYTES = 4 * 1024 * 1024;

function refusalIn(body: string): string | undefined {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

export class ClusterReader {
  readonly #client: KubernetesClient;
  readonly #signal: AbortSignal;
  readonly #lists = new Map<string, Promise<Read<KubernetesObject[]>>>();

  constructor(client: KubernetesClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  list(type: ResourceType, selection: Selection = {}): Promise<Read<KubernetesObject[]>> {
    const { labelSelector, fieldSelector } = selection;
    const path = withQuery(pathOf(type, selection.namespace), { labelSelector, fieldSelector });
    let known = this.#lists.get(path);
    if (!known) this.#lists.set(path, (known = this.#list(type, selection)));
    return known;
  }

  /** As it is now, not as it was first seen. */
  again(type: ResourceType, selection: Selection = {}): Promise<Read<KubernetesObject[]>> {
    return this.#list(type, selection);
  }

  async #list(
    type: ResourceType,
    { namespace, labelSelector, fieldSelector }: Selection,
  ): Promise<Read<KubernetesObject[]>> {
    const objects: KubernetesObject[] = [];
    let next = '';
    do {
      const query = { labelSelector, fieldSelector, limit: String(PAGE), continue: next };
      const page = await this.json(withQuery(pathOf(type, namespace), query));
      if (isProblem(page)) return page;
      const { items, metadata } = page.value as { items?: KubernetesObject[]; metadata?: { continue?: string } };
      objects.push(...(items ?? []));
      next = metadata?.continue ?? '';
    } while (next !== '' && objects.length < MAX_OBJECTS);
    return { value: objects };
  }

  get(type: ResourceType, namespace: string, name: string): Promise<Read<KubernetesObject>> {
    return this.json(pathOf(type, namespace, name)) as Promise<Read<KubernetesObject>>;
  }

  json(path: string): Promise<Read<unknown>> {
    return this.#try(() => this.#client.getJson(path, { timeoutMs: TIMEOUT_MS, signal: this.#signal }));
  }

  /** For reviews: objects that are answered and not kept. */
  post(path: string, body: unknown): Promise<Read<unknown>> {
    return this.#try(() =>
      this.#client.write(path, { method: 'POST', body, timeoutMs: TIMEOUT_MS, signal: this.#signal }),
    );
  }

  text(path: string): Promise<Read<string>> {
    return this.#try(async () => {
      const buffer = new BodyBuffer();
      const options = { timeoutMs: TIMEOUT_MS, signal: this.#signal, maxBytes: MAX_LOG_BYTES, accept: '*/*', buffer };
      return (await this.#client.get(path, options)).toString('utf8');
    });
  }

  async #try<T>(ask: () => Promise<T>): Promise<Read<T>> {
    try {
      return { value: await ask() };
    } catch (e) {
      if (!(e instanceof StatusError)) return { problem: messageOf(e), status: 0 };
      // Not the rule that would be needed: what doctor looks at is no reason to give a collector more rights.
      return { problem: e.status === 403 ? (refusalIn(e.body) ?? messageOf(e)) : messageOf(e), status: e.status };
    }
  }
}
