/** What the configuration asks for, compiled: which attributes, and which labels and annotations become attributes. */
import { compileRegex, type Regex } from '../../../core/regex.ts';
import type { K8sAttributesConfig, MetadataName, Origin } from './config.ts';

type Texts = Readonly<Record<string, string>> | undefined;

/** Name and value alternate: one array is the smallest thing that many pods can keep. */
export type Tags = readonly string[];
export const NO_TAGS: Tags = Object.freeze([]);

export type TagRule = (texts: Readonly<Record<string, string>>, put: (name: string, value: string) => void) => void;

export interface Rules {
  readonly metadata: ReadonlySet<MetadataName>;
  readonly isDeploymentFromReplicaSet: boolean;
  has(...names: MetadataName[]): boolean;
  /** Some rule takes labels or annotations of this kind of object. */
  hasOrigin(origin: Origin): boolean;
  /** Labels first, then annotations; later ones win. */
  tags(origin: Origin, labels: Texts, annotations: Texts, share: (text: string) => string): Tags;
  readonly needsOwners: boolean;
  readonly needsContainers: boolean;
  /** Whether attributes come from the specification of containers, so that those that never ran count. */
  readonly needsContainerSpecs: boolean;
  readonly hasAnnotations: boolean;
}

export interface Conventions {
  readonly v0: boolean;
  readonly v1: boolean;
}

const DEFAULT_METADATA: readonly MetadataName[] = [
  'container.image.name',
  'k8s.deployment.name',
  'k8s.namespace.name',
  'k8s.node.name',
  'k8s.pod.name',
  'k8s.pod.start_time',
  'k8s.pod.uid',
];

const OTEL_ANNOTATIONS = {
  tag_name: '$1',
  key: '',
  key_regex: 'resource\\.opentelemetry\\.io/(.+)',
  from: 'pod',
} as const;

export function compileRules(extract: K8sAttributesConfig['extract'], conventions: Conventions): Rules {
  const metadata = new Set<MetadataName>(
    extract.metadata ?? [
      ...DEFAULT_METADATA,
      ...(conventions.v0 ? (['container.image.tag'] as const) : []),
      ...(conventions.v1 ? (['container.image.tags'] as const) : []),
    ],
  );
  const has = (...names: MetadataName[]): boolean => names.some((n) => metadata.has(n));
  const annotationRules = [...extract.annotations, ...(extract.otel_annotations ? [OTEL_ANNOTATIONS] : [])];
  const compiled = new Map<Origin, { labels: TagRule[]; annotations: TagRule[] }>();
  const add = (what: 'label' | 'annotation', rule: RuleConfig): void => {
    let of = compiled.get(rule.from);
    if (!of) compiled.set(rule.from, (of = { labels: [], annotations: [] }));
    of[`${what}s`].push(compileRule(rule, prefixes(rule.from, what, conventions)));
  };
  for (const rule of extract.labels) add('label', rule);
  for (const rule of annotationRules) add('annotation', rule);
  return {
    metadata,
    has,
    isDeploymentFromReplicaSet: extract.deployment_name_from_replicaset,
    hasOrigin: (origin) => compiled.has(origin),
    tags(origin, labels, annotations, share) {
      const rules = compiled.get(origin);
      if (!rules) return NO_TAGS;
      const found = new Map<string, string>();
      const put = (name: string, value: string): void => void found.set(name, value);
      if (labels) for (const rule of rules.labels) rule(labels, put);
      if (annotations) for (const rule of rules.annotations) rule(annotations, put);
      if (found.size === 0) return NO_TAGS;
      const tags: string[] = [];
      for (const [name, value] of found) tags.push(share(name), share(value));
      return tags;
    },
    needsOwners: [...metadata].some(
      (n) => n === 'service.name' || /^k8s\.(?:deployment|replicaset|statefulset|daemonset|job|cronjob)\./.test(n),
    ),
    needsContainers: has(
      'container.id',
      'container.image.name',
      'container.image.repo_digests',
      'container.image.tag',
      'container.image.tags',
      'k8s.container.name',
      'service.instance.id',
      'service.version',
    ),
    needsContainerSpecs: has(
      'container.image.name',
      'container.image.tag',
      'container.image.tags',
      'service.instance.id',
      'service.version',
    ),
    hasAnnotations: annotationRules.length > 0,
  };
}

interface RuleConfig {
  readonly tag_name: string;
  readonly key: string;
  readonly key_regex: string;
  readonly from: Origin;
}

function prefixes(origin: Origin, what: 'label' | 'annotation', { v0, v1 }: Conventions): string[] {
  const one = `k8s.${origin}.${what}.`;
  if (origin !== 'pod' && origin !== 'namespace' && origin !== 'node') return [one];
  return [...(v1 ? [one] : []), ...(v0 ? [`k8s.${origin}.${what}s.`] : [])];
}

function compileRule({ tag_name, key, key_regex }: RuleConfig, names: readonly string[]): TagRule {
  if (key !== '') {
    const targets = tag_name === '' ? names.map((prefix) => prefix + key) : [tag_name];
    return (texts, put) => {
      if (!Object.hasOwn(texts, key)) return;
      for (const target of targets) put(target, texts[key]!);
    };
  }
  const whole: Regex = compileRegex(`^(?:${key_regex})$`);
  const isNamed = tag_name !== '' && whole.groupNames.length > 1;
  return (texts, put) => {
    for (const [k, value] of Object.entries(texts)) {
      if (value === '' || !whole.test(k)) continue;
      if (isNamed) put(whole.replaceAll(k, tag_name), value);
      else for (const prefix of names) put(prefix + k, value);
    }
  };
}
