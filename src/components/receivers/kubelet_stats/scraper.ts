/** One scrape: asks the kubelet, and where needed the API server, and writes a group per node, pod, container, volume. */
import type { Group } from '../../../core/batch.ts';
import type { Clock } from '../../../core/clock.ts';
import type { BuildInfo } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import { type Logger, RateLimit } from '../../../core/log.ts';
import { MetricsBuilder } from '../../../core/metrics/builder.ts';
import { type MetricDeclaration, metricSettings } from '../../../core/metrics/catalogue.ts';
import { switchedResource } from '../../../core/metrics/resource-attributes.ts';
import { type Scope, scopeOf } from '../../../core/resource.ts';
import type { ScrapeResult, Scraper } from '../../../core/scrape.ts';
import type { KubernetesClient } from '../../../kubernetes/client.ts';
import { parseQuantity, parseWholeQuantity } from '../../../kubernetes/quantity.ts';
import { CONTAINER_METRICS, NODE_METRICS, POD_METRICS, SYSTEM_METRICS, VOLUME_METRICS } from './catalogue.ts';
import { Entities, type Entity } from './entities.ts';
import type { KubeletStatsConfig, MetricGroup } from './index.ts';
import { Interfaces, type Shares } from './measure.ts';
import { type PodDetails, podDetails } from './pods.ts';
import { hasLargeNumbers, list, type PodStats, parseExact, type Summary } from './summary.ts';
import { type Attributes, type ClaimOutcome, Claims, claimOf, keyOf, volumeAttributes } from './volumes.ts';
import { ContainerWriter, NodeWriter, PodWriter, SystemWriter, VolumeWriter } from './writers.ts';

const SCOPE = 'github.com/open-telemetry/opentelemetry-collector-contrib/receiver/kubeletstatsreceiver';
const CAPACITY_MS = 300_000;
/** What is skipped for a lasting reason is told again after this time. */
const REPEAT_MS = 3_600_000;
const NO_CLAIMS: ReadonlyMap<string, ClaimOutcome> = new Map();

export interface KubeletScraperOptions {
  readonly config: KubeletStatsConfig;
  readonly kubelet: KubernetesClient;
  /** Present with k8s_api_config. */
  readonly api: KubernetesClient | undefined;
  readonly isUsageComputed: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly build: BuildInfo;
}

/** What a scrape knows besides the summary. */
interface Surroundings {
  /** Undefined: not asked for, or not answered. */
  readonly pods: ReadonlyMap<string, PodDetails> | undefined;
  readonly claims: ReadonlyMap<string, ClaimOutcome>;
  readonly nodeCpus: number;
  readonly nodeMemoryBytes: number;
}

export class KubeletScraper implements Scraper {
  readonly name = 'kubelet_stats';
  readonly #o: KubeletScraperOptions;
  readonly #scope: Scope;
  readonly #told: RateLimit;
  readonly #groups: ReadonlySet<MetricGroup>;
  readonly #wantsIds: boolean;
  readonly #wantsVolumes: boolean;
  readonly #needsPods: boolean;
  readonly #needsNode: boolean;
  readonly #volumeStart: bigint;
  readonly #claims: Claims | undefined;
  readonly #node: NodeWriter;
  readonly #system: SystemWriter;
  readonly #pod: PodWriter;
  readonly #container: ContainerWriter;
  readonly #volume: VolumeWriter;
  readonly #nodes = new Entities();
  readonly #pods = new Entities();
  #scrapes = 0;
  #capacity = { cpus: 0, memoryBytes: 0, askedAtMs: Number.NEGATIVE_INFINITY };

