/** The pods of this node from its kubelet, asked for again and again: the API server has no work with them. */
import type { Environment } from '../../../core/environment.ts';
import { ConfigError, messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../../core/log.ts';
import { wait } from '../../../core/wait.ts';
import type { CacheListener, Kind, Subscription } from '../../../kubernetes/cache.ts';
import type { KubernetesClient } from '../../../kubernetes/client.ts';
import { readList } from '../../../kubernetes/json-list.ts';
import { kubeletClient } from '../../../kubernetes/kubelet.ts';
import { type KubernetesObject, metadataOf, StringPool } from '../../../kubernetes/object.ts';
import type { ClusterOptions } from './cluster.ts';
import type { K8sAttributesConfig } from './config.ts';
import type { PodFacts } from './facts.ts';

/** Between two requests, however many pods are waited for. */
const MIN_INTERVAL_MS = 500;

export interface KubeletPodsOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'parse'>;
  readonly kind: Kind<PodFacts>;
  readonly filter: Pick<K8sAttributesConfig['filter'], 'namespace' | 'labels'>;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Records wait for something that the kubelet may tell. */
  readonly isAwaited: () => boolean;
  readonly log: Logger;
}

export class KubeletPods {
  readonly #options: KubeletPodsOptions;
  readonly #synced = Promise.withResolvers<void>();
  readonly #pool = new StringPool();
  #pods = new Map<string, PodFacts>();
  isSynced = false;
  failure: string | undefined;
  #sooner: AbortController | undefined;

  constructor(options: KubeletPodsOptions) {
    this.#options = options;
  }

  get kind(): Kind<PodFacts> {
    return this.#options.kind;
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  subscribe(listener: CacheListener<PodFacts>): Subscription {
    const stopping = new AbortController();
    void this.#run(listener, stopping.signal);
    return {
      stop: () => {
        stopping.abort();
        this.#pods = new Map();
        this.#pool.clear();
      },
    };
  }

  /** From now on somebody waits. */
  hurry(): void {
    this.#sooner?.abort();
  }

  async #run(listener: CacheListener<PodFacts>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#sooner = new AbortController();
      const sooner = this.#sooner.signal;
      try {
        await this.#poll(listener, signal);
        this.failure = undefined;
      } catch (e) {
        const text = messageOf(e);
        if (!signal.aborted && text !== this.failure)
          this.#options.log.error('the pods of the kubelet cannot be read, trying on', { error: text });
        this.failure = text;
      }
      await wait(MIN_INTERVAL_MS, signal);
      if (!this.#options.isAwaited())
        await wait(this.#options.intervalMs - MIN_INTERVAL_MS, AbortSignal.any([signal, sooner]));
    }
  }

  async #poll(listener: CacheListener<PodFacts>, signal: AbortSignal): Promise<void> {
    const { client, kind, timeoutMs } = this.#options;
    const body = await client.get('/pods', { signal, timeoutMs });
    const found = new Map<string, PodFacts>();
    client.parse('/pods', body, (bytes) =>
      readList(bytes, 'items', '{"metadata":', (item) => {
        const metadata = metadataOf(item);
        if (!metadata || !this.#isMeant(item as KubernetesObject)) return;
        // Pods from files have no version.
        const pod = kind.keep(
          { ...(item as KubernetesObject), metadata: { ...metadata, resourceVersion: metadata.resourceVersion ?? '' } },
          this.#pool,
        );
        if (pod) found.set(pod.uid, pod);
      }),
    );
    if (signal.aborted) return;
    for (const [uid, pod] of this.#pods)
      if (!found.has(uid)) {
        this.#pods.delete(uid);
        listener.deleted?.(pod);
      }
    for (const pod of found.values()) {
      const before = this.#pods.get(pod.uid);
      if (before && kind.isSame?.(pod, before)) continue;
      this.#pods.set(pod.uid, pod);
      if (before) listener.updated?.(pod, before);
      else listener.added?.(pod);
    }
    this.isSynced = true;
    this.#synced.resolve();
  }

  /** The kubelet knows no selectors. */
  #isMeant({ metadata }: KubernetesObject): boolean {
    const { namespace, labels } = this.#options.filter;
    if (namespace !== '' && metadata.namespace !== namespace) return false;
    return labels.every(({ key, op, value }) => {
      const own = metadata.labels?.[key];
      switch (op) {
        case 'equals':
          return own === value;
        case 'not-equals':
          return own !== value;
        case 'exists':
          return own !== undefined;
        default:
          return own === undefined;
      }
    });
  }
}

/** As the configuration has it; `node` is where the kubelet is unless that says something else. */
export function kubeletPods(
  kind: Kind<PodFacts>,
  node: string,
  env: Environment,
  options: Pick<ClusterOptions, 'config' | 'clock' | 'log' | 'kubelet'>,
  isAwaited: () => boolean,
): KubeletPods {
  const { config, clock, log } = options;
  const { kubelet, filter } = config;
  const endpoint = kubelet.endpoint || `${node}:10250`;
  const settings = {
    endpoint,
    authType: endpoint.startsWith('http://') ? ('none' as const) : ('serviceAccount' as const),
    context: config.context,
    ca: kubelet.ca_file === '' ? undefined : { file: kubelet.ca_file },
    cert: undefined,
    key: undefined,
    serverName: '',
    isVerified: !kubelet.insecure_skip_verify,
    parameters: {},
  };
  let client = options.kubelet;
  try {
    client ??= kubeletClient(settings, { clock, log, env });
  } catch (e) {
    throw new ConfigError(messageOf(e), { cause: e });
  }
  return new KubeletPods({
    client,
    kind,
    filter,
    intervalMs: kubelet.poll_interval,
    timeoutMs: kubelet.request_timeout,
    isAwaited,
    log,
  });
}
