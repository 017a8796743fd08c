/**
 * The API server as components see it: one client and one set of caches per account and process, whoever asks. What a
 * refusal means is said in the terms of RBAC.
 */
import * as z from 'zod';
import type { Clock } from '../core/clock.ts';
import type { Host } from '../core/component.ts';
import { type Environment, environment } from '../core/environment.ts';
import { ConfigError, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { type Access, type AccessContext, anonymousAccess, serviceAccountAccess } from './access.ts';
import type { BackoffOptions } from './backoff.ts';
import { type Kept, type Kind, ObjectCache } from './cache.ts';
import { cacheCounters } from './cache-telemetry.ts';
import { KubernetesClient } from './client.ts';
import { kubeconfigAccess } from './kubeconfig.ts';
import { resourceName, type Selection, selectionKey } from './object.ts';

export const API_AUTH_TYPES = ['none', 'serviceAccount', 'kubeConfig'] as const;
export type ApiAuthType = (typeof API_AUTH_TYPES)[number];

/** The keys of every component that talks with the API server; spread into its strictObject. */
export const apiShape = {
  auth_type: z
    .enum(API_AUTH_TYPES, {
      error: (i) =>
        `invalid authType for kubernetes: ${String(i.input ?? '')}; use one of ${API_AUTH_TYPES.join(', ')}`,
    })
    .default('serviceAccount')
    .describe('How the API server knows us'),
  context: z.string().default('').describe('Context of the kubeconfig; empty: its current one'),
  kube_api_qps: z
    .number()
    .default(0)
    .describe('Accepted without effect: there are few requests, and caches are shared'),
  kube_api_burst: z.number().default(0).describe('Accepted without effect, as kube_api_qps'),
};

export interface ApiSettings {
  readonly auth_type: ApiAuthType;
  readonly context: string;
}

/** What openApiServer needs of a component's context. */
export interface ApiContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  readonly host: Pick<Host, 'shared'>;
  /** For tests: the process's own when absent. */
  readonly env?: Environment;
  readonly serviceAccountDir?: string;
}

export interface ApiServerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  readonly backoff?: BackoffOptions;
  /** False: lists instead of watches with initial events. */
  readonly hasInitialEvents?: boolean;
}

export class ApiServer {
  readonly client: KubernetesClient;
  readonly #options: ApiServerOptions;
  readonly #caches = new Map<string, ObjectCache<Kept>>();
  readonly #server: { hasInitialEvents: boolean };

  constructor(access: Access, options: ApiServerOptions) {
    this.client = new KubernetesClient(access, { name: 'API server', explain: explainApiRefusal });
    this.#options = options;
    this.#server = { hasInitialEvents: options.hasInitialEvents ?? true };
  }

  /** The cache of these objects; it runs while somebody is subscribed to it. `log` is that of who asks first. */
  cache<T extends Kept>(kind: Kind<T>, selection: Selection = {}, log: Logger = this.#options.log): ObjectCache<T> {
    const key = `${kind.id} ${selectionKey(kind, selection)}`;
    let cache = this.#caches.get(key);
    if (!cache) {
      const { telemetry, clock, backoff } = this.#options;
      const resource = resourceName(kind);
      cache = new ObjectCache<T>(kind, selection, {
        client: this.client,
        log: log.with({ resource, ...(selection.namespace ? { namespace: selection.namespace } : {}) }),
        counters: cacheCounters(telemetry, resource, selection.namespace ?? ''),
        server: this.#server,
        monotonicMs: () => clock.monotonicMs(),
        ...(backoff ? { backoff } : {}),
      }) as unknown as ObjectCache<Kept>;
      this.#caches.set(key, cache);
    }
    return cache as unknown as ObjectCache<T>;
  }

  /** Closes connections that nobody uses; what is in use goes on. */
  closeIdle(): void {
    this.client.closeIdle();
  }
}

/** The one ApiServer of these settings. Reads files; what is wrong with them is wrong with the configuration. */
export function openApiServer(settings: ApiSettings, ctx: ApiContext): ApiServer {
  return ctx.host.shared(`kubernetes/api/${settings.auth_type}/${settings.context}`, () => {
    try {
      return new ApiServer(accessOf(settings, ctx), ctx);
    } catch (e) {
      throw e instanceof ConfigError ? e : new ConfigError(messageOf(e), { cause: e });
    }
  });
}

function accessOf(settings: ApiSettings, ctx: ApiContext): Access {
  const env = ctx.env ?? environment();
  const access: AccessContext = { clock: ctx.clock, log: ctx.log };
  switch (settings.auth_type) {
    case 'kubeConfig':
      return kubeconfigAccess(env, settings.context, access);
    case 'none':
      return anonymousAccess(env, access);
    case 'serviceAccount':
      return serviceAccountAccess(env, access, ctx.serviceAccountDir);
  }
}

const VERBS: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

/** What a request does, as a rule of RBAC says it. */
export function ruleFor(path: string, method: string) {
  const url = new URL(path, 'http://x');
  const m = /^\/(?:api|apis\/([^/]+))\/[^/]+(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+))?/.exec(url.pathname);
  if (!m) return undefined;
  const [, group = '', namespace = '', resource = '', name] = m;
  const verb = VERBS[method] ?? (name !== undefined ? 'get' : url.searchParams.has('watch') ? 'watch' : 'list');
  return { verb, group, resource, namespace: decodeURIComponent(namespace) };
}

/** Adds the rule that is missing to a refusal. */
export function explainApiRefusal(status: number, body: string, path: string, method: string): string | undefined {
  if (status === 401)
    return 'The API server does not accept the credentials: the token has expired, or is of another cluster';
  if (status !== 403) return undefined;
  const rule = ruleFor(path, method);
  if (!rule) return undefined;
  const user = /User "([^"]+)"/.exec(body)?.[1];
  const account = /^system:serviceaccount:([^:]+):(.+)$/.exec(user ?? '');
  const who = account ? `Service account ${account[1]}/${account[2]}` : user ? `User ${user}` : 'The account';
  const where =
    rule.namespace === '' ? 'in a ClusterRole' : `in a Role of namespace ${rule.namespace}, or a ClusterRole`;
  return (
    `${who} needs this rule ${where}: ` +
    `{apiGroups: [${JSON.stringify(rule.group)}], resources: [${rule.resource}], verbs: [${rule.verb}]}`
  );
}