  constructor(options: KubeletScraperOptions) {
    this.#o = options;
    const { config, clock, isUsageComputed } = options;
    this.#scope = scopeOf(SCOPE, options.build.version);
    this.#told = new RateLimit(REPEAT_MS, () => clock.nowMs());
    this.#volumeStart = clock.nowUnixNano();
    this.#groups = new Set(config.metric_groups);
    this.#wantsIds = this.#groups.has('container') && config.extra_metadata_labels.includes('container.id');
    this.#wantsVolumes = this.#groups.has('volume') && config.extra_metadata_labels.includes('k8s.volume.type');
    const isOn = (pattern: RegExp): boolean =>
      (['pod', 'container'] as const).some(
        (group) =>
          this.#groups.has(group) &&
          (group === 'pod' ? POD_METRICS : CONTAINER_METRICS).some(
            (m) => pattern.test(m.name) && (config.metrics[m.name]?.enabled ?? m.enabled),
          ),
      );
    this.#needsPods = this.#wantsIds || this.#wantsVolumes || isOn(/_(?:limit|request)_utilization$/);
    this.#needsNode = isOn(/\.node\.utilization$/);
    this.#claims = options.api && new Claims(options.api, clock);
    const builder = (catalogue: readonly MetricDeclaration[]) =>
      new MetricsBuilder(catalogue, metricSettings(catalogue, config.metrics));
    const interfaces = new Interfaces();
    const all = config.collect_all_network_interfaces;
    this.#node = new NodeWriter(builder(NODE_METRICS), interfaces, all.node, isUsageComputed);
    this.#system = new SystemWriter(builder(SYSTEM_METRICS), isUsageComputed);
    this.#pod = new PodWriter(builder(POD_METRICS), interfaces, all.pod, isUsageComputed);
    this.#container = new ContainerWriter(builder(CONTAINER_METRICS), isUsageComputed);
    this.#volume = new VolumeWriter(builder(VOLUME_METRICS));
  }

