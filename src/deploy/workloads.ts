/** What runs a tier and what stands around it: DaemonSet, Deployment, services, policies. */
import { ConfigError } from '../core/errors.ts';
import { type KubernetesObject, lean } from './kubernetes-object.ts';
import type { Listening } from './needs.ts';
import { claims, podTemplate, selectorOf, type Tier } from './pods.ts';
import type { NormalAgent, NormalGateway, NormalSpec } from './spec.ts';

/** A namespaced object of a tier. */
export const objectOf = (tier: Tier, apiVersion: string, kind: string, fields: object): KubernetesObject => ({
  apiVersion,
  kind,
  metadata: {
    name: tier.objectName,
    namespace: tier.namespace,
    labels: { ...tier.labels, ...tier.options.labels },
  },
  ...fields,
});

export function workload(spec: NormalSpec, tier: Tier): KubernetesObject {
  const selector = { matchLabels: selectorOf(tier) };
  const template = podTemplate(spec, tier);
  if (tier.name === 'agent') {
    const { maxUnavailable } = tier.options as NormalAgent;
    // Never two at a time on a node: they would read the same files.
    const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable, maxSurge: 0 } };
    return objectOf(tier, 'apps/v1', 'DaemonSet', { spec: { selector, updateStrategy, template } });
  }
  const { replicas } = tier.options as NormalGateway;
  if (replicas > 1 && claims(tier))
    throw new ConfigError(
      [
        {
          path: ['gateway', 'replicas'],
          message: `${replicas} gateways cannot share the volume of kubernetesEvents.storage`,
          hint: 'set replicas: 1, or leave storage out',
        },
      ],
      { headline: 'invalid spec' },
    );
  // One that begins before the other has ended would report everything twice; several elect a leader.
  const strategy =
    replicas > 1 ? { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } } : { type: 'Recreate' };
  return objectOf(tier, 'apps/v1', 'Deployment', { spec: { replicas, selector, strategy, template } });
}

const isOpen = (p: Listening): boolean => !p.isLocal;

/** Where others send to, and where the own metrics are found. */
export function service(tier: Tier): KubernetesObject[] {
  const open = tier.needs.ports.filter((p) => isOpen(p) && p.purpose !== 'health');
  if (open.length === 0) return [];
  const isReceiving = open.some((p) => p.purpose === 'data');
  const ports = open.map(({ name, port, protocol, appProtocol }) =>
    lean({ name, port, targetPort: name, protocol, appProtocol }),
  );
  return [
    objectOf(tier, 'v1', 'Service', {
      spec: lean({
        type: 'ClusterIP',
        // Without receivers it is only there to find the pods by.
        clusterIP: isReceiving ? undefined : 'None',
        // What is sent on a node stays on it.
        internalTrafficPolicy: isReceiving && tier.name === 'agent' ? 'Local' : undefined,
        selector: selectorOf(tier),
        ports,
      }),
    }),
  ];
}

export function claim(tier: Tier): KubernetesObject[] {
  if (!claims(tier)) return [];
  return [
    objectOf(tier, 'v1', 'PersistentVolumeClaim', {
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    }),
  ];
}

export function networkPolicy(tier: Tier): KubernetesObject[] {
  if (!tier.options.networkPolicy) return [];
  const ports = tier.needs.ports.filter(isOpen).map(({ name, protocol }) => ({ protocol, port: name }));
  return [
    objectOf(tier, 'networking.k8s.io/v1', 'NetworkPolicy', {
      spec: {
        podSelector: { matchLabels: selectorOf(tier) },
        policyTypes: ['Ingress'],
        ingress: ports.length > 0 ? [{ ports }] : [],
      },
    }),
  ];
}

export function disruptionBudget(tier: Tier): KubernetesObject[] {
  if (tier.name !== 'gateway' || !(tier.options as NormalGateway).podDisruptionBudget) return [];
  return [
    objectOf(tier, 'policy/v1', 'PodDisruptionBudget', {
      // A single gateway may be moved: a budget that never lets go would block the drain of its node.
      spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(tier) } },
    }),
  ];
}

const MONITORS = {
  PodMonitor: 'monitoring.coreos.com/v1',
  VMPodScrape: 'operator.victoriametrics.com/v1beta1',
} as const;

/** Both operators take the same fields. */
export function podMonitor(tier: Tier): KubernetesObject[] {
  const { podMonitor: wanted } = tier.options;
  if (wanted === false) return [];
  const metrics = tier.needs.ports.find((p) => p.purpose === 'metrics');
  if (!metrics || metrics.isLocal)
    throw new ConfigError(
      [
        {
          path: [tier.name, 'podMonitor'],
          message: `the metrics of the ${tier.name} cannot be reached from outside of its pod`,
          hint: 'let service.telemetry.metrics in config listen on ${env:MY_POD_IP}',
        },
      ],
      { headline: 'invalid spec' },
    );
  const kind = wanted === true ? 'PodMonitor' : wanted;
  return [
    objectOf(tier, MONITORS[kind], kind, {
      spec: {
        selector: { matchLabels: selectorOf(tier) },
        namespaceSelector: { matchNames: [tier.namespace] },
        podMetricsEndpoints: [{ port: metrics.name }],
      },
    }),
  ];
}
