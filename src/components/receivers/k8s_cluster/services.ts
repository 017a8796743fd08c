/** Services, and the slices that hold their endpoints. A service is measured when it or one of its slices changed. */
import type { KubernetesObject } from '../../../kubernetes/object.ts';
import { list, part, text, texts } from './fields.ts';
import type { Measured } from './items.ts';
import {
  type ClusterObject,
  CORE,
  flat,
  type ObjectKind,
  type ServiceFacts,
  type SliceFacts,
  type ZoneCounts,
} from './object-kind.ts';
import type { ObjectRecorder } from './recorder.ts';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const SERVICE_NAME = 'kubernetes.io/service-name';
const ENDPOINT_COUNT = 'k8s.service.endpoint.count';
const CONDITIONS = ['ready', 'serving', 'terminating'] as const;

const serviceKey = (namespace: string, name: string): string => `${namespace}/${name}`;
const prefixed = (prefix: string, entries: readonly (readonly [string, string])[]): [string, string][] =>
  entries.map(([name, value]) => [prefix + name, value]);

export const SERVICES: ObjectKind = {
  type: CORE('services'),
  metrics: ['k8s.service.'],
  hasEntity: true,
  facts(o, { texts: pool }, wants) {
    const { metadata: m } = o;
    const spec = part(o.spec);
    const selector = texts(spec.selector);
    const service: ServiceFacts = {
      namespace: pool.share(m.namespace ?? ''),
      name: m.name,
      selector: flat(selector),
      metrics: {
        metadata: { name: m.name, namespace: pool.share(m.namespace ?? ''), uid: m.uid, resourceVersion: '' },
        type: pool.share(text(spec, 'type')),
        trafficDistribution: pool.share(text(spec, 'trafficDistribution')),
        publishNotReadyAddresses: spec.publishNotReadyAddresses === true,
        ingress: list(part(o.status, 'loadBalancer'), 'ingress').length,
      },
    };
    if (!wants.entities) return { service };
    const annotations = texts(m.annotations).filter(([name]) => name !== LAST_APPLIED);
    const own = flat(
      prefixed('k8s.service.selector.', selector),
      prefixed('k8s.service.label.', texts(m.labels)),
      prefixed('k8s.service.annotation.', annotations),
      [
        ['k8s.service.name', m.name],
        ['k8s.namespace.name', m.namespace ?? ''],
        ['k8s.service.creation_timestamp', m.creationTimestamp ?? ''],
      ],
    );
    return { service, entities: [{ type: 'k8s.service', idKey: 'k8s.service.uid', id: m.uid, shared: [], own }] };
  },
};

export const ENDPOINT_SLICES: ObjectKind = {
  type: { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' },
  metrics: [ENDPOINT_COUNT],
  facts(o, { texts: pool }) {
    const service = o.metadata.labels?.[SERVICE_NAME];
    if (!service) return undefined;
    const zones = new Map<string, ZoneCounts>();
    for (const endpoint of list(part(o), 'endpoints')) {
      const zone = text(endpoint, 'zone');
      let counts = zones.get(zone);
      if (!counts) {
        counts = { zone: pool.share(zone), ready: 0, serving: 0, terminating: 0 };
        zones.set(zone, counts);
      }
      const { ready, serving, terminating } = part(endpoint.conditions);
      const isReady = ready !== false;
      if (isReady) counts.ready++;
      if (typeof serving === 'boolean' ? serving : isReady) counts.serving++;
      if (terminating === true) counts.terminating++;
    }
    const slice: SliceFacts = {
      service: pool.share(serviceKey(o.metadata.namespace ?? '', service)),
      addressType: pool.share(text(part(o), 'addressType')),
      zones: [...zones.values()],
    };
    return { slice };
  },
};

function measureService(o: KubernetesObject, slices: Iterable<SliceFacts>, r: ObjectRecorder): void {
  if (o.type === 'LoadBalancer') r.point('k8s.service.load_balancer.ingress.count', o.ingress as number);
  if (r.isEnabled(ENDPOINT_COUNT)) {
    const sums = new Map<string, { readonly addressType: string; readonly counts: ZoneCounts }>();
    for (const { addressType, zones } of slices)
      for (const z of zones) {
        const key = `${addressType}/${z.zone}`;
        const sum = sums.get(key);
        if (!sum) sums.set(key, { addressType, counts: { ...z } });
        else for (const c of CONDITIONS) sum.counts[c] += z[c];
      }
    for (const { addressType, counts } of sums.values())
      for (const condition of CONDITIONS)
        r.point(ENDPOINT_COUNT, counts[condition], {
          'k8s.service.endpoint.address_type': addressType,
          'k8s.service.endpoint.condition': condition,
          'k8s.service.endpoint.zone': counts.zone,
        });
  }
  const distribution = text(part(o), 'trafficDistribution');
  r.emit([
    ['k8s.service.name', o.metadata.name],
    ['k8s.service.uid', o.metadata.uid],
    ['k8s.namespace.name', o.metadata.namespace ?? ''],
    ['k8s.service.type', text(part(o), 'type')],
    ['k8s.service.traffic_distribution', distribution === '' ? undefined : distribution],
    ['k8s.service.publish_not_ready_addresses', o.publishNotReadyAddresses === true],
  ]);
}

/** The metrics of services, which need objects of two kinds. */
export class ServiceMetrics {
  readonly #recorder: ObjectRecorder;
  readonly #services = new Map<string, ServiceFacts>();
  readonly #slices = new Map<string, Map<string, SliceFacts>>();
  readonly #measured = new Map<string, readonly Measured[]>();
  readonly #changed = new Set<string>();

  constructor(recorder: ObjectRecorder) {
    this.#recorder = recorder;
  }

  put({ uid, facts }: ClusterObject, before?: ClusterObject): void {
    // A slice that went over to another service.
    if (before?.facts?.slice && before.facts.slice.service !== facts?.slice?.service) this.remove(before);
    if (facts?.service) {
      const key = serviceKey(facts.service.namespace, facts.service.name);
      this.#services.set(key, facts.service);
      this.#changed.add(key);
    }
    if (!facts?.slice) return;
    const { service } = facts.slice;
    let slices = this.#slices.get(service);
    if (!slices) {
      slices = new Map();
      this.#slices.set(service, slices);
    }
    slices.set(uid, facts.slice);
    this.#changed.add(service);
  }

  remove({ uid, facts }: ClusterObject): void {
    if (facts?.service) {
      const key = serviceKey(facts.service.namespace, facts.service.name);
      this.#services.delete(key);
      this.#changed.add(key);
    }
    if (!facts?.slice) return;
    const { service } = facts.slice;
    const slices = this.#slices.get(service);
    slices?.delete(uid);
    if (slices?.size === 0) this.#slices.delete(service);
    this.#changed.add(service);
  }

  clear(): void {
    for (const map of [this.#services, this.#slices, this.#measured, this.#changed]) map.clear();
  }

  *measured(): Generator<Measured> {
    for (const key of this.#changed) {
      const service = this.#services.get(key);
      if (!service) {
        this.#measured.delete(key);
        continue;
      }
      this.#recorder.begin(this.#measured.get(key));
      measureService(service.metrics, this.#slices.get(key)?.values() ?? [], this.#recorder);
      this.#measured.set(key, this.#recorder.end());
    }
    this.#changed.clear();
    for (const list of this.#measured.values()) yield* list;
  }
}
