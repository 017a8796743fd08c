/** Why pods of collectors do not start or do not stay: images, crashes, memory, missing objects, probes. */
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { isProblem } from '../cluster.ts';
import type { Check, DoctorContext } from '../context.ts';
import { count, type Finding, failure, ok, some, unknown, warning } from '../finding.ts';
import { type Fields, fieldsOf, listOf, numberOf, textOf, type Workload } from '../objects.ts';
import { ageMs, isLeaving, isStarting } from '../starting.ts';
import { imageTrouble } from './images.ts';
import { eventsIn, podsOf } from './workload-reads.ts';

const MANY_RESTARTS = 3;
/** Ends that are longer ago are over. */
const RECENT_MS = 24 * 3_600_000;

export const pods: Check = {
  id: 'pods',
  title: 'Pods of the collectors',
  async run(ctx) {
    if (!ctx.cluster) return [unknown('the pods cannot be looked at', ctx.clusterProblem)];
    const out: Finding[] = [];
    for (const w of ctx.workloads) out.push(...(await ofWorkload(ctx, w)));
    return out;
  },
};

/** Findings of the same trouble are one, with the pods that have it. */
class Grouped {
  readonly #found = new Map<string, { finding: Finding; pods: string[] }>();
  add(pod: string, key: string, finding: Finding): void {
    const known = this.#found.get(key);
    if (known) known.pods.push(pod);
    else this.#found.set(key, { finding, pods: [pod] });
  }
  get findings(): Finding[] {
    return [...this.#found.values()].map(({ finding, pods: names }) => ({
      ...finding,
      how: `${names.length === 1 ? 'pod' : 'pods'} ${some(names)}: ${finding.how}`,
    }));
  }
}

async function ofWorkload(ctx: DoctorContext, w: Workload): Promise<Finding[]> {
  const list = await podsOf(ctx, w);
  if (isProblem(list)) return [unknown(`the pods of ${w.name} cannot be listed`, list.problem)];
  // The check of agents says why there is none.
  if (list.value.length === 0) return [];
  const grouped = new Grouped();
  const staying = list.value.filter((p) => !isLeaving(ctx, p));
  const notReady = new Set(staying.filter(isNotReady).map((p) => p.metadata.name));
  const events = notReady.size === 0 ? [] : await eventsIn(ctx, w.namespace);
  for (const pod of staying)
    for (const container of listOf(fieldsOf(pod['status'])['containerStatuses']))
      look(ctx, grouped, w, pod, container, events);
  const starting = new Set(staying.filter((p) => isStarting(ctx, p)).map((p) => p.metadata.name));
  unhealthy(w, notReady.difference(starting), events, grouped);
  const { findings } = grouped;
  if (findings.length > 0) return findings;
  return [
    ok(`no pod of ${w.name} is in trouble`, `${count(list.value.length, 'pod')} with ${w.selector} in ${w.namespace}`),
  ];
}

const isNotReady = (pod: KubernetesObject): boolean =>
  listOf(fieldsOf(pod['status'])['containerStatuses']).some((c) => c['ready'] !== true) ||
  fieldsOf(pod['status'])['phase'] === 'Pending';

function look(
  ctx: DoctorContext,
  grouped: Grouped,
  w: Workload,
  pod: KubernetesObject,
  c: Fields,
  events: readonly KubernetesObject[],
): void {
  const { name } = pod.metadata;
  const waiting = fieldsOf(fieldsOf(c['state'])['waiting']);
  const reason = textOf(waiting['reason']);
  const message = textOf(waiting['message']);
  const last = fieldsOf(fieldsOf(c['lastState'])['terminated']);
  const logs = `kubectl logs -n ${w.namespace} ${name} --previous | sluice doctor --from-logs -`;
  const image = textOf(c['image']);
  const trouble = imageTrouble(w, name, image, { reason, message, lastMessage: textOf(last['message']) }, events);
  if (trouble) {
    grouped.add(name, trouble.what, trouble);
    return;
  }
  if (/^(?:CreateContainerConfigError|CreateContainerError|RunContainerError)$/.test(reason)) {
    const missing = /(secret|configmap) "([^"]+)" not found/i.exec(message);
    const fix = missing
      ? `create the ${missing[1]} ${missing[2]} in ${w.namespace}`
      : /must be run as non-root|runAsNonRoot/.test(message)
        ? 'runAsUser: 10001 beside runAsNonRoot, or let the agent run as root to read /var/log/pods'
        : /not a shared(?: or slave)? mount/.test(message)
          ? 'mount --make-rshared / on the node, or take mountPropagation off the volumeMount of /'
          : `kubectl describe pod -n ${w.namespace} ${name}`;
    grouped.add(
      name,
      `create ${message}`,
      failure(
        `a container of ${w.name} cannot be made`,
        `${reason}: ${message.replace(/\b[0-9a-f]{64}\b/g, '…')}`,
        fix,
      ),
    );
    return;
  }
  const restarts = numberOf(c['restartCount']);
  const how = `${restarts} restarts, last end: ${textOf(last['reason']) || 'unknown'}, exit code ${numberOf(last['exitCode'])}`;
  const ended = textOf(last['finishedAt']);
  const isRecent = ended === '' || ageMs(ctx, ended) < RECENT_MS;
  if (!isRecent && reason !== 'CrashLoopBackOff') return;
  if (last['reason'] === 'OOMKilled') {
    const limit = textOf(fieldsOf(fieldsOf(containerSpec(w, c)['resources'])['limits'])['memory']) || 'none';
    const make = reason === 'CrashLoopBackOff' ? failure : warning;
    grouped.add(
      name,
      'oom',
      make(
        `${w.name} was killed because it used too much memory (limit ${limit})`,
        how,
        'raise resources.limits.memory, and keep memory_limiter first in every pipeline',
      ),
    );
    return;
  }
  if (reason === 'CrashLoopBackOff') {
    const exit = numberOf(last['exitCode']);
    const text = textOf(last['message']);
    grouped.add(
      name,
      `crash ${exit}`,
      failure(`${w.name} crashes again and again`, `${how}${text ? `: ${text.trim().slice(-300)}` : ''}`, logs),
    );
    return;
  }
  if (restarts >= MANY_RESTARTS) grouped.add(name, 'restarts', warning(`${w.name} was restarted often`, how, logs));
}

const containerSpec = (w: Workload, status: Fields): Fields =>
  listOf(w.pod['containers']).find((c) => c['name'] === status['name']) ?? {};

/** Probes that fail, and volumes that cannot be mounted, show only in events. */
function unhealthy(
  w: Workload,
  notReady: ReadonlySet<string>,
  events: readonly KubernetesObject[],
  grouped: Grouped,
): void {
  for (const e of events) {
    const pod = textOf(fieldsOf(e['involvedObject'])['name']);
    if (!notReady.has(pod)) continue;
    const message = textOf(e['message']);
    if (e['reason'] === 'Unhealthy')
      grouped.add(
        pod,
        'probe',
        failure(
          `a probe of ${w.name} fails`,
          message,
          'is health_check among service.extensions, on 0.0.0.0:13133 or ${env:MY_POD_IP}:13133?',
        ),
      );
    if (e['reason'] === 'FailedMount' || e['reason'] === 'FailedAttachVolume')
      grouped.add(
        pod,
        'mount',
        failure(
          `a volume of ${w.name} cannot be mounted`,
          message,
          'a host path below a read-only root (Talos) cannot be made: use one below /var',
        ),
      );
  }
}
