/** Objects of Kubernetes as JSON brings them, the paths they live under, and what keeps many of them small. */

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

export interface ObjectMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** What lies beyond metadata is not checked by anybody: look before use. */
export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMetadata;
  readonly [field: string]: unknown;
}

/** `{group: 'apps', version: 'v1', resource: 'deployments'}`; the core group is ''. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

/** Which objects of a resource: those of one namespace (undefined or '': of all), and those that selectors match. */
export interface Selection {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** Path of the collection, or of one object in it. */
export function pathOf(type: ResourceType, namespace = '', name = ''): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const inside = namespace === '' ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${inside}/${type.resource}${name === '' ? '' : `/${encodeURIComponent(name)}`}`;
}

/** `pods`, `deployments.apps`, as kubectl and RBAC messages write it. */
export const resourceName = (type: ResourceType): string =>
  type.group === '' ? type.resource : `${type.resource}.${type.group}`;

/** Asks for no more of objects than their metadata; a server that cannot do that gives the whole. */
export const METADATA_ONLY = {
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json',
  watch: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json',
} as const;

/** One text per selection, so that equal ones meet. */
export const selectionKey = (type: ResourceType, s: Selection): string =>
  `${pathOf(type, s.namespace)}?labels=${s.labelSelector ?? ''}&fields=${s.fieldSelector ?? ''}`;

/** The path with what is asked; members that are undefined or '' are left out. */
export function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(query).filter((e): e is [string, string] => e[1] !== undefined && e[1] !== '');
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

export const metadataOf = (value: unknown): ObjectMetadata | undefined => {
  const metadata = (value as { metadata?: unknown } | null)?.metadata;
  return typeof metadata === 'object' && metadata !== null ? (metadata as ObjectMetadata) : undefined;
};

/** A resource version as a number where it is one, which takes no memory of its own. */
export function compactVersion(version: string): string | number {
  const n = Number(version);
  return Number.isSafeInteger(n) && String(n) === version ? n : version;
}

const MAX_POOLED = 1 << 16;
/** Longer texts hardly repeat. */
const MAX_POOLED_LENGTH = 256;

/**
 * One copy of texts that many objects share: names of namespaces, nodes, owners, images, labels. When there are too many
 * it starts anew: what was given out stays, and later copies are shared among themselves.
 */
export class StringPool {
  readonly #known = new Map<string, string>();

  get size(): number {
    return this.#known.size;
  }

  share(text: string): string {
    if (text.length > MAX_POOLED_LENGTH) return text;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    if (this.#known.size >= MAX_POOLED) this.#known.clear();
    this.#known.set(text, text);
    return text;
  }

  clear(): void {
    this.#known.clear();
  }
}
