/** What has just begun, or is being replaced, is not judged yet: pods that start, nodes that join, roll-outs. */
import type { KubernetesObject } from '../kubernetes/object.ts';
import type { DoctorContext } from './context.ts';
import { fieldsOf, listOf, textOf } from './objects.ts';

/** So long a pod may take until it is ready. */
export const STARTING_MS = 120_000;
/** A pod that ends is gone after the time it was given, which is seldom more. */
const LEAVING_MS = 120_000;
/** A container that waits for one of these does not start by itself soon. */
const STUCK =
  /^(?:ImagePullBackOff|ErrImagePull|InvalidImageName|ErrImageNeverPull|ImageInspectError|CreateContainer\w*Error|RunContainerError|CrashLoopBackOff)$/;

type Times = Pick<DoctorContext, 'serverNowMs'>;

/** By the clock of the API server; Infinity when it is not known. */
export function ageMs(ctx: Times, time: string | undefined): number {
  const ms = Date.parse(time ?? '');
  return Number.isNaN(ms) ? Number.POSITIVE_INFINITY : Math.max(0, ctx.serverNowMs() - ms);
}

export const isNew = (ctx: Times, object: KubernetesObject): boolean =>
  ageMs(ctx, object.metadata.creationTimestamp) < STARTING_MS;

export const isLeaving = (ctx: Times, pod: KubernetesObject): boolean => {
  const { deletionTimestamp } = pod.metadata as { deletionTimestamp?: string };
  return deletionTimestamp !== undefined && ageMs(ctx, deletionTimestamp) < LEAVING_MS;
};

/** It is not ready, and nothing says yet that it will not be. */
export const isStarting = (ctx: Times, pod: KubernetesObject): boolean =>
  isNew(ctx, pod) &&
  !listOf(fieldsOf(pod['status'])['containerStatuses']).some((c) =>
    STUCK.test(textOf(fieldsOf(fieldsOf(c['state'])['waiting'])['reason'])),
  );
