/** For tests: the variants of deployments whose rendered form lies in testdata/rendered and is tried on a real API server. */
import { join } from 'node:path';
import { collection } from './collection.ts';
import { objectsOf } from './objects.ts';
import { toYaml } from './render.ts';
import type { Engine, Platform, Spec } from './spec.ts';

export interface Variant {
  readonly name: string;
  /** Namespaces of agent and gateway are given by who tries it. */
  readonly spec: (namespace: string, gatewayNamespace: string) => Spec;
}

const PLATFORMS: readonly Platform[] = ['generic', 'talos', 'k3s', 'openshift', 'gke-autopilot'];
const ENGINES: readonly Engine[] = ['sluice', 'otelcol-contrib'];
// So that a release does not change every file.
const image = { tag: '0.0.0' };

/** Autopilot gives no directory of the node but /var/log. */
const onAutopilot: Spec = {
  destinations: { logs: { persistentQueue: false } },
  agent: { presets: { logsCollection: { checkpoints: false }, hostMetrics: false } },
};

function everything(platform: Platform, engine: Engine, namespace: string, gatewayNamespace: string): Spec {
  const isAutopilot = platform === 'gke-autopilot';
  return {
    namespace,
    clusterName: 'home',
    engine,
    platform,
    kubernetesVersion: platform === 'k3s' ? '1.32' : '1.34',
    image: { ...image, repository: 'registry.test/collector', pullSecrets: ['registry'] },
    destinations: {
      metrics: { url: 'https://metrics.test/api/v1/write', authentication: { basic: { secret: 'metrics' } } },
      logs: {
        url: 'https://logs.test/insert/opentelemetry',
        authentication: { bearer: { secret: 'logs' } },
        persistentQueue: !isAutopilot,
      },
    },
    agent: {
      presets: {
        logsCollection: {
          exclude: { namespaces: ['ci-*'] },
          checkpoints: !isAutopilot,
          rules: [{ name: 'java', match: { namespace: 'shop' }, multiline: { firstLine: '^\\d{4}-' } }],
          dockerRuntime: platform === 'generic',
        },
        kubeletMetrics: { tls: 'skip', extraMetadata: ['k8s.volume.type', 'container.id'] },
        hostMetrics: isAutopilot ? false : { scrapers: { process: true, processes: true, paging: true, system: true } },
        kubernetesAttributes: {
          labels: [
            { key: 'app.kubernetes.io/name', name: 'app' },
            { key: 'team', from: 'namespace' },
          ],
          extraMetadata: ['k8s.node.uid', 'k8s.deployment.uid'],
        },
        falco: true,
        talos: platform === 'talos' ? (engine === 'sluice' ? { audit: true } : { from: 'tcp' }) : false,
        selfMonitoring: true,
      },
      maxUnavailable: 1,
      priorityClassName: 'system-node-critical',
      nodeSelector: { 'example.test/collect': 'yes' },
      labels: { 'example.test/team': 'platform' },
      annotations: { 'example.test/note': 'agent' },
      env: [{ name: 'HTTPS_PROXY', value: 'http://proxy.test:3128' }],
      resources: { requests: { cpu: '100m', memory: '200Mi' }, limits: { memory: '400Mi' } },
      networkPolicy: true,
      podMonitor: true,
    },
    gateway: {
      namespace: gatewayNamespace,
      presets: {
        clusterMetrics: { nodeConditions: ['Ready'], metrics: { 'k8s.service.endpoint.count': true } },
        kubernetesEvents: { excludeNamespaces: ['ci'], storage: true },
        kubernetesAttributes: true,
        selfMonitoring: true,
      },
      networkPolicy: true,
      podMonitor: true,
      podDisruptionBudget: true,
    },
  };
}

export const VARIANTS: readonly Variant[] = [
  ...PLATFORMS.flatMap((platform) =>
    ENGINES.flatMap((engine): Variant[] => [
      {
        name: `${platform}-${engine}-minimal`,
        spec: (namespace) => ({
          namespace,
          platform,
          engine,
          image,
          ...(platform === 'gke-autopilot' ? onAutopilot : {}),
        }),
      },
      {
        name: `${platform}-${engine}-all`,
        spec: (namespace, gatewayNamespace) => everything(platform, engine, namespace, gatewayNamespace),
      },
    ]),
  ),
  { name: 'helm', spec: (namespace) => ({ namespace, image, engine: 'otelcol-contrib', compat: 'helm' }) },
  {
    name: 'replicas',
    spec: (namespace) => ({ namespace, image, agent: false, gateway: { replicas: 3, podDisruptionBudget: true } }),
  },
  {
    name: 'namespaced',
    spec: (namespace) => ({
      namespace,
      image,
      agent: false,
      gateway: {
        presets: {
          clusterMetrics: { namespaces: ['default'] },
          kubernetesEvents: { namespaces: ['default', 'kube-system'] },
          kubernetesAttributes: false,
        },
      },
    }),
  },
];

export const RENDERED = join(import.meta.dirname, 'testdata', 'rendered');

export const objectsOfVariant = (variant: Variant, namespace = 'opentelemetry', gateway = 'opentelemetry-gateway') =>
  objectsOf(collection(variant.spec(namespace, gateway)));

export const renderVariant = (variant: Variant): string => toYaml(objectsOfVariant(variant));