  async scrape(signal: AbortSignal): Promise<ScrapeResult> {
    const errors: string[] = [];
    const { kubelet } = this.#o;
    const body = await kubelet.get('/stats/summary', { signal });
    const parse = hasLargeNumbers(body) ? parseExact : undefined;
    const summary = kubelet.parse('/stats/summary', body, parse) as Summary | null;
    const pods = this.#needsPods ? await this.#askPods(signal, errors) : undefined;
    const claims = this.#wantsVolumes && pods ? await this.#claimsOf(summary, pods, signal) : NO_CLAIMS;
    if (this.#needsNode) await this.#askCapacity(signal, errors);
    const { cpus, memoryBytes } = this.#capacity;
    const surroundings = { pods, claims, nodeCpus: cpus, nodeMemoryBytes: memoryBytes };
    return { groups: this.#write(summary, surroundings), errors };
  }

  async stop(): Promise<void> {
    this.#o.kubelet.close();
    this.#o.api?.close();
  }

  /** Without them, what does not depend on them is measured all the same. */
  async #askPods(signal: AbortSignal, errors: string[]): Promise<ReadonlyMap<string, PodDetails> | undefined> {
    try {
      return podDetails(await this.#o.kubelet.getJson('/pods', { signal }));
    } catch (e) {
      errors.push(messageOf(e));
      return undefined;
    }
  }

  async #claimsOf(
    summary: Summary | null,
    pods: ReadonlyMap<string, PodDetails>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ClaimOutcome>> {
    if (!this.#claims) return NO_CLAIMS;
    const claims = [];
    for (const pod of list(summary?.pods)) {
      const podUid = pod?.podRef?.uid ?? '';
      const details = pods.get(podUid);
      for (const v of list(pod?.volume)) {
        const spec = details?.volumes.get(v?.name ?? '');
        const name = spec && claimOf(spec);
        if (name) claims.push({ podUid, namespace: pod.podRef?.namespace ?? '', name });
      }
    }
    return this.#claims.resolve(claims, signal);
  }

  /** A node's capacity hardly ever changes; until it is known there are no shares of it. */
  async #askCapacity(signal: AbortSignal, errors: string[]): Promise<void> {
    const { api, clock, config } = this.#o;
    const now = clock.monotonicMs();
    if (!api || now - this.#capacity.askedAtMs < CAPACITY_MS) return;
    try {
      const node = (await api.getJson(`/api/v1/nodes/${encodeURIComponent(config.node)}`, { signal })) as {
        status?: { capacity?: { cpu?: unknown; memory?: unknown } };
      } | null;
      const capacity = node?.status?.capacity;
      const cpus = Math.ceil((parseQuantity(capacity?.cpu) ?? 0) * 1000) / 1000;
      this.#capacity = { cpus, memoryBytes: parseWholeQuantity(capacity?.memory) ?? 0, askedAtMs: now };
    } catch (e) {
      errors.push(`capacity of node ${config.node}: ${messageOf(e)}`);
    }
  }

  #write(summary: Summary | null, around: Surroundings): Group[] {
    const { clock } = this.#o;
    const at = ++this.#scrapes;
    const groups: Group[] = [];
    const now = { nano: clock.nowUnixNano(), ms: clock.nowMs() };
    for (const w of [this.#node, this.#system, this.#pod, this.#container, this.#volume])
      w.begin(groups, this.#scope, now);
    const node = summary?.node;
    if (node && this.#groups.has('node')) {
      const nodeName = node.nodeName ?? '';
      const attributes: Attributes = [['k8s.node.name', nodeName]];
      const entity = this.#nodes.get(nodeName, '', at, () => this.#resource(attributes));
      this.#node.write(node, entity);
      if (this.#system.enabled)
        for (const s of list(node.systemContainers)) {
          const name = s?.name ?? '';
          const child = entity.containers.get(name, '', at, () =>
            this.#resource([...attributes, ['k8s.node.system_container.name', name]]),
          );
          this.#system.write(s, child);
        }
      entity.containers.sweep(at);
    }
    for (const pod of list(summary?.pods)) if (pod?.podRef) this.#writePod(pod, around, at);
    this.#nodes.sweep(at);
    this.#pods.sweep(at);
    return groups;
  }

  #writePod(pod: PodStats, around: Surroundings, at: number): void {
    const { uid = '', name = '', namespace = '' } = pod.podRef!;
    const attributes: Attributes = [
      ['k8s.pod.uid', uid],
      ['k8s.pod.name', name],
      ['k8s.namespace.name', namespace],
    ];
    const entity = this.#pods.get(uid, `${namespace}/${name}`, at, () => this.#resource(attributes));
    const details = around.pods?.get(uid);
    const shares: Shares = {
      resources: details?.resources,
      nodeCpus: around.nodeCpus,
      nodeMemoryBytes: around.nodeMemoryBytes,
    };
    if (this.#groups.has('pod')) this.#pod.write(pod, entity, shares);
    if (this.#groups.has('container'))
      for (const container of list(pod.containers)) {
        const containerName = container?.name;
        if (typeof containerName !== 'string') continue;
        const id = this.#wantsIds ? details?.containerIds.get(containerName) : '';
        if (this.#wantsIds && !id) {
          if (around.pods)
            this.#skipped(id === '' ? 'has an empty containerID' : NOT_FOUND, pod, containerName, 'container');
          continue;
        }
        const child = entity.containers.get(containerName, id ?? '', at, () =>
          this.#resource([
            ...attributes,
            ['k8s.container.name', containerName],
            ...(id ? ([['container.id', id]] as const) : []),
          ]),
        );
        this.#container.write(container, child, {
          ...shares,
          resources: details?.containerResources.get(containerName),
        });
      }
    if (this.#groups.has('volume')) this.#writeVolumes(pod, entity, attributes, details, around, at);
    entity.containers.sweep(at);
    entity.volumes.sweep(at);
  }

  #writeVolumes(
    pod: PodStats,
    podEntity: Entity,
    podAttributes: Attributes,
    details: PodDetails | undefined,
    around: Surroundings,
    at: number,
  ): void {
    for (const volume of list(pod.volume)) {
      const name = volume?.name;
      if (typeof name !== 'string') continue;
      let extra: Attributes = [];
      if (this.#wantsVolumes) {
        if (!around.pods) continue;
        const spec = details?.volumes.get(name);
        if (!spec) {
          this.#skipped(NOT_FOUND, pod, name, 'volume');
          continue;
        }
        const claim = claimOf(spec);
        const outcome = claim
          ? around.claims.get(keyOf({ podUid: pod.podRef?.uid ?? '', namespace: '', name: claim }))
          : undefined;
        if (outcome && 'error' in outcome) {
          this.#skipped(outcome.error, pod, name, 'volume');
          continue;
        }
        extra = [...volumeAttributes(spec), ...(outcome?.attributes ?? [])];
      }
      const entity = podEntity.volumes.get(name, extra.join('\n'), at, () =>
        // Of an attribute that is there twice the later value counts: the volume behind a claim says more.
        this.#resource([...new Map([...podAttributes, ['k8s.volume.name', name], ...extra])]),
      );
      this.#volume.write(volume, entity, this.#volumeStart);
    }
  }

  #resource(attributes: Attributes) {
    return switchedResource(this.#o.config.resource_attributes, attributes);
  }

  #skipped(reason: string, pod: PodStats, name: string, what: 'container' | 'volume'): void {
    const error =
      reason === NOT_FOUND || reason.startsWith('has') ? `${what} ${JSON.stringify(name)} ${reason}` : reason;
    const held = this.#told.pass(`${pod.podRef?.uid} ${what} ${name} ${error}`);
    if (held === undefined) return;
    const message =
      what === 'container'
        ? 'failed to fetch container metrics'
        : 'Failed to gather additional volume metadata. Skipping metric collection.';
    this.#o.log.warn(message, { pod: pod.podRef?.name, namespace: pod.podRef?.namespace, [what]: name, error });
  }
}

const NOT_FOUND = 'not found in the fetched metadata';
