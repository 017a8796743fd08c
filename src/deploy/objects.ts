/** From a collection to the Kubernetes objects that run it, in an order in which they can be applied. */
import { stringify } from 'yaml';
import { ConfigError, type Diagnostic } from '../core/errors.ts';
import type { CollectorConfig } from './config.ts';
import { dashboardObjects, sourcesOf } from './dashboards/index.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import { labelsOf, namespaces, roles, serviceAccount } from './namespace.ts';
import { needsOf } from './needs.ts';
import { DEFAULT_NAMESPACE } from './normal.ts';
import { profileOf, refusals, securityContextConstraints } from './platforms.ts';
import { CONFIG_KEY, isOfTheNode, knownVariables, type Tier } from './pods.ts';
import { type Rbac, rbacOf } from './rbac.ts';
import type { Collection } from './spec.ts';
import { claim, disruptionBudget, networkPolicy, objectOf, podMonitor, service, workload } from './workloads.ts';

/** The text of a configuration as it is mounted; YAML 1.1, which is what readers in Go hold to. */
export const configYaml = (config: CollectorConfig): string =>
  stringify(config, { lineWidth: 0, version: '1.1', aliasDuplicateObjects: false });

/** What is applied first. */
const ORDER = [
  'Namespace',
  'SecurityContextConstraints',
  'ServiceAccount',
  'ClusterRole',
  'ClusterRoleBinding',
  'Role',
  'RoleBinding',
  'ConfigMap',
  'PersistentVolumeClaim',
  'Service',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'DaemonSet',
  'Deployment',
  'PodMonitor',
  'VMPodScrape',
  'VMRule',
  'PrometheusRule',
];

/** Plain objects for kubectl, Pulumi, cdk8s or a GitOps tool. Throws ConfigError for what cannot work. */
export function objectsOf(collection: Collection): KubernetesObject[] {
  const { spec } = collection;
  const tiers: (Tier & { readonly rbac: Rbac })[] = [];
  const problems: Diagnostic[] = [];
  for (const { name, config } of collection.tiers) {
    const options = spec[name];
    if (!options) continue;
    const namespace = (name === 'gateway' ? spec.gateway?.namespace : undefined) ?? spec.namespace;
    const needs = needsOf(config);
    const rbac = rbacOf(config, {
      engine: spec.engine,
      env: knownVariables(namespace),
      ...(spec.kubernetesVersion === undefined ? {} : { kubernetesVersion: spec.kubernetesVersion }),
    });
    problems.push(...refusals(spec, name, needs, rbac));
    const usesAccount = rbac.cluster.length + rbac.namespaced.length > 0;
    tiers.push({
      name,
      objectName: `otel-${name}`,
      wideName: spec.namespace === DEFAULT_NAMESPACE ? `otel-${name}` : `otel-${name}-${spec.namespace}`,
      namespace,
      config,
      configText: configYaml(config),
      options,
      needs,
      rbac,
      labels: labelsOf(name),
      usesAccount,
    });
  }
  if (problems.length > 0) throw new ConfigError(problems, { headline: 'invalid spec' });
  const objects = [
    ...namespaces(spec, tiers),
    ...tiers.flatMap((tier) => [
      ...(profileOf(spec).seLinuxType !== undefined && isOfTheNode(tier)
        ? [securityContextConstraints(spec, tier)]
        : []),
      serviceAccount(spec, tier),
      ...roles(tier, tier.rbac),
      objectOf(tier, 'v1', 'ConfigMap', { data: { [CONFIG_KEY]: tier.configText } }),
      ...claim(tier),
      ...service(tier),
      ...networkPolicy(tier),
      ...disruptionBudget(tier),
      workload(spec, tier),
      ...podMonitor(tier),
    ]),
    ...(spec.dashboards
      ? dashboardObjects(spec.dashboards.namespace ?? spec.namespace, {
          ...spec.dashboards,
          sources: sourcesOf(collection),
        })
      : []),
  ];
  return objects
    .map((object, i) => ({ object, i }))
    .sort((a, b) => ORDER.indexOf(a.object.kind) - ORDER.indexOf(b.object.kind) || a.i - b.i)
    .map(({ object }) => object);
}
