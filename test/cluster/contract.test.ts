/** A real API server does what is relied on, and what the simulated one does: the same suite runs against both. */
import { kubernetesContract } from '../kubernetes-contract/contract.ts';
import { realServer } from '../kubernetes-contract/real-server.ts';
import { openCluster } from './cluster.ts';

kubernetesContract('real', () => realServer(process.env['KUBECONFIG'] || openCluster().kubeconfig));
