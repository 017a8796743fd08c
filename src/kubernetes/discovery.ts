/** Which resources a cluster has: in two requests where the server can, group by group where it cannot. */
import { type KubernetesClient, StatusError } from './client.ts';
import type { ResourceType } from './object.ts';

export interface DiscoveredResource extends ResourceType {
  /** `Pod` */
  readonly kind: string;
  readonly isNamespaced: boolean;
  readonly verbs: readonly string[];
}

const AGGREGATED =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,' +
  'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';

interface AggregatedResource {
  readonly resource: string;
  readonly responseKind?: { readonly kind?: string };
  readonly scope: string;
  readonly verbs: readonly string[];
}
interface AggregatedList {
  readonly kind: 'APIGroupDiscoveryList';
  readonly items?: readonly {
    readonly metadata?: { readonly name?: string };
    readonly versions?: readonly { readonly version: string; readonly resources?: readonly AggregatedResource[] }[];
  }[];
}
interface ResourceList {
  readonly groupVersion: string;
  readonly resources?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly verbs?: readonly string[];
  }[];
}
interface GroupList {
  readonly groups?: readonly { readonly preferredVersion: { readonly groupVersion: string } }[];
}

/**
 * Every resource in the version that the server prefers, the core group first. Groups that do not answer (a broken
 * extension server) are left out; their names are in `failed`.
 */
export async function discover(client: KubernetesClient, signal: AbortSignal) {
  const failed: string[] = [];
  const resources: DiscoveredResource[] = [];
  const get = (path: string) => client.getJson(path, { signal, accept: AGGREGATED });
  const core = (await get('/api')) as Partial<AggregatedList> | null;
  if (core?.kind === 'APIGroupDiscoveryList') resources.push(...aggregated(core));
  else resources.push(...resourcesOf((await client.getJson('/api/v1', { signal })) as ResourceList));
  const named = (await get('/apis')) as Partial<AggregatedList> & GroupList;
  if (named?.kind === 'APIGroupDiscoveryList') resources.push(...aggregated(named));
  else
    for (const group of named?.groups ?? []) {
      const { groupVersion } = group.preferredVersion;
      try {
        resources.push(...resourcesOf((await client.getJson(`/apis/${groupVersion}`, { signal })) as ResourceList));
      } catch (e) {
        if (!(e instanceof StatusError)) throw e;
        failed.push(groupVersion);
      }
    }
  return { resources, failed };
}

const aggregated = (list: Partial<AggregatedList>): DiscoveredResource[] =>
  (list.items ?? []).flatMap(({ metadata, versions }) => {
    const preferred = versions?.[0];
    return (preferred?.resources ?? []).map((r) => ({
      group: metadata?.name ?? '',
      version: preferred!.version,
      resource: r.resource,
      kind: r.responseKind?.kind ?? '',
      isNamespaced: r.scope === 'Namespaced',
      verbs: r.verbs,
    }));
  });

function resourcesOf({ groupVersion, resources = [] }: ResourceList): DiscoveredResource[] {
  const [version, group = ''] = groupVersion.split('/').reverse();
  return resources
    .filter((r) => !r.name.includes('/'))
    .map((r) => ({
      group,
      version: version!,
      resource: r.name,
      kind: r.kind,
      isNamespaced: r.namespaced,
      verbs: r.verbs ?? [],
    }));
}
