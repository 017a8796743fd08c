/** What is kept of pods and of the objects around them: little, because a gateway keeps a whole cluster. */
import { compileRegex } from '../../../core/regex.ts';
import type { Kept, Kind } from '../../../kubernetes/cache.ts';
import {
  compactVersion,
  type KubernetesObject,
  type ResourceType,
  type StringPool,
} from '../../../kubernetes/object.ts';
import type { Origin } from './config.ts';
import type { Rules, Tags } from './rules.ts';

export interface Owner {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface ContainerFacts {
  readonly name: string;
  /** '' when the specification does not count or does not know it. */
  readonly image: string;
  /** A status says that it was made. */
  readonly isMade: boolean;
  /** Without the name of the runtime. */
  readonly id: string;
  readonly imageId: string;
  readonly restartCount: number;
}

export interface PodFacts extends Kept {
  readonly uid: string;
  /** Of a pod that the kubelet reads from a file: the uid that it has there, and in the path of its logs; ''. */
  readonly staticUid: string;
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly hostname: string;
  readonly ip: string;
  readonly isHostNetwork: boolean;
  /** status.startTime, 0 without: of two pods with one address the newer has it. */
  readonly startMs: number;
  /** metadata.creationTimestamp, 0 without. */
  readonly createdMs: number;
  readonly owners: readonly Owner[];
  /** Label pod-template-hash. */
  readonly templateHash: string;
  /** Labels app.kubernetes.io/instance (else name) and version. */
  readonly appName: string | undefined;
  readonly appVersion: string | undefined;
  readonly tags: Tags;
  readonly containers: readonly ContainerFacts[];
  /** Excluded: known, and left alone. */
  readonly isIgnored: boolean;
}

/** A namespace, a node or what owns pods. */
export interface ObjectFacts extends Kept {
  readonly name: string;
  readonly tags: Tags;
  /** The Deployment of a replica set, the CronJob of a job. */
  readonly owner: Owner | undefined;
}

const NONE: readonly never[] = Object.freeze([]);
const IGNORE = 'opentelemetry.io/k8s-processor/ignore';
const STATIC_UID = 'kubernetes.io/config.hash';
const DEFAULT_EXCLUDED = ['jaeger-agent', 'jaeger-collector'];

interface Pod extends KubernetesObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly hostname?: string;
    readonly hostNetwork?: boolean;
    readonly containers?: readonly ContainerSpec[];
    readonly initContainers?: readonly ContainerSpec[];
  };
  readonly status?: {
    readonly podIP?: string;
    readonly startTime?: string;
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}
interface ContainerSpec {
  readonly name: string;
  readonly image?: string;
}
interface ContainerStatus {
  readonly name: string;
  readonly containerID?: string;
  readonly imageID?: string;
  readonly restartCount?: number;
}

export interface PodKindOptions {
  /** Names this selection of facts: one for every configuration. */
  readonly id: string;
  readonly rules: Rules;
  readonly excluded: readonly string[];
  /** Pods are looked for by the id of a container. */
  readonly needsContainerIds: boolean;
}

const timeOf = (text: string | undefined): number => (text === undefined ? 0 : Date.parse(text) || 0);

