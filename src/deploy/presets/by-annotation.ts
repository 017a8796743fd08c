/**
 * Collection of logs by annotation, in the vocabulary of otelcol's discovery: `io.opentelemetry.discovery.logs/enabled` and, for
 * one container, `io.opentelemetry.discovery.logs.<container>/enabled`, on pods and namespaces. The nearest one decides.
 */
import type { Json, JsonMap } from '../config.ts';

export type ByAnnotation = 'opt-in' | 'opt-out';

export const LOGS_ANNOTATION = 'io.opentelemetry.discovery.logs';
export const ANNOTATION_FILTER = 'filter/annotations';

/** The nearest first. */
const ORIGINS = ['pod', 'namespace'] as const;
/** Where annotations stand until they were looked at, with the name of the container behind where they are for one. */
const attributeOf = (origin: (typeof ORIGINS)[number]): string => `discovery.logs.${origin}`;

/** One rule for both forms: what has no value counts as absent in both. */
export const annotationRules = (): Json[] =>
  ORIGINS.map((from) => ({
    tag_name: `${attributeOf(from)}$$1`,
    key_regex: `${LOGS_ANNOTATION.replaceAll('.', '\\.')}(\\.[-a-z0-9]+)?/enabled`,
    from,
  }));

/**
 * Records for which one of these holds are dropped: what is nearest to the container is there and is not `true`. Only records of
 * pods. `unless` is what keeps a record all the same; it comes last, so that the resource alone decides about most.
 */
export function annotationConditions(mode: ByAnnotation, unless: string): string[] {
  const places = ORIGINS.flatMap((origin) => [
    `resource.attributes[Concat(["${attributeOf(origin)}", resource.attributes["k8s.container.name"]], ".")]`,
    `resource.attributes["${attributeOf(origin)}"]`,
  ]);
  return places.map((place, i) => {
    const nearer = places.slice(0, i).map((p) => `${p} == nil`);
    // Of what nobody has annotated, there is nothing that says true.
    const isThere = mode === 'opt-in' && i === places.length - 1 ? [] : [`${place} != nil`];
    const conjuncts = ['resource.attributes["k8s.pod.name"] != nil', ...nearer, ...isThere, `${place} != "true"`];
    return [...conjuncts, ...(unless === '' ? [] : [unless])].join(' and ');
  });
}

/** Nobody stores what decided. */
export const forgetAnnotations = (): JsonMap => ({
  attributes: [{ pattern: '^discovery\\.logs\\.(pod|namespace)(\\.|$$)', action: 'delete' }],
});

export interface Deciding {
  readonly origin: 'pod' | 'namespace';
  readonly annotation: string;
  readonly value: string;
}

/** The annotation that decides about a container, by what `annotationRules` made of all. */
export function decidingAnnotation(attributes: ReadonlyMap<string, unknown>, container: string): Deciding | undefined {
  for (const origin of ORIGINS)
    for (const suffix of [`.${container}`, '']) {
      const value = attributes.get(attributeOf(origin) + suffix);
      if (typeof value === 'string') return { origin, annotation: `${LOGS_ANNOTATION}${suffix}/enabled`, value };
    }
  return undefined;
}
