/** Namespaces and what the service accounts in them may do. */
import type { TierName } from './config.ts';
import { type KubernetesObject, noted } from './kubernetes-object.ts';
import { PART_OF } from './labels.ts';
import { namespaceObject, type PodSecurity } from './platforms.ts';
import { isOfTheNode, type Tier } from './pods.ts';
import type { GrantedRule, Rbac } from './rbac.ts';
import type { NormalSpec } from './spec.ts';
import { objectOf } from './workloads.ts';

export const labelsOf = (tier: TierName): Record<string, string> => ({
  'app.kubernetes.io/name': `otel-${tier}`,
  'app.kubernetes.io/component': tier,
  ...PART_OF,
});

/** Pod Security of each namespace as its tiers need it: directories of the node are for `privileged` only. */
export function namespaces(spec: NormalSpec, tiers: readonly Tier[]): KubernetesObject[] {
  const levels = new Map<string, PodSecurity>();
  for (const tier of tiers) {
    const isPrivileged = isOfTheNode(tier);
    if (isPrivileged || !levels.has(tier.namespace))
      levels.set(tier.namespace, isPrivileged ? 'privileged' : 'restricted');
  }
  return [...levels].map(([name, level]) => namespaceObject(spec, name, level, PART_OF));
}

export function serviceAccount(spec: NormalSpec, tier: Tier): KubernetesObject {
  return objectOf(tier, 'v1', 'ServiceAccount', {
    // The pod asks for the token by itself, when it needs one.
    automountServiceAccountToken: false,
    ...(spec.image.pullSecrets.length > 0
      ? { imagePullSecrets: spec.image.pullSecrets.map((name) => ({ name })) }
      : {}),
  });
}

const AUTHORIZATION = 'rbac.authorization.k8s.io';

/** The rules with what they are for, and the bindings to the account of the tier. */
export function roles(tier: Tier, { cluster, namespaced }: Rbac): KubernetesObject[] {
  const { wideName: name } = tier;
  const labels = { ...tier.labels, ...tier.options.labels };
  const subjects = [{ kind: 'ServiceAccount', name: tier.objectName, namespace: tier.namespace }];
  const object = (kind: string, namespace: string | undefined, fields: object): KubernetesObject => ({
    apiVersion: `${AUTHORIZATION}/v1`,
    kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels },
    ...fields,
  });
  const both = (role: string, rules: readonly GrantedRule[], namespace?: string): KubernetesObject[] => [
    object(role, namespace, { rules: rules.map(ruleOf) }),
    object(`${role}Binding`, namespace, { roleRef: { apiGroup: AUTHORIZATION, kind: role, name }, subjects }),
  ];
  return [
    ...(cluster.length > 0 ? both('ClusterRole', cluster) : []),
    ...namespaced.flatMap(({ namespace, rules }) => both('Role', rules, namespace)),
  ];
}

/** In the order that people know from kubectl. */
function ruleOf({ apiGroups, resources, resourceNames, verbs, why }: GrantedRule): object {
  const rule = {
    apiGroups: [...apiGroups],
    resources: [...resources],
    ...(resourceNames ? { resourceNames: [...resourceNames] } : {}),
    verbs: [...verbs],
  };
  return noted(
    rule,
    [
      ...why,
      ...(resources.includes('nodes/proxy') ? ['nodes/proxy: kubelets before 1.33 know no nodes/pods'] : []),
    ].join('\n'),
  );
}
