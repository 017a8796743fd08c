/** Which annotation decides whether the lines of a container are collected, and what the filter of the preset makes of it. */
import { type Batch, makeBatch, type Signal } from '../../core/batch.ts';
import { EMPTY_SCOPE, type Resource } from '../../core/resource.ts';
import { ANNOTATION_FILTER, decidingAnnotation, LOGS_ANNOTATION } from '../../deploy/presets/by-annotation.ts';
import type { ConfiguredComponent, DoctorContext } from '../context.ts';
import { type Finding, ok, unknown, warning } from '../finding.ts';
import { passThrough } from './passage.ts';
import type { Subject } from './subject.ts';

export interface AnnotationVerdict {
  readonly findings: readonly Finding[];
  /** Undefined: there is no such filter, or what decides cannot be looked up. */
  readonly isCollected: boolean | undefined;
}

/** A record with nothing in it: what the filter says of it, it says of the resource. */
const blank = (resource: Resource): Batch =>
  makeBatch('logs', [
    { resource, scope: EMPTY_SCOPE, items: Uint8Array.of(0x12, 0), messages: 1, count: 1, parts: [] },
  ]);

/** The resource behind k8s_attributes. */
export interface Enriched {
  readonly resource: Resource;
  /** `known`: with what is attached to it; `bare`: nothing is; `unseen`: what is attached cannot be looked up. */
  readonly metadata: 'known' | 'bare' | 'unseen';
}

export async function annotationVerdict(
  ctx: DoctorContext,
  s: Subject,
  pipeline: { readonly id: string; readonly signal: Signal },
  processors: readonly ConfiguredComponent[],
  container: string,
  { resource, metadata }: Enriched,
): Promise<AnnotationVerdict> {
  const filter = processors.find((c) => c.id === ANNOTATION_FILTER);
  if (!filter) return { findings: [], isCollected: undefined };
  if (metadata === 'unseen')
    return {
      isCollected: undefined,
      findings: [
        unknown(
          `which annotation decides about ${container} cannot be looked up`,
          `${filter.id}: ${LOGS_ANNOTATION}/enabled of the pod and of its namespace`,
          'an account that may list pods and namespaces sees more: --kubeconfig',
        ),
      ],
    };
  const { out } = await passThrough(ctx, pipeline, [filter], [blank(resource)], resource);
  const isCollected = out > 0;
  const found = decidingAnnotation(resource.attributes, container);
  const object = found?.origin === 'namespace' ? `namespace ${s.namespace}` : `pod ${s.namespace}/${s.name}`;
  const why = found
    ? `${object} has ${found.annotation}: ${JSON.stringify(found.value)}`
    : `no annotation ${isCollected ? 'says otherwise' : 'asks for it'}`;
  const how = found
    ? `${filter.id}; the pod goes before the namespace, and the container before all`
    : metadata === 'bare'
      ? `${filter.id}; without metadata of the pod no annotation is known`
      : `${filter.id}; neither the pod nor namespace ${s.namespace} has ${LOGS_ANNOTATION}/enabled or ${LOGS_ANNOTATION}.${container}/enabled`;
  const fix = `kubectl annotate --overwrite pod -n ${s.namespace} ${s.name} ${LOGS_ANNOTATION}.${container}/enabled=true; for good in the template of its workload`;
  return {
    isCollected,
    findings: [
      isCollected
        ? ok(`${container} is collected: ${why}`, how)
        : warning(`${container} is not collected: ${why}`, how, fix),
    ],
  };
}
