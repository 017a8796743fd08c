/**
 * Agent and gateway as processes of this checkout that see what they would see as pods: the credentials of a service
 * account and the logs of the node where a pod has them, in a mount namespace of their own, and the API server's
 * address in the environment.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { CollectorConfig } from '../../src/deploy/config.ts';
import type { PolicyRule } from '../../src/deploy/rbac.ts';
import { type Agent, defer, READY, startAgent, tempDir, until } from '../helpers/agent.ts';
import { SLUICE } from '../helpers/paths.ts';
import type { Any, Cluster } from './cluster.ts';

/** What rbacOf computes for a configuration, or a part of it. */
export interface Permissions {
  readonly cluster: readonly PolicyRule[];
  readonly namespaced?: readonly { readonly namespace: string; readonly rules: readonly PolicyRule[] }[];
}

export interface Account {
  /** As the API server knows it. */
  readonly user: string;
  /** `ca.crt`, `token` and `namespace`, as they are mounted into pods. */
  readonly dir: string;
  /** Resolves when it may do just this, of all the things that accounts are given. */
  allow(permissions: Permissions): Promise<void>;
}

const RBAC = 'rbac.authorization.k8s.io';

/** A service account that may do just this, with a token; gone when the test ends. */
export async function makeAccount(
  t: TestContext,
  cluster: Cluster,
  namespace: string,
  name: string,
  permissions: Permissions,
): Promise<Account> {
  const user = `system:serviceaccount:${namespace}:${name}`;
  const role = `${namespace}-${name}`;
  const bind = (of: 'Role' | 'ClusterRole', inside: string | undefined, rules: readonly PolicyRule[]): object[] => {
    const apiVersion = `${RBAC}/v1`;
    const metadata = { name: role, ...(inside === undefined ? {} : { namespace: inside }) };
    const roleRef = { apiGroup: RBAC, kind: of, name: role };
    const subjects = [{ kind: 'ServiceAccount', name, namespace }];
    return [
      {
        apiVersion,
        kind: of,
        metadata,
        rules: rules.map(({ why: _, ...rule }: PolicyRule & { why?: unknown }) => rule),
      },
      { apiVersion, kind: `${of}Binding`, metadata, roleRef, subjects },
    ];
  };
  /** `get nodes/stats` of all rules that hold in a namespace. */
  const rightsIn = (rules: readonly PolicyRule[]): string =>
    rules
      .flatMap((r) => r.resources.flatMap((of) => r.verbs.map((v) => `${v} ${of}.${r.apiGroups} ${r.resourceNames}`)))
      .sort()
      .join();
  const review = async (inside: string): Promise<PolicyRule[]> => {
    const kind = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview' };
    const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
    const ask = ['create', '--raw', path, '-f', '-', '--as', user];
    const { status } = JSON.parse(await cluster.kubectl(ask, JSON.stringify({ ...kind, spec: { namespace: inside } })));
    // Every account may ask what it may do.
    return status.resourceRules.filter((r: Any) => !/^self/.test(r.resources[0]));
  };
  const allow = async ({ cluster: everywhere, namespaced = [] }: Permissions): Promise<void> => {
    const roles = namespaced.flatMap((n) => bind('Role', n.namespace, n.rules));
    await cluster.apply(...bind('ClusterRole', undefined, everywhere), ...roles);
    // The API server goes by it a moment after it was written.
    const own = { namespace, rules: [] };
    const places = namespaced.some((n) => n.namespace === namespace) ? namespaced : [own, ...namespaced];
    for (const { namespace: inside, rules } of places)
      await until(
        async () => rightsIn(await review(inside)) === rightsIn([...everywhere, ...rules]),
        `the rights of ${user}`,
      );
  };
  await cluster.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } });
  defer(t, () =>
    cluster.kubectl(['delete', `clusterrole/${role}`, `clusterrolebinding/${role}`, '--ignore-not-found']),
  );
  await allow(permissions);

  const dir = tempDir(t);
  const token = await cluster.kubectl(['-n', namespace, 'create', 'token', name, '--duration=1h']);
  writeFileSync(join(dir, 'token'), token.trim(), { mode: 0o600 });
  writeFileSync(join(dir, 'namespace'), namespace);
  writeFileSync(join(dir, 'ca.crt'), readFileSync(cluster.caFile));
  return { user, dir, allow };
}

/** Nothing of it stays on the machine: what is mounted goes with the process. */
const AS_IN_A_POD = `
mount -t tmpfs tmpfs /run && account=/run/secrets/kubernetes.io/serviceaccount && mkdir -p "$account" &&
mount --bind "$1" "$account" || exit 1
if [ "$2" != /var/log/pods ]; then
  logs=$(mktemp -d) && mount --bind "$2" "$logs" && mount -t tmpfs tmpfs /var/log && mkdir /var/log/pods &&
  mount --move "$logs" /var/log/pods && rmdir "$logs" || exit 1
fi
shift 2
exec "$@"
`;

export interface CollectorOptions {
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts it without waiting for anything. */
export function startCollector(
  t: TestContext,
  cluster: Cluster,
  account: Account,
  config: CollectorConfig,
  options: CollectorOptions = {},
): Agent {
  const dir = tempDir(t);
  const file = join(dir, 'config.yaml');
  writeFileSync(file, JSON.stringify(config, undefined, 2));
  mkdirSync(cluster.podLogsDir, { recursive: true });
  const inside = ['sh', '-c', AS_IN_A_POD, 'sh', account.dir, cluster.podLogsDir, SLUICE, '--config', file];
  return startAgent(t, ['--mount', '--propagation', 'private', ...inside], {
    command: 'unshare',
    env: {
      KUBERNETES_SERVICE_HOST: cluster.nodeIp,
      KUBERNETES_SERVICE_PORT: String(cluster.apiPort),
      K8S_NODE_NAME: cluster.nodeName,
      K8S_NODE_IP: cluster.nodeIp,
      ...options.env,
    },
  });
}

/** Starts it and waits until it says that it is ready. */
export async function runCollector(...args: Parameters<typeof startCollector>): Promise<Agent> {
  const collector = startCollector(...args);
  await collector.says(READY);
  return collector;
}

export async function killCollector(collector: Agent): Promise<void> {
  collector.signal('SIGKILL');
  await collector.exited;
}
