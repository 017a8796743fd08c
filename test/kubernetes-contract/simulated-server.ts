/** The simulated API server for the contract: with accounts, behind a listener of its own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SILENT } from '../../src/core/log.ts';
import { makeAccess } from '../../src/kubernetes/access.ts';
import { explainApiRefusal } from '../../src/kubernetes/api-server.ts';
import { KubernetesClient } from '../../src/kubernetes/client.ts';
import type { Account } from '../../src/kubernetes/simulated/accounts.ts';
import { SimulatedApiServer, type SimulatedApiServerOptions } from '../../src/kubernetes/simulated/api-server.ts';
import { Population } from '../../src/kubernetes/simulated/population.ts';
import type { ContractServer } from './contract.ts';

const clock = {
  nowMs: () => Date.now(),
  nowUnixNano: () => BigInt(Date.now()) * 1_000_000n,
  monotonicMs: () => performance.now(),
};

export async function simulatedServer(
  initialEvents: NonNullable<SimulatedApiServerOptions['initialEvents']>,
): Promise<ContractServer> {
  const accounts = new Map<string, Account>([['admin', { user: 'admin' }]]);
  const population = new Population({ nowMs: () => Date.now() });
  const server = new SimulatedApiServer(population, { accounts, initialEvents });
  const listener = createServer(server.handle);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  const clients: KubernetesClient[] = [];
  const withToken = (token: string): KubernetesClient => {
    const access = makeAccess({ url, token: { text: token } }, { clock, log: SILENT });
    const client = new KubernetesClient(access, { name: 'API server', explain: explainApiRefusal });
    clients.push(client);
    return client;
  };
  const namespace = 'contract';
  return {
    admin: withToken('admin'),
    namespace,
    stranger: withToken('nobody-gave-this-out'),
    hasInitialEvents: initialEvents === 'yes',
    forget: () => population.compact(),
    async limited(name, rules) {
      const user = `system:serviceaccount:${namespace}:${name}`;
      accounts.set(`token-of-${name}`, { user, rules: rules.map((r) => ({ ...r, namespace })) });
      return withToken(`token-of-${name}`);
    },
    async close() {
      for (const c of clients) c.close();
      server.close();
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
