/** Objects as they are in a cluster, reached through the kubeconfig as kubectl does. */
import { environment } from '../core/environment.ts';
import { ConfigError, messageOf } from '../core/errors.ts';
import { SILENT } from '../core/log.ts';
import { nameOf } from '../deploy/diff.ts';
import type { KubernetesObject } from '../deploy/kubernetes-object.ts';
import { KubernetesClient, StatusError } from '../kubernetes/client.ts';
import { runCredentialCommand } from '../kubernetes/credential-command.ts';
import { kubeconfigAccess } from '../kubernetes/kubeconfig.ts';
import { pathOf, type ResourceType, withQuery } from '../kubernetes/object.ts';

/** Kind → resource, where it is not the kind in small letters with an s. */
const PLURALS: Readonly<Record<string, string>> = {
  NetworkPolicy: 'networkpolicies',
  SecurityContextConstraints: 'securitycontextconstraints',
};

/** Those of `wanted` that are there, and those that an earlier render left in the same namespaces. */
export async function liveObjects(wanted: readonly KubernetesObject[], context: string): Promise<KubernetesObject[]> {
  const clock = { nowMs: () => Date.now(), nowUnixNano: () => 0n, monotonicMs: () => performance.now() };
  let client: KubernetesClient;
  try {
    const access = kubeconfigAccess(environment(), context, { clock, log: SILENT }, runCredentialCommand);
    client = new KubernetesClient(access, { name: 'API server' });
  } catch (e) {
    throw new ConfigError(messageOf(e), { cause: e });
  }
  try {
    const found = await Promise.all(wanted.map((object) => find(client, object)));
    const names = new Set(wanted.map(nameOf));
    const left = (await leftovers(client, wanted)).filter((o) => !names.has(nameOf(o)));
    return [...found.filter((o) => o !== undefined), ...left];
  } finally {
    client.close();
  }
}

/** What is made in a namespace. */
const NAMESPACED: readonly (readonly [apiVersion: string, kind: string])[] = [
  ['v1', 'ServiceAccount'],
  ['rbac.authorization.k8s.io/v1', 'Role'],
  ['rbac.authorization.k8s.io/v1', 'RoleBinding'],
  ['v1', 'ConfigMap'],
  ['v1', 'Service'],
  ['networking.k8s.io/v1', 'NetworkPolicy'],
  ['policy/v1', 'PodDisruptionBudget'],
  ['apps/v1', 'DaemonSet'],
  ['apps/v1', 'Deployment'],
  ['monitoring.coreos.com/v1', 'PodMonitor'],
  ['monitoring.coreos.com/v1', 'PrometheusRule'],
  ['operator.victoriametrics.com/v1beta1', 'VMPodScrape'],
  ['operator.victoriametrics.com/v1beta1', 'VMRule'],
];

/** Of other collections in other namespaces nothing is said; who may not list something is told nothing of it. */
async function leftovers(
  client: KubernetesClient,
  wanted: readonly KubernetesObject[],
): Promise<readonly KubernetesObject[]> {
  const namespaces = [...new Set(wanted.map((o) => o.metadata.namespace).filter((n) => n !== undefined))];
  const list = async (apiVersion: string, kind: string, namespace = ''): Promise<KubernetesObject[]> => {
    const path = withQuery(pathOf(typeOf(apiVersion, kind), namespace), {
      labelSelector: 'app.kubernetes.io/managed-by=sluice,app.kubernetes.io/part-of=sluice',
    });
    try {
      const answer = (await client.getJson(path, { signal: AbortSignal.timeout(30_000) })) as { items?: object[] };
      return (answer.items ?? []).map((item) => ({ ...item, apiVersion, kind }) as KubernetesObject);
    } catch (e) {
      if (e instanceof StatusError) return [];
      throw new ConfigError(messageOf(e), { cause: e });
    }
  };
  const inside = await Promise.all(namespaces.flatMap((n) => NAMESPACED.map(([v, kind]) => list(v, kind, n))));
  const bindings = (await list('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding')).filter((binding) =>
    ((binding['subjects'] ?? []) as { namespace?: string }[]).some((s) => namespaces.includes(s.namespace ?? '')),
  );
  return [...inside.flat(), ...bindings];
}

function typeOf(apiVersion: string, kind: string): ResourceType {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  return { group: group!, version: version!, resource: PLURALS[kind] ?? `${kind.toLowerCase()}s` };
}

async function find(client: KubernetesClient, object: KubernetesObject): Promise<KubernetesObject | undefined> {
  const { apiVersion, kind, metadata } = object;
  const path = pathOf(typeOf(apiVersion, kind), metadata.namespace, metadata.name);
  try {
    return (await client.getJson(path, { signal: AbortSignal.timeout(30_000) })) as KubernetesObject;
  } catch (e) {
    if (e instanceof StatusError && e.status === 404) return undefined;
    throw new ConfigError(`${kind} ${metadata.name}: ${messageOf(e)}`, { cause: e });
  }
}
