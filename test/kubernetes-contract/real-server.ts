/** A real API server for the contract: a kubeconfig that may do anything, a namespace for as long as it takes. */
import { randomBytes } from 'node:crypto';
import { SILENT } from '../../src/core/log.ts';
import type { Access } from '../../src/kubernetes/access.ts';
import { explainApiRefusal } from '../../src/kubernetes/api-server.ts';
import { KubernetesClient } from '../../src/kubernetes/client.ts';
import { kubeconfigAccess } from '../../src/kubernetes/kubeconfig.ts';
import type { ContractServer, Rule } from './contract.ts';

const clock = {
  nowMs: () => Date.now(),
  nowUnixNano: () => BigInt(Date.now()) * 1_000_000n,
  monotonicMs: () => performance.now(),
};
const RBAC = '/apis/rbac.authorization.k8s.io/v1';

export async function realServer(kubeconfig: string): Promise<ContractServer> {
  const access = kubeconfigAccess({ KUBECONFIG: kubeconfig }, '', { clock, log: SILENT });
  const clients: KubernetesClient[] = [];
  const client = (how: Access): KubernetesClient => {
    const made = new KubernetesClient(how, { name: 'API server', explain: explainApiRefusal });
    clients.push(made);
    return made;
  };
  /** With the server's CA and nothing of the admin's. */
  const withToken = (token: string): KubernetesClient =>
    client({
      ...access,
      tls: async () => ({ ca: (await access.tls()).ca, cert: undefined, key: undefined }),
      headers: async () => ({ authorization: `Bearer ${token}` }),
    });
  const admin = client(access);
  const namespace = `contract-${randomBytes(4).toString('hex')}`;
  const post = (path: string, body: object) => admin.write(path, { method: 'POST', body });
  await post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  return {
    admin,
    namespace,
    stranger: withToken('nobody-gave-this-out'),
    async limited(name: string, rules: readonly Rule[]) {
      const metadata = { name, namespace };
      const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
      await post(accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
      await post(`${RBAC}/namespaces/${namespace}/roles`, { metadata, rules });
      await post(`${RBAC}/namespaces/${namespace}/rolebindings`, {
        metadata,
        subjects: [{ kind: 'ServiceAccount', name, namespace }],
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      });
      const answer = (await post(`${accounts}/${name}/token`, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: 600 },
      })) as { status: { token: string } };
      return withToken(answer.status.token);
    },
    async close() {
      await admin.write(`/api/v1/namespaces/${namespace}`, { method: 'DELETE', body: {} });
      for (const c of clients) c.close();
    },
  };
}
