/** One scrape: asks the kubelet, and where needed the API server, and writes a group per node, pod, container, volume. */
import type { Group } from '../../../core/batch.ts';
import type { Clock } from '../../../core/clock.ts';
import type { BuildInfo } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import { type Logger, RateLimit } from '../../../core/log.ts';
import { MetricsBuilder } from '../../../core/metrics/builder.ts';
import { type MetricDeclaration, metricSettings } from '../../../core/metrics/catalogue.ts';
import { switchedResource } from '../../../core/metrics/resource-attributes.ts';
import { parseQuantity, parseWholeQuantity } from '../../../core/quantity.ts';
import { type Scope, scopeOf } from '../../../core/resource.ts';
import type { ScrapeResult, Scraper } from '../../../core/scrape.ts';
import type { KubernetesClient } from '../../../kubernetes/client.ts';
import { BodyBuffer } from '../../../kubernetes/exchange.ts';
import { type Parse, readList } from '../../../kubernetes/json-list.ts';
import { CONTAINER_METRICS, NODE_METRICS, POD_METRICS, SYSTEM_METRICS, VOLUME_METRICS } from './catalogue.ts';
import { Entities, type Entity } from './entities.ts';
import type { KubeletStatsConfig, MetricGroup } from './index.ts';
import { Interfaces, type Shares } from './measure.ts';
import { type PodDetails, podDetails } from './pods.ts';
import {
  type ContainerStats,
  list,
  type NodeStats,
  type PodStats,
  parseExact,
  type Summary,
  type VolumeStats,
} from './summary.ts';
import {
  type Attributes,
  type Claim,
  type ClaimOutcome,
  Claims,
  claimKey,
  claimOf,
  volumeAttributes,
} from './volumes.ts';
import { ContainerWriter, NodeWriter, PodWriter, SystemWriter, VolumeWriter } from './writers.ts';

const SCOPE = 'github.com/open-telemetry/opentelemetry-collector-contrib/receiver/kubeletstatsreceiver';
const CAPACITY_MS = 300_000;
/** What is skipped for a lasting reason is told again after this time. */
const REPEAT_MS = 3_600_000;
const NO_MORE: Attributes = [];
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
interface Surroundings extends Shares {
  /** Undefined: not asked for, or not answered. */
  readonly pods: ReadonlyMap<string, PodDetails> | undefined;
  readonly claims: ReadonlyMap<string, ClaimOutcome>;
}

