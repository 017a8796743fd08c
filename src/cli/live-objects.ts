/** Objects as they are in a cluster, reached through the kubeconfig as kubectl does. */
import { environment } from '../core/environment.ts';
import { ConfigError, messageOf } from '../core/errors.ts';
import { SILENT } from '../core/log.ts';
import type { KubernetesObject } from '../deploy/kubernetes-object.ts';
import { KubernetesClient, StatusError } from '../kubernetes/client.ts';
import { kubeconfigAccess } from '../kubernetes/kubeconfig.ts';
import { pathOf } from '../kubernetes/object.ts';

/** Kind → resource, where it is not the kind in small letters with an s. */
const PLURALS: Readonly<Record<string, string>> = {
  NetworkPolicy: 'networkpolicies',
  SecurityContextConstraints: 'securitycontextconstraints',
};

/** Those of `wanted` that are there. */
export async function liveObjects(wanted: readonly KubernetesObject[], context: string): Promise<KubernetesObject[]> {
  const clock = { nowMs: () => Date.now(), nowUnixNano: () => 0n, monotonicMs: () => performance.now() };
  let client: KubernetesClient;
  try {
    client = new KubernetesClient(kubeconfigAccess(environment(), context, { clock, log: SILENT }), {
      name: 'API server',
    });
  } catch (e) {
    throw new ConfigError(messageOf(e), { cause: e });
  }
  try {
    const found = await Promise.all(wanted.map((object) => find(client, object)));
    return found.filter((o) => o !== undefined);
  } finally {
    client.close();
  }
}

async function find(client: KubernetesClient, object: KubernetesObject): Promise<KubernetesObject | undefined> {
  const { apiVersion, kind, metadata } = object;
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  const resource = PLURALS[kind] ?? `${kind.toLowerCase()}s`;
  const path = pathOf({ group: group!, version: version!, resource }, metadata.namespace, metadata.name);
  try {
    return (await client.getJson(path, { signal: AbortSignal.timeout(30_000) })) as KubernetesObject;
  } catch (e) {
    if (e instanceof StatusError && e.status === 404) return undefined;
    throw new ConfigError(`${kind} ${metadata.name}: ${messageOf(e)}`, { cause: e });
  }
}