export function podKind({ id, rules, excluded, needsContainerIds }: PodKindOptions): Kind<PodFacts> {
  const patterns = (excluded.length === 0 ? DEFAULT_EXCLUDED : excluded).map(compileRegex);
  const needsContainers = rules.needsContainers || needsContainerIds;
  const needsNames = rules.has('service.name');
  const needsVersion = rules.has('service.version');
  return {
    id,
    group: '',
    version: 'v1',
    resource: 'pods',
    isSame: (a, b) => sameFacts(a, b),
    keep(object, pool) {
      const { metadata: m, spec, status } = object as Pod;
      const share = (text: string): string => pool.share(text);
      const isIgnored =
        (rules.hasAnnotations && m.annotations?.[IGNORE]?.trim().toLowerCase() === 'true') ||
        patterns.some((p) => p.test(m.name));
      const labels = m.labels ?? {};
      return {
        uid: m.uid,
        version: compactVersion(m.resourceVersion),
        staticUid: m.annotations?.[STATIC_UID] ?? '',
        name: m.name,
        namespace: share(m.namespace ?? ''),
        node: rules.has('k8s.node.name') ? share(spec?.nodeName ?? '') : '',
        hostname: rules.has('k8s.pod.hostname') ? (spec?.hostname ?? '') : '',
        ip: status?.podIP ?? '',
        isHostNetwork: spec?.hostNetwork === true,
        startMs: timeOf(status?.startTime),
        createdMs: timeOf(m.creationTimestamp),
        owners:
          rules.needsOwners && m.ownerReferences
            ? m.ownerReferences.map((o) => ({ kind: share(o.kind), name: share(o.name), uid: share(o.uid) }))
            : NONE,
        templateHash: rules.needsOwners ? share(labels['pod-template-hash'] ?? '') : '',
        appName: needsNames
          ? shared(labels['app.kubernetes.io/instance'] ?? labels['app.kubernetes.io/name'], pool)
          : undefined,
        appVersion: needsVersion ? shared(labels['app.kubernetes.io/version'], pool) : undefined,
        tags: rules.tags('pod', m.labels, m.annotations, share),
        containers: needsContainers && !isIgnored ? containersOf(object as Pod, rules, pool) : NONE,
        isIgnored,
      };
    },
  };
}

const shared = (text: string | undefined, pool: StringPool): string | undefined =>
  text === undefined ? undefined : pool.share(text);

/** Ordinary containers and init containers, those of the specification first; ephemeral ones do not count. */
function containersOf({ spec, status }: Pod, rules: Rules, pool: StringPool): readonly ContainerFacts[] {
  const byName = new Map<string, ContainerFacts>();
  if (rules.needsContainerSpecs)
    for (const c of [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])])
      byName.set(c.name, {
        name: pool.share(c.name),
        image: pool.share(c.image ?? ''),
        isMade: false,
        id: '',
        imageId: '',
        restartCount: 0,
      });
  for (const s of [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])]) {
    const id = s.containerID ?? '';
    const at = id.indexOf('://');
    byName.set(s.name, {
      name: pool.share(s.name),
      image: byName.get(s.name)?.image ?? '',
      isMade: true,
      id: at < 0 ? id : id.slice(at + 3),
      imageId: rules.has('container.image.repo_digests') ? pool.share(s.imageID ?? '') : '',
      restartCount: s.restartCount ?? 0,
    });
  }
  // A copy has no room to grow, which is more than what is in it.
  return byName.size === 0 ? NONE : [...byName.values()].slice();
}

/** Pods change often (conditions, heartbeats) in ways that do not matter here. */
function sameFacts(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length && keys.every((k) => k === 'version' || sameFacts(left[k], right[k]))
  );
}

const TYPES = {
  namespace: { group: '', version: 'v1', resource: 'namespaces' },
  node: { group: '', version: 'v1', resource: 'nodes' },
  deployment: { group: 'apps', version: 'v1', resource: 'deployments' },
  replicaset: { group: 'apps', version: 'v1', resource: 'replicasets' },
  statefulset: { group: 'apps', version: 'v1', resource: 'statefulsets' },
  daemonset: { group: 'apps', version: 'v1', resource: 'daemonsets' },
  job: { group: 'batch', version: 'v1', resource: 'jobs' },
  cronjob: { group: 'batch', version: 'v1', resource: 'cronjobs' },
} as const satisfies Record<Exclude<Origin, 'pod'>, ResourceType>;

/** What owns an object of this kind, where that is asked for. */
const OWNER_OF: Partial<Record<Origin, string>> = { replicaset: 'Deployment', job: 'CronJob' };

export function objectKind(id: string, origin: Exclude<Origin, 'pod'>, rules: Rules): Kind<ObjectFacts> {
  const ownerKind = OWNER_OF[origin];
  return {
    id,
    ...TYPES[origin],
    metadataOnly: true,
    isSame: sameFacts,
    keep({ metadata: m }, pool) {
      const owner = ownerKind && m.ownerReferences?.find((o) => o.kind === ownerKind && o.controller !== false);
      return {
        uid: m.uid,
        version: compactVersion(m.resourceVersion),
        name: m.name,
        tags: rules.tags(origin, m.labels, m.annotations, (text) => pool.share(text)),
        owner: owner ? { kind: ownerKind, name: pool.share(owner.name), uid: pool.share(owner.uid) } : undefined,
      };
    },
  };
}
