/** What a kind of object declares, and what is kept of each object. */
import type { Kept } from '../../../kubernetes/cache.ts';
import type { KubernetesObject, ResourceType, StringPool } from '../../../kubernetes/object.ts';
import type { Measured } from './items.ts';
import type { ObjectRecorder } from './recorder.ts';

export interface Entity {
  /** `k8s.pod` */
  readonly type: string;
  /** `k8s.pod.uid` */
  readonly idKey: string;
  readonly id: string;
  /** Attributes that other objects may have too: names and values in turn, one list for all that are equal. */
  readonly shared: readonly string[];
  /** The others, which win. */
  readonly own: readonly string[];
}

export interface Owner {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** Of a pod: what makes attributes of other objects its own. */
export interface PodLinks {
  readonly namespace: string;
  /** Names and values in turn. */
  readonly labels: readonly string[];
  /** The ReplicaSet or Job whose own owner matters. */
  readonly owner: Owner | undefined;
}

export interface ServiceFacts {
  readonly namespace: string;
  readonly name: string;
  /** Names and values in turn; empty: it selects nothing. */
  readonly selector: readonly string[];
  /** The object, as far as its metrics need it. */
  readonly metrics: KubernetesObject;
}

/** Endpoints of one slice, by zone. */
export interface SliceFacts {
  /** Namespace and name of the service. */
  readonly service: string;
  readonly addressType: string;
  readonly zones: readonly ZoneCounts[];
}

export interface ZoneCounts {
  readonly zone: string;
  ready: number;
  serving: number;
  terminating: number;
}

export interface Facts {
  readonly entities?: readonly Entity[];
  /** Of a ReplicaSet its Deployment, of a Job its CronJob. */
  readonly owner?: Owner | undefined;
  readonly pod?: PodLinks;
  readonly service?: ServiceFacts;
  readonly slice?: SliceFacts;
}

export interface ClusterObject extends Kept {
  readonly measured: readonly Measured[];
  readonly facts: Facts | undefined;
}

export interface ObjectKind {
  readonly type: ResourceType;
  readonly isClusterWide?: boolean;
  /** Its metrics begin with one of these. */
  readonly metrics: readonly string[];
  readonly hasEntity?: boolean;
  measure?(object: KubernetesObject, recorder: ObjectRecorder): void;
  /** What is kept besides metrics. */
  facts?(object: KubernetesObject, pools: Pools, wants: { readonly entities: boolean }): Facts | undefined;
}

export const CORE = (resource: string): ResourceType => ({ group: '', version: 'v1', resource });
export const APPS = (resource: string): ResourceType => ({ group: 'apps', version: 'v1', resource });
export const BATCH = (resource: string): ResourceType => ({ group: 'batch', version: 'v1', resource });

type Pairs = readonly (readonly [name: string, value: string])[];

const MAX_LISTS = 1 << 14;

/** One copy of what objects of a cluster have in common: texts, and lists of names and values. */
export class Pools {
  readonly texts: StringPool;
  readonly #lists = new Map<string, readonly string[]>();

  constructor(texts: StringPool) {
    this.texts = texts;
  }

  /** Names and values in turn; equal lists are one. */
  list(...pairs: readonly Pairs[]): readonly string[] {
    const all = flat(...pairs);
    const key = all.join('\0');
    const known = this.#lists.get(key);
    if (known) return known;
    const list = all.map((text) => this.texts.share(text));
    if (this.#lists.size >= MAX_LISTS) this.#lists.clear();
    this.#lists.set(key, list);
    return list;
  }

  owner({ kind, name, uid }: Owner): Owner {
    const { texts } = this;
    return { kind: texts.share(kind), name: texts.share(name), uid: texts.share(uid) };
  }
}

/** Names and values in turn. */
export function flat(...lists: readonly Pairs[]): string[] {
  const all: string[] = [];
  for (const pairs of lists) for (const [name, value] of pairs) all.push(name, value);
  return all.slice();
}
