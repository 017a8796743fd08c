/** The simulated API server does what is relied on; test/cluster/contract.test.ts shows the same of a real one. */
import { describe } from 'node:test';
import { kubernetesContract } from './kubernetes-contract/contract.ts';
import { simulatedServer } from './kubernetes-contract/simulated-server.ts';

describe('the simulated API server', { concurrency: true }, () => {
  kubernetesContract('simulated', () => simulatedServer('yes'));
  kubernetesContract('simulated, without initial events', () => simulatedServer('error'));
  kubernetesContract('simulated, refusing initial events', () => simulatedServer('refused'));
});
