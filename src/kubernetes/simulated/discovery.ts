/** What a simulated API server says about the resources it has, in the aggregated form and in the older one. */
import type { SimulatedResource } from './population.ts';

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];

const apiVersionOf = (r: SimulatedResource): string => (r.group === '' ? r.version : `${r.group}/${r.version}`);
const groupsOf = (resources: readonly SimulatedResource[]): string[] => [...new Set(resources.map((r) => r.group))];

/** /api and /apis with Accept: …as=APIGroupDiscoveryList. */
export function aggregatedDiscovery(path: string, resources: readonly SimulatedResource[]): unknown {
  if (path !== '/api' && path !== '/apis') return groupDiscovery(path, resources);
  const isCore = path === '/api';
  const items = groupsOf(resources)
    .filter((g) => (g === '') === isCore)
    .map((group) => {
      const own = resources.filter((r) => r.group === group);
      const versions = [...new Set(own.map((r) => r.version))].map((version) => ({
        version,
        freshness: 'Current',
        resources: own
          .filter((r) => r.version === version)
          .map((r) => ({
            resource: r.resource,
            responseKind: { group, version, kind: r.kind },
            scope: r.isNamespaced ? 'Namespaced' : 'Cluster',
            singularResource: r.kind.toLowerCase(),
            verbs: VERBS,
          })),
      }));
      return { metadata: { name: group || null, creationTimestamp: null }, versions };
    });
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items };
}

/** /api, /apis, /api/v1, /apis/<group>/<version>. */
export function groupDiscovery(path: string, resources: readonly SimulatedResource[]): unknown {
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
  if (path === '/apis') {
    const groups = groupsOf(resources)
      .filter((g) => g !== '')
      .map((name) => {
        const versions = [...new Set(resources.filter((r) => r.group === name).map((r) => r.version))].map(
          (version) => ({
            groupVersion: `${name}/${version}`,
            version,
          }),
        );
        return { name, versions, preferredVersion: versions[0] };
      });
    return { kind: 'APIGroupList', apiVersion: 'v1', groups };
  }
  const groupVersion = /^\/(?:api|apis)\/((?:[^/]+\/)?[^/]+)$/.exec(path)?.[1];
  const own = resources.filter(
    (r) => apiVersionOf(r) === groupVersion && path.startsWith(r.group === '' ? '/api/' : '/apis/'),
  );
  if (own.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: own.map((r) => ({
      name: r.resource,
      singularName: '',
      namespaced: r.isNamespaced,
      kind: r.kind,
      verbs: VERBS,
    })),
  };
}
