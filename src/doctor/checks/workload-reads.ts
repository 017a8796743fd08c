/** What several checks read about the same workload. */
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { isProblem, RESOURCES, type Read } from '../cluster.ts';
import type { DoctorContext } from '../context.ts';
import { engineOf, fieldsOf, textOf, type Workload } from '../objects.ts';

/** The line to type for what only the pod can see; the image of otelcol has no sluice, and no shell either. */
export function inPod(ctx: DoctorContext, w: Workload | undefined, url?: URL): string {
  const where = w ? `${w.kind.toLowerCase()}/${w.name}` : 'daemonset/otel-agent';
  if (engineOf(w) === 'sluice') return `kubectl exec -n ${w?.namespace ?? ctx.namespace} ${where} -- sluice doctor`;
  return url
    ? `kubectl run -n ${w!.namespace} sluice-try --rm -i --restart=Never --image=curlimages/curl -- -sS -o /dev/null -w "%{http_code}" ${url.origin}${url.pathname}`
    : `kubectl logs -n ${w!.namespace} ${where} | sluice doctor --from-logs -`;
}

/** For what the account of who runs doctor may not see. */
export const otherAccount = (ctx: DoctorContext, right: string, namespace: string): string =>
  ctx.isInside
    ? 'run `sluice doctor` outside, with a kubeconfig that may read them'
    : `\`kubectl auth can-i ${right}${namespace === '' ? ' -A' : ` -n ${namespace}`}\` must say yes: ask for the right, or use another --context`;

export const podsOf = (ctx: DoctorContext, w: Workload): Promise<Read<KubernetesObject[]>> =>
  ctx.cluster!.list(RESOURCES.pods, { namespace: w.namespace, labelSelector: w.selector });

export async function eventsIn(ctx: DoctorContext, namespace: string): Promise<readonly KubernetesObject[]> {
  const events = await ctx.cluster!.list(RESOURCES.events, { namespace });
  return isProblem(events) ? [] : events.value;
}

const timeOf = (e: KubernetesObject): string =>
  textOf(e['lastTimestamp']) || textOf(e['eventTime']) || (e.metadata.creationTimestamp ?? '');

/**
 * Messages of FailedCreate events of a workload or of its ReplicaSets, the newest first, each once. What was refused
 * before the newest of its pods was made is over: events stay for an hour.
 */
export async function failedCreates(ctx: DoctorContext, w: Workload): Promise<string[]> {
  const events = await eventsIn(ctx, w.namespace);
  let own = events.filter((e) => {
    const about = fieldsOf(e['involvedObject']);
    const name = textOf(about['name']);
    const isOwn =
      about['kind'] === w.kind ? name === w.name : about['kind'] === 'ReplicaSet' && name.startsWith(`${w.name}-`);
    return e['reason'] === 'FailedCreate' && isOwn;
  });
  const pods = await podsOf(ctx, w);
  const made = isProblem(pods) ? [] : pods.value.map((p) => p.metadata.creationTimestamp ?? '');
  const newest = made.sort().at(-1) ?? '';
  own = own.filter((e) => newest === '' || Date.parse(timeOf(e)) > Date.parse(newest));
  own.sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1));
  // The name of the pod that was to be made differs each time.
  const seen = new Map(own.map((e) => [textOf(e['message']).replace(/pods "[^"]*"/, 'pods'), textOf(e['message'])]));
  return [...seen.values()];
}
