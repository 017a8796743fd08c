/** What runs in the cluster `home`: agents on its nodes, and a gateway. */
import { collection } from 'sluice/deploy';

export default collection({
  clusterName: 'home',
  platform: 'talos',
  agent: {
    presets: {
      // Talos' kubelets sign their own certificates unless they are told to rotate them.
      kubeletMetrics: { tls: 'skip' },
      logsCollection: { exclude: { namespaces: ['ci-*'] } },
      falco: true,
      talos: true,
    },
    priorityClassName: 'system-node-critical',
  },
  gateway: {
    presets: { kubernetesEvents: { excludeNamespaces: ['ci-.*'] } },
  },
});