export class KubeletScraper implements Scraper {
  readonly name = 'kubelet_stats';
  readonly #o: KubeletScraperOptions;
  readonly #scope: Scope;
  readonly #told: RateLimit;
  readonly #groups: ReadonlySet<MetricGroup>;
  readonly #wants: {
    readonly pod: boolean;
    readonly container: boolean;
    readonly volume: boolean;
    readonly ids: boolean;
    readonly volumeTypes: boolean;
  };
  readonly #needsPods: boolean;
  readonly #needsNode: boolean;
  readonly #volumeStart: bigint;
  readonly #claims: Claims | undefined;
  readonly #node: NodeWriter;
  readonly #system: SystemWriter;
  readonly #pod: PodWriter;
  readonly #container: ContainerWriter;
  readonly #volume: VolumeWriter;
  readonly #writers: readonly (NodeWriter | SystemWriter | PodWriter | ContainerWriter | VolumeWriter)[];
  readonly #nodes = new Entities();
  readonly #pods = new Entities();
  readonly #summary = new BodyBuffer();
  readonly #podList = new BodyBuffer();
  #scrapes = 0;
  #capacity = { cpus: 0, memoryBytes: 0, askedAtMs: Number.NEGATIVE_INFINITY };

  constructor(options: KubeletScraperOptions) {
    this.#o = options;
    const { config, clock, isUsageComputed } = options;
    this.#scope = scopeOf(SCOPE, options.build.version);
    this.#told = new RateLimit(REPEAT_MS, () => clock.nowMs());
    this.#volumeStart = clock.nowUnixNano();
    this.#groups = new Set(config.metric_groups);
    const [pod, container, volume] = (['pod', 'container', 'volume'] as const).map((g) => this.#groups.has(g)) as [
      boolean,
      boolean,
      boolean,
    ];
    const ids = container && config.extra_metadata_labels.includes('container.id');
    const volumeTypes = volume && config.extra_metadata_labels.includes('k8s.volume.type');
    this.#wants = { pod, container, volume, ids, volumeTypes };
    const isOn = (pattern: RegExp): boolean =>
      (['pod', 'container'] as const).some(
        (group) =>
          this.#groups.has(group) &&
          (group === 'pod' ? POD_METRICS : CONTAINER_METRICS).some(
            (m) => pattern.test(m.name) && (config.metrics[m.name]?.enabled ?? m.enabled),
          ),
      );
    this.#needsPods = ids || volumeTypes || isOn(/_(?:limit|request)_utilization$/);
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
    this.#writers = [this.#node, this.#system, this.#pod, this.#container, this.#volume];
  }

  async scrape(signal: AbortSignal): Promise<ScrapeResult> {
    const errors: string[] = [];
    const { kubelet } = this.#o;
    const body = await kubelet.get('/stats/summary', { signal, buffer: this.#summary });
    const pods = this.#needsPods ? await this.#askPods(signal, errors) : undefined;
    const claims =
      this.#claims && this.#wants.volumeTypes && pods ? await this.#askClaims(this.#claims, pods, signal) : NO_CLAIMS;
    if (this.#needsNode) await this.#askCapacity(signal, errors);
    const { cpus, memoryBytes } = this.#capacity;
    const groups = this.#write(body, {
      resources: undefined,
      pods,
      claims,
      nodeCpus: cpus,
      nodeMemoryBytes: memoryBytes,
    });
    return { groups, errors };
  }

  async stop(): Promise<void> {
    this.#o.kubelet.close();
    this.#o.api?.close();
  }

  /** Without them, what does not depend on them is measured all the same. */
  async #askPods(signal: AbortSignal, errors: string[]): Promise<ReadonlyMap<string, PodDetails> | undefined> {
    try {
      const { kubelet } = this.#o;
      return kubelet.parse('/pods', await kubelet.get('/pods', { signal, buffer: this.#podList }), podDetails);
    } catch (e) {
      errors.push(messageOf(e));
      return undefined;
    }
  }

  async #askClaims(
    known: Claims,
    pods: ReadonlyMap<string, PodDetails>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ClaimOutcome>> {
    const claims: Claim[] = [];
    for (const [podUid, { namespace, volumes }] of pods)
      for (const spec of volumes.values()) {
        const name = claimOf(spec);
        if (name) claims.push({ podUid, namespace, name });
      }
    return known.resolve(claims, signal);
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

  #write(body: Buffer, around: Surroundings): Group[] {
    const { kubelet } = this.#o;
    this.#scrapes++;
    const read = (parse: Parse): Group[] =>
      kubelet.parse('/stats/summary', body, (json) => this.#read(json, around, parse));
    const groups = read(JSON.parse);
    // Numbers beyond 2^53 are rare, and reading all of them exactly costs five times as much.
    const groupsAreExact = this.#writers.every((w) => w.builder.isExact);
    const exact = groupsAreExact ? groups : read(parseExact);
    this.#nodes.sweep(this.#scrapes);
    this.#pods.sweep(this.#scrapes);
    return exact;
  }

  #read(json: Buffer, around: Surroundings, parse: Parse): Group[] {
    const { clock } = this.#o;
    const now = { nano: clock.nowUnixNano(), ms: clock.nowMs() };
    const nodeGroups: Group[] = [];
    const podGroups: Group[] = [];
    for (const w of this.#writers)
      w.begin(w === this.#node || w === this.#system ? nodeGroups : podGroups, this.#scope, now);
    const onPod = (pod: unknown): void => {
      if ((pod as PodStats | null)?.podRef) this.#writePod(pod as PodStats, around);
    };
    const rest = readList(json, 'pods', '{"podRef":', onPod, parse);
    const node = (rest as Summary | null)?.node;
    if (node && this.#groups.has('node')) this.#writeNode(node);
    return [...nodeGroups, ...podGroups];
  }

  #writeNode(node: NodeStats): void {
    const at = this.#scrapes;
    const nodeName = node.nodeName ?? '';
    const attributes: Attributes = [['k8s.node.name', nodeName]];
    const entity = this.#nodes.find(nodeName, '', at) ?? this.#nodes.add(nodeName, '', at, this.#resource(attributes));
    this.#node.write(node, entity);
    if (!this.#system.enabled) return;
    for (const container of list(node.systemContainers)) {
      const name = container?.name;
      if (typeof name !== 'string') continue;
      const known = entity.containers.find(name, '', at);
      this.#system.write(
        container,
        known ??
          entity.containers.add(
            name,
            '',
            at,
            this.#resource([...attributes, ['k8s.node.system_container.name', name]]),
          ),
      );
    }
    entity.containers.sweep(at);
  }

  #writePod(pod: PodStats, around: Surroundings): void {
    const at = this.#scrapes;
    const { uid = '', name = '', namespace = '' } = pod.podRef!;
    const detail = `${namespace}/${name}`;
    const entity =
      this.#pods.find(uid, detail, at) ?? this.#pods.add(uid, detail, at, this.#resource(podAttributes(pod)));
    const details = around.pods?.get(uid);
    const shares = details
      ? { resources: details.resources, nodeCpus: around.nodeCpus, nodeMemoryBytes: around.nodeMemoryBytes }
      : around;
    if (this.#wants.pod) this.#pod.write(pod, entity, shares);
    if (this.#wants.container) {
      for (const container of list(pod.containers)) this.#writeContainer(container, pod, entity, details, around);
      entity.containers.sweep(at);
    }
    if (this.#wants.volume) {
      for (const volume of list(pod.volume)) this.#writeVolume(volume, pod, entity, details, around);
      entity.volumes.sweep(at);
    }
  }

  #writeContainer(
    container: ContainerStats | null,
    pod: PodStats,
    podEntity: Entity,
    details: PodDetails | undefined,
    around: Surroundings,
  ): void {
    const name = container?.name;
    if (typeof name !== 'string') return;
    let id = '';
    if (this.#wants.ids) {
      if (!around.pods) return;
      const found = details?.containerIds.get(name);
      if (!found) {
        const why = found === '' ? 'has an empty containerID' : 'not found in the fetched metadata';
        this.#skipped(`container ${JSON.stringify(name)} ${why}`, pod, name, 'container');
        return;
      }
      id = found;
    }
    const at = this.#scrapes;
    const entity =
      podEntity.containers.find(name, id, at) ??
      podEntity.containers.add(
        name,
        id,
        at,
        this.#resource([
          ...podAttributes(pod),
          ['k8s.container.name', name],
          ...(id === '' ? [] : ([['container.id', id]] as const)),
        ]),
      );
    const resources = details?.containerResources.get(name);
    const shares = resources
      ? { resources, nodeCpus: around.nodeCpus, nodeMemoryBytes: around.nodeMemoryBytes }
      : around;
    this.#container.write(container!, entity, shares);
  }

  #writeVolume(
    volume: VolumeStats | null,
    pod: PodStats,
    podEntity: Entity,
    details: PodDetails | undefined,
    around: Surroundings,
  ): void {
    const name = volume?.name;
    if (typeof name !== 'string') return;
    const extra = this.#wants.volumeTypes ? this.#volumeAttributes(pod, name, details, around) : NO_MORE;
    if (!extra) return;
    const at = this.#scrapes;
    const detail = extra.length === 0 ? '' : extra.join('\n');
    const entity =
      podEntity.volumes.find(name, detail, at) ??
      podEntity.volumes.add(
        name,
        detail,
        at,
        // Of an attribute that is there twice the later value counts: the volume behind a claim says more.
        this.#resource([...new Map([...podAttributes(pod), ['k8s.volume.name', name], ...extra])]),
      );
    this.#volume.write(volume!, entity, this.#volumeStart);
  }

  /** Undefined: not known, and so the volume is left out. */
  #volumeAttributes(
    pod: PodStats,
    name: string,
    details: PodDetails | undefined,
    around: Surroundings,
  ): Attributes | undefined {
    if (!around.pods) return undefined;
    const spec = details?.volumes.get(name);
    if (!spec) {
      this.#skipped(`volume ${JSON.stringify(name)} not found in the fetched metadata`, pod, name, 'volume');
      return undefined;
    }
    const claim = claimOf(spec);
    const outcome = claim ? around.claims.get(claimKey(pod.podRef?.uid ?? '', claim)) : undefined;
    if (outcome && 'error' in outcome) {
      this.#skipped(outcome.error, pod, name, 'volume');
      return undefined;
    }
    return [...volumeAttributes(spec), ...(outcome?.attributes ?? [])];
  }

  #resource(attributes: Attributes) {
    return switchedResource(this.#o.config.resource_attributes, attributes);
  }

  #skipped(error: string, pod: PodStats, name: string, what: 'container' | 'volume'): void {
    const held = this.#told.pass(`${pod.podRef?.uid} ${what} ${name} ${error}`);
    if (held === undefined) return;
    const message =
      what === 'container'
        ? 'failed to fetch container metrics'
        : 'Failed to gather additional volume metadata. Skipping metric collection.';
    this.#o.log.warn(message, { pod: pod.podRef?.name, namespace: pod.podRef?.namespace, [what]: name, error });
  }
}

const podAttributes = ({ podRef }: PodStats): Attributes => [
  ['k8s.pod.uid', podRef?.uid ?? ''],
  ['k8s.pod.name', podRef?.name ?? ''],
  ['k8s.namespace.name', podRef?.namespace ?? ''],
];
